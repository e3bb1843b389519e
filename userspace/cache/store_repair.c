// SPDX-License-Identifier: GPL-2.0
/* Order after a death inside the lock, and in a new region: buckets, queues and free memory are
 * made again from the objects. An object counts if its state says so and its memory is its own;
 * `state` and each extent are single words that are written in such an order that this is always
 * enough: memory is noted in the object before it is used, and the state is FREE before memory is
 * given back. Under the store's lock. */
#include "cache/store_priv.h"

#include <string.h>

#include "common/macro.h"

/* Its memory, all or nothing. */
static bool take_memory(struct weir_store *s, struct object *o)
{
	size_t i, n;

	for (n = 0; n < WEIR_STORE_EXTENTS && o->extents[n]; n++)
		if (!blocks_take(s, o->extents[n]))
			break;
	if (n == WEIR_STORE_EXTENTS || !o->extents[n])
		return true;
	/* the sweep that follows finds what was marked for it free again */
	for (i = 0; i < n; i++)
		memset(s->map + EXTENT_BLOCK(o->extents[i]), 0, 1ull << EXTENT_ORDER(o->extents[i]));
	return false;
}

static void set_free(struct weir_store *s, struct object *o)
{
	/* a generation stays, so that who holds it sees that it is another's */
	__atomic_store_n(&o->state, OBJECT_FREE, __ATOMIC_SEQ_CST);
	memset(o->extents, 0, sizeof(o->extents));
	o->queue = QUEUE_NONE;
	o->right = s->r->free_object;
	s->r->free_object = (uint32_t)(o - s->objects) + 1;
}

static void place(struct weir_store *s, struct object *o)
{
	enum queue_id was = o->queue;

	o->queue = QUEUE_NONE;
	if (o->state == OBJECT_LIVE) {
		object_link(s, o);
		queue_push(s, o, was == QUEUE_MAIN ? QUEUE_MAIN : QUEUE_SMALL);
	} else if (o->state == OBJECT_FILLING && !o->is_doomed) {
		object_link(s, o);
	} else if (o->state == OBJECT_DEAD) {
		queue_push(s, o, QUEUE_DEAD);
	}
}

void store_repair(struct weir_store *s)
{
	uint32_t i;

	memset(s->buckets, 0, 4ull * s->buckets_count);
	memset(s->r->queues, 0, sizeof(s->r->queues));
	s->r->free_object = 0;
	blocks_clear(s);
	for (i = s->objects_count; i-- > 0;) {
		struct object *o = &s->objects[i];

		if (o->state == OBJECT_FREE || o->state > OBJECT_DEAD || !object_is_sound(s, o) || !take_memory(s, o))
			set_free(s, o);
		else
			place(s, o);
	}
	blocks_sweep(s);
}
