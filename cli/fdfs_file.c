/* SPDX-License-Identifier: MIT */
/*
 * Ids and where their files are. The tracker is asked as the C library does:
 * fetch_one to read, update to change, fetch_all and the group's list when
 * another copy is needed.
 */
#include <errno.h>
#include <string.h>

#include "cli/fdfs.h"
#include "cli/stop.h"

#define STORAGE_ACTIVE 7
#define STORAGE_PORT   23000

enum status fdfs_parse_id(const char *text, struct fid *out)
{
	struct span group;
	struct span name;
	size_t at = 0;
	struct strbuf b = strbuf_over(out->text, sizeof(out->text));

	memset(&out->parsed, 0, sizeof(out->parsed));
	if (fileid_split(text, &group, &name, &at) < 0) {
		return err_caret(text, at, "this is no file id");
	}
	if (!str_copy_span(out->group, sizeof(out->group), group) ||
	    !str_copy_span(out->name, sizeof(out->name), name) ||
	    fileid_parse(span_of(out->name), &out->parsed) < 0)
		return err_usage("an id looks like group1/M00/00/0A/NAME.ext",
		    "%s is no file id", text);
	strbuf_addf(&b, "%s/%s", out->group, out->name);
	return STATUS_OK;
}

enum status fdfs_fail(const struct source *s, const char *what,
    const char *subject, const struct addr *at, int rc)
{
	char text[ADDR_TEXT_MAX];
	char words[128];
	enum status st = STATUS_NO;

	if (stop_asked())
		return stop_status();
	if (rc == ENOENT)
		return err_say((struct err){ .status = STATUS_NO,
		                   .rc = rc,
		                   .subject = subject },
		    "cannot %s %s: there is no such file", what, subject);
	if (rc < 0)
		st = rc == -ETIMEDOUT && s->timeout_given ? STATUS_TIMEOUT
		                                          : STATUS_NO_SOURCE;
	return err_say(
	    (struct err){ .status = st, .rc = rc, .subject = subject },
	    "cannot %s %s: storage %s %s", what, subject,
	    addr_text(at, text, sizeof(text)),
	    err_words(rc, words, sizeof(words)));
}

struct add_server {
	struct members *to;
	const char *group;
	struct msg_server45 record;
};

static bool has_addr(const struct members *m, const struct addr *a)
{
	for (size_t i = 0; i < m->n; i++)
		if (addr_equal(&m->items[i].addr, a))
			return true;
	return false;
}

static void add_member(struct members *to, const struct member *m)
{
	if (to->n < FDFS_MEMBERS && !has_addr(to, &m->addr))
		to->items[to->n++] = *m;
}

static int make_addr(const char *ip, int64_t port, struct addr *out)
{
	memset(out, 0, sizeof(*out));
	if (port <= 0 || port > 65535 || addr_parse_ip(span_of(ip), out) < 0)
		return -EPROTO;
	out->port = (uint16_t)port;
	return 0;
}

static int add_server(void *arg)
{
	struct add_server *a = arg;
	struct member m = { .status = STORAGE_ACTIVE };
	const int rc = make_addr(a->record.ip, a->record.port, &m.addr);

	if (rc < 0)
		return rc;
	str_copy(m.group, sizeof(m.group), a->group);
	add_member(a->to, &m);
	return 0;
}

/* fetch_one, fetch_all and update: adds the servers of the answer. */
static int ask_servers(struct source *s, uint8_t command, const struct fid *id,
    struct members *out)
{
	struct msg_file_ref req;
	struct msg_fetch_reply reply;
	struct add_server to = { .to = out, .group = id->group };
	int rc;

	memset(&req, 0, sizeof(req));
	str_copy(req.group, sizeof(req.group), id->group);
	req.name = span_of(id->name);
	rc = source_ask(s, command, &MSG(file_ref), &req, &MSG(fetch_reply),
	    &reply);
	if (rc == 0)
		rc = source_each(&source_servers, reply.servers, &to.record,
		    add_server, &to);
	return rc;
}

static enum status no_place(struct source *s, const struct fid *id, int rc)
{
	char what[64];

	if (rc == ENOENT)
		return err_say((struct err){ .status = STATUS_NO_SOURCE,
		                   .rc = rc,
		                   .subject = id->text },
		    "no storage of %s can serve %s now", id->group, id->text);
	snprintf(what, sizeof(what), "find the storages of %s", id->group);
	return source_complain(s, rc, what);
}

enum status fdfs_locate(struct source *s, uint8_t command, const struct fid *id,
    struct addr *out)
{
	struct members m = { .n = 0 };
	int rc = ask_servers(s, command, id, &m);

	if (rc == 0 && m.n == 0)
		rc = -EPROTO;
	if (rc != 0)
		return no_place(s, id, rc);
	*out = m.items[0].addr;
	return STATUS_OK;
}

struct add_storage {
	struct members *to;
	const char *group;
	struct msg_storage_record46 record;
};

static int add_storage(void *arg)
{
	struct add_storage *a = arg;
	struct member m = { .status = a->record.status };

	str_copy(m.id, sizeof(m.id), a->record.id);
	str_copy(m.group, sizeof(m.group), a->group);
	if (make_addr(a->record.ip, a->record.storage_port, &m.addr) == 0)
		add_member(a->to, &m);
	return 0;
}

static int ask_members(struct source *s, const char *group, struct members *out)
{
	struct msg_group_and_id req;
	struct msg_storage_list reply;
	struct add_storage to = { .to = out, .group = group };
	int rc;

	memset(&req, 0, sizeof(req));
	str_copy(req.group, sizeof(req.group), group);
	rc = source_ask(s, CMD_list_storage, &MSG(group_and_id), &req,
	    &MSG(storage_list), &reply);
	if (rc == 0)
		rc = source_each(&source_storages, reply.storages, &to.record,
		    add_storage, &to);
	return rc;
}

enum status fdfs_members(struct source *s, const char *group,
    struct members *out)
{
	const int rc = ask_members(s, group, out);
	char what[64];

	if (rc == 0)
		return STATUS_OK;
	if (rc == ENOENT)
		return err_say((struct err){ .status = STATUS_NO,
		                   .rc = rc,
		                   .subject = group,
		                   .todo = "fdfs list groups shows what there "
		                           "is" },
		    "there is no group %s", group);
	snprintf(what, sizeof(what), "list the storages of %s", group);
	return source_complain(s, rc, what);
}

enum status fdfs_copies(struct source *s, const struct fid *id,
    struct members *out)
{
	struct members all = { .n = 0 };
	int rc = ask_servers(s, CMD_query_fetch_one, id, out);

	if (rc >= 0 && rc != ENOENT)
		rc = ask_servers(s, CMD_query_fetch_all, id, out);
	if (rc < 0)
		return no_place(s, id, rc);
	if (ask_members(s, id->group, &all) == 0)
		for (size_t i = 0; i < all.n; i++)
			if (all.items[i].status == STORAGE_ACTIVE)
				add_member(out, &all.items[i]);
	return out->n > 0 ? STATUS_OK : no_place(s, id, rc ? rc : ENOENT);
}

static bool is_who(const struct member *m, const char *who)
{
	struct addr a;
	char ip[ADDR_IP_MAX];

	if (strcmp(m->id, who) == 0 ||
	    strcmp(addr_ip(&m->addr, ip, sizeof(ip)), who) == 0)
		return true;
	return strchr(who, ':') && addr_parse(who, STORAGE_PORT, &a) == 0 &&
	       addr_equal(&a, &m->addr);
}

struct find_in_groups {
	char names[512][17];
	size_t n;
};

static int group_names(struct source *s, struct find_in_groups *out)
{
	struct msg_group_list reply;
	struct msg_group_record g;
	struct span list;
	int rc = source_ask(s, CMD_list_all_groups, &msg_desc_none, NULL,
	    &MSG(group_list), &reply);

	if (rc != 0)
		return rc;
	list = reply.groups;
	while ((rc = msg_next(&MSG(group_record), &list, &g)) == 1 &&
	       out->n < ARRAY_LEN(out->names))
		str_copy(out->names[out->n++], sizeof(out->names[0]), g.name);
	return rc < 0 ? rc : 0;
}

enum status fdfs_find_storage(struct source *s, const char *group,
    const char *who, struct member *out)
{
	struct find_in_groups groups = { .n = 0 };
	enum status st = STATUS_OK;
	int rc = 0;

	if (group[0])
		str_copy(groups.names[groups.n++], sizeof(groups.names[0]),
		    group);
	else
		rc = group_names(s, &groups);
	if (rc != 0)
		return source_complain(s, rc, "list the groups");
	for (size_t i = 0; i < groups.n && st == STATUS_OK; i++) {
		struct members m = { .n = 0 };

		st = fdfs_members(s, groups.names[i], &m);
		for (size_t k = 0; k < m.n; k++)
			if (is_who(&m.items[k], who)) {
				*out = m.items[k];
				return STATUS_OK;
			}
	}
	if (st != STATUS_OK)
		return st;
	return err_say((struct err){ .status = STATUS_NO,
	                   .subject = who,
	                   .todo = "fdfs list storages shows what there is" },
	    "there is no storage %s%s%s", who, group[0] ? " in " : "", group);
}

enum status fdfs_open_update(struct source *s, const struct fid *id,
    const char *what, struct client **out)
{
	struct addr at;
	enum status st = fdfs_locate(s, CMD_query_update, id, &at);
	int rc;

	if (st != STATUS_OK)
		return st;
	rc = source_connect(s, &at, out);
	return rc < 0 ? fdfs_fail(s, what, id->text, &at, rc) : STATUS_OK;
}
