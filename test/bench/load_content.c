/* SPDX-License-Identifier: MIT */
/*
 * The stamp stands in place of the first bytes of the block, so content byte
 * i >= CONTENT_STAMP is block[i % CONTENT_BLOCK]. A file shorter than a stamp
 * holds the beginning of it, where the running number is.
 */
#include "test/bench/load_content.h"

#include <errno.h>
#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>

static uint8_t *block;

/* splitmix64: every seed gives a full-period, well mixed sequence. */
uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15U;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
	return z ^ (z >> 31);
}

uint64_t random_below(uint64_t *state, uint64_t limit)
{
	return (random_next(state) >> 32) * limit >> 32;
}

uint64_t random_photo_size(uint64_t *state)
{
	static const struct {
		uint64_t percent; /* cumulated */
		uint64_t smallest;
		unsigned int doublings;
	} classes[] = {
		{ 40, 4096, 2 },
		{ 75, 16384, 3 },
		{ 95, 131072, 2 },
		{ 100, 524288, 3 },
	};
	const uint64_t percent = random_below(state, 100);
	size_t i = 0;
	double size;

	while (percent >= classes[i].percent)
		i++;
	/* 2^x for a uniform x in [0, doublings), a 1/64 step at a time. */
	size = (double)classes[i].smallest;
	for (uint64_t n = random_below(state, classes[i].doublings * 64ULL);
	     n > 0; n--)
		size *= 1.0108892860517005;
	return (uint64_t)size + random_below(state, 64);
}

int content_init(uint64_t seed)
{
	uint64_t state = seed;

	block = malloc(CONTENT_BLOCK);
	if (!block)
		return -ENOMEM;
	for (size_t i = 0; i < CONTENT_BLOCK; i += sizeof(uint64_t)) {
		const uint64_t v = random_next(&state);

		memcpy(block + i, &v, sizeof(v));
	}
	return 0;
}

void content_make(struct content *c, uint64_t size, uint64_t seed,
    uint64_t number)
{
	c->size = size;
	memcpy(c->stamp, &number, sizeof(number));
	memcpy(c->stamp + sizeof(number), &seed, sizeof(seed));
}

int content_iov(struct content *c, uint64_t from, struct iovec *iov, int max)
{
	const uint64_t stamp =
	    c->size < CONTENT_STAMP ? c->size : CONTENT_STAMP;
	int n = 0;

	if (from < stamp && n < max) {
		iov[n].iov_base = c->stamp + from;
		iov[n++].iov_len = (size_t)(stamp - from);
		from = stamp;
	}
	while (from < c->size && n < max) {
		const size_t at = (size_t)(from % CONTENT_BLOCK);
		uint64_t len = CONTENT_BLOCK - at;

		if (len > c->size - from)
			len = c->size - from;
		iov[n].iov_base = block + at;
		iov[n++].iov_len = (size_t)len;
		from += len;
	}
	return n;
}

uint32_t content_crc_update(uint32_t crc, const void *data, size_t len)
{
	return libdeflate_crc32(crc, data, len);
}

uint32_t content_crc(const struct content *c)
{
	struct content copy = *c;
	struct iovec iov[8];
	uint64_t from = 0;
	uint32_t crc = 0;
	int n;

	while ((n = content_iov(&copy, from, iov, 8)) > 0) {
		for (int i = 0; i < n; i++) {
			crc = content_crc_update(crc, iov[i].iov_base,
			    iov[i].iov_len);
			from += iov[i].iov_len;
		}
	}
	return crc;
}
