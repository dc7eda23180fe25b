/* SPDX-License-Identifier: MIT */
#include "tui/num.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/str.h"

#define ZERO "·"

const char *num_bytes(char *buf, int64_t bytes)
{
	if (bytes < 0)
		snprintf(buf, NUM_MAX, "?");
	else
		str_bytes(buf, NUM_MAX, (uint64_t)bytes);
	return buf;
}

const char *num_count(char *buf, int64_t n)
{
	if (n < 0)
		snprintf(buf, NUM_MAX, "?");
	else if (n == 0)
		snprintf(buf, NUM_MAX, ZERO);
	else
		str_count(buf, NUM_MAX, (uint64_t)n);
	return buf;
}

const char *num_grouped(char *buf, int64_t n)
{
	char digits[24];
	size_t at = 0;
	size_t len;

	if (n < 0) {
		snprintf(buf, NUM_MAX, "?");
		return buf;
	}
	len = (size_t)snprintf(digits, sizeof(digits), "%" PRId64, n);
	for (size_t i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			buf[at++] = ',';
		buf[at++] = digits[i];
	}
	buf[at] = '\0';
	return buf;
}

const char *num_percent(char *buf, int64_t part, int64_t whole)
{
	double percent;

	if (part < 0 || whole < 0) {
		snprintf(buf, NUM_MAX, "?");
	} else if (whole == 0) {
		snprintf(buf, NUM_MAX, "-");
	} else {
		percent = 100.0 * (double)part / (double)whole;
		/* Nearly full is not full, a little is not nothing. */
		if (percent > 99 && part < whole)
			percent = 99;
		if (percent > 0 && percent < 0.5)
			snprintf(buf, NUM_MAX, "<1%%");
		else
			snprintf(buf, NUM_MAX, "%.0f%%", percent);
	}
	return buf;
}

const char *num_rate(char *buf, double per_second)
{
	if (isnan(per_second) || per_second < 0)
		snprintf(buf, NUM_MAX, "?");
	else if (per_second == 0)
		snprintf(buf, NUM_MAX, ZERO);
	else if (per_second < 0.05)
		snprintf(buf, NUM_MAX, "<0.1");
	else if (per_second < 9.95)
		snprintf(buf, NUM_MAX, "%.1f", per_second);
	else
		str_count(buf, NUM_MAX, (uint64_t)llround(per_second));
	return buf;
}

const char *num_byte_rate(char *buf, double per_second)
{
	if (isnan(per_second) || per_second < 0)
		snprintf(buf, NUM_MAX, "?");
	else if (per_second == 0)
		snprintf(buf, NUM_MAX, ZERO);
	else if (per_second < 1)
		snprintf(buf, NUM_MAX, "<1");
	else
		str_bytes(buf, NUM_MAX, (uint64_t)llround(per_second));
	return buf;
}

const char *num_failed(char *buf, const struct rate *r)
{
	/* Too few operations say nothing of a share. */
	const bool some = isnan(r->tried) || r->tried > r->ops;

	if (!some)
		snprintf(buf, NUM_MAX, ZERO);
	else if (isnan(r->failed))
		snprintf(buf, NUM_MAX, "?");
	else if (r->failed < 0.001)
		snprintf(buf, NUM_MAX, "%.2f%%", r->failed * 100);
	else
		snprintf(buf, NUM_MAX, "%.1f%%", r->failed * 100);
	return buf;
}

const char *num_age(char *buf, int64_t seconds)
{
	if (seconds < 0) {
		snprintf(buf, NUM_MAX, "?");
		return buf;
	}
	if (seconds >= 15 && seconds < 60)
		seconds -= seconds % 5;
	if (seconds < 60)
		snprintf(buf, NUM_MAX, "%" PRId64 "s", seconds);
	else if (seconds < 3600)
		snprintf(buf, NUM_MAX, "%" PRId64 "m", seconds / 60);
	else if (seconds < 86400)
		snprintf(buf, NUM_MAX, "%" PRId64 "h", seconds / 3600);
	else
		snprintf(buf, NUM_MAX, "%" PRId64 "d", seconds / 86400);
	return buf;
}

const char *num_time(char *buf, wall_t at, wall_t now)
{
	const time_t t = (time_t)(at / 1000);
	const time_t n = (time_t)(now / 1000);
	struct tm tm;
	struct tm today;

	if (at <= 0 || !localtime_r(&t, &tm) || !localtime_r(&n, &today)) {
		snprintf(buf, NUM_MAX, "?");
		return buf;
	}
	if (tm.tm_year != today.tm_year)
		strftime(buf, NUM_MAX, "%Y-%m-%d", &tm);
	else if (tm.tm_yday != today.tm_yday)
		strftime(buf, NUM_MAX, "%d %b %H:%M", &tm);
	else
		strftime(buf, NUM_MAX, "%H:%M:%S", &tm);
	return buf;
}

const char *num_stamp(char *buf, int64_t unix_seconds)
{
	const time_t t = (time_t)unix_seconds;
	struct tm tm;

	if (unix_seconds <= 0 || !localtime_r(&t, &tm))
		snprintf(buf, NUM_MAX, unix_seconds == 0 ? "never" : "?");
	else
		strftime(buf, NUM_MAX, "%Y-%m-%d %H:%M:%S", &tm);
	return buf;
}

void num_rfc3339(char *buf, wall_t at)
{
	const time_t t = (time_t)(at / 1000);
	struct tm tm;

	if (gmtime_r(&t, &tm))
		strftime(buf, NUM_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm);
	else
		snprintf(buf, NUM_MAX, "1970-01-01T00:00:00Z");
}

double num_used_share(const struct space *sp)
{
	if (sp->total <= 0 || sp->free < 0 || sp->free > sp->total)
		return -1;
	return (double)(sp->total - sp->free) / (double)sp->total;
}
