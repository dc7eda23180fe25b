/* SPDX-License-Identifier: MIT */
/*
 * How long files take to reach a peer: uploads to one storage at a steady rate
 * or as fast as it can, and watches by inotify how they become complete in a
 * store path of the other. One thread, so one clock; a file is there when what
 * wrote it closed it or gave it its name.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HEAD      10
#define FIXED     15 /* of an upload: path, size, extension */
#define MAX_CONNS 256
#define NAME_SIZE 80
#define REPLY_MAX 256

struct file {
	char name[NAME_SIZE];
	uint64_t acked, arrived; /* ns, 0 not yet */
};

struct client {
	int fd;
	bool busy;
	size_t sent;
	size_t got;
	unsigned char reply[REPLY_MAX];
};

static struct {
	const char *host, *watch;
	int port;
	size_t size, count, conns;
	double rate, timeout;
	pid_t wake;
} opt = { .host = "127.0.0.1",
	.size = 4096,
	.count = 1000,
	.conns = 1,
	.timeout = 60 };

static struct {
	struct client c[MAX_CONNS];
	unsigned char *request;
	size_t request_size;
	struct file *files; /* hash table by name */
	size_t mask;
	int inotify;
	size_t started, acked, arrived;
	uint64_t begin, last_ack, first_arrival, last_arrival;
} run;

static void die(const char *what)
{
	fprintf(stderr, "lag: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void refuse(const char *what)
{
	fprintf(stderr, "lag: %s\n", what);
	exit(1);
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The row of a name, made when it is new. */
static struct file *row_of(const char *name, size_t n)
{
	uint64_t h = 1469598103934665603u;
	size_t i;

	if (n >= NAME_SIZE)
		refuse("a name is too long");
	for (i = 0; i < n; i++)
		h = (h ^ (unsigned char)name[i]) * 1099511628211u;
	for (i = (size_t)h & run.mask;; i = (i + 1) & run.mask) {
		struct file *f = &run.files[i];

		if (!f->name[0])
			memcpy(f->name, name, n);
		if (strncmp(f->name, name, n) == 0 && !f->name[n])
			return f;
	}
}

/* --- the peer's side --- */

static void watch_tree(const char *path, int depth)
{
	char child[4096];
	struct dirent *e;
	DIR *d;

	if (depth == 0) {
		if (inotify_add_watch(run.inotify, path,
		        IN_CLOSE_WRITE | IN_MOVED_TO) < 0)
			die(path);
		return;
	}
	d = opendir(path);
	if (!d)
		die(path);
	while ((e = readdir(d))) {
		if (strlen(e->d_name) != 2 || e->d_name[0] == '.')
			continue;
		snprintf(child, sizeof(child), "%s/%s", path, e->d_name);
		watch_tree(child, depth - 1);
	}
	closedir(d);
}

static void arrived(const char *name, uint64_t t)
{
	struct file *f = row_of(name, strlen(name));

	if (f->arrived)
		return;
	f->arrived = t;
	run.arrived++;
	if (!run.first_arrival)
		run.first_arrival = t;
	run.last_arrival = t;
}

static void take_arrivals(void)
{
	static _Alignas(struct inotify_event) char text[64 * 1024];
	ssize_t n = read(run.inotify, text, sizeof(text));
	uint64_t t = now();

	for (ssize_t at = 0; at < n;) {
		const struct inotify_event *e = (const void *)(text + at);

		if (e->mask & IN_Q_OVERFLOW)
			refuse("too many events at once");
		if (e->len)
			arrived(e->name, t);
		at += (ssize_t)(sizeof(*e) + e->len);
	}
}

/* --- the source's side --- */

static void put64(unsigned char *p, uint64_t v)
{
	for (int i = 0; i < 8; i++)
		p[i] = (unsigned char)(v >> (56 - 8 * i));
}

static void make_request(void)
{
	unsigned char *p;

	run.request_size = HEAD + FIXED + opt.size;
	p = calloc(1, run.request_size);
	if (!p)
		die("memory");
	put64(p, FIXED + opt.size);
	p[8] = 11;
	p[HEAD] = 0xff;
	put64(p + HEAD + 1, opt.size);
	memcpy(p + HEAD + 9, "bin", 3);
	for (size_t i = 0; i < opt.size; i++)
		p[HEAD + FIXED + i] = (unsigned char)(i * 2654435761u >> 13);
	run.request = p;
}

static void connect_one(struct client *c)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)opt.port) };
	int one = 1;

	if (inet_pton(AF_INET, opt.host, &to.sin_addr) != 1)
		refuse("--storage takes an IPv4 address and a port");
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (void *)&to, sizeof(to)) < 0)
		die(opt.host);
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static void send_more(struct client *c)
{
	ssize_t n = send(c->fd, run.request + c->sent,
	    run.request_size - c->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN)
		die("send");
	c->sent += n > 0 ? (size_t)n : 0;
}

static void start(struct client *c)
{
	c->busy = true;
	c->sent = 0;
	c->got = 0;
	run.started++;
	send_more(c);
}

static void acknowledged(struct client *c, size_t size)
{
	const char *name = (const char *)c->reply + HEAD + 16;
	const char *slash;
	size_t n = size - HEAD - 16;

	c->reply[size] = 0;
	slash = strrchr(name, '/');
	if (!slash)
		refuse("a reply without a name");
	n -= (size_t)(slash + 1 - name);
	run.last_ack = now();
	row_of(slash + 1, n)->acked = run.last_ack;
	run.acked++;
	c->busy = false;
}

static void receive(struct client *c)
{
	ssize_t n = recv(c->fd, c->reply + c->got, REPLY_MAX - 1 - c->got,
	    MSG_DONTWAIT);
	size_t body;

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0)
		refuse("the storage closed a connection");
	c->got += (size_t)n;
	if (c->got < HEAD)
		return;
	if (c->reply[9] != 0)
		refuse("the storage refused an upload");
	body = c->reply[7];
	if (body < 17 || HEAD + body >= REPLY_MAX)
		refuse("a reply of a wrong length");
	if (c->got == HEAD + body)
		acknowledged(c, c->got);
}

/* How many uploads should have been started by now. */
static size_t due(void)
{
	double n = (double)(now() - run.begin) / 1e9 * opt.rate + 1;

	if (opt.rate <= 0 || n > (double)opt.count)
		return opt.count;
	return (size_t)n;
}

static void turn(void)
{
	struct pollfd pf[MAX_CONNS + 1];
	size_t want = due();

	for (size_t i = 0; i < opt.conns; i++) {
		struct client *c = &run.c[i];

		if (!c->busy && run.started < want)
			start(c);
		pf[i].fd = c->fd;
		pf[i].events = POLLIN;
		if (c->busy && c->sent < run.request_size)
			pf[i].events |= POLLOUT;
	}
	pf[opt.conns] = (struct pollfd){ run.inotify, POLLIN, 0 };
	if (poll(pf, opt.conns + 1, 1) < 0 && errno != EINTR)
		die("poll");
	if (pf[opt.conns].revents)
		take_arrivals();
	for (size_t i = 0; i < opt.conns; i++) {
		if (pf[i].revents & POLLOUT)
			send_more(&run.c[i]);
		if (pf[i].revents & (POLLIN | POLLERR | POLLHUP))
			receive(&run.c[i]);
	}
}

static void work(void)
{
	uint64_t limit = (uint64_t)(opt.timeout * 1e9);
	bool woken = false;

	run.begin = now();
	while (run.acked < opt.count || run.arrived < opt.count) {
		uint64_t moved = run.last_ack > run.last_arrival
		                     ? run.last_ack
		                     : run.last_arrival;

		if (run.acked == opt.count && !woken) {
			woken = true;
			if (opt.wake && kill(opt.wake, SIGCONT) < 0)
				die("--wake");
		}
		if (now() - (moved ? moved : run.begin) > limit)
			break;
		turn();
	}
}

/* --- the result --- */

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void report(void)
{
	double *lag = calloc(opt.count + 1, sizeof(*lag));
	size_t n = 0;

	if (!lag)
		die("memory");
	for (size_t i = 0; i <= run.mask && n < opt.count; i++) {
		const struct file *f = &run.files[i];

		if (f->acked && f->arrived)
			lag[n++] = f->arrived > f->acked
			               ? (double)(f->arrived - f->acked) / 1e6
			               : 0;
	}
	qsort(lag, n, sizeof(*lag), by_size);
	printf("{\"acked\": %zu, \"arrived\": %zu, \"upload_s\": %.4f, "
	       "\"complete_s\": %.4f, \"span_s\": %.4f, ",
	    run.acked, n, (double)(run.last_ack - run.begin) / 1e9,
	    run.last_arrival > run.last_ack
	        ? (double)(run.last_arrival - run.last_ack) / 1e9
	        : 0.0,
	    (double)(run.last_arrival - run.first_arrival) / 1e9);
	printf("\"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f}\n",
	    n ? lag[n / 2] : 0.0, n ? lag[n * 99 / 100] : 0.0,
	    n ? lag[n - 1] : 0.0);
	free(lag);
}

static void usage(void)
{
	fprintf(stderr,
	    "usage: lag -s HOST:PORT -w DATA [-b BYTES] [-n COUNT] [-c CONNS]\n"
	    "           [-r PER_SECOND] [-t SECONDS] [-k PID]\n"
	    "  -w  the data directory of the peer's store path\n"
	    "  -r  uploads a second; 0, the default: as fast as they go\n"
	    "  -t  give up when nothing has moved for so long\n"
	    "  -k  send SIGCONT to the peer once all are uploaded\n");
	exit(2);
}

static void set_storage(char *text)
{
	char *colon = strrchr(text, ':');

	if (!colon)
		usage();
	*colon = 0;
	opt.host = text;
	opt.port = atoi(colon + 1);
}

static void read_options(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "s:w:b:n:c:r:t:k:")) != -1)
		switch (c) {
		case 's':
			set_storage(optarg);
			break;
		case 'w':
			opt.watch = optarg;
			break;
		case 'b':
			opt.size = (size_t)strtoull(optarg, NULL, 10);
			break;
		case 'n':
			opt.count = (size_t)strtoull(optarg, NULL, 10);
			break;
		case 'c':
			opt.conns = (size_t)strtoull(optarg, NULL, 10);
			break;
		case 'r':
			opt.rate = atof(optarg);
			break;
		case 't':
			opt.timeout = atof(optarg);
			break;
		case 'k':
			opt.wake = (pid_t)atoi(optarg);
			break;
		default:
			usage();
		}
	if (!opt.watch || opt.port == 0 || opt.count == 0 || opt.conns == 0 ||
	    opt.conns > MAX_CONNS)
		usage();
}

int main(int argc, char **argv)
{
	read_options(argc, argv);
	run.mask = 1024;
	while (run.mask < 4 * opt.count)
		run.mask *= 2;
	run.files = calloc(run.mask, sizeof(*run.files));
	run.mask--;
	if (!run.files)
		die("memory");
	run.inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (run.inotify < 0)
		die("inotify");
	watch_tree(opt.watch, 2);
	make_request();
	for (size_t i = 0; i < opt.conns; i++)
		connect_one(&run.c[i]);
	work();
	report();
	free(run.request);
	free(run.files);
	return run.arrived < opt.count || run.acked < opt.count;
}
