/* SPDX-License-Identifier: MIT */
/*
 * The lock on the pid file is the truth about whether a daemon runs; the
 * number in the file only says whom to signal. The lock belongs to the open
 * file, so it is taken before the fork and lives on in the child.
 *
 * Going to the background keeps stderr until daemon_ready, so whatever stops
 * the start is seen by the person who typed it.
 */
#include "base/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"

/* Where the child tells its parent that it serves; -1 in the foreground. */
static int ready_fd = -1;

static const struct verb {
	const char *word;
	enum daemon_verb verb;
	const char *help;
} verbs[] = {
	{ "start", DAEMON_START, "run in the background" },
	{ "stop", DAEMON_STOP, "end the running daemon" },
	{ "restart", DAEMON_RESTART, "stop, then start" },
	{ "status", DAEMON_STATUS, "tell whether the daemon runs" },
};

static const struct option_row {
	const char *letter;
	const char *word;
	enum daemon_verb verb;
	bool wants_conf;
	const char *help;
} options[] = {
	{ "-t", "--check-config", DAEMON_TEST, true,
	    "check CONF and print the effective configuration" },
	{ "-h", "--help", DAEMON_HELP, false, "this help" },
	{ "-V", "--version", DAEMON_VERSION, false, "the version" },
};

void daemon_usage(FILE *out, const char *program)
{
	fprintf(out,
	    "usage: %s CONF [start|stop|restart|status]\n"
	    "       %s -t CONF | -h | -V\n"
	    "  CONF alone         run in the foreground, log to stderr too\n",
	    program, program);
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		fprintf(out, "  CONF %-13s %s\n", verbs[i].word, verbs[i].help);
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		fprintf(out, "  %s, %-14s %s\n", options[i].letter,
		    options[i].word, options[i].help);
}

/* --- command line ------------------------------------------------------- */

/* The directory changes when the daemon goes to the background, so the path
 * is made absolute first. */
static int take_conf(struct daemon_args *out, const char *path)
{
	struct strbuf b = strbuf_over(out->conf_buf, sizeof(out->conf_buf));
	char cwd[PATH_MAX];

	if (path[0] != '/') {
		if (!getcwd(cwd, sizeof(cwd)))
			return -errno;
		strbuf_addf(&b, "%s/", strcmp(cwd, "/") == 0 ? "" : cwd);
	}
	strbuf_addf(&b, "%s", path);
	out->conf = out->conf_buf;
	return b.failed ? -ENAMETOOLONG : 0;
}

static const struct option_row *find_option(const char *arg)
{
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		if (strcmp(arg, options[i].letter) == 0 ||
		    strcmp(arg, options[i].word) == 0)
			return &options[i];
	}
	return NULL;
}

/* Gives what is wrong with the command line, or NULL. */
static const char *parse_args(int argc, char **argv, struct daemon_args *out)
{
	const struct option_row *row;
	const char *conf = argc > 1 ? argv[1] : NULL;
	int last = 2;

	if (!conf)
		return "tell which configuration file to use";
	out->verb = DAEMON_RUN;
	row = find_option(conf);
	if (row) {
		out->verb = row->verb;
		if (!row->wants_conf)
			return NULL;
		conf = argc > 2 ? argv[2] : NULL;
		last = 3;
		if (!conf)
			return "tell which configuration file to check";
	} else if (conf[0] == '-') {
		return "this option is not known";
	} else if (argc > 2) {
		const size_t n = ARRAY_LEN(verbs);
		size_t i = 0;

		while (i < n && strcmp(argv[2], verbs[i].word) != 0)
			i++;
		if (i == n)
			return "after CONF comes start, stop, restart or "
			       "status";
		out->verb = verbs[i].verb;
		last = 3;
	}
	if (argc > last)
		return "too many words";
	return take_conf(out, conf) < 0 ? "the path of CONF is too long" : NULL;
}

int daemon_parse(int argc, char **argv, const char *program,
    struct daemon_args *out)
{
	const char *wrong;

	out->conf_buf[0] = '\0';
	out->conf = out->conf_buf;
	wrong = parse_args(argc, argv, out);
	if (!wrong)
		return 0;
	fprintf(stderr, "%s: %s\n", program, wrong);
	daemon_usage(stderr, program);
	return -EINVAL;
}

/* --- pid file ----------------------------------------------------------- */

static int pid_path(const char *base_path, const char *name, char *buf,
    size_t cap)
{
	const int n = snprintf(buf, cap, "%s/data/%s.pid", base_path, name);

	return n < 0 || (size_t)n >= cap ? -ENAMETOOLONG : 0;
}

int daemon_lock(const char *base_path, const char *name, int *lock_fd)
{
	char path[PATH_MAX];
	char dir[PATH_MAX];
	int rc = pid_path(base_path, name, path, sizeof(path));
	int fd;

	if (rc < 0)
		return rc;
	snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(path, '/') - path),
	    path);
	rc = fs_make_dirs(dir);
	if (rc < 0)
		return rc;
	fd = fs_lock_file(path);
	if (fd < 0)
		return fd == -EWOULDBLOCK ? -EBUSY : fd;
	if (ftruncate(fd, 0) < 0) {
		rc = -errno;
		close(fd);
		return rc;
	}
	*lock_fd = fd;
	return 0;
}

int daemon_write_pid(int lock_fd)
{
	char text[32];
	const int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

	if (ftruncate(lock_fd, 0) < 0)
		return -errno;
	return fs_pwrite_all(lock_fd, text, (size_t)n, 0);
}

int daemon_running_pid(const char *base_path, const char *name)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[PATH_MAX];
	char text[32] = "";
	uint64_t pid = 0;
	int rc = pid_path(base_path, name, path, sizeof(path));
	int fd;

	if (rc < 0)
		return rc;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	/* Only asks: to take the lock could turn away a daemon that starts at
	 * this moment. */
	if (fcntl(fd, F_OFD_GETLK, &lock) < 0)
		rc = -errno;
	else if (lock.l_type == F_UNLCK)
		rc = 0;
	else if (fs_pread_all(fd, text, sizeof(text) - 1, 0) < 0 ||
	         str_to_u64(str_trim(text), &pid) < 0 || pid == 0 ||
	         pid > INT_MAX)
		rc = -EAGAIN; /* it is starting */
	else
		rc = (int)pid;
	close(fd);
	return rc;
}

int daemon_stop(const char *base_path, const char *name, int timeout_ms)
{
	const struct timespec nap = { .tv_nsec = 10000000 };
	const int first = daemon_running_pid(base_path, name);
	int left = timeout_ms;
	int told = 0;
	int pid = first;

	if (first == 0)
		return -ESRCH;
	/* A new number means that another daemon has started since. */
	while (pid == -EAGAIN || (pid > 0 && (told == 0 || pid == told))) {
		if (pid > 0 && told == 0) {
			if (kill(pid, SIGTERM) < 0)
				return -errno;
			told = pid;
		}
		if (left <= 0)
			return -ETIMEDOUT;
		nanosleep(&nap, NULL);
		left -= 10;
		pid = daemon_running_pid(base_path, name);
	}
	return pid < 0 ? pid : 0;
}

/* --- background --------------------------------------------------------- */

/* The parent's part: ends the process. */
static ATTR_NORETURN void wait_for_child(pid_t child, int fd)
{
	char byte;
	ssize_t n;
	int status = 0;

	do
		n = read(fd, &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n == 1)
		_exit(0);
	/* It said why on the stderr that both share, unless it was killed. */
	if (waitpid(child, &status, 0) == child && WIFSIGNALED(status))
		fprintf(stderr, "the daemon was killed by signal %d (%s)\n",
		    WTERMSIG(status), strsignal(WTERMSIG(status)));
	_exit(1);
}

static int to_null(int flags, const int *fds, size_t n)
{
	const int null = open("/dev/null", flags | O_CLOEXEC);

	if (null < 0)
		return -errno;
	for (size_t i = 0; i < n; i++) {
		if (dup2(null, fds[i]) < 0) {
			const int rc = -errno;

			close(null);
			return rc;
		}
	}
	close(null);
	return 0;
}

int daemon_detach(void)
{
	static const int in[] = { STDIN_FILENO };
	int pair[2];
	pid_t child;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	fflush(NULL);
	child = fork();
	if (child < 0) {
		const int rc = -errno;

		close(pair[0]);
		close(pair[1]);
		return rc;
	}
	if (child > 0) {
		close(pair[1]);
		wait_for_child(child, pair[0]);
	}
	close(pair[0]);
	ready_fd = pair[1];
	setsid();
	if (chdir("/") < 0)
		return -errno;
	return to_null(O_RDONLY, in, ARRAY_LEN(in));
}

/* The protocol of sd_notify(3) is one datagram. */
static void notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	const size_t n = path ? strlen(path) : 0;
	socklen_t len;
	int fd;

	if (n < 2 || n >= sizeof(sa.sun_path))
		return;
	memcpy(sa.sun_path, path, n);
	if (path[0] == '@')
		sa.sun_path[0] = '\0';
	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL,
	        (const struct sockaddr *)&sa, len) < 0)
		log_warn("notify_failed", "socket=%s: %s", path,
		    errstr(-errno));
	close(fd);
}

void daemon_ready(void)
{
	static const int out[] = { STDOUT_FILENO, STDERR_FILENO };

	notify("READY=1");
	if (ready_fd < 0)
		return;
	log_to_stderr(false);
	(void)to_null(O_WRONLY, out, ARRAY_LEN(out));
	/* A parent that is gone needs no answer. */
	(void)send(ready_fd, "1", 1, MSG_NOSIGNAL);
	close(ready_fd);
	ready_fd = -1;
}

/* --- privileges and limits ---------------------------------------------- */

/* What to become; what is not named stays as it is. */
struct become {
	uid_t uid;
	gid_t gid;
	const char *user; /* its name, when one is to be taken */
};

static int find_names(const char *user, const char *group, struct become *to)
{
	if (user[0] != '\0') {
		const struct passwd *pw = getpwnam(user);

		if (!pw)
			return -ENOENT;
		to->uid = pw->pw_uid;
		to->gid = pw->pw_gid;
		to->user = user;
	}
	if (group[0] != '\0') {
		const struct group *gr = getgrnam(group);

		if (!gr)
			return -ENOENT;
		to->gid = gr->gr_gid;
	}
	return 0;
}

int daemon_become(const char *user, const char *group)
{
	struct become to = { geteuid(), getegid(), NULL };
	const int rc = find_names(user, group, &to);

	if (rc < 0)
		return rc;
	if (to.uid == geteuid() && to.gid == getegid())
		return 0;
	/* Only root may, and only root has groups that must not be kept. */
	if (geteuid() == 0 &&
	    (to.user ? initgroups(to.user, to.gid) : setgroups(1, &to.gid)) < 0)
		return -errno;
	if (setgid(to.gid) < 0 || setuid(to.uid) < 0)
		return -errno;
	return 0;
}

int daemon_raise_fds(unsigned n)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	if (limit.rlim_cur >= n)
		return 0;
	limit.rlim_cur = n;
	if (limit.rlim_max < n)
		limit.rlim_max = n;
	return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : 0;
}
