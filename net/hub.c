/* SPDX-License-Identifier: MIT */
/*
 * A loop's connections: taking them over from the thread that accepts, their
 * deadlines once a second, closing them all.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "net/conn_impl.h"
#include "net/sock.h"

#define TICK_MS 1000

static atomic_int n_current;
static atomic_int n_max;
static atomic_int n_alloc;

/* A descriptor on its way to its hub. */
struct arrival {
	struct job job;
	struct hub *hub;
	int fd;
	uint64_t number;
	struct addr peer;
};

static void on_tick(void *arg)
{
	struct hub *h = arg;
	mono_t now = clock_mono();
	struct conn *c = TAILQ_FIRST(&h->conns);

	while (c) {
		struct conn *next = TAILQ_NEXT(c, link);

		conn_check_deadline(c, now);
		c = next;
	}
}

static void on_turn_end(void *arg)
{
	struct hub *h = arg;
	struct conn *c;

	hub_flush(h);
	while ((c = TAILQ_FIRST(&h->dead)) != NULL) {
		TAILQ_REMOVE(&h->dead, c, link);
		free(c);
	}
}

int hub_new(struct loop *l, const struct hub_conf *conf, struct hub **out)
{
	struct hub *h = xcalloc(1, sizeof(*h));

	h->loop = l;
	h->conf = *conf;
	TAILQ_INIT(&h->conns);
	TAILQ_INIT(&h->dead);
	TAILQ_INIT(&h->late);
	loop_at_turn_end(l, on_turn_end, h);
	pool_init(&h->pool, CONN_BLOCK_SIZE, conf->blocks);
	h->tick = loop_every(l, TICK_MS, on_tick, h);
	if (!h->tick) {
		pool_fini(&h->pool);
		free(h);
		return -ENOMEM;
	}
	*out = h;
	return 0;
}

void *hub_arg(struct hub *h)
{
	return h->conf.arg;
}

struct loop *hub_loop(struct hub *h)
{
	return h->loop;
}

static void count_in(struct hub *h)
{
	int now = atomic_fetch_add(&n_current, 1) + 1;
	int max = atomic_load(&n_max);

	while (now > max && !atomic_compare_exchange_weak(&n_max, &max, now))
		;
	max = atomic_load(&n_alloc);
	while (now > max && !atomic_compare_exchange_weak(&n_alloc, &max, now))
		;
	__atomic_fetch_add(&h->count, 1, __ATOMIC_RELAXED);
}

static void on_arrival(struct job *job)
{
	struct arrival *a = container_of(job, struct arrival, job);
	struct hub *h = a->hub;
	struct conn *c;

	if (h->closing) {
		close(a->fd);
		hub_uncount(h);
	} else {
		c = conn_new(h, a->fd, &a->peer);
		c->number = a->number;
		TAILQ_INSERT_TAIL(&h->conns, c, link);
		conn_watch_read(c, true);
	}
	free(a);
}

int hub_take(struct hub *h, int fd, const struct addr *peer)
{
	static uint64_t last;
	struct arrival *a = xcalloc(1, sizeof(*a));

	a->hub = h;
	a->fd = fd;
	a->number = __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
	a->peer = *peer;
	a->job.done = on_arrival;
	a->job.home = loop_mailbox(h->loop);
	sock_nodelay(fd);
	sock_keepalive(fd);
	count_in(h);
	job_go_home(&a->job);
	return 0;
}

void hub_uncount(struct hub *h)
{
	atomic_fetch_sub(&n_current, 1);
	__atomic_fetch_sub(&h->count, 1, __ATOMIC_RELAXED);
}

size_t hub_load(const struct hub *h)
{
	return __atomic_load_n(&h->count, __ATOMIC_RELAXED);
}

void hub_set_timeout(struct hub *h, unsigned network_timeout)
{
	__atomic_store_n(&h->conf.network_timeout, network_timeout,
	    __ATOMIC_RELAXED);
}

void hub_close_all(struct hub *h)
{
	struct conn *c = TAILQ_FIRST(&h->conns);

	h->closing = true;
	while (c) {
		struct conn *next = TAILQ_NEXT(c, link);

		if (c->state != CONN_CLOSING)
			conn_shut(c);
		c = next;
	}
}

/* A connection that was still held when its loop ended. Who held it is gone,
 * so nobody is told. */
static void abandon(struct conn *c)
{
	struct hub *h = c->hub;

	TAILQ_REMOVE(&h->conns, c, link);
	if (c->fd >= 0) {
		conn_watch_read(c, false);
		conn_watch_write(c, false);
		close(c->fd);
	}
	pool_unwait(&h->pool, &c->waiter);
	conn_release_block(c);
	conn_drop_output(c);
	framer_fini(&c->fr);
	hub_uncount(h);
	free(c);
}

void hub_free(struct hub *h)
{
	struct conn *c;

	if (!h)
		return;
	TAILQ_INIT(&h->late);
	on_turn_end(h);
	while ((c = TAILQ_FIRST(&h->conns)) != NULL)
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): off the list */
		abandon(c);
	timer_free(h->tick);
	pool_fini(&h->pool);
	free(h);
}

void conn_counts_get(struct conn_counts *out)
{
	out->alloc = atomic_load(&n_alloc);
	out->current = atomic_load(&n_current);
	out->max = atomic_load(&n_max);
}
