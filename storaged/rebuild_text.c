/* SPDX-License-Identifier: MIT */
/* The texts of disk recovery and the decision whether it is needed. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "proto/fileid.h"
#include "storaged/rebuild_impl.h"

/* Cuts the text before the next space off. */
static struct span cut(struct span *s)
{
	const char *space = s->n ? memchr(s->p, ' ', s->n) : NULL;
	struct span word = { s->p, space ? (size_t)(space - s->p) : s->n };
	size_t used = word.n + (space ? 1 : 0);

	s->p += used;
	s->n -= used;
	return word;
}

static bool is_wanted(struct span op)
{
	return op.n == 1 && strchr("CcLl", op.p[0]) != NULL;
}

/* "Mpp/HH/LL/file" and nothing that leaves the directory. */
static bool is_name(struct span name, unsigned path)
{
	struct fileid_name fn;

	return name.n > 0 && name.n <= REBUILD_NAME_MAX && name.p[0] == 'M' &&
	       fileid_parse(name, &fn) == 0 && fn.path == path;
}

int rebuild_parse_line(struct span line, unsigned path,
    struct rebuild_line *out)
{
	struct span left = line;
	struct span time = cut(&left);
	struct span op = cut(&left);
	struct span name = cut(&left);
	char digits[24];

	if (!str_copy_span(digits, sizeof(digits), time) ||
	    str_to_i64(digits, &out->time) < 0 || out->time < 0 ||
	    !is_wanted(op) || !is_name(name, path) ||
	    !str_copy_span(out->name, sizeof(out->name), name))
		return -EBADMSG;
	return 0;
}

int rebuild_parse_flag(const char *text, struct rebuild_flag *out)
{
	static const char *const keys[] = { "saved_storage_status=",
		"fetch_binlog_done=", "recovery_threads=" };
	int64_t values[ARRAY_LEN(keys)] = { -1, 0, 1 };
	char number[24];

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		const char *at = strstr(text, keys[i]);
		size_t n;

		if (!at)
			continue;
		at += strlen(keys[i]);
		n = strcspn(at, "\r\n");
		if (!str_copy_span(number, sizeof(number),
		        (struct span){ at, n }) ||
		    str_to_i64(number, &values[i]) < 0)
			return -EBADMSG;
	}
	if (values[2] > 256)
		return -EBADMSG;
	/* 99 and -1: FastDFS had not asked anybody, nor begun. */
	out->saved_status =
	    values[0] >= 0 && values[0] < 99 ? (int)values[0] : -1;
	out->listed = values[1] == 1;
	out->lists = values[2] < 1 ? 1 : (unsigned)values[2];
	return 0;
}

size_t rebuild_print_flag(const struct rebuild_flag *f, char *out, size_t cap)
{
	int n = snprintf(out, cap,
	    "saved_storage_status=%d\nfetch_binlog_done=%d\n"
	    "recovery_threads=%u\n",
	    f->saved_status, f->listed, f->lists);

	return n > 0 && (size_t)n < cap ? (size_t)n : 0;
}

static bool has_dir(int data_fd, unsigned high, unsigned low)
{
	char name[24];
	struct stat sb;

	snprintf(name, sizeof(name), "%02X/%02X", high, low);
	return fstatat(data_fd, name, &sb, 0) == 0 && S_ISDIR(sb.st_mode);
}

bool rebuild_is_missing(int data_fd, unsigned subdirs)
{
	const unsigned max = subdirs - 1;

	if (!has_dir(data_fd, 0, 0))
		return true;
	return !has_dir(data_fd, max, max) && has_dir(data_fd, 0, max);
}
