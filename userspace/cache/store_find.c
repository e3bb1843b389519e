// SPDX-License-Identifier: GPL-2.0
/* Look-up and holding, without a lock. A reader first counts its hold in its own row, then looks
 * whether the object still is what it saw; whoever removes one first says so in its state, then
 * looks at the rows. Sequential consistency makes one of them see the other. A bucket that changes
 * meanwhile can only make a look-up miss. */
#include "cache/store_priv.h"

#include <errno.h>
#include <string.h>

#include "common/buf.h"
#include "common/macro.h"

static uint32_t *pin_of(const struct weir_store *s, uint32_t row, uint32_t index)
{
	return &s->pins[(uint64_t)row * s->objects_count + index];
}

bool object_is_held(const struct weir_store *s, const struct object *o)
{
	uint32_t index = (uint32_t)(o - s->objects), row;

	for (row = 0; row < s->readers_count; row++)
		if (__atomic_load_n(pin_of(s, row, index), __ATOMIC_SEQ_CST))
			return true;
	return false;
}

char *object_meta(const struct weir_store *s, const struct object *o)
{
	return s->blocks + (uint64_t)EXTENT_BLOCK(o->extents[0]) * BLOCK_BYTES;
}

static bool is_key(const struct object *o, const struct weir_store_key *key)
{
	return __atomic_load_n(&o->hash[0], __ATOMIC_RELAXED) == key->hash[0] &&
	       __atomic_load_n(&o->hash[1], __ATOMIC_RELAXED) == key->hash[1];
}

/* What the request says about the fields that the object's Vary names. Under a hold, or the lock.
 */
static void digest_variant(const struct weir_store *s, const struct object *o, struct weir_str fields, uint64_t ret[2])
{
	char names[WEIR_POLICY_VARY_BYTES], text[8192];
	struct weir_buf b = { .p = text, .cap = sizeof(text) };
	size_t n = MIN((size_t)o->vary_bytes, sizeof(names) - 1);

	ret[0] = ret[1] = 0;
	if (n == 0)
		return;
	memcpy(names, object_meta(s, o) + o->key_bytes, n);
	names[n] = '\0';
	weir_policy_vary(names, fields, &b);
	/* What is longer than the buffer cannot be told apart by its end, so that it never matches
	 * anything. */
	store_digest(s->secret, b.is_full ? UINT64_MAX : 0, text, b.n, ret);
	if (b.is_full)
		ret[1] = ~ret[1] ^ (uint64_t)(uintptr_t)fields.p;
}

/* Holds it if it still is what it was. */
static bool hold(struct weir_store *s, struct object *o, const struct weir_store_key *key, struct weir_hold *ret)
{
	uint32_t index = (uint32_t)(o - s->objects);
	uint64_t generation = __atomic_load_n(&o->generation, __ATOMIC_ACQUIRE);
	uint32_t *pin = pin_of(s, s->row, index);

	__atomic_fetch_add(pin, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&o->state, __ATOMIC_SEQ_CST) == OBJECT_LIVE && is_key(o, key) &&
	    __atomic_load_n(&o->generation, __ATOMIC_SEQ_CST) == generation) {
		*ret = (struct weir_hold){ s, index, generation };
		return true;
	}
	__atomic_fetch_sub(pin, 1, __ATOMIC_SEQ_CST);
	return false;
}

int weir_store_find(struct weir_store *s, const struct weir_store_key *key, struct weir_str fields,
		    struct weir_hold *ret, uint64_t ret_variant[2])
{
	uint32_t at = __atomic_load_n(&s->buckets[key->hash[0] & (s->buckets_count - 1)], __ATOMIC_ACQUIRE), steps = 0;
	uint64_t variant[2] = {};
	struct weir_hold h;
	struct object *o;

	if (ret_variant)
		ret_variant[0] = ret_variant[1] = 0;
	*ret = (struct weir_hold){ .store = NULL };
	for (; s->row != ROW_NONE && (o = store_object(s, at)) && steps < CHAIN_MAX; steps++) {
		at = __atomic_load_n(&o->next, __ATOMIC_ACQUIRE);
		if (!is_key(o, key) || __atomic_load_n(&o->state, __ATOMIC_ACQUIRE) != OBJECT_LIVE ||
		    !hold(s, o, key, &h))
			continue;
		digest_variant(s, o, fields, variant);
		if (ret_variant && ret_variant[0] == 0 && ret_variant[1] == 0)
			memcpy(ret_variant, variant, sizeof(variant));
		if (variant[0] == o->variant[0] && variant[1] == o->variant[1]) {
			*ret = h;
			return 0;
		}
		weir_hold_put(&h);
	}
	return -ENOENT;
}

void weir_hold_put(struct weir_hold *h)
{
	if (h->store)
		__atomic_fetch_sub(pin_of(h->store, h->store->row, h->index), 1, __ATOMIC_SEQ_CST);
	h->store = NULL;
}

static struct object *held(const struct weir_hold *h)
{
	return &h->store->objects[h->index];
}

void weir_hold_view(const struct weir_hold *h, struct weir_object_view *ret)
{
	const struct object *o = held(h);
	const char *p = object_meta(h->store, o);

	ret->key = (struct weir_str){ p, o->key_bytes };
	p += o->key_bytes;
	ret->vary = (struct weir_str){ p, o->vary_bytes };
	p += o->vary_bytes;
	ret->tags = (struct weir_str){ p, o->tags_bytes };
	p += o->tags_bytes;
	ret->head = (struct weir_str){ p, o->head_bytes };
	ret->body_bytes = o->body_bytes;
	ret->stored = o->stored;
	ret->created_s = o->created_s;
	ret->stored_ms = o->stored_ms;
	ret->hits = __atomic_load_n(&o->hits, __ATOMIC_RELAXED);
	ret->generation = h->generation;
	ret->port = o->port;
}

unsigned weir_hold_body(const struct weir_hold *h, uint64_t off, uint64_t bytes,
			struct weir_str ret[WEIR_STORE_EXTENTS])
{
	const struct object *o = held(h);
	unsigned n = 0;
	size_t i;

	for (i = 1; i < WEIR_STORE_EXTENTS && o->extents[i] && bytes > 0; i++) {
		uint64_t room = EXTENT_BYTES(o->extents[i]), here;

		if (off >= room) {
			off -= room;
			continue;
		}
		here = MIN(room - off, bytes);
		ret[n++] =
			(struct weir_str){ h->store->blocks + (uint64_t)EXTENT_BLOCK(o->extents[i]) * BLOCK_BYTES + off,
					   here };
		bytes -= here;
		off = 0;
	}
	return n;
}

void weir_hold_used(const struct weir_hold *h)
{
	struct object *o = held(h);
	uint8_t heat = __atomic_load_n(&o->heat, __ATOMIC_RELAXED);

	/* what others count meanwhile may be lost */
	if (heat < 3)
		__atomic_store_n(&o->heat, (uint8_t)(heat + 1), __ATOMIC_RELAXED);
	__atomic_fetch_add(&o->hits, 1, __ATOMIC_RELAXED);
}

bool weir_hold_is_live(const struct weir_hold *h)
{
	return __atomic_load_n(&held(h)->state, __ATOMIC_SEQ_CST) == OBJECT_LIVE;
}

bool weir_hold_claim_refresh(const struct weir_hold *h, uint64_t now_ms, uint64_t for_ms)
{
	struct object *o = held(h);
	uint64_t until = __atomic_load_n(&o->refresh_ms, __ATOMIC_RELAXED);

	return now_ms >= until && __atomic_compare_exchange_n(&o->refresh_ms, &until, now_ms + for_ms, false,
							      __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

bool weir_store_is_filling(struct weir_store *s, const struct weir_store_key *key, const uint64_t variant[2])
{
	uint32_t at = __atomic_load_n(&s->buckets[key->hash[0] & (s->buckets_count - 1)], __ATOMIC_ACQUIRE), steps = 0;
	struct object *o;

	for (; (o = store_object(s, at)) && steps < CHAIN_MAX; steps++) {
		if (is_key(o, key) && __atomic_load_n(&o->state, __ATOMIC_ACQUIRE) == OBJECT_FILLING &&
		    __atomic_load_n(&o->variant[0], __ATOMIC_RELAXED) == variant[0] &&
		    __atomic_load_n(&o->variant[1], __ATOMIC_RELAXED) == variant[1])
			return true;
		at = __atomic_load_n(&o->next, __ATOMIC_ACQUIRE);
	}
	return false;
}

/* --- notes --- */

static struct note *note_of(struct weir_store *s, const struct weir_store_key *key)
{
	return &s->r->notes[key->hash[1] % NOTES];
}

/* Another key that falls on the same note starts it anew. */
static struct note *take_note(struct weir_store *s, const struct weir_store_key *key, uint64_t now_ms)
{
	struct note *n = note_of(s, key);

	if (__atomic_load_n(&n->tag, __ATOMIC_RELAXED) != key->hash[0]) {
		__atomic_store_n(&n->tag, key->hash[0], __ATOMIC_RELAXED);
		__atomic_store_n(&n->pass_ms, 0, __ATOMIC_RELAXED);
		__atomic_store_n(&n->rules, 0, __ATOMIC_RELAXED);
		__atomic_store_n(&n->count, 0, __ATOMIC_RELAXED);
		__atomic_store_n(&n->from_ms, now_ms, __ATOMIC_RELAXED);
	}
	return n;
}

bool weir_store_admits(struct weir_store *s, const struct weir_store_key *key, unsigned wanted, uint64_t window_ms,
		       uint64_t now_ms)
{
	struct note *n;

	if (wanted <= 1)
		return true;
	n = take_note(s, key, now_ms);
	if (now_ms - __atomic_load_n(&n->from_ms, __ATOMIC_RELAXED) >= window_ms) {
		__atomic_store_n(&n->from_ms, now_ms, __ATOMIC_RELAXED);
		__atomic_store_n(&n->count, 0, __ATOMIC_RELAXED);
	}
	return __atomic_add_fetch(&n->count, 1, __ATOMIC_RELAXED) >= wanted;
}

void weir_store_pass(struct weir_store *s, const struct weir_store_key *key, uint64_t until_ms, uint64_t rules)
{
	struct note *n = take_note(s, key, 0);

	__atomic_store_n(&n->pass_ms, until_ms, __ATOMIC_RELAXED);
	__atomic_store_n(&n->rules, rules, __ATOMIC_RELAXED);
}

uint64_t weir_store_refusal(struct weir_store *s, const struct weir_store_key *key)
{
	const struct note *n = note_of(s, key);

	return __atomic_load_n(&n->tag, __ATOMIC_RELAXED) == key->hash[0] ? __atomic_load_n(&n->rules, __ATOMIC_RELAXED) : 0;
}

bool weir_store_is_passed(struct weir_store *s, const struct weir_store_key *key, uint64_t now_ms)
{
	const struct note *n = note_of(s, key);

	return __atomic_load_n(&n->tag, __ATOMIC_RELAXED) == key->hash[0] &&
	       now_ms < __atomic_load_n(&n->pass_ms, __ATOMIC_RELAXED);
}
