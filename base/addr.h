/* SPDX-License-Identifier: MIT */
/*
 * Internet addresses as values: parse, format, compare, classify. No sockets
 * here; net/ turns them into what the kernel wants. Pure, any thread.
 */
#ifndef BASE_ADDR_H
#define BASE_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define ADDR_IP_MAX   46 /* text of an address with its NUL */
#define ADDR_TEXT_MAX 60 /* "[v6]:port" with its NUL */

struct addr {
	uint8_t family; /* 0 none, 4, 6 */
	uint8_t ip[16]; /* network order; IPv4 in the first four */
	uint16_t port;
};

/* "1.2.3.4" or "fe80::1"; port untouched. 0 or -EINVAL. No look-up. */
int addr_parse_ip(struct span text, struct addr *out);
/* "host", "host:port", "[v6]:port"; a name is looked up (may block).
 * 0, -EINVAL for nonsense, -ENOENT when the name has no address. */
int addr_parse(const char *text, uint16_t default_port, struct addr *out);
/* Every address of a name (may block), at most cap; port 0. How many, or
 * -ENOENT. */
int addr_lookup(const char *name, struct addr *out, size_t cap);
/* The addresses of this host's interfaces, loopback too. How many, or -errno.
 */
int addr_local(struct addr *out, size_t cap);
/* IP text without port; buf >= ADDR_IP_MAX. */
const char *addr_ip(const struct addr *a, char *buf, size_t cap);
/* "ip:port" or "[v6]:port"; buf >= ADDR_TEXT_MAX. */
const char *addr_text(const struct addr *a, char *buf, size_t cap);
bool addr_same_ip(const struct addr *a, const struct addr *b);
bool addr_equal(const struct addr *a, const struct addr *b);
/* 10/8, 172.16/12, 192.168/16 or everything else (client-protocol 2.5). */
enum addr_class {
	ADDR_CLASS_10,
	ADDR_CLASS_172,
	ADDR_CLASS_192,
	ADDR_CLASS_OTHER
};
enum addr_class addr_class(const struct addr *a);

/* A list of who may connect (allow_hosts, configuration.md section 2):
 * addresses, CIDR, ranges a.b.c.[0-15,20], names. */
struct addr_list;
/* 0 and gives *out, or -EINVAL with a sentence in err. An item may be a whole
 * line of items with commas between. An unresolvable name is a warning. No
 * items, or "*": everyone. Looks names up, so it may block. */
int addr_list_parse(const char *const *items, size_t n, struct addr_list **out,
    char *err, size_t cap);
bool addr_list_has(const struct addr_list *l, const struct addr *a);
void addr_list_free(struct addr_list *l);

#endif
