/* SPDX-License-Identifier: MIT */
/*
 * The answers of a tracker become the identity; as texts they are kept in the
 * log's mark table, so that a storage starts while every tracker is down. What
 * the trackers say when they are back is checked at each JOIN (beat).
 */
#include "storaged/identity.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "proto/fileid.h"
#include "storaged/identity_impl.h"

#define NAP_US      100000
#define NAPS_A_SEC  10
#define TELL_SEC    60
#define MARK_GROUP  "identity_group"
#define MARK_IPS    "identity_ips"
#define MARK_PARAMS "identity_params"
#define MARK_IDS    "identity_ids"
#define MARK_OWN_ID "identity_own_id"

/* --- the cluster's parameters --- */

struct raw_params {
	struct cluster_params p;
	int64_t id_type;
	int64_t ip_size;
};

#define PARAM(name, type, field, dflt, words)                                \
	{                                                                    \
		"", name, type, offsetof(struct raw_params, field), dflt, 0, \
		    0, words, 0, ""                                          \
	}

static const struct conf_key params[] = {
	PARAM("use_storage_id", CONF_BOOL, p.use_storage_id, "0", NULL),
	PARAM("id_type_in_filename", CONF_WORD, id_type, "ip", "ip|id"),
	PARAM("trust_storage_server_id", CONF_BOOL, p.trust_storage_server_id,
	    "0", NULL),
	PARAM("response_ip_addr_size", CONF_INT, ip_size, "46", NULL),
	PARAM("storage_ip_changed_auto_adjust", CONF_BOOL,
	    p.ip_changed_auto_adjust, "0", NULL),
	PARAM("storage_sync_file_max_delay", CONF_INT, p.sync_file_max_delay,
	    "86400", NULL),
	PARAM("store_path", CONF_INT, p.store_path, "0", NULL),
	PARAM("reserved_storage_space", CONF_RESERVE, p.reserved, "1GB", NULL),
	PARAM("use_trunk_file", CONF_BOOL, p.use_trunk_file, "0", NULL),
	PARAM("store_slave_file_use_link", CONF_BOOL, p.slave_use_link, "0",
	    NULL),
};

static int take_param(char *line, struct raw_params *raw)
{
	char *value = strchr(line, '=');
	char note[160];

	if (!value)
		return 0;
	*value++ = 0;
	for (size_t i = 0; i < ARRAY_LEN(params); i++) {
		if (strcmp(str_trim(line), params[i].name) == 0 &&
		    conf_value_read(&params[i], str_trim(value),
		        (char *)raw + params[i].offset, note, sizeof(note)) < 0)
			return -EBADMSG;
	}
	return 0;
}

int identity_parse_params(const char *text, struct cluster_params *out)
{
	struct raw_params raw;
	char *copy = xstrdup(text);
	char *save = NULL;
	int rc = 0;

	memset(&raw, 0, sizeof(raw));
	for (size_t i = 0; i < ARRAY_LEN(params); i++)
		conf_value_default(&params[i], (char *)&raw + params[i].offset);
	for (char *line = strtok_r(copy, "\r\n", &save); line && rc == 0;
	     line = strtok_r(NULL, "\r\n", &save))
		rc = take_param(line, &raw);
	free(copy);
	*out = raw.p;
	out->id_in_filename = raw.p.use_storage_id && raw.id_type == 1;
	out->ip_size = raw.ip_size == 16 ? 16 : 46;
	return rc;
}

/* --- addresses and ids --- */

int identity_parse_ips(struct span text, struct addr out[2])
{
	const char *comma = text.n ? memchr(text.p, ',', text.n) : NULL;
	struct span first = text;
	struct span second = { "", 0 };

	memset(out, 0, 2 * sizeof(*out));
	if (comma) {
		first.n = (size_t)(comma - text.p);
		second = (struct span){ comma + 1, text.n - first.n - 1 };
	}
	if (addr_parse_ip(first, &out[0]) < 0)
		return -EINVAL;
	if (!comma)
		return 1;
	return addr_parse_ip(second, &out[1]) < 0 ? -EINVAL : 2;
}

bool identity_is_mine(const struct identity *id, const struct addr *ips,
    size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < id->n_ips; j++) {
			if (addr_same_ip(&ips[i], &id->ips[j]))
				return true;
		}
	}
	return false;
}

/* "a", "a:1", "a,b:1", "[v6]:1": the port does not matter here. */
static int parse_id_addrs(char *text, struct id_entry *e)
{
	char *save = NULL;

	for (char *one = strtok_r(text, ",", &save); one;
	     one = strtok_r(NULL, ",", &save)) {
		if (e->n == ARRAY_LEN(e->addrs) ||
		    addr_parse(one, 0, &e->addrs[e->n]) < 0)
			return -EBADMSG;
		e->n++;
	}
	return e->n ? 0 : -EBADMSG;
}

static int parse_id_line(char *line, struct id_entry *e)
{
	char *save = NULL;
	const char *id = strtok_r(line, " \t", &save);
	const char *group = strtok_r(NULL, " \t", &save);
	char *addrs = strtok_r(NULL, " \t", &save);

	memset(e, 0, sizeof(*e));
	if (!id || !group || !addrs || !str_copy(e->id, sizeof(e->id), id) ||
	    !str_copy(e->group, sizeof(e->group), group))
		return -EBADMSG;
	return parse_id_addrs(addrs, e);
}

int identity_parse_ids(const char *text, struct id_entry **out)
{
	char *copy = xstrdup(text);
	char *save = NULL;
	struct id_entry *list = NULL;
	size_t n = 0;
	int rc = 0;

	for (char *line = strtok_r(copy, "\r\n", &save); line && rc == 0;
	     line = strtok_r(NULL, "\r\n", &save)) {
		list = xrealloc(list, n + 1, sizeof(*list));
		rc = parse_id_line(line, &list[n++]);
	}
	free(copy);
	if (rc < 0) {
		free(list);
		return rc;
	}
	*out = list;
	return (int)n;
}

static const struct id_entry *find_id(const struct identity *id,
    const char *text)
{
	for (size_t i = 0; i < id->n_ids; i++) {
		if (strcmp(id->ids[i].id, text) == 0)
			return &id->ids[i];
	}
	return NULL;
}

/* --- from answers to identity --- */

static uint32_t source_of_addr(const struct addr *a)
{
	/* Of an IPv6 address: the first four of the last eight bytes. */
	return fileid_source_of_ip(a->family == 6 ? a->ip + 8 : a->ip);
}

static int take_own_id(struct identity *id, const struct answers *a,
    const struct storage_conf *conf, char *err, size_t cap)
{
	const struct id_entry *e;
	int64_t number = 0;

	if (id->params.trust_storage_server_id && conf->server_id[0])
		str_copy(id->id, sizeof(id->id), conf->server_id);
	else
		str_copy(id->id, sizeof(id->id), a->own_id);
	e = find_id(id, id->id);
	if (!e || strcmp(e->group, id->group) != 0) {
		snprintf(err, cap,
		    "storage id %s of group %s is not in the trackers' list "
		    "of storage ids; correct server_id or that list",
		    id->id, id->group);
		return -EINVAL;
	}
	if (conf->server_id[0] && strcmp(conf->server_id, id->id) != 0)
		log_warn("server_id",
		    "configured=%s used=%s: the trackers do not trust the "
		    "configured one",
		    conf->server_id, id->id);
	if (id->params.id_in_filename &&
	    (str_to_i64(id->id, &number) < 0 ||
	        !fileid_source_is_id((uint32_t)number))) {
		snprintf(err, cap, "storage id %s does not fit a file name",
		    id->id);
		return -EINVAL;
	}
	id->name_source = id->params.id_in_filename
	                      ? (uint32_t)number
	                      : source_of_addr(&id->ips[0]);
	return 0;
}

static int take_ip_as_id(struct identity *id, char *err, size_t cap)
{
	char text[ADDR_IP_MAX];

	addr_ip(&id->ips[0], text, sizeof(text));
	if (id->ips[0].family != 4) {
		snprintf(err, cap,
		    "the trackers see this storage as %s; IPv6 needs "
		    "use_storage_id = true and id_type_in_filename = id on the "
		    "trackers",
		    text);
		return -EINVAL;
	}
	str_copy(id->id, sizeof(id->id), text);
	id->name_source = source_of_addr(&id->ips[0]);
	return 0;
}

static void tell_unsupported(const struct cluster_params *p)
{
	if (p->use_trunk_file)
		log_warn("parameter",
		    "use_trunk_file=1: this storage keeps every file by "
		    "itself");
	if (p->slave_use_link)
		log_warn("parameter",
		    "store_slave_file_use_link=1: this storage keeps slave "
		    "files as files");
}

int identity_build(struct identity *id, const struct answers *a,
    const struct storage_conf *conf, char *err, size_t cap)
{
	int n = identity_parse_ips(span_of(a->ips), id->ips);
	int rc;

	str_copy(id->group, sizeof(id->group), a->group);
	if (n < 0 || identity_parse_params(a->params, &id->params) < 0) {
		snprintf(err, cap, "a tracker's answers cannot be read");
		return -EINVAL;
	}
	id->n_ips = (size_t)n;
	if (!id->params.use_storage_id) {
		rc = take_ip_as_id(id, err, cap);
	} else {
		n = identity_parse_ids(a->ids, &id->ids);
		if (n < 0) {
			snprintf(err, cap,
			    "the trackers' list of storage ids cannot be read");
			return -EINVAL;
		}
		id->n_ids = (size_t)n;
		rc = take_own_id(id, a, conf, err, cap);
	}
	if (rc == 0)
		tell_unsupported(&id->params);
	return rc;
}

/* --- what the log remembers --- */

static int remember(struct db *log, const struct answers *a)
{
	int rc = db_mark_set(log, MARK_GROUP, a->group);

	if (rc == 0)
		rc = db_mark_set(log, MARK_IPS, a->ips);
	if (rc == 0)
		rc = db_mark_set(log, MARK_PARAMS, a->params);
	if (rc == 0)
		rc = db_mark_set(log, MARK_IDS, a->ids);
	if (rc == 0)
		rc = db_mark_set(log, MARK_OWN_ID, a->own_id);
	return rc;
}

static char *recall_text(struct db *log, const char *key)
{
	char *buf = xcalloc(IDS_TEXT_MAX, 1);
	char *text = NULL;

	if (db_mark_get(log, key, buf, IDS_TEXT_MAX) == 0)
		text = xstrdup(buf);
	free(buf);
	return text;
}

/* Only what was answered to the same question. */
static int recall(struct db *log, const struct storage_conf *conf,
    struct answers *a)
{
	memset(a, 0, sizeof(*a));
	if (db_mark_get(log, MARK_GROUP, a->group, sizeof(a->group)) < 0 ||
	    db_mark_get(log, MARK_IPS, a->ips, sizeof(a->ips)) < 0 ||
	    db_mark_get(log, MARK_OWN_ID, a->own_id, sizeof(a->own_id)) < 0)
		return -ENOENT;
	if (conf->group_name[0] && strcmp(conf->group_name, a->group) != 0)
		return -ENOENT;
	a->params = recall_text(log, MARK_PARAMS);
	a->ids = recall_text(log, MARK_IDS);
	if (a->params && a->ids)
		return 0;
	answers_fini(a);
	return -ENOENT;
}

/* --- asking until somebody answers --- */

/* One round. 0, -errno: nobody answered, 1: refused. */
static int ask_round(const struct storage_conf *conf, struct answers *a,
    bool (*stop)(void), char *err, size_t cap)
{
	char first[512] = "";
	int refused = 0;
	int rc = -ENOTCONN;

	for (size_t i = 0; i < conf->n_trackers && !stop(); i++) {
		rc = identity_ask(&conf->trackers[i], conf, a, stop, err, cap);
		if (rc == 0)
			return 0;
		if (rc > 0 && !refused) {
			refused = rc;
			str_copy(first, sizeof(first), err);
		}
	}
	if (refused)
		str_copy(err, cap, first);
	return refused ? refused : rc;
}

static bool nap(int64_t seconds, bool (*stop)(void))
{
	for (int64_t i = 0; i < seconds * NAPS_A_SEC && !stop(); i++)
		usleep(NAP_US);
	return !stop();
}

static int ask_until(const struct storage_conf *conf, struct db *log,
    struct answers *a, bool (*stop)(void), char *err, size_t cap)
{
	int64_t pause = 1;
	int64_t told = 0;

	while (!stop()) {
		int rc = ask_round(conf, a, stop, err, cap);

		if (rc == 0)
			return 0;
		if (rc > 0)
			return -EINVAL;
		if (!stop() && recall(log, conf, a) == 0)
			return 1;
		if (!told || clock_wall_sec() - told >= TELL_SEC) {
			log_warn("no_tracker", "%s; trying on", err);
			told = clock_wall_sec();
		}
		if (!nap(pause, stop))
			break;
		pause = pause * 2 < conf->heart_beat_interval
		            ? pause * 2
		            : conf->heart_beat_interval;
	}
	snprintf(err, cap, "stopped while no tracker answered");
	return -ECANCELED;
}

int identity_learn(struct identity *id, const struct storage_conf *conf,
    struct db *log, bool (*stop)(void), char *err, size_t cap)
{
	struct answers a;
	int rc = ask_until(conf, log, &a, stop, err, cap);

	if (rc < 0)
		return rc;
	memset(id, 0, sizeof(*id));
	pthread_mutex_init(&id->lock, NULL);
	id->from_memory = rc == 1;
	if (id->from_memory)
		log_warn("no_tracker",
		    "%s; starting with what the trackers said last time", err);
	err[0] = 0;
	rc = identity_build(id, &a, conf, err, cap);
	if (rc == 0 && !id->from_memory)
		rc = remember(log, &a);
	if (rc < 0 && !err[0])
		snprintf(err, cap, "cannot write %s: %s", db_path(log),
		    db_error(log));
	answers_fini(&a);
	return rc;
}

void identity_fini(struct identity *id)
{
	free(id->ids);
	id->ids = NULL;
	id->n_ids = 0;
	pthread_mutex_destroy(&id->lock);
}

/* --- sources in file names --- */

static const struct addr *addr_for_peer(const struct id_entry *e,
    const struct addr *peer)
{
	if (e->n == 2 && addr_class(peer) == addr_class(&e->addrs[1]))
		return &e->addrs[1];
	return &e->addrs[0];
}

void identity_fill_question(const struct identity *id, int64_t port,
    char text[ADDR_TEXT_MAX], struct msg_group_address *out)
{
	struct addr own = id->ips[0];

	own.port = (uint16_t)port;
	memset(out, 0, sizeof(*out));
	str_copy(out->group, sizeof(out->group), id->group);
	out->address = span_of(addr_text(&own, text, ADDR_TEXT_MAX));
}

void identity_source_ip(const struct identity *id, uint32_t source,
    const struct addr *peer, char *out, size_t cap)
{
	struct addr a = { .family = 4 };
	const struct id_entry *e;
	char text[ADDR_IP_MAX];

	out[0] = 0;
	if (!fileid_source_is_id(source)) {
		for (unsigned i = 0; i < 4; i++)
			a.ip[i] = (uint8_t)(source >> (8 * i));
		str_copy(out, cap, addr_ip(&a, text, sizeof(text)));
		return;
	}
	snprintf(text, sizeof(text), "%u", source);
	e = find_id(id, text);
	if (e)
		str_copy(out, cap,
		    addr_ip(addr_for_peer(e, peer), text, sizeof(text)));
}
