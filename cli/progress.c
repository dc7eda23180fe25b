/* SPDX-License-Identifier: MIT */
#include "cli/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

#define REDRAW (MONO_SEC / 5)

static void start(struct progress *p, const char *what, bool bytes,
    uint64_t total)
{
	const char *term = getenv("TERM");

	memset(p, 0, sizeof(*p));
	p->on = isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
	p->what = what;
	p->bytes = bytes;
	p->total = total;
	p->start = clock_mono();
	p->drawn = p->start + MONO_SEC / 2 - REDRAW; /* quiet at first */
}

void progress_bytes(struct progress *p, const char *what, uint64_t total,
    bool quiet)
{
	start(p, what, true, total);
	p->on = p->on && !quiet && total > PROGRESS_MIN_BYTES;
}

void progress_count(struct progress *p, const char *what, bool quiet)
{
	start(p, what, false, 0);
	p->on = p->on && !quiet;
}

static const char *amount(const struct progress *p, uint64_t n, char *buf,
    size_t cap)
{
	return p->bytes ? str_bytes(buf, cap, n) : str_count(buf, cap, n);
}

static void draw(struct progress *p, mono_t now)
{
	const uint64_t ms = (now - p->start) / MONO_MS + 1;
	const uint64_t rate = p->done * 1000 / ms;
	char name[64];
	char done[16];
	char total[16];
	char speed[16];
	char left[16] = "?";

	str_escape(name, sizeof(name), p->what, strlen(p->what));
	amount(p, p->done, done, sizeof(done));
	amount(p, rate, speed, sizeof(speed));
	p->shown = true;
	if (p->total == 0) {
		fprintf(stderr, "\r%s  %s  %s/s\033[K", name, done, speed);
		return;
	}
	if (rate > 0)
		str_duration(left, sizeof(left),
		    (int64_t)((p->total - p->done) / rate));
	fprintf(stderr, "\r%s  %3u %%  %s of %s  %s/s  ~%s\033[K", name,
	    (unsigned)((double)p->done * 100.0 / (double)p->total), done,
	    amount(p, p->total, total, sizeof(total)), speed, left);
}

void progress_at(struct progress *p, uint64_t done)
{
	mono_t now;

	p->done = done;
	if (!p->on)
		return;
	now = clock_mono();
	if (now < p->drawn + REDRAW)
		return;
	p->drawn = now;
	draw(p, now);
}

void progress_end(struct progress *p)
{
	if (p->shown)
		fputs("\r\033[K", stderr);
	p->on = false;
	p->shown = false;
}
