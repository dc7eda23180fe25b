/* SPDX-License-Identifier: MIT */
/*
 * Any packet as one line of text, for logs, tests and `fdfs-meta decode`.
 * Pure, any thread.
 */
#ifndef PROTO_DUMP_H
#define PROTO_DUMP_H

#include <stdbool.h>

#include "proto/command.h"
#include "proto/msg.h"

/* header and body of a request, or of the reply to command `of` (a reply does
 * not say itself what it answers). n may be less than the announced length
 * (content not at hand). Unknown or malformed bodies are shown as hex. */
void dump_packet(const void *packet, size_t n, bool reply, uint8_t of,
    struct strbuf *out);

#endif
