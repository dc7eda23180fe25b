/* SPDX-License-Identifier: MIT */
/*
 * The 10-byte header and the table of commands (client-protocol 1.1, 2.2;
 * cluster-protocol 0.6), made from commands.def. Pure, any thread.
 */
#ifndef PROTO_COMMAND_H
#define PROTO_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

#define HEADER_SIZE      10
#define CMD_RESPONSE     100
#define GROUP_NAME_SIZE  16 /* on the wire; 17 in some records */
#define STORAGE_ID_SIZE  16
#define EXT_SIZE         6
#define PREFIX_SIZE      16
#define FILE_NAME_MAX    127 /* remote file name without group */
#define TRACKER_BODY_MAX (262144 - HEADER_SIZE)

/* Who answers the command. */
enum served_by { BY_TRACKER = 1, BY_STORAGE = 2, BY_BOTH = 3 };

struct header {
	int64_t length; /* of the body; a peer can send a negative one */
	uint8_t command;
	uint8_t status;
};

struct header header_get(const void *p); /* 10 bytes */
void header_put(void *p, uint64_t length, uint8_t command, uint8_t status);

struct message; /* msg.h */

struct command {
	const char *name; /* lower case, "upload_file" */
	/* Never NULL; msg_desc_none for an empty body. */
	const struct message *request;
	const struct message *reply;
	enum served_by by;
	/* Bytes of the body held before the handler is called: all of it for
	 * plain commands; for streamed ones everything before the content. */
	uint32_t held_max;
	uint8_t code;
	bool streamed;
};

/* NULL when nobody knows the code. */
const struct command *command_find(uint8_t code);
/* All of them, in code order. */
const struct command *command_at(size_t i); /* NULL past the end */

enum cmd_code {
#define CMD(code, name, by, request, reply, held) CMD_##name = (code),
#include "proto/commands.def"
#undef CMD
};

#endif
