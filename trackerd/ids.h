/* SPDX-License-Identifier: MIT */
/*
 * storage_ids.conf: which id belongs to which group and address
 * (configuration.md section 6, client-protocol 3.16). Loading resolves names
 * and may block; look-ups are pure. Owned by the loop.
 */
#ifndef TRACKERD_IDS_H
#define TRACKERD_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/str.h"

enum rw_mode { RW_NONE = 0, RW_WRITE = 2, RW_READ = 4, RW_BOTH = 6 };

#define IDS_PORT_DEFAULT 23000

struct ids_entry {
	char id[16]; /* decimal text */
	char group[17];
	struct addr addrs[2]; /* inner, outer */
	size_t n_addrs;
	uint16_t port; /* never 0 */
	enum rw_mode rw;
};

struct ids {
	struct ids_entry *items; /* in byte order of the id text */
	size_t n;
	bool has_ipv6;
	bool has_ports; /* the file names ports: look-ups compare them */
};

/* Gives *out (ids_free). -EEXIST for an id or address that stands twice,
 * -EINVAL, -ENOENT ..., each with one sentence with file and line in err. */
int ids_load(const char *path, struct ids **out, char *err, size_t cap);
/* The same from text; `name` stands for the file in messages. Changes text. */
int ids_parse(char *text, const char *name, struct ids **out, char *err,
    size_t cap);
void ids_free(struct ids *ids); /* NULL is fine */

/* NULL when there is none; ids may be NULL. */
const struct ids_entry *ids_by_id(const struct ids *ids, struct span id);
/* By the address a peer comes from; group "" is any group. */
const struct ids_entry *ids_by_addr(const struct ids *ids, const char *group,
    const struct addr *a, uint16_t port);

/* One line of the list, with its newline. */
void ids_print(const struct ids_entry *e, struct strbuf *out);
/* "ip", or "ip,ip2". */
void ids_print_addrs(const struct addr *addrs, size_t n, struct strbuf *out);
/* "a", "a,b", "[v6]", each with ":port" when port is not 0: cuts it up, puts
 * an outer address second. Names are looked up. 0, -EINVAL or -ENOENT. */
int ids_parse_addrs(struct span text, struct addr addrs[2], size_t *n,
    uint16_t *port);

#endif
