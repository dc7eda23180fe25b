/* SPDX-License-Identifier: MIT */
/*
 * Non-blocking socket below, poll with a deadline above: each wait may last
 * io_ms, restarted by every byte that moves (client-protocol 1.6).
 */
#include "net/client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/sock.h"

#define ANSWER_MAX ((size_t)1024 * 1024)
#define QUIT_MS    200

struct client {
	int fd;
	unsigned io_ms;
	struct addr peer, local;
	uint8_t *buf;
	size_t cap;
	const struct message *dialect;
	const bool *quit; /* another's wish to end, or NULL */
};

static int wait_for(int fd, short events, unsigned ms)
{
	struct pollfd p = { fd, events, 0 };
	int n;

	do {
		n = poll(&p, 1, (int)ms);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n ? 0 : -ETIMEDOUT;
}

static bool wants_quit(const struct client *c)
{
	return c->quit && __atomic_load_n(c->quit, __ATOMIC_RELAXED);
}

/* Waits in slices when somebody may want it to end. */
static int client_wait(const struct client *c, short events)
{
	unsigned left = c->io_ms;
	int rc = -ETIMEDOUT;

	if (!c->quit)
		return wait_for(c->fd, events, c->io_ms);
	while (rc == -ETIMEDOUT && left > 0 && !wants_quit(c)) {
		unsigned slice = left < QUIT_MS ? left : QUIT_MS;

		rc = wait_for(c->fd, events, slice);
		left -= slice;
	}
	return wants_quit(c) ? -ECANCELED : rc;
}

static int finish_connect(int fd, unsigned connect_ms)
{
	int err = 0;
	socklen_t n = sizeof(err);
	int rc = wait_for(fd, POLLOUT, connect_ms);

	if (rc < 0)
		return rc;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &n) < 0)
		return -errno;
	return -err;
}

static int connect_socket(const struct addr *to, const struct addr *from,
    unsigned connect_ms, struct addr *local)
{
	struct sockaddr_storage sa;
	socklen_t n;
	int fd = sock_stream(to);
	int rc;

	if (fd < 0)
		return fd;
	if (from && from->family) {
		struct addr any_port = *from;

		any_port.port = 0;
		n = sock_from_addr(&any_port, &sa);
		if (bind(fd, (struct sockaddr *)&sa, n) < 0)
			goto fail;
	}
	n = sock_from_addr(to, &sa);
	if (connect(fd, (struct sockaddr *)&sa, n) < 0) {
		if (errno != EINPROGRESS)
			goto fail;
		rc = finish_connect(fd, connect_ms);
		if (rc < 0) {
			errno = -rc;
			goto fail;
		}
	}
	n = sizeof(sa);
	if (getsockname(fd, (struct sockaddr *)&sa, &n) < 0)
		goto fail;
	sock_to_addr(&sa, local);
	sock_nodelay(fd);
	return fd;

fail:
	rc = -errno;
	close(fd);
	return rc;
}

int client_open(const struct addr *to, const struct addr *from,
    unsigned connect_ms, unsigned io_ms, struct client **out)
{
	struct addr local = { 0 };
	int fd = connect_socket(to, from, connect_ms, &local);
	struct client *c;

	if (fd < 0)
		return fd;
	c = xcalloc(1, sizeof(*c));
	c->fd = fd;
	c->io_ms = io_ms;
	c->peer = *to;
	c->local = local;
	*out = c;
	return 0;
}

void client_close(struct client *c)
{
	if (!c)
		return;
	close(c->fd);
	free(c->buf);
	free(c);
}

void client_abort(struct client *c)
{
	(void)shutdown(c->fd, SHUT_RDWR);
}

void client_set_quit(struct client *c, const bool *quit)
{
	c->quit = quit;
}

const struct addr *client_peer(const struct client *c)
{
	return &c->peer;
}

const struct addr *client_local(const struct client *c)
{
	return &c->local;
}

const struct message *client_dialect(const struct client *c)
{
	return c->dialect;
}

static int client_put(struct client *c, const void *p, size_t n, int flags)
{
	const char *at = p;

	while (n > 0) {
		ssize_t sent = send(c->fd, at, n, MSG_NOSIGNAL | flags);

		if (sent > 0) {
			at += sent;
			n -= (size_t)sent;
		} else if (errno == EAGAIN) {
			int rc = client_wait(c, POLLOUT);

			if (rc < 0)
				return rc;
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

int client_send(struct client *c, const void *p, size_t n)
{
	return client_put(c, p, n, 0);
}

int client_send_head(struct client *c, uint8_t command, uint8_t status,
    uint64_t length, const void *part, size_t n)
{
	uint8_t buf[2048];
	int rc;

	header_put(buf, length, command, status);
	if (n <= sizeof(buf) - HEADER_SIZE) {
		if (n)
			memcpy(buf + HEADER_SIZE, part, n);
		return client_put(c, buf, HEADER_SIZE + n,
		    n < length ? MSG_MORE : 0);
	}
	rc = client_put(c, buf, HEADER_SIZE, MSG_MORE);
	return rc < 0 ? rc : client_put(c, part, n, 0);
}

int client_send_file(struct client *c, int fd, off_t at, uint64_t n)
{
	while (n > 0) {
		size_t want = n < (1U << 30) ? (size_t)n : 1U << 30;
		ssize_t sent = sendfile(c->fd, fd, &at, want);

		if (sent > 0) {
			n -= (uint64_t)sent;
		} else if (sent == 0) {
			return -EIO; /* the file became shorter */
		} else if (errno == EAGAIN) {
			int rc = client_wait(c, POLLOUT);

			if (rc < 0)
				return rc;
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

ssize_t client_recv_soon(struct client *c, void *p, size_t cap, unsigned ms)
{
	int rc = wait_for(c->fd, POLLIN, ms);

	if (rc == -ETIMEDOUT)
		return -EAGAIN;
	return rc < 0 ? rc : client_recv_some(c, p, cap);
}

int client_recv(struct client *c, void *p, size_t n)
{
	char *at = p;

	while (n > 0) {
		ssize_t got = recv(c->fd, at, n, 0);

		if (got > 0) {
			at += got;
			n -= (size_t)got;
		} else if (got == 0) {
			return -ECONNRESET;
		} else if (errno == EAGAIN) {
			int rc = client_wait(c, POLLIN);

			if (rc < 0)
				return rc;
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

ssize_t client_recv_some(struct client *c, void *p, size_t cap)
{
	for (;;) {
		ssize_t got = recv(c->fd, p, cap, 0);

		if (got >= 0)
			return got;
		if (errno == EAGAIN) {
			int rc = client_wait(c, POLLIN);

			if (rc < 0)
				return rc;
		} else if (errno != EINTR) {
			return -errno;
		}
	}
}

int client_recv_head(struct client *c, uint64_t *length)
{
	uint8_t buf[HEADER_SIZE];
	struct header h;
	int rc = client_recv(c, buf, sizeof(buf));

	*length = 0;
	if (rc < 0)
		return rc;
	h = header_get(buf);
	if (h.command != CMD_RESPONSE || h.length < 0)
		return -EPROTO;
	*length = (uint64_t)h.length;
	return h.status;
}

int client_recv_body(struct client *c, uint64_t length, size_t max,
    const void **body)
{
	if (length > max)
		return -EMSGSIZE;
	if (length > c->cap || !c->buf) {
		c->cap = size_max((size_t)length, 4096);
		c->buf = xrealloc(c->buf, c->cap, 1);
	}
	*body = c->buf;
	return client_recv(c, c->buf, (size_t)length);
}

static int drain(struct client *c, uint64_t length)
{
	uint8_t buf[4096];
	int rc = 0;

	while (length > 0 && rc == 0) {
		size_t n = length < sizeof(buf) ? (size_t)length : sizeof(buf);

		rc = client_recv(c, buf, n);
		length -= n;
	}
	return rc;
}

int client_call(struct client *c, uint8_t command, const void *body, size_t n,
    struct client_reply *reply)
{
	uint64_t length;
	int rc = client_send_head(c, command, 0, n, body, n);
	int status;

	reply->n = 0;
	if (rc < 0)
		return rc;
	status = client_recv_head(c, &length);
	if (status < 0)
		return status;
	if (length > reply->cap)
		return -EMSGSIZE;
	rc = client_recv(c, reply->buf, (size_t)length);
	reply->n = (size_t)length;
	return rc < 0 ? rc : status;
}

static int read_reply(struct client *c, const struct message *reply, void *out)
{
	const void *body;
	uint64_t length;
	int status = client_recv_head(c, &length);
	int rc;

	if (status < 0)
		return status;
	if (status > 0 || !reply) {
		if (length > ANSWER_MAX)
			return -EMSGSIZE;
		rc = drain(c, length);
		return rc < 0 ? rc : status;
	}
	rc = client_recv_body(c, length, ANSWER_MAX, &body);
	if (rc < 0)
		return rc;
	c->dialect = msg_for_length(reply, (size_t)length);
	rc = msg_decode(c->dialect, body, (size_t)length, out, NULL);
	return rc < 0 ? -EPROTO : 0;
}

int client_ask(struct client *c, uint8_t command, const struct message *req,
    const void *in, const struct message *reply, void *out)
{
	uint8_t body[4096];
	ssize_t n = 0;
	int rc;

	if (req)
		n = msg_encode(req, in, body, sizeof(body));
	if (n < 0)
		return (int)n;
	rc = client_send_head(c, command, 0, (uint64_t)n, body, (size_t)n);
	return rc < 0 ? rc : read_reply(c, reply, out);
}
