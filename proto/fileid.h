/* SPDX-License-Identifier: MIT */
/*
 * File ids (client-protocol chapter 5): make, parse, check, map to a path on
 * disk; slave and metadata names. Pure, any thread.
 */
#ifndef PROTO_FILEID_H
#define PROTO_FILEID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "proto/command.h"

#define FILEID_RECORD_LEN 27 /* base64 characters of the 20-byte record */
#define FILEID_NAME_LEN   44 /* M00/00/00/ + 27 + 7 */
#define FILEID_TRUNK_LEN  60
#define FILEID_DISK_MAX   144 /* "HH/HH/name-m" with its NUL */

enum file_type { FILE_NORMAL, FILE_APPENDER, FILE_SLAVE, FILE_TRUNK };

/* The 20-byte record, decoded. */
struct fileid {
	uint32_t source; /* bytes 0-3 as little-endian number: see below */
	uint32_t time;   /* unix */
	uint64_t size_field;
	uint32_t crc;
};

#define FILEID_APPENDER (UINT64_C(1) << 58)
#define FILEID_TRUNK    (UINT64_C(1) << 59)
#define FILEID_SMALL    (UINT64_C(1) << 63)

/* 0 < source < 2^24: a storage id; else an IPv4 address whose bytes are the
 * number's, lowest first. */
bool fileid_source_is_id(uint32_t source);
uint32_t fileid_source_of_ip(const uint8_t ip[4]);
bool fileid_is_appender(const struct fileid *f);
bool fileid_is_trunk(const struct fileid *f);
uint64_t fileid_size(const struct fileid *f);
/* The size field for a new file: random = 23 random bits. */
uint64_t fileid_size_field(uint64_t size, bool appender, uint32_t random);

/* 27 characters, no NUL. */
void fileid_encode(const struct fileid *f, char out[FILEID_RECORD_LEN]);
/* Exactly 27 characters of the alphabet, or -EINVAL. */
int fileid_decode(const char text[FILEID_RECORD_LEN], struct fileid *f);

/* A new name: "MPP/HH/LL/" record tail. ext up to 6 characters or empty;
 * digits: random, fills the tail. Writes 44 characters and a NUL. */
struct fileid_place {
	unsigned path; /* store path index */
	unsigned high, low;
};
void fileid_make(const struct fileid *f, struct fileid_place place,
    struct span ext, uint32_t digits, char out[FILEID_NAME_LEN + 1]);

/* A remote file name checked and cut up (client-protocol 4.1). The spans
 * point into the given name. */
struct fileid_name {
	unsigned path;    /* 0 when the name has no M part */
	struct span rest; /* "HH/HH/name" */
	struct span file; /* "name" */
	bool has_record;  /* the name starts with a decodable record */
	struct fileid id; /* when has_record */
	enum file_type type;
};
/* -EINVAL when it breaks the rules. Does not know how many paths exist. */
int fileid_parse(struct span name, struct fileid_name *out);

/* "HH/HH/name" + suffix ("" or "-m") below <store path>/data. NUL added.
 * -ENAMETOOLONG. */
int fileid_disk_path(const struct fileid_name *n, const char *suffix, char *out,
    size_t cap);

/* Is it the name of a file's metadata, "<name>-m"? */
bool fileid_is_side(struct span name);
/* The file that it belongs to: without that "-m", or the same. */
struct span fileid_owner(struct span name);

/* master name without its extension + prefix + ["." ext] (5.5). Gives the
 * length, or -EINVAL / -ENAMETOOLONG. */
int fileid_slave_name(struct span master, struct span prefix, struct span ext,
    char *out, size_t cap);
/* By length only (5.5): more than 60, or more than 44 and not trunk. */
bool fileid_is_slave(size_t name_len, const struct fileid *f);
/* After regenerating: same place and tail, new record (4.13). old_name is one
 * that fileid_parse took. */
void fileid_remake(struct span old_name, const struct fileid *f,
    char out[FILEID_NAME_LEN + 1]);
/* The part after the last '.' of the tail, or empty. */
struct span fileid_ext(struct span name);

/* [A-Za-z0-9._-] up to max bytes; empty is fine. */
bool fileid_ext_ok(struct span ext);
/* 1-16 of [A-Za-z0-9]. */
bool fileid_group_ok(struct span group);
/* "group/Mxx/..." or a URL that ends so, cut at the group. -EINVAL and the
 * offset of the first wrong character in *at. */
int fileid_split(const char *text, struct span *group, struct span *name,
    size_t *at);

/* Trunk position (5.6) of a trunk name. */
struct trunk_slot {
	uint32_t file, offset, size;
};
int fileid_trunk_slot(struct span name, struct trunk_slot *out);

#endif
