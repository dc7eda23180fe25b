/* SPDX-License-Identifier: MIT */
/* A server is resolved once, when it enters the table. */
#include "test/bench/load_server.h"

#include "test/bench/load.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int resolve(struct server *s)
{
	const struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV,
	};
	struct addrinfo *found;
	char port[8];

	(void)snprintf(port, sizeof(port), "%u", s->key.port);
	if (getaddrinfo(s->key.host, port, &hints, &found) != 0)
		return -ENOENT;
	memcpy(&s->addr, found->ai_addr, found->ai_addrlen);
	s->addr_len = found->ai_addrlen;
	freeaddrinfo(found);
	(void)snprintf(s->text, sizeof(s->text), "%s:%u", s->key.host,
	    s->key.port);
	return 0;
}

/* Reads the Mxx of HOST:PORT/Mxx. */
static int parse_path(const char *text, uint8_t *path)
{
	char *end;
	unsigned long v;

	if (text[0] != 'M' || strlen(text) != 3)
		return -EINVAL;
	v = strtoul(text + 1, &end, 16);
	if (*end || v > 0xff)
		return -EINVAL;
	*path = (uint8_t)v;
	return 0;
}

int server_parse_text(const char *text, struct wire_server *key)
{
	const char *slash = strchr(text, '/');
	const size_t len = slash ? (size_t)(slash - text) : strlen(text);
	const char *colon = memrchr(text, ':', len);
	const char *host = text;
	size_t host_len;
	char *end;
	unsigned long port;

	if (!colon)
		return -EINVAL;
	host_len = (size_t)(colon - text);
	if (host_len > 2 && host[0] == '[' && host[host_len - 1] == ']') {
		host++;
		host_len -= 2;
	}
	port = strtoul(colon + 1, &end, 10);
	if (end != text + len || port == 0 || port > UINT16_MAX ||
	    host_len == 0 || host_len >= sizeof(key->host))
		return -EINVAL;
	memset(key, 0, sizeof(*key));
	memcpy(key->host, host, host_len);
	key->port = (uint16_t)port;
	key->path = LOAD_ANY_PATH;
	return slash ? parse_path(slash + 1, &key->path) : 0;
}

void servers_init(struct server_table *t)
{
	memset(t, 0, sizeof(*t));
	t->n = 1;
}

int servers_set_tracker(struct server_table *t, const char *text)
{
	struct server *s = &t->servers[SERVER_TRACKER];
	int rc = server_parse_text(text, &s->key);

	return rc < 0 ? rc : resolve(s);
}

int servers_find(struct server_table *t, const struct wire_server *key)
{
	struct server *s;
	int rc;

	for (size_t i = 1; i < t->n; i++) {
		s = &t->servers[i];
		if (s->key.port == key->port &&
		    strcmp(s->key.host, key->host) == 0)
			return (int)i;
	}
	if (t->n == MAX_SERVERS)
		return -ENOSPC;
	s = &t->servers[t->n];
	s->key = *key;
	rc = resolve(s);
	return rc < 0 ? rc : (int)t->n++;
}

int server_connect(const struct server *s, bool *pending)
{
	const int on = 1;
	const int fd = socket(s->addr.ss_family,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	*pending = false;
	if (connect(fd, (const struct sockaddr *)&s->addr, s->addr_len) == 0)
		return fd;
	*pending = errno == EINPROGRESS;
	if (*pending)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}
