/* SPDX-License-Identifier: MIT */
/*
 * What trackers answer about us, as texts, on its way into struct identity:
 * from the network (identity_ask.c) or from the log of an earlier start
 * (identity.c). Main thread.
 */
#ifndef STORAGED_IDENTITY_IMPL_H
#define STORAGED_IDENTITY_IMPL_H

#include "storaged/identity.h"

#define IDS_TEXT_MAX ((size_t)1024 * 1024)

struct answers {
	char group[17];
	char ips[2 * ADDR_IP_MAX];
	char own_id[17]; /* "" when nobody had to be asked */
	char *params;    /* owned */
	char *ids;       /* owned; "" in ip mode */
};

void answers_fini(struct answers *a);

/* All of it from one tracker; stop() ends the connecting. 0; -errno: not now,
 * another or later; 1: the tracker will not have us, the sentence says why. */
int identity_ask(const struct tracker_entry *tracker,
    const struct storage_conf *conf, struct answers *a, bool (*stop)(void),
    char *err, size_t cap);

/* The answers as an identity. -EINVAL with a sentence when they do not fit
 * one another or the configuration. */
int identity_build(struct identity *id, const struct answers *a,
    const struct storage_conf *conf, char *err, size_t cap);
/* Lines of FETCH_STORAGE_IDS. Gives *out (free) and how many, or -EBADMSG. */
int identity_parse_ids(const char *text, struct id_entry **out);

#endif
