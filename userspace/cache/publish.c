/* SPDX-License-Identifier: GPL-2.0 */
/* Publishing and withdrawing. The item's lock is held across bpf(2): a withdrawal that comes
 * between the decision to publish and the update would otherwise be overtaken by it, and the old
 * bytes would stay for ever. */
#include "cache/cache.h"

#include <errno.h>
#include <stdlib.h>

#include "weir/key.h"

#include "common/bpf_map.h"
#include "common/clock.h"

void weir_cache_item_init(struct weir_cache_item *item)
{
	*item = (struct weir_cache_item){0};
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

	for (class = 0; class < WEIR_CLASS__MAX; class ++)
		if (class != except && weir_bpf_map_delete(c->fds[class], key) == 0)
			was_there = true;
	return was_there;
}

/* Never the same twice, never 0, and greater than any that an earlier worker of this boot gave out.
 */
static uint64_t next_generation(struct weir_cache *c, uint64_t now_ns)
{
	uint64_t last = __atomic_load_n(&c->generation, __ATOMIC_RELAXED), next;

	do {
		next = now_ns > last ? now_ns : last + 1;
	} while (!__atomic_compare_exchange_n(&c->generation, &last, next, true, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	return next;
}

/* The slot of a key, or NULL. Under lock. */
static struct weir_cache_slot *find_slot(struct weir_cache_item *item,
					 const struct weir_cache_key *key)
{
	unsigned i;

	for (i = 0; i < item->used; i++)
		if (item->slots[i].key.digest[0] == key->digest[0] &&
		    item->slots[i].key.digest[1] == key->digest[1])
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
	if (delete_key(c, &slot->key, -1))
		weir_metrics_add(c->metrics, withdrawn, 1);
	return slot;
}

/* Under lock. */
static int publish(struct weir_cache *c, struct weir_cache_item *item,
		   const struct weir_cache_key *key, const struct weir_request *r,
		   const struct weir_cache_image *image)
{
	uint64_t now_ns = weir_now_ns(), now_ms = now_ns / 1000000;
	struct weir_cache_slot *slot;
	struct weir_entry_l entry;
	int class, error;

	if (item->is_withdrawn)
		return -ESTALE;
	slot = find_slot(item, key);
	if (slot && now_ms - slot->published_ms < WEIR_CACHE_REPEAT_MS)
		return 0;
	class = weir_cache_build(image, key, r->host, r->target, next_generation(c, now_ns), now_ns,
				 &entry);
	if (class < 0)
		return class;
	if (!slot)
		slot = take_slot(c, item);
	if (!slot)
		return -ENOMEM;
	slot->key = *key;
	slot->published_ms = now_ms;
	(void)delete_key(c, key, class);
	/* What is there is this item: a change withdraws its keys first. A new generation of the
	 * same bytes would only reset clients that wait for a lost answer. */
	error = weir_bpf_map_insert(c->fds[class], key, &entry);
	if (error == -EEXIST)
		return 0;
	if (error < 0)
		return error;
	weir_metrics_add(c->metrics, published, 1);
	return 0;
}

int weir_cache_publish(struct weir_cache *c, struct weir_cache_item *item,
		       const struct weir_request *r, uint16_t endpoint,
		       const struct weir_cache_image *image)
{
	struct weir_cache_key key;
	uint8_t encodings;
	int error;

	if (!weir_cache_is_on(c))
		return -EOPNOTSUPP;
	if ((size_t)image->head_bytes + image->body_bytes > WEIR_BYTES_L ||
	    r->host.n + r->target.n > WEIR_URL_MAX)
		return -E2BIG;
	if (!weir_cache_is_plain(r, &encodings))
		return -EINVAL;
	weir_key_make((const __u64 *)c->secret, endpoint, encodings, r->host.p, (__u16)r->host.n,
		      r->target.p, (__u16)r->target.n, &key);
	pthread_mutex_lock(&item->lock);
	error = publish(c, item, &key, r, image);
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
