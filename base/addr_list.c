/* SPDX-License-Identifier: MIT */
/*
 * A list is an array of ranges [first, last] of addresses, sorted and without
 * overlaps, so a look-up is one binary search however the list was written.
 * An address is compared as 16 bytes; IPv4 stands there as ::ffff:a.b.c.d,
 * which also makes a peer on a dual-stack socket match its IPv4 entry.
 *
 * An item with brackets, "10.0.1.[0-15,20]" or "host[01-08].dom", is expanded
 * to every text it stands for; each of these is an address or a name.
 */
#include "base/addr.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/macros.h"

#define ITEM_MAX     256
#define RANGES_MAX   65536 /* of one list, before merging */
#define ADDRS_A_NAME 64

struct range {
	uint8_t first[16];
	uint8_t last[16];
};

struct addr_list {
	bool everyone;
	struct range *ranges;
	size_t n;
	size_t cap;
};

/* What one parse carries along. */
struct parse {
	struct addr_list *list;
	char *err;
	size_t err_cap;
};

static ATTR_PRINTF(2, 3) int fail(struct parse *ps, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(ps->err, ps->err_cap, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static void to_bytes(const struct addr *a, uint8_t out[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (a->family == 4) {
		memcpy(out, mapped, sizeof(mapped));
		memcpy(out + 12, a->ip, 4);
	} else {
		memcpy(out, a->ip, 16);
	}
}

/* Adds the addresses whose first `bits` of 128 are those of a. */
static int add_net(struct parse *ps, const struct addr *a, unsigned bits)
{
	struct addr_list *l = ps->list;
	struct range *r;

	if (l->n >= RANGES_MAX)
		return fail(ps, "more than %d addresses in the list of hosts",
		    RANGES_MAX);
	if (l->n == l->cap) {
		l->cap = l->cap ? 2 * l->cap : 16;
		l->ranges = xrealloc(l->ranges, l->cap, sizeof(*l->ranges));
	}
	r = &l->ranges[l->n++];
	to_bytes(a, r->first);
	memcpy(r->last, r->first, sizeof(r->last));
	for (unsigned i = bits; i < 128; i++) {
		const uint8_t bit = (uint8_t)(0x80U >> (i % 8));

		r->first[i / 8] &= (uint8_t)~bit;
		r->last[i / 8] |= bit;
	}
	return 0;
}

static int add_cidr(struct parse *ps, const char *text, const char *slash)
{
	const struct span ip = { text, (size_t)(slash - text) };
	struct addr a = { 0 };
	uint64_t bits;

	if (addr_parse_ip(ip, &a) < 0 || str_to_u64(slash + 1, &bits) < 0 ||
	    bits > (a.family == 4 ? 32 : 128))
		return fail(ps,
		    "'%s' is no network: write a.b.c.d/0..32 or v6/0..128",
		    text);
	return add_net(ps, &a, (unsigned)bits + (a.family == 4 ? 96 : 0));
}

static bool is_number_list(const char *text)
{
	return text[strspn(text, "0123456789.")] == '\0';
}

static int add_name(struct parse *ps, const char *name)
{
	struct addr found[ADDRS_A_NAME];
	int n;

	if (!str_is_word(span_of(name), "-._") || is_number_list(name))
		return fail(ps, "'%s' is neither an address nor a host name",
		    name);
	n = addr_lookup(name, found, ARRAY_LEN(found));
	if (n < 0)
		log_always(LOG_LEVEL_WARN, "host_unknown",
		    "name=%s: nobody is let in by it", name);
	for (int i = 0; i < n; i++) {
		const int rc = add_net(ps, &found[i], 128);

		if (rc < 0)
			return rc;
	}
	return 0;
}

/* An item without brackets to expand. */
static int add_plain(struct parse *ps, const char *text)
{
	const char *slash = strchr(text, '/');
	struct span ip = span_of(text);
	struct addr a = { 0 };

	if (strcmp(text, "*") == 0) {
		ps->list->everyone = true;
		return 0;
	}
	if (slash)
		return add_cidr(ps, text, slash);
	if (ip.n > 2 && text[0] == '[' && text[ip.n - 1] == ']')
		ip = (struct span){ text + 1, ip.n - 2 };
	if (addr_parse_ip(ip, &a) == 0)
		return add_net(ps, &a, 128);
	return add_name(ps, text);
}

static int add_item(struct parse *ps, const char *text, size_t depth);

/* One text for each number from..to, zeros in front kept. */
static int add_numbers(struct parse *ps, const char *text, struct span inside,
    struct span part, size_t depth)
{
	const char *dash = memchr(part.p, '-', part.n);
	const struct span low = { part.p,
		dash ? (size_t)(dash - part.p) : part.n };
	const struct span high =
	    dash ? (struct span){ dash + 1, part.n - low.n - 1 } : low;
	char from_text[16];
	char to_text[16];
	uint64_t from;
	uint64_t to;

	if (!str_copy_span(from_text, sizeof(from_text), low) ||
	    !str_copy_span(to_text, sizeof(to_text), high) ||
	    str_to_u64(from_text, &from) < 0 || str_to_u64(to_text, &to) < 0 ||
	    from > to || to - from >= RANGES_MAX)
		return fail(ps, "'%s' has a bad range: write [1-8,11]", text);
	for (uint64_t i = from; i <= to; i++) {
		const int width = low.p[0] == '0' ? (int)low.n : 1;
		char one[ITEM_MAX];
		int rc;

		if (snprintf(one, sizeof(one), "%.*s%0*llu%s",
		        (int)(inside.p - 1 - text), text, width,
		        (unsigned long long)i,
		        inside.p + inside.n + 1) >= (int)sizeof(one))
			return fail(ps, "'%s' is too long", text);
		rc = add_item(ps, one, depth + 1);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int add_item(struct parse *ps, const char *text, size_t depth)
{
	const char *open = strchr(text, '[');
	const char *close = open ? strchr(open, ']') : NULL;
	struct span inside;
	size_t at = 0;

	if (!open || (close && memchr(open, ':', (size_t)(close - open))))
		return add_plain(ps, text);
	if (!close || depth >= 4)
		return fail(ps, "'%s' has unbalanced or too many brackets",
		    text);
	inside = (struct span){ open + 1, (size_t)(close - open) - 1 };
	while (at <= inside.n) {
		const char *p = inside.p + at;
		const char *comma = memchr(p, ',', inside.n - at);
		const struct span part = { p,
			comma ? (size_t)(comma - p) : inside.n - at };
		const int rc = add_numbers(ps, text, inside, part, depth);

		if (rc < 0)
			return rc;
		at += part.n + 1;
	}
	return 0;
}

/* The length of the first item of a line: up to a comma outside brackets. */
static size_t item_length(const char *p)
{
	bool inside = false;
	size_t n = 0;

	for (; p[n] != '\0' && (inside || p[n] != ','); n++) {
		if (p[n] == '[')
			inside = true;
		else if (p[n] == ']')
			inside = false;
	}
	return n;
}

static int add_line(struct parse *ps, const char *line)
{
	while (*line != '\0') {
		const size_t n = item_length(line);
		char item[ITEM_MAX];
		const char *text;
		int rc = 0;

		if (!str_copy_span(item, sizeof(item),
		        (struct span){ line, n }))
			return fail(ps,
			    "an item of the list of hosts has more "
			    "than %d characters",
			    ITEM_MAX - 1);
		text = str_trim(item);
		if (*text != '\0')
			rc = add_item(ps, text, 0);
		if (rc < 0)
			return rc;
		line += n;
		line += *line == ',';
	}
	return 0;
}

static int range_order(const void *a, const void *b)
{
	const struct range *x = a;
	const struct range *y = b;

	return memcmp(x->first, y->first, sizeof(x->first));
}

/* Sorts, and joins ranges that overlap. */
static void list_merge(struct addr_list *l)
{
	size_t kept = 0;

	if (l->n == 0)
		return;
	qsort(l->ranges, l->n, sizeof(*l->ranges), range_order);
	for (size_t i = 1; i < l->n; i++) {
		struct range *last = &l->ranges[kept];
		const struct range *r = &l->ranges[i];

		if (memcmp(r->first, last->last, sizeof(r->first)) > 0)
			l->ranges[++kept] = *r;
		else if (memcmp(r->last, last->last, sizeof(r->last)) > 0)
			memcpy(last->last, r->last, sizeof(r->last));
	}
	l->n = kept + 1;
}

int addr_list_parse(const char *const *items, size_t n, struct addr_list **out,
    char *err, size_t cap)
{
	struct addr_list *l = xcalloc(1, sizeof(*l));
	struct parse ps = { l, err, cap };
	bool any = false;

	for (size_t i = 0; i < n; i++) {
		const int rc = add_line(&ps, items[i]);

		if (rc < 0) {
			addr_list_free(l);
			return rc;
		}
		any = any || items[i][strspn(items[i], " \t,")] != '\0';
	}
	if (!any)
		l->everyone = true;
	list_merge(l);
	*out = l;
	return 0;
}

bool addr_list_has(const struct addr_list *l, const struct addr *a)
{
	size_t low = 0;
	size_t high = l->n;
	uint8_t key[16];

	if (l->everyone)
		return true;
	if (a->family == 0)
		return false;
	to_bytes(a, key);
	while (low < high) {
		const size_t mid = low + (high - low) / 2;
		const struct range *r = &l->ranges[mid];

		if (memcmp(key, r->first, sizeof(key)) < 0)
			high = mid;
		else if (memcmp(key, r->last, sizeof(key)) > 0)
			low = mid + 1;
		else
			return true;
	}
	return false;
}

void addr_list_free(struct addr_list *l)
{
	if (!l)
		return;
	free(l->ranges);
	free(l);
}
