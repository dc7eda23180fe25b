/* SPDX-License-Identifier: MIT */
/*
 * get and cat. A file is written under a temporary name beside its final one
 * and renamed when size and checksum are right, so nobody ever sees half a
 * file. A copy that fails is replaced by the next: a file starts again, a
 * stream goes on where it stopped.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/sum.h"
#include "cli/fdfs.h"
#include "cli/fdfs_get.h"
#include "cli/progress.h"
#include "cli/stop.h"
#include "proto/kv.h"

#define NAME_ROOM 256

#define ROW(l, nm, ty, member, ...)                                         \
	{                                                                   \
		.letter = (l), .name = (nm), .type = (ty),                  \
		.offset = offsetof(struct get_options, member), __VA_ARGS__ \
	}
#define SHARED_ROWS                                                         \
	ROW(0, "range", OPT_TEXT, range, .arg = "A-B",                      \
	    .help = "only bytes A to B, counted from 0, B included; A- to " \
	            "the end"),                                             \
	    ROW(0, "from", OPT_TEXT, from, .arg = "STORAGE",                \
	        .help = "this storage and no other, by id or address"),     \
	    ROW(0, "verify", OPT_FLAG, verify,                              \
	        .help = "also where the id has no checksum of the content " \
	                "(appender, slave): ask the storage for it")

static const struct opt_row get_rows[] = {
	ROW('O', "output", OPT_TEXT, output, .arg = "FILE",
	    .help = "write to FILE; - is standard output"),
	ROW(0, "force", OPT_FLAG, force, .help = "overwrite an existing file"),
	SHARED_ROWS,
};
static const struct opt_row cat_rows[] = { SHARED_ROWS };

const struct opt_table fdfs_get_table = { "get", get_rows, ARRAY_LEN(get_rows),
	0 };
const struct opt_table fdfs_cat_table = { "cat", cat_rows, ARRAY_LEN(cat_rows),
	0 };

static enum status parse_range(struct get *g, const char *text)
{
	char from[32];
	const size_t n = strcspn(text, "-");
	uint64_t a;
	uint64_t b;

	g->size = 0;
	if (text[n] != '-' ||
	    !str_copy_span(from, sizeof(from), (struct span){ text, n }) ||
	    str_to_size(from, &a) < 0)
		return err_usage("write 0-99 for the first hundred bytes",
		    "\"%s\" is no range", text);
	g->offset = a;
	if (text[n + 1] == '\0')
		return STATUS_OK;
	if (str_to_size(text + n + 1, &b) < 0 || b < a || b == UINT64_MAX)
		return err_usage("write 0-99 for the first hundred bytes",
		    "\"%s\" is no range", text);
	g->size = b - a + 1;
	return STATUS_OK;
}

/* Takes `length` bytes of content. -errno: of the network; positive EIO and
 * friends never come from here; *wrote: of our own side. */
static int receive(struct get *g, struct client *c, uint64_t length, int *wrote)
{
	char *block = xcalloc(1, FDFS_BLOCK);
	struct progress p;
	uint64_t done = 0;
	int rc = 0;

	progress_bytes(&p, g->id.text, length,
	    g->cli->out.quiet > 0 || g->fd == STDOUT_FILENO);
	while (done < length && rc == 0) {
		const size_t n =
		    (size_t)(length - done < FDFS_BLOCK ? length - done
		                                        : FDFS_BLOCK);

		rc = client_recv(c, block, n);
		if (rc != 0)
			break;
		*wrote = fs_write_all(g->fd, block, n);
		if (*wrote < 0)
			break;
		g->crc = sum_crc32(g->crc, block, n);
		done += n;
		g->got += n;
		progress_at(&p, done);
	}
	progress_end(&p);
	free(block);
	return rc;
}

static int ask_info(struct client *c, const struct fid *id,
    struct msg_file_info *out)
{
	struct msg_file_ref req;
	union {
		struct msg_file_info narrow;
		struct msg_file_info46 wide;
	} reply;
	int rc;

	memset(&req, 0, sizeof(req));
	memset(&reply, 0, sizeof(reply));
	str_copy(req.group, sizeof(req.group), id->group);
	req.name = span_of(id->name);
	rc = client_ask(c, CMD_query_file_info, &MSG(file_ref), &req,
	    &MSG(file_info), &reply);
	/* Both dialects begin with the same three numbers. */
	if (rc == 0)
		*out = (struct msg_file_info){ .size = reply.narrow.size,
			.mtime = reply.narrow.mtime,
			.crc = reply.narrow.crc };
	return rc;
}

/* Stock storages refuse to send an empty file: is it one? */
static bool is_empty(struct get *g, const struct addr *at)
{
	struct msg_file_info info;
	struct client *c;
	bool empty = false;

	if (g->offset > 0 || source_connect(g->source, at, &c) < 0)
		return false;
	if (ask_info(c, &g->id, &info) == 0)
		empty = info.size == 0;
	source_disconnect(c);
	return empty;
}

static int request(struct get *g, struct client *c, uint64_t *length)
{
	struct msg_download req;
	uint8_t body[32 + FILE_NAME_MAX];
	ssize_t n;
	int rc;

	memset(&req, 0, sizeof(req));
	req.offset = (int64_t)(g->offset + g->got);
	req.size = (int64_t)(g->size ? g->size - g->got : 0);
	str_copy(req.group, sizeof(req.group), g->id.group);
	req.name = span_of(g->id.name);
	n = msg_encode(&MSG(download), &req, body, sizeof(body));
	if (n < 0)
		return (int)n;
	rc = client_send_head(c, CMD_download_file, 0, (uint64_t)n, body,
	    (size_t)n);
	return rc < 0 ? rc : client_recv_head(c, length);
}

/* One copy. 0, or why this one will not do; *wrote: our own side failed. */
static int try_copy(struct get *g, const struct member *m, int *wrote)
{
	struct client *c;
	uint64_t length = 0;
	int rc;

	*wrote = 0;
	if (g->got > 0 && g->seekable) {
		g->got = 0;
		g->crc = 0;
		if (ftruncate(g->fd, 0) < 0 || lseek(g->fd, 0, SEEK_SET) < 0)
			return *wrote = -errno;
	}
	rc = source_connect(g->source, &m->addr, &c);
	if (rc < 0)
		return rc;
	rc = request(g, c, &length);
	if (rc == 0)
		rc = receive(g, c, length, wrote);
	source_disconnect(c);
	if (rc == EINVAL && is_empty(g, &m->addr))
		rc = 0;
	return rc;
}

static bool crc_in_id(const struct get *g)
{
	return g->id.parsed.has_record && (g->id.parsed.type == FILE_NORMAL ||
	                                      g->id.parsed.type == FILE_TRUNK);
}

/* GET_CRC_NONE when it cannot be told, _OK, _BAD. */
static enum get_crc check(struct get *g, const struct member *m)
{
	struct msg_file_info info;
	struct client *c;
	enum get_crc r = GET_CRC_NONE;

	if (g->ranged)
		return r;
	if (crc_in_id(g))
		return g->crc == g->id.parsed.id.crc &&
		               g->got == fileid_size(&g->id.parsed.id)
		           ? GET_CRC_OK
		           : GET_CRC_BAD;
	if (!g->o->verify || source_connect(g->source, &m->addr, &c) < 0)
		return r;
	if (ask_info(c, &g->id, &info) == 0)
		r = (uint32_t)info.crc == g->crc &&
		            (uint64_t)info.size == g->got
		        ? GET_CRC_OK
		        : GET_CRC_BAD;
	source_disconnect(c);
	return r;
}

static void note_failure(struct get *g, const struct member *m, int rc)
{
	char at[ADDR_TEXT_MAX];
	char words[128];

	strbuf_addf(&g->failed, "%s%s %s", g->failed.len ? "; " : "",
	    addr_text(&m->addr, at, sizeof(at)),
	    rc == ENOENT     ? "does not have it"
	    : rc == -EBADMSG ? "sent something else than its id says"
	                     : err_words(rc, words, sizeof(words)));
}

static enum status fetch_failed(const struct get *g, bool all_missing, int last)
{
	if (stop_asked())
		return stop_status();
	if (all_missing)
		return err_say((struct err){ .status = STATUS_NO,
		                   .rc = ENOENT,
		                   .subject = g->id.text },
		    "cannot get %s: there is no such file (%s)", g->id.text,
		    g->failed_text);
	if (last == EINVAL && g->ranged)
		return err_say((struct err){ .status = STATUS_NO,
		                   .rc = last,
		                   .subject = g->id.text },
		    "cannot get %s: it has no byte %" PRIu64, g->id.text,
		    g->offset);
	return err_say((struct err){ .status = last == -EBADMSG || last > 0
	                                           ? STATUS_NO
	                                           : STATUS_NO_SOURCE,
	                   .rc = last,
	                   .subject = g->id.text },
	    "cannot get %s: %s", g->id.text, g->failed_text);
}

enum status get_content(struct get *g, const struct members *copies)
{
	bool all_missing = true;
	int rc = -ENOENT;
	int wrote = 0;

	g->failed = strbuf_over(g->failed_text, sizeof(g->failed_text));
	for (size_t i = 0; i < copies->n && !stop_asked(); i++) {
		const struct member *m = &copies->items[i];

		rc = try_copy(g, m, &wrote);
		if (wrote == -EPIPE)
			return STATUS_OK; /* the reader has seen enough */
		if (wrote < 0)
			return err_say((struct err){ .status = STATUS_NO,
			                   .rc = wrote,
			                   .subject = g->id.text },
			    "cannot write %s: %s", g->path ? g->path : "it",
			    errstr(wrote));
		if (rc == 0) {
			g->result = check(g, m);
			g->from = m->addr;
			if (g->result != GET_CRC_BAD)
				return STATUS_OK;
			rc = -EBADMSG;
		}
		all_missing = all_missing && rc == ENOENT;
		note_failure(g, m, rc);
		if (rc == -EBADMSG && !g->seekable)
			break; /* what was printed stays printed */
	}
	return fetch_failed(g, all_missing, rc);
}

/* The original name, when the metadata has one that is harmless here. */
static void name_from_meta(struct get *g, const struct members *copies)
{
	struct msg_file_ref req;
	struct msg_metadata_text reply;
	struct kv_list l;
	struct client *c;

	memset(&req, 0, sizeof(req));
	str_copy(req.group, sizeof(req.group), g->id.group);
	req.name = span_of(g->id.name);
	if (source_connect(g->source, &copies->items[0].addr, &c) < 0)
		return;
	if (client_ask(c, CMD_get_metadata, &MSG(file_ref), &req,
	        &MSG(metadata_text), &reply) == 0 &&
	    kv_parse(reply.text, &l) == 0) {
		for (size_t i = 0; i < l.n; i++)
			if (span_eq(l.items[i].name, "filename"))
				get_safe_name(l.items[i].value, g->name,
				    sizeof(g->name));
		kv_list_fini(&l);
	}
	source_disconnect(c);
}

bool get_safe_name(struct span s, char *out, size_t cap)
{
	char escaped[1024];

	/* Windows clients record whole paths. */
	for (size_t i = 0; i < s.n;) {
		if (s.p[i] == '/' || s.p[i] == '\\') {
			s = (struct span){ s.p + i + 1, s.n - i - 1 };
			i = 0;
		} else {
			i++;
		}
	}
	if (s.n == 0 || s.n >= NAME_ROOM || s.n >= cap || s.p[0] == '.' ||
	    s.p[0] == '-')
		return false;
	if (str_escape(escaped, sizeof(escaped), s.p, s.n) != s.n ||
	    memcmp(escaped, s.p, s.n) != 0)
		return false;
	return str_copy_span(out, cap, s);
}

enum status get_one(struct get *g, const char *text)
{
	struct members copies = { .n = 0 };
	enum status st = fdfs_parse_id(text, &g->id);

	g->got = 0;
	g->crc = 0;
	g->result = GET_CRC_NONE;
	if (st == STATUS_OK && g->o->range) {
		st = parse_range(g, g->o->range);
		g->ranged = true;
	}
	if (st == STATUS_OK && g->o->from) {
		st = fdfs_find_storage(g->source, g->id.group, g->o->from,
		    &copies.items[0]);
		copies.n = 1;
	} else if (st == STATUS_OK) {
		st = fdfs_copies(g->source, &g->id, &copies);
	}
	if (st != STATUS_OK)
		return st;
	if (g->to_stdout)
		return get_to_stdout(g, &copies);
	str_copy_span(g->name, sizeof(g->name), g->id.parsed.file);
	if (!g->o->output)
		name_from_meta(g, &copies);
	return get_to_file(g, &copies);
}
