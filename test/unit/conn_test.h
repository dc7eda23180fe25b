/* SPDX-License-Identifier: MIT */
/*
 * A daemon for the tests of connections: a hub on a loop in a thread of its
 * own, whose handlers do what the test says, and a worker that holds what it
 * is lent until the test opens the gate.
 */
#ifndef TEST_UNIT_CONN_TEST_H
#define TEST_UNIT_CONN_TEST_H

#include <fcntl.h>

#include "net/conn_impl.h"
#include "test/unit/net_test.h"

enum on_request {
	ECHO,
	OWE,
	REFUSE,
	FULL,
	SEND_FILE,
	BIG,
	ROOM,
	CLOSE,
	DEFER /* a body "+" is put off, others are echoed */
};
enum on_content { KEEP, LEND };

#define BIG_SIZE (8 * 1024 * 1024)
#define DUES     (2 * CONN_DUE_MAX)

/* Set before requests are sent; read by the loop. */
struct plan {
	enum on_request request;
	enum on_content content;
	bool lend_windows;
	bool held_back; /* the worker waits for `gate` */
	int file;
	uint64_t file_size; /* as announced */
	unsigned timeout;
	size_t blocks;
	enum served_by side;
	bool keep_after_einval;
};

struct daemon {
	struct plan plan;
	struct loop *loop;
	struct hub *hub;
	struct listener *listener;
	struct crew *crew;
	uint16_t port;
	/* the loop's, looked at by in_loop */
	struct conn *owed;
	int requests, closed, lent, windows;
	uint64_t content; /* bytes */
	uint32_t sum;     /* of them */
	bool died_lent;   /* conn_dead at the worker's return */
	struct conn *deferring;
	struct conn_due dues[DUES];
	size_t n_dues, told;
	sem_t gate;
	sem_t gone; /* posted by closed() */
	sem_t came; /* posted when something was lent or owed */
};

struct errand {
	struct job job;
	struct conn *c;
	struct daemon *d;
	const uint8_t *p;
	size_t n;
	uint32_t sum;
	bool last;
};

static uint32_t sum_of(uint32_t sum, const void *p, size_t n)
{
	const uint8_t *at = p;

	for (size_t i = 0; i < n; i++)
		sum = sum * 31 + at[i];
	return sum;
}

static void errand_run(struct job *job)
{
	struct errand *e = container_of(job, struct errand, job);

	if (e->d->plan.held_back)
		gate_wait(&e->d->gate);
	e->sum = sum_of(e->d->sum, e->p, e->n);
	job_go_home(job);
}

static void errand_done(struct job *job)
{
	struct errand *e = container_of(job, struct errand, job);
	struct daemon *d = e->d;
	struct conn *c = e->c;

	d->died_lent |= conn_dead(c);
	if (e->p)
		d->sum = e->sum;
	d->content += e->n;
	if (e->last)
		conn_reply(c, 0, "lent", 4);
	free(e);
	conn_give_back(c);
}

static void send_errand(struct conn *c, const void *p, size_t n, bool last)
{
	struct daemon *d = hub_arg(conn_hub(c));
	struct errand *e = calloc(1, sizeof(*e));

	e->c = c;
	e->d = d;
	e->p = p;
	e->n = n;
	e->last = last;
	e->job.run = errand_run;
	e->job.done = errand_done;
	e->job.home = loop_mailbox(d->loop);
	d->lent++;
	crew_submit(d->crew, &e->job);
	sem_post(&d->came);
}

static void answer_file(struct conn *c, const struct plan *p)
{
	conn_reply_file(c, fcntl(p->file, F_DUPFD_CLOEXEC, 0), 0, p->file_size);
}

static void answer_big(struct conn *c)
{
	char *body = malloc(BIG_SIZE);

	memset(body, 'b', BIG_SIZE);
	conn_reply(c, 0, body, BIG_SIZE);
	free(body);
}

static void count_told(struct conn_due *due, struct conn *c)
{
	struct daemon *d = hub_arg(conn_hub(c));

	assert_ptr_equal(due, &d->dues[d->told]);
	d->told++;
}

static void defer_or_echo(struct conn *c, const struct framer *f)
{
	struct daemon *d = hub_arg(conn_hub(c));
	struct conn_due *due = &d->dues[d->n_dues];

	if (f->held.n != 1 || f->held.p[0] != '+') {
		conn_reply(c, 0, f->held.p, f->held.n);
		return;
	}
	d->n_dues++;
	d->deferring = c;
	due->told = count_told;
	conn_defer(c, due);
}

static void on_request(struct conn *c, const struct framer *f)
{
	struct daemon *d = hub_arg(conn_hub(c));

	d->requests++;
	switch (d->plan.request) {
	case ECHO:
		if (f->left == 0)
			conn_reply(c, 0, f->held.p, f->held.n);
		break;
	case OWE:
		d->owed = c;
		sem_post(&d->came);
		break;
	case REFUSE:
		conn_reply(c, EINVAL, NULL, 0);
		break;
	case FULL:
		conn_reply(c, ENOSPC, NULL, 0);
		break;
	case SEND_FILE:
		answer_file(c, &d->plan);
		break;
	case BIG:
		answer_big(c);
		break;
	case ROOM:
		memset(conn_room(c, CONN_REPLY_ROOM), 'r', CONN_REPLY_ROOM);
		conn_reply_room(c, CONN_REPLY_ROOM);
		break;
	case CLOSE:
		conn_close(c);
		conn_reply(c, 0, "bye", 3);
		break;
	case DEFER:
		defer_or_echo(c, f);
		break;
	}
}

static enum conn_take on_content(struct conn *c, const void *p, size_t n,
    bool last)
{
	struct daemon *d = hub_arg(conn_hub(c));

	if (d->plan.content == LEND) {
		send_errand(c, p, n, last);
		return CONN_LENT;
	}
	d->content += n;
	d->sum = sum_of(d->sum, p, n);
	if (last)
		conn_reply(c, 0, "kept", 4);
	return CONN_TAKEN;
}

static enum conn_take on_window(struct conn *c, int fd, off_t at, size_t n)
{
	struct daemon *d = hub_arg(conn_hub(c));

	(void)fd;
	(void)at;
	(void)n;
	d->windows++;
	if (!d->plan.lend_windows)
		return CONN_TAKEN;
	send_errand(c, NULL, 0, false);
	return CONN_LENT;
}

static void on_closed(struct conn *c)
{
	struct daemon *d = hub_arg(conn_hub(c));

	d->closed++;
	if (d->owed == c)
		d->owed = NULL;
	sem_post(&d->gone);
}

/* As the tracker answers a storage that has not joined. */
static int on_refused(struct conn *c, const struct framer *f)
{
	(void)c;
	return f->header.command == CMD_sync_dest_req ? EACCES : EINVAL;
}

static const struct conn_app test_app = {
	.request = on_request,
	.refusal = on_refused,
	.content = on_content,
	.window = on_window,
	.closed = on_closed,
};

static void on_arrival(void *arg, int fd, const struct addr *peer)
{
	hub_take(((struct daemon *)arg)->hub, fd, peer);
}

static void start(struct daemon *d, const struct plan *plan)
{
	struct addr at = { .family = 4, .ip = { 127, 0, 0, 1 } };
	struct hub_conf hc = { .app = &test_app, .arg = d };

	memset(d, 0, sizeof(*d));
	d->plan = *plan;
	sem_init(&d->gate, 0, 0);
	sem_init(&d->gone, 0, 0);
	sem_init(&d->came, 0, 0);
	hc.side = plan->side ? plan->side : BY_STORAGE;
	hc.network_timeout = plan->timeout ? plan->timeout : GIVE_UP_SEC;
	hc.blocks = plan->blocks ? plan->blocks : 16;
	hc.close_after_einval = !plan->keep_after_einval;
	assert_int_equal(loop_new(&d->loop), 0);
	assert_int_equal(hub_new(d->loop, &hc, &d->hub), 0);
	assert_int_equal(crew_new(2, "test", &d->crew), 0);
	assert_int_equal(loop_listen(d->loop, &at, on_arrival, d, &d->listener),
	    0);
	d->port = listener_port(d->listener);
	assert_int_equal(loop_start(d->loop, "test"), 0);
}

static void close_all(void *arg)
{
	hub_close_all(((struct daemon *)arg)->hub);
}

static bool all_gone(void *arg)
{
	return hub_load(((struct daemon *)arg)->hub) == 0;
}

static void end_threads(struct daemon *d)
{
	loop_stop(d->loop);
	loop_join(d->loop);
	crew_free(d->crew);
	listener_free(d->listener);
	hub_free(d->hub);
	loop_free(d->loop);
	sem_destroy(&d->gate);
	sem_destroy(&d->gone);
	sem_destroy(&d->came);
	clock_set(0, 0);
}

static void end(struct daemon *d)
{
	in_loop(d->loop, close_all, d);
	until(d->loop, all_gone, d);
	end_threads(d);
}

/* --- what the loop sees --- */

static ATTR_UNUSED void answer_owed(void *arg)
{
	struct daemon *d = arg;
	struct conn *c = d->owed;

	d->owed = NULL;
	conn_reply(c, 0, "late", 4);
}

static ATTR_UNUSED void check_deadlines(void *arg)
{
	struct daemon *d = arg;
	struct conn *c = TAILQ_FIRST(&d->hub->conns);

	while (c) {
		struct conn *next = TAILQ_NEXT(c, link);

		conn_check_deadline(c, clock_mono());
		c = next;
	}
}

static ATTR_UNUSED bool no_block_is_out(void *arg)
{
	return ((struct daemon *)arg)->hub->pool.out == 0;
}

static ATTR_UNUSED bool waits_for_block(void *arg)
{
	return ((struct daemon *)arg)->hub->pool.first != NULL;
}

static ATTR_UNUSED bool mid_request(void *arg)
{
	struct conn *c = TAILQ_FIRST(&((struct daemon *)arg)->hub->conns);

	return c && (c->mid_header || c->state == CONN_CONTENT);
}

static ATTR_UNUSED bool has_content(void *arg)
{
	return ((struct daemon *)arg)->content > 0;
}

static ATTR_UNUSED bool is_lingering(void *arg)
{
	return TAILQ_FIRST(&((struct daemon *)arg)->hub->conns)->lingering;
}

static ATTR_UNUSED bool is_connected(void *arg)
{
	return TAILQ_FIRST(&((struct daemon *)arg)->hub->conns) != NULL;
}

static ATTR_UNUSED bool is_stuck(void *arg)
{
	struct conn *c = TAILQ_FIRST(&((struct daemon *)arg)->hub->conns);

	return c && c->writing;
}

static ATTR_UNUSED bool sees_the_end(void *arg)
{
	struct conn *c = TAILQ_FIRST(&((struct daemon *)arg)->hub->conns);
	struct tcp_info ti;
	socklen_t n = sizeof(ti);

	/* Of the first connection: has the peer's FIN or RST come? */
	return c && c->fd >= 0 &&
	       (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &ti, &n) < 0 ||
	           ti.tcpi_state != TCP_ESTABLISHED);
}

/* --- requests --- */

/* An upload of n bytes; content is sent by the caller. */
static ATTR_UNUSED void put_upload_head(int fd, uint64_t n)
{
	uint8_t buf[HEADER_SIZE + 15] = { 0 };

	header_put(buf, 15 + n, CMD_upload_file, 0);
	for (int i = 0; i < 8; i++)
		buf[HEADER_SIZE + 1 + i] = (uint8_t)(n >> (56 - 8 * i));
	put(fd, buf, sizeof(buf));
}

/* n bytes that repeat nowhere soon; free. */
static ATTR_UNUSED uint8_t *some_bytes(size_t n)
{
	uint8_t *p = malloc(n + 1);

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i * 7 + i / 251);
	return p;
}

/* A file of n such bytes that nobody else sees. */
static ATTR_UNUSED int some_file(const uint8_t *p, size_t n)
{
	char path[] = "/tmp/fdfs-unit-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(write(fd, p, n), n);
	return fd;
}

#endif
