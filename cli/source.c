/* SPDX-License-Identifier: MIT */
/*
 * Order (cli.md section 3): --db; --tracker or $FDFS_TRACKERS; --config; else
 * the files below /etc/fdfs that exist. A configuration is recognised by what
 * is in it: group_name makes it a storage's, tracker_server without it a
 * client's, neither a tracker's.
 */
#include "cli/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/log.h"
#include "cli/stop.h"

#define TRACKER_PORT 22122
#define CONNECT_S    10
#define NETWORK_S    30

static const char *const default_files[] = {
	"/etc/fdfs/client.conf",
	"/etc/fdfs/storage.conf",
	"/etc/fdfs/tracker.conf",
};

#define NET_ROWS                                                              \
	{ .letter = 't',                                                      \
		.name = "tracker",                                            \
		.type = OPT_LIST,                                             \
		.offset = offsetof(struct source_options, trackers),          \
		.arg = "HOST[:PORT],...",                                     \
		.help = "trackers to ask; else $FDFS_TRACKERS" },             \
	    { .letter = 0,                                                    \
		    .name = "config",                                         \
		    .type = OPT_TEXT,                                         \
		    .offset = offsetof(struct source_options, config),        \
		    .arg = "FILE",                                            \
		    .help = "client.conf, storage.conf or tracker.conf to "   \
		            "learn the sources from; else those in "          \
		            "/etc/fdfs" },                                    \
	{                                                                     \
		.letter = 0, .name = "timeout", .type = OPT_DURATION,         \
		.offset = offsetof(struct source_options, timeout),           \
		.arg = "DUR",                                                 \
		.help = "wait this long for a connection and for each answer" \
	}

static const struct opt_row net_rows[] = { NET_ROWS };
static const struct opt_row all_rows[] = {
	{ .name = "db",
	    .type = OPT_LIST,
	    .offset = offsetof(struct source_options, db),
	    .arg = "PATH",
	    .help = "metadata database, or the directory it is in; then the "
	            "network is not asked" },
	NET_ROWS,
};

const struct opt_table source_net_table = { "sources", net_rows,
	ARRAY_LEN(net_rows), 0 };
const struct opt_table source_table = { "sources", all_rows,
	ARRAY_LEN(all_rows), 0 };

const struct source_list source_storages = { &MSG(storage_record46), 517, 18,
	46 };
const struct source_list source_servers = { &MSG(server45), 53, 0, 45 };

struct conf_values {
	struct conf_list trackers;
	int64_t connect_timeout, network_timeout, port;
	const char *base_path;
	const char *group_name;
	const char *bind_addr;
};

#define KEY(nm, ty, member, df)                                              \
	{                                                                    \
		.section = "", .name = (nm), .type = (ty),                   \
		.offset = offsetof(struct conf_values, member), .dflt = (df) \
	}

static const struct conf_key conf_keys[] = {
	KEY("tracker_server", CONF_LIST, trackers, NULL),
	KEY("connect_timeout", CONF_INT, connect_timeout, "0"),
	KEY("network_timeout", CONF_INT, network_timeout, "0"),
	KEY("port", CONF_INT, port, "0"),
	KEY("base_path", CONF_STR, base_path, ""),
	KEY("group_name", CONF_STR, group_name, ""),
	KEY("bind_addr", CONF_STR, bind_addr, ""),
};

static enum status add_tracker(struct source *s, const char *text, size_t n,
    uint16_t port)
{
	char one[256];
	struct addr a;
	int rc;

	if (!str_copy_span(one, sizeof(one), (struct span){ text, n }))
		return err_usage(NULL, "%.*s is no address", (int)n, text);
	if (str_trim(one)[0] == '\0')
		return STATUS_OK;
	rc = addr_parse(str_trim(one), port, &a);
	if (rc == -ENOENT)
		return err_say((struct err){ .status = STATUS_NO_SOURCE,
		                   .rc = rc,
		                   .subject = one },
		    "tracker %s: no such host", one);
	if (rc < 0)
		return err_usage("write host, host:port or [v6]:port",
		    "tracker \"%s\" is no address", one);
	for (size_t i = 0; i < s->n_trackers; i++)
		if (addr_equal(&s->trackers[i], &a))
			return STATUS_OK;
	if (s->n_trackers < SOURCE_TRACKERS)
		s->trackers[s->n_trackers++] = a;
	return STATUS_OK;
}

/* "a:1,b,c:2", and in a configuration "inner,outer:port" of one tracker. */
static enum status add_trackers(struct source *s, const char *list)
{
	enum status st = STATUS_OK;

	while (*list && st == STATUS_OK) {
		const size_t n = strcspn(list, ",");

		st = add_tracker(s, list, n, TRACKER_PORT);
		list += n + (list[n] == ',');
	}
	return st;
}

static enum status add_configured(struct source *s, const char *value)
{
	const char *comma = strchr(value, ',');
	const char *colon = strrchr(value, ':');
	uint64_t port = TRACKER_PORT;

	if (!comma)
		return add_tracker(s, value, strlen(value), TRACKER_PORT);
	if (colon && str_to_u64(colon + 1, &port) == 0 && port < 65536)
		return add_tracker(s, value, (size_t)(comma - value),
		    (uint16_t)port);
	return add_tracker(s, value, (size_t)(comma - value), TRACKER_PORT);
}

static void add_db(struct source *s, const char *path)
{
	if (s->n_db < SOURCE_DBS)
		s->db[s->n_db++] = xstrdup(path);
}

static enum status take_conf(struct source *s, const struct conf_values *v)
{
	enum status st = STATUS_OK;

	if (v->connect_timeout > 0 && !s->timeout_given)
		s->connect_ms = (unsigned)v->connect_timeout * 1000;
	if (v->network_timeout > 0 && !s->timeout_given)
		s->io_ms = (unsigned)v->network_timeout * 1000;
	if (v->group_name[0])
		str_copy(s->group, sizeof(s->group), v->group_name);
	for (size_t i = 0; i < v->trackers.count && st == STATUS_OK; i++)
		st = add_configured(s, v->trackers.values[i]);
	if (v->trackers.count == 0 && v->base_path[0]) {
		const char *host = v->bind_addr[0] ? v->bind_addr : "127.0.0.1";
		const uint16_t port =
		    v->port > 0 ? (uint16_t)v->port : TRACKER_PORT;

		st = add_tracker(s, host, strcspn(host, ","), port);
	}
	/* Only a daemon's base_path holds databases. */
	if (v->base_path[0] && (v->group_name[0] || v->trackers.count == 0) &&
	    !s->db_given) {
		char dir[4096];
		struct strbuf b = strbuf_over(dir, sizeof(dir));

		strbuf_addf(&b, "%s/meta", v->base_path);
		add_db(s, dir);
	}
	return st;
}

enum status source_read_conf(struct source *s, const char *path)
{
	struct conf_file *cf;
	struct conf_values v;
	char err[512];
	enum status st;
	int rc;

	memset(&v, 0, sizeof(v));
	rc = conf_read(path, &cf, err, sizeof(err));
	if (rc < 0)
		return err_unusable(rc, path, err);
	/* Keys that only the daemons know are no concern of ours. */
	log_set_level(LOG_LEVEL_ERROR);
	rc = conf_apply(cf, conf_keys, ARRAY_LEN(conf_keys), &v, err,
	    sizeof(err));
	if (rc < 0)
		st = err_say((struct err){ .status = STATUS_USAGE, .rc = rc },
		    "%s", err);
	else
		st = take_conf(s, &v);
	conf_free(cf);
	return st;
}

static enum status read_default_files(struct source *s)
{
	struct strbuf b = strbuf_over(s->looked_at, sizeof(s->looked_at));
	enum status st = STATUS_OK;

	for (size_t i = 0; i < ARRAY_LEN(default_files) && st == STATUS_OK;
	     i++) {
		strbuf_addf(&b, "%s%s", i > 0 ? ", " : "", default_files[i]);
		if (access(default_files[i], R_OK) == 0)
			st = source_read_conf(s, default_files[i]);
	}
	return st;
}

enum status source_open(const struct source_options *o, struct source *s)
{
	const char *env = getenv("FDFS_TRACKERS");
	enum status st = STATUS_OK;

	memset(s, 0, sizeof(*s));
	s->timeout_given = o->timeout > 0;
	s->connect_ms =
	    s->timeout_given ? (unsigned)o->timeout * 1000 : CONNECT_S * 1000;
	s->io_ms = s->timeout_given ? s->connect_ms : NETWORK_S * 1000;
	s->db_given = o->db.n > 0;
	for (size_t i = 0; i < o->db.n; i++)
		add_db(s, o->db.items[i]);
	for (size_t i = 0; i < o->trackers.n && st == STATUS_OK; i++)
		st = add_trackers(s, o->trackers.items[i]);
	if (st == STATUS_OK && o->config)
		return source_read_conf(s, o->config);
	if (st == STATUS_OK && s->n_trackers == 0 && env && *env)
		st = add_trackers(s, env);
	if (st == STATUS_OK && s->n_trackers == 0 && s->n_db == 0)
		st = read_default_files(s);
	return st;
}

void source_close(struct source *s)
{
	source_disconnect(s->tracker);
	s->tracker = NULL;
	for (size_t i = 0; i < s->n_db; i++)
		free(s->db[i]);
	s->n_db = 0;
}

enum status source_need_tracker(const struct source *s)
{
	if (s->n_trackers > 0)
		return STATUS_OK;
	return err_say(
	    (struct err){ .status = STATUS_NO_SOURCE,
	        .todo = "name one: --tracker HOST, or FDFS_TRACKERS=HOST, or "
	                "--config FILE" },
	    "no tracker is known%s%s", s->looked_at[0] ? "; looked at " : "",
	    s->looked_at);
}

int source_connect(const struct source *s, const struct addr *to,
    struct client **out)
{
	int rc;

	*out = NULL;
	if (stop_asked())
		return -EINTR;
	stop_at_once(true);
	rc = client_open(to, NULL, s->connect_ms, s->io_ms, out);
	stop_at_once(false);
	if (rc == 0)
		stop_watch(*out);
	return rc;
}

void source_disconnect(struct client *c)
{
	stop_watch(NULL);
	client_close(c);
}

/* One try with the tracker at hand, connecting first if need be. */
static int ask_one(struct source *s, uint8_t command, const struct message *req,
    const void *in, const struct message *reply, void *out)
{
	int rc = 0;

	if (!s->tracker)
		rc =
		    source_connect(s, &s->trackers[s->tracker_at], &s->tracker);
	if (rc == 0) {
		stop_watch(s->tracker);
		rc = client_ask(s->tracker, command, req, in, reply, out);
		stop_watch(NULL);
	}
	if (rc < 0) {
		client_close(s->tracker);
		s->tracker = NULL;
		s->why[s->tracker_at] = rc;
	}
	return rc;
}

int source_ask(struct source *s, uint8_t command, const struct message *req,
    const void *in, const struct message *reply, void *out)
{
	/* A session that was idle may be gone: it gets a second try. */
	const size_t tries = s->n_trackers + (s->tracker != NULL);
	int rc = -EDESTADDRREQ;

	for (size_t i = 0; i < tries && !stop_asked(); i++) {
		const bool was_open = s->tracker != NULL;

		rc = ask_one(s, command, req, in, reply, out);
		if (rc >= 0)
			return rc;
		if (!was_open)
			s->tracker_at = (s->tracker_at + 1) % s->n_trackers;
	}
	return stop_asked() ? -EINTR : rc;
}

enum status source_complain(const struct source *s, int rc, const char *what)
{
	char todo[1024];
	char words[128];
	struct strbuf b = strbuf_over(todo, sizeof(todo));
	bool all_late = s->timeout_given;

	if (stop_asked())
		return stop_status();
	if (rc > 0)
		return err_say((struct err){ .status = rc == ENOENT
		                                           ? STATUS_NO
		                                           : STATUS_NO_SOURCE,
		                   .rc = rc },
		    "cannot %s: the tracker %s", what,
		    err_words(rc, words, sizeof(words)));
	for (size_t i = 0; i < s->n_trackers; i++) {
		char text[ADDR_TEXT_MAX];

		all_late = all_late && s->why[i] == -ETIMEDOUT;
		strbuf_addf(&b, "%s%s %s", i > 0 ? "; " : "",
		    addr_text(&s->trackers[i], text, sizeof(text)),
		    err_words(s->why[i], words, sizeof(words)));
	}
	return err_say((struct err){ .status = all_late ? STATUS_TIMEOUT
	                                                : STATUS_NO_SOURCE,
	                   .rc = rc,
	                   .todo = "start the tracker, or name another one: "
	                           "--tracker HOST" },
	    "cannot %s: tracker %s", what, todo);
}

int source_each(const struct source_list *l, struct span bytes, void *out,
    int (*each)(void *arg), void *arg)
{
	const size_t narrow = l->wide - 30;
	const size_t size = bytes.n % l->wide == 0 ? l->wide : narrow;
	uint8_t wide[600];
	int rc = 0;

	if (bytes.n % size != 0 || l->wide > sizeof(wide))
		return -EPROTO;
	for (size_t at = 0; at < bytes.n && rc == 0; at += size) {
		const char *p = bytes.p + at;
		const size_t ip_end = l->ip_at + l->ip_wide - 30;

		if (size == l->wide) {
			memcpy(wide, p, size);
		} else {
			memcpy(wide, p, ip_end);
			memset(wide + ip_end, 0, 30);
			memcpy(wide + ip_end + 30, p + ip_end, size - ip_end);
		}
		rc = msg_decode(l->record, wide, l->wide, out, NULL);
		if (rc == 0)
			rc = each(arg);
	}
	return rc;
}
