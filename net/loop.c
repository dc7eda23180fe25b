/* SPDX-License-Identifier: MIT */
/*
 * libevent's own locking stays off: no event is touched from another thread.
 * Other threads reach a loop through its mailbox alone; loop_stop is a job,
 * too.
 */
#include "net/loop.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/log.h"
#include "net/sock.h"

#define MAX_TURN_HOOKS 4
#define MAX_SIGNALS    8
#define BACKLOG        1024
#define ACCEPTS_A_TURN 64

struct turn_hook {
	void (*fn)(void *arg);
	void *arg;
};

struct signal_hook {
	struct event *ev;
	void (*fn)(void *arg);
	void *arg;
};

struct loop {
	struct event_base *base;
	struct mailbox mailbox;
	struct event *mail;
	struct turn_hook hooks[MAX_TURN_HOOKS];
	size_t n_hooks;
	struct signal_hook signals[MAX_SIGNALS];
	size_t n_signals;
	struct job stop_job;
	bool stopping; /* atomic: stop_job is on its way */
	bool stop;
	bool started;
	pthread_t thread;
};

struct timer {
	struct event *ev;
	void (*fn)(void *arg);
	void *arg;
};

struct listener {
	int fd;
	struct event *ev;
	struct event *retry;
	void (*fn)(void *arg, int fd, const struct addr *peer);
	void *arg;
	uint16_t port;
};

static void on_mail(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;

	(void)fd;
	(void)what;
	mailbox_run(&l->mailbox);
}

static void on_stop(struct job *job)
{
	struct loop *l = container_of(job, struct loop, stop_job);

	l->stop = true;
}

int loop_new(struct loop **out)
{
	struct loop *l = xcalloc(1, sizeof(*l));
	struct event_config *conf = event_config_new();
	int rc;

	rc = mailbox_init(&l->mailbox);
	if (rc < 0)
		goto free_loop;
	if (conf)
		event_config_set_flag(conf,
		    EVENT_BASE_FLAG_NOLOCK |
		        EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
	l->base = conf ? event_base_new_with_config(conf) : NULL;
	rc = -ENOMEM;
	if (!l->base)
		goto fini_mailbox;
	l->mail =
	    event_new(l->base, l->mailbox.fd, EV_READ | EV_PERSIST, on_mail, l);
	if (!l->mail || event_add(l->mail, NULL) < 0)
		goto free_base;
	l->stop_job.done = on_stop;
	l->stop_job.home = &l->mailbox;
	event_config_free(conf);
	*out = l;
	return 0;

free_base:
	if (l->mail)
		event_free(l->mail);
	event_base_free(l->base);
fini_mailbox:
	mailbox_fini(&l->mailbox);
free_loop:
	if (conf)
		event_config_free(conf);
	free(l);
	return rc;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->n_signals; i++)
		event_free(l->signals[i].ev);
	event_free(l->mail);
	event_base_free(l->base);
	mailbox_fini(&l->mailbox);
	free(l);
}

struct mailbox *loop_mailbox(struct loop *l)
{
	return &l->mailbox;
}

struct event_base *loop_base(struct loop *l)
{
	return l->base;
}

void loop_run(struct loop *l)
{
	while (!l->stop) {
		if (event_base_loop(l->base, EVLOOP_ONCE) < 0) {
			log_error("loop_failed", "event loop: %s",
			    errstr(-errno));
			return;
		}
		for (size_t i = 0; i < l->n_hooks; i++)
			l->hooks[i].fn(l->hooks[i].arg);
	}
}

static void *loop_main(void *arg)
{
	loop_run(arg);
	return NULL;
}

int loop_start(struct loop *l, const char *thread_name)
{
	sigset_t all;
	sigset_t old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&l->thread, NULL, loop_main, l);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc != 0)
		return -rc;
	pthread_setname_np(l->thread, thread_name);
	l->started = true;
	return 0;
}

void loop_join(struct loop *l)
{
	if (l->started)
		pthread_join(l->thread, NULL);
	l->started = false;
}

void loop_stop(struct loop *l)
{
	/* Two signals in one turn ask twice; a job is posted only once. */
	if (!__atomic_exchange_n(&l->stopping, true, __ATOMIC_RELAXED))
		mailbox_post(&l->mailbox, &l->stop_job);
}

void loop_at_turn_end(struct loop *l, void (*fn)(void *arg), void *arg)
{
	if (l->n_hooks < MAX_TURN_HOOKS)
		l->hooks[l->n_hooks++] = (struct turn_hook){ fn, arg };
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct timer *t = arg;

	(void)fd;
	(void)what;
	t->fn(t->arg);
}

struct timer *loop_every(struct loop *l, unsigned ms, void (*fn)(void *arg),
    void *arg)
{
	struct timer *t = xcalloc(1, sizeof(*t));

	t->fn = fn;
	t->arg = arg;
	t->ev = event_new(l->base, -1, EV_PERSIST, on_timer, t);
	if (!t->ev) {
		free(t);
		return NULL;
	}
	timer_set(t, ms);
	return t;
}

void timer_set(struct timer *t, unsigned ms)
{
	struct timeval tv = { ms / 1000, (suseconds_t)(ms % 1000) * 1000 };

	(void)event_add(t->ev, &tv);
}

void timer_free(struct timer *t)
{
	if (!t)
		return;
	event_free(t->ev);
	free(t);
}

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
	struct signal_hook *h = arg;

	(void)fd;
	(void)what;
	h->fn(h->arg);
}

int loop_on_signal(struct loop *l, int signo, void (*fn)(void *arg), void *arg)
{
	struct signal_hook *h;

	if (l->n_signals == MAX_SIGNALS)
		return -ENOSPC;
	h = &l->signals[l->n_signals];
	*h = (struct signal_hook){ NULL, fn, arg };
	h->ev = evsignal_new(l->base, signo, on_signal, h);
	if (!h->ev)
		return -ENOMEM;
	l->n_signals++;
	return event_add(h->ev, NULL) < 0 ? -ENOMEM : 0;
}

/* Is it for want of something that others may give back soon? */
static bool is_shortage(int err)
{
	return err == EMFILE || err == ENFILE || err == ENOBUFS ||
	       err == ENOMEM;
}

static void accept_later(struct listener *ln)
{
	struct timeval tv = { .tv_usec = 100000 };

	event_del(ln->ev);
	(void)event_add(ln->retry, &tv);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct listener *ln = arg;

	(void)fd;
	(void)what;
	(void)event_add(ln->ev, NULL);
}

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct listener *ln = arg;
	struct sockaddr_storage sa;
	struct addr peer;

	(void)what;
	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		socklen_t n = sizeof(sa);
		int got = accept4(fd, (struct sockaddr *)&sa, &n,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (got < 0 && is_shortage(errno)) {
			log_warn("accept_failed",
			    "no descriptor or memory free: %s", errstr(-errno));
			accept_later(ln);
			return;
		}
		if (got < 0)
			return;
		sock_to_addr(&sa, &peer);
		ln->fn(ln->arg, got, &peer);
	}
}

static int listen_socket(const struct addr *at, uint16_t *port)
{
	struct sockaddr_storage sa;
	struct addr real;
	socklen_t n = sock_from_addr(at, &sa);
	int fd = sock_stream(at);
	int on = 1;
	int rc;

	if (fd < 0)
		return fd;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* IPv4 has a socket of its own, on the same port. */
	if (at->family == 6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on,
		    sizeof(on));
	if (bind(fd, (struct sockaddr *)&sa, n) < 0 || listen(fd, BACKLOG) < 0)
		goto fail;
	n = sizeof(sa);
	if (getsockname(fd, (struct sockaddr *)&sa, &n) < 0)
		goto fail;
	sock_to_addr(&sa, &real);
	*port = real.port;
	return fd;

fail:
	rc = -errno;
	close(fd);
	return rc;
}

int loop_listen(struct loop *l, const struct addr *at,
    void (*fn)(void *arg, int fd, const struct addr *peer), void *arg,
    struct listener **out)
{
	struct listener *ln = xcalloc(1, sizeof(*ln));

	ln->fn = fn;
	ln->arg = arg;
	ln->fd = listen_socket(at, &ln->port);
	if (ln->fd < 0) {
		int rc = ln->fd;

		free(ln);
		return rc;
	}
	ln->ev =
	    event_new(l->base, ln->fd, EV_READ | EV_PERSIST, on_accept, ln);
	ln->retry = event_new(l->base, -1, 0, on_retry, ln);
	if (!ln->ev || !ln->retry || event_add(ln->ev, NULL) < 0) {
		listener_free(ln);
		return -ENOMEM;
	}
	*out = ln;
	return 0;
}

uint16_t listener_port(const struct listener *ln)
{
	return ln->port;
}

void listener_free(struct listener *ln)
{
	if (!ln)
		return;
	if (ln->ev)
		event_free(ln->ev);
	if (ln->retry)
		event_free(ln->retry);
	close(ln->fd);
	free(ln);
}
