/* SPDX-License-Identifier: MIT */
/* Checksums: crc32 as in zlib (client-protocol 5.4) and md5. Any thread. */
#ifndef BASE_SUM_H
#define BASE_SUM_H

#include <stddef.h>
#include <stdint.h>

/* Goes on from crc (0 at the start). */
uint32_t sum_crc32(uint32_t crc, const void *p, size_t n);
/* 32 lower-case hex digits and NUL. */
void sum_md5_hex(const void *p, size_t n, char out[33]);

#endif
