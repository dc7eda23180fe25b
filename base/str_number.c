/* SPDX-License-Identifier: MIT */
/*
 * The part of base/str.h that deals in numbers: strict reading of numbers,
 * sizes and durations, and numbers for people.
 */
#include "base/str.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct duration_unit {
	const char *name;
	int64_t seconds;
} duration_units[] = {
	/* Largest first: the order in which a text may combine them. */
	{ "y", INT64_C(365) * 86400 },
	{ "mo", INT64_C(30) * 86400 },
	{ "w", INT64_C(7) * 86400 },
	{ "d", 86400 },
	{ "h", 3600 },
	{ "m", 60 },
	{ "s", 1 },
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Reads digits at *s and moves it behind them. */
static int take_digits(const char **s, uint64_t *out)
{
	uint64_t v = 0;

	if (!is_digit(**s))
		return -EINVAL;
	for (; is_digit(**s); (*s)++) {
		if (__builtin_mul_overflow(v, UINT64_C(10), &v) ||
		    __builtin_add_overflow(v, (uint64_t)(**s - '0'), &v))
			return -ERANGE;
	}
	*out = v;
	return 0;
}

int str_to_u64(const char *s, uint64_t *out)
{
	uint64_t v;
	const int rc = take_digits(&s, &v);

	if (rc < 0)
		return rc;
	if (*s != '\0')
		return -EINVAL;
	*out = v;
	return 0;
}

int str_to_i64(const char *s, int64_t *out)
{
	const bool negative = *s == '-';
	const uint64_t most = (uint64_t)INT64_MAX + negative;
	uint64_t v;
	const int rc = str_to_u64(s + negative, &v);

	if (rc < 0)
		return rc;
	if (v > most)
		return -ERANGE;
	*out = negative ? (int64_t)(0 - v) : (int64_t)v;
	return 0;
}

/* The factor a unit means; 0 when it is no unit of size. */
static uint64_t size_unit(const char *s)
{
	static const char letters[] = "kmgtp";
	const char *at;
	uint64_t base = 1024;
	uint64_t factor = 1;

	if (*s == '\0' || strcmp(s, "B") == 0)
		return 1;
	at = strchr(letters, *s | 0x20);
	if (!at || *at == '\0')
		return 0;
	if (strcmp(s + 1, "B") == 0)
		base = 1000;
	else if (s[1] != '\0' && strcmp(s + 1, "iB") != 0)
		return 0;
	for (const char *p = letters; p <= at; p++)
		factor *= base;
	return factor;
}

/* factor * 0.DIGITS, rounded down; moves *s behind the digits. */
static int take_fraction(const char **s, const char *digits, uint64_t *out)
{
	const uint64_t factor = size_unit(*s);
	uint64_t sum = 0;
	uint64_t part = factor;

	if (factor <= 1 || digits == *s)
		return -EINVAL;
	for (const char *p = digits; is_digit(*p) && part > 0; p++) {
		/* One digit more only loses what is below a byte. */
		sum += part * (uint64_t)(*p - '0') / 10;
		part /= 10;
	}
	*out = sum;
	return 0;
}

int str_to_size(const char *s, uint64_t *out)
{
	uint64_t v;
	uint64_t fraction = 0;
	uint64_t factor;
	int rc = take_digits(&s, &v);

	if (rc < 0)
		return rc;
	if (*s == '.') {
		const char *digits = ++s;

		while (is_digit(*s))
			s++;
		rc = take_fraction(&s, digits, &fraction);
		if (rc < 0)
			return rc;
	}
	factor = size_unit(s);
	if (factor == 0)
		return -EINVAL;
	if (__builtin_mul_overflow(v, factor, &v) ||
	    __builtin_add_overflow(v, fraction, &v))
		return -ERANGE;
	*out = v;
	return 0;
}

/* Finds the unit at s among those after `from`; its index or -EINVAL. */
static int duration_unit_at(const char *s, size_t from)
{
	for (size_t i = from; i < ARRAY_LEN(duration_units); i++) {
		const char *name = duration_units[i].name;
		const size_t n = strlen(name);

		if (strncmp(s, name, n) == 0 &&
		    (s[n] == '\0' || is_digit(s[n])))
			return (int)i;
	}
	return -EINVAL;
}

int str_to_duration(const char *s, int64_t *out)
{
	size_t from = 0;
	int64_t sum = 0;

	if (*s == '\0')
		return -EINVAL;
	while (*s != '\0') {
		uint64_t v;
		int64_t part;
		const int rc = take_digits(&s, &v);
		int unit;

		if (rc < 0)
			return rc;
		unit = duration_unit_at(s, from);
		if (unit < 0)
			return unit;
		if (v > INT64_MAX ||
		    __builtin_mul_overflow((int64_t)v,
		        duration_units[unit].seconds, &part) ||
		    __builtin_add_overflow(sum, part, &sum))
			return -ERANGE;
		s += strlen(duration_units[unit].name);
		from = (size_t)unit + 1;
	}
	*out = sum;
	return 0;
}

/* A number of at most four characters, then the letter of its unit. */
static const char *scaled(char *buf, size_t cap, uint64_t n, double base)
{
	static const char letters[] = " kMGTPE";
	double v = (double)n;
	size_t unit = 0;

	/* What would be printed as `base` is one of the next unit. */
	for (; v >= base - 0.5 && letters[unit + 1] != '\0'; unit++)
		v /= base;
	if (unit == 0)
		snprintf(buf, cap, "%" PRIu64, n);
	else
		snprintf(buf, cap, "%.*f%c", v < 99.95 ? 1 : 0, v,
		    letters[unit]);
	return buf;
}

const char *str_bytes(char *buf, size_t cap, uint64_t n)
{
	return scaled(buf, cap, n, 1024);
}

const char *str_count(char *buf, size_t cap, uint64_t n)
{
	return scaled(buf, cap, n, 1000);
}

const char *str_duration(char *buf, size_t cap, int64_t seconds)
{
	const char *sign = seconds < 0 ? "-" : "";
	const uint64_t s =
	    seconds < 0 ? 0 - (uint64_t)seconds : (uint64_t)seconds;

	if (s < 60)
		snprintf(buf, cap, "%s%" PRIu64 "s", sign, s);
	else if (s < 3600)
		snprintf(buf, cap, "%s%" PRIu64 "m%02" PRIu64 "s", sign, s / 60,
		    s % 60);
	else if (s < 86400)
		snprintf(buf, cap, "%s%" PRIu64 "h%02" PRIu64 "m", sign,
		    s / 3600, s / 60 % 60);
	else if (s < UINT64_C(365) * 86400)
		snprintf(buf, cap, "%s%" PRIu64 " d", sign, s / 86400);
	else
		snprintf(buf, cap, "%s%.1f y", sign,
		    (double)s / (365.0 * 86400.0));
	return buf;
}
