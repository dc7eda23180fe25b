/* SPDX-License-Identifier: MIT */
/*
 * What the commands of `fdfs` share: ids, finding the storage for them, and
 * saying what went wrong. Only the protocol that stock FastDFS speaks is
 * used. Main thread only.
 */
#ifndef CLI_FDFS_H
#define CLI_FDFS_H

#include "cli/run.h"
#include "proto/fileid.h"

#define FDFS_MEMBERS 32
#define FDFS_BLOCK   ((size_t)256 * 1024)

struct fid {
	char text[17 + FILE_NAME_MAX + 1]; /* group/name */
	char group[17];
	char name[FILE_NAME_MAX + 1];
	struct fileid_name parsed; /* spans into name: do not copy */
};

struct member {
	char id[17];
	char group[17];
	struct addr addr;
	int status;
};

struct members {
	struct member items[FDFS_MEMBERS];
	size_t n;
};

/* STATUS_OK, or STATUS_USAGE after pointing at the wrong character. */
enum status fdfs_parse_id(const char *text, struct fid *out);

/* One storage for the file: query_fetch_one or query_update. */
enum status fdfs_locate(struct source *s, uint8_t command, const struct fid *id,
    struct addr *out);
/* All the tracker says can serve it, best first: fetch_one, then the rest of
 * fetch_all, then other active members of the group. */
enum status fdfs_copies(struct source *s, const struct fid *id,
    struct members *out);
/* Members of a group whatever their status. */
enum status fdfs_members(struct source *s, const char *group,
    struct members *out);
/* A storage named by the user, "ID" or "HOST[:PORT]", in `group` or, when
 * that is empty, in any group. */
enum status fdfs_find_storage(struct source *s, const char *group,
    const char *who, struct member *out);
/* Locates for an update and connects. */
enum status fdfs_open_update(struct source *s, const struct fid *id,
    const char *what, struct client **out);

/* Says that `what` failed at a storage; gives the exit status. */
enum status fdfs_fail(const struct source *s, const char *what,
    const char *subject, const struct addr *at, int rc);

/* Reads a file to be sent: regular files as they are, everything else (also
 * "-", standard input) by way of an unnamed temporary file. Gives the
 * descriptor and the size. */
enum status fdfs_open_input(const char *path, int *fd, uint64_t *size);
/* Sends a request's head and the content of fd, gives the reply's status and
 * length. crc of what was sent. `label` for the progress line. -ESTALE: fd
 * ended before size; -EOVERFLOW: a stream has more; the storage then has an
 * incomplete request, which it drops with the connection. */
struct fdfs_upload {
	uint8_t command;
	const struct message *message;
	const void *in;
	int fd;
	uint64_t size;
	bool stream; /* fd cannot be read twice, and must end with size */
	const char *label;
	bool quiet;
	uint32_t crc;
	uint64_t reply_length;
};
int fdfs_send(struct client *c, struct fdfs_upload *u);

/* Packs NAME=VALUE texts after `first` (or NULL); gives *text (free) and *n.
 * STATUS_USAGE when one breaks the protocol's limits. */
enum status fdfs_pack_meta(const struct opt_list *pairs, const char *name,
    char **text, size_t *n);

/* Sends set_metadata with packed text of any length; flag 'O' or 'M'. */
int fdfs_set_meta(struct client *c, const struct fid *id, char flag,
    struct span packed);

/* Where a metadata answer ends: fits every stock server's limit. */
#define FDFS_META_MAX ((size_t)256 * 1024)

#define FDFS_VERBS(V) \
	V(put)        \
	V(get)        \
	V(cat)        \
	V(rm)         \
	V(stat) V(append) V(modify) V(truncate) V(regen) V(meta) V(list) V(ping)
#define FDFS_DECLARE(name) \
	enum status fdfs_run_##name(struct cli *cli, const void *options);
FDFS_VERBS(FDFS_DECLARE)

extern const struct program fdfs_program;

/* Rows of the options of commands that have their own. */
extern const struct opt_table fdfs_put_table, fdfs_get_table, fdfs_cat_table,
    fdfs_rm_table, fdfs_modify_table, fdfs_list_table;

#endif
