/* SPDX-License-Identifier: MIT */
/*
 * All numbers of a report stand in one list, printed as JSON or as text.
 * Values of the daemons appear only when --pid named some.
 */
#include "test/bench/load_report.h"

#include "test/bench/load_ops.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAX_NUMBERS 24

struct number {
	const char *name;
	const char *unit; /* for text */
	double value;
	int decimals;
};

struct numbers {
	struct number rows[MAX_NUMBERS];
	size_t n;
};

static const char *const error_names[] = {
	[0] = "connection_refused",
	[ERR_LOST - ERR_CONNECT] = "connection_lost",
	[ERR_REPLY - ERR_CONNECT] = "malformed_reply",
	[ERR_CONTENT - ERR_CONNECT] = "wrong_content",
	[ERR_TIMEOUT - ERR_CONNECT] = "timeout",
	[ERR_MEMORY - ERR_CONNECT] = "out_of_memory",
};

void stats_merge(struct stats *into, const struct stats *from)
{
	hist_merge(&into->latency, &from->latency);
	into->ops += from->ops;
	into->bytes += from->bytes;
	if (into->begin_ns == 0 || from->begin_ns < into->begin_ns)
		into->begin_ns = from->begin_ns;
	if (from->end_ns > into->end_ns)
		into->end_ns = from->end_ns;
	for (size_t i = 0; i < N_ERRORS; i++)
		into->errors[i] += from->errors[i];
}

uint64_t stats_errors(const struct stats *s)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < N_ERRORS; i++)
		sum += s->errors[i];
	return sum;
}

static void add(struct numbers *l, const char *name, const char *unit,
    double value, int decimals)
{
	l->rows[l->n++] = (struct number){ name, unit, value, decimals };
}

static void add_latency(struct numbers *l, const struct hist *h)
{
	static const struct {
		const char *name;
		double share;
	} shares[] = {
		{ "p50_us", 0.5 },
		{ "p90_us", 0.9 },
		{ "p99_us", 0.99 },
		{ "p999_us", 0.999 },
	};

	for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++)
		add(l, shares[i].name, "us",
		    (double)hist_quantile(h, shares[i].share) / 1e3, 1);
	add(l, "max_us", "us", (double)h->max / 1e3, 1);
}

static void collect(const struct report *r, struct numbers *l)
{
	const struct stats *s = r->stats;
	const double ops = s->ops > 0 ? (double)s->ops : 1.0;
	double seconds = (double)(s->end_ns - s->begin_ns) / 1e9;

	if (seconds <= 0)
		seconds = 1e-9;
	l->n = 0;
	add(l, "ops", "", (double)s->ops, 0);
	add(l, "seconds", "s", seconds, 3);
	add(l, "rate", "op/s", (double)s->ops / seconds, 1);
	add(l, "bytes_per_s", "B/s", (double)s->bytes / seconds, 0);
	add_latency(l, &s->latency);
	add(l, "client_cpu_us_per_op", "us",
	    (double)r->client.cpu_ns / 1e3 / ops, 2);
	if (r->opt->n_pids == 0)
		return;
	add(l, "cpu_us_per_op", "us", (double)r->daemons.cpu_ns / 1e3 / ops, 2);
	add(l, "cpu_settled_us_per_op", "us",
	    (double)r->settled.cpu_ns / 1e3 / ops, 2);
	add(l, "cpu_user_us_per_op", "us", (double)r->daemons.user_us / ops, 2);
	add(l, "cpu_system_us_per_op", "us", (double)r->daemons.system_us / ops,
	    2);
	add(l, "switches_per_op", "", (double)r->daemons.switches / ops, 3);
	add(l, "rss_peak_kib", "KiB", (double)r->settled.peak_kib, 0);
}

/* "2": 5, "timeout": 1 as JSON; the same without quotes as text. */
static void print_errors(const struct stats *s, const char *quote)
{
	const char *sep = "";

	for (unsigned int i = 0; i < N_ERRORS; i++) {
		if (s->errors[i] == 0)
			continue;
		(void)printf("%s%s", sep, quote);
		sep = ", ";
		if (i < ERR_CONNECT)
			(void)printf("%u", i);
		else
			(void)fputs(error_names[i - ERR_CONNECT], stdout);
		(void)printf("%s: %" PRIu64, quote, s->errors[i]);
	}
}

void report_text(const struct report *r)
{
	const struct options *o = r->opt;
	struct numbers l;

	collect(r, &l);
	(void)printf("%s, ", op_name(o->op));
	if (o->mix)
		(void)printf("photo mix");
	else
		(void)printf("%" PRIu64 " bytes", o->size);
	(void)printf(", %" PRIu64 " connections%s%s\n", o->connections,
	    o->via_tracker ? ", via tracker" : "",
	    o->new_connections ? ", new for each operation" : "");
	for (size_t i = 0; i < l.n; i++)
		(void)printf("  %-22s %14.*f %s\n", l.rows[i].name,
		    l.rows[i].decimals, l.rows[i].value, l.rows[i].unit);
	if (stats_errors(r->stats) > 0) {
		(void)fputs("  errors by status: ", stdout);
		print_errors(r->stats, "");
		(void)putchar('\n');
	}
}

void report_json(const struct report *r)
{
	static const char *const words[] = { "false", "true" };
	const struct options *o = r->opt;
	struct numbers l;

	collect(r, &l);
	(void)printf("{\"op\": \"%s\", \"size\": %" PRIu64
	             ", \"mix\": %s, \"connections\": %" PRIu64
	             ", \"threads\": %" PRIu64 ", \"via_tracker\": %s"
	             ", \"new_connections\": %s, \"verify\": %s"
	             ", \"seed\": %" PRIu64 ", \"cores\": %ld",
	    op_name(o->op), o->size, words[o->mix], o->connections, o->threads,
	    words[o->via_tracker], words[o->new_connections], words[o->verify],
	    o->seed, sysconf(_SC_NPROCESSORS_ONLN));
	for (size_t i = 0; i < l.n; i++)
		(void)printf(", \"%s\": %.*f", l.rows[i].name,
		    l.rows[i].decimals, l.rows[i].value);
	(void)fputs(", \"errors\": {", stdout);
	print_errors(r->stats, "\"");
	(void)fputs("}}\n", stdout);
}
