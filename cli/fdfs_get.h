/* SPDX-License-Identifier: MIT */
/* What the two files of `fdfs get` share; no one else includes it. */
#ifndef CLI_FDFS_GET_H
#define CLI_FDFS_GET_H

#include "cli/fdfs.h"

struct get_options {
	const char *output;
	bool force;
	const char *range;
	const char *from;
	bool verify;
};

enum get_crc { GET_CRC_NONE, GET_CRC_OK, GET_CRC_BAD };

struct get {
	struct cli *cli;
	const struct get_options *o;
	struct source *source;
	struct out *out; /* NULL: lines for people */
	bool to_stdout;

	struct fid id;
	bool ranged;
	uint64_t offset, size; /* asked for; size 0: to the end */
	int fd;
	bool seekable;    /* may start again */
	const char *path; /* final name, NULL for standard output */
	char name[256];   /* what it is called here */
	uint64_t got;
	uint32_t crc;
	enum get_crc result;
	struct addr from;
	struct strbuf failed; /* copies that would not do */
	char failed_text[1024];
};

/* fdfs_get.c */
enum status get_one(struct get *g, const char *text);
enum status get_content(struct get *g, const struct members *copies);
/* The last part of a recorded name, unless it could surprise: hidden, like an
 * option, with control bytes. */
bool get_safe_name(struct span s, char *out, size_t cap);
/* fdfs_save.c */
enum status get_to_stdout(struct get *g, const struct members *copies);
enum status get_to_file(struct get *g, const struct members *copies);

#endif
