/* SPDX-License-Identifier: MIT */
/*
 * The address value itself. Lists of addresses stand in addr_list.c.
 */
#include "base/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static size_t ip_size(const struct addr *a)
{
	return a->family == 4 ? 4 : a->family == 6 ? 16 : 0;
}

static void take_ip(struct addr *a, uint8_t family, const void *ip)
{
	a->family = family;
	memset(a->ip, 0, sizeof(a->ip));
	memcpy(a->ip, ip, ip_size(a));
}

int addr_parse_ip(struct span text, struct addr *out)
{
	char buf[ADDR_IP_MAX];
	struct in6_addr v6;
	struct in_addr v4;

	if (memchr(text.p, '\0', text.n) ||
	    !str_copy_span(buf, sizeof(buf), text))
		return -EINVAL;
	if (inet_pton(AF_INET, buf, &v4) == 1)
		take_ip(out, 4, &v4);
	else if (inet_pton(AF_INET6, buf, &v6) == 1)
		take_ip(out, 6, &v6);
	else
		return -EINVAL;
	return 0;
}

/* The address in a socket address; false for other families. */
static bool take_sockaddr(const struct sockaddr *sa, struct addr *out)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (sa->sa_family == AF_INET) {
		memcpy(&v4, sa, sizeof(v4));
		take_ip(out, 4, &v4.sin_addr);
	} else if (sa->sa_family == AF_INET6) {
		memcpy(&v6, sa, sizeof(v6));
		take_ip(out, 6, &v6.sin6_addr);
	} else {
		return false;
	}
	return true;
}

int addr_lookup(const char *name, struct addr *out, size_t cap)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *list;
	size_t n = 0;

	if (cap == 0 || name[0] == '\0' ||
	    getaddrinfo(name, NULL, &hints, &list) != 0)
		return -ENOENT;
	for (const struct addrinfo *ai = list; ai && n < cap;
	     ai = ai->ai_next) {
		out[n] = (struct addr){ 0 };
		n += take_sockaddr(ai->ai_addr, &out[n]);
	}
	freeaddrinfo(list);
	return n > 0 ? (int)n : -ENOENT;
}

int addr_local(struct addr *out, size_t cap)
{
	struct ifaddrs *list;
	size_t n = 0;

	if (getifaddrs(&list) < 0)
		return -errno;
	for (const struct ifaddrs *i = list; i && n < cap; i = i->ifa_next) {
		if (!i->ifa_addr)
			continue;
		out[n] = (struct addr){ 0 };
		n += take_sockaddr(i->ifa_addr, &out[n]);
	}
	freeifaddrs(list);
	return (int)n;
}

/* Splits "host", "host:port", "v6", "[v6]", "[v6]:port". The port's text is
 * NULL when there is none. */
static int split_port(const char *text, struct span *host, const char **port)
{
	const char *colon = strrchr(text, ':');
	const char *close;

	*port = NULL;
	if (text[0] == '[') {
		close = strchr(text, ']');
		if (!close || (close[1] != '\0' && close[1] != ':'))
			return -EINVAL;
		*host = (struct span){ text + 1, (size_t)(close - text) - 1 };
		if (close[1] == ':')
			*port = close + 2;
		return memchr(host->p, ':', host->n) ? 0 : -EINVAL;
	}
	*host = span_of(text);
	if (colon && strchr(text, ':') == colon) {
		host->n = (size_t)(colon - text);
		*port = colon + 1;
	}
	return host->n > 0 ? 0 : -EINVAL;
}

/* Digits and dots only: meant as an address, so no name to look up. */
static bool looks_like_ip(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == ':')
			return true;
		if (s.p[i] != '.' && (s.p[i] < '0' || s.p[i] > '9'))
			return false;
	}
	return true;
}

static int parse_port(const char *text, uint16_t *out)
{
	uint64_t n;

	if (str_to_u64(text, &n) < 0 || n == 0 || n > UINT16_MAX)
		return -EINVAL;
	*out = (uint16_t)n;
	return 0;
}

int addr_parse(const char *text, uint16_t default_port, struct addr *out)
{
	uint16_t port = default_port;
	struct addr a = { 0 };
	char name[256];
	const char *port_text;
	struct span host;

	if (split_port(text, &host, &port_text) < 0 ||
	    (port_text && parse_port(port_text, &port) < 0))
		return -EINVAL;
	if (addr_parse_ip(host, &a) < 0) {
		int rc;

		if (looks_like_ip(host) || !str_is_word(host, "-._") ||
		    !str_copy_span(name, sizeof(name), host))
			return -EINVAL;
		rc = addr_lookup(name, &a, 1);
		if (rc < 0)
			return rc;
	}
	a.port = port;
	*out = a;
	return 0;
}

const char *addr_ip(const struct addr *a, char *buf, size_t cap)
{
	const int af = a->family == 4 ? AF_INET : AF_INET6;

	if (cap == 0)
		return buf;
	if (a->family == 0 || !inet_ntop(af, a->ip, buf, (socklen_t)cap))
		buf[0] = '\0';
	return buf;
}

const char *addr_text(const struct addr *a, char *buf, size_t cap)
{
	char ip[ADDR_IP_MAX];

	addr_ip(a, ip, sizeof(ip));
	snprintf(buf, cap, a->family == 6 ? "[%s]:%u" : "%s:%u", ip,
	    (unsigned)a->port);
	return buf;
}

bool addr_same_ip(const struct addr *a, const struct addr *b)
{
	return a->family == b->family && memcmp(a->ip, b->ip, ip_size(a)) == 0;
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
	return addr_same_ip(a, b) && a->port == b->port;
}

enum addr_class addr_class(const struct addr *a)
{
	if (a->family != 4)
		return ADDR_CLASS_OTHER;
	if (a->ip[0] == 10)
		return ADDR_CLASS_10;
	if (a->ip[0] == 172 && (a->ip[1] & 0xf0) == 16)
		return ADDR_CLASS_172;
	if (a->ip[0] == 192 && a->ip[1] == 168)
		return ADDR_CLASS_192;
	return ADDR_CLASS_OTHER;
}
