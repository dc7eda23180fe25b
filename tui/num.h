/* SPDX-License-Identifier: MIT */
/*
 * Numbers as the console writes them: `?` is not known, `·` is zero, `-` does
 * not apply. Every function writes into buf (at least NUM_MAX bytes) and gives
 * buf. Pure, any thread; times are local unless num_utc was called at start.
 */
#ifndef TUI_NUM_H
#define TUI_NUM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "tui/model.h"

#define NUM_MAX 40

const char *num_bytes(char *buf, int64_t bytes);
const char *num_count(char *buf, int64_t n);
const char *num_grouped(char *buf, int64_t n); /* 1,204 */
/* part of whole; "?" when either is not known, "-" when whole is 0. */
const char *num_percent(char *buf, int64_t part, int64_t whole);
const char *num_rate(char *buf, double per_second);      /* "1.2k" */
const char *num_byte_rate(char *buf, double per_second); /* "118M" */
const char *num_failed(char *buf, const struct rate *r);
/* Steps grow with the age, so that a screen does not redraw each second:
 * 1 s up to 15 s, 5 s up to a minute, then minutes, hours, days. */
const char *num_age(char *buf, int64_t seconds);
/* "HH:MM:SS" on the day of now, "22 Nov 14:02" in its year, "2025-03-04". */
const char *num_time(char *buf, wall_t at, wall_t now);
const char *num_stamp(char *buf, int64_t unix_seconds); /* full, "never" */
void num_rfc3339(char *buf, wall_t at);                 /* UTC */
/* Used share 0..1 of a space, or -1. */
double num_used_share(const struct space *sp);

#endif
