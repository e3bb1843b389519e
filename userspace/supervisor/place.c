/* SPDX-License-Identifier: GPL-2.0 */
/* A configuration beside the instance that runs: which pools are the same, which ids and slots the others get. Ids are
 * what the kernel side knows pools and endpoints by (cache maps, flows, tickets, cache keys), so what stays keeps
 * them, and nothing new gets those of something that is still draining. Pure, but for the look at living keepers. */
#include "supervisor/state.h"

#include <errno.h>
#include <string.h>

_Static_assert(WEIR_ENDPOINTS_MAX <= 64, "sets of endpoints are 64 bits");

/* Which endpoints each pool has a prefix for. Where no pool has one, the first listens, to answer 400. */
static void find_listens(const struct weir_config *c, struct sup_place *p)
{
	uint64_t claimed = 0;
	size_t i, j;

	for (i = 0; i < c->prefixes_count; i++) {
		const struct weir_conf_prefix *x = &c->prefixes[i];

		for (j = 0; x->pool && j < c->listens_count; j++)
			if (c->listens[j].port == x->port)
				p->listens[x->pool - 1] |= 1ULL << j;
	}
	for (i = 0; i < c->pools_count; i++)
		claimed |= p->listens[i];
	for (j = 0; j < c->listens_count; j++)
		if (!(claimed & 1ULL << j))
			p->listens[0] |= 1ULL << j;
}

static int find_endpoints(const struct weir_config *c, const struct sup_state *st, struct sup_place *p)
{
	bool is_used[WEIR_ENDPOINTS_MAX] = { false }, is_old[WEIR_ENDPOINTS_MAX] = { false };
	uint16_t id;
	size_t i;

	for (i = 0; i < c->listens_count; i++) {
		p->is_new_endpoint[i] = true;
		for (id = 0; st && id < WEIR_ENDPOINTS_MAX; id++) {
			is_old[id] = st->endpoints[id][0];
			if (strncmp(st->endpoints[id], c->listens[i].text, sizeof(st->endpoints[0])) != 0)
				continue;
			p->is_new_endpoint[i] = false;
			p->endpoint_ids[i] = id;
			is_used[id] = true;
		}
	}
	for (i = 0; i < c->listens_count; i++) {
		if (!p->is_new_endpoint[i])
			continue;
		for (id = 0; id < WEIR_ENDPOINTS_MAX && (is_used[id] || is_old[id]); id++)
			;
		if (id == WEIR_ENDPOINTS_MAX)
			return -ENOSPC;
		p->endpoint_ids[i] = id;
		is_used[id] = true;
	}
	return 0;
}

static bool has_keeper(const struct sup_state *st, uint16_t pool)
{
	size_t i;

	for (i = 0; i < WEIR_SLOTS_MAX; i++)
		if (st->slots[i].pool_id == pool && !st->slots[i].is_leaving && sup_state_is_alive(&st->slots[i]))
			return true;
	return false;
}

/* The id of the pool that is the same; 0: none. */
static uint16_t find_same(const struct weir_config *c, const struct sup_state *st, size_t index, uint64_t listens)
{
	const struct weir_conf_pool *p = &c->pools[index];
	uint64_t digest = sup_state_digest(c, p, listens);
	uint16_t id;

	for (id = 1; id < WEIR_POOLS_MAX; id++)
		if (!strncmp(st->pools[id].name, p->name, sizeof(st->pools[id].name)) &&
		    st->pools[id].digest == digest && st->pools[id].slots == p->slots && has_keeper(st, id))
			return id;
	return 0;
}

static void mark(bool *is_used, uint32_t first, uint32_t count)
{
	for (; count > 0 && first < WEIR_SLOTS_MAX; count--)
		is_used[first++] = true;
}

/* First of `count` slots in a row that are free; WEIR_SLOTS_MAX: there are none. */
static uint32_t find_slots(const bool *is_used, uint32_t count)
{
	uint32_t i, run = 0;

	for (i = 0; i < WEIR_SLOTS_MAX; i++) {
		run = is_used[i] ? 0 : run + 1;
		if (run == count)
			return i + 1 - count;
	}
	return WEIR_SLOTS_MAX;
}

static uint16_t next_id(const bool *is_used, uint16_t last)
{
	unsigned i, id;

	for (i = 1; i < WEIR_POOLS_MAX; i++) {
		id = 1 + (last + i - 1) % (WEIR_POOLS_MAX - 1);
		if (!is_used[id])
			return (uint16_t)id;
	}
	return 0;
}

static int find_pools(const struct weir_config *c, const struct sup_state *st, bool may_keep, struct sup_place *p,
		      const char **ret_why)
{
	bool slots[WEIR_SLOTS_MAX] = { false }, ids[WEIR_POOLS_MAX] = { false };
	size_t i;

	for (i = 0; st && i < WEIR_SLOTS_MAX; i++) {
		slots[i] = sup_state_is_alive(&st->slots[i]);
		if (slots[i] && st->slots[i].pool_id < WEIR_POOLS_MAX)
			ids[st->slots[i].pool_id] = true;
	}
	for (i = 0; may_keep && i < c->pools_count; i++) {
		uint16_t id = find_same(c, st, i, p->listens[i]);

		if (!id)
			continue;
		p->is_kept[i] = true;
		p->pool_ids[i] = id;
		p->first_slots[i] = st->pools[id].first_slot;
		ids[id] = true;
		mark(slots, p->first_slots[i], c->pools[i].slots);
	}
	for (i = 0; i < c->pools_count; i++) {
		if (p->is_kept[i])
			continue;
		p->pool_ids[i] = next_id(ids, p->last_pool);
		p->first_slots[i] = find_slots(slots, c->pools[i].slots);
		*ret_why = p->pool_ids[i] ? "pool slots" : "pools";
		if (!p->pool_ids[i] || p->first_slots[i] == WEIR_SLOTS_MAX)
			return -ENOSPC;
		p->last_pool = p->pool_ids[i];
		ids[p->pool_ids[i]] = true;
		mark(slots, p->first_slots[i], c->pools[i].slots);
	}
	return 0;
}

bool sup_place_may_keep(const struct weir_config *c, const struct sup_state *st)
{
	if (st->attach == (uint32_t)c->attach)
		return true;
	return st->is_attached && c->attach != WEIR_ATTACH_NONE;
}

int sup_place_find(const struct weir_config *c, const struct sup_state *st, bool may_keep, struct sup_place *ret,
		   const char **ret_why)
{
	int r;

	*ret = (struct sup_place){ .last_pool = st ? st->last_pool : 0 };
	find_listens(c, ret);
	*ret_why = "listening addresses";
	r = find_endpoints(c, st, ret);
	return r == 0 ? find_pools(c, st, may_keep && st, ret, ret_why) : r;
}

void sup_place_apply(struct weir_config *c, const struct sup_place *p)
{
	size_t i;

	for (i = 0; i < c->prefixes_count; i++)
		if (c->prefixes[i].pool)
			c->prefixes[i].pool = p->pool_ids[c->prefixes[i].pool - 1];
	for (i = 0; i < c->pools_count; i++) {
		c->pools[i].id = p->pool_ids[i];
		c->pools[i].first_slot = p->first_slots[i];
	}
	for (i = 0; i < c->listens_count; i++)
		c->listens[i].id = p->endpoint_ids[i];
}
