/* SPDX-License-Identifier: MIT */
/* The names: of a member (26), and those that must not come back. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "meta/oplog.h"
#include "proto/wire.h"
#include "storaged/rebuild_impl.h"
#include "storaged/records.h"

#define FIRST_BYTE_MS 600000 /* a member may think so long */
#define ENDLESS       (UINT64_C(1) << 58)
#define PIECE         ((size_t)65536)
#define COUNT_SIZE    8
#define PAGE          1000
#define RETRY_SEC     5

/* --- 26 --- */

/* All until the end of the connection; *disk: our own disk failed, another
 * member would not help. */
static int take_list(struct client *c, int fd, int *disk)
{
	char *piece = xcalloc(PIECE, 1);
	ssize_t n;

	while ((n = client_recv_some(c, piece, PIECE)) > 0) {
		*disk = fs_write_all(fd, piece, (size_t)n);
		if (*disk < 0)
			break;
	}
	free(piece);
	return *disk < 0 ? *disk : (int)n;
}

/* The last eight bytes count those before. */
static int check_list(int fd)
{
	uint8_t count[COUNT_SIZE];
	struct wire_in w = wire_in(count, sizeof(count));
	struct stat sb;
	off_t text;

	if (fstat(fd, &sb) < 0)
		return -errno;
	text = sb.st_size - COUNT_SIZE;
	if (text < 0 ||
	    fs_pread_all(fd, count, sizeof(count), text) != COUNT_SIZE ||
	    wire_get_n(&w, COUNT_SIZE) != (uint64_t)text)
		return -EPROTO;
	if (ftruncate(fd, text) < 0)
		return -errno;
	return fsync(fd) < 0 ? -errno : 0;
}

/* 0; positive: refused; negative: it failed, *disk when here. */
static int list_from(const struct rebuild *rb, const struct addr *at, int fd,
    int *disk)
{
	struct msg_fetch_path_binlog m = { .path = (uint8_t)rb->path->index };
	uint8_t body[32];
	uint64_t length = 0;
	struct client *c;
	ssize_t n;
	int rc = rebuild_connect(rb, at, FIRST_BYTE_MS, &c);

	if (rc < 0)
		return rc;
	str_copy(m.group, sizeof(m.group), rb->st->me.group);
	n = msg_encode(&MSG(fetch_path_binlog), &m, body, sizeof(body));
	rc = client_send_head(c, CMD_fetch_one_path_binlog, 0, (uint64_t)n,
	    body, (size_t)n);
	if (rc == 0)
		rc = client_recv_head(c, &length);
	if (rc == 0 && length != ENDLESS)
		rc = -EPROTO;
	if (rc == 0)
		rc = take_list(c, fd, disk);
	client_close(c);
	return rc == 0 ? check_list(fd) : rc;
}

static int open_list(const struct rebuild *rb)
{
	char name[REBUILD_FILE_MAX];
	int fd;

	snprintf(name, sizeof(name), REBUILD_LIST, 0U);
	fd = openat(rb->path->data_fd, name,
	    O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	return fd < 0 ? -errno : fd;
}

/* From the first member that gives one; *refused: how many said no. */
static int list_from_any(struct rebuild *rb, size_t *refused, int *disk)
{
	char text[ADDR_TEXT_MAX];
	int rc = -ENOTCONN;

	*refused = 0;
	for (size_t i = 0; i < rb->n_sources && rc != 0; i++) {
		const struct rebuild_source *s = &rb->sources[i];
		int fd = open_list(rb);

		if (fd < 0)
			return *disk = fd;
		rc = list_from(rb, &s->at, fd, disk);
		close(fd);
		if (*disk < 0 || rebuild_stopped(rb))
			return rc;
		*refused += rc > 0;
		addr_text(&s->at, text, sizeof(text));
		if (rc == 0)
			log_info("recovery_list", "path=%s from=%s",
			    rb->path->dir, text);
		else
			log_warn("recovery_list", "path=%s from=%s: %s",
			    rb->path->dir, text,
			    rc > 0 ? "it has no such path" : errstr(rc));
	}
	return rc;
}

int rebuild_fetch_list(struct rebuild *rb)
{
	for (;;) {
		size_t refused;
		int disk = 0;
		int rc = list_from_any(rb, &refused, &disk);

		if (rebuild_stopped(rb))
			return -ECANCELED;
		if (disk < 0)
			return rebuild_say(rb, disk,
			    "the list of files cannot be written");
		/* Nobody has this path: there is nothing to bring. */
		if (rc == 0 || refused == rb->n_sources)
			return 0;
		if (!rebuild_pause(rb, RETRY_SEC))
			return -ECANCELED;
		rc = rebuild_find_sources(rb);
		if (rc < 0)
			return rc;
	}
}

/* --- deleted here --- */

struct gone_reader {
	struct rebuild *rb;
	char start[8];
	uint64_t seq;
	size_t room;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct rebuild_gone *)a)->name,
	    ((const struct rebuild_gone *)b)->name);
}

static int is_name(const void *name, const void *gone)
{
	return strcmp(name, ((const struct rebuild_gone *)gone)->name);
}

static struct rebuild_gone *find_gone(const struct rebuild *rb,
    const char *name)
{
	if (rb->n_gone == 0)
		return NULL;
	return bsearch(name, rb->gone, rb->n_gone, sizeof(*rb->gone), is_name);
}

static bool of_path(const struct gone_reader *g, struct span name)
{
	size_t n = strlen(g->start);

	return name.n > n && name.n <= REBUILD_NAME_MAX &&
	       memcmp(name.p, g->start, n) == 0;
}

static int note_deleted(void *arg, const struct op *op)
{
	struct gone_reader *g = arg;
	struct rebuild *rb = g->rb;
	char *name;

	g->seq = op->seq;
	if (op->code != OP_DELETE || !of_path(g, op->name))
		return 0;
	if (rb->n_gone == g->room) {
		g->room = g->room ? g->room * 2 : PAGE;
		rb->gone = xrealloc(rb->gone, g->room, sizeof(*rb->gone));
	}
	name = xcalloc(op->name.n + 1, 1);
	memcpy(name, op->name.p, op->name.n);
	rb->gone[rb->n_gone++] =
	    (struct rebuild_gone){ .name = name, .seq = op->seq };
	return 0;
}

/* A name may be used again, as slaves' are. */
static int note_created(void *arg, const struct op *op)
{
	struct gone_reader *g = arg;
	char name[REBUILD_NAME_MAX + 1];
	struct rebuild_gone *gone;

	g->seq = op->seq;
	if ((op->code != OP_CREATE && op->code != OP_RENAME) ||
	    !of_path(g, op->name) ||
	    !str_copy_span(name, sizeof(name), op->name))
		return 0;
	gone = find_gone(g->rb, name);
	if (gone && gone->seq < op->seq)
		gone->seq = 0;
	return 0;
}

static int read_log(struct db *log, struct gone_reader *g,
    int (*each)(void *arg, const struct op *op))
{
	int n;

	g->seq = 0;
	do {
		n = oplog_read(log, g->seq, PAGE, each, g);
	} while (n == PAGE && !rebuild_stopped(g->rb));
	return n < 0 ? n : 0;
}

/* Of deletions of one name the last one counts. */
static void keep_last(struct rebuild *rb)
{
	size_t kept = 0;

	for (size_t i = 0; i < rb->n_gone; i++) {
		struct rebuild_gone *last = &rb->gone[kept ? kept - 1 : 0];

		if (kept == 0 || strcmp(last->name, rb->gone[i].name) != 0) {
			rb->gone[kept++] = rb->gone[i];
			continue;
		}
		if (rb->gone[i].seq > last->seq)
			last->seq = rb->gone[i].seq;
		free(rb->gone[i].name);
	}
	rb->n_gone = kept;
}

int rebuild_read_deleted(struct rebuild *rb)
{
	struct gone_reader g = { .rb = rb };
	char why[DB_ERR_MAX];
	struct db *log;
	int rc;

	snprintf(g.start, sizeof(g.start), "M%02X/", rb->path->index & 0xff);
	rc = records_read(rb->st, DB_LOG, &log, why);
	if (rc < 0)
		return rebuild_say(rb, rc, why);
	rc = read_log(log, &g, note_deleted);
	if (rb->n_gone > 0)
		qsort(rb->gone, rb->n_gone, sizeof(*rb->gone), by_name);
	keep_last(rb);
	if (rc == 0 && rb->n_gone > 0)
		rc = read_log(log, &g, note_created);
	db_close(log);
	return rc < 0 ? rebuild_say(rb, rc, "the log cannot be read") : 0;
}

void rebuild_drop_deleted(struct rebuild *rb)
{
	for (size_t i = 0; i < rb->n_gone; i++)
		free(rb->gone[i].name);
	free(rb->gone);
	rb->gone = NULL;
	rb->n_gone = 0;
}

bool rebuild_was_deleted(const struct rebuild *rb, const char *name)
{
	const struct rebuild_gone *gone = find_gone(rb, name);

	return gone && gone->seq > 0;
}
