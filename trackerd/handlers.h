/* SPDX-License-Identifier: MIT */
/*
 * Requests of this daemon: what a handler is given, how it answers, and the
 * table that says which handler a command has. The loop's thread.
 *
 * The body is decoded and its length checked against the table before a
 * handler runs, commands that need a JOIN are refused before that, too. A
 * handler answers exactly once, with one of the reply functions.
 */
#ifndef TRACKERD_HANDLERS_H
#define TRACKERD_HANDLERS_H

#include "proto/command.h"
#include "proto/msg.h"
#include "trackerd/tracker.h"

struct request {
	struct tracker *t;
	struct conn *c;
	struct session *session;
	struct storage *joined; /* not NULL when the command needs JOIN */
	const struct addr *peer;
	struct span body;
	int64_t now; /* unix */
};

/* in: the decoded struct msg_<request message of the command>. */
typedef void handler(struct request *rq, const void *in);

/* What a command needs, looked at before the length of its body is. */
enum handler_needs {
	NEEDS_NOTHING,
	NEEDS_JOIN,       /* 13 */
	NEEDS_JOIN_LATER, /* after the length */
	NEEDS_IDS         /* 95 */
};

struct handler_row {
	uint8_t code;
	enum handler_needs needs;
	uint16_t min, max; /* body length; 0, 0: what the message says */
	handler *run;
};

const struct handler_row *handler_find(uint8_t code);

/* --- answering --- */
void reply_status(struct request *rq, int status); /* errno, positive or 0 */
void reply_rc(struct request *rq, int rc);         /* 0 or negative errno */
void reply_bytes(struct request *rq, const void *p, size_t n);
void reply_text(struct request *rq, const char *text);
void reply_msg(struct request *rq, const struct message *m, const void *in);
/* After what changed is committed. */
void reply_committed(struct request *rq, const void *body, size_t n);
/* Records of a list reply: out_start, out_msg ..., reply_out. */
struct out *out_start(struct request *rq);
void out_bytes(struct out *o, const void *p, size_t n);
void out_number(struct out *o, uint64_t v, size_t width);
void out_msg(struct out *o, const struct message *m, const void *in);
void reply_out(struct request *rq);

/* The group named in a request, or NULL after 2 was answered. */
struct group *want_group(struct request *rq, const char *name);
/* Text of the address of s that this peer should use; buf >= ADDR_IP_MAX. */
const char *storage_ip(const struct request *rq, const struct storage *s,
    char *buf, size_t cap);
/* The tracker's own address for this peer; false when not known yet. */
bool own_address(const struct request *rq, struct addr *out);
/* The same of the leader; false when none is known. */
bool leader_address(const struct request *rq, struct addr *out);
/* "ip:port", "ip,ip2:port", "[v6]:port" of a peer: numbers, with a port. */
int parse_host_list(struct span text, struct addr addrs[2], size_t *n,
    uint16_t *port);
/* The text of a field without its padding. */
struct span text_field(struct span s);
/* "group/id", for events. */
void storage_subject(const struct storage *s, char *buf, size_t cap);
/* The change-notification reply (cluster-protocol 1.7); change.c. */
void reply_changes(struct request *rq);

/* join.c: JOIN */
handler handle_join;
/* report.c: what a joined storage reports */
handler handle_beat, handle_disk_usage, handle_sync_report;
handler handle_change_status, handle_report_status, handle_replica_chg;
handler handle_ip_changed, handle_changelog;
handler handle_fetch_trunk_fid, handle_trunk_fid, handle_trunk_free;
/* source.c: who fills whom */
handler handle_sync_dest_req, handle_sync_dest_query, handle_sync_notify,
    handle_sync_src_req;
/* identity.c: addresses, ids, parameters */
handler handle_get_my_ip, handle_storage_ids, handle_server_id;
handler handle_storage_status, handle_parameters, handle_group_name;
/* lookup.c: where clients go */
handler handle_store_one, handle_store_all, handle_store_group_one,
    handle_store_group_all;
handler handle_fetch_one, handle_fetch_all, handle_update;
/* admin.c and list.c: people and tools */
handler handle_list_group, handle_list_groups, handle_list_storages;
handler handle_storage_stat, handle_volume_stat, handle_tracker_stat;
handler handle_delete_storage, handle_delete_group, handle_set_trunk;
/* leader.c: other trackers, and who leads */
handler handle_get_leader, handle_tracker_status, handle_reselect;
handler handle_join_leader, handle_ping_leader;
handler handle_next_leader, handle_commit_leader;
/* sysfile_serve.c: the cluster for another tracker */
handler handle_sys_files_start, handle_get_sys_file, handle_sys_files_end;
/* The connection of this session is gone. */
void sysfiles_release(struct tracker *t, const struct session *session);
handler handle_active_test;

/* The hub's callbacks. */
extern const struct conn_app tracker_app;

#endif
