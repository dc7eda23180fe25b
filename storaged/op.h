/* SPDX-License-Identifier: MIT */
/*
 * One operation on its way, of a client or of a peer that has done it already:
 * decoded request, disk steps, the row in the log, the answer. It lives in its
 *connection (conn_data) and belongs to that connection's loop, except while a
 *step runs in a disk worker or its row is at the log's writer.
 *
 * What changes an existing file happens in this order, so that a crash at any
 * moment leaves nothing half done and nothing acknowledged undone:
 *	hold the name, check, stage content, commit the row, apply, answer
 * and recovery (recover.h) applies again what the log's tail says. A new file
 * is published under its name before its row is committed; recovery removes
 * those without a row.
 */
#ifndef STORAGED_OP_H
#define STORAGED_OP_H

#include "storaged/storaged.h"

/* The longest name that is looked up (client-protocol 2.1); what changes files
 * takes FILE_NAME_MAX. Held names begin with "M00/" even when none was sent. */
#define OP_NAME_MAX  131
#define OP_NAME_SIZE (OP_NAME_MAX + sizeof("M00/"))

struct op_flow {
	struct conn *conn;
	struct loop_ctx *ctx;
	struct store_path *path;
	const struct handler *handler;

	struct conn_due due; /* op_commit_apart */
	bool apart;
	bool received; /* counts so when its answer is on its way */

	struct job job; /* disk step */
	int (*step)(struct op_flow *op);
	void (*next)(struct op_flow *op);
	int rc;            /* of the last step */
	enum op_code code; /* of the row it will have */
	struct {
		int rc;
		uint64_t seq;
	} undo; /* why, and the row that is taken back */

	struct op_write log;
	struct busy_hold hold;
	void (*held)(struct op_flow *op);
	void (*enter)(struct op_flow *op); /* held, and nothing waits for it */
	struct {
		struct busy_hold hold;
		struct span name;
		void (*held)(struct op_flow *op);
		bool has;
	} second; /* of op_hold_both */

	/* A peer's (replica): done there already, at that time (unix). Such an
	 * operation is recorded and counted, but not sent on. */
	int64_t time;
	char by[STORAGE_ID_SIZE + 1]; /* its id, "" when it has not said */
	bool replica;
	bool has_hold;
	bool keep; /* the piece is needed when content() has returned */
	bool lent; /* content() has said so */
	bool last; /* the piece ends the content */
	bool begun;
	bool has_meta; /* of a delete: metadata goes with the file */

	char name[OP_NAME_SIZE];  /* remote name without group */
	char other[OP_NAME_SIZE]; /* master, old name */
	struct fileid_name fn;    /* of name */
	struct fileid_place place;
	char ext[EXT_SIZE + 1];
	char fresh[FILEID_NAME_LEN + 1]; /* name after regenerating */
	char temp[STORE_TEMP_MAX];       /* "" none */
	int fd;                          /* -1 none */
	uint64_t size;                   /* content announced */
	uint64_t done;                   /* content written */
	uint64_t offset;
	uint64_t result; /* file size afterwards */
	uint32_t crc;
	const uint8_t *piece;
	size_t piece_n;
	uint8_t flag;
	int64_t mtime;
	char *text; /* metadata; owned */
	size_t text_n;
};

/* The extra of a row of append or modify: OP_CONTENT_INLINE and the content,
 * or the name of the staged file below data/ (".incoming/..."). */
#define OP_INLINE_MAX     4096
#define OP_CONTENT_INLINE '='
/* The extra of a row of create by a peer may be the name of the staged file,
 * too; that of a delete is OP_WITH_META when there was metadata. */
#define OP_WITH_META "m"

struct handler {
	/* Decodes; -errno is answered (and the rest drained). 0: under way. */
	int (*request)(struct op_flow *op, const struct framer *f);
	/* With op->piece, piece_n, last. 0: under way or done; -errno. */
	int (*content)(struct op_flow *op);
	enum stat_index total; /* counter pair, N_STATS none */
};

/* What a connection keeps: the operation under way, and from one to the next
 * the id of the peer that said who it is, "" for clients. */
struct op_conn {
	struct op_flow own;
	struct op_flow *op; /* own; another, while own is apart; NULL */
	int64_t received;   /* a time that counts after those apart, or 0 */
	char peer[STORAGE_ID_SIZE + 1];
	bool known, named; /* whose it is, if it brings what a peer has done */
};

/* The app of every hub. */
extern const struct conn_app op_app;
#define OP_DATA_SIZE sizeof(struct op_conn)
struct op_flow *op_of(struct conn *c);
/* From now on the operations on this connection count for that peer. */
void op_set_peer(struct op_flow *op, const char *id);
/* It was done by a peer before. */
void op_is_replica(struct op_flow *op);
/* Who has done it, for gone.h: a peer's id ("" when it has not said), or
 * GONE_OWN. */
const char *op_who(const struct op_flow *op);

/* NULL: not a command of ours. handlers.h */
const struct handler *handler_of(uint8_t command);

/* Runs step here when the disk is quick and the work small, else in a worker
 * of the path; then next on the loop. */
enum op_weight {
	OP_LIGHT, /* names and the page cache */
	OP_WRITE, /* the same, but syncs under durability = full */
	OP_HEAVY  /* reads or writes much, or waits for the disk */
};
void op_disk(struct op_flow *op, enum op_weight weight,
    int (*step)(struct op_flow *op), void (*next)(struct op_flow *op));
/* Takes the name in op->name for this operation; then held(op). What a disk
 * has refused of it is carried out first, or -EIO answered. */
void op_hold(struct op_flow *op, void (*held)(struct op_flow *op));
/* The same with the names in op->name and op->other. */
void op_hold_both(struct op_flow *op, void (*held)(struct op_flow *op));
/* Appends op->log.op (name, size ... filled by the caller; client, times and
 * whose it is are filled here) in one go with all others of this turn of the
 * loop (loop.h); then next with op->rc. */
void op_commit(struct op_flow *op, void (*next)(struct op_flow *op));
/* The same when what follows touches no names but those that are held: the
 * next operation that a peer has sent over this connection begins meanwhile, so
 * that many share a commit. Answers go in order. */
void op_commit_apart(struct op_flow *op, void (*next)(struct op_flow *op));
/* An operation whose content came whole, before its name is held: when the disk
 * is slow the next one begins at once. The content is copied. 0 or -ENOMEM. */
int op_apart_if_slow(struct op_flow *op);
/* loop_at_turn_end: commits what the turn queued; arg: struct loop_ctx. */
void op_turn_end(void *arg);
/* The piece was consumed; more may come. */
void op_piece_done(struct op_flow *op);

/* The answer: frees what the operation holds. rc: 0 or -errno. */
void op_reply(struct op_flow *op, int rc, const void *body, size_t n);
/* Counts and releases without answering: the caller answers next. */
void op_finish(struct op_flow *op, int rc);
/* group and name, as uploads answer. */
void op_reply_name(struct op_flow *op, int rc, const char *name);
/* The row is committed but the disk refused the change (op->rc): says so; a
 * staged file stays, and the change is tried again (redo.h). While the name is
 * held. */
void op_not_applied(struct op_flow *op);
/* Removes a new file that is not to be; when the disk refuses even that, it is
 * tried again (redo.h). */
void op_remove_new(struct op_flow *op, const char *file);

/* Checks and takes over a remote name: length min..max, form, path index.
 * Sets name, fn, path. 0 or -EINVAL. */
int op_set_name(struct op_flow *op, struct span name, size_t min, size_t max);
/* Is the request's group ours? 0 or -EINVAL. */
int op_check_group(const struct op_flow *op, const char *group);
/* Path of op->name below the store path's data directory. */
int op_disk_path(const struct op_flow *op, const char *suffix, char *out);

/* Steps shared by several commands. */
int op_write_temp(struct op_flow *op); /* appends piece to op->temp */
int op_sync_dir(const struct store_path *p, const char *file);
/* Under durability = full: a new file and its name are on the disk. */
int op_sync_new(const struct op_flow *op, int fd, const char *file);
/* A peer's file has the time of its last operation, which peers ask for. */
void op_set_mtime(const struct op_flow *op, int fd);

#endif
