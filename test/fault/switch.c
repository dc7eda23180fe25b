/* SPDX-License-Identifier: MIT */
/*
 * A network for tests: a namespace for each node, each with one interface
 * whose packets this program carries, late or not at all when told so. It
 * needs root, but no bridge, no packages and no kernel module besides TUN, and
 * nothing is left when it ends: it ends with its standard input.
 *	switch 10.77.3 NODES
 * Node k has the address 10.77.3.k, k from 1; the caller's own namespace gets
 * 10.77.3.254. The first line of output names the namespaces, "pid fd fd ...":
 * /proc/<pid>/fd/<fd> can be given to setns. Then each line of input, answered
 * by "ok" or "bad", changes what happens between two nodes, both ways:
 *	delay A B MS	packets come MS milliseconds later
 *	cut A B		no packet comes
 *	heal A B	as at the start
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NODES 32
#define HOST  0 /* in the tables; 254 in addresses */
#define MTU   9000
#define LATE  4096 /* packets on their way */

struct packet {
	struct packet *next;
	uint64_t due; /* ns */
	size_t size;
	int to;
	unsigned char data[];
};

static struct {
	uint32_t net; /* host byte order, last byte 0 */
	int nodes;
	int tun[NODES + 1];
	int ns[NODES + 1];
	int ms[NODES + 1][NODES + 1]; /* -1 cut */
	struct packet *late;          /* by due */
	size_t nlate;
} sw;

static void die(const char *what)
{
	fprintf(stderr, "switch: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void set_address(int s, struct ifreq *ifr, unsigned long what,
    uint32_t address)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(address) };

	memcpy(&ifr->ifr_addr, &in, sizeof(in));
	if (ioctl(s, what, ifr) < 0)
		die("address");
}

static void up(int s, struct ifreq *ifr)
{
	ifr->ifr_flags = IFF_UP | IFF_RUNNING;
	if (ioctl(s, SIOCSIFFLAGS, ifr) < 0)
		die("up");
}

/* The interface of a node in the namespace we are in now. */
static int make_tun(const char *name, uint32_t address)
{
	struct ifreq ifr = { 0 };
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 || s < 0)
		die("/dev/net/tun");
	snprintf(ifr.ifr_name, IFNAMSIZ, "%s", name);
	ifr.ifr_flags = IFF_TUN | IFF_NO_PI;
	if (ioctl(fd, TUNSETIFF, &ifr) < 0)
		die(name);
	set_address(s, &ifr, SIOCSIFADDR, address);
	set_address(s, &ifr, SIOCSIFNETMASK, 0xffffff00u);
	ifr.ifr_mtu = MTU;
	if (ioctl(s, SIOCSIFMTU, &ifr) < 0)
		die("mtu");
	up(s, &ifr);
	close(s);
	return fd;
}

static void lo_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo" };
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	up(s, &ifr);
	close(s);
}

static void make_nodes(void)
{
	char name[IFNAMSIZ];
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	for (int k = 1; k <= sw.nodes; k++) {
		if (unshare(CLONE_NEWNET) < 0)
			die("unshare");
		sw.ns[k] = open("/proc/self/ns/net", O_RDONLY);
		lo_up();
		sw.tun[k] = make_tun("e0", sw.net + (uint32_t)k);
	}
	if (setns(home, CLONE_NEWNET) < 0)
		die("setns");
	close(home);
	snprintf(name, sizeof(name), "fdfs%d", (int)getpid());
	sw.tun[HOST] = make_tun(name, sw.net + 254);
	printf("%d", (int)getpid());
	for (int k = 1; k <= sw.nodes; k++)
		printf(" %d", sw.ns[k]);
	printf("\n");
	fflush(stdout);
}

/* Which node has the address in a packet; -1 none. */
static int node_at(const unsigned char *p)
{
	uint32_t a = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	             (uint32_t)p[2] << 8 | p[3];

	if (a == sw.net + 254)
		return HOST;
	a -= sw.net;
	return a >= 1 && a <= (uint32_t)sw.nodes ? (int)a : -1;
}

static void put_late(int to, const unsigned char *data, size_t n, int ms)
{
	struct packet *p = NULL;
	struct packet **at = &sw.late;

	if (sw.nlate < LATE)
		p = malloc(sizeof(*p) + n);
	if (!p)
		return; /* a network may lose packets */
	p->due = now() + (uint64_t)ms * 1000000u;
	p->size = n;
	p->to = to;
	memcpy(p->data, data, n);
	while (*at && (*at)->due <= p->due)
		at = &(*at)->next;
	p->next = *at;
	*at = p;
	sw.nlate++;
}

static void carry(const unsigned char *data, size_t n)
{
	int from, to, ms;

	if (n < 20 || data[0] >> 4 != 4)
		return;
	from = node_at(data + 12);
	to = node_at(data + 16);
	if (from < 0 || to < 0)
		return;
	ms = sw.ms[from][to];
	if (ms > 0)
		put_late(to, data, n, ms);
	else if (ms == 0 && write(sw.tun[to], data, n) < 0 && errno != EAGAIN)
		fprintf(stderr, "switch: node %d: %s\n", to, strerror(errno));
}

static void take(int k)
{
	static unsigned char data[MTU + 64];
	ssize_t n;

	for (int i = 0; i < 64; i++) {
		n = read(sw.tun[k], data, sizeof(data));
		if (n <= 0)
			return;
		carry(data, (size_t)n);
	}
}

/* Gives how many milliseconds the next late packet has left, -1 none. */
static int deliver(void)
{
	uint64_t t = now();

	while (sw.late && sw.late->due <= t) {
		struct packet *p = sw.late;

		sw.late = p->next;
		sw.nlate--;
		if (write(sw.tun[p->to], p->data, p->size) < 0 &&
		    errno != EAGAIN)
			fprintf(stderr, "switch: %s\n", strerror(errno));
		free(p);
	}
	return sw.late ? (int)((sw.late->due - t) / 1000000u) + 1 : -1;
}

static bool obey(const char *line)
{
	char word[16];
	int a, b, ms = 0;
	int n = sscanf(line, "%15s %d %d %d", word, &a, &b, &ms);

	if (n >= 3 && a == 254)
		a = HOST;
	if (n >= 3 && b == 254)
		b = HOST;
	if (n < 3 || a < 0 || b < 0 || a > sw.nodes || b > sw.nodes)
		return false;
	if (strcmp(word, "cut") == 0)
		ms = -1;
	else if (strcmp(word, "heal") == 0)
		ms = 0;
	else if (strcmp(word, "delay") != 0 || n != 4 || ms < 0)
		return false;
	sw.ms[a][b] = sw.ms[b][a] = ms;
	return true;
}

/* False at the end of the input. */
static bool take_orders(void)
{
	static char text[4096];
	static size_t used;
	ssize_t n = read(STDIN_FILENO, text + used, sizeof(text) - 1 - used);
	char *end;

	if (n <= 0)
		return false;
	used += (size_t)n;
	text[used] = 0;
	while ((end = strchr(text, '\n'))) {
		*end = 0;
		puts(obey(text) ? "ok" : "bad");
		used -= (size_t)(end + 1 - text);
		memmove(text, end + 1, used + 1);
	}
	fflush(stdout);
	return used < sizeof(text) - 1;
}

static void run(void)
{
	struct pollfd pf[NODES + 2];
	nfds_t n = 0;

	for (int k = 0; k <= sw.nodes; k++)
		pf[n++] = (struct pollfd){ sw.tun[k], POLLIN, 0 };
	pf[n++] = (struct pollfd){ STDIN_FILENO, POLLIN, 0 };
	for (;;) {
		if (poll(pf, n, deliver()) < 0 && errno != EINTR)
			die("poll");
		for (int k = 0; k <= sw.nodes; k++)
			if (pf[k].revents)
				take(k);
		if (pf[n - 1].revents && !take_orders())
			return;
	}
}

int main(int argc, char **argv)
{
	unsigned a, b, c;

	if (argc != 3 || sscanf(argv[1], "%u.%u.%u", &a, &b, &c) != 3 ||
	    a > 255 || b > 255 || c > 255) {
		fprintf(stderr, "usage: switch 10.77.3 NODES\n");
		return 2;
	}
	sw.net = a << 24 | b << 16 | c << 8;
	sw.nodes = atoi(argv[2]);
	if (sw.nodes < 1 || sw.nodes > NODES) {
		fprintf(stderr, "switch: 1 to %d nodes\n", NODES);
		return 2;
	}
	make_nodes();
	run();
	return 0;
}
