/* SPDX-License-Identifier: MIT */
/*
 * What the tests of net/ share: a thread that runs a loop, calls into that
 * thread, gates between threads, and a plain blocking client socket.
 */
#ifndef TEST_UNIT_NET_TEST_H
#define TEST_UNIT_NET_TEST_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/macros.h"
#include "base/mailbox.h"
#include "net/loop.h"
#include "proto/command.h"

#define GIVE_UP_SEC 60 /* a test that waits so long has failed */

/* --- other threads --- */

static ATTR_UNUSED void gate_wait(sem_t *s)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += GIVE_UP_SEC;
	while (sem_timedwait(s, &until) < 0)
		if (errno != EINTR)
			fail_msg("nobody opened the gate");
}

struct net_call {
	struct job job;
	void (*fn)(void *arg);
	void *arg;
	sem_t done;
};

static void net_call_run(struct job *job)
{
	struct net_call *call = container_of(job, struct net_call, job);

	call->fn(call->arg);
	sem_post(&call->done);
}

/* fn(arg) in the loop's thread; waits for it. */
static ATTR_UNUSED void in_loop(struct loop *l, void (*fn)(void *arg),
    void *arg)
{
	struct net_call call = { .fn = fn, .arg = arg };

	sem_init(&call.done, 0, 0);
	call.job.done = net_call_run;
	mailbox_post(loop_mailbox(l), &call.job);
	gate_wait(&call.done);
	sem_destroy(&call.done);
}

struct net_question {
	bool (*fn)(void *arg);
	void *arg;
	bool yes;
};

static void net_ask(void *arg)
{
	struct net_question *q = arg;

	q->yes = q->fn(q->arg);
}

/* Turns the loop until fn(arg), asked in its thread, says yes. */
static ATTR_UNUSED void until(struct loop *l, bool (*fn)(void *arg), void *arg)
{
	struct net_question q = { fn, arg, false };
	time_t start = time(NULL);

	for (;;) {
		in_loop(l, net_ask, &q);
		if (q.yes)
			return;
		if (time(NULL) - start > GIVE_UP_SEC)
			fail_msg("it never came true");
		sched_yield();
	}
}

/* --- a client --- */

static ATTR_UNUSED int dial(uint16_t port, int rcvbuf)
{
	struct timeval tv = { GIVE_UP_SEC, 0 };
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (rcvbuf)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static ATTR_UNUSED void put(int fd, const void *p, size_t n)
{
	const char *at = p;

	while (n > 0) {
		ssize_t k = send(fd, at, n, MSG_NOSIGNAL);

		assert_true(k > 0);
		at += k;
		n -= (size_t)k;
	}
}

/* Header and body, in one write. */
static ATTR_UNUSED void put_request(int fd, uint8_t command, const void *body,
    size_t n)
{
	uint8_t buf[4096];

	assert_true(n + HEADER_SIZE <= sizeof(buf));
	header_put(buf, n, command, 0);
	if (n)
		memcpy(buf + HEADER_SIZE, body, n);
	put(fd, buf, n + HEADER_SIZE);
}

/* Exactly n bytes; fewer only at the end. Gives how many, or -errno. */
static ATTR_UNUSED ssize_t take(int fd, void *p, size_t n)
{
	size_t got = 0;

	while (got < n) {
		ssize_t k = recv(fd, (char *)p + got, n - got, 0);

		if (k < 0)
			return -errno;
		if (k == 0)
			break;
		got += (size_t)k;
	}
	return (ssize_t)got;
}

/* The header of an answer: gives its status. */
static ATTR_UNUSED int take_head(int fd, size_t *n)
{
	uint8_t buf[HEADER_SIZE];
	struct header h;

	assert_int_equal(take(fd, buf, sizeof(buf)), sizeof(buf));
	h = header_get(buf);
	assert_int_equal(h.command, CMD_RESPONSE);
	*n = (size_t)h.length;
	return h.status;
}

static ATTR_UNUSED int take_status(int fd)
{
	size_t n;
	int status = take_head(fd, &n);

	assert_int_equal(n, 0);
	return status;
}

static ATTR_UNUSED void expect_answer(int fd, const char *body)
{
	char buf[256] = "";
	size_t n;

	assert_int_equal(take_head(fd, &n), 0);
	assert_int_equal(n, strlen(body));
	assert_int_equal(take(fd, buf, n), n);
	assert_memory_equal(buf, body, n);
}

/* The peer has closed, and not by a reset. */
static ATTR_UNUSED void expect_end(int fd)
{
	char c;

	assert_int_equal(take(fd, &c, 1), 0);
}

/* The peer has closed, perhaps by a reset. */
static ATTR_UNUSED void expect_gone(int fd)
{
	char c;
	ssize_t n = take(fd, &c, 1);

	assert_true(n == 0 || n == -ECONNRESET);
}

#endif
