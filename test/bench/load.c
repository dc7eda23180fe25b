/* SPDX-License-Identifier: MIT */
/*
 * load: a closed-loop load generator. Each connection keeps one operation in
 * flight; the next one starts when the reply is here. A run has phases, each
 * by all threads at once: find the storage, prepare files, prepare metadata,
 * the measured operation, clean up.
 */
#include "test/bench/load.h"

#include "test/bench/load_bench.h"
#include "test/bench/load_ops.h"
#include "test/bench/load_options.h"
#include "test/bench/load_report.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* A thread of the run: its bench, and what it does next. */
struct worker {
	struct bench bench;
	struct phase phase;
	struct stats stats;
	pthread_t thread;
};

struct run {
	const struct options *opt;
	struct worker *workers;
	size_t n;
	size_t ready; /* workers whose bench must be freed */
	uint8_t group[WIRE_GROUP];
};

static void on_signal(int sig)
{
	(void)sig;
	bench_stop();
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;

	bench_run(&w->bench, &w->phase, &w->stats);
	return NULL;
}

/* The part of worker i when total things are dealt out. */
static uint64_t share(const struct run *r, uint64_t total, size_t i)
{
	return total / r->n + (i < total % r->n ? 1 : 0);
}

/*
 * Runs a phase in all threads; count is divided among them, and a thread
 * whose part is nothing stays out. Adds up into *sum.
 */
static int run_phase(struct run *r, const struct phase *phase,
    struct stats *sum)
{
	size_t started = 0;
	int rc = 0;

	memset(sum, 0, sizeof(*sum));
	while (started < r->n && rc == 0) {
		struct worker *w = &r->workers[started];

		w->phase = *phase;
		w->phase.count = share(r, phase->count, started);
		memset(&w->stats, 0, sizeof(w->stats));
		if (phase->count > 0 && w->phase.count == 0)
			break;
		rc = pthread_create(&w->thread, NULL, worker_main, w);
		if (rc == 0)
			started++;
	}
	for (size_t i = 0; i < started; i++) {
		(void)pthread_join(r->workers[i].thread, NULL);
		stats_merge(sum, &r->workers[i].stats);
	}
	return -rc;
}

static int run_unmeasured(struct run *r, const char *what,
    const struct phase *phase)
{
	struct stats sum;
	int rc = run_phase(r, phase, &sum);
	const uint64_t errors = stats_errors(&sum);

	if (rc < 0) {
		(void)fprintf(stderr, "load: cannot start a thread: %s\n",
		    strerror(-rc));
		return rc;
	}
	if (errors == 0 && !bench_stopped())
		return 0;
	for (size_t i = 0; i < N_ERRORS; i++) {
		if (sum.errors[i] > 0)
			(void)fprintf(stderr,
			    "load: %s failed %" PRIu64 " times (%s)\n", what,
			    sum.errors[i],
			    i < ERR_CONNECT ? strerror((int)i)
			                    : "no usable answer; is a server "
			                      "listening there?");
	}
	return -EIO;
}

/* Asks the tracker once, so that every thread knows the storage. */
static int find_storage(struct run *r)
{
	const struct phase once = { .op = OP_QUERY_STORE, .count = r->n };

	return run_unmeasured(r, "asking the tracker for a storage", &once);
}

static uint64_t default_prepare(const struct options *o)
{
	const struct op_needs needs = op_needs(o->op);

	if (!needs.files)
		return 0;
	if (o->prepare != UINT64_MAX)
		return o->prepare;
	if (needs.once)
		return o->count > 0 ? o->count : 10000;
	if (needs.appenders)
		return o->connections;
	return o->size > (1U << 20) ? 16 : 1000;
}

static int prepare(struct run *r)
{
	const struct op_needs needs = op_needs(r->opt->op);
	const struct phase files = {
		.op = needs.appenders ? OP_UPLOAD_APPENDER : OP_UPLOAD,
		.count = default_prepare(r->opt),
		.keep = true,
	};
	const struct phase metadata = { .op = OP_META_SET };
	int rc = 0;

	if (files.count > 0)
		rc = run_unmeasured(r, "uploading files to begin with", &files);
	if (rc == 0 && files.count > 0 && needs.metadata)
		rc = run_unmeasured(r, "setting metadata to begin with",
		    &metadata);
	return rc;
}

static void usage_subtract(struct usage *u, const struct usage *before)
{
	u->cpu_ns -= before->cpu_ns;
	u->user_us -= before->user_us;
	u->system_us -= before->system_us;
	u->switches -= before->switches;
}

static int read_daemons(const struct options *o, struct usage *u)
{
	pid_t gone;
	int rc = usage_read(o->pids, o->n_pids, u, &gone);

	if (rc < 0)
		(void)fprintf(stderr, "load: process %d is not there\n",
		    (int)gone);
	return rc;
}

static int measure(struct run *r, struct stats *sum)
{
	const struct options *o = r->opt;
	const struct phase phase = {
		.op = o->op,
		.count = o->count,
		.seconds = o->seconds,
		.keep = o->cleanup || o->op == OP_MIXED,
	};
	const pid_t self = getpid();
	struct report report = { .opt = o, .stats = sum };
	struct usage before;
	struct usage self_before;
	pid_t gone;
	int rc;

	usage_settle(o->pids, o->n_pids, o->settle);
	rc = read_daemons(o, &before);
	if (rc < 0)
		return rc;
	(void)usage_read(&self, 1, &self_before, &gone);
	rc = run_phase(r, &phase, sum);
	(void)usage_read(&self, 1, &report.client, &gone);
	if (rc == 0)
		rc = read_daemons(o, &report.daemons);
	usage_settle(o->pids, o->n_pids, o->settle);
	if (rc == 0)
		rc = read_daemons(o, &report.settled);
	if (rc < 0)
		return rc;
	usage_subtract(&report.client, &self_before);
	usage_subtract(&report.daemons, &before);
	usage_subtract(&report.settled, &before);
	if (o->json)
		report_json(&report);
	else
		report_text(&report);
	return 0;
}

static int run_all(struct run *r)
{
	const struct phase cleanup = { .op = OP_DELETE };
	struct stats *sum = calloc(1, sizeof(*sum));
	int rc = sum ? 0 : -ENOMEM;

	if (rc == 0 && r->workers[0].bench.storage == 0)
		rc = find_storage(r);
	if (rc == 0)
		rc = prepare(r);
	if (rc == 0)
		rc = measure(r, sum);
	if (rc == 0 && r->opt->cleanup)
		rc = run_unmeasured(r, "deleting the files", &cleanup);
	if (rc == 0 && stats_errors(sum) > 0 && !r->opt->allow_errors) {
		(void)fprintf(stderr, "load: %" PRIu64 " operations failed\n",
		    stats_errors(sum));
		rc = -EIO;
	}
	if (rc == 0 && sum->ops == 0) {
		(void)fprintf(stderr, "load: no operation was done\n");
		rc = -EIO;
	}
	free(sum);
	return rc;
}

static int worker_init(struct run *r, size_t i)
{
	const struct options *o = r->opt;
	struct bench *b = &r->workers[i].bench;
	struct wire_server key;
	int rc = bench_init(b, o, share(r, o->connections, i), i);

	if (rc < 0)
		return rc;
	r->ready++;
	if (o->group)
		b->group = r->group;
	if (o->tracker)
		rc = servers_set_tracker(&b->servers, o->tracker);
	if (rc == 0 && o->storage) {
		rc = server_parse_text(o->storage, &key);
		if (rc == 0) {
			memcpy(key.group, r->group, WIRE_GROUP);
			rc = servers_find(&b->servers, &key);
		}
		if (rc > 0) {
			b->storage = rc;
			rc = 0;
		}
	}
	return rc;
}

/* Every connection of every client and some for the process itself. */
static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int run_init(struct run *r)
{
	const char *group = r->opt->group ? r->opt->group : "group1";
	int rc = content_init(r->opt->seed);

	memcpy(r->group, group, strnlen(group, WIRE_GROUP));
	r->n = r->opt->threads;
	r->workers = calloc(r->n, sizeof(*r->workers));
	if (rc < 0 || !r->workers)
		return -ENOMEM;
	for (size_t i = 0; i < r->n && rc == 0; i++)
		rc = worker_init(r, i);
	return rc;
}

int main(int argc, char **argv)
{
	const struct sigaction stop = { .sa_handler = on_signal };
	struct options opt;
	struct run run = { .opt = &opt };
	int rc = options_parse(argc, argv, &opt);

	if (rc != 0 || opt.help)
		return rc;
	raise_file_limit();
	(void)sigaction(SIGINT, &stop, NULL);
	(void)sigaction(SIGTERM, &stop, NULL);
	rc = run_init(&run);
	if (rc < 0)
		(void)fprintf(stderr, "load: cannot use these servers: %s\n",
		    strerror(-rc));
	else
		rc = run_all(&run);
	for (size_t i = 0; i < run.ready; i++)
		bench_free(&run.workers[i].bench);
	free(run.workers);
	return rc < 0 ? 1 : 0;
}
