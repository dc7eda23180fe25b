/* SPDX-License-Identifier: MIT */
/*
 * The order is total: two trackers never tie, so that all that know the same
 * choose the same. The best one has to act, nobody else does (4.3).
 */
#include "trackerd/elect.h"

#include <errno.h>
#include <string.h>

#define STEP     300 /* seconds */
#define TEXT_MAX 52  /* of an address in 66 and 67 */

static int three_way(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

int elect_compare(const struct elect_view *a, const struct elect_view *b)
{
	char text[2][ADDR_IP_MAX];
	int way = three_way(a->leads, b->leads);

	if (way == 0)
		way = three_way(a->running, b->running);
	if (way == 0)
		way = three_way(b->interval, a->interval);
	if (way == 0)
		way = strcmp(addr_ip(&a->at, text[0], sizeof(text[0])),
		    addr_ip(&b->at, text[1], sizeof(text[1])));
	if (way == 0)
		way = three_way(a->at.port, b->at.port);
	return way;
}

size_t elect_best(const struct elect_view *views, size_t n)
{
	size_t best = 0;

	for (size_t i = 1; i < n; i++)
		if (elect_compare(&views[i], &views[best]) > 0)
			best = i;
	return best;
}

int64_t elect_steps(int64_t seconds)
{
	return seconds <= 0 ? 0 : seconds - seconds % STEP;
}

/* --- 66 and 67 ----------------------------------------------------------- */

int elect_named(const struct cluster *c, struct span text)
{
	const char *colon = text.n ? memrchr(text.p, ':', text.n) : NULL;
	struct tracker_name name = { .n_addrs = 1 };
	struct span ip = { text.p, 0 };
	char port[8];
	uint64_t n;

	if (!colon || text.n > TEXT_MAX)
		return -EINVAL;
	ip.n = (size_t)(colon - text.p);
	if (!str_copy_span(port, sizeof(port),
	        (struct span){ colon + 1, text.n - ip.n - 1 }) ||
	    str_to_u64(port, &n) < 0 || n == 0 || n > UINT16_MAX)
		return -EINVAL;
	if (ip.n > 1 && ip.p[0] == '[' && ip.p[ip.n - 1] == ']')
		ip = (struct span){ ip.p + 1, ip.n - 2 };
	if (addr_parse_ip(ip, &name.addrs[0]) < 0)
		return -ENOENT;
	name.port = (uint16_t)n;
	return cluster_find_tracker(c, &name);
}

static struct elect_verdict verdict(int status, enum elect_act act)
{
	return (struct elect_verdict){ status, act };
}

struct elect_verdict elect_notified(const struct cluster *c, int named)
{
	if (named < 0)
		return verdict(-named, ELECT_REFUSE);
	if (c->leader && named != c->self)
		return verdict(EINVAL, ELECT_GIVE_UP);
	return verdict(0, ELECT_REMEMBER);
}

struct elect_verdict elect_committed(int named, int next)
{
	if (named < 0)
		return verdict(-named, ELECT_REFUSE);
	if (named != next)
		return verdict(EINVAL, ELECT_REFUSE);
	return verdict(0, ELECT_COMMIT);
}

unsigned elect_patience(unsigned failures)
{
	return failures == 1 ? 2 : failures == 2 ? 4 : 0;
}
