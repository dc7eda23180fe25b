/* SPDX-License-Identifier: MIT */
/*
 * One value: from text to the type of its key and back. The traps of the
 * original reading stay (configuration.md section 1.2), for a file must mean
 * here what it meant there; each is told in a note.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/conf_file.h"
#include "base/str.h"

#define MEGABYTE (UINT64_C(1) << 20)

static ATTR_PRINTF(4, 5) int say(int rc, char *note, size_t cap,
    const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(note, cap, fmt, ap);
	va_end(ap);
	return rc;
}

/* Is text one of the words, in any case? */
static bool is_one_of(const char *text, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (strcasecmp(text, words[i]) == 0)
			return true;
	}
	return false;
}

static int read_bool(const char *text, bool *out, char *note, size_t cap)
{
	static const char *const yes[] = { "true", "yes", "on", "1" };
	static const char *const no[] = { "false", "no", "off", "0", "" };

	*out = is_one_of(text, yes, ARRAY_LEN(yes));
	if (*out || is_one_of(text, no, ARRAY_LEN(no)))
		return 0;
	return say(1, note, cap, "is neither true nor false, so it is false");
}

/* Puts v into min..max. 0, 1 with a note when it was outside, -EINVAL when
 * that is fatal, -ERANGE when the default is to be taken. */
static int into_range(const struct conf_key *k, int64_t *v, char *note,
    size_t cap)
{
	char range[64];

	if (k->min == k->max || (*v >= k->min && *v <= k->max))
		return 0;
	if (k->max == INT64_MAX)
		snprintf(range, sizeof(range), "at least %" PRId64, k->min);
	else
		snprintf(range, sizeof(range), "%" PRId64 " to %" PRId64,
		    k->min, k->max);
	if (k->flags & CONF_FATAL)
		return say(-EINVAL, note, cap, "must be %s", range);
	if (k->flags & CONF_DEFAULT)
		return say(-ERANGE, note, cap,
		    "should be %s, so the default counts", range);
	*v = *v < k->min ? k->min : k->max;
	return say(1, note, cap, "should be %s", range);
}

static int read_int(const struct conf_key *k, const char *text, int64_t *out,
    char *note, size_t cap)
{
	const bool negative = text[0] == '-';
	const char *p = text + (negative || text[0] == '+');
	const char *digits = p;
	int64_t v = 0;
	int tail = 0;
	int rc;

	for (; *p >= '0' && *p <= '9'; p++) {
		const int digit = *p - '0';

		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_sub_overflow(v, digit, &v))
			v = INT64_MIN;
	}
	if (!negative)
		v = v == INT64_MIN ? INT64_MAX : -v;
	if (p == digits)
		tail = say(1, note, cap, "is no number, so it is 0");
	else if (*p != '\0')
		tail = say(1, note, cap,
		    "has a tail; only the leading digits count, there are no "
		    "units here");
	rc = into_range(k, &v, note, cap);
	*out = v;
	return rc ? rc : tail;
}

/* Digits, blanks, one of K M G T, perhaps a B; powers of 1024. */
static int read_bytes(const char *text, uint64_t *out, char *note, size_t cap)
{
	static const char units[] = "kmgt";
	const size_t n = strspn(text, "0123456789");
	const char *p = text + n + strspn(text + n, " \t");
	const char *unit = *p ? strchr(units, *p | 0x20) : NULL;
	const unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
	char digits[24];
	uint64_t v;

	if (unit)
		p += (p[1] | 0x20) == 'b' ? 2 : 1;
	if (*p != '\0' ||
	    !str_copy_span(digits, sizeof(digits), (struct span){ text, n }) ||
	    str_to_u64(digits, &v) < 0 || v > (uint64_t)INT64_MAX >> shift)
		return say(-EINVAL, note, cap,
		    "is no size: write digits, and K, M, G or T if you like");
	*out = v << shift;
	return 0;
}

static int read_sized(const struct conf_key *k, const char *text, uint64_t *out,
    char *note, size_t cap)
{
	int64_t v;
	int rc = read_bytes(text, out, note, cap);

	if (rc < 0)
		return rc;
	v = (int64_t)*out;
	rc = into_range(k, &v, note, cap);
	*out = (uint64_t)v;
	return rc;
}

/* One or two digits at *p, at most max; moves *p. */
static bool two_digits(const char **p, int max, int *out)
{
	const size_t n = strspn(*p, "0123456789");

	if (n < 1 || n > 2)
		return false;
	*out = n == 1 ? (*p)[0] - '0' : ((*p)[0] - '0') * 10 + (*p)[1] - '0';
	*p += n;
	return *out <= max;
}

static int read_time(const char *text, int64_t *out, char *note, size_t cap)
{
	const char *p = text;
	int hour = 0;
	int minute = 0;
	int second = 0;
	bool good = two_digits(&p, 23, &hour) && *p++ == ':' &&
	            two_digits(&p, 59, &minute);

	if (good && *p == ':') {
		p++;
		good = two_digits(&p, 59, &second);
	}
	if (!good || *p != '\0')
		return say(-EINVAL, note, cap,
		    "is no time of day: write HH:MM");
	*out = hour * 60 + minute;
	return 0;
}

/* "12.5" in front of the percent sign, above 0 and below 100. */
static bool read_percent(const char *text, size_t n, double *out)
{
	double v = 0;
	double scale = 0;

	if (n == 0 || text[0] == '.' || text[n - 1] == '.')
		return false;
	for (size_t i = 0; i < n; i++) {
		if (text[i] == '.' && scale == 0) {
			scale = 1;
		} else if (text[i] >= '0' && text[i] <= '9') {
			v = v * 10 + (text[i] - '0');
			scale *= 10;
		} else {
			return false;
		}
	}
	*out = scale > 0 ? v / scale : v;
	return *out > 0 && *out < 100;
}

static int read_reserve(const char *text, struct conf_reserve *out, char *note,
    size_t cap)
{
	const size_t n = strlen(text);
	int rc;

	*out = (struct conf_reserve){ 0 };
	if (n > 0 && text[n - 1] == '%')
		return read_percent(text, n - 1, &out->percent)
		           ? 0
		           : say(-EINVAL, note, cap,
		                 "must be above 0%% and below 100%%, without "
		                 "blanks");
	rc = read_bytes(text, &out->bytes, note, cap);
	if (rc < 0)
		return rc;
	out->bytes -= out->bytes % MEGABYTE;
	if (out->bytes == 0)
		return say(1, note, cap,
		    "is less than a megabyte, so nothing is reserved");
	return 0;
}

/* The n-th of the words between bars; false behind the last. */
static bool nth_word(const char *words, int64_t n, struct span *out)
{
	for (; n > 0; n--) {
		words = strchr(words, '|');
		if (!words)
			return false;
		words++;
	}
	*out = (struct span){ words, strcspn(words, "|") };
	return true;
}

static int read_word(const struct conf_key *k, const char *text, int64_t *out,
    char *note, size_t cap)
{
	struct span word;

	for (int64_t i = 0; nth_word(k->words, i, &word); i++) {
		if (strlen(text) == word.n &&
		    strncasecmp(text, word.p, word.n) == 0) {
			*out = i;
			return 0;
		}
	}
	if (k->flags & CONF_FATAL)
		return say(-EINVAL, note, cap, "must be one of %s", k->words);
	return say(-ERANGE, note, cap,
	    "should be one of %s, so the default counts", k->words);
}

static int read_typed(const struct conf_key *k, const char *text, void *field,
    char *note, size_t cap)
{
	switch (k->type) {
	case CONF_BOOL:
		return read_bool(text, field, note, cap);
	case CONF_INT:
		return read_int(k, text, field, note, cap);
	case CONF_BYTES:
		return read_sized(k, text, field, note, cap);
	case CONF_TIME:
		return read_time(text, field, note, cap);
	case CONF_RESERVE:
		return read_reserve(text, field, note, cap);
	case CONF_WORD:
		return read_word(k, text, field, note, cap);
	case CONF_STR:
		*(const char **)field = text;
		return 0;
	case CONF_LIST:
	case CONF_OBSOLETE:
		break;
	}
	return 0;
}

int conf_value_read(const struct conf_key *k, const char *text, void *field,
    char *note, size_t cap)
{
	const int rc = read_typed(k, text, field, note, cap);

	if (rc == -ERANGE) {
		conf_value_default(k, field);
		return 1;
	}
	return rc;
}

void conf_value_default(const struct conf_key *k, void *field)
{
	static const size_t sizes[] = {
		[CONF_BOOL] = sizeof(bool),
		[CONF_INT] = sizeof(int64_t),
		[CONF_BYTES] = sizeof(uint64_t),
		[CONF_STR] = sizeof(const char *),
		[CONF_LIST] = sizeof(struct conf_list),
		[CONF_TIME] = sizeof(int64_t),
		[CONF_RESERVE] = sizeof(struct conf_reserve),
		[CONF_WORD] = sizeof(int64_t),
		[CONF_OBSOLETE] = 0,
	};
	/* The default may be a value that the range keeps users from. */
	struct conf_key unlimited = *k;
	char note[128];
	int rc = 0;

	unlimited.min = unlimited.max = 0;
	memset(field, 0, sizes[k->type]);
	if (k->dflt)
		rc = read_typed(&unlimited, k->dflt, field, note, sizeof(note));
	else if (k->type == CONF_STR)
		*(const char **)field = "";
	/* A table with a default that does not parse is a mistake of ours. */
	assert(rc == 0);
	(void)rc;
}

static void print_bytes(uint64_t v, char *buf, size_t cap)
{
	static const char units[] = " KMGT";
	size_t i = 0;

	while (v > 0 && v % 1024 == 0 && units[i + 1] != '\0') {
		v /= 1024;
		i++;
	}
	if (i == 0)
		snprintf(buf, cap, "%" PRIu64, v);
	else
		snprintf(buf, cap, "%" PRIu64 "%cB", v, units[i]);
}

static void print_reserve(const struct conf_reserve *r, char *buf, size_t cap)
{
	if (r->percent > 0)
		snprintf(buf, cap, "%.4g%%", r->percent);
	else
		print_bytes(r->bytes, buf, cap);
}

static void print_word(const struct conf_key *k, int64_t index, char *buf,
    size_t cap)
{
	struct span word;

	if (nth_word(k->words, index, &word))
		str_copy_span(buf, cap, word);
}

const char *conf_value_print(const struct conf_key *k, const void *field,
    char *buf, size_t cap)
{
	const int64_t *number = field;

	buf[0] = '\0';
	switch (k->type) {
	case CONF_BOOL:
		str_copy(buf, cap, *(const bool *)field ? "true" : "false");
		break;
	case CONF_INT:
		snprintf(buf, cap, "%" PRId64, *number);
		break;
	case CONF_BYTES:
		print_bytes(*(const uint64_t *)field, buf, cap);
		break;
	case CONF_STR:
		str_copy(buf, cap, *(const char *const *)field);
		break;
	case CONF_TIME:
		snprintf(buf, cap, "%02" PRId64 ":%02" PRId64, *number / 60,
		    *number % 60);
		break;
	case CONF_RESERVE:
		print_reserve(field, buf, cap);
		break;
	case CONF_WORD:
		print_word(k, *number, buf, cap);
		break;
	case CONF_LIST:
	case CONF_OBSOLETE:
		break;
	}
	if ((k->flags & CONF_SECRET) && buf[0] != '\0')
		str_copy(buf, cap, "********");
	return buf;
}
