/* SPDX-License-Identifier: MIT */
/*
 * What stands behind the NUL of a pad field is not kept by decode and written
 * as zeroes by encode. Tests that compare bytes zero it first. Any thread.
 */
#ifndef TEST_PADS_H
#define TEST_PADS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "proto/msg.h"

/* Bytes of a field in the fixed part. */
static inline size_t pads_width(const struct field *f)
{
	static const size_t widths[] = { [KIND_u8] = 1,
		[KIND_i32] = 4,
		[KIND_i64] = 8,
		[KIND_stats] = STATS_SIZE,
		[KIND_content] = 0 };

	return f->kind == KIND_pad ? f->arg : widths[f->kind];
}

/* Cleans a body (or its held part) of n bytes that message m decodes. */
static inline void pads_clean(const struct message *m, uint8_t *p, size_t n)
{
	for (size_t i = 0; i < m->n_fields; i++) {
		const struct field *f = &m->fields[i];
		const size_t w = pads_width(f);

		if (f->kind == KIND_pad) {
			const size_t text = strnlen((const char *)p, w);

			memset(p + text, 0, w - text);
		}
		while (f->kind == KIND_list && n > 0) {
			pads_clean(f->record, p, f->record->fixed_size);
			p += f->record->fixed_size;
			n -= f->record->fixed_size;
		}
		p += w;
		n -= w;
	}
}

#endif
