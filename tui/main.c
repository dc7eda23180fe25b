/* SPDX-License-Identifier: MIT */
/*
 * fdfs-top. One loop waits for keys, for answers of trackers and databases,
 * and for the next drawing; everything that may block runs in other threads.
 */
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "tui/options.h"
#include "tui/source.h"
#include "tui/term.h"

#define POLL_MS       2000 /* between two questions to a tracker */
#define SEARCH_MS     2000 /* between two looks at what the files view shows */
#define SEARCH_CHEAP  200000 /* microseconds: dearer ones run on demand */
#define RATES_WAIT_MS 35000  /* batch: a heartbeat and a bit */
#define NEVER         UINT64_MAX

struct app {
	struct options o;
	struct ui ui;
	struct canvas canvas;
	struct model *model;
	struct source *source;
	struct files *files;
	struct sync *sync;
	struct snapshot *shown;
	bool dirty;    /* something came since the last drawing */
	bool draw_now; /* and must not wait for the next tick */
	bool full;
	mono_t next_draw, next_search, started;
};

static volatile sig_atomic_t caught;

static void on_signal(int sig)
{
	if (sig != SIGWINCH)
		caught = sig;
}

/* Signals wait, in every thread, but for the moments in which the loop
 * sleeps. Gives the mask for these. */
static sigset_t hold_signals(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction sa = { .sa_handler = on_signal };
	sigset_t held;
	sigset_t sleeping;

	sigemptyset(&held);
	for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
		sigaddset(&held, signals[i]);
		sigaction(signals[i], &sa, NULL);
	}
	sigaddset(&held, SIGWINCH);
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_BLOCK, &held, &sleeping);
	/* Whoever started us may have blocked them. */
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		sigdelset(&sleeping, signals[i]);
	sigdelset(&sleeping, SIGWINCH);
	return sleeping;
}

static void wait_until(const struct app *a, mono_t until, bool keys,
    const sigset_t *mask)
{
	struct pollfd fds[4] = { { files_fd(a->files), POLLIN, 0 },
		{ source_fd(a->source), POLLIN, 0 },
		{ sync_fd(a->sync), POLLIN, 0 }, { STDIN_FILENO, POLLIN, 0 } };
	const mono_t now = clock_mono();
	const mono_t left = until > now ? until - now : 0;
	const struct timespec ts = { (time_t)(left / MONO_SEC),
		(long)(left % MONO_SEC) };

	if (ppoll(fds, keys ? 4 : 3, until == NEVER ? NULL : &ts, mask) <= 0)
		return;
	/* The terminal is gone, whether or not a signal says so. */
	if (keys && fds[3].revents & (POLLHUP | POLLERR | POLLNVAL))
		caught = SIGHUP;
}

/* --- sources --- */
static unsigned poll_ms(const struct app *a)
{
	const unsigned draw = a->o.interval_ms;

	return draw > POLL_MS ? draw : POLL_MS;
}

static int open_sources(struct app *a)
{
	int rc;

	a->model = model_new(a->o.trackers, a->o.n_trackers, clock_wall());
	rc = source_start(a->o.trackers, a->o.n_trackers, a->o.timeout_ms,
	    &a->source);
	if (rc == 0 && !a->files)
		rc = files_start(a->o.dbs, a->o.n_dbs, &a->files);
	if (rc == 0 && !a->sync)
		rc = sync_start(a->o.dbs, a->o.n_dbs, &a->sync);
	a->ui.files = a->files ? files_get(a->files) : NULL;
	a->ui.sync = a->sync ? sync_get(a->sync) : NULL;
	return rc;
}

static void close_sources(struct app *a)
{
	source_stop(a->source);
	a->source = NULL;
	model_free(a->model);
	a->model = NULL;
}

static mono_t sooner(mono_t a, mono_t b)
{
	return a < b ? a : b;
}

/* Logs are read as often as trackers are asked; the files of a pair only while
 * they are shown. */
static void tend_sync(struct app *a, mono_t now)
{
	const bool files = a->ui.view == VIEW_WAITING;

	if (a->ui.wants & WANT_WAITING)
		sync_now(a->sync);
	a->ui.wants &= ~WANT_WAITING;
	sync_tick(a->sync, now, poll_ms(a), files ? a->ui.sync_from : NULL,
	    files ? a->ui.sync_to : NULL);
}

/* What came, and what is due. */
static void run_sources(struct app *a)
{
	const bool first = !a->ui.s || a->ui.s->data_at == 0;
	const mono_t now = clock_mono();
	bool any = source_take(a->source, a->model);

	if (source_tick(a->source, a->model, now, poll_ms(a)))
		any = true;
	if (any) {
		a->dirty = true;
		a->draw_now |= first;
	}
	if (sync_take(a->sync, a->model)) {
		a->dirty = true;
		a->draw_now |= first || a->ui.view == VIEW_WAITING;
	}
	tend_sync(a, now);
	if (files_take(a->files)) {
		view_files_load(&a->ui);
		a->draw_now = true;
	}
}

static void refresh_snapshot(struct app *a)
{
	struct snapshot *fresh;

	a->ui.now = clock_wall();
	a->ui.retry_in = source_retry_in(a->source, clock_mono());
	if (a->ui.paused)
		return;
	fresh = model_snapshot(a->model, a->ui.now);
	a->ui.s = fresh;
	view_storages_load(&a->ui);
	snapshot_free(a->shown);
	a->shown = fresh;
	a->dirty = false;
}

/* Questions that the files view needs answered. */
static void tend_files(struct app *a)
{
	const struct files_view *f = a->ui.files;
	const struct file_hit *hit;
	const mono_t now = clock_mono();
	bool again;

	if (!f || a->ui.view != VIEW_FILES)
		return;
	again = now >= a->next_search && !a->ui.paused &&
	        f->state == FILES_READY && f->took_us < SEARCH_CHEAP &&
	        !files_busy(a->files);
	if ((a->ui.wants & WANT_SEARCH) || again) {
		files_search(a->files, a->ui.find);
		a->next_search = now + SEARCH_MS * MONO_MS;
	}
	a->ui.wants &= ~WANT_SEARCH;
	hit = table_current(&a->ui.hits);
	if (hit && f->state == FILES_READY)
		files_detail(a->files, hit);
}

/* --- the screen --- */
static void draw(struct app *a)
{
	int rows;
	int cols;

	refresh_snapshot(a);
	tend_files(a);
	term_size(&rows, &cols);
	frame_draw(&a->canvas, rows, cols, &a->ui);
	term_show(&a->canvas, a->full);
	a->full = a->draw_now = false;
	a->next_draw = clock_mono() +
	               (a->o.interval_given ? a->o.interval_ms
	                                    : ui_intervals_ms[a->ui.interval]) *
	                   MONO_MS;
}

static void set_tracker(struct app *a)
{
	close_sources(a);
	options_set_trackers(&a->o, a->ui.tracker);
	if (a->o.n_trackers == 0 || open_sources(a) < 0) {
		ui_say(&a->ui, true, "this is no address");
		a->ui.prompt = PROMPT_TRACKER;
		open_sources(a);
		return;
	}
	str_copy(a->ui.cluster, sizeof(a->ui.cluster), a->o.cluster);
	a->ui.view = VIEW_OVERVIEW;
}

static void do_wants(struct app *a)
{
	const unsigned wants = a->ui.wants;

	a->ui.wants &= WANT_QUIT | WANT_SEARCH | WANT_WAITING;
	if (wants & WANT_REFRESH) {
		sync_now(a->sync);
		source_poll_now(a->source);
		a->next_search = 0;
	}
	if (wants & WANT_REDRAW)
		a->full = true;
	if (wants & WANT_TRACKER)
		set_tracker(a);
	if (wants & WANT_SUSPEND) {
		term_suspend();
		a->full = true;
	}
}

static void take_keys(struct app *a)
{
	const unsigned interval = a->ui.interval;
	int key;

	while ((key = term_key()) != TK_NONE) {
		a->draw_now = true;
		if (key == TK_RESIZE)
			a->full = true;
		else
			ui_key(&a->ui, key);
	}
	if (a->ui.interval != interval)
		a->o.interval_given = false;
	do_wants(a);
}

static int run_screen(struct app *a, const sigset_t *mask)
{
	const int rc = term_start(a->o.mono);

	if (rc < 0) {
		fprintf(stderr,
		    "fdfs-top: TERM=%s is no terminal to draw on; "
		    "-b prints text\n",
		    getenv("TERM") ? getenv("TERM") : "");
		return EXIT_USAGE;
	}
	while (!caught) {
		run_sources(a);
		take_keys(a);
		if (a->ui.wants & WANT_QUIT)
			break;
		if (a->draw_now || clock_mono() >= a->next_draw)
			draw(a);
		wait_until(a, sooner(a->next_draw, source_next(a->source)),
		    true, mask);
	}
	term_stop();
	return caught ? 128 + caught : EXIT_FINE;
}

static enum files_state files_state(const struct app *a)
{
	return a->ui.files ? a->ui.files->state : FILES_IDLE;
}

/* --- batch --- */
static bool rates_known(const struct snapshot *s)
{
	for (size_t i = 0; i < s->n_storages; i++) {
		const struct storage *st = &s->storages[i];

		if (st->status == ST_ACTIVE && !st->stale && st->rate_span == 0)
			return false;
	}
	return true;
}

/* Is everything there that the picture shows? */
static bool picture_ready(struct app *a)
{
	const struct snapshot *s = a->ui.s;
	const mono_t waited = clock_mono() - a->started;

	if (a->ui.view == VIEW_FILES && a->o.n_dbs > 0 &&
	    (files_state(a) == FILES_IDLE || files_state(a) == FILES_SEARCHING))
		return false;
	if (a->ui.view != VIEW_FILES && !sync_ready(a->sync))
		return false;
	if (s->n_asked == 0 || a->ui.view == VIEW_FILES)
		return true;
	if (!s->complete)
		return waited > (mono_t)a->o.timeout_ms * MONO_MS && a->o.once;
	if (a->o.once || !a->o.wait || !s->live)
		return true;
	return rates_known(s) || waited > RATES_WAIT_MS * MONO_MS;
}

static int batch_status(const struct app *a)
{
	const struct snapshot *s = a->ui.s;

	if (caught)
		return 128 + caught;
	if (a->ui.view == VIEW_FILES && a->o.n_dbs > 0)
		return files_state(a) == FILES_READY ? EXIT_FINE : EXIT_NOTHING;
	if (a->ui.view == VIEW_SYNC && s->n_asked == 0)
		return s->n_pairs > 0 ? EXIT_FINE : EXIT_NOTHING;
	if (s->n_asked > 0 && !s->live)
		return s->complete ? EXIT_NOTHING : EXIT_INCOMPLETE;
	return s->complete ? EXIT_FINE : EXIT_INCOMPLETE;
}

static bool print_picture(struct app *a)
{
	if (a->ui.view == VIEW_FILES && files_state(a) == FILES_FAILED) {
		fprintf(stderr, "fdfs-top: %s\n", a->ui.files->error);
	} else if (a->o.json) {
		json_print(stdout, &a->ui);
		putchar('\n');
	} else {
		batch_print(stdout, &a->ui, &a->canvas, a->o.width);
	}
	return fflush(stdout) == 0;
}

static int run_batch(struct app *a, const sigset_t *mask)
{
	unsigned left =
	    a->o.once || (a->o.json && a->o.count == 0) ? 1 : a->o.count;
	const bool endless = left == 0;
	mono_t next = 0;

	a->ui.wants |= WANT_SEARCH;
	while (!caught) {
		mono_t now;

		run_sources(a);
		refresh_snapshot(a);
		tend_files(a);
		now = clock_mono();
		if (now >= next && picture_ready(a)) {
			if (!print_picture(a))
				return 128 + SIGPIPE;
			if (!endless && --left == 0)
				break;
			next = now + a->o.interval_ms * MONO_MS;
			a->next_search = 0;
		}
		wait_until(a,
		    sooner(now + 100 * MONO_MS, source_next(a->source)), false,
		    mask);
	}
	return batch_status(a);
}

/* --- start --- */
/* The character set comes from the C library, never from names of locales. */
static void choose_glyphs(struct app *a)
{
	const bool utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;

	canvas_init(&a->canvas,
	    (a->o.ascii || !utf8) && !(a->o.block && utf8) ? GLYPHS_ASCII
	                                                   : GLYPHS_BLOCK,
	    !utf8);
}

static int apply_options(struct app *a)
{
	struct options *o = &a->o;
	struct table *t = o->view == VIEW_FILES ? &a->ui.hits : &a->ui.storages;
	const char *filter = o->filter ? o->filter : o->subject;
	char err[160];

	if (o->sort && table_set_sort(t, o->sort) < 0) {
		fprintf(stderr,
		    "fdfs-top: there is no column %s; "
		    "--list-columns lists them\n",
		    o->sort);
		return -EINVAL;
	}
	if (filter && o->view == VIEW_FILES) {
		str_copy(a->ui.find, sizeof(a->ui.find), filter);
	} else if (filter && table_set_filter(&a->ui.storages, filter, err,
	                         sizeof(err)) < 0) {
		fprintf(stderr, "fdfs-top: %s\n", err);
		return -EINVAL;
	}
	a->ui.view = o->view;
	a->ui.no_clock = o->no_clock;
	for (unsigned i = 0; i < UI_INTERVALS; i++) {
		if (ui_intervals_ms[i] <= o->interval_ms)
			a->ui.interval = i;
	}
	a->ui.wants |= o->view == VIEW_FILES ? WANT_SEARCH : 0;
	return 0;
}

static void ask_for_tracker(struct app *a)
{
	a->ui.view = VIEW_SETUP;
	a->ui.prompt = PROMPT_TRACKER;
	a->ui.n_looked = a->o.n_looked;
	memcpy(a->ui.looked, a->o.looked, sizeof(a->ui.looked));
}

static int run(struct app *a)
{
	const sigset_t mask = hold_signals();
	const bool nothing = a->o.n_trackers == 0 && a->o.n_dbs == 0;
	const char *term = getenv("TERM");
	const char *no_color = getenv("NO_COLOR");
	int rc;

	if (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO) || !term ||
	    strcmp(term, "dumb") == 0)
		a->o.batch = true;
	if (no_color && *no_color)
		a->o.mono = true;
	if (nothing && a->o.batch) {
		fprintf(stderr, "fdfs-top: no cluster is known: name one with "
		                "--tracker, --config or --db\n");
		return EXIT_USAGE;
	}
	ui_init(&a->ui, a->o.cluster);
	choose_glyphs(a);
	if (apply_options(a) < 0)
		return EXIT_USAGE;
	if (nothing)
		ask_for_tracker(a);
	else if (a->o.n_trackers == 0 && a->o.view != VIEW_SYNC)
		a->ui.view = VIEW_FILES;
	rc = open_sources(a);
	if (rc < 0) {
		fprintf(stderr, "fdfs-top: cannot start: %s\n", errstr(rc));
		return EXIT_INTERNAL;
	}
	a->started = clock_mono();
	return a->o.batch ? run_batch(a, &mask) : run_screen(a, &mask);
}

int main(int argc, char **argv)
{
	static struct app app;
	char err[256];
	int rc;

	setlocale(LC_ALL, "");
	setlocale(LC_NUMERIC, "C");
	rc = options_parse(argc, argv, &app.o);
	if (rc != 0)
		return rc > 0 ? EXIT_FINE : EXIT_USAGE;
	if (options_find_cluster(&app.o, err, sizeof(err)) < 0) {
		fprintf(stderr, "fdfs-top: %s\n", err);
		return EXIT_USAGE;
	}
	rc = run(&app);
	if (app.source)
		source_stop(app.source);
	files_stop(app.files);
	sync_stop(app.sync);
	snapshot_free(app.shown);
	model_free(app.model);
	ui_fini(&app.ui);
	canvas_fini(&app.canvas);
	conf_free(app.o.conf);
	return rc;
}
