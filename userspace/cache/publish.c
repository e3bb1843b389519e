/* SPDX-License-Identifier: GPL-2.0 */
/* Publishing and withdrawing. The item's lock is held across bpf(2): a withdrawal that comes between the decision
 * to publish and the update would otherwise be overtaken by it, and the old bytes would stay for ever. */
#include "cache/cache.h"

#include <errno.h>
#include <stdlib.h>

#include "weir/key.h"

#include "common/bpf_map.h"
#include "common/clock.h"

void weir_cache_item_init(struct weir_cache_item *item)
{
	*item = (struct weir_cache_item){ 0 };
	pthread_mutex_init(&item->lock, NULL);
}

void weir_cache_item_fini(struct weir_cache_item *item)
{
	pthread_mutex_destroy(&item->lock);
	free(item->slots);
	item->slots = NULL;
}

static bool delete_key(struct weir_cache *c, const struct weir_cache_key *key, int except)
{
	bool was_there = false;
	int class;

	for (class = 0; class < WEIR_CLASS__MAX; class++)
		if (class != except && weir_bpf_map_delete(c->fds[class], key) == 0)
			was_there = true;
	return was_there;
}

bool weir_cache_drop(struct weir_cache *c, const struct weir_cache_key *key)
{
	if (!weir_cache_is_on(c) || !delete_key(c, key, -1))
		return false;
	weir_metrics_add(c->metrics, withdrawn, 1);
	return true;
}

int weir_cache_name(const struct weir_cache *c, const struct weir_request *r, uint16_t endpoint,
		    struct weir_cache_name *ret)
{
	uint8_t encodings;

	if (r->host.n + r->target.n > WEIR_URL_MAX)
		return -E2BIG;
	if (!weir_cache_is_plain(r, &encodings))
		return -EINVAL;
	if (encodings & c->encodings * WEIR_ENCODING_ANY)
		return -EINVAL;
	ret->encodings = encodings & c->encodings;
	ret->host = r->host;
	ret->target = r->target;
	weir_key_make((const __u64 *)c->secret, endpoint, ret->encodings, r->host.p, (__u16)r->host.n, r->target.p,
		      (__u16)r->target.n, &ret->key);
	return 0;
}

/* Never the same twice, never 0, and greater than any that an earlier worker of this boot gave out. */
static uint64_t next_generation(struct weir_cache *c, uint64_t now_ns)
{
	uint64_t last = __atomic_load_n(&c->generation, __ATOMIC_RELAXED), next;

	do {
		next = now_ns > last ? now_ns : last + 1;
	} while (!__atomic_compare_exchange_n(&c->generation, &last, next, true, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	return next;
}

/* Whether what lies under a key has had its time. */
static bool has_expired(const struct weir_cache *c, int class, const struct weir_cache_key *key, uint64_t now_ns)
{
	struct weir_entry_l entry;

	return weir_bpf_map_lookup(c->fds[class], key, &entry) == 0 && entry.head.expires_ns <= now_ns;
}

int weir_cache_put(struct weir_cache *c, const struct weir_cache_name *name, const struct weir_cache_image *image,
		   bool is_replacing)
{
	const char *extra = c->has_status ? "Cache-Status: weir-kernel; hit\r\n" : NULL;
	uint64_t now_ns = weir_now_ns();
	struct weir_entry_l entry;
	int class, r;

	if (!weir_cache_is_on(c))
		return -EOPNOTSUPP;
	r = weir_cache_check(image, name->encodings);
	if (r < 0)
		return r;
	class = weir_cache_build(image, extra, &name->key, name->host, name->target, next_generation(c, now_ns), now_ns,
				 &entry);
	if (class < 0)
		return class;
	if (is_replacing) {
		r = weir_bpf_map_update(c->fds[class], &name->key, &entry);
	} else {
		(void)delete_key(c, &name->key, class);
		r = weir_bpf_map_insert(c->fds[class], &name->key, &entry);
	}
	if (r == -EEXIST) {
		if (!has_expired(c, class, &name->key, now_ns))
			return 0;
		r = weir_bpf_map_update(c->fds[class], &name->key, &entry);
	}
	if (r < 0)
		return r;
	/* Classes are looked up from the smallest: an old one goes once the new one is there. */
	if (is_replacing)
		(void)delete_key(c, &name->key, class);
	weir_metrics_add(c->metrics, published, 1);
	return 0;
}

/* The slot of a key, or NULL. Under lock. */
static struct weir_cache_slot *find_slot(struct weir_cache_item *item, const struct weir_cache_key *key)
{
	unsigned i;

	for (i = 0; i < item->used; i++)
		if (item->slots[i].key.digest[0] == key->digest[0] && item->slots[i].key.digest[1] == key->digest[1])
			return &item->slots[i];
	return NULL;
}

/* A slot for a new key; when all are taken the oldest key goes. Under lock. NULL: no memory. */
static struct weir_cache_slot *take_slot(struct weir_cache *c, struct weir_cache_item *item)
{
	struct weir_cache_slot *slot;

	if (!item->slots)
		item->slots = calloc(WEIR_CACHE_KEYS_MAX, sizeof(*item->slots));
	if (!item->slots)
		return NULL;
	if (item->used < WEIR_CACHE_KEYS_MAX)
		return &item->slots[item->used++];
	slot = &item->slots[item->next];
	item->next = (uint16_t)((item->next + 1) % WEIR_CACHE_KEYS_MAX);
	(void)weir_cache_drop(c, &slot->key);
	return slot;
}

/* Under lock. What is there is this item: a change withdraws its keys first. So it stays: a new generation of the same bytes
 * would only reset clients that wait for a lost answer. */
static int publish(struct weir_cache *c, struct weir_cache_item *item, const struct weir_cache_name *name,
		   const struct weir_cache_image *image)
{
	unsigned repeat_ms = image->flags & WEIR_ENTRY_HEAD_ONLY ? WEIR_CACHE_REPEAT_HEAD_MS : WEIR_CACHE_REPEAT_MS;
	struct weir_cache_slot *slot;
	uint64_t now_ms = weir_now_ms();

	if (item->is_withdrawn)
		return -ESTALE;
	slot = find_slot(item, &name->key);
	if (slot && now_ms - slot->published_ms < repeat_ms)
		return 0;
	if (!slot)
		slot = take_slot(c, item);
	if (!slot)
		return -ENOMEM;
	slot->key = name->key;
	slot->published_ms = now_ms;
	return weir_cache_put(c, name, image, false);
}

int weir_cache_publish(struct weir_cache *c, struct weir_cache_item *item, const struct weir_request *r,
		       uint16_t endpoint, const struct weir_cache_image *image)
{
	struct weir_cache_name name;
	int error;

	if (!weir_cache_is_on(c))
		return -EOPNOTSUPP;
	if (image->head.bytes + (image->flags & WEIR_ENTRY_HEAD_ONLY ? 0 : image->body_bytes) > WEIR_BYTES_L)
		return -E2BIG;
	error = weir_cache_name(c, r, endpoint, &name);
	if (error < 0)
		return error;
	pthread_mutex_lock(&item->lock);
	error = publish(c, item, &name, image);
	pthread_mutex_unlock(&item->lock);
	return error;
}

void weir_cache_withdraw(struct weir_cache *c, struct weir_cache_item *item)
{
	unsigned i, withdrawn = 0;

	pthread_mutex_lock(&item->lock);
	item->is_withdrawn = true;
	for (i = 0; i < item->used; i++)
		withdrawn += delete_key(c, &item->slots[i].key, -1);
	item->used = 0;
	pthread_mutex_unlock(&item->lock);
	if (withdrawn > 0)
		weir_metrics_add(c->metrics, withdrawn, withdrawn);
}
