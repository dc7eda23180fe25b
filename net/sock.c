/* SPDX-License-Identifier: MIT */
#include "net/sock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

socklen_t sock_from_addr(const struct addr *a, struct sockaddr_storage *out)
{
	struct sockaddr_in in4 = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

	memset(out, 0, sizeof(*out));
	if (a->family == 6) {
		in6.sin6_port = htons(a->port);
		memcpy(&in6.sin6_addr, a->ip, 16);
		memcpy(out, &in6, sizeof(in6));
		return sizeof(in6);
	}
	in4.sin_port = htons(a->port);
	memcpy(&in4.sin_addr, a->ip, 4);
	memcpy(out, &in4, sizeof(in4));
	return sizeof(in4);
}

void sock_to_addr(const struct sockaddr_storage *sa, struct addr *out)
{
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;

	memset(out, 0, sizeof(*out));
	if (sa->ss_family == AF_INET6) {
		memcpy(&in6, sa, sizeof(in6));
		out->family = 6;
		out->port = ntohs(in6.sin6_port);
		memcpy(out->ip, &in6.sin6_addr, 16);
		/* A v4 client of a v6 socket is a v4 client. */
		if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) {
			out->family = 4;
			memmove(out->ip, out->ip + 12, 4);
			memset(out->ip + 4, 0, 12);
		}
	} else if (sa->ss_family == AF_INET) {
		memcpy(&in4, sa, sizeof(in4));
		out->family = 4;
		out->port = ntohs(in4.sin_port);
		memcpy(out->ip, &in4.sin_addr, 4);
	}
}

void sock_nodelay(int fd)
{
	int on = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

void sock_ack_now(int fd)
{
	int on = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
}

void sock_keepalive(int fd)
{
	int on = 1;

	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

/* Probes find a silent host, the timeout one that does not acknowledge. The
 * timeout also ends what a peer does not read, so it is not for clients. */
void sock_watch(int fd)
{
	const int idle = SOCK_WATCH_SEC / 2;
	const int probes = 2;
	const int pause = SOCK_WATCH_SEC / 4;
	const unsigned ms = SOCK_WATCH_SEC * 1000;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &pause, sizeof(pause));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
}

int sock_stream(const struct addr *a)
{
	int fd = socket(a->family == 6 ? AF_INET6 : AF_INET,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}
