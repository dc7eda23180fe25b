/* SPDX-License-Identifier: MIT */
/* ping: time to connect and time of an active test, of every server. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "cli/cluster.h"
#include "cli/fdfs.h"
#include "cli/stop.h"

enum { COL_ADDRESS, COL_KIND, COL_NAME, COL_STATE, COL_CONNECT, COL_ANSWER };

static const struct out_column columns[] = {
	{ "address", OUT_TEXT, OUT_KEEP, 0, "host and port" },
	{ "kind", OUT_TEXT, 0, 1, "tracker, storage, or - when named by you" },
	{ "name", OUT_TEXT, 0, 2, "group and id of a storage" },
	{ "state", OUT_TEXT, OUT_KEEP, 0, "ok, or why it did not answer" },
	{ "connect_us", OUT_MICROS, 0, 0, "time to connect" },
	{ "answer_us", OUT_MICROS, 0, 0, "time of an active test" },
};

static const struct out_layout layout = { "fdfs.ping/1", columns,
	ARRAY_LEN(columns), false, "there is nothing to ask" };

struct ping {
	struct source *source;
	struct out *out;
	size_t asked, failed;
	int last;
};

static void ping_one(struct ping *p, const struct addr *at, const char *kind,
    const char *name)
{
	struct out_cell cells[ARRAY_LEN(columns)];
	char text[ADDR_TEXT_MAX];
	char words[128];
	struct client *c;
	const mono_t start = clock_mono();
	mono_t connected;
	int rc = source_connect(p->source, at, &c);

	connected = clock_mono();
	cells[COL_CONNECT] =
	    rc == 0 ? out_number((int64_t)((connected - start) / 1000))
	            : out_unknown();
	if (rc == 0)
		rc = client_ask(c, CMD_active_test, &msg_desc_none, NULL, NULL,
		    NULL);
	cells[COL_ANSWER] =
	    rc == 0 ? out_number((int64_t)((clock_mono() - connected) / 1000))
	            : out_unknown();
	source_disconnect(c);
	if (stop_asked())
		return;
	p->asked++;
	p->failed += rc != 0;
	p->last = rc != 0 ? rc : p->last;
	cells[COL_ADDRESS] = out_text(addr_text(at, text, sizeof(text)));
	cells[COL_KIND] = out_text(kind);
	cells[COL_NAME] = out_text(name);
	cells[COL_STATE] =
	    out_text(rc == 0 ? "ok" : err_words(rc, words, sizeof(words)));
	out_row(p->out, cells);
}

static enum status ping_all(struct ping *p)
{
	struct cluster c;
	enum status st;

	memset(&c, 0, sizeof(c));
	for (size_t i = 0; i < p->source->n_trackers && !stop_asked(); i++)
		ping_one(p, &p->source->trackers[i], "tracker", NULL);
	st = cluster_load_groups(p->source, &c);
	if (st == STATUS_OK)
		st = cluster_load_storages(p->source, &c, NULL);
	for (size_t i = 0; i < c.n_storages && !stop_asked(); i++) {
		const struct msg_storage_record46 *r = &c.storages[i].r;
		char name[40];
		struct addr a;

		if (addr_parse_ip(span_of(r->ip), &a) < 0)
			continue;
		a.port = (uint16_t)r->storage_port;
		snprintf(name, sizeof(name), "%s %s", c.storages[i].group,
		    r->id);
		ping_one(p, &a, "storage", name);
	}
	cluster_free(&c);
	return st;
}

static enum status ping_named(struct ping *p, const char *where)
{
	struct addr a;

	if (addr_parse(where, 22122, &a) < 0)
		return err_usage("write HOST:PORT, or all",
		    "\"%s\" is no address that is known", where);
	ping_one(p, &a, NULL, NULL);
	return STATUS_OK;
}

enum status fdfs_run_ping(struct cli *cli, const void *options)
{
	const char *what = cli->n_words > 0 ? cli->words[0] : "all";
	const bool all = strcmp(what, "all") == 0;
	struct source s;
	struct ping p = { .source = &s };
	struct out_end end = { .complete = true, .total = -1 };
	enum status st = out_open(&cli->out, &layout, &p.out);

	(void)options;
	if (!p.out)
		return st;
	st = source_open(&cli->sources, &s);
	if (st == STATUS_OK && all)
		st = source_need_tracker(&s);
	if (st == STATUS_OK)
		st = all ? ping_all(&p) : ping_named(&p, what);
	if (st == STATUS_OK && p.failed > 0)
		st = p.failed == p.asked ? STATUS_NO_SOURCE : STATUS_PART;
	end.complete = st == STATUS_OK;
	end.total = (int64_t)p.asked;
	st = err_worse(st, out_close(p.out, &end));
	source_close(&s);
	return st;
}
