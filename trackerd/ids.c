/* SPDX-License-Identifier: MIT */
/*
 * A line is "ID GROUP ADDRESS [rw=MODE]" with blanks between. The list goes
 * to storages and clients in byte order of the id text, so it is kept so.
 */
#include "trackerd/ids.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/macros.h"

#define IDS_FILE_MAX ((size_t)4 * 1024 * 1024)
#define IDS_MAX      16777215

struct source {
	const char *name;
	unsigned line;
	char *err;
	size_t cap;
};

static int ATTR_PRINTF(3, 4)
    refuse(const struct source *s, int rc, const char *fmt, ...)
{
	char text[256];
	struct strbuf b = strbuf_over(s->err, s->cap);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (s->line)
		strbuf_addf(&b, "%s:%u: %s", s->name, s->line, text);
	else
		strbuf_addf(&b, "%s: %s", s->name, text);
	return rc;
}

/* --- addresses ----------------------------------------------------------- */

static int one_addr(struct span text, struct addr *out)
{
	char name[256];
	int rc;

	while (text.n > 0 && *text.p == ' ') {
		text.p++;
		text.n--;
	}
	if (text.n == 0)
		return -EINVAL;
	memset(out, 0, sizeof(*out));
	rc = addr_parse_ip(text, out);
	if (rc == 0)
		return 0;
	if (!str_copy_span(name, sizeof(name), text))
		return -EINVAL;
	return addr_parse(name, 0, out);
}

/* Splits "host:port", "[v6]:port", "v6" into hosts and port text. */
static int split_port(struct span text, struct span *hosts, struct span *port)
{
	const char *end = text.p + text.n;
	const char *colon;

	*port = (struct span){ "", 0 };
	if (text.n > 0 && text.p[0] == '[') {
		const char *close = memchr(text.p, ']', text.n);

		if (!close)
			return -EINVAL;
		*hosts =
		    (struct span){ text.p + 1, (size_t)(close - text.p) - 1 };
		if (close + 1 == end)
			return 0;
		if (close[1] != ':')
			return -EINVAL;
		*port = (struct span){ close + 2, (size_t)(end - close) - 2 };
		return port->n > 0 ? 0 : -EINVAL;
	}
	*hosts = text;
	colon = text.n > 0 ? memrchr(text.p, ':', text.n) : NULL;
	if (!colon)
		return 0;
	hosts->n = (size_t)(colon - text.p);
	if (memchr(hosts->p, ':', hosts->n)) { /* bare IPv6: no port */
		hosts->n = text.n;
		return 0;
	}
	*port = (struct span){ colon + 1, (size_t)(end - colon) - 1 };
	return port->n > 0 ? 0 : -EINVAL;
}

static int parse_port(struct span text, uint16_t *out)
{
	char digits[8];
	uint64_t v = 0;

	*out = 0;
	if (text.n == 0)
		return 0;
	if (!str_copy_span(digits, sizeof(digits), text) ||
	    str_to_u64(digits, &v) < 0 || v == 0 || v > 65535)
		return -EINVAL;
	*out = (uint16_t)v;
	return 0;
}

int ids_parse_addrs(struct span text, struct addr addrs[2], size_t *n,
    uint16_t *port)
{
	struct span hosts;
	struct span digits;
	const char *comma;
	int rc = split_port(text, &hosts, &digits);

	if (rc == 0)
		rc = parse_port(digits, port);
	if (rc < 0)
		return rc;
	comma = hosts.n > 0 ? memchr(hosts.p, ',', hosts.n) : NULL;
	*n = comma ? 2 : 1;
	if (!comma)
		return one_addr(hosts, &addrs[0]);
	rc = one_addr((struct span){ hosts.p, (size_t)(comma - hosts.p) },
	    &addrs[0]);
	if (rc == 0)
		rc = one_addr((struct span){ comma + 1,
		                  hosts.n - (size_t)(comma - hosts.p) - 1 },
		    &addrs[1]);
	if (rc == 0 && addr_class(&addrs[0]) == ADDR_CLASS_OTHER) {
		const struct addr inner = addrs[1];

		addrs[1] = addrs[0];
		addrs[0] = inner;
	}
	return rc;
}

void ids_print_addrs(const struct addr *addrs, size_t n, struct strbuf *out)
{
	char ip[ADDR_IP_MAX];

	for (size_t i = 0; i < n; i++)
		strbuf_addf(out, "%s%s", i ? "," : "",
		    addr_ip(&addrs[i], ip, sizeof(ip)));
}

static const char *rw_word(enum rw_mode rw)
{
	switch (rw) {
	case RW_NONE:
		return " rw=none";
	case RW_READ:
		return " rw=read";
	case RW_WRITE:
		return " rw=write";
	case RW_BOTH:
		break;
	}
	return "";
}

void ids_print(const struct ids_entry *e, struct strbuf *out)
{
	const bool v6 = e->addrs[0].family == 6 || e->addrs[1].family == 6;

	strbuf_addf(out, "%s %s %s", e->id, e->group, v6 ? "[" : "");
	ids_print_addrs(e->addrs, e->n_addrs, out);
	strbuf_addf(out, "%s:%u%s\n", v6 ? "]" : "", e->port, rw_word(e->rw));
}

/* --- lines --------------------------------------------------------------- */

static char *next_word(char **rest)
{
	char *p = *rest + strspn(*rest, " \t");
	size_t n = strcspn(p, " \t");

	*rest = p + n;
	if (**rest)
		*(*rest)++ = 0;
	return n > 0 ? p : NULL;
}

static int parse_rw(const char *word, enum rw_mode *out)
{
	static const struct {
		const char *word;
		enum rw_mode rw;
	} modes[] = {
		{ "both", RW_BOTH },
		{ "all", RW_BOTH },
		{ "read", RW_READ },
		{ "readonly", RW_READ },
		{ "write", RW_WRITE },
		{ "writeonly", RW_WRITE },
		{ "none", RW_NONE },
	};

	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		if (strcasecmp(word, modes[i].word) == 0) {
			*out = modes[i].rw;
			return 0;
		}
	}
	return -EINVAL;
}

static int check_id(const struct source *s, const char *word,
    struct ids_entry *e)
{
	uint64_t v = 0;

	if (!word || word[0] == '0' || str_to_u64(word, &v) < 0 || v == 0 ||
	    v > IDS_MAX || !str_copy(e->id, sizeof(e->id), word))
		return refuse(s, -EINVAL,
		    "\"%s\" is no id: write a number from 1 to %d without "
		    "leading zeros",
		    word ? word : "", IDS_MAX);
	return 0;
}

static int check_addrs(const struct source *s, const char *word,
    struct ids_entry *e)
{
	int rc = word ? ids_parse_addrs(span_of(word), e->addrs, &e->n_addrs,
	                    &e->port)
	              : -EINVAL;

	if (rc == -ENOENT)
		return refuse(s, rc,
		    "\"%s\" has no address: correct the name or write the "
		    "address",
		    word);
	if (rc < 0)
		return refuse(s, rc,
		    "\"%s\" is no address: write host, host:port, "
		    "[v6]:port or inner,outer:port",
		    word ? word : "");
	if (e->n_addrs == 2 &&
	    addr_class(&e->addrs[0]) == addr_class(&e->addrs[1]))
		return refuse(s, -EINVAL,
		    "\"%s\": the two addresses must be of different networks "
		    "(10/8, 172.16/12, 192.168/16, public)",
		    word);
	return 0;
}

/* 1 when the line holds an entry, 0 when it is empty or a comment. */
static int parse_line(const struct source *s, char *line, struct ids_entry *e)
{
	char *rest = str_trim(line);
	const char *word;
	int rc;

	if (rest[0] == 0 || rest[0] == '#')
		return 0;
	memset(e, 0, sizeof(*e));
	e->rw = RW_BOTH;
	rc = check_id(s, next_word(&rest), e);
	if (rc < 0)
		return rc;
	word = next_word(&rest);
	if (!word || !str_is_word(span_of(word), "") ||
	    !str_copy(e->group, sizeof(e->group), word))
		return refuse(s, -EINVAL,
		    "\"%s\" is no group name: write 1 to 16 letters and digits",
		    word ? word : "");
	rc = check_addrs(s, next_word(&rest), e);
	if (rc < 0)
		return rc;
	while ((word = next_word(&rest)) != NULL) {
		if (strncmp(word, "rw=", 3) != 0 ||
		    parse_rw(word + 3, &e->rw) < 0)
			return refuse(s, -EINVAL,
			    "\"%s\" is no option: write rw=both, rw=read, "
			    "rw=write or rw=none",
			    word);
	}
	return 1;
}

/* --- the list ------------------------------------------------------------ */

static int by_id(const void *a, const void *b)
{
	const struct ids_entry *x = a;
	const struct ids_entry *y = b;

	return strcmp(x->id, y->id);
}

static bool share_address(const struct ids_entry *a, const struct ids_entry *b)
{
	if (a->port != b->port)
		return false;
	for (size_t i = 0; i < a->n_addrs; i++)
		for (size_t k = 0; k < b->n_addrs; k++)
			if (addr_same_ip(&a->addrs[i], &b->addrs[k]))
				return true;
	return false;
}

/* What can be said only of the whole list; sets the default port. */
static int check_list(const struct source *s, struct ids *ids)
{
	size_t ports = 0;

	if (ids->n == 0)
		return refuse(s, -EINVAL,
		    "there is no storage in it: write a line "
		    "\"ID GROUP ADDRESS\" for each");
	for (size_t i = 0; i < ids->n; i++)
		ports += ids->items[i].port != 0;
	if (ports != 0 && ports != ids->n)
		log_warn("ids_ports_mixed",
		    "file=%s: lines without a port mean %d", s->name,
		    IDS_PORT_DEFAULT);
	ids->has_ports = ports != 0;
	qsort(ids->items, ids->n, sizeof(ids->items[0]), by_id);
	for (size_t i = 0; i < ids->n; i++) {
		struct ids_entry *e = &ids->items[i];

		if (e->port == 0)
			e->port = IDS_PORT_DEFAULT;
		for (size_t k = 0; k < e->n_addrs; k++)
			ids->has_ipv6 |= e->addrs[k].family == 6;
		if (i > 0 && by_id(e, e - 1) == 0)
			return refuse(s, -EEXIST,
			    "id %s stands in two lines: remove one", e->id);
		for (size_t k = 0; k < i; k++)
			if (share_address(e, &ids->items[k]))
				return refuse(s, -EEXIST,
				    "ids %s and %s have the same address and "
				    "port: correct one",
				    ids->items[k].id, e->id);
	}
	return 0;
}

int ids_parse(char *text, const char *name, struct ids **out, char *err,
    size_t cap)
{
	struct source s = { name, 0, err, cap };
	struct ids *ids = xcalloc(1, sizeof(*ids));
	size_t room = 0;
	int rc = 0;

	for (char *line = text; line && rc >= 0;) {
		char *next = strchr(line, '\n');
		struct ids_entry e;

		if (next)
			*next++ = 0;
		s.line++;
		rc = parse_line(&s, line, &e);
		if (rc == 1) {
			if (ids->n == room) {
				room = room ? 2 * room : 16;
				ids->items = xrealloc(ids->items, room,
				    sizeof(ids->items[0]));
			}
			ids->items[ids->n++] = e;
		}
		line = next;
	}
	s.line = 0;
	if (rc >= 0)
		rc = check_list(&s, ids);
	if (rc < 0) {
		ids_free(ids);
		return rc;
	}
	*out = ids;
	return 0;
}

int ids_load(const char *path, struct ids **out, char *err, size_t cap)
{
	char *text = NULL;
	ssize_t n = fs_read_file(path, IDS_FILE_MAX, &text);
	int rc;

	if (n < 0) {
		struct strbuf b = strbuf_over(err, cap);

		strbuf_addf(&b, "cannot read storage_ids_filename %s: %s", path,
		    errstr((int)n));
		return (int)n;
	}
	rc = ids_parse(text, path, out, err, cap);
	free(text);
	return rc;
}

void ids_free(struct ids *ids)
{
	if (!ids)
		return;
	free(ids->items);
	free(ids);
}

const struct ids_entry *ids_by_id(const struct ids *ids, struct span id)
{
	for (size_t i = 0; ids && i < ids->n; i++)
		if (span_eq(id, ids->items[i].id))
			return &ids->items[i];
	return NULL;
}

const struct ids_entry *ids_by_addr(const struct ids *ids, const char *group,
    const struct addr *a, uint16_t port)
{
	for (size_t i = 0; ids && i < ids->n; i++) {
		const struct ids_entry *e = &ids->items[i];

		if (group[0] && strcmp(group, e->group) != 0)
			continue;
		if (ids->has_ports && e->port != port)
			continue;
		for (size_t k = 0; k < e->n_addrs; k++)
			if (addr_same_ip(a, &e->addrs[k]))
				return e;
	}
	return NULL;
}
