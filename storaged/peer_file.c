/* SPDX-License-Identifier: MIT */
/*
 * Our files as requests of cluster-protocol 3.4. A file is always looked at as
 * it is now, whatever the row of the log says: what changed meanwhile has a
 * row of its own behind. Small content is read into the buffer of requests,
 * so its length is what was really read; large content goes by sendfile, and a
 * file that becomes shorter meanwhile ends the connection and is sent again.
 */
#include "storaged/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/fs.h"
#include "proto/msg.h"

#define HEAD_MAX (HEADER_SIZE + 64 + 2 * FILE_NAME_MAX)

struct place {
	int dir;
	char file[FILEID_DISK_MAX];
};

static int place_of(struct peer *p, const char *name, struct place *out)
{
	struct fileid_name fn;
	const struct store_path *path;
	int rc = fileid_parse(span_of(name), &fn);

	if (rc < 0)
		return rc;
	path = store_at(&p->st->store, fn.path);
	if (!path)
		return -EINVAL;
	out->dir = path->data_fd;
	return fileid_disk_path(&fn, "", out->file, sizeof(out->file));
}

int file_open(struct peer *p, const char *name, uint64_t *size)
{
	struct place at;
	struct stat sb;
	int fd;
	int rc = place_of(p, name, &at);

	*size = 0;
	if (rc < 0)
		return rc;
	fd = openat(at.dir, at.file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	rc = fstat(fd, &sb) < 0 ? -errno : 0;
	if (rc == 0 && !S_ISREG(sb.st_mode))
		rc = S_ISDIR(sb.st_mode) ? -EISDIR : -EINVAL;
	if (rc == 0) {
		*size = (uint64_t)sb.st_size;
		return fd;
	}
	close(fd);
	return rc;
}

bool file_exists(struct peer *p, const char *name)
{
	struct place at;
	struct stat sb;

	return place_of(p, name, &at) == 0 &&
	       fstatat(at.dir, at.file, &sb, AT_SYMLINK_NOFOLLOW) == 0;
}

bool file_proven(const char *name)
{
	struct fileid_name fn;

	return fileid_parse(span_of(name), &fn) == 0 && fn.has_record &&
	       fn.type == FILE_NORMAL;
}

int64_t file_time(const char *name, int64_t other)
{
	struct fileid_name fn;

	if (fileid_parse(span_of(name), &fn) < 0 || !fn.has_record ||
	    fn.type == FILE_SLAVE)
		return other;
	return fn.id.time;
}

struct peer_item item_of_meta(const struct peer_item *item, const char *name)
{
	struct peer_item m = *item;
	size_t n = strnlen(name, sizeof(m.name) - 3);

	memmove(m.name, name, n);
	memcpy(m.name + n, "-m", 3);
	m.other[0] = 0;
	return m;
}

/* --- heads --- */

struct head {
	uint8_t bytes[HEAD_MAX];
	size_t n;
};

static int make_head(struct head *h, uint8_t command, const struct message *m,
    const void *in, uint64_t content)
{
	ssize_t n = msg_encode(m, in, h->bytes + HEADER_SIZE,
	    sizeof(h->bytes) - HEADER_SIZE);

	if (n < 0)
		return (int)n;
	header_put(h->bytes, (uint64_t)n + content, command, 0);
	h->n = HEADER_SIZE + (size_t)n;
	return 0;
}

static int check_name(const struct peer_item *item)
{
	return strlen(item->name) > FILE_NAME_MAX ? -ENAMETOOLONG : 0;
}

static int head_of_file(struct peer *p, struct head *h, uint8_t command,
    const struct peer_item *item, uint64_t size)
{
	struct msg_sync_create m = {
		.size = (int64_t)size,
		.time = (int32_t)item->time,
		.name = span_of(item->name),
	};

	str_copy(m.group, sizeof(m.group), p->st->me.group);
	return make_head(h, command, &MSG(sync_create), &m, size);
}

static int head_of_range(struct peer *p, struct head *h, uint8_t command,
    const struct peer_item *item, const uint64_t range[2])
{
	struct msg_sync_write m = {
		.offset = (int64_t)range[0],
		.size = (int64_t)range[1],
		.time = (int32_t)item->time,
		.name = span_of(item->name),
	};

	str_copy(m.group, sizeof(m.group), p->st->me.group);
	return make_head(h, command, &MSG(sync_write), &m, range[1]);
}

/* A request that is only a head. */
static int put_head(struct peer *p, const struct head *h, uint8_t command,
    const struct peer_item *item)
{
	int rc = link_room(p, 0);

	if (rc == 0) {
		(void)link_add(p, command, item);
		rc = link_put(p, h->bytes, h->n);
	}
	return rc;
}

/* --- content --- */

/* Is the file out of memory? Then reading it for a new peer shall not put it
 * there in place of what clients read. */
static bool is_cold(const struct peer *p, int fd)
{
	char byte;
	struct iovec v = { &byte, 1 };

	return p->row.phase == PEER_FILL &&
	       preadv2(fd, &v, 1, 0, RWF_NOWAIT) < 0 && errno == EAGAIN;
}

typedef int (*head_maker)(struct peer *p, struct head *h, uint8_t command,
    const struct peer_item *item, uint64_t at, uint64_t n);

static int maker_of_file(struct peer *p, struct head *h, uint8_t command,
    const struct peer_item *item, uint64_t at, uint64_t n)
{
	(void)at;
	return head_of_file(p, h, command, item, n);
}

static int maker_of_range(struct peer *p, struct head *h, uint8_t command,
    const struct peer_item *item, uint64_t at, uint64_t n)
{
	const uint64_t range[2] = { at, n };

	return head_of_range(p, h, command, item, range);
}

struct content {
	int fd;
	uint64_t at, n;
	bool whole; /* may be shorter than n: then all that is there */
};

/* Reads behind the place of the head, whose length does not depend on it. */
static int put_small(struct peer *p, uint8_t command,
    const struct peer_item *item, head_maker maker, const struct content *c)
{
	struct peer_link *l = &p->link;
	struct head h;
	uint8_t *at = link_space(p, HEAD_MAX + (size_t)c->n);
	ssize_t got;
	int rc;

	if (!at)
		return l->dead;
	rc = maker(p, &h, command, item, c->at, c->n);
	if (rc < 0)
		return rc;
	got = fs_pread_all(c->fd, at + h.n, (size_t)c->n, (off_t)c->at);
	if (got < 0)
		return (int)got;
	if ((uint64_t)got < c->n) {
		if (!c->whole)
			return -ERANGE;
		rc = maker(p, &h, command, item, c->at, (uint64_t)got);
	}
	if (rc < 0)
		return rc;
	memcpy(at, h.bytes, h.n);
	l->out_n += h.n + (size_t)got;
	link_add(p, command, item)->bytes = (uint64_t)got;
	l->bytes += (uint64_t)got;
	return 0;
}

static int put_large(struct peer *p, uint8_t command,
    const struct peer_item *item, head_maker maker, const struct content *c)
{
	struct head h;
	int rc = maker(p, &h, command, item, c->at, c->n);

	if (rc < 0)
		return rc;
	link_add(p, command, item)->bytes = c->n;
	p->link.bytes += c->n;
	rc = link_put(p, h.bytes, h.n);
	return rc < 0 ? rc : link_send_file(p, c->fd, c->at, c->n);
}

static int put_content(struct peer *p, uint8_t command,
    const struct peer_item *item, head_maker maker, const struct content *c)
{
	const bool cold = is_cold(p, c->fd);
	int rc = c->n <= SMALL_FILE ? put_small(p, command, item, maker, c)
	                            : put_large(p, command, item, maker, c);

	if (cold)
		(void)posix_fadvise(c->fd, (off_t)c->at, (off_t)c->n,
		    POSIX_FADV_DONTNEED);
	return rc;
}

int put_file(struct peer *p, uint8_t command, const struct peer_item *item)
{
	struct content c = { .whole = true };
	int rc = check_name(item);

	if (rc == 0)
		rc = link_room(p, SMALL_FILE);
	if (rc < 0)
		return rc;
	c.fd = file_open(p, item->name, &c.n);
	if (c.fd < 0)
		return c.fd;
	rc = put_content(p, command, item, maker_of_file, &c);
	close(c.fd);
	return rc;
}

int put_range(struct peer *p, uint8_t command, const struct peer_item *item,
    uint64_t offset, uint64_t n)
{
	struct content c = { .at = offset, .n = n };
	uint64_t size;
	int rc = link_room(p, SMALL_FILE);

	if (rc < 0)
		return rc;
	c.fd = file_open(p, item->name, &size);
	if (c.fd < 0)
		return c.fd;
	rc = size < offset || size - offset < n
	         ? -ERANGE
	         : put_content(p, command, item, maker_of_range, &c);
	close(c.fd);
	return rc;
}

int put_text(struct peer *p, const struct peer_item *item, const char *text,
    size_t n)
{
	struct head h;
	int rc = check_name(item);

	if (rc == 0)
		rc = head_of_file(p, &h, CMD_sync_update, item, n);
	if (rc == 0)
		rc = link_room(p, n);
	if (rc < 0)
		return rc;
	link_add(p, CMD_sync_update, item)->bytes = n;
	p->link.bytes += n;
	rc = link_put(p, h.bytes, h.n);
	return rc < 0 ? rc : link_put(p, text, n);
}

int put_truncate(struct peer *p, const struct peer_item *item, uint64_t from,
    uint64_t to)
{
	struct head h;
	struct msg_sync_truncate m = {
		.old_size = (int64_t)from,
		.new_size = (int64_t)to,
		.time = (int32_t)item->time,
		.name = span_of(item->name),
	};
	int rc;

	str_copy(m.group, sizeof(m.group), p->st->me.group);
	rc = make_head(&h, CMD_sync_truncate, &MSG(sync_truncate), &m, 0);
	return rc < 0 ? rc : put_head(p, &h, CMD_sync_truncate, item);
}

int put_delete(struct peer *p, const struct peer_item *item)
{
	struct head h;
	struct msg_sync_delete m = {
		.time = (int32_t)item->time,
		.name = span_of(item->name),
	};
	int rc = check_name(item);

	if (rc < 0)
		return rc;
	str_copy(m.group, sizeof(m.group), p->st->me.group);
	rc = make_head(&h, CMD_sync_delete, &MSG(sync_delete), &m, 0);
	return rc < 0 ? rc : put_head(p, &h, CMD_sync_delete, item);
}

int put_rename(struct peer *p, const struct peer_item *item)
{
	struct head h;
	struct msg_sync_link m = {
		.time = (int32_t)item->time,
		.name = span_of(item->name),
		.other = span_of(item->other),
	};
	int rc;

	str_copy(m.group, sizeof(m.group), p->st->me.group);
	rc = make_head(&h, CMD_sync_rename, &MSG(sync_link), &m, 0);
	return rc < 0 ? rc : put_head(p, &h, CMD_sync_rename, item);
}

int put_info(struct peer *p, const struct peer_item *item, uint8_t flags,
    uint64_t size)
{
	struct head h;
	struct msg_file_ref m = { .name = span_of(item->name) };
	int rc;

	str_copy(m.group, sizeof(m.group), p->st->me.group);
	rc = make_head(&h, CMD_query_file_info, &MSG(file_ref), &m, 0);
	if (rc == 0)
		rc = link_room(p, 0);
	if (rc < 0)
		return rc;
	h.bytes[HEADER_SIZE - 1] = flags;
	link_add(p, CMD_query_file_info, item)->size = size;
	return link_put(p, h.bytes, h.n);
}
