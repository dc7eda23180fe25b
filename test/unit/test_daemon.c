/* SPDX-License-Identifier: MIT */
/* LAYERS: base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/daemon.h"
#include "base/log.h"
#include "test/unit/scratch.h"

#define NAME "fdfs_testd"

static int parse(struct daemon_args *out, const char *a, const char *b,
    const char *c)
{
	char words[4][64] = { "prog" };
	char *argv[5] = { words[0] };
	const char *const given[] = { a, b, c };
	int argc = 1;

	for (size_t i = 0; i < ARRAY_LEN(given) && given[i]; i++) {
		snprintf(words[argc], sizeof(words[0]), "%s", given[i]);
		argv[argc] = words[argc];
		argc++;
	}
	return daemon_parse(argc, argv, "prog", out);
}

static void test_command_line_forms_are_understood(void **state)
{
	static const struct {
		const char *a;
		const char *b;
		enum daemon_verb verb;
	} forms[] = {
		{ "/etc/x.conf", NULL, DAEMON_RUN },
		{ "/etc/x.conf", "start", DAEMON_START },
		{ "/etc/x.conf", "stop", DAEMON_STOP },
		{ "/etc/x.conf", "restart", DAEMON_RESTART },
		{ "/etc/x.conf", "status", DAEMON_STATUS },
		{ "-t", "/etc/x.conf", DAEMON_TEST },
		{ "--check-config", "/etc/x.conf", DAEMON_TEST },
	};
	struct daemon_args args;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		assert_int_equal(parse(&args, forms[i].a, forms[i].b, NULL), 0);
		assert_int_equal(args.verb, forms[i].verb);
		assert_string_equal(args.conf, "/etc/x.conf");
	}
	assert_int_equal(parse(&args, "-h", NULL, NULL), 0);
	assert_int_equal(args.verb, DAEMON_HELP);
	assert_int_equal(parse(&args, "-V", NULL, NULL), 0);
	assert_int_equal(args.verb, DAEMON_VERSION);
}

static void test_conf_path_becomes_absolute(void **state)
{
	struct daemon_args args;
	char cwd[512];
	char want[600];

	(void)state;
	assert_non_null(getcwd(cwd, sizeof(cwd)));
	snprintf(want, sizeof(want), "%s/x.conf", cwd);
	assert_int_equal(parse(&args, "x.conf", NULL, NULL), 0);
	assert_string_equal(args.conf, want);
}

/* Sends stderr to a file of the test's directory; gives the old one. */
static int stderr_to(const char *path)
{
	const int old = dup(STDERR_FILENO);
	const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	fflush(stderr);
	dup2(fd, STDERR_FILENO);
	close(fd);
	return old;
}

static void stderr_back(int old)
{
	fflush(stderr);
	dup2(old, STDERR_FILENO);
	close(old);
}

static void test_wrong_command_lines_are_refused_with_the_usage(void **state)
{
	struct daemon_args args;
	const int old = stderr_to(scratch_path(state, "err"));
	const int rcs[] = {
		parse(&args, NULL, NULL, NULL),
		parse(&args, "-x", NULL, NULL),
		parse(&args, "-t", NULL, NULL),
		parse(&args, "x.conf", "begin", NULL),
		parse(&args, "x.conf", "start", "now"),
		parse(&args, "-t", "x.conf", "start"),
	};
	char *text;

	stderr_back(old);
	for (size_t i = 0; i < ARRAY_LEN(rcs); i++)
		assert_int_equal(rcs[i], -EINVAL);
	text = scratch_read(state, "err");
	assert_non_null(strstr(text, "usage: prog CONF"));
	free(text);
}

static void test_second_daemon_on_a_base_path_is_refused(void **state)
{
	int first = -1;
	int second = -1;
	int other = -1;

	assert_int_equal(daemon_lock(*state, NAME, &first), 0);
	assert_int_equal(daemon_lock(*state, NAME, &second), -EBUSY);
	assert_int_equal(daemon_lock(*state, "fdfs_otherd", &other), 0);
	close(other);
	close(first);
	assert_int_equal(daemon_lock(*state, NAME, &second), 0);
	close(second);
}

static void test_pid_stands_in_the_file_while_the_lock_is_held(void **state)
{
	char want[32];
	char *text;
	int fd = -1;

	assert_int_equal(daemon_running_pid(*state, NAME), 0);
	assert_int_equal(daemon_lock(*state, NAME, &fd), 0);
	assert_int_equal(daemon_running_pid(*state, NAME), -EAGAIN);
	assert_int_equal(daemon_write_pid(fd), 0);
	assert_int_equal(daemon_running_pid(*state, NAME), getpid());
	snprintf(want, sizeof(want), "%ld\n", (long)getpid());
	text = scratch_read(state, "data/" NAME ".pid");
	assert_string_equal(text, want);
	free(text);
	close(fd);
	/* The file is still there; nobody runs all the same. */
	assert_int_equal(daemon_running_pid(*state, NAME), 0);
	assert_int_equal(daemon_stop(*state, NAME, 0), -ESRCH);
}

/* A child that holds the lock until it is killed. */
static pid_t start_holder(void **state, void (*on_term)(int))
{
	int fds[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		int fd = -1;

		alarm(60);
		signal(SIGTERM, on_term);
		if (daemon_lock(*state, NAME, &fd) < 0 ||
		    daemon_write_pid(fd) < 0 || write(fds[1], "1", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &byte, 1), 1);
	close(fds[0]);
	return pid;
}

static void test_stop_ends_the_daemon_and_waits_for_its_end(void **state)
{
	const pid_t pid = start_holder(state, SIG_DFL);
	int status = 0;

	assert_int_equal(daemon_running_pid(*state, NAME), pid);
	assert_int_equal(daemon_stop(*state, NAME, 10000), 0);
	assert_int_equal(daemon_running_pid(*state, NAME), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WTERMSIG(status), SIGTERM);
}

static void test_stop_gives_up_on_a_daemon_that_does_not_end(void **state)
{
	const pid_t pid = start_holder(state, SIG_IGN);

	assert_int_equal(daemon_stop(*state, NAME, 20), -ETIMEDOUT);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* What a daemon's main does; ends the process. */
static void run_start(const char *base, bool good)
{
	int fd = -1;

	if (daemon_lock(base, NAME, &fd) < 0 || daemon_detach() < 0)
		_exit(7);
	alarm(60);
	if (!good) {
		fputs("the port is taken\n", stderr);
		_exit(3);
	}
	if (daemon_write_pid(fd) < 0)
		_exit(8);
	daemon_ready();
	fputs("this goes nowhere\n", stderr);
	for (;;)
		pause();
}

static int start(void **state, bool good)
{
	const int old = stderr_to(scratch_path(state, "err"));
	const pid_t pid = fork();
	int status = 0;

	if (pid == 0)
		run_start(*state, good);
	stderr_back(old);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_start_returns_when_the_daemon_is_ready(void **state)
{
	char cwd[64] = "";
	char link[64];
	char *text;
	int pid;

	assert_int_equal(start(state, true), 0);
	pid = daemon_running_pid(*state, NAME);
	assert_true(pid > 0 && pid != getpid());
	assert_int_equal(getsid(pid), pid);
	snprintf(link, sizeof(link), "/proc/%d/cwd", pid);
	assert_int_equal(readlink(link, cwd, sizeof(cwd) - 1), 1);
	assert_string_equal(cwd, "/");
	assert_int_equal(daemon_stop(*state, NAME, 10000), 0);
	text = scratch_read(state, "err");
	assert_string_equal(text, "");
	free(text);
}

static void test_start_that_fails_is_seen_with_its_reason(void **state)
{
	char *text;

	assert_int_equal(start(state, false), 1);
	text = scratch_read(state, "err");
	assert_string_equal(text, "the port is taken\n");
	free(text);
	assert_int_equal(daemon_running_pid(*state, NAME), 0);
}

static void test_readiness_is_told_to_the_service_manager(void **state)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	char buf[64] = "";

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/notify",
	    (const char *)*state);
	assert_int_equal(bind(fd, (const struct sockaddr *)&sa, sizeof(sa)), 0);
	setenv("NOTIFY_SOCKET", sa.sun_path, 1);
	daemon_ready();
	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(recv(fd, buf, sizeof(buf), 0), 7);
	assert_string_equal(buf, "READY=1");
	close(fd);
}

static void test_unknown_user_and_group_are_refused(void **state)
{
	(void)state;
	assert_int_equal(daemon_become("", ""), 0);
	assert_int_equal(daemon_become("no-such-user-here", ""), -ENOENT);
	assert_int_equal(daemon_become("", "no-such-group-here"), -ENOENT);
}

static void test_descriptor_limit_is_raised_only_when_needed(void **state)
{
	struct rlimit before;
	struct rlimit after;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &before);
	assert_int_equal(daemon_raise_fds(1), 0);
	getrlimit(RLIMIT_NOFILE, &after);
	assert_int_equal(before.rlim_cur, after.rlim_cur);
	assert_int_equal(daemon_raise_fds((unsigned)before.rlim_cur), 0);
	assert_int_equal(daemon_raise_fds(UINT32_MAX), -EPERM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_command_line_forms_are_understood),
		cmocka_unit_test(test_conf_path_becomes_absolute),
		scratch_test(
		    test_wrong_command_lines_are_refused_with_the_usage),
		scratch_test(test_second_daemon_on_a_base_path_is_refused),
		scratch_test(
		    test_pid_stands_in_the_file_while_the_lock_is_held),
		scratch_test(test_stop_ends_the_daemon_and_waits_for_its_end),
		scratch_test(test_stop_gives_up_on_a_daemon_that_does_not_end),
		scratch_test(test_start_returns_when_the_daemon_is_ready),
		scratch_test(test_start_that_fails_is_seen_with_its_reason),
		scratch_test(test_readiness_is_told_to_the_service_manager),
		cmocka_unit_test(test_unknown_user_and_group_are_refused),
		cmocka_unit_test(
		    test_descriptor_limit_is_raised_only_when_needed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
