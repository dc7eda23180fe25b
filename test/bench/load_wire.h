/* SPDX-License-Identifier: MIT */
/*
 * Requests and replies of the protocol as bytes, for the load generator only.
 * Pure functions over buffers; any thread may call them.
 */
#ifndef TEST_BENCH_LOAD_WIRE_H
#define TEST_BENCH_LOAD_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_HEADER   10
#define WIRE_GROUP    16
#define WIRE_NAME_MAX 127
#define WIRE_EXT      6

enum wire_cmd {
	CMD_UPLOAD = 11,
	CMD_DELETE = 12,
	CMD_SET_METADATA = 13,
	CMD_DOWNLOAD = 14,
	CMD_GET_METADATA = 15,
	CMD_FILE_INFO = 22,
	CMD_UPLOAD_APPENDER = 23,
	CMD_APPEND = 24,
	CMD_RESPONSE = 100,
	CMD_STORE_ANY = 101,
	CMD_FETCH_ONE = 102,
	CMD_UPDATE = 103,
	CMD_STORE_GROUP = 104
};

/*
 * A request: the bytes before the content, and how many bytes of content
 * follow them. The content itself comes from load_content.
 */
struct request {
	uint8_t head[1024];
	size_t head_len;
	uint64_t content_len;
};

/* The file a request names: group and name without the group. */
struct wire_file {
	const uint8_t *group; /* WIRE_GROUP bytes, NUL padded */
	const char *name;
	size_t name_len;
};

/* One server of a store or fetch reply. */
struct wire_server {
	uint8_t group[WIRE_GROUP];
	char host[48];
	uint16_t port;
	uint8_t path; /* store replies only */
};

/* What a file name says of its content (client-protocol 5.2, 5.3). */
struct wire_name {
	uint64_t size;
	uint32_t crc;
	bool appender;
};

void wire_query_store(struct request *q, const uint8_t *group);

/* Group and name: 12, 15, 22, 102, 103. */
void wire_named(struct request *q, enum wire_cmd cmd,
    const struct wire_file *f);
void wire_download(struct request *q, const struct wire_file *f);
void wire_upload(struct request *q, enum wire_cmd cmd, uint8_t path,
    const char *ext, uint64_t size);
void wire_append(struct request *q, const struct wire_file *f, uint64_t size);

/* Replaces the metadata of f by text. */
void wire_set_metadata(struct request *q, const struct wire_file *f,
    const char *text, size_t len);

/* False when the header is not that of a reply. */
bool wire_reply_header(const uint8_t in[WIRE_HEADER], uint64_t *body_len,
    uint8_t *status);

/*
 * Reads a reply body of 101/104 (with_path) or 102/103. False when its length
 * fits neither address width.
 */
bool wire_server_parse(const uint8_t *body, size_t len, bool with_path,
    struct wire_server *out);

/* False when the name is not of the form of 5.1. */
bool wire_name_parse(const char *name, size_t len, struct wire_name *out);

#endif
