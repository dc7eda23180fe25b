/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "cli/binlog.h"

static void file_of(const char *sync, unsigned index, const char *tail,
    char out[BINLOG_PATH_MAX])
{
	struct strbuf b = strbuf_over(out, BINLOG_PATH_MAX);

	strbuf_addf(&b, "%s/binlog.%03u%s", sync, index, tail);
}

static bool exists(const char *path)
{
	return access(path, F_OK) == 0;
}

/* --- peers --------------------------------------------------------------- */

static int read_peer(const char *sync, struct binlog_peer *p, char *err,
    size_t cap)
{
	char path[BINLOG_PATH_MAX];
	char *text = NULL;
	const char *missing = "";
	struct strbuf b = strbuf_over(path, sizeof(path));
	ssize_t n;
	int rc;

	strbuf_addf(&b, "%s/%s", sync, p->file);
	n = fs_read_file(path, 65536, &text);
	if (n < 0) {
		snprintf(err, cap, "cannot read %s: %s", path, errstr((int)n));
		return (int)n;
	}
	rc = binlog_mark_parse((struct span){ text, (size_t)n }, &p->mark,
	    &missing);
	if (rc < 0)
		snprintf(err, cap,
		    "%s says no usable %s; move the file away, and the peer "
		    "is filled anew",
		    path, missing);
	free(text);
	return rc;
}

/* "<ip>_<port>.mark" or "<id>.mark". */
static bool is_mark(const char *file, struct binlog_peer *p)
{
	const size_t n = strlen(file);
	const char *bar = strrchr(file, '_');
	size_t id = n - 5;

	if (n <= 5 || n >= sizeof(p->file) ||
	    strcmp(file + n - 5, ".mark") != 0)
		return false;
	memset(p, 0, sizeof(*p));
	p->has_port = bar && bar > file;
	if (p->has_port)
		id = (size_t)(bar - file);
	str_copy(p->file, sizeof(p->file), file);
	return str_copy_span(p->id, sizeof(p->id), (struct span){ file, id });
}

static int by_id(const void *a, const void *b)
{
	return strcmp(((const struct binlog_peer *)a)->id,
	    ((const struct binlog_peer *)b)->id);
}

ssize_t binlog_peers(const char *sync, struct binlog_peer **out, char *err,
    size_t cap)
{
	DIR *d = opendir(sync);
	const struct dirent *e;
	size_t n = 0;
	int rc = 0;

	*out = NULL;
	if (!d && errno == ENOENT)
		return 0;
	if (!d) {
		rc = -errno;
		snprintf(err, cap, "cannot read %s: %s", sync, errstr(rc));
		return rc;
	}
	while (rc == 0 && (e = readdir(d)) != NULL) {
		struct binlog_peer p;

		if (!is_mark(e->d_name, &p))
			continue;
		rc = read_peer(sync, &p, err, cap);
		*out = xrealloc(*out, n + 1, sizeof(**out));
		(*out)[n++] = p;
	}
	closedir(d);
	if (rc < 0) {
		free(*out);
		*out = NULL;
		return rc;
	}
	if (n > 1)
		qsort(*out, n, sizeof(**out), by_id);
	return (ssize_t)n;
}

/* --- reading ------------------------------------------------------------- */

/* The number after `key`= in a small file, or the file's bare number. */
static bool number_in(const char *sync, const char *file, const char *key,
    unsigned *out)
{
	char path[BINLOG_PATH_MAX];
	char *text = NULL;
	struct strbuf b = strbuf_over(path, sizeof(path));
	const char *at;
	char *end;
	unsigned long n;

	strbuf_addf(&b, "%s/%s", sync, file);
	if (fs_read_file(path, 4096, &text) < 0)
		return false;
	at = strstr(text, key);
	n = at ? strtoul(at + strlen(key), &end, 10) : 0;
	if (at && end == at + strlen(key))
		at = NULL;
	if (at && n <= 999)
		*out = (unsigned)n;
	free(text);
	return at != NULL && n <= 999;
}

bool binlog_current(const char *sync, unsigned *index)
{
	char path[BINLOG_PATH_MAX];

	*index = 0;
	if (number_in(sync, "binlog_index.dat", "current_write=", index) ||
	    number_in(sync, "binlog.index", "", index))
		return true;
	file_of(sync, 0, "", path);
	return exists(path);
}

struct source_file {
	FILE *f;
	pid_t child; /* gzip, or 0 */
};

static int open_packed(const char *path, struct source_file *s)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	s->child = fork();
	if (s->child == 0) {
		dup2(ends[1], STDOUT_FILENO);
		execlp("gzip", "gzip", "-dc", "--", path, (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	if (s->child < 0) {
		const int rc = -errno;

		close(ends[0]);
		s->child = 0;
		return rc;
	}
	s->f = fdopen(ends[0], "r");
	return 0;
}

static int open_file(const char *sync, unsigned index, struct source_file *s,
    char path[BINLOG_PATH_MAX])
{
	*s = (struct source_file){ NULL, 0 };
	file_of(sync, index, "", path);
	s->f = fopen(path, "re");
	if (s->f)
		return 0;
	if (errno != ENOENT)
		return -errno;
	file_of(sync, index, ".gz", path);
	return exists(path) ? open_packed(path, s) : -ENOENT;
}

/* 0, or -EIO when gzip could not read it. early: not read to its end. */
static int close_file(struct source_file *s, bool early)
{
	int status = 0;
	int rc = ferror(s->f) ? -EIO : 0;

	fclose(s->f);
	if (s->child > 0 && waitpid(s->child, &status, 0) == s->child &&
	    !early && !(WIFEXITED(status) && WEXITSTATUS(status) == 0))
		rc = -EIO;
	return rc;
}

static int skip(FILE *f, uint64_t n)
{
	char block[4096];

	if (n == 0 || fseeko(f, (off_t)n, SEEK_SET) == 0)
		return 0;
	while (n > 0) {
		const size_t want = size_min(sizeof(block), (size_t)n);
		const size_t got = fread(block, 1, want, f);

		if (got == 0)
			return 0; /* the mark is behind the end */
		n -= got;
	}
	return 0;
}

/* The lines of one file from at->offset; at moves behind the last whole one. */
static int read_lines(FILE *f, const struct binlog_reader *r,
    struct binlog_pos *at, bool last)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	int rc = 0;

	while (rc == 0 && (n = getline(&line, &cap, f)) > 0) {
		struct binlog_line l;
		const bool whole = line[n - 1] == '\n';
		const struct span text = { line, (size_t)n - whole };

		if (!whole && last)
			break; /* cut off by a crash */
		rc = r->each(r->arg, at,
		    whole && binlog_parse(text, &l) == 0 ? &l : NULL);
		at->offset += (uint64_t)n;
	}
	free(line);
	return rc;
}

int binlog_read(const char *sync, const struct binlog_pos *from,
    const struct binlog_reader *r, struct binlog_pos *end, char *err,
    size_t cap)
{
	unsigned current;
	int rc = 0;

	*end = *from;
	if (!binlog_current(sync, &current))
		return 0;
	for (unsigned i = from->index; rc == 0 && i <= current; i++) {
		char path[BINLOG_PATH_MAX];
		struct source_file s;
		int closed;

		*end = (struct binlog_pos){ i,
			i == from->index ? from->offset : 0 };
		rc = open_file(sync, i, &s, path);
		if (rc == -ENOENT && i == current && i > from->index)
			return 0; /* named before it was made */
		if (rc < 0) {
			file_of(sync, i, "", path);
			snprintf(err, cap, "cannot read %s: %s", path,
			    errstr(rc));
			return rc;
		}
		skip(s.f, end->offset);
		rc = read_lines(s.f, r, end, i == current);
		closed = close_file(&s, rc != 0);
		if (rc == 0 && closed < 0) {
			rc = closed;
			snprintf(err, cap, "cannot read %s: %s", path,
			    s.child ? "gzip -dc failed" : errstr(rc));
		}
	}
	return rc;
}

/* --- writing ------------------------------------------------------------- */

static int open_to_write(struct binlog_writer *w, int flags)
{
	char path[BINLOG_PATH_MAX];

	file_of(w->sync, w->at.index, "", path);
	w->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | flags, 0644);
	return w->fd < 0 ? -errno : 0;
}

/* Where the last whole line ends. */
static int whole_size(int fd, uint64_t *size)
{
	struct stat st;
	char c = '\n';
	off_t end;

	if (fstat(fd, &st) < 0)
		return -errno;
	for (end = st.st_size; end > 0; end--) {
		if (fs_pread_all(fd, &c, 1, end - 1) < 0)
			return -EIO;
		if (c == '\n')
			break;
	}
	*size = (uint64_t)end;
	return 0;
}

int binlog_end(const char *sync, struct binlog_pos *end)
{
	char path[BINLOG_PATH_MAX];
	int rc;
	int fd;

	*end = (struct binlog_pos){ 0, 0 };
	if (!binlog_current(sync, &end->index))
		return 0;
	file_of(sync, end->index, "", path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	rc = whole_size(fd, &end->offset);
	close(fd);
	return rc;
}

static int write_index(const struct binlog_writer *w)
{
	char path[BINLOG_PATH_MAX];
	char text[80];
	unsigned packed = 0;
	struct strbuf b = strbuf_over(path, sizeof(path));
	int n;

	(void)number_in(w->sync, "binlog_index.dat",
	    "current_compress=", &packed);
	strbuf_addf(&b, "%s/binlog_index.dat", w->sync);
	n = snprintf(text, sizeof(text),
	    "current_write=%u\ncurrent_compress=%u\n", w->at.index, packed);
	return fs_replace_file(path, text, (size_t)n, true);
}

int binlog_cut(const char *sync, const struct binlog_pos *at)
{
	struct binlog_writer w;
	char path[BINLOG_PATH_MAX];
	unsigned current;

	if (!binlog_current(sync, &current))
		return 0;
	for (unsigned i = at->index + 1; i <= current; i++) {
		file_of(sync, i, "", path);
		if (unlink(path) < 0 && errno != ENOENT)
			return -errno;
	}
	file_of(sync, at->index, "", path);
	if (truncate(path, (off_t)at->offset) < 0 && errno != ENOENT)
		return -errno;
	memset(&w, 0, sizeof(w));
	str_copy(w.sync, sizeof(w.sync), sync);
	w.at = *at;
	return write_index(&w);
}

int binlog_append_open(struct binlog_writer *w, const char *sync, char *err,
    size_t cap)
{
	int rc;

	memset(w, 0, sizeof(*w));
	w->fd = -1;
	w->file_size = BINLOG_FILE_SIZE;
	str_copy(w->sync, sizeof(w->sync), sync);
	rc = fs_make_dirs(sync);
	(void)binlog_current(sync, &w->at.index);
	if (rc == 0)
		rc = open_to_write(w, 0);
	if (rc == 0)
		rc = whole_size(w->fd, &w->at.offset);
	if (rc == 0 && ftruncate(w->fd, (off_t)w->at.offset) < 0)
		rc = -errno;
	if (rc == 0 && lseek(w->fd, (off_t)w->at.offset, SEEK_SET) < 0)
		rc = -errno;
	if (rc < 0) {
		snprintf(err, cap, "cannot write the binlog in %s: %s", sync,
		    errstr(rc));
		if (w->fd >= 0)
			close(w->fd);
		w->fd = -1;
	}
	return rc;
}

static int flush(struct binlog_writer *w)
{
	const int rc = w->n ? fs_write_all(w->fd, w->buf, w->n) : 0;

	w->n = 0;
	return rc;
}

/* The next number, in a file that is new. */
static int rotate(struct binlog_writer *w)
{
	int rc = flush(w);

	if (rc == 0 && fsync(w->fd) < 0)
		rc = -errno;
	if (rc < 0)
		return rc;
	close(w->fd);
	w->at = (struct binlog_pos){ w->at.index + 1, 0 };
	rc = open_to_write(w, O_TRUNC);
	return rc < 0 ? rc : write_index(w);
}

int binlog_append(struct binlog_writer *w, const struct binlog_line *l)
{
	char line[BINLOG_LINE_MAX + 1];
	const ssize_t n = binlog_format(l, line, sizeof(line));
	int rc = 0;

	if (n < 0)
		return (int)n;
	if (w->at.offset >= w->file_size)
		rc = rotate(w);
	if (rc == 0 && w->n + (size_t)n > sizeof(w->buf))
		rc = flush(w);
	if (rc < 0)
		return rc;
	memcpy(w->buf + w->n, line, (size_t)n);
	w->n += (size_t)n;
	w->at.offset += (uint64_t)n;
	w->lines++;
	return 0;
}

int binlog_append_close(struct binlog_writer *w)
{
	int rc;

	if (w->fd < 0)
		return 0;
	rc = flush(w);
	if (rc == 0 && fsync(w->fd) < 0)
		rc = -errno;
	close(w->fd);
	w->fd = -1;
	return rc < 0 ? rc : write_index(w);
}
