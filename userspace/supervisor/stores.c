// SPDX-License-Identifier: GPL-2.0
/* The memory in which pools keep responses: made here, used by the workers, looked into and purged from here. What lies in
 * it was written by workers: the store checks what it reads. */
#include "supervisor/supervisor_priv.h"

#include <errno.h>
#include <string.h>

#include "common/log.h"

#define READERS_OF_SLOT 4     /* one serves, one replaces it, one drains, one was killed and is not buried yet */
#define SUPERVISOR UINT32_MAX /* as the slot of a reader */

struct sup_store {
	struct weir_pool_cache pc;
	struct weir_dataplane *dp; /* NULL: no kernel level */
	uint16_t pool;
	int fd;
};

static void drop_from_kernel(void *arg, const struct weir_cache_key *key)
{
	const struct sup_store *st = arg;

	(void)weir_dataplane_cache_purge(st->dp, st->pool, key);
}

static int open_one(struct sup *s, struct sup_store *st, const struct weir_conf_pool *p)
{
	const struct weir_store_kernel kernel = { .drop = drop_from_kernel, .arg = st };
	int r = 0;

	st->dp = p->kernel_cache ? s->dp : NULL;
	st->pool = p->id;
	if (st->fd < 0)
		r = weir_store_create((uint64_t)p->cache.memory_kb << 10, p->slots * READERS_OF_SLOT + 2, &st->fd);
	if (r == 0)
		r = weir_pool_cache_init(&st->pc, p, st->fd, NULL);
	if (r == 0 && st->dp)
		weir_store_set_kernel(st->pc.store, &kernel);
	if (r < 0)
		return r;
	/* that of an earlier supervisor */
	weir_store_bury_slot(st->pc.store, SUPERVISOR);
	return weir_store_enter(st->pc.store, (uint64_t)SUPERVISOR << 32);
}

int sup_stores_new(struct sup *s)
{
	size_t i;

	s->stores = calloc(s->config->pools_count, sizeof(*s->stores));
	if (!s->stores)
		return -ENOMEM;
	for (i = 0; i < s->config->pools_count; i++)
		s->stores[i].fd = -1;
	return 0;
}

int *sup_store_fd(struct sup *s, uint16_t pool)
{
	return &s->stores[pool - 1].fd;
}

void sup_stores_open(struct sup *s)
{
	size_t i;
	int r;

	for (i = 0; i < s->config->pools_count; i++) {
		const struct weir_conf_pool *p = &s->config->pools[i];

		if (!weir_conf_pool_has_cache(p))
			continue;
		r = open_one(s, &s->stores[i], p);
		if (r == 0)
			continue;
		weir_pool_cache_fini(&s->stores[i].pc);
		weir_closep(&s->stores[i].fd);
		s->stores[i].fd = -1;
		weir_warn("pool '%s' has no memory for responses (%s), its requests all go to the origin", p->name,
			  strerror(-r));
	}
}

void sup_stores_free(struct sup *s)
{
	size_t i;

	for (i = 0; s->stores && i < s->config->pools_count; i++) {
		weir_pool_cache_fini(&s->stores[i].pc);
		weir_closep(&s->stores[i].fd);
	}
	free(s->stores);
	s->stores = NULL;
}

struct weir_pool_cache *sup_store_of(struct sup *s, const struct weir_conf_pool *p)
{
	struct weir_pool_cache *pc = &s->stores[p->id - 1].pc;

	return pc->store ? pc : NULL;
}
