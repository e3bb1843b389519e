// SPDX-License-Identifier: GPL-2.0
/* Who goes when memory is short: S3-FIFO (Yang et al., SOSP 2023). New objects enter SMALL, a tenth
 * of the memory; what was used more than once there moves to MAIN, the rest leaves, and its
 * fingerprint is remembered: should it come back, it enters MAIN at once. MAIN gives each use one
 * more round. A scan runs through SMALL and leaves MAIN alone. A hit on the way only counts up
 * `heat`; hits in the kernel are asked for when an object's turn has come. Under the store's lock.
 */
#include "cache/store_priv.h"

#include "common/clock.h"
#include "common/macro.h"

#define HEAT_MAX 3
#define SMALL_SHARE 10

uint64_t object_blocks(const struct object *o)
{
	uint64_t blocks = 0;
	size_t i;

	for (i = 0; i < WEIR_STORE_EXTENTS && o->extents[i]; i++)
		blocks += 1ull << EXTENT_ORDER(o->extents[i]);
	return blocks;
}

static uint32_t number_of(const struct weir_store *s, const struct object *o)
{
	return (uint32_t)(o - s->objects) + 1;
}

void queue_push(struct weir_store *s, struct object *o, enum queue_id id)
{
	struct queue *q = &s->r->queues[id];
	struct object *first = store_object(s, q->first);

	o->left = 0;
	o->right = q->first;
	o->queue = (uint8_t)id;
	if (first)
		first->left = number_of(s, o);
	else
		q->last = number_of(s, o);
	q->first = number_of(s, o);
	q->blocks += object_blocks(o);
	q->count++;
}

void queue_remove(struct weir_store *s, struct object *o)
{
	struct queue *q;
	struct object *left = store_object(s, o->left), *right = store_object(s, o->right);

	if (o->queue == QUEUE_NONE || o->queue >= QUEUE__MAX)
		return;
	q = &s->r->queues[o->queue];
	if (left)
		left->right = o->right;
	else
		q->first = o->right;
	if (right)
		right->left = o->left;
	else
		q->last = o->left;
	q->blocks -= object_blocks(o);
	q->count--;
	o->queue = QUEUE_NONE;
	o->left = o->right = 0;
}

static uint32_t *ghost(const struct weir_store *s, const struct object *o)
{
	return &s->ghosts[o->hash[0] % s->objects_count];
}

static uint32_t fingerprint(const struct object *o)
{
	return (uint32_t)(o->hash[1] ^ o->variant[0]) | 1;
}

enum queue_id queue_choose(struct weir_store *s, const struct object *o)
{
	uint32_t *g = ghost(s, o);

	if (*g != fingerprint(o))
		return QUEUE_SMALL;
	*g = 0;
	return QUEUE_MAIN;
}

/* Uses that the kernel answered since the hand was here last. */
static bool was_used_in_kernel(struct weir_store *s, struct object *o)
{
	uint64_t hits = 0;
	unsigned i;

	if (!s->kernel.hits)
		return false;
	for (i = 0; i < MIN(o->kernel_count, (uint16_t)WEIR_STORE_KERNEL_KEYS); i++)
		hits += s->kernel.hits(s->kernel.arg, &o->kernel_keys[i]);
	if (hits <= o->kernel_hits) {
		o->kernel_hits = hits;
		return false;
	}
	o->kernel_hits = hits;
	return true;
}

/* Whether nothing can make it useful again: too stale for everything, and no way to ask whether it
 * changed. */
static bool is_over(const struct object *o, uint64_t now_ms)
{
	uint64_t grace_s = MAX(o->stored.swr_s, o->stored.sie_s);
	bool has_validator = (o->stored.flags & WEIR_STORED_HAS_ETAG) || o->stored.modified_s >= 0;

	return !has_validator && o->stored.lifetime_s < WEIR_POLICY_FOREVER &&
	       (int64_t)(now_ms - o->stored.fresh_ms) > (int64_t)grace_s * 1000;
}

/* The last of a queue: out, into MAIN, or another round. True: it went. */
static bool turn(struct weir_store *s, enum queue_id id, uint64_t now_ms)
{
	struct object *o = store_object(s, s->r->queues[id].last);
	uint8_t heat;

	if (!o)
		return false;
	heat = __atomic_load_n(&o->heat, __ATOMIC_RELAXED);
	if (was_used_in_kernel(s, o))
		heat = HEAT_MAX;
	if (is_over(o, now_ms))
		heat = 0;
	if (object_is_held(s, o) || (id == QUEUE_SMALL ? heat > 1 : heat > 0)) {
		queue_remove(s, o);
		__atomic_store_n(&o->heat, id == QUEUE_SMALL || heat == 0 ? 0 : (uint8_t)(heat - 1), __ATOMIC_RELAXED);
		queue_push(s, o, QUEUE_MAIN);
		return false;
	}
	if (id == QUEUE_SMALL)
		*ghost(s, o) = fingerprint(o);
	weir_store_count(s, id == QUEUE_SMALL ? WEIR_STORE_COUNT_evicted : WEIR_STORE_COUNT_evicted_main, 1);
	object_kill(s, o);
	return true;
}

bool queue_evict(struct weir_store *s)
{
	struct queue *small = &s->r->queues[QUEUE_SMALL], *hot = &s->r->queues[QUEUE_MAIN];
	uint64_t now_ms = weir_now_ms(), rounds = (small->count + hot->count) * (HEAT_MAX + 1) + 1;

	while (rounds-- > 0 && small->count + hot->count > 0) {
		bool is_small = small->count > 0 && (hot->count == 0 || small->blocks * SMALL_SHARE > s->blocks_count);

		if (turn(s, is_small ? QUEUE_SMALL : QUEUE_MAIN, now_ms))
			return true;
	}
	return false;
}
