/* SPDX-License-Identifier: MIT */
/*
 * What a peer did not take. To repair a name is to make the peer's file, and
 * its metadata, as ours is now: rows that follow are sent on top of it, which
 * peer_log.c explains to be harmless. Nothing else is under way meanwhile.
 *
 * A status that says something about the peer as a whole (disk full, read
 * only) is waited for. Any other says something about this file: the file is
 * parked and tried again later, so that the others do not wait for it. One that
 * may be either is waited for a while.
 *
 * Results here: 0 done, positive: an errno about this file (the peer's or
 * ours), negative: the connection is lost, or the wait was ended.
 */
#include "storaged/peer.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "meta/event.h"
#include "proto/msg.h"
#include "proto/wire.h"

#define STALL_MAX_MS   5000 /* a connection at rest for longer may be closed */
#define STALLS         5    /* of what may be the file's own trouble */
#define PARKED_AT_ONCE 64
#define MUCH_TRIED     10

bool status_of_peer(int status)
{
	return status == ENOSPC || status == EDQUOT || status == EROFS;
}

static bool is_of_either(int status)
{
	return status == EACCES || status == EAGAIN || status == EBUSY;
}

void peer_refused(struct peer *p, int status, const char *name)
{
	peer_error(p, status, "%s: refused with %s; tried again", name,
	    errstr(-status));
	peer_save(p, true);
}

/* The outcome of a request that was put with rc. */
static int outcome(struct peer *p, int rc)
{
	p->ours = rc < 0;
	if (p->link.dead)
		return p->link.dead;
	if (rc < 0)
		return -rc;
	rc = link_drain(p);
	return rc < 0 ? rc : p->link.status;
}

static int make_gone(struct peer *p, const struct peer_item *item)
{
	const int rc = outcome(p, put_delete(p, item));

	return rc == ENOENT ? 0 : rc;
}

/* One name, without its metadata. */
static int make_same(struct peer *p, const struct peer_item *item)
{
	int rc;

	busy_wait(&p->st->busy, span_of(item->name), &p->box);
	if (!file_exists(p, item->name))
		return make_gone(p, item);
	rc = outcome(p, put_file(p, CMD_sync_update, item));
	/* It was deleted there (gone.h): that has a row of its own. */
	if (rc == EEXIST)
		return 0;
	return rc == ENOENT && !file_exists(p, item->name) ? make_gone(p, item)
	                                                   : rc;
}

static int make_both_same(struct peer *p, const struct peer_item *item)
{
	struct peer_item meta;
	int rc = make_same(p, item);

	if (rc || fileid_is_side(span_of(item->name)))
		return rc;
	meta = item_of_meta(item, item->name);
	return strlen(meta.name) > FILE_NAME_MAX && !file_exists(p, meta.name)
	           ? 0
	           : make_same(p, &meta);
}

static int make_all_same(struct peer *p, const struct peer_item *item)
{
	struct peer_item other = *item;
	int rc = make_both_same(p, item);

	if (rc || !item->other[0])
		return rc;
	str_copy(other.name, sizeof(other.name), item->other);
	other.other[0] = 0;
	return make_both_same(p, &other);
}

/* --- only if it differs --- */

/* What the peer said about its file against ours. */
static bool is_same(struct peer *p, const struct peer_item *item)
{
	uint64_t size;
	uint32_t crc = 0;
	int fd = file_open(p, item->name, &size);
	bool same;

	if (fd < 0)
		return false;
	same = p->link.body_n >= 24 && wire_number(p->link.body, 8) == size;
	if (same && !file_proven(item->name))
		same = fs_crc32(fd, &crc, &size) == 0 &&
		       (uint32_t)wire_number(p->link.body + 16, 8) == crc;
	close(fd);
	return same;
}

static int compare(struct peer *p, const struct peer_item *item)
{
	struct peer_item one = *item;
	int rc;

	busy_wait(&p->st->busy, span_of(item->name), &p->box);
	rc = outcome(p, put_info(p, item, 0, 0));
	if (rc < 0)
		return rc;
	if (rc != 0 || !is_same(p, item))
		return make_all_same(p, item);
	if (!item->other[0])
		return 0;
	str_copy(one.name, sizeof(one.name), item->other);
	one.other[0] = 0;
	return make_both_same(p, &one);
}

/* --- with patience --- */

static int cure(struct peer *p, const struct peer_fix *f)
{
	int rc;

	p->suspect = f->item;
	p->link.asking = true;
	rc = f->cure == CURE_COMPARE ? compare(p, &f->item)
	                             : make_all_same(p, &f->item);
	p->link.asking = false;
	return rc;
}

static bool is_worth_a_wait(const struct peer *p, int status, unsigned tries)
{
	return !p->ours && (status_of_peer(status) ||
	                       (is_of_either(status) && tries < STALLS));
}

static int cure_patiently(struct peer *p, const struct peer_fix *f)
{
	int64_t pause = 1000;
	int rc;

	for (unsigned n = 1; is_worth_a_wait(p, rc = cure(p, f), n); n++) {
		peer_refused(p, rc, f->item.name);
		(void)peer_sleep(p, pause, NULL);
		if (peer_quits(p) || !peer_may_send(p))
			return -ECANCELED;
		pause = pause * 2 < STALL_MAX_MS ? pause * 2 : STALL_MAX_MS;
	}
	return rc;
}

static void park(struct peer *p, const struct peer_item *item, int error,
    uint32_t tries)
{
	char text[PEER_TEXT_SIZE];

	snprintf(text, sizeof(text), "%s: %s", item->name, errstr(-error));
	peer_error(p, error, "%s", text);
	if (tries == 0 || tries == MUCH_TRIED || tries == MUCH_TRIED * 10)
		catalogue_event(p->st->catalogue, "FD-SYNC-03",
		    tries < MUCH_TRIED * 10 ? EVENT_WARN : EVENT_CRIT, p->id,
		    text);
	peer_park(p, item, error, errstr(-error), tries);
}

/* After 22 the peer closes the connection (0.4). */
static bool is_hung_up(const struct peer *p, int status)
{
	return status == EINVAL && !p->ours;
}

int repair_fixes(struct peer *p)
{
	while (p->n_fixes > 0) {
		const struct peer_fix f = p->fixes[0];
		int rc = f.status == EINVAL ? EINVAL : cure_patiently(p, &f);
		const int dead = p->link.dead;

		if (rc < 0)
			return rc;
		if (rc > 0)
			park(p, &f.item, rc, 0);
		p->n_fixes--;
		memmove(p->fixes, p->fixes + 1,
		    p->n_fixes * sizeof(p->fixes[0]));
		if (dead)
			return dead;
		if (is_hung_up(p, rc))
			return 1;
	}
	return 0;
}

/* --- parked --- */

struct due {
	struct parked_row rows[PARKED_AT_ONCE];
	size_t n;
};

static int copy_parked(void *arg, const struct parked_row *row)
{
	struct due *d = arg;

	d->rows[d->n++] = *row;
	return 0;
}

static int try_again(struct peer *p, const struct parked_row *row)
{
	struct peer_fix f = {
		.item = {
			.seq = row->seq,
			.op = row->op,
			.time = row->source_time,
		},
		.cure = CURE_REPAIR,
	};
	int rc;

	str_copy(f.item.name, sizeof(f.item.name), row->name);
	rc = cure_patiently(p, &f);
	if (rc == 0)
		peer_unpark(p, row->name);
	else if (rc > 0)
		park(p, &f.item, rc, row->tries);
	else if (p->link.dead && !p->refused)
		park(p, &f.item, -rc, row->tries);
	/* A loss is counted here, not as one of those that follow. */
	p->suspect.name[0] = 0;
	return rc < 0 ? rc : is_hung_up(p, rc);
}

int repair_parked(struct peer *p)
{
	struct due due = { .n = 0 };
	int rc = parked_each(p->log, p->id, clock_wall(), PARKED_AT_ONCE,
	    copy_parked, &due);

	if (rc < 0)
		return rc;
	rc = 0;
	for (size_t i = 0; i < due.n && rc == 0; i++) {
		rc = try_again(p, &due.rows[i]);
		if (peer_quits(p) || !peer_may_send(p))
			rc = -ECANCELED;
	}
	peer_count_parked(p);
	return rc;
}
