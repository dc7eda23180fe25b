/* SPDX-License-Identifier: MIT */
/*
 * The output side: a reply in one write, what the socket does not take kept in
 * a buffer of just its size, files by sendfile in windows. A connection sends
 * at most one window a turn, so that a fast reader does not hold up the loop.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "net/conn_impl.h"

void conn_drop_output(struct conn *c)
{
	if (c->out != c->small)
		free(c->out);
	c->out = NULL;
	c->out_pos = c->out_end = 0;
	if (c->file >= 0)
		close(c->file);
	c->file = -1;
	free(c->late);
	c->late = NULL;
	c->late_n = 0;
	conn_drop_room(c);
}

/* --- answers that were put off --- */

bool conn_has_due(const struct conn *c)
{
	return c->due != NULL;
}

bool conn_is_behind(const struct conn *c)
{
	return c->due || c->late_n > 0;
}

bool conn_due_full(const struct conn *c)
{
	return (c->n_due + 1) * HEADER_SIZE + c->late_n > CONN_LATE_SIZE;
}

static void add_late(struct conn *c, int status)
{
	struct hub *h = c->hub;

	if (c->state == CONN_CLOSING)
		return;
	if (!c->late)
		c->late = xcalloc(1, CONN_LATE_SIZE);
	header_put(c->late + c->late_n, 0, CMD_RESPONSE, (uint8_t)status);
	c->late_n += HEADER_SIZE;
	if (!c->is_late)
		TAILQ_INSERT_TAIL(&h->late, c, late_link);
	c->is_late = true;
}

void conn_settle(struct conn *c, struct conn_due *due, int status)
{
	due->status = status;
	while ((due = c->due) != NULL && due->status >= 0) {
		c->due = due->next;
		if (!c->due)
			c->due_tail = &c->due;
		c->n_due--;
		add_late(c, due->status);
		due->told(due, c);
	}
	conn_free_if_idle(c);
}

/* All that was put off is answered, or there is room for more of it. */
static void late_is_out(struct conn *c)
{
	if (c->state == CONN_REPLY) {
		if (!conn_is_behind(c))
			conn_output(c);
	} else if (c->close_after && c->state == CONN_HEADER) {
		if (!conn_is_behind(c))
			conn_shut(c);
	} else if (c->state != CONN_CLOSING) {
		conn_input(c);
	}
}

void conn_flush_late(struct conn *c)
{
	ssize_t sent = 0;

	if (c->state == CONN_CLOSING)
		return;
	if (c->late_n > 0)
		sent = send(c->fd, c->late, c->late_n, MSG_NOSIGNAL);
	if (sent < 0 && errno != EAGAIN && errno != EINTR) {
		conn_shut(c);
		return;
	}
	if (sent > 0) {
		c->moved = clock_mono();
		c->proven = true;
		c->late_n -= (size_t)sent;
		memmove(c->late, c->late + sent, c->late_n);
	}
	conn_watch_write(c, c->late_n > 0);
	late_is_out(c);
}

void hub_flush(struct hub *h)
{
	struct conn *c;

	while ((c = TAILQ_FIRST(&h->late)) != NULL) {
		TAILQ_REMOVE(&h->late, c, late_link);
		c->is_late = false;
		conn_flush_late(c);
	}
}

/* --- answers --- */

/* The daemon answered a connection that is gone: let it go. */
static bool answer_is_late(struct conn *c)
{
	if (c->state != CONN_CLOSING)
		return false;
	c->owed = false;
	conn_drop_room(c);
	conn_free_if_idle(c);
	return true;
}

static void keep_rest(struct conn *c, const uint8_t *p, size_t n)
{
	c->out = n <= sizeof(c->small) ? c->small : malloc(n);
	if (!c->out) {
		log_error("reply_failed", "client=%s: no memory for %zu bytes",
		    c->peer_ip, n);
		conn_shut(c);
		return;
	}
	memcpy(c->out, p, n);
	c->out_pos = 0;
	c->out_end = n;
}

/* Tries to send; true when all went out. */
static bool send_now(struct conn *c, const uint8_t *p, size_t n, int flags)
{
	ssize_t sent;

	if (conn_is_behind(c)) {
		keep_rest(c, p, n);
		return false;
	}
	sent = send(c->fd, p, n, MSG_NOSIGNAL | flags);
	if (sent < 0 && errno != EAGAIN && errno != EINTR) {
		conn_shut(c);
		return false;
	}
	if (sent == (ssize_t)n)
		return true;
	if (sent < 0)
		sent = 0;
	keep_rest(c, p + sent, n - (size_t)sent);
	return false;
}

static void send_later(struct conn *c)
{
	if (c->state == CONN_REPLY && !conn_is_behind(c))
		conn_watch_write(c, true);
}

static void begin_reply(struct conn *c, int status, uint64_t n)
{
	conn_enter(c, CONN_REPLY);
	c->owed = false;
	c->moved = c->since = clock_mono();
	c->span = n;
	if (status == EINVAL && c->hub->conf.close_after_einval)
		c->close_after = true;
}

void conn_reply(struct conn *c, int status, const void *body, size_t n)
{
	uint8_t small[4096];
	uint8_t *buf = small;

	if (answer_is_late(c))
		return;
	if (n + HEADER_SIZE > sizeof(small)) {
		buf = malloc(n + HEADER_SIZE);
		if (!buf) {
			c->owed = false;
			conn_shut(c);
			return;
		}
	}
	header_put(buf, n, CMD_RESPONSE, (uint8_t)status);
	if (n)
		memcpy(buf + HEADER_SIZE, body, n);
	begin_reply(c, status, n);
	if (send_now(c, buf, n + HEADER_SIZE, 0))
		conn_answered(c);
	else
		send_later(c);
	if (buf != small)
		free(buf);
}

void *conn_room(struct conn *c, size_t n)
{
	if (n > CONN_REPLY_ROOM)
		return NULL;
	if (!c->room)
		c->room = pool_get(&c->hub->pool);
	return c->room ? c->room + HEADER_SIZE : NULL;
}

void conn_drop_room(struct conn *c)
{
	uint8_t *room = c->room;

	c->room = NULL;
	if (room)
		pool_put(&c->hub->pool, room);
}

void conn_reply_room(struct conn *c, size_t n)
{
	bool sent;

	if (answer_is_late(c))
		return;
	header_put(c->room, n, CMD_RESPONSE, 0);
	begin_reply(c, 0, n);
	sent = send_now(c, c->room, n + HEADER_SIZE, 0);
	if (!sent && c->state != CONN_REPLY)
		return;
	conn_drop_room(c);
	if (sent)
		conn_answered(c);
	else
		send_later(c);
}

/* announced: what the header says. */
static void reply_file(struct conn *c, int fd, off_t at, uint64_t n,
    uint64_t announced)
{
	uint8_t head[HEADER_SIZE];

	if (c->state == CONN_CLOSING) {
		close(fd);
		answer_is_late(c);
		return;
	}
	header_put(head, announced, CMD_RESPONSE, 0);
	begin_reply(c, 0, n);
	c->file = fd;
	c->file_at = at;
	c->file_left = n;
	c->window_left = 0;
	if (send_now(c, head, sizeof(head), MSG_MORE))
		conn_output(c);
	else
		send_later(c);
}

void conn_reply_file(struct conn *c, int fd, off_t at, uint64_t n)
{
	reply_file(c, fd, at, n, n);
}

void conn_reply_endless(struct conn *c, int fd, uint64_t n)
{
	c->close_after = true;
	reply_file(c, fd, 0, n, CONN_ENDLESS);
}

/* Has the next window brought into memory; false: a worker does that. */
static bool open_window(struct conn *c)
{
	const struct conn_app *app = c->hub->conf.app;
	uint64_t n = c->file_left < CONN_WINDOW ? c->file_left : CONN_WINDOW;

	c->window_left = n;
	if (!app->window ||
	    app->window(c, c->file, c->file_at, (size_t)n) == CONN_TAKEN)
		return true;
	c->lent = true;
	conn_watch_write(c, false);
	return false;
}

enum sent { SENT_ALL, SENT_SOME, SENT_FAILED };

static enum sent send_window(struct conn *c)
{
	while (c->window_left > 0) {
		ssize_t n = sendfile(c->fd, c->file, &c->file_at,
		    (size_t)c->window_left);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return SENT_SOME;
		if (n <= 0) {
			log_warn("download_failed",
			    "client=%s at=%lld left=%llu: %s", c->peer_ip,
			    (long long)c->file_at,
			    (unsigned long long)c->file_left,
			    n ? errstr(-errno) : "the file became shorter");
			return SENT_FAILED;
		}
		c->moved = clock_mono();
		c->window_left -= (uint64_t)n;
		c->file_left -= (uint64_t)n;
	}
	return SENT_ALL;
}

static bool flush_buffer(struct conn *c)
{
	size_t n = c->out_end - c->out_pos;
	ssize_t sent;

	if (!c->out)
		return true;
	sent = send(c->fd, c->out + c->out_pos, n,
	    MSG_NOSIGNAL | (c->file >= 0 ? MSG_MORE : 0));
	if (sent < 0 && errno != EAGAIN && errno != EINTR) {
		conn_shut(c);
		return false;
	}
	if (sent > 0) {
		c->moved = clock_mono();
		c->out_pos += (size_t)sent;
	}
	if (c->out_pos < c->out_end)
		return false;
	if (c->out != c->small)
		free(c->out);
	c->out = NULL;
	return true;
}

void conn_output(struct conn *c)
{
	if (conn_is_behind(c))
		return;
	if (!flush_buffer(c)) {
		if (c->state == CONN_REPLY)
			conn_watch_write(c, true);
		return;
	}
	if (c->file >= 0 && c->file_left > 0) {
		enum sent s;

		if (c->window_left == 0 && !open_window(c))
			return;
		s = send_window(c);
		if (s == SENT_FAILED) {
			conn_shut(c);
			return;
		}
		if (c->file_left > 0) {
			conn_watch_write(c, true);
			return;
		}
	}
	if (c->file >= 0)
		close(c->file);
	c->file = -1;
	conn_watch_write(c, false);
	conn_answered(c);
}

void conn_on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	(void)what;
	if (c->late_n > 0)
		conn_flush_late(c);
	else
		conn_output(c);
}
