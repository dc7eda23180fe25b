/* SPDX-License-Identifier: MIT */
/*
 * A client is busy or has left the phase. It leaves when the phase is over or
 * has nothing more to do; the phase ends when the last one left. Results of
 * steps travel up to client_go_on, the only place that counts them.
 */
#include "test/bench/load_bench.h"

#include "test/bench/load_ops.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define MAX_EVENTS 256
#define BUF_SIZE   ((size_t)256 * 1024)
#define SECOND_NS  1000000000ULL

static volatile sig_atomic_t stopped;

uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * SECOND_NS + (uint64_t)ts.tv_nsec;
}

void bench_stop(void)
{
	stopped = 1;
}

bool bench_stopped(void)
{
	return stopped;
}

/* False too when connections fail again and again: the server is gone. */
static bool phase_goes_on(const struct bench *b)
{
	const struct phase *p = &b->phase;

	if (stopped || b->broken > 100 + b->n_clients)
		return false;
	if (p->count > 0 && b->issued >= p->count)
		return false;
	return b->deadline_ns == 0 || b->now_ns < b->deadline_ns;
}

void client_disconnect(struct client *c)
{
	for (size_t i = 0; i < c->bench->servers.n; i++)
		link_close(&c->links[i]);
}

/* Counts the end of an operation; result is STEP_SUCCESS or an error. */
static void client_end(struct client *c, int result)
{
	struct bench *b = c->bench;
	struct stats *s = b->stats;

	b->now_ns = now_ns();
	s->end_ns = b->now_ns;
	if (result == STEP_SUCCESS) {
		s->ops++;
		hist_add(&s->latency, b->now_ns - c->task.start_ns);
	} else {
		s->errors[result]++;
	}
	b->broken =
	    result == ERR_CONNECT || result == ERR_LOST ? b->broken + 1 : 0;
	/* A storage closes after EINVAL, and half a request cannot stay. */
	if (result == EINVAL || result > UINT8_MAX ||
	    c->x.sent < c->x.out.head_len + c->x.out.content_len)
		link_close(c->x.link);
	c->x.link = NULL;
	task_release(c);
	if (b->opt->new_connections)
		client_disconnect(c);
}

static void client_next(struct client *c)
{
	struct bench *b = c->bench;
	int rc;

	while (phase_goes_on(b) && task_plan(c)) {
		b->issued++;
		c->busy = true;
		c->task.start_ns = b->now_ns;
		rc = task_request(c);
		if (rc == STEP_PENDING)
			return;
		client_end(c, rc);
	}
	c->busy = false;
	b->active--;
}

/* Goes on with the result of an exchange. */
static void client_go_on(struct client *c, int result)
{
	if (result == STEP_COMPLETE)
		result = task_reply(c);
	if (result == STEP_AGAIN)
		result = task_request(c);
	if (result == STEP_PENDING)
		return;
	client_end(c, result);
	client_next(c);
}

static void link_event(struct link *l, uint32_t events)
{
	struct client *c = l->owner;

	if (l->fd < 0)
		return;
	if (c->busy && c->x.link == l)
		client_go_on(c, exchange_event(c, events));
	else
		link_close(l); /* the server ended an idle connection */
}

static void check_deadlines(struct bench *b)
{
	const uint64_t limit = (uint64_t)(b->opt->timeout * (double)SECOND_NS);

	b->now_ns = now_ns();
	for (size_t i = 0; i < b->n_clients; i++) {
		struct client *c = &b->clients[i];

		if (!c->busy || b->now_ns - c->task.start_ns < limit)
			continue;
		client_end(c, ERR_TIMEOUT);
		client_next(c);
	}
}

static void bench_loop(struct bench *b)
{
	struct epoll_event events[MAX_EVENTS];
	uint64_t checked = b->now_ns;

	while (b->active > 0) {
		const int n = epoll_wait(b->epoll, events, MAX_EVENTS, 1000);

		for (int i = 0; i < n; i++)
			link_event(events[i].data.ptr, events[i].events);
		if (n <= 0 || b->now_ns - checked > SECOND_NS) {
			check_deadlines(b);
			checked = b->now_ns;
		}
	}
}

void bench_run(struct bench *b, const struct phase *phase, struct stats *stats)
{
	const uint64_t now = now_ns();

	b->phase = *phase;
	b->stats = stats;
	b->issued = 0;
	b->cursor = 0;
	b->broken = 0;
	b->now_ns = now;
	b->deadline_ns =
	    phase->seconds > 0
	        ? now + (uint64_t)(phase->seconds * (double)SECOND_NS)
	        : 0;
	stats->begin_ns = now;
	stats->end_ns = now;
	b->active = b->n_clients;
	for (size_t i = 0; i < b->n_clients; i++) {
		b->now_ns = now_ns();
		client_next(&b->clients[i]);
	}
	bench_loop(b);
}

static void clients_init(struct bench *b)
{
	for (size_t i = 0; i < b->n_clients; i++) {
		struct client *c = &b->clients[i];

		c->bench = b;
		c->index = i;
		for (size_t k = 0; k < MAX_SERVERS; k++) {
			c->links[k].owner = c;
			c->links[k].fd = -1;
		}
	}
}

int bench_init(struct bench *b, const struct options *opt, size_t clients,
    size_t index)
{
	int rc = -ENOMEM;

	memset(b, 0, sizeof(*b));
	b->opt = opt;
	b->random = opt->seed + index * 0x51ed2701U;
	b->next_number = ((uint64_t)index << 40) + 1;
	servers_init(&b->servers);
	b->n_clients = clients;
	b->clients = calloc(clients, sizeof(*b->clients));
	b->buf = malloc(BUF_SIZE);
	if (!b->clients || !b->buf)
		goto free_memory;
	b->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (b->epoll < 0) {
		rc = -errno;
		goto free_memory;
	}
	clients_init(b);
	return 0;

free_memory:
	free(b->clients);
	free(b->buf);
	return rc;
}

void bench_free(struct bench *b)
{
	for (size_t i = 0; i < b->n_clients; i++)
		client_disconnect(&b->clients[i]);
	close(b->epoll);
	free(b->clients);
	free(b->buf);
	pool_free(&b->pool);
}
