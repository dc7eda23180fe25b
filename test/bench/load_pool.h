/* SPDX-License-Identifier: MIT */
/*
 * The files a run knows on the servers. Belongs to one thread. A file that is
 * being read by a client of the thread is not taken for deletion.
 */
#ifndef TEST_BENCH_LOAD_POOL_H
#define TEST_BENCH_LOAD_POOL_H

#include <stddef.h>
#include <stdint.h>

struct file {
	uint64_t size;
	uint64_t note; /* number written into its metadata, 0 for none */
	uint32_t crc;  /* of the content; kept only with --verify */
	uint32_t readers;
	uint16_t server; /* index in the table of load_server */
	uint8_t name_len;
	char name[];
};

struct pool {
	struct file **files;
	size_t n;
	size_t cap;
};

/* Gives a new file that is not in the pool yet, NULL without memory. */
struct file *file_new(const void *name, size_t len);

/* Takes f. -ENOMEM frees it. */
int pool_put(struct pool *p, struct file *f);

/* Lends a file; the pool must not be empty. */
struct file *pool_pick(struct pool *p, uint64_t *random);

/*
 * Gives a file nobody reads, or NULL: by chance when random is not NULL (a
 * few tries), else the last one.
 */
struct file *pool_take(struct pool *p, uint64_t *random);
void pool_free(struct pool *p);

#endif
