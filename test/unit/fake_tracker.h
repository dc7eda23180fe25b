/* SPDX-License-Identifier: MIT */
/*
 * A tracker that answers each command with what the test laid down and keeps
 * what it was asked, for tests of the asking side. One thread of its own.
 */
#ifndef TEST_UNIT_FAKE_TRACKER_H
#define TEST_UNIT_FAKE_TRACKER_H

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/addr.h"
#include "proto/command.h"

#define FAKE_CONNS   16
#define FAKE_ROOM    4096
#define FAKE_SEEN    1024
#define FAKE_GIVE_UP 60

#define FAKE_HANGS_UP  (-1)
#define FAKE_IS_SILENT (-2)

struct fake_answer {
	int status; /* or FAKE_HANGS_UP, FAKE_IS_SILENT */
	uint8_t body[FAKE_ROOM];
	size_t n;
	bool once; /* then an empty success */
};

struct fake_question {
	uint8_t command;
	unsigned conn; /* number of the connection, from 0 */
	uint8_t body[FAKE_ROOM];
	size_t n;
};

struct fake_tracker {
	struct addr at;
	int listening;
	int stop; /* eventfd */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t moved;
	struct fake_answer answers[256]; /* by command */
	struct fake_question *seen;
	size_t n_seen;
	struct pollfd fds[2 + FAKE_CONNS];
	unsigned numbers[2 + FAKE_CONNS];
	unsigned accepted;
};

/* All of n bytes, or false at the end of the connection. */
static bool fake_take(int fd, void *p, size_t n)
{
	uint8_t *at = p;

	while (n > 0) {
		ssize_t k = recv(fd, at, n, 0);

		if (k <= 0)
			return false;
		at += k;
		n -= (size_t)k;
	}
	return true;
}

static void fake_send(int fd, const struct fake_answer *a)
{
	uint8_t out[HEADER_SIZE + FAKE_ROOM];
	size_t n = a->status ? 0 : a->n;

	header_put(out, n, CMD_RESPONSE, (uint8_t)a->status);
	memcpy(out + HEADER_SIZE, a->body, n);
	(void)send(fd, out, HEADER_SIZE + n, MSG_NOSIGNAL);
}

/* One request; false when the connection is to be closed. */
static bool fake_serve(struct fake_tracker *f, size_t slot)
{
	int fd = f->fds[slot].fd;
	uint8_t head[HEADER_SIZE];
	struct fake_question q = { .conn = f->numbers[slot] };
	struct fake_answer a;
	struct header h;

	if (!fake_take(fd, head, sizeof(head)))
		return false;
	h = header_get(head);
	q.command = h.command;
	q.n = (size_t)h.length;
	if (q.n > sizeof(q.body) || !fake_take(fd, q.body, q.n))
		return false;
	pthread_mutex_lock(&f->lock);
	if (f->n_seen < FAKE_SEEN)
		f->seen[f->n_seen++] = q;
	a = f->answers[q.command];
	if (a.once)
		f->answers[q.command] = (struct fake_answer){ .status = 0 };
	pthread_cond_broadcast(&f->moved);
	pthread_mutex_unlock(&f->lock);
	if (q.command == CMD_quit || a.status == FAKE_HANGS_UP)
		return false;
	if (a.status != FAKE_IS_SILENT)
		fake_send(fd, &a);
	return true;
}

static void fake_accept(struct fake_tracker *f)
{
	int fd = accept4(f->listening, NULL, NULL, SOCK_CLOEXEC);

	for (size_t i = 2; i < 2 + FAKE_CONNS; i++) {
		if (f->fds[i].fd < 0) {
			f->fds[i].fd = fd;
			f->numbers[i] = f->accepted++;
			return;
		}
	}
	close(fd);
}

static void *fake_main(void *arg)
{
	struct fake_tracker *f = arg;

	while (poll(f->fds, 2 + FAKE_CONNS, -1) >= 0) {
		if (f->fds[0].revents)
			break;
		if (f->fds[1].revents)
			fake_accept(f);
		for (size_t i = 2; i < 2 + FAKE_CONNS; i++) {
			if (f->fds[i].fd < 0 || !f->fds[i].revents)
				continue;
			if (!fake_serve(f, i)) {
				close(f->fds[i].fd);
				f->fds[i].fd = -1;
			}
			f->fds[i].revents = 0;
		}
	}
	return NULL;
}

static ATTR_UNUSED struct fake_tracker *fake_start(void)
{
	struct fake_tracker *f = xcalloc(1, sizeof(*f));
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t n = sizeof(sa);

	f->seen = xcalloc(FAKE_SEEN, sizeof(*f->seen));
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->moved, NULL);
	f->stop = eventfd(0, EFD_CLOEXEC);
	f->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(f->listening, (struct sockaddr *)&sa, n), 0);
	assert_int_equal(listen(f->listening, FAKE_CONNS), 0);
	getsockname(f->listening, (struct sockaddr *)&sa, &n);
	f->at = (struct addr){ .family = 4, .ip = { 127, 0, 0, 1 } };
	f->at.port = ntohs(sa.sin_port);
	for (size_t i = 0; i < 2 + FAKE_CONNS; i++)
		f->fds[i] = (struct pollfd){ .fd = -1, .events = POLLIN };
	f->fds[0].fd = f->stop;
	f->fds[1].fd = f->listening;
	assert_int_equal(pthread_create(&f->thread, NULL, fake_main, f), 0);
	return f;
}

static ATTR_UNUSED void fake_end(struct fake_tracker *f)
{
	uint64_t one = 1;

	assert_int_equal(write(f->stop, &one, sizeof(one)), sizeof(one));
	pthread_join(f->thread, NULL);
	for (size_t i = 0; i < 2 + FAKE_CONNS; i++) {
		if (f->fds[i].fd >= 0)
			close(f->fds[i].fd);
	}
	pthread_cond_destroy(&f->moved);
	pthread_mutex_destroy(&f->lock);
	free(f->seen);
	free(f);
}

/* From now on, `command` is answered so. */
static ATTR_UNUSED void fake_answers(struct fake_tracker *f, uint8_t command,
    int status, const void *body, size_t n)
{
	pthread_mutex_lock(&f->lock);
	f->answers[command].status = status;
	if (n)
		memcpy(f->answers[command].body, body, n);
	f->answers[command].n = n;
	f->answers[command].once = false;
	pthread_mutex_unlock(&f->lock);
}

static ATTR_UNUSED void fake_says(struct fake_tracker *f, uint8_t command,
    const char *text)
{
	fake_answers(f, command, 0, text, strlen(text));
}

static ATTR_UNUSED void fake_says_once(struct fake_tracker *f, uint8_t command,
    const char *text)
{
	pthread_mutex_lock(&f->lock);
	f->answers[command] =
	    (struct fake_answer){ .n = strlen(text), .once = true };
	memcpy(f->answers[command].body, text, strlen(text));
	pthread_mutex_unlock(&f->lock);
}

static size_t fake_count_locked(const struct fake_tracker *f, uint8_t command)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n_seen; i++)
		n += f->seen[i].command == command;
	return n;
}

static ATTR_UNUSED size_t fake_count(struct fake_tracker *f, uint8_t command)
{
	size_t n;

	pthread_mutex_lock(&f->lock);
	n = fake_count_locked(f, command);
	pthread_mutex_unlock(&f->lock);
	return n;
}

/* Until the command was asked so many times; gives the last of them. */
static ATTR_UNUSED struct fake_question fake_wait(struct fake_tracker *f,
    uint8_t command, size_t times)
{
	struct fake_question q = { .command = 0 };
	struct timespec until;
	int rc = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += FAKE_GIVE_UP;
	pthread_mutex_lock(&f->lock);
	while (fake_count_locked(f, command) < times && rc == 0)
		rc = pthread_cond_timedwait(&f->moved, &f->lock, &until);
	for (size_t i = 0; i < f->n_seen && times > 0; i++) {
		if (f->seen[i].command == command && --times == 0)
			q = f->seen[i];
	}
	pthread_mutex_unlock(&f->lock);
	if (rc != 0)
		fail_msg("command %u did not come", command);
	return q;
}

#endif
