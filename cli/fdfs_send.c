/* SPDX-License-Identifier: MIT */
/*
 * Content on its way out. It is read through our own buffer, not sent from
 * file to socket by the kernel, because its checksum is computed on the way
 * and compared with the id that comes back.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/sum.h"
#include "cli/fdfs.h"
#include "cli/progress.h"
#include "cli/stop.h"
#include "proto/kv.h"

static enum status cannot_read(const char *path, int rc)
{
	return err_say(
	    (struct err){ .status = rc == -EACCES ? STATUS_REFUSED : STATUS_NO,
	        .rc = rc,
	        .subject = path },
	    "cannot read %s: %s", path, errstr(rc));
}

/* Everything `from` gives, in a file without a name. */
static int spool(int from, int *fd, uint64_t *size)
{
	const char *dir = getenv("TMPDIR");
	char *block;
	int to = open(dir && *dir ? dir : "/tmp",
	    O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	int rc = 0;
	ssize_t n;

	if (to < 0)
		return -errno;
	block = xcalloc(1, FDFS_BLOCK);
	*size = 0;
	while (rc == 0 && (n = read(from, block, FDFS_BLOCK)) != 0) {
		if (n < 0 && errno == EINTR && !stop_asked())
			continue;
		rc = n < 0 ? -errno : fs_write_all(to, block, (size_t)n);
		*size += n > 0 ? (uint64_t)n : 0;
	}
	free(block);
	if (rc < 0) {
		close(to);
		return rc;
	}
	*fd = to;
	return 0;
}

enum status fdfs_open_input(const char *path, int *fd, uint64_t *size)
{
	const bool is_stdin = strcmp(path, "-") == 0;
	struct stat st = { .st_size = 0 };
	int from = is_stdin ? dup(STDIN_FILENO)
	                    : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int rc = 0;

	*fd = -1;
	if (from < 0 || fstat(from, &st) < 0)
		rc = -errno;
	else if (S_ISDIR(st.st_mode))
		rc = -EISDIR;
	if (rc == 0 && S_ISREG(st.st_mode) && lseek(from, 0, SEEK_CUR) == 0) {
		*fd = from;
		*size = (uint64_t)st.st_size;
		return STATUS_OK;
	}
	if (rc == 0)
		rc = spool(from, fd, size);
	if (from >= 0)
		close(from);
	if (stop_asked())
		return stop_status();
	return rc < 0 ? cannot_read(is_stdin ? "standard input" : path, rc)
	              : STATUS_OK;
}

/* Up to n bytes, short only at the end, or -errno. */
static ssize_t read_stream(int fd, char *block, size_t n)
{
	size_t got = 0;

	while (got < n) {
		const ssize_t r = read(fd, block + got, n - got);

		if (r < 0 && errno == EINTR && !stop_asked())
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			break;
		got += (size_t)r;
	}
	return (ssize_t)got;
}

/* The next n bytes, after done of them. The last block of a stream goes only
 * when nothing follows it. */
static int read_block(const struct fdfs_upload *u, char *block, size_t n,
    uint64_t done)
{
	char more;
	ssize_t got = u->stream ? read_stream(u->fd, block, n)
	                        : fs_pread_all(u->fd, block, n, (off_t)done);

	if (got < 0)
		return (int)got;
	if ((size_t)got < n)
		return -ESTALE;
	if (!u->stream || done + n < u->size)
		return 0;
	got = read_stream(u->fd, &more, 1);
	return got > 0 ? -EOVERFLOW : (int)got;
}

static int send_content(struct client *c, struct fdfs_upload *u)
{
	char *block = xcalloc(1, FDFS_BLOCK);
	struct progress p;
	uint64_t done = 0;
	int rc = 0;

	progress_bytes(&p, u->label, u->size, u->quiet);
	while (done < u->size) {
		const size_t want =
		    (size_t)(u->size - done < FDFS_BLOCK ? u->size - done
		                                         : FDFS_BLOCK);

		rc = read_block(u, block, want, done);
		if (rc < 0)
			break;
		u->crc = sum_crc32(u->crc, block, want);
		rc = client_send(c, block, want);
		if (rc < 0)
			break;
		done += want;
		progress_at(&p, done);
	}
	progress_end(&p);
	free(block);
	return rc;
}

int fdfs_send(struct client *c, struct fdfs_upload *u)
{
	uint8_t head[512];
	const ssize_t n = msg_encode(u->message, u->in, head, sizeof(head));
	int rc;

	u->crc = 0;
	if (n < 0)
		return (int)n;
	/* The head of an empty file is all of its upload. */
	rc = u->stream && u->size == 0 ? read_block(u, NULL, 0, 0) : 0;
	if (rc < 0)
		return rc;
	rc = client_send_head(c, u->command, 0, (uint64_t)n + u->size, head,
	    (size_t)n);
	if (rc == 0)
		rc = send_content(c, u);
	/* A storage that refuses says so before it has read everything, and
	 * its closing is what stopped us: the answer may still be there. */
	if (rc == -EPIPE || rc == -ECONNRESET) {
		const int said = client_recv_head(c, &u->reply_length);

		return said > 0 ? said : rc;
	}
	return rc < 0 ? rc : client_recv_head(c, &u->reply_length);
}

static enum status bad_pair(const char *text, const char *why)
{
	return err_usage("write --meta KEY=VALUE", "metadata \"%s\": %s", text,
	    why);
}

static enum status check_pair(const char *text, struct kv *out)
{
	const char *eq = strchr(text, '=');

	if (!eq)
		return bad_pair(text, "there is no =");
	out->name = (struct span){ text, (size_t)(eq - text) };
	out->value = span_of(eq + 1);
	if (out->name.n == 0)
		return bad_pair(text, "the key is empty");
	if (out->name.n > KV_NAME_MAX)
		return bad_pair(text, "the key is longer than 64 bytes");
	if (out->value.n > KV_VALUE_MAX)
		return bad_pair(text, "the value is longer than 256 bytes");
	if (strpbrk(text, "\x01\x02"))
		return bad_pair(text,
		    "bytes 1 and 2 separate metadata and cannot be in it");
	return STATUS_OK;
}

enum status fdfs_pack_meta(const struct opt_list *pairs, const char *name,
    char **text, size_t *n)
{
	struct kv_list l = { xcalloc(pairs->n + 1, sizeof(struct kv)), 0 };
	enum status st = STATUS_OK;

	*text = NULL;
	*n = 0;
	for (size_t i = 0; i < pairs->n && st == STATUS_OK; i++)
		st = check_pair(pairs->items[i], &l.items[l.n++]);
	if (st == STATUS_OK && name) {
		l.items[l.n].name = span_of("filename");
		l.items[l.n++].value = span_of(name);
	}
	if (st == STATUS_OK && l.n > 0) {
		kv_sort(&l);
		*n = kv_packed_size(&l);
		*text = xcalloc(*n + 1, 1);
		kv_pack(&l, *text);
	}
	kv_list_fini(&l);
	return st;
}

int fdfs_set_meta(struct client *c, const struct fid *id, char flag,
    struct span packed)
{
	struct msg_set_metadata req;
	const size_t cap = 33 + FILE_NAME_MAX + packed.n;
	uint8_t *body = xcalloc(cap, 1);
	uint64_t length;
	ssize_t n;
	int rc;

	memset(&req, 0, sizeof(req));
	req.flag = (uint8_t)flag;
	str_copy(req.group, sizeof(req.group), id->group);
	req.name = span_of(id->name);
	req.meta = packed;
	n = msg_encode(&MSG(set_metadata), &req, body, cap);
	rc = n < 0 ? (int)n
	           : client_send_head(c, CMD_set_metadata, 0, (uint64_t)n, body,
	                 (size_t)n);
	free(body);
	return rc < 0 ? rc : client_recv_head(c, &length);
}
