// SPDX-License-Identifier: GPL-2.0
/* How an object comes to be: begun before its request goes to the origin, given memory as its
 * response comes, found from its commit on. Only the filler writes to it meanwhile, but the lock's
 * owner may mark it as doomed. */
#include "cache/store_priv.h"

#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "common/macro.h"

#define PIECE_FIRST 4096 /* of a body of unknown length; each next one is twice as large */
#define PIECE_MAX (8u << 20)

bool object_is_sound(const struct weir_store *s, const struct object *o)
{
	uint64_t meta = o->key_bytes + (uint64_t)o->vary_bytes + o->tags_bytes + o->head_bytes, room = 0;
	size_t i;

	if (!blocks_is_valid(s, o->extents[0]) || meta > EXTENT_BYTES(o->extents[0]))
		return false;
	for (i = 1; i < WEIR_STORE_EXTENTS && o->extents[i]; i++) {
		if (!blocks_is_valid(s, o->extents[i]))
			return false;
		room += EXTENT_BYTES(o->extents[i]);
	}
	return o->state != OBJECT_LIVE || o->body_bytes <= room;
}

/* --- buckets: under lock; readers walk them meanwhile --- */

static uint32_t *bucket_of(const struct weir_store *s, const struct object *o)
{
	return &s->buckets[o->hash[0] & (s->buckets_count - 1)];
}

void object_link(struct weir_store *s, struct object *o)
{
	uint32_t *b = bucket_of(s, o);

	__atomic_store_n(&o->next, *b, __ATOMIC_RELAXED);
	/* release: who finds it sees what is in it */
	__atomic_store_n(b, (uint32_t)(o - s->objects) + 1, __ATOMIC_RELEASE);
}

void object_unlink(struct weir_store *s, struct object *o)
{
	uint32_t *at = bucket_of(s, o), number = (uint32_t)(o - s->objects) + 1, steps = 0;
	struct object *other;

	while (*at != number && (other = store_object(s, *at)) && steps++ < s->objects_count)
		at = &other->next;
	if (*at == number)
		__atomic_store_n(at, o->next, __ATOMIC_RELEASE);
}

/* --- the end of objects: under lock --- */

void object_free(struct weir_store *s, struct object *o)
{
	uint64_t extents[WEIR_STORE_EXTENTS];
	size_t i;

	queue_remove(s, o);
	memcpy(extents, o->extents, sizeof(extents));
	/* from here on the memory is not the object's, see store_repair.c */
	__atomic_store_n(&o->state, OBJECT_FREE, __ATOMIC_SEQ_CST);
	memset(o->extents, 0, sizeof(o->extents));
	for (i = 0; i < WEIR_STORE_EXTENTS && extents[i]; i++)
		blocks_free(s, extents[i]);
	o->right = s->r->free_object;
	s->r->free_object = (uint32_t)(o - s->objects) + 1;
}

static void drop_from_kernel(struct weir_store *s, struct object *o)
{
	unsigned i;

	for (i = 0; s->kernel.drop && i < MIN(o->kernel_count, (uint16_t)WEIR_STORE_KERNEL_KEYS); i++)
		s->kernel.drop(s->kernel.arg, &o->kernel_keys[i]);
	o->kernel_count = 0;
}

void object_kill(struct weir_store *s, struct object *o)
{
	object_unlink(s, o);
	queue_remove(s, o);
	__atomic_store_n(&o->state, OBJECT_DEAD, __ATOMIC_SEQ_CST);
	drop_from_kernel(s, o);
	if (object_is_held(s, o))
		queue_push(s, o, QUEUE_DEAD);
	else
		object_free(s, o);
}

void objects_bury(struct weir_store *s)
{
	struct object *o = store_object(s, s->r->queues[QUEUE_DEAD].last), *next;
	uint64_t rounds = s->r->queues[QUEUE_DEAD].count;

	for (; o && rounds > 0; o = next, rounds--) {
		next = store_object(s, o->left);
		if (!object_is_held(s, o))
			object_free(s, o);
	}
}

/* --- memory: under lock --- */

static unsigned order_of(uint64_t blocks, bool is_up)
{
	unsigned order = 0;

	while ((2ull << order) <= blocks)
		order++;
	return order + (is_up && (1ull << order) < blocks);
}

/* The largest free piece that helps: not more than what is wanted, and not so small that `left`
 * pieces cannot hold it. */
static bool take_piece(struct weir_store *s, uint64_t blocks, unsigned left, uint64_t *ret)
{
	unsigned least = order_of((blocks + left - 1) / left, true), order = MAX(order_of(blocks, left == 1), least);

	do {
		for (unsigned at = order + 1; at-- > least;)
			if (blocks_alloc(s, at, ret))
				return true;
		objects_bury(s);
	} while (queue_evict(s));
	objects_bury(s);
	return blocks_alloc(s, least, ret);
}

/* Memory for `bytes` more, in extents from `at` on. -ENOSPC; what was taken stays with the object.
 */
static int grow(struct weir_store *s, struct object *o, unsigned at, uint64_t bytes)
{
	uint64_t blocks = (bytes + BLOCK_BYTES - 1) / BLOCK_BYTES, extent;

	while (blocks > 0) {
		if (at >= WEIR_STORE_EXTENTS || !take_piece(s, blocks, WEIR_STORE_EXTENTS - at, &extent))
			return -ENOSPC;
		o->extents[at++] = extent;
		blocks -= MIN(1ull << EXTENT_ORDER(extent), blocks);
	}
	return 0;
}

/* --- fills --- */

static struct object *filled(const struct weir_fill *f)
{
	return &f->store->objects[f->index];
}

static bool is_ours(const struct weir_fill *f)
{
	const struct object *o = filled(f);

	return o->generation == f->generation && o->state == OBJECT_FILLING && o->owner == f->store->row;
}

/* An unused object. Under lock. */
static struct object *take_object(struct weir_store *s)
{
	struct object *o;

	if (!s->r->free_object)
		objects_bury(s);
	while (!s->r->free_object && queue_evict(s))
		objects_bury(s);
	o = store_object(s, s->r->free_object);
	if (!o || o->state != OBJECT_FREE)
		return NULL;
	s->r->free_object = o->right;
	return o;
}

static void reset(struct object *o, uint64_t generation, const struct weir_store_key *key, uint16_t port,
		  const uint64_t variant[2], uint32_t owner)
{
	__atomic_store_n(&o->generation, generation, __ATOMIC_SEQ_CST);
	__atomic_store_n(&o->hash[0], key->hash[0], __ATOMIC_RELAXED);
	__atomic_store_n(&o->hash[1], key->hash[1], __ATOMIC_RELAXED);
	__atomic_store_n(&o->variant[0], variant[0], __ATOMIC_RELAXED);
	__atomic_store_n(&o->variant[1], variant[1], __ATOMIC_RELAXED);
	o->hits = o->refresh_ms = o->body_bytes = o->kernel_hits = 0;
	o->heat = o->queue = o->is_doomed = o->has_head = 0;
	o->kernel_count = o->kernel_next = o->vary_bytes = o->tags_bytes = 0;
	o->head_bytes = 0;
	o->left = o->right = 0;
	o->owner = owner;
	o->key_bytes = key->bytes;
	o->port = port;
}

/* Under lock. */
static int begin(struct weir_store *s, const struct weir_store_key *key, uint16_t port, const uint64_t variant[2],
		 struct weir_fill *ret)
{
	struct object *o;

	if (weir_store_is_filling(s, key, variant))
		return -EBUSY;
	o = take_object(s);
	if (!o)
		return -ENOSPC;
	reset(o, ++s->r->generation, key, port, variant, s->row);
	if (grow(s, o, 0, key->bytes) < 0) {
		__atomic_store_n(&o->state, OBJECT_DEAD, __ATOMIC_SEQ_CST);
		object_free(s, o);
		return -ENOSPC;
	}
	memcpy(object_meta(s, o), key->text, key->bytes);
	/* release: the state is what repair believes in */
	__atomic_store_n(&o->state, OBJECT_FILLING, __ATOMIC_SEQ_CST);
	object_link(s, o);
	ret->index = (uint32_t)(o - s->objects);
	ret->generation = o->generation;
	return 0;
}

int weir_store_begin(struct weir_store *s, const struct weir_store_key *key, uint16_t port, const uint64_t variant[2],
		     uint64_t max_bytes, struct weir_fill *ret)
{
	int r;

	*ret = (struct weir_fill){ .store = NULL, .max_bytes = max_bytes };
	if (s->row == ROW_NONE)
		return -ENOSPC;
	/* without the lock first: most who come here meet a fetch that goes on */
	if (weir_store_is_filling(s, key, variant))
		return -EBUSY;
	r = store_lock(s);
	if (r < 0)
		return r;
	r = begin(s, key, port, variant, ret);
	store_unlock(s);
	if (r == 0)
		ret->store = s;
	else if (r == -ENOSPC)
		weir_store_count(s, WEIR_STORE_COUNT_no_room, 1);
	return r;
}

/* Moves key, Vary, tags and head into one piece of memory of their own. Under lock. */
static int set_meta(struct weir_store *s, struct object *o, const char *vary, struct weir_str head,
		    struct weir_str tags)
{
	uint64_t blocks = (o->key_bytes + strlen(vary) + tags.n + head.n + BLOCK_BYTES - 1) / BLOCK_BYTES, extent;
	const char *old = object_meta(s, o);
	char *p;

	if (!take_piece(s, blocks, 1, &extent))
		return -ENOSPC;
	p = s->blocks + (uint64_t)EXTENT_BLOCK(extent) * BLOCK_BYTES;
	memcpy(p, old, o->key_bytes);
	p += o->key_bytes;
	memcpy(p, vary, strlen(vary));
	p += strlen(vary);
	if (tags.n > 0)
		memcpy(p, tags.p, tags.n);
	memcpy(p + tags.n, head.p, head.n);

	uint64_t was = o->extents[0];

	__atomic_store_n(&o->extents[0], extent, __ATOMIC_SEQ_CST);
	o->vary_bytes = (uint16_t)strlen(vary);
	o->tags_bytes = (uint16_t)tags.n;
	o->head_bytes = (uint32_t)head.n;
	blocks_free(s, was);
	return 0;
}

int weir_fill_head(struct weir_fill *f, const struct weir_policy_store *policy, struct weir_str request,
		   struct weir_str head, struct weir_str tags, uint64_t length, int64_t now_s)
{
	struct weir_store *s = f->store;
	struct object *o = filled(f);
	char text[8192];
	struct weir_buf b = { .p = text, .cap = sizeof(text) };
	uint64_t variant[2] = {};
	int r;

	if (head.n > WEIR_STORE_HEAD_BYTES || tags.n > WEIR_STORE_TAGS_BYTES ||
	    (length != UINT64_MAX && (length > f->max_bytes || head.n > f->max_bytes - length)))
		return -EFBIG;
	if (*policy->vary) {
		weir_policy_vary(policy->vary, request, &b);
		if (b.is_full)
			return -EFBIG;
		store_digest(s->secret, 0, text, b.n, variant);
	}
	r = store_lock(s);
	if (r < 0)
		return r;
	if (!is_ours(f) || o->is_doomed)
		r = -ESTALE;
	if (r == 0)
		r = set_meta(s, o, policy->vary, head, tags);
	if (r == 0 && length != UINT64_MAX && length > 0)
		r = grow(s, o, 1, length);
	if (r == 0) {
		o->stored = policy->stored;
		o->created_s = now_s;
		o->has_head = 1;
	}
	store_unlock(s);
	if (r == -ENOSPC)
		weir_store_count(s, WEIR_STORE_COUNT_no_room, 1);
	/* what others wait for stays under the old one until the commit */
	f->variant[0] = variant[0];
	f->variant[1] = variant[1];
	return r;
}

/* Room that the object has for its body. */
static uint64_t body_room(const struct object *o)
{
	uint64_t room = 0;
	size_t i;

	for (i = 1; i < WEIR_STORE_EXTENTS && o->extents[i]; i++)
		room += EXTENT_BYTES(o->extents[i]);
	return room;
}

static int more_room(struct weir_fill *f, uint64_t room, uint64_t wanted)
{
	struct weir_store *s = f->store;
	struct object *o = filled(f);
	uint64_t piece = MIN(MAX(room, (uint64_t)PIECE_FIRST), (uint64_t)PIECE_MAX);
	unsigned at = 1;
	int r = store_lock(s);

	if (r < 0)
		return r;
	while (at < WEIR_STORE_EXTENTS && o->extents[at])
		at++;
	/* the last ones must take whatever comes */
	if (at + 4 >= WEIR_STORE_EXTENTS)
		piece = MAX(piece, room);
	/* a power of two is one piece, if there is one */
	piece = (uint64_t)BLOCK_BYTES << order_of((MAX(piece, wanted) + BLOCK_BYTES - 1) / BLOCK_BYTES, true);
	r = is_ours(f) && !o->is_doomed ? grow(s, o, at, piece) : -ESTALE;
	store_unlock(s);
	if (r == -ENOSPC)
		weir_store_count(s, WEIR_STORE_COUNT_no_room, 1);
	return r;
}

int weir_fill_body(struct weir_fill *f, const void *bytes, size_t count)
{
	struct weir_str parts[WEIR_STORE_EXTENTS];
	struct weir_hold h = { f->store, f->index, f->generation };
	struct object *o = filled(f);
	const char *p = bytes;
	uint64_t room;
	unsigned i, n;
	int r;

	/* `state` and `owner` change only with what ends us, or under our own hands */
	if (!is_ours(f))
		return -ESTALE;
	if (count > f->max_bytes || f->body_bytes > f->max_bytes - count)
		return -EFBIG;
	room = body_room(o);
	if (f->body_bytes + count > room) {
		r = more_room(f, room, f->body_bytes + count - room);
		if (r < 0)
			return r;
	}
	n = weir_hold_body(&h, f->body_bytes, count, parts);
	for (i = 0; i < n; i++) {
		memcpy((char *)(uintptr_t)parts[i].p, p, parts[i].n);
		p += parts[i].n;
	}
	f->body_bytes += count;
	return 0;
}

static bool is_sibling(const struct object *o, const struct object *than)
{
	return o != than && o->state == OBJECT_LIVE && o->hash[0] == than->hash[0] && o->hash[1] == than->hash[1];
}

static bool is_vary_equal(const struct weir_store *s, const struct object *a, const struct object *b)
{
	return a->vary_bytes == b->vary_bytes &&
	       !memcmp(object_meta(s, a) + a->key_bytes, object_meta(s, b) + b->key_bytes, a->vary_bytes);
}

/* Removes what the new object takes the place of: the same variant; all of them when it, or they,
 * do not vary; and the oldest when there are too many. Under lock. */
static void replace(struct weir_store *s, struct object *o)
{
	struct object *other, *oldest;
	unsigned count, steps;
	uint32_t at;

	do {
		count = steps = 0;
		oldest = NULL;
		for (at = *bucket_of(s, o); (other = store_object(s, at)) && steps < CHAIN_MAX; steps++) {
			at = other->next;
			if (!is_sibling(other, o))
				continue;
			if (!o->vary_bytes || !other->vary_bytes ||
			    (is_vary_equal(s, o, other) && other->variant[0] == o->variant[0] &&
			     other->variant[1] == o->variant[1])) {
				weir_store_count(s, WEIR_STORE_COUNT_replaced, 1);
				object_kill(s, other);
				continue;
			}
			count++;
			if (!oldest || other->generation < oldest->generation)
				oldest = other;
		}
		if (count >= VARIANTS_MAX)
			object_kill(s, oldest);
	} while (count > VARIANTS_MAX);
}

/* Gives back what the body did not need. Under lock. */
static void trim(struct weir_store *s, struct object *o)
{
	uint64_t left = o->body_bytes;
	size_t i;

	for (i = 1; i < WEIR_STORE_EXTENTS && o->extents[i]; i++) {
		uint64_t extent = o->extents[i], room = EXTENT_BYTES(extent);

		if (left == 0) {
			o->extents[i] = 0;
			blocks_free(s, extent);
		} else if (left < room) {
			unsigned order = order_of((left + BLOCK_BYTES - 1) / BLOCK_BYTES, true);

			o->extents[i] = EXTENT(EXTENT_BLOCK(extent), order);
			blocks_shrink(s, extent, order);
		}
		left -= MIN(left, room);
	}
}

int weir_fill_commit(struct weir_fill *f, struct weir_hold *ret)
{
	struct weir_store *s = f->store;
	struct object *o = filled(f);
	int r = store_lock(s);

	if (r == 0 && (!is_ours(f) || o->is_doomed || !o->has_head))
		r = -ESTALE;
	if (r < 0) {
		if (r != -ETIMEDOUT)
			store_unlock(s);
		weir_fill_abort(f);
		return r;
	}
	o->body_bytes = f->body_bytes;
	trim(s, o);
	__atomic_store_n(&o->variant[0], f->variant[0], __ATOMIC_RELAXED);
	__atomic_store_n(&o->variant[1], f->variant[1], __ATOMIC_RELAXED);
	o->stored_ms = weir_now_ms();
	replace(s, o);
	if (ret) {
		*ret = (struct weir_hold){ s, f->index, f->generation };
		__atomic_fetch_add(&s->pins[(uint64_t)s->row * s->objects_count + f->index], 1, __ATOMIC_SEQ_CST);
	}
	queue_push(s, o, queue_choose(s, o));
	__atomic_store_n(&o->state, OBJECT_LIVE, __ATOMIC_SEQ_CST);
	weir_store_count(s, WEIR_STORE_COUNT_stored, 1);
	store_unlock(s);
	f->store = NULL;
	return 0;
}

void weir_fill_abort(struct weir_fill *f)
{
	struct weir_store *s = f->store;

	/* Without the lock it stays until our end: nobody else may take it away from us. */
	if (!s || store_lock(s) < 0)
		return;
	if (is_ours(f))
		object_kill(s, filled(f));
	store_unlock(s);
	f->store = NULL;
}
