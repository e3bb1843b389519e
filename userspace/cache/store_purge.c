// SPDX-License-Identifier: GPL-2.0
/* Removal, publication, and what people are told. Publication runs under the same lock as removal:
 * whatever was published before a removal is known to it, and nothing is published after. */
#include "cache/store_priv.h"

#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "common/macro.h"

static bool has_tag(struct weir_str tags, struct weir_str tag)
{
	struct weir_str item;

	while (weir_str_next(&tags, ' ', &item))
		if (weir_str_eq(item, tag))
			return true;
	return false;
}

/* Under lock. A fetch whose head has not come may have any tag. */
static bool is_meant(const struct weir_store *s, const struct object *o, enum weir_purge what, struct weir_str text)
{
	const char *meta = object_meta(s, o);
	struct weir_str key = { meta, o->key_bytes };
	const char *slash;

	/* without a host: of every one */
	if (text.n > 0 && text.p[0] == '/' && key.n > 0 && (slash = memchr(key.p, '/', key.n)))
		key = (struct weir_str){ slash, (size_t)(key.p + key.n - slash) };
	switch (what) {
	case WEIR_PURGE_ALL:
		return true;
	case WEIR_PURGE_KEY:
		return weir_str_eq(key, text);
	case WEIR_PURGE_PREFIX:
		return key.n >= text.n && !memcmp(key.p, text.p, text.n);
	case WEIR_PURGE_TAG:
		if (o->state == OBJECT_FILLING && !o->has_head)
			return true;
		return has_tag((struct weir_str){ meta + o->key_bytes + o->vary_bytes, o->tags_bytes }, text);
	}
	return false;
}

/* Those who come from now on do not wait for it. Under lock. */
static void doom(struct weir_store *s, struct object *o)
{
	o->is_doomed = 1;
	object_unlink(s, o);
}

static int purge(struct weir_store *s, enum weir_purge what, struct weir_str text, enum weir_store_counter counter)
{
	int removed = 0, r = store_lock(s);
	uint32_t i;

	if (r < 0)
		return r;
	for (i = 0; i < s->objects_count; i++) {
		struct object *o = &s->objects[i];

		if ((o->state != OBJECT_LIVE && o->state != OBJECT_FILLING) || !is_meant(s, o, what, text))
			continue;
		if (o->state == OBJECT_FILLING) {
			if (!o->is_doomed)
				doom(s, o);
			continue;
		}
		object_kill(s, o);
		removed++;
	}
	store_unlock(s);
	weir_store_count(s, counter, (uint64_t)removed);
	return removed;
}

int weir_store_purge(struct weir_store *s, enum weir_purge what, struct weir_str text)
{
	return purge(s, what, text, WEIR_STORE_COUNT_purged);
}

int weir_store_invalidate(struct weir_store *s, struct weir_str text)
{
	return purge(s, WEIR_PURGE_KEY, text, WEIR_STORE_COUNT_invalidated);
}

void weir_hold_remove(const struct weir_hold *h)
{
	struct weir_store *s = h->store;
	struct object *o = &s->objects[h->index];

	if (store_lock(s) < 0)
		return;
	if (o->generation == h->generation && o->state == OBJECT_LIVE)
		object_kill(s, o);
	store_unlock(s);
}

/* --- the kernel level --- */

static unsigned find_key(const struct object *o, const struct weir_cache_key *key)
{
	unsigned i;

	for (i = 0; i < MIN(o->kernel_count, (uint16_t)WEIR_STORE_KERNEL_KEYS); i++)
		if (!memcmp(&o->kernel_keys[i], key, sizeof(*key)))
			return i;
	return WEIR_STORE_KERNEL_KEYS;
}

/* The place of a key, noted before it is used: whoever removes the object must know it. Under lock.
 */
static unsigned note_key(struct weir_store *s, struct object *o, const struct weir_cache_key *key)
{
	unsigned i = find_key(o, key);

	if (i < WEIR_STORE_KERNEL_KEYS)
		return i;
	if (o->kernel_count < WEIR_STORE_KERNEL_KEYS) {
		i = o->kernel_count;
		o->kernel_keys[i] = *key;
		__atomic_store_n(&o->kernel_count, (uint16_t)(i + 1), __ATOMIC_SEQ_CST);
		return i;
	}
	i = o->kernel_next % WEIR_STORE_KERNEL_KEYS;
	o->kernel_next++;
	if (s->kernel.drop)
		s->kernel.drop(s->kernel.arg, &o->kernel_keys[i]);
	o->kernel_keys[i] = *key;
	return i;
}

bool weir_hold_is_published(const struct weir_hold *h, const struct weir_cache_key *key, unsigned repeat_ms)
{
	const struct object *o = &h->store->objects[h->index];
	unsigned i = find_key(o, key);

	return i < WEIR_STORE_KERNEL_KEYS && weir_now_ms() - o->kernel_ms[i] < repeat_ms;
}

int weir_hold_publish(const struct weir_hold *h, const struct weir_cache_key *key, unsigned repeat_ms,
		      int (*publish)(void *arg), void *arg)
{
	struct weir_store *s = h->store;
	struct object *o = &s->objects[h->index];
	uint64_t now_ms = weir_now_ms();
	unsigned i;
	int r;

	if (weir_hold_is_published(h, key, repeat_ms))
		return -EALREADY;
	r = store_lock(s);
	if (r < 0)
		return r;
	if (o->state != OBJECT_LIVE || o->generation != h->generation) {
		r = -ESTALE;
	} else {
		i = note_key(s, o, key);
		o->kernel_ms[i] = now_ms;
		r = publish(arg);
	}
	store_unlock(s);
	return r;
}

unsigned weir_hold_kernel_keys(const struct weir_hold *h, struct weir_cache_key ret[WEIR_STORE_KERNEL_KEYS])
{
	const struct object *o = &h->store->objects[h->index];
	unsigned n = MIN(o->kernel_count, (uint16_t)WEIR_STORE_KERNEL_KEYS);

	memcpy(ret, o->kernel_keys, n * sizeof(*ret));
	return n;
}

/* --- for people --- */

void weir_store_stats(struct weir_store *s, struct weir_store_stats *ret)
{
	const struct region *r = s->r;
	uint64_t free_bytes =
		MIN(__atomic_load_n(&r->blocks_free, __ATOMIC_RELAXED), (uint64_t)s->blocks_count) * BLOCK_BYTES;
	uint32_t i;

	*ret = (struct weir_store_stats){ .bytes_budget = s->bytes, .objects_max = s->objects_count };
	ret->bytes_used = s->bytes - free_bytes;
	for (i = 0; i < s->objects_count; i++) {
		uint32_t state = __atomic_load_n(&s->objects[i].state, __ATOMIC_RELAXED);

		ret->objects += state == OBJECT_LIVE;
		ret->fills += state == OBJECT_FILLING;
	}
#define WEIR_ROW(name, help) ret->name = __atomic_load_n(&r->counters[WEIR_STORE_COUNT_##name], __ATOMIC_RELAXED);
#include "cache/store_counters.def"
#undef WEIR_ROW
}

void weir_store_each(struct weir_store *s, void (*found)(const struct weir_hold *h, void *arg), void *arg)
{
	uint32_t i;

	if (s->row == ROW_NONE)
		return;
	for (i = 0; i < s->objects_count; i++) {
		struct object *o = &s->objects[i];
		struct weir_hold h = { s, i, __atomic_load_n(&o->generation, __ATOMIC_ACQUIRE) };

		if (__atomic_load_n(&o->state, __ATOMIC_RELAXED) != OBJECT_LIVE)
			continue;
		__atomic_fetch_add(&s->pins[(uint64_t)s->row * s->objects_count + i], 1, __ATOMIC_SEQ_CST);
		if (__atomic_load_n(&o->state, __ATOMIC_SEQ_CST) == OBJECT_LIVE &&
		    __atomic_load_n(&o->generation, __ATOMIC_SEQ_CST) == h.generation && object_is_sound(s, o))
			found(&h, arg);
		weir_hold_put(&h);
	}
}
