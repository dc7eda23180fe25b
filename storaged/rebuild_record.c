/* SPDX-License-Identifier: MIT */
/*
 * Rows for what a recovery has brought and the catalogue does not know: files
 * that members got while this storage was away. Their operations follow, but
 * are answered "there already" then and leave no row. The rows are replicas:
 * nobody is sent them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/sum.h"
#include "meta/walk.h"
#include "storaged/change.h"
#include "storaged/rebuild_impl.h"

struct recorder {
	struct rebuild *rb;
	struct db *catalogue;
	struct rebuild_line line;
};

static int append_row(const struct recorder *r, struct op_write *w)
{
	op_write_init(w);
	w->op.at = clock_wall();
	w->op.source_time = r->line.time;
	w->op.replica = true;
	return writer_call(r->rb->st->log, &w->write);
}

static int open_file(const struct recorder *r)
{
	char file[FILEID_DISK_MAX];
	struct fileid_name fn;

	if (fileid_parse(span_of(r->line.name), &fn) < 0 ||
	    fileid_disk_path(&fn, "", file, sizeof(file)) < 0)
		return -ENOENT;
	const int fd = openat(r->rb->path->data_fd, file,
	    O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? -errno : fd;
}

static int record_meta(const struct recorder *r, int fd, size_t n)
{
	const struct span name = fileid_owner(span_of(r->line.name));
	struct op_write w = { .op.code = OP_SET_META };
	struct walk_file known;
	char *text;
	ssize_t got;
	int rc;

	rc = walk_find(r->catalogue, name, &known);
	if (rc == 0 && known.has_meta)
		return 0;
	if ((rc < 0 && rc != -ENOENT) || n > ATTR_MAX)
		return rc == -ENOENT ? 0 : rc;
	text = xcalloc(1, n + 1);
	got = fs_pread_all(fd, text, n, 0);
	w.op.name = name;
	w.op.bytes = (uint64_t)got;
	w.op.extra = (struct span){ text, (size_t)got };
	rc = got < 0 ? (int)got : append_row(r, &w);
	free(text);
	return rc;
}

static int record_content(const struct recorder *r, int fd, uint64_t size)
{
	struct op_write w = { .op = { .code = OP_CREATE, .size = size } };
	struct walk_file known = { .size = 0 };
	int rc = walk_find(r->catalogue, span_of(r->line.name), &known);

	if ((rc == 0 && known.size == size) || (rc < 0 && rc != -ENOENT))
		return rc;
	w.op.name = span_of(r->line.name);
	if (rc == 0) {
		w.op.code = OP_TRUNCATE;
		w.op.offset = known.size;
		return append_row(r, &w);
	}
	w.op.bytes = size;
	rc = fs_crc32(fd, &w.op.crc, &size);
	return rc < 0 ? rc : append_row(r, &w);
}

static int record_line(const struct recorder *r)
{
	struct stat sb;
	int fd = open_file(r);
	int rc;

	if (fd < 0)
		return fd == -ENOENT || fd == -ELOOP ? 0 : fd;
	rc = fstat(fd, &sb) < 0 ? -errno : 0;
	if (rc == 0 && fileid_is_side(span_of(r->line.name)))
		rc = record_meta(r, fd, (size_t)sb.st_size);
	else if (rc == 0)
		rc = record_content(r, fd, (uint64_t)sb.st_size);
	close(fd);
	return rc;
}

static int record_list(struct recorder *r, FILE *list)
{
	char text[REBUILD_LINE_MAX];
	int rc = 0;

	while (rc == 0 && fgets(text, sizeof(text), list)) {
		const struct span s = { text, strcspn(text, "\r\n") };

		if (rebuild_parse_line(s, r->rb->path->index, &r->line) == 0)
			rc = record_line(r);
		if (rc == 0 && rebuild_stopped(r->rb))
			rc = -ECANCELED;
	}
	return rc;
}

int rebuild_record_files(struct rebuild *rb, struct db *catalogue, unsigned k)
{
	struct recorder r = { .rb = rb, .catalogue = catalogue };
	char name[REBUILD_FILE_MAX];
	char path[4096];
	FILE *list;
	int rc;

	snprintf(name, sizeof(name), REBUILD_LIST, k);
	snprintf(path, sizeof(path), "%s/data/%s", rb->path->dir, name);
	list = fopen(path, "re");
	if (!list)
		return errno == ENOENT ? 0 : -errno;
	rc = record_list(&r, list);
	(void)fclose(list);
	return rc < 0 && rc != -ECANCELED
	           ? rebuild_say(rb, rc, "what came cannot be recorded")
	           : rc;
}
