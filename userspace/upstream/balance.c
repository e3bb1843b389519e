/* SPDX-License-Identifier: GPL-2.0 */
/* Which server takes a request: smooth weighted round robin (each turn every server gains its
 * weight, the richest one serves and pays the sum), least connections by weight, or weighted
 * rendezvous hashing (each server draws a number from the key; the best draw wins, so that a server
 * that goes moves only its own keys). */
#include "upstream/upstream_priv.h"

#include <math.h>

/* FNV-1a, then mixed so that similar keys end far apart. */
uint64_t weir_up_hash(struct weir_str key)
{
	uint64_t h = 0xcbf29ce484222325;
	size_t i;

	for (i = 0; i < key.n; i++)
		h = (h ^ (uint8_t)key.p[i]) * 0x100000001b3;
	return h;
}

static uint64_t mix(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9;
	x ^= x >> 27;
	x *= 0x94d049bb133111eb;
	return x ^ x >> 31;
}

/* The draw of a server for a key: the greater, the better; -weight / ln(u) for u uniform in (0, 1).
 */
static double draw(const struct weir_up_server *server, uint64_t hash)
{
	double u = ((double)(mix(hash ^ server->name_hash) >> 11) + 0.5) / 9007199254740992.0;

	return -(double)server->conf->weight / log(u);
}

static bool is_better(enum weir_balance balance, const struct weir_up_server *a, const struct weir_up_server *b,
		      uint64_t hash)
{
	switch (balance) {
	case WEIR_BALANCE_HASH_URI:
	case WEIR_BALANCE_HASH_CLIENT:
	case WEIR_BALANCE_HASH_HEADER:
		return draw(a, hash) > draw(b, hash);
	case WEIR_BALANCE_LEAST_CONN:
		if (a->active * b->conf->weight != b->active * a->conf->weight)
			return a->active * b->conf->weight < b->active * a->conf->weight;
		break;
	case WEIR_BALANCE_ROUND_ROBIN:
		break;
	}
	return a->turn > b->turn;
}

/* Under lock. Among the servers in `candidates`, a set of bits. */
static struct weir_up_server *choose(struct weir_up_set *s, uint64_t candidates, uint64_t hash)
{
	struct weir_up_server *best = NULL;
	long sum = 0;
	size_t i;

	for (i = 0; i < s->count; i++) {
		struct weir_up_server *server = &s->servers[i];

		if (!(candidates >> i & 1))
			continue;
		server->turn += server->conf->weight;
		sum += server->conf->weight;
		if (!best || is_better(s->conf->balance, server, best, hash))
			best = server;
	}
	if (best)
		best->turn -= sum;
	return best;
}

struct weir_up_server *weir_up_pick(struct weir_up_set *s, uint64_t hash, uint64_t tried, uint64_t now_ms,
				    bool *ret_is_busy)
{
	uint64_t ready = 0, others = 0;
	struct weir_up_server *best;
	size_t i;

	*ret_is_busy = false;
	pthread_mutex_lock(&s->lock);
	for (i = 0; i < s->count; i++) {
		if (tried >> i & 1)
			continue;
		if (!up_has_room(&s->servers[i]))
			*ret_is_busy = true;
		else if (weir_up_shared_state(s->servers[i].shared, now_ms) == WEIR_UP_READY)
			ready |= 1ull << i;
		else
			others |= 1ull << i;
	}
	/* A server that rests is asked before a request is refused, but not to try one again. */
	best = choose(s, ready ? ready : tried || *ret_is_busy ? 0 : others, hash);
	if (best)
		best->active++;
	pthread_mutex_unlock(&s->lock);
	if (best)
		__atomic_add_fetch(&best->shared->requests, 1, __ATOMIC_RELAXED);
	return best;
}
