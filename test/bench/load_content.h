/* SPDX-License-Identifier: MIT */
/*
 * The bytes of uploaded files, and random choices. Every content is a stamp
 * that no other file has, followed by the same block of random bytes over and
 * over, so that sending costs no preparation. The block is made once, before
 * threads start; a random state belongs to one thread.
 */
#ifndef TEST_BENCH_LOAD_CONTENT_H
#define TEST_BENCH_LOAD_CONTENT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define CONTENT_BLOCK (1U << 20)
#define CONTENT_STAMP 16

struct content {
	uint8_t stamp[CONTENT_STAMP];
	uint64_t size;
};

int content_init(uint64_t seed);
void content_make(struct content *c, uint64_t size, uint64_t seed,
    uint64_t number);

/*
 * Describes the bytes from offset `from` on by at most max entries; returns
 * the number used, zero at the end of the content.
 */
int content_iov(struct content *c, uint64_t from, struct iovec *iov, int max);
uint32_t content_crc(const struct content *c);
uint32_t content_crc_update(uint32_t crc, const void *data, size_t len);

uint64_t random_next(uint64_t *state);

/* In [0, limit), for a limit up to 2^32. */
uint64_t random_below(uint64_t *state, uint64_t limit);

/*
 * A size from the photo mix: 40 % thumbnails of 4-16 KiB, 35 % previews of
 * 16-128 KiB, 20 % pictures of 128-512 KiB, 5 % originals of 512 KiB-4 MiB;
 * within a class the logarithm is uniform. The mean is 164 KiB.
 */
uint64_t random_photo_size(uint64_t *state);

#endif
