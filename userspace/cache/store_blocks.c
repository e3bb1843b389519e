// SPDX-License-Identifier: GPL-2.0
/* The store's memory: a buddy allocator over blocks of 512 bytes. Everything here follows from the
 * objects' extents and is made again from them by repair, so no step needs to be atomic. Under the
 * store's lock. */
#include "cache/store_priv.h"

#include <string.h>

#include "common/macro.h"

/* Of a block: the first of a piece says its order, the others are MAP_INSIDE. */
#define MAP_INSIDE 0xff
#define MAP_FREE 0x40
#define MAP_TAKEN 0x80
#define MAP_NOTHING 0

static struct free_piece *piece(const struct weir_store *s, uint32_t block)
{
	return (struct free_piece *)(s->blocks + (uint64_t)block * BLOCK_BYTES);
}

bool blocks_is_valid(const struct weir_store *s, uint64_t e)
{
	unsigned order = EXTENT_ORDER(e);
	uint64_t block = e >> 8;

	return (e & 0x80) && order <= ORDER_MAX && block + (1ull << order) <= s->blocks_count &&
	       !(block & ((1ull << order) - 1));
}

static void push(struct weir_store *s, uint32_t block, unsigned order)
{
	uint32_t first = s->r->pieces[order];

	*piece(s, block) = (struct free_piece){ .next = first };
	if (first)
		piece(s, first - 1)->prev = block + 1;
	s->r->pieces[order] = block + 1;
	s->map[block] = (uint8_t)(MAP_FREE | order);
	s->r->blocks_free += 1ull << order;
}

static void take(struct weir_store *s, uint32_t block, unsigned order)
{
	struct free_piece p = *piece(s, block);

	if (p.prev)
		piece(s, p.prev - 1)->next = p.next;
	else
		s->r->pieces[order] = p.next;
	if (p.next)
		piece(s, p.next - 1)->prev = p.prev;
	s->map[block] = MAP_NOTHING;
	s->r->blocks_free -= 1ull << order;
}

bool blocks_alloc(struct weir_store *s, unsigned order, uint64_t *ret)
{
	unsigned at = order;
	uint32_t block;

	while (at <= ORDER_MAX && !s->r->pieces[at])
		at++;
	if (at > ORDER_MAX)
		return false;
	block = s->r->pieces[at] - 1;
	take(s, block, at);
	while (at > order) {
		at--;
		push(s, block + (1u << at), at);
	}
	memset(s->map + block, MAP_INSIDE, 1ull << order);
	s->map[block] = (uint8_t)(MAP_TAKEN | order);
	*ret = EXTENT(block, order);
	return true;
}

void blocks_free(struct weir_store *s, uint64_t e)
{
	unsigned order = EXTENT_ORDER(e);
	uint32_t block = EXTENT_BLOCK(e);

	if (!blocks_is_valid(s, e) || s->map[block] != (MAP_TAKEN | order))
		return;
	memset(s->map + block, MAP_NOTHING, 1ull << order);
	while (order < ORDER_MAX) {
		uint64_t buddy = block ^ (1ull << order);

		if (buddy + (1ull << order) > s->blocks_count || s->map[buddy] != (MAP_FREE | order))
			break;
		take(s, (uint32_t)buddy, order);
		block = MIN(block, (uint32_t)buddy);
		order++;
	}
	push(s, block, order);
}

void blocks_shrink(struct weir_store *s, uint64_t e, unsigned order)
{
	unsigned at = EXTENT_ORDER(e);
	uint32_t block = EXTENT_BLOCK(e);

	while (at > order) {
		at--;
		s->map[block] = (uint8_t)(MAP_TAKEN | at);
		s->map[block + (1u << at)] = (uint8_t)(MAP_TAKEN | at);
		blocks_free(s, EXTENT(block + (1u << at), at));
	}
}

void blocks_clear(struct weir_store *s)
{
	memset(s->map, MAP_NOTHING, s->blocks_count);
	memset(s->r->pieces, 0, sizeof(s->r->pieces));
	s->r->blocks_free = 0;
}

bool blocks_take(struct weir_store *s, uint64_t e)
{
	uint64_t block = e >> 8, n = 1ull << EXTENT_ORDER(e), i;

	if (!blocks_is_valid(s, e))
		return false;
	for (i = 0; i < n; i++)
		if (s->map[block + i] != MAP_NOTHING)
			return false;
	memset(s->map + block, MAP_INSIDE, n);
	s->map[block] = (uint8_t)(MAP_TAKEN | EXTENT_ORDER(e));
	return true;
}

void blocks_sweep(struct weir_store *s)
{
	uint64_t at = 0, end;
	unsigned order;

	while (at < s->blocks_count) {
		if (s->map[at] != MAP_NOTHING) {
			at += s->map[at] & MAP_TAKEN && s->map[at] != MAP_INSIDE ? 1ull << (s->map[at] & 0x3f) : 1;
			continue;
		}
		for (end = at; end < s->blocks_count && s->map[end] == MAP_NOTHING; end++)
			;
		while (at < end) {
			order = 0;
			while (order < ORDER_MAX && !(at & (1ull << order)) && at + (2ull << order) <= end)
				order++;
			push(s, (uint32_t)at, order);
			at += 1ull << order;
		}
	}
}
