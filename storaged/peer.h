/* SPDX-License-Identifier: MIT */
/*
 * One sender of replication (replicate.h): a thread, its connection, its
 * place in the log. Everything here belongs to that thread, except what is
 * marked; replicate.c starts, wakes and ends it.
 *
 * The files: peer.c the life of the pair (cluster-protocol 3.8), peer_log.c
 * rows of the log, peer_fill.c the older files, peer_repair.c what a peer did
 * not take, peer_file.c files as requests, peer_link.c the connection,
 * peer_keep.c what is remembered and the waits.
 */
#ifndef STORAGED_PEER_H
#define STORAGED_PEER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "meta/peers.h"
#include "net/client.h"
#include "storaged/storaged.h"

#define LINK_WINDOW 128                 /* requests without a reply */
#define LINK_BYTES  ((uint64_t)4 << 20) /* of content among them */
#define LINK_OUT    ((size_t)512 << 10)
#define LINK_IN     ((size_t)16 << 10)
#define LINK_BODY   128 /* of a reply that is looked at */

#define FIXES_MAX  ((size_t)2 * LINK_WINDOW) /* more than can be under way */
#define PAGE_ROWS  64
#define RATE_SPAN  10 /* seconds */
#define SMALL_FILE 65536
#define FILL_DONE  "~" /* behind every name: all files were walked */

/* What a request is done for: enough to do it otherwise. */
struct peer_item {
	uint64_t seq; /* 0 while filling */
	enum op_code op;
	int64_t time; /* unix, told to the peer */
	char name[PEER_NAME_SIZE];
	char other[PEER_NAME_SIZE]; /* rename: the old name */
};

/* What a reply without success needs, found by peer_log.c's table. */
enum peer_cure {
	CURE_NONE,
	CURE_COMPARE, /* only if the peer's file differs from ours */
	CURE_REPAIR   /* make the peer's file as ours is now */
};

struct peer_fix {
	struct peer_item item;
	enum peer_cure cure;
	int status;
};

/* A request under way. */
struct sent {
	struct peer_item item;
	uint8_t command;
	bool asked;     /* who asked looks at the reply himself */
	uint64_t bytes; /* of content */
	uint64_t size;  /* 22: the size that is expected */
	uint64_t pass;  /* with its reply the log is done up to here */
	char pass_name[PEER_NAME_SIZE]; /* ... or the files are */
};

struct peer_link {
	struct client *client;
	bool named;      /* with a handshake: counts for timestamps (3.11) */
	unsigned window; /* requests at a time */
	struct sent ring[LINK_WINDOW];
	size_t first, n;
	uint64_t bytes; /* content under way */
	uint8_t *out;
	size_t out_n;
	uint8_t *in;
	size_t in_n;
	uint64_t skip; /* of a reply's body that nobody reads */
	int dead;      /* -errno: the connection is lost, close it */
	bool asking;   /* whoever adds requests looks at the reply himself */
	/* the last reply to such a one */
	int status;
	uint8_t body[LINK_BODY];
	size_t body_n;
};

/* A row of the log, copied so that no read transaction waits for a peer. */
struct peer_op {
	uint64_t seq;
	enum op_code code;
	bool replica;
	int64_t source_time;
	uint64_t size, offset, bytes;
	char name[PEER_NAME_SIZE];
	char *extra; /* in the arena; only of those that need it */
	size_t extra_n;
};

struct peer {
	struct storage *st;
	char id[PEER_ID_SIZE];
	pthread_t thread;
	bool quit;        /* atomic; by replicate_stop */
	uint64_t commits; /* atomic; by replicate_wake */
	bool asleep;      /* atomic: must be signalled */
	unsigned changes; /* atomic: of the members, or of what is wanted */

	pthread_mutex_t lock;
	pthread_cond_t cond;
	/* under lock */
	bool forget, reload, look_again;
	char renamed[PEER_ID_SIZE]; /* "" no */
	struct peer_row shown;

	/* the thread's own from here on */
	struct db *log, *catalogue;
	struct mailbox box;
	struct counters counters; /* read by others: atomic */
	struct peer_link link;
	struct peer_row row;
	mono_t saved;
	uint64_t swept; /* what is gone was told up to here, while filling */
	uint64_t read;  /* rows up to here are read */
	uint64_t acked; /* ... and up to here answered */
	char read_name[PEER_NAME_SIZE], acked_name[PEER_NAME_SIZE];
	struct peer_fix fixes[FIXES_MAX];
	size_t n_fixes;
	/* A file was missing when an operation on it was looked at: a rename
	 * up to here may be why (peer_log.c). */
	uint64_t moved_until;
	uint64_t parked;
	wall_t parked_next;
	/* a connection that dies at the same place again and again */
	uint64_t lost_seq;
	char lost_name[PEER_NAME_SIZE];
	struct peer_item suspect;      /* what was under way then */
	struct peer_item refused_item; /* see refused */
	/* rates */
	mono_t second;
	size_t bucket;
	uint64_t ops[RATE_SPAN], sent_bytes[RATE_SPAN];

	struct peer_op page[PAGE_ROWS];
	size_t page_n, page_at;
	uint64_t at; /* the row under treatment */
	char *arena;
	size_t arena_n, arena_cap;

	unsigned changes_seen;
	unsigned lost;   /* how often, at lost_seq or lost_name */
	int refused;     /* the last reply said that the peer takes nothing */
	bool known;      /* there is a row */
	bool has_much;   /* the peer answered "exists": ask before sending */
	bool ours;       /* the last outcome of a repair: an error of our own */
	bool was_lost;   /* an event told so */
	bool one_by_one; /* the peer takes one request at a time */
	bool stuck;      /* what is at, or before it, waits for our disk */
	bool dirty, urgent;
};

/* peer.c: the thread. */
void *peer_run(void *arg);
/* Is the peer's state one in which it is sent to? */
bool peer_may_send(const struct peer *p);

/* peer_session.c: sends until the pair's state or its stage of being filled
 * changes (0), the peer refused something and with it the connection (1), or
 * -errno. */
int peer_session(struct peer *p);
/* Are there older files in the catalogue that it was not given? */
bool peer_is_walking(const struct peer *p);
/* Shall the peer count what comes as received, by its time? */
bool peer_counts(const struct peer *p);
/* Remembers what was answered; with nothing left to repair. */
void peer_settle(struct peer *p);
/* What comes after this (a row, a file) is to be passed with the last request
 * under way, or now when there is none. */
void peer_pass(struct peer *p, uint64_t seq, const char *name);
void peer_fix(struct peer *p, const struct peer_item *item, enum peer_cure cure,
    int status);

/* --- peer_keep.c --- */
bool peer_quits(const struct peer *p);
/* Sleeps at most ms; ends early by a change of the members, by quit and, when
 * commits is given, by a commit after that count. false: by time. */
bool peer_sleep(struct peer *p, int64_t ms, const uint64_t *commits);
void peer_phase(struct peer *p, enum peer_phase phase);
void peer_error(struct peer *p, int error, const char *fmt, ...)
    ATTR_PRINTF(3, 4);
/* The row as others see it. */
void peer_show(struct peer *p);
/* Writes the row when it is time; when now, at once. */
void peer_save(struct peer *p, bool now);
/* In the same transaction as the row; of a rename both names. */
void peer_park(struct peer *p, const struct peer_item *item, int error,
    const char *text, uint32_t tries);
void peer_unpark(struct peer *p, const char *name);
void peer_count_parked(struct peer *p);
/* A new place to begin at, or none (NULL): what is parked is dropped. */
int peer_begin(struct peer *p, const struct peer_row *row);
void peer_sent(struct peer *p, uint64_t bytes, bool taken);
void peer_tick(struct peer *p);
/* Does the window of cluster-protocol 3.9 allow it? *ms: until it does. */
bool peer_in_window(const struct peer *p, int64_t *ms);

/* --- peer_link.c --- */
int link_open(struct peer *p, const struct addr *to, bool named);
void link_close(struct peer *p);
/* Waits until another request with so much content may be sent. */
int link_room(struct peer *p, uint64_t bytes);
/* Its entry; its bytes follow. */
struct sent *link_add(struct peer *p, uint8_t command,
    const struct peer_item *item);
/* Bytes of a request; what does not fit is sent. */
int link_put(struct peer *p, const void *bytes, size_t n);
/* Room for n more (at most LINK_OUT); the caller moves link.out_n. NULL: the
 * connection is lost. */
uint8_t *link_space(struct peer *p, size_t n);
int link_send_file(struct peer *p, int fd, uint64_t at, uint64_t n);
int link_flush(struct peer *p);
/* Sends what is collected, then takes the replies that come first. */
int link_take(struct peer *p);
int link_drain(struct peer *p);

/* --- peer_file.c: requests --- */
/* -ENOENT: we have none. Others: cannot be read. */
int file_open(struct peer *p, const char *name, uint64_t *size);
bool file_exists(struct peer *p, const char *name);
/* Does the name prove the content? */
bool file_proven(const char *name);
/* The time in the name of a file, or other. */
int64_t file_time(const char *name, int64_t other);
/* Whole content by 16 or 18. Negative: nothing was sent because our file is
 * not there (-ENOENT) or cannot be read, or, when p->link.dead is set, the
 * connection is lost. The same holds for those below. */
int put_file(struct peer *p, uint8_t command, const struct peer_item *item);
int put_range(struct peer *p, uint8_t command, const struct peer_item *item,
    uint64_t offset, uint64_t n);
int put_text(struct peer *p, const struct peer_item *item, const char *text,
    size_t n);
int put_truncate(struct peer *p, const struct peer_item *item, uint64_t from,
    uint64_t to);
int put_delete(struct peer *p, const struct peer_item *item);
int put_rename(struct peer *p, const struct peer_item *item);
/* flags 1: without the checksum. */
int put_info(struct peer *p, const struct peer_item *item, uint8_t flags,
    uint64_t size);
/* name + "-m". */
struct peer_item item_of_meta(const struct peer_item *item, const char *name);

/* --- peer_log.c --- */
/* Reads rows and sends what follows from them. 1: rows were there, 0: the end
 * of the log, or p->stuck, -errno. */
int log_step(struct peer *p);
/* A place behind a row whose change a disk here has refused is taken back to
 * before that row, true. */
bool log_step_back(const struct peer *p, uint64_t *seq);
/* A reply is here. */
void peer_reply(struct peer *p, const struct sent *s, int status);
/* The first own row from a moment on: the cursor before it. -ESTALE when the
 * log does not reach back so far. */
int log_find(struct peer *p, int64_t from, uint64_t *seq);

/* --- peer_fill.c --- */
int fill_step(struct peer *p);
/* Where a fill that begins now stands: cursor and totals of the row. */
int fill_position(struct peer *p, struct peer_row *row);

/* --- peer_repair.c --- */
/* With nothing under way: what was not taken. 1: the peer closes the
 * connection now, as it does after 22. */
int repair_fixes(struct peer *p);
/* What is parked and due; as above. */
int repair_parked(struct peer *p);
/* Does it say that the peer as a whole can take nothing? */
bool status_of_peer(int status);
/* Tells of it. */
void peer_refused(struct peer *p, int status, const char *name);

#endif
