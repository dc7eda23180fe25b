/* SPDX-License-Identifier: MIT */
/*
 * CHANGELOG (77): members that were deleted or have another address, told by
 * each tracker once to each storage (cluster-protocol 1.19).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "storaged/beat_impl.h"
#include "storaged/replicate.h"

static void note_change(struct beat *b, const char *old_id, int status,
    const char *new_id)
{
	struct replicate *r =
	    __atomic_load_n(&b->st->replicate, __ATOMIC_ACQUIRE);
	struct identity *me = &b->st->me;
	bool mine;
	bool done;
	int64_t until;

	pthread_mutex_lock(&me->lock);
	mine = strcmp(old_id, me->sync_src) == 0;
	done = me->sync_old_done;
	until = me->sync_until;
	pthread_mutex_unlock(&me->lock);
	if (r && status == MEMBER_DELETED)
		replicate_forget(r, old_id);
	else if (r)
		replicate_renamed(r, old_id, new_id);
	if (mine && status == MEMBER_DELETED)
		(void)identity_set_source(me, &b->st->conf, done, "", 0);
	else if (mine)
		(void)identity_set_source(me, &b->st->conf, done, new_id,
		    until);
}

/* "<time> <group> <old id> <status> <new id>", five columns. */
static void take_change(struct beat *b, char *line)
{
	char *save = NULL;
	const char *when = strtok_r(line, " ", &save);
	const char *group = strtok_r(NULL, " ", &save);
	const char *old_id = strtok_r(NULL, " ", &save);
	const char *status = strtok_r(NULL, " ", &save);
	const char *new_id = strtok_r(NULL, " ", &save);

	if (!when || !group || !old_id || !status ||
	    strcmp(group, b->st->me.group) != 0)
		return;
	log_info("member_changed", "id=%s status=%s new=%s", old_id, status,
	    new_id ? new_id : "");
	if (strcmp(status, "4") == 0)
		note_change(b, old_id, MEMBER_DELETED, "");
	else if (strcmp(status, "3") == 0 && new_id)
		note_change(b, old_id, MEMBER_IP_CHANGED, new_id);
}

/* An answer may end in the middle of a line: the rest comes next time. */
static void take_changes(struct beat *b, struct changelog *log,
    struct span text)
{
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '\n') {
			log->carry[log->carried] = 0;
			take_change(b, log->carry);
			log->carried = 0;
		} else if (log->carried < sizeof(log->carry) - 1) {
			log->carry[log->carried++] = text.p[i];
		}
	}
}

int session_changelog(struct session *s)
{
	struct msg_text reply;
	int rc;

	if (!s->beat->st->me.params.ip_changed_auto_adjust)
		return 0;
	rc = client_ask(s->client, CMD_changelog_req, NULL, NULL, &MSG(text),
	    &reply);
	if (rc == 0)
		take_changes(s->beat, &s->changes, reply.text);
	/* 2: it has no record of us there, which does no harm (1.19). */
	return rc == ENOENT ? 0 : rc;
}

struct reading {
	struct beat *beat;
	struct changelog log;
	size_t got;
};

static void take_reading(void *arg, const void *out)
{
	struct reading *r = arg;
	const struct msg_text *reply = out;

	r->got = reply->text.n;
	take_changes(r->beat, &r->log, reply->text);
}

int changes_read(struct beat *b, size_t tracker, const bool *quit)
{
	struct reading r = { .beat = b };
	struct msg_group_id of;
	uint8_t packed[32];
	struct msg_changelog_req req = {
		.of = { (const char *)packed, sizeof(packed) },
	};
	struct msg_text reply;
	const struct question q = {
		.command = CMD_changelog_req,
		.req = &MSG(changelog_req),
		.in = &req,
		.reply = &MSG(text),
		.out = &reply,
		.took = take_reading,
		.arg = &r,
		.quit = quit,
	};
	int rc;

	memset(&of, 0, sizeof(of));
	str_copy(of.group, sizeof(of.group), b->st->me.group);
	str_copy(of.id, sizeof(of.id), b->st->me.id);
	if (msg_encode(&MSG(group_id), &of, packed, sizeof(packed)) < 0)
		return -EINVAL;
	/* What is cut off at the end comes with the next answer. */
	do {
		rc = beat_ask_once(b, tracker, &q);
	} while (rc == 0 && r.got > 0 && r.log.carried > 0);
	return rc == ENOENT ? 0 : rc;
}
