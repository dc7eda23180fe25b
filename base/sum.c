/* SPDX-License-Identifier: MIT */
/* The only file that knows which libraries the checksums come from. */
#include "base/sum.h"

#include <libdeflate.h>
#include <md5.h>

uint32_t sum_crc32(uint32_t crc, const void *p, size_t n)
{
	return libdeflate_crc32(crc, p, n);
}

void sum_md5_hex(const void *p, size_t n, char out[33])
{
	static const char hex[] = "0123456789abcdef";
	uint8_t digest[MD5_DIGEST_LENGTH];
	MD5_CTX ctx;

	MD5Init(&ctx);
	MD5Update(&ctx, p, n);
	MD5Final(digest, &ctx);
	for (size_t i = 0; i < sizeof(digest); i++) {
		out[2 * i] = hex[digest[i] >> 4];
		out[2 * i + 1] = hex[digest[i] & 15];
	}
	out[32] = '\0';
}
