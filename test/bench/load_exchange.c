/* SPDX-License-Identifier: MIT */
/*
 * Sending a request and receiving its reply over a non-blocking socket with
 * as few system calls as possible: one sendmsg and one recv for what is
 * small. Content that nobody looks at is dropped inside the kernel.
 */
#include "test/bench/load_bench.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define IOV_MAX_SEND 64
#define FIRST_READ   8192
#define FULL_READ    (256U * 1024U)
#define DROP_MAX     (1U << 30)

void link_close(struct link *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	l->watch_out = false;
}

static void link_watch(struct link *l, int op, bool out)
{
	struct epoll_event ev = {
		.events = EPOLLIN | (out ? (uint32_t)EPOLLOUT : 0U),
		.data.ptr = l,
	};

	(void)epoll_ctl(l->owner->bench->epoll, op, l->fd, &ev);
	l->watch_out = out;
}

static int link_open(struct link *l, const struct server *s)
{
	bool pending;
	const int fd = server_connect(s, &pending);

	if (fd < 0)
		return fd;
	l->fd = fd;
	link_watch(l, EPOLL_CTL_ADD, pending);
	return pending ? 1 : 0;
}

/* Where the request stands: the unsent rest of the head and of the content. */
static int request_iov(struct exchange *x, struct iovec *iov)
{
	uint64_t from = 0;
	int n = 0;

	if (x->sent < x->out.head_len) {
		iov[n].iov_base = x->out.head + x->sent;
		iov[n++].iov_len = x->out.head_len - (size_t)x->sent;
	} else {
		from = x->sent - x->out.head_len;
	}
	if (x->out.content_len > 0)
		n += content_iov(&x->content, from, iov + n, IOV_MAX_SEND - n);
	return n;
}

static int lost(void)
{
	return errno == ECONNREFUSED ? ERR_CONNECT : ERR_LOST;
}

static int exchange_send(struct exchange *x)
{
	const uint64_t total = x->out.head_len + x->out.content_len;
	struct iovec iov[IOV_MAX_SEND];
	struct msghdr msg = { .msg_iov = iov };
	uint64_t batch = 0;
	ssize_t n;

	while (x->sent < total) {
		msg.msg_iovlen = (size_t)request_iov(x, iov);
		batch = 0;
		for (size_t i = 0; i < msg.msg_iovlen; i++)
			batch += iov[i].iov_len;
		n = sendmsg(x->link->fd, &msg, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN)
			return lost();
		if (n > 0)
			x->sent += (uint64_t)n;
		if (n < 0 || (uint64_t)n < batch)
			break;
	}
	if ((x->sent < total) != x->link->watch_out)
		link_watch(x->link, EPOLL_CTL_MOD, x->sent < total);
	return STEP_PENDING;
}

int exchange_start(struct client *c, int server)
{
	struct exchange *x = &c->x;
	struct link *l = &c->links[server];
	int rc = 0;

	x->link = l;
	x->sent = 0;
	x->got = 0;
	x->expect = 0;
	x->crc = 0;
	if (l->fd < 0) {
		rc = link_open(l, &c->bench->servers.servers[server]);
		if (rc < 0)
			return ERR_CONNECT;
	}
	return rc == 0 ? exchange_send(x) : STEP_PENDING;
}

/* Keeps the header and a short body; sums the body when it is verified. */
static int reply_feed(struct exchange *x, const uint8_t *data, size_t n,
    bool verify)
{
	const uint64_t at = x->got;
	size_t body = at < WIRE_HEADER ? WIRE_HEADER - (size_t)at : 0;
	uint64_t body_len;

	if (at < IN_KEEP) {
		const size_t room = IN_KEEP - (size_t)at;

		memcpy(x->in + at, data, n < room ? n : room);
	}
	x->got += n;
	if (x->expect == 0 && x->got >= WIRE_HEADER) {
		if (!wire_reply_header(x->in, &body_len, &x->status))
			return ERR_REPLY;
		x->expect = body_len + WIRE_HEADER;
	}
	if (verify && x->bulk && n > body)
		x->crc = content_crc_update(x->crc, data + body, n - body);
	return STEP_PENDING;
}

static ssize_t reply_drop(struct exchange *x)
{
	const uint64_t left = x->expect - x->got;
	const ssize_t n = recv(x->link->fd, NULL,
	    (size_t)(left < DROP_MAX ? left : DROP_MAX), MSG_TRUNC);

	if (n > 0)
		x->got += (uint64_t)n;
	return n;
}

static int exchange_receive(struct client *c)
{
	struct exchange *x = &c->x;
	const bool verify = c->bench->opt->verify;
	const bool drop = x->bulk && !verify;
	int rc = STEP_PENDING;
	ssize_t n;

	if (drop && x->expect > 0) {
		n = reply_drop(x);
	} else {
		n = recv(x->link->fd, c->bench->buf,
		    drop ? FIRST_READ : FULL_READ, 0);
		if (n > 0)
			rc = reply_feed(x, c->bench->buf, (size_t)n, verify);
	}
	if (n == 0)
		return ERR_LOST;
	if (n < 0 && errno != EAGAIN)
		return lost();
	if (rc != STEP_PENDING || x->expect == 0 || x->got < x->expect)
		return rc;
	return x->got == x->expect ? STEP_COMPLETE : ERR_REPLY;
}

int exchange_event(struct client *c, uint32_t events)
{
	struct exchange *x = &c->x;
	int rc = STEP_PENDING;

	/* An early refusal is worth more than the error of sending on. */
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		rc = exchange_receive(c);
	if (rc == STEP_PENDING && events & EPOLLOUT)
		rc = exchange_send(x);
	return rc;
}
