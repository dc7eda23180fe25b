/* SPDX-License-Identifier: MIT */
/*
 * What the fuzz targets share: the entry point that libFuzzer or
 * replay_main.c calls, and the way an oracle says that it was broken.
 */
#ifndef TEST_FUZZ_FUZZ_H
#define TEST_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Ends the program when the promise does not hold. */
static inline void promise(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "broken promise: %s\n", what);
	abort();
}

#endif
