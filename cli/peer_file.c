/* SPDX-License-Identifier: MIT */
#include "cli/peer_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/sum.h"
#include "cli/stop.h"
#include "proto/kv.h"

#define NO_ENTRY   2 /* ENOENT on the wire */
#define META_MAX   ((size_t)1024 * 1024)
#define FLAG_NOLOG 2 /* 22: a missing file is not worth a line in the log */

/* --- ours ---------------------------------------------------------------- */

static bool stat_of(const struct peer_file *f, bool side, struct stat *st)
{
	char path[4096];

	return stores_path(f->stores, f->remote, side, path, sizeof(path)) ==
	           0 &&
	       stat(path, st) == 0;
}

void peer_file_describe(struct peer_file *f, const struct stores *s,
    const struct file_row *row)
{
	struct stat st;

	memset(f, 0, sizeof(*f));
	f->stores = s;
	f->known = true;
	str_copy(f->remote, sizeof(f->remote), row->remote);
	f->type = row->type;
	f->size = row->size;
	f->has_crc = row->has_crc;
	f->crc = row->crc;
	f->has_meta = stat_of(f, true, &st);
}

/* The record of a changed file has no checksum: its content has. */
static bool own_crc(const struct peer_file *f, uint32_t *crc)
{
	char path[4096];
	uint64_t size;
	int fd;
	int rc;

	*crc = f->crc;
	if (f->has_crc)
		return true;
	if (stores_path(f->stores, f->remote, false, path, sizeof(path)) < 0)
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	rc = fs_crc32(fd, crc, &size);
	close(fd);
	return rc == 0 && size == f->size;
}

/* --- asking -------------------------------------------------------------- */

int peer_file_send(struct client *c, const char *group,
    const struct peer_file *f)
{
	char body[256];
	const struct span name = span_of(f->remote);
	uint8_t command = CMD_query_file_info;
	uint8_t flags = FLAG_NOLOG;
	ssize_t n;

	if (f->ask == PEER_ASK_CONTENT) {
		struct msg_download req = { .name = name };

		str_copy(req.group, sizeof(req.group), group);
		n = msg_encode(&MSG(download), &req, body, sizeof(body));
		command = CMD_download_file;
		flags = 0;
	} else {
		struct msg_file_ref req = { .name = name };

		str_copy(req.group, sizeof(req.group), group);
		n = msg_encode(&MSG(file_ref), &req, body, sizeof(body));
		if (f->ask == PEER_ASK_META) {
			command = CMD_get_metadata;
			flags = 0;
		}
	}
	if (n < 0)
		return (int)n;
	return client_send_head(c, command, flags, (uint64_t)n, body,
	    (size_t)n);
}

/* --- answers ------------------------------------------------------------- */

static void differs(struct peer_answer *a, const char *state)
{
	a->state = state;
}

static void take_info(const struct peer_file *f, const struct msg_file_info *m,
    struct peer_answer *a)
{
	uint32_t crc = 0;

	if (!f->known) {
		differs(a, "extra");
		snprintf(a->found, sizeof(a->found), "%" PRId64, m->size);
	} else if ((uint64_t)m->size != f->size) {
		differs(a, "size");
		snprintf(a->expected, sizeof(a->expected), "%" PRIu64, f->size);
		snprintf(a->found, sizeof(a->found), "%" PRId64, m->size);
	} else if (own_crc(f, &crc) && crc != (uint32_t)m->crc) {
		differs(a, "crc");
		snprintf(a->expected, sizeof(a->expected), "%08x", crc);
		snprintf(a->found, sizeof(a->found), "%08x", (uint32_t)m->crc);
	}
}

static int receive_info(struct client *c, const struct peer_file *f,
    uint64_t length, struct peer_answer *a)
{
	union {
		struct msg_file_info narrow;
		struct msg_file_info46 wide;
	} m;
	const struct message *d;
	const void *body;
	int rc = client_recv_body(c, length, 256, &body);

	if (rc < 0)
		return rc;
	d = msg_for_length(&MSG(file_info), (size_t)length);
	if (msg_decode(d, body, (size_t)length, &m, NULL) < 0)
		return -EPROTO;
	if (d == &MSG(file_info46)) {
		const struct msg_file_info46 wide = m.wide;

		m.narrow = (struct msg_file_info){ .size = wide.size,
			.crc = wide.crc };
	}
	take_info(f, &m.narrow, a);
	return 0;
}

static int by_pair(const void *x, const void *y)
{
	const struct kv *a = x;
	const struct kv *b = y;
	const struct span sa[2] = { a->name, a->value };
	const struct span sb[2] = { b->name, b->value };

	for (int i = 0; i < 2; i++) {
		const int d =
		    memcmp(sa[i].p, sb[i].p, size_min(sa[i].n, sb[i].n));

		if (d != 0)
			return d;
		if (sa[i].n != sb[i].n)
			return sa[i].n < sb[i].n ? -1 : 1;
	}
	return 0;
}

static bool same_pairs(struct kv_list *a, struct kv_list *b)
{
	if (a->n != b->n)
		return false;
	if (a->n > 1) {
		qsort(a->items, a->n, sizeof(*a->items), by_pair);
		qsort(b->items, b->n, sizeof(*b->items), by_pair);
	}
	for (size_t i = 0; i < a->n; i++)
		if (by_pair(&a->items[i], &b->items[i]) != 0)
			return false;
	return true;
}

/* theirs: empty when there is none. */
static void take_meta(const struct peer_file *f, struct span theirs,
    struct peer_answer *a)
{
	struct kv_list l = { NULL, 0 };
	struct kv_list t = { NULL, 0 };
	char path[4096];
	char *text = NULL;
	ssize_t n = -ENOENT;

	if (stores_path(f->stores, f->remote, true, path, sizeof(path)) == 0)
		n = fs_read_file(path, META_MAX, &text);
	if (kv_parse((struct span){ n > 0 ? text : "", n > 0 ? (size_t)n : 0 },
	        &l) == 0 &&
	    kv_parse(theirs, &t) == 0 && !same_pairs(&l, &t)) {
		differs(a, f->known ? "metadata" : "extra");
		snprintf(a->expected, sizeof(a->expected), "%zu keys", l.n);
		snprintf(a->found, sizeof(a->found), "%zu keys", t.n);
	}
	kv_list_fini(&l);
	kv_list_fini(&t);
	free(text);
}

static int receive_content(struct client *c, const struct peer_file *f,
    uint64_t length, struct peer_answer *a)
{
	const uint64_t size = length;
	char block[16 * 1024];
	uint32_t theirs = 0;
	uint32_t ours = 0;

	while (length > 0) {
		const size_t n =
		    length < sizeof(block) ? (size_t)length : sizeof(block);
		const int rc = client_recv(c, block, n);

		if (rc < 0)
			return rc;
		theirs = sum_crc32(theirs, block, n);
		length -= n;
	}
	if (size != f->size) {
		differs(a, "size");
		snprintf(a->expected, sizeof(a->expected), "%" PRIu64, f->size);
		snprintf(a->found, sizeof(a->found), "%" PRIu64, size);
	} else if (own_crc(f, &ours) && ours != theirs) {
		differs(a, "crc");
		snprintf(a->expected, sizeof(a->expected), "%08x", ours);
		snprintf(a->found, sizeof(a->found), "%08x", theirs);
	}
	return 0;
}

int peer_file_receive(struct client *c, const struct peer_file *f,
    struct peer_answer *a)
{
	const void *body = NULL;
	uint64_t length;
	int rc = client_recv_head(c, &length);

	memset(a, 0, sizeof(*a));
	if (rc < 0)
		return rc;
	if (rc != 0 && rc != NO_ENTRY)
		return rc;
	if (rc == NO_ENTRY && f->ask != PEER_ASK_META) {
		if (f->known) {
			differs(a, "missing");
			snprintf(a->expected, sizeof(a->expected), "%" PRIu64,
			    f->size);
		}
		return 0;
	}
	if (rc == NO_ENTRY) {
		take_meta(f, (struct span){ "", 0 }, a);
		return 0;
	}
	if (f->ask == PEER_ASK_INFO)
		return receive_info(c, f, length, a);
	if (f->ask == PEER_ASK_CONTENT)
		return receive_content(c, f, length, a);
	rc = client_recv_body(c, length, META_MAX, &body);
	if (rc == 0)
		take_meta(f, (struct span){ body, (size_t)length }, a);
	return rc;
}
