/* SPDX-License-Identifier: MIT */
/*
 * Golden screens: a made-up cluster fed through the model, drawn on a canvas,
 * compared with test/golden/screen/NAME.txt. GOLDEN_ACCEPT=1 writes the files
 * instead. Used by the tests of the views only.
 */
#ifndef TEST_UNIT_SCREEN_H
#define TEST_UNIT_SCREEN_H

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/str.h"
#include "tui/ui.h"

#define SCREEN_START INT64_C(1795442400) /* 2026-11-23 14:00:00 UTC */
#define SCREEN_BEATS 60
#define TERA_MB      INT64_C(1048576)

static const char *const screen_trackers[] = { "10.20.0.11:22122",
	"10.20.0.12:22122", "10.20.0.13:22122" };

struct screen {
	struct model *model;
	struct snapshot *snapshot;
	struct ui ui;
	struct canvas canvas;
	wall_t now;
};

static const struct {
	const char *group, *id, *ip;
	int64_t ops; /* uploads in a heartbeat */
	int64_t free_tb;
} screen_storages[] = {
	{ "group1", "100001", "10.20.1.11", 980, 13 },
	{ "group1", "100002", "10.20.1.12", 810, 13 },
	{ "group1", "100003", "10.20.1.13", 650, 13 },
	{ "group2", "100011", "10.20.2.11", 490, 4 },
	{ "group2", "100012", "10.20.2.12", 470, 4 },
	{ "group3", "100021", "10.20.3.11", 0, 84 },
};
static const int64_t screen_total_tb[] = { 64, 64, 64, 32, 32, 96 };

static inline void screen_counters(struct stats *s, int64_t per_beat,
    int64_t beat, int64_t now)
{
	/* The load swells and ebbs, so that there is something to see. */
	int64_t n = 0;

	for (int64_t i = 0; i <= beat; i++)
		n += per_beat * (10 + i % 12) / 10;
	s->alloc_conns = 256;
	s->current_conns = (int32_t)(per_beat / 4);
	s->max_conns = 402;
	s->total_upload_count = n + 112;
	s->success_upload_count = n;
	s->total_upload_bytes = s->success_upload_bytes = n * 300000;
	s->total_download_count = 5 * n + n / 300;
	s->success_download_count = 5 * n;
	s->total_download_bytes = s->success_download_bytes = n * 1500000;
	s->total_delete_count = s->success_delete_count = n / 2;
	s->total_set_meta_count = s->success_set_meta_count = n / 10;
	s->total_sync_in_bytes = s->success_sync_in_bytes = n * 300000;
	s->total_file_open_count = s->success_file_open_count = 6 * n;
	s->last_source_update = now - 1;
	s->last_synced_timestamp = now - (per_beat == 650 ? 252 : 1);
	s->last_heart_beat_time = now - 3;
}

static inline void screen_answer(struct answer *a, size_t tracker, int64_t beat,
    int64_t now)
{
	static const char *const groups[] = { "group1", "group2", "group3" };

	*a = (struct answer){ .at = now * 1000,
		.ns = 400000 + tracker * 100000,
		.has_leader = true };
	str_copy(a->address, sizeof(a->address), screen_trackers[tracker]);
	str_copy(a->leader, sizeof(a->leader), screen_trackers[0]);
	a->n_groups = 3;
	a->groups = xcalloc(3, sizeof(*a->groups));
	a->n_storages = ARRAY_LEN(screen_storages);
	a->storages = xcalloc(a->n_storages, sizeof(*a->storages));
	for (size_t i = 0; i < a->n_storages; i++) {
		struct storage_fact *f = &a->storages[i];
		struct msg_storage_record46 *r = &f->r;
		struct msg_group_record *g;
		size_t k = 0;

		while (strcmp(groups[k], screen_storages[i].group) != 0)
			k++;
		g = &a->groups[k];
		str_copy(f->group, sizeof(f->group), groups[k]);
		str_copy(r->id, sizeof(r->id), screen_storages[i].id);
		str_copy(r->ip, sizeof(r->ip), screen_storages[i].ip);
		str_copy(r->version, sizeof(r->version), "6.16.1");
		r->status = ST_ACTIVE;
		r->rw_mode = 6;
		r->storage_port = 23000;
		r->store_path_count = 4;
		r->upload_priority = 10;
		r->join_time = SCREEN_START - 86400 * 200;
		r->up_time = SCREEN_START - 86400 * 41;
		r->total_mb = screen_total_tb[i] * TERA_MB;
		r->free_mb = screen_storages[i].free_tb * TERA_MB;
		r->reserved_mb = r->total_mb / 10;
		screen_counters(&r->stats, screen_storages[i].ops, beat, now);
		str_copy(g->name, sizeof(g->name), groups[k]);
		g->total_mb = r->total_mb;
		g->free_mb = r->free_mb;
		g->reserved_mb = r->reserved_mb;
		g->storage_count++;
		g->readable_count++;
		g->writable_count++;
		g->storage_port = 23000;
		g->current_trunk_file_id = -1;
	}
}

static inline void screen_add_trackers(struct answer *a, int64_t now)
{
	a->n_trackers = 3;
	a->trackers = xcalloc(3, sizeof(*a->trackers));
	for (size_t i = 0; i < 3; i++) {
		struct msg_tracker_record *r = &a->trackers[i];

		str_copy(r->address, sizeof(r->address), screen_trackers[i]);
		str_copy(r->version, sizeof(r->version), "6.16.1");
		r->is_leader = i == 0;
		r->is_active = 1;
		r->up_time = now - 86400 * 12 * (int64_t)(i + 1);
	}
}

/* One round of answers from all three. */
static inline void screen_feed(struct screen *s, int64_t beat)
{
	const int64_t now = SCREEN_START + beat * 10;

	for (size_t i = 0; i < 3; i++) {
		struct answer a;

		screen_answer(&a, i, beat, now);
		if (i == 0)
			screen_add_trackers(&a, now);
		model_feed(s->model, i, &a);
	}
	s->now = now * 1000;
}

static inline void screen_fail(struct screen *s, size_t tracker,
    const char *why)
{
	struct answer a = { .rc = -1, .at = s->now };

	str_copy(a.error, sizeof(a.error), why);
	model_feed(s->model, tracker, &a);
}

/* The snapshot as of now + ms. */
static inline void screen_take(struct screen *s, int64_t ms)
{
	s->now += ms;
	clock_set(1, s->now);
	s->ui.now = s->now;
	s->ui.s = model_snapshot(s->model, s->now);
	view_storages_load(&s->ui);
	snapshot_free(s->snapshot);
	s->snapshot = (struct snapshot *)(uintptr_t)s->ui.s;
}

static inline void screen_open(struct screen *s, size_t trackers)
{
	setenv("TZ", "UTC", 1);
	tzset();
	assert_non_null(setlocale(LC_ALL, "C.UTF-8"));
	memset(s, 0, sizeof(*s));
	s->now = SCREEN_START * 1000;
	s->model = model_new(screen_trackers, trackers, s->now);
	ui_init(&s->ui, "media-prod");
	canvas_init(&s->canvas, GLYPHS_BLOCK, false);
}

/* A cluster that has been watched for ten minutes. */
static inline void screen_open_busy(struct screen *s)
{
	screen_open(s, 3);
	for (int64_t beat = 0; beat <= SCREEN_BEATS; beat++)
		screen_feed(s, beat);
	screen_take(s, 1000);
}

static inline void screen_close(struct screen *s)
{
	snapshot_free(s->snapshot);
	model_free(s->model);
	ui_fini(&s->ui);
	canvas_fini(&s->canvas);
	clock_set(0, 0);
}

/* No row is wider than the screen, whatever was drawn. */
static inline void screen_check_width(const struct canvas *c)
{
	char row[8192];

	for (int y = 0; y < c->rows; y++) {
		canvas_row_text(c, y, row, sizeof(row));
		assert_true(canvas_width(c, row) <= c->cols);
	}
}

static inline void screen_compare(const struct canvas *c, const char *name)
{
	char path[256];
	char *want = NULL;
	char *got = NULL;
	size_t got_n = 0;
	FILE *out = open_memstream(&got, &got_n);
	FILE *in;

	canvas_print(c, out, false);
	fclose(out);
	screen_check_width(c);
	snprintf(path, sizeof(path), "test/golden/screen/%s.txt", name);
	if (getenv("GOLDEN_ACCEPT")) {
		in = fopen(path, "w");
		assert_non_null(in);
		fputs(got, in);
		fclose(in);
		free(got);
		return;
	}
	in = fopen(path, "r");
	if (!in)
		fail_msg("%s is missing; GOLDEN_ACCEPT=1 writes it", path);
	want = xcalloc(1, 262144);
	want[fread(want, 1, 262143, in)] = '\0';
	fclose(in);
	if (strcmp(want, got) != 0)
		fail_msg("%s differs; it is now:\n%s", path, got);
	free(want);
	free(got);
}

/* Draws and compares at both sizes: NAME-80x24, NAME-140x40. */
static inline void screen_golden(struct screen *s, const char *name)
{
	char full[128];

	frame_draw(&s->canvas, 24, 80, &s->ui);
	snprintf(full, sizeof(full), "%s-80x24", name);
	screen_compare(&s->canvas, full);
	frame_draw(&s->canvas, 40, 140, &s->ui);
	snprintf(full, sizeof(full), "%s-140x40", name);
	screen_compare(&s->canvas, full);
}

static inline void screen_type(struct screen *s, const char *keys)
{
	for (; *keys; keys++)
		ui_key(&s->ui, *keys == '\n' ? TK_ENTER : *keys);
}

/* Does any row of the canvas contain the text? */
static inline bool screen_has(const struct canvas *c, const char *text)
{
	char row[8192];

	for (int y = 0; y < c->rows; y++) {
		canvas_row_text(c, y, row, sizeof(row));
		if (strstr(row, text))
			return true;
	}
	return false;
}

#endif
