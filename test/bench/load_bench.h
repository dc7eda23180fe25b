/* SPDX-License-Identifier: MIT */
/*
 * The engine: clients that each keep one operation in flight, driven by one
 * epoll loop per thread. Everything in a bench belongs to the thread that
 * runs its phase; between phases it belongs to main.
 */
#ifndef TEST_BENCH_LOAD_BENCH_H
#define TEST_BENCH_LOAD_BENCH_H

#include "test/bench/load.h"
#include "test/bench/load_content.h"
#include "test/bench/load_hist.h"
#include "test/bench/load_pool.h"
#include "test/bench/load_server.h"
#include "test/bench/load_wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Results of a step. 1..255 are statuses of the server. */
enum outcome {
	STEP_AGAIN = -3,    /* the operation needs another exchange */
	STEP_COMPLETE = -2, /* the reply is here */
	STEP_PENDING = -1,  /* waiting for the socket */
	STEP_SUCCESS = 0,
	ERR_CONNECT = 256,
	ERR_LOST,
	ERR_REPLY,
	ERR_CONTENT,
	ERR_TIMEOUT,
	ERR_MEMORY,
	N_ERRORS
};

#define IN_KEEP 640 /* longest reply that is kept whole, metadata included */

struct stats {
	struct hist latency; /* of successful operations */
	uint64_t ops;        /* successful */
	uint64_t bytes;      /* of content, either way */
	uint64_t begin_ns;
	uint64_t end_ns; /* of the last operation */
	uint64_t errors[N_ERRORS];
};

struct client;

struct link {
	struct client *owner;
	int fd; /* -1: not connected */
	bool watch_out;
};

/* One request and its reply. */
struct exchange {
	struct link *link; /* NULL between exchanges */
	struct request out;
	struct content content;
	uint64_t sent;
	uint64_t got;    /* bytes of the reply, header included */
	uint64_t expect; /* 0 until the header is here */
	uint32_t crc;    /* of the body, with --verify */
	uint8_t status;
	bool bulk; /* the body is content, not kept */
	uint8_t in[IN_KEEP];
};

struct op_row;

/* One operation: up to two exchanges, tracker and storage. */
struct task {
	const struct op_row *row;
	struct file *file; /* lent by the pool, or owned when row says so */
	uint64_t size;
	uint64_t number;
	uint64_t start_ns;
	int server;
	uint8_t path;
	bool asked; /* the tracker has answered */
};

struct client {
	struct bench *bench;
	size_t index;
	bool busy;
	struct task task;
	struct exchange x;
	struct link links[MAX_SERVERS];
};

struct phase {
	enum op_kind op;
	uint64_t count; /* 0: no limit */
	double seconds; /* 0: no limit */
	bool keep;      /* remember what is uploaded */
};

struct bench {
	const struct options *opt;
	const uint8_t *group; /* WIRE_GROUP bytes, NULL: tracker's choice */
	struct server_table servers;
	struct pool pool;
	struct client *clients;
	size_t n_clients;
	size_t active;
	size_t cursor; /* next pool file of a phase that uses each once */
	int epoll;
	int storage; /* where operations go that ask no tracker; 0: unknown */
	uint64_t random;
	uint64_t next_number;
	struct phase phase;
	uint64_t issued;
	uint64_t deadline_ns; /* 0: none */
	uint64_t now_ns;      /* as of the last event */
	uint64_t broken;      /* connection errors in a row */
	struct stats *stats;
	uint8_t *buf;
};

uint64_t now_ns(void);

/* index tells threads apart; negative errno, and then nothing is held. */
int bench_init(struct bench *b, const struct options *opt, size_t clients,
    size_t index);
void bench_free(struct bench *b);

/* Runs one phase to its end and adds what happened to *stats. */
void bench_run(struct bench *b, const struct phase *phase, struct stats *stats);

/* Ends the phases of all threads early; safe in a signal handler. */
void bench_stop(void);
bool bench_stopped(void);

/* Closes connections; for operations over new connections and at the end. */
void client_disconnect(struct client *c);

/*
 * Connects when necessary and begins to send x.out to a server. STEP_PENDING
 * or an error.
 */
int exchange_start(struct client *c, int server);

/* Goes on after an event. STEP_PENDING, STEP_COMPLETE or an error. */
int exchange_event(struct client *c, uint32_t events);
void link_close(struct link *l);

#endif
