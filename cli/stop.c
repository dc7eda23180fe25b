/* SPDX-License-Identifier: MIT */
/*
 * A signal handler can only see static things: these are all there are. The
 * path is written while no name is announced, so the handler never reads half
 * of one.
 */
#include "cli/stop.h"

#include <signal.h>
#include <stddef.h>
#include <unistd.h>

#include "base/str.h"
#include "net/client.h"

static volatile sig_atomic_t asked;
static volatile sig_atomic_t have_path;
static volatile sig_atomic_t at_once;
static struct client *volatile watched;
static void (*volatile interrupt)(void *);
static void *volatile interrupt_arg;
static char path[4096];

static void on_signal(int sig)
{
	const int first = asked == 0;

	asked = sig;
	if (!first || at_once) {
		if (have_path)
			unlink(path);
		_exit(sig == SIGTERM ? STATUS_TERMINATED : STATUS_INTERRUPTED);
	}
	if (watched)
		client_abort(watched);
	if (interrupt)
		interrupt(interrupt_arg);
}

void stop_init(void)
{
	/* No SA_RESTART: a wait for the terminal ends as well. */
	struct sigaction sa = { .sa_handler = on_signal };

	sigemptyset(&sa.sa_mask);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sa.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &sa, NULL);
}

void stop_at_once(bool on)
{
	at_once = on;
}

bool stop_asked(void)
{
	return asked != 0;
}

enum status stop_status(void)
{
	return asked == SIGTERM ? STATUS_TERMINATED : STATUS_INTERRUPTED;
}

void stop_watch(struct client *c)
{
	watched = c;
}

void stop_call(void (*call)(void *arg), void *arg)
{
	interrupt = NULL;
	interrupt_arg = arg;
	interrupt = call;
}

void stop_remove(const char *name)
{
	have_path = 0;
	have_path = name && str_copy(path, sizeof(path), name);
}
