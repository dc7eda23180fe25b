/* SPDX-License-Identifier: MIT */
/*
 * Ranges. An upper end is excluded for times, included for sizes; "+" means
 * more, "-" less, as in find(1). A moment written with less than seconds
 * stands for all of its day, hour or minute. The zone is the local one.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/filter.h"

/* Cuts "A..B" in two; false when there is no "..". */
static bool cut_range(const char *text, char *a, char *b, size_t cap)
{
	const char *dots = strstr(text, "..");

	if (!dots ||
	    !str_copy_span(a, cap,
	        (struct span){ text, (size_t)(dots - text) }) ||
	    !str_copy(b, cap, dots + 2))
		return false;
	return a[0] != '\0' || b[0] != '\0';
}

static int size_of(const char *text, int64_t *out)
{
	uint64_t n;
	const int rc = str_to_size(text, &n);

	if (rc == 0 && n >= INT64_MAX)
		return -ERANGE;
	*out = rc == 0 ? (int64_t)n : 0;
	return rc;
}

int filter_size(const char *text, struct query_range *out)
{
	char a[64];
	char b[64];
	int64_t n = 0;
	int rc = 0;

	memset(out, 0, sizeof(*out));
	if (cut_range(text, a, b, sizeof(a))) {
		out->has_min = a[0] != '\0';
		out->has_max = b[0] != '\0';
		if (out->has_min)
			rc = size_of(a, &out->min);
		if (rc == 0 && out->has_max)
			rc = size_of(b, &out->max);
		out->max += out->has_max;
		return rc;
	}
	rc = size_of(text + (text[0] == '+' || text[0] == '-'), &n);
	out->has_min = text[0] != '-';
	out->has_max = text[0] != '+';
	out->min = n + (text[0] == '+');
	out->max = n + (text[0] != '-');
	return rc;
}

static int ms_before(const char *text, int64_t now, int64_t *out)
{
	int64_t seconds;
	const int rc = str_to_duration(text, &seconds);

	if (rc < 0)
		return rc;
	if (seconds > now)
		seconds = now;
	*out = (now - seconds) * 1000;
	return 0;
}

int filter_age(const char *text, int64_t now, struct query_range *out)
{
	char a[64];
	char b[64];
	int64_t at = 0;
	int rc = 0;

	memset(out, 0, sizeof(*out));
	if (cut_range(text, a, b, sizeof(a))) {
		/* The younger end is the later moment. */
		out->has_max = a[0] != '\0';
		out->has_min = b[0] != '\0';
		if (out->has_max)
			rc = ms_before(a, now, &out->max);
		if (rc == 0 && out->has_min)
			rc = ms_before(b, now, &out->min);
		return rc;
	}
	if (text[0] != '+' && text[0] != '-')
		return -EINVAL;
	rc = ms_before(text + 1, now, &at);
	out->has_max = text[0] == '+';
	out->has_min = text[0] == '-';
	out->max = at;
	out->min = at;
	return rc;
}

struct moment {
	int64_t start, end; /* unix seconds, end excluded */
};

static const struct date_form {
	const char *format;
	int unit; /* index of the tm field it is exact to: 0 s ... 5 year */
} date_forms[] = {
	{ "%Y-%m-%dT%H:%M:%S", 0 },
	{ "%Y-%m-%d %H:%M:%S", 0 },
	{ "%Y-%m-%dT%H:%M", 1 },
	{ "%Y-%m-%d %H:%M", 1 },
	{ "%Y-%m-%d", 3 },
	{ "%Y-%m", 4 },
	{ "%Y", 5 },
};

static int64_t local_seconds(struct tm tm)
{
	tm.tm_isdst = -1;
	return (int64_t)mktime(&tm);
}

static void add_unit(struct tm *tm, int unit)
{
	int *const fields[] = { &tm->tm_sec, &tm->tm_min, &tm->tm_hour,
		&tm->tm_mday, &tm->tm_mon, &tm->tm_year };

	++*fields[unit];
}

static int date_of(const char *text, struct moment *m)
{
	for (size_t i = 0; i < ARRAY_LEN(date_forms); i++) {
		struct tm tm;
		const char *end;
		bool utc;

		memset(&tm, 0, sizeof(tm));
		tm.tm_mday = 1;
		end = strptime(text, date_forms[i].format, &tm);
		utc = end && end[0] == 'Z' && end[1] == '\0';
		if (!end || (*end != '\0' && !utc))
			continue;
		m->start = utc ? (int64_t)timegm(&tm) : local_seconds(tm);
		add_unit(&tm, date_forms[i].unit);
		m->end = utc ? (int64_t)timegm(&tm) : local_seconds(tm);
		return 0;
	}
	return -EINVAL;
}

static int day_of(int64_t now, int back, struct moment *m)
{
	const time_t t = (time_t)now;
	struct tm tm;

	if (!localtime_r(&t, &tm))
		return -ERANGE;
	tm.tm_hour = 0;
	tm.tm_min = 0;
	tm.tm_sec = 0;
	tm.tm_mday -= back;
	m->start = local_seconds(tm);
	tm.tm_mday++;
	m->end = local_seconds(tm);
	return 0;
}

static int moment_of(const char *text, int64_t now, struct moment *m)
{
	int64_t ms;

	if (strcmp(text, "today") == 0)
		return day_of(now, 0, m);
	if (strcmp(text, "yesterday") == 0)
		return day_of(now, 1, m);
	if (strcmp(text, "now") == 0) {
		*m = (struct moment){ now, now };
		return 0;
	}
	if (text[0] == '-' && ms_before(text + 1, now, &ms) == 0) {
		*m = (struct moment){ ms / 1000, ms / 1000 };
		return 0;
	}
	if (text[0] == '@' && str_to_i64(text + 1, &ms) == 0) {
		*m = (struct moment){ ms, ms + 1 };
		return 0;
	}
	return date_of(text, m);
}

int filter_time(const char *text, int64_t now, struct query_range *out)
{
	char a[64];
	char b[64];
	struct moment from = { 0, 0 };
	struct moment to = { 0, 0 };
	int rc = 0;

	memset(out, 0, sizeof(*out));
	if (cut_range(text, a, b, sizeof(a))) {
		out->has_min = a[0] != '\0';
		out->has_max = b[0] != '\0';
		if (out->has_min)
			rc = moment_of(a, now, &from);
		if (rc == 0 && out->has_max)
			rc = moment_of(b, now, &to);
		out->min = from.start * 1000;
		out->max = to.start * 1000;
		return rc;
	}
	rc = moment_of(text, now, &from);
	out->has_min = true;
	/* "-7d" and "now" are points: everything since. */
	out->has_max = from.end > from.start;
	out->min = from.start * 1000;
	out->max = from.end * 1000;
	return rc;
}
