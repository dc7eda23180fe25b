/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/daemon.h"
#include "base/fs.h"
#include "base/log.h"
#include "cli/stores.h"
#include "net/client.h"

#define ASK_MS 1000

int stores_daemon(const struct stores *s)
{
	return s->base_path[0] ? daemon_running_pid(s->base_path, STORES_DAEMON)
	                       : 0;
}

/* A pid file outlives its process, and the number may be another's now. */
static int stock_pid(const struct stores *s)
{
	char path[4200];
	char *text = NULL;
	struct strbuf b = strbuf_over(path, sizeof(path));
	uint64_t pid = 0;

	strbuf_addf(&b, "%s/data/%s.pid", s->base_path, STORES_DAEMON);
	if (fs_read_file(path, 64, &text) < 0)
		return 0;
	if (str_to_u64(str_trim(text), &pid) < 0 || pid > INT32_MAX)
		pid = 0;
	free(text);
	text = NULL;
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	if (pid == 0 || fs_read_file(path, 64, &text) < 0)
		return 0;
	if (strncmp(text, STORES_DAEMON, strlen(STORES_DAEMON)) != 0)
		pid = 0;
	free(text);
	return (int)pid;
}

static bool port_answers(const struct stores *s)
{
	struct addr at;
	struct client *c = NULL;
	const char *host = s->bind_addr[0] ? s->bind_addr : "127.0.0.1";

	if (!s->port || addr_parse_ip(span_of(host), &at) < 0)
		return false;
	at.port = s->port;
	if (client_open(&at, NULL, ASK_MS, ASK_MS, &c) < 0)
		return false;
	client_close(c);
	return true;
}

int stores_stock_daemon(const struct stores *s)
{
	const int pid = s->base_path[0] ? stock_pid(s) : 0;

	if (pid > 0)
		return pid;
	return port_answers(s) ? -EADDRINUSE : 0;
}

void stores_meta_path(const struct stores *s, const char *file, char *out,
    size_t cap)
{
	struct strbuf b = strbuf_over(out, cap);

	strbuf_addf(&b, "%s/%s", s->meta_dir, file);
}

static enum status ours_runs(const struct stores *s, int pid)
{
	char todo[4300] = "wait until it is up, then stop it";

	if (pid > 0)
		snprintf(todo, sizeof(todo),
		    "stop it first: fdfs-storaged STORAGE_CONF stop");
	return err_say((struct err){ .status = STATUS_REFUSED,
	                   .rc = -EBUSY,
	                   .subject = s->base_path,
	                   .todo = todo },
	    "refused: fdfs-storaged (pid %d) has %s open", pid > 0 ? pid : 0,
	    s->meta_dir);
}

static enum status stock_runs(const struct stores *s, int pid)
{
	const struct err e = { .status = STATUS_REFUSED,
		.rc = -EBUSY,
		.subject = s->base_path,
		.todo = "stop it first: fdfs_storaged STORAGE_CONF stop" };

	if (pid > 0)
		return err_say(e,
		    "refused: fdfs_storaged (pid %d) is at work "
		    "on %s",
		    pid, s->base_path);
	return err_say(e,
	    "refused: something answers on the storage's port "
	    "%u",
	    (unsigned)s->port);
}

/* Only the lock is taken: what stands in the file may be the pid of a stock
 * daemon, which does not lock it and does not mind us. */
enum status stores_take_lock(const struct stores *s, int *fd)
{
	int pid = stores_daemon(s);
	char path[4200];
	struct strbuf b = strbuf_over(path, sizeof(path));
	int rc;

	*fd = -1;
	if (pid > 0 || pid == -EAGAIN)
		return ours_runs(s, pid);
	pid = stores_stock_daemon(s);
	if (pid != 0)
		return stock_runs(s, pid);
	if (!s->base_path[0])
		return STATUS_OK;
	strbuf_addf(&b, "%s/data", s->base_path);
	rc = fs_make_dirs(path);
	strbuf_addf(&b, "/%s.pid", STORES_DAEMON);
	if (rc == 0)
		rc = fs_lock_file(path);
	if (rc == -EWOULDBLOCK)
		return ours_runs(s, 0);
	if (rc < 0)
		return err_say((struct err){ .status = STATUS_REFUSED,
		                   .rc = rc,
		                   .subject = path,
		                   .todo = "run it as the daemon's user" },
		    "cannot lock %s: %s", path, errstr(rc));
	*fd = rc;
	return STATUS_OK;
}
