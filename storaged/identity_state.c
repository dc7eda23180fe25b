/* SPDX-License-Identifier: MIT */
/*
 * The state files of FastDFS, so that a directory can be taken over and given
 * back (cluster-protocol 7.1, 7.2). .data_init_flag is read, changed and
 * replaced as a whole under the identity's lock.
 *
 * The mark of a store path is base64 of 56 bytes: ip text 46, port 2 (little
 * endian), index 1, zeros 3, creation time 4 (little endian).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "storaged/identity.h"

#define FLAG_MAX  65536
#define MARK_SIZE 56
#define MARK_TEXT 75
#define PATH_ROOM 4096
#define IPS_TEXT  ((size_t)2 * ADDR_IP_MAX)
#define KEY_MARK  "store_path_mark"

enum { HAVE_JOIN_TIME = 1, HAVE_OLD_DONE = 2, HAVE_SRC = 4, HAVE_ALL = 7 };

struct flag {
	unsigned have;
	int64_t join_time, old_done, until;
	char src[17];
	char last_ips[IPS_TEXT];
	int64_t last_port;
	/* of a trunk storage; kept for whoever understands them */
	int64_t trunk_file, trunk_time, trunk_stage;
	char marks[MAX_STORE_PATHS][MARK_TEXT + 1];
};

/* --- base64 with the alphabet of file names --- */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "abcdefghijklmnopqrstuvwxyz0123456789-_";

static void mark_encode(const uint8_t in[MARK_SIZE], char out[MARK_TEXT + 1])
{
	uint32_t bits = 0;
	unsigned have = 0;
	size_t n = 0;

	for (size_t i = 0; i < MARK_SIZE; i++) {
		bits = bits << 8 | in[i];
		for (have += 8; have >= 6; have -= 6)
			out[n++] = alphabet[bits >> (have - 6) & 63];
	}
	out[n++] = alphabet[bits << (6 - have) & 63];
	out[n] = 0;
}

static int mark_decode(const char *text, uint8_t out[MARK_SIZE])
{
	uint32_t bits = 0;
	unsigned have = 0;
	size_t n = 0;

	if (strlen(text) != MARK_TEXT)
		return -EINVAL;
	for (size_t i = 0; i < MARK_TEXT; i++) {
		const char *at = strchr(alphabet, text[i]);

		if (!at)
			return -EINVAL;
		bits = bits << 6 | (uint32_t)(at - alphabet);
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[n++] = (uint8_t)(bits >> have);
		}
	}
	return 0;
}

static void mark_make(const struct identity *id,
    const struct storage_conf *conf, size_t index, char out[MARK_TEXT + 1])
{
	uint8_t m[MARK_SIZE] = { 0 };
	uint32_t now = (uint32_t)clock_wall_sec();

	addr_ip(&id->ips[0], (char *)m, ADDR_IP_MAX);
	m[46] = (uint8_t)conf->port;
	m[47] = (uint8_t)(conf->port >> 8);
	m[48] = (uint8_t)index;
	for (unsigned i = 0; i < 4; i++)
		m[52 + i] = (uint8_t)(now >> (8 * i));
	mark_encode(m, out);
}

/* --- .data_init_flag --- */

struct flag_number {
	const char *key;
	size_t offset;
	unsigned have;
};

struct flag_text {
	const char *key;
	size_t offset;
	size_t cap;
	unsigned have;
};

static const struct flag_number numbers[] = {
	{ "storage_join_time", offsetof(struct flag, join_time),
	    HAVE_JOIN_TIME },
	{ "sync_old_done", offsetof(struct flag, old_done), HAVE_OLD_DONE },
	{ "sync_until_timestamp", offsetof(struct flag, until), 0 },
	{ "last_server_port", offsetof(struct flag, last_port), 0 },
	{ "current_trunk_file_id", offsetof(struct flag, trunk_file), 0 },
	{ "trunk_last_compress_time", offsetof(struct flag, trunk_time), 0 },
	{ "trunk_binlog_compress_stage", offsetof(struct flag, trunk_stage),
	    0 },
};

static const struct flag_text texts[] = {
	{ "sync_src_server", offsetof(struct flag, src), 17, HAVE_SRC },
	{ "last_ip_addr", offsetof(struct flag, last_ips), IPS_TEXT, 0 },
};

static int take_mark(struct flag *f, const char *index, const char *value)
{
	uint64_t i;

	if (str_to_u64(index, &i) < 0 || i >= MAX_STORE_PATHS)
		return 0;
	return str_copy(f->marks[i], sizeof(f->marks[i]), value) ? 0 : -EINVAL;
}

static int take_pair(struct flag *f, const char *key, const char *value)
{
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		if (strcmp(key, numbers[i].key) != 0)
			continue;
		f->have |= numbers[i].have;
		return str_to_i64(value,
		    (int64_t *)(void *)((char *)f + numbers[i].offset));
	}
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		if (strcmp(key, texts[i].key) != 0)
			continue;
		f->have |= texts[i].have;
		return str_copy((char *)f + texts[i].offset, texts[i].cap,
		           value)
		           ? 0
		           : -EINVAL;
	}
	if (strncmp(key, KEY_MARK, sizeof(KEY_MARK) - 1) == 0)
		return take_mark(f, key + sizeof(KEY_MARK) - 1, value);
	return 0;
}

static void flag_path(const struct storage_conf *conf, char out[PATH_ROOM])
{
	snprintf(out, PATH_ROOM, "%s/data/.data_init_flag", conf->base_path);
}

/* 0, -ENOENT, -EBADMSG, or -errno. */
static int flag_read(const struct storage_conf *conf, struct flag *f)
{
	char path[PATH_ROOM];
	char *text;
	char *save = NULL;
	ssize_t n;
	int rc = 0;

	memset(f, 0, sizeof(*f));
	flag_path(conf, path);
	n = fs_read_file(path, FLAG_MAX, &text);
	if (n < 0)
		return (int)n;
	for (char *line = strtok_r(text, "\r\n", &save); line && rc == 0;
	     line = strtok_r(NULL, "\r\n", &save)) {
		char *value = strchr(line, '=');

		if (!value)
			continue;
		*value++ = 0;
		rc = take_pair(f, str_trim(line), str_trim(value));
	}
	free(text);
	return rc < 0 || f->have != HAVE_ALL ? -EBADMSG : 0;
}

static int flag_write(const struct storage_conf *conf, const struct flag *f)
{
	char path[PATH_ROOM];
	char *buf = xcalloc(FLAG_MAX, 1);
	struct strbuf b = strbuf_over(buf, FLAG_MAX);
	int rc;

	flag_path(conf, path);
	strbuf_addf(&b, "storage_join_time=%" PRId64 "\n", f->join_time);
	strbuf_addf(&b, "sync_old_done=%d\n", f->old_done != 0);
	strbuf_addf(&b, "sync_src_server=%s\n", f->src);
	strbuf_addf(&b, "sync_until_timestamp=%" PRId64 "\n", f->until);
	strbuf_addf(&b, "last_ip_addr=%s\n", f->last_ips);
	strbuf_addf(&b, "last_server_port=%" PRId64 "\n", f->last_port);
	strbuf_addf(&b, "current_trunk_file_id=%" PRId64 "\n", f->trunk_file);
	strbuf_addf(&b, "trunk_last_compress_time=%" PRId64 "\n",
	    f->trunk_time);
	strbuf_addf(&b, "trunk_binlog_compress_stage=%" PRId64 "\n",
	    f->trunk_stage);
	for (size_t i = 0; i < MAX_STORE_PATHS; i++) {
		if (f->marks[i][0])
			strbuf_addf(&b, KEY_MARK "%zu=%s\n", i, f->marks[i]);
	}
	rc = fs_replace_file(path, buf, b.len, true);
	free(buf);
	return rc;
}

/* --- the marks of the store paths --- */

struct marks {
	const struct identity *id;
	const struct storage_conf *conf;
	struct flag *flag;
	char *err;
	size_t cap;
};

static ATTR_PRINTF(3, 4) int refuse(const struct marks *m, int rc,
    const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(m->err, m->cap, fmt, args);
	va_end(args);
	return rc;
}

/* The mark in the path's file; "" when there is none. */
static int mark_read(const char *path, char *out, size_t cap)
{
	char *text;
	ssize_t n = fs_read_file(path, FLAG_MAX, &text);
	char *value;

	out[0] = 0;
	if (n < 0)
		return n == -ENOENT ? 0 : (int)n;
	value = strstr(text, KEY_MARK "=");
	if (value) {
		value += sizeof(KEY_MARK);
		value[strcspn(value, "\r\n")] = 0;
		str_copy(out, cap, str_trim(value));
	}
	free(text);
	return 0;
}

static int mark_foreign(const struct marks *m, size_t i, const char *mark)
{
	const char *dir = m->conf->store_paths[i];
	uint8_t raw[MARK_SIZE];
	char ip[ADDR_IP_MAX];

	if (mark_decode(mark, raw) < 0)
		return refuse(m, -EEXIST,
		    "store_path%zu = %s belongs to another storage; mount the "
		    "right disk, or remove %s/data/.fastdfs_vars to take the "
		    "path over",
		    i, dir, dir);
	str_copy_span(ip, sizeof(ip),
	    (struct span){ (char *)raw, strnlen((char *)raw, ADDR_IP_MAX) });
	return refuse(m, -EEXIST,
	    "store_path%zu = %s belongs to storage %s:%u as its store_path%u; "
	    "mount the right disk or correct the order, or remove "
	    "%s/data/.fastdfs_vars to take the path over",
	    i, dir, ip, (unsigned)raw[46] | (unsigned)raw[47] << 8, raw[48],
	    dir);
}

static int mark_write(const struct marks *m, size_t i, const char *path)
{
	char line[MARK_TEXT + 32];
	int rc;

	if (!m->flag->marks[i][0])
		mark_make(m->id, m->conf, i, m->flag->marks[i]);
	snprintf(line, sizeof(line), KEY_MARK "=%s\n", m->flag->marks[i]);
	rc = fs_replace_file(path, line, strlen(line), true);
	if (rc == -EROFS && m->conf->path_readonly[i]) {
		m->flag->marks[i][0] = 0;
		return 0;
	}
	return rc;
}

static int mark_check(const struct marks *m, size_t i)
{
	const char *dir = m->conf->store_paths[i];
	const char *known = m->flag->marks[i];
	char path[PATH_ROOM];
	char mark[256];
	int rc;

	snprintf(path, sizeof(path), "%s/data", dir);
	rc = fs_make_dirs(path);
	if (rc < 0)
		return refuse(m, rc, "cannot make %s: %s", path, errstr(rc));
	snprintf(path, sizeof(path), "%s/data/.fastdfs_vars", dir);
	rc = mark_read(path, mark, sizeof(mark));
	if (rc == 0 && mark[0])
		return strcmp(mark, known) == 0 ? 0 : mark_foreign(m, i, mark);
	if (rc == 0)
		rc = mark_write(m, i, path);
	if (rc < 0)
		return refuse(m, rc, "%s: %s", path, errstr(rc));
	return 0;
}

/* --- public --- */

static void print_ips(const struct identity *id, char *out, size_t cap)
{
	struct strbuf b = strbuf_over(out, cap);
	char text[ADDR_IP_MAX];

	for (size_t i = 0; i < id->n_ips; i++)
		strbuf_addf(&b, "%s%s", i ? "," : "",
		    addr_ip(&id->ips[i], text, sizeof(text)));
}

/* A source remembered by address, while storages have ids by now. */
static void source_to_id(const struct identity *id, struct flag *f)
{
	struct addr a = { 0 };

	if (!id->params.use_storage_id || !f->src[0] ||
	    addr_parse_ip(span_of(f->src), &a) < 0)
		return;
	for (size_t i = 0; i < id->n_ids; i++) {
		const struct id_entry *e = &id->ids[i];

		if (strcmp(e->group, id->group) == 0 &&
		    (addr_same_ip(&e->addrs[0], &a) ||
		        (e->n == 2 && addr_same_ip(&e->addrs[1], &a)))) {
			str_copy(f->src, sizeof(f->src), e->id);
			return;
		}
	}
}

/* Another address than last time is told to the trackers first. */
static void take_address(struct identity *id, const struct storage_conf *conf,
    struct flag *f)
{
	char now[IPS_TEXT];
	struct addr before[2];

	print_ips(id, now, sizeof(now));
	f->last_port = conf->port;
	if (strcmp(now, f->last_ips) == 0)
		return;
	if (!id->params.use_storage_id && id->params.ip_changed_auto_adjust &&
	    identity_parse_ips(span_of(f->last_ips), before) > 0) {
		addr_ip(&before[0], id->old_ip, sizeof(id->old_ip));
		return;
	}
	str_copy(f->last_ips, sizeof(f->last_ips), now);
}

static void take_flag(struct identity *id, const struct flag *f)
{
	id->join_time = f->join_time;
	id->sync_old_done = f->old_done != 0;
	id->sync_until = f->until;
	str_copy(id->sync_src, sizeof(id->sync_src), f->src);
}

int identity_load_flag(struct identity *id, const struct storage_conf *conf,
    char *err, size_t cap)
{
	struct flag *f = xcalloc(1, sizeof(*f));
	const struct marks m = { id, conf, f, err, cap };
	int rc = flag_read(conf, f);

	id->first_run = rc == -ENOENT;
	if (id->first_run) {
		rc = 0;
		f->join_time = clock_wall_sec();
	}
	if (rc == 0) {
		source_to_id(id, f);
		take_address(id, conf, f);
		take_flag(id, f);
	} else {
		refuse(&m, rc,
		    "%s/data/.data_init_flag cannot be used: %s; restore it "
		    "from a copy, or remove it to join as a new storage",
		    conf->base_path, errstr(rc));
	}
	for (size_t i = 0; rc == 0 && conf->check_store_path_mark &&
	                   i < (size_t)conf->store_path_count;
	     i++)
		rc = mark_check(&m, i);
	if (rc == 0) {
		rc = flag_write(conf, f);
		if (rc < 0)
			refuse(&m, rc,
			    "cannot write %s/data/.data_init_flag: %s",
			    conf->base_path, errstr(rc));
	}
	free(f);
	return rc;
}

/* Reads the file, has it changed, writes it; locked. */
static int flag_change(struct identity *id, const struct storage_conf *conf,
    void (*change)(const struct identity *id, struct flag *f))
{
	struct flag *f = xcalloc(1, sizeof(*f));
	int rc = flag_read(conf, f);

	if (rc == 0) {
		change(id, f);
		rc = flag_write(conf, f);
	}
	free(f);
	return rc;
}

static void change_source(const struct identity *id, struct flag *f)
{
	f->old_done = id->sync_old_done;
	f->until = id->sync_until;
	str_copy(f->src, sizeof(f->src), id->sync_src);
}

bool identity_is_settled(struct identity *id)
{
	bool done;

	pthread_mutex_lock(&id->lock);
	done = id->sync_old_done;
	pthread_mutex_unlock(&id->lock);
	return done;
}

int identity_set_source(struct identity *id, const struct storage_conf *conf,
    bool old_done, const char *src, int64_t until)
{
	int rc;

	pthread_mutex_lock(&id->lock);
	id->sync_old_done = old_done;
	id->sync_until = until;
	str_copy(id->sync_src, sizeof(id->sync_src), src);
	rc = flag_change(id, conf, change_source);
	pthread_mutex_unlock(&id->lock);
	return rc;
}

static void change_address(const struct identity *id, struct flag *f)
{
	print_ips(id, f->last_ips, sizeof(f->last_ips));
}

int identity_settle_address(struct identity *id,
    const struct storage_conf *conf)
{
	int rc;

	pthread_mutex_lock(&id->lock);
	rc = flag_change(id, conf, change_address);
	pthread_mutex_unlock(&id->lock);
	return rc;
}
