/* SPDX-License-Identifier: MIT */
/*
 * Where answers come from: the trackers and the metadata databases that the
 * options, the environment and the configuration files name (cli.md section
 * 3). Keeps one session to a tracker that answers. Main thread only.
 */
#ifndef CLI_SOURCE_H
#define CLI_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "cli/err.h"
#include "cli/opt.h"
#include "net/client.h"
#include "proto/command.h"
#include "proto/msg.h"

#define SOURCE_TRACKERS 16
#define SOURCE_DBS      16

struct source_options {
	struct opt_list db;
	struct opt_list trackers;
	const char *config;
	int64_t timeout; /* seconds; 0: as configured */
};
/* --tracker, --config, --timeout; and with --db before them. */
extern const struct opt_table source_net_table;
extern const struct opt_table source_table;

struct source {
	struct addr trackers[SOURCE_TRACKERS];
	size_t n_trackers;
	int why[SOURCE_TRACKERS]; /* the last failure of each */
	unsigned connect_ms, io_ms;
	bool timeout_given;
	/* metadata directories or database files, as given or configured */
	char *db[SOURCE_DBS];
	size_t n_db;
	bool db_given;  /* --db: the network is not asked */
	char group[17]; /* of the local storage's configuration */
	char looked_at[512];
	struct client *tracker; /* the session */
	size_t tracker_at;
};

/* Finds the sources; asks nobody. The rest says what is missing when it is
 * needed. Close with source_close in any case. */
enum status source_open(const struct source_options *o, struct source *s);
void source_close(struct source *s);

/* STATUS_OK, or says that no tracker is known. */
enum status source_need_tracker(const struct source *s);
/* Asks any tracker that answers. 0, the tracker's status, or a negative errno
 * when none answered (the reasons stand in why). Result as in client_ask. */
int source_ask(struct source *s, uint8_t command, const struct message *req,
    const void *in, const struct message *reply, void *out);
/* Says why no tracker answered, or what one refused. Gives the status. */
enum status source_complain(const struct source *s, int rc, const char *what);

/* A session to a storage (or a particular tracker); watched by stop. */
int source_connect(const struct source *s, const struct addr *to,
    struct client **out);
/* Ends the session and the watch. */
void source_disconnect(struct client *c);
/* The list field of a reply of either width: calls each with the record in
 * the wide form. `record46` is the wide record, `ip_at` where its address
 * stands, widths 16/46 or 15/45. Each gives 0 to go on. */
struct source_list {
	const struct message *record;
	size_t wide;  /* bytes of a wide record */
	size_t ip_at; /* offset of the address field */
	size_t ip_wide;
};
extern const struct source_list source_storages; /* storage_record46 */
extern const struct source_list source_servers;  /* server45 */
int source_each(const struct source_list *l, struct span bytes, void *out,
    int (*each)(void *arg), void *arg);

/* The conf file `path`, read for what the tools need (trackers, base_path,
 * group). STATUS_OK or says what is wrong with it. */
enum status source_read_conf(struct source *s, const char *path);

#endif
