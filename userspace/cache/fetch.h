/* SPDX-License-Identifier: GPL-2.0 */
/* The response cache of a pool as one worker sees it, and a fetch: what is between a request that goes to the origin and the
 * object that its response becomes. The relay's tap feeds it; one thread at a time has it. */
#ifndef WEIR_CACHE_FETCH_H
#define WEIR_CACHE_FETCH_H

#include "cache/cache.h"
#include "cache/store.h"
#include "config/config.h"

#define WEIR_FETCH_PASS_MS 10000 /* for so long nobody waits for a response that cannot be stored */
#define WEIR_FETCH_FAILED_MS 1000 /* after a failure nobody waits, and stale-if-error asks no more */

/* Fixed after init. */
struct weir_pool_cache {
	const struct weir_conf_pool *pool;
	struct weir_policy_conf policy;
	struct weir_store *store;  /* NULL: the pool has no cache */
	struct weir_cache *kernel;
	char *params;		   /* cache_key_params and cache_bypass_cookies, separated by spaces */
	char *cookies;
};
/* `fd`: of the region, borrowed; -1: none. `kernel` is borrowed; NULL: no kernel level. */
int weir_pool_cache_init(struct weir_pool_cache *pc, const struct weir_conf_pool *pool, int fd,
			 struct weir_cache *kernel);
void weir_pool_cache_fini(struct weir_pool_cache *pc);

/* Text and hash of a request's key. -E2BIG: too long for the cache. */
int weir_pool_cache_key(const struct weir_pool_cache *pc, struct weir_str host, struct weir_str target, uint16_t port,
			struct weir_store_key *ret);

/* What is remembered of the request. Borrowed for the call of weir_fetch_new(). */
struct weir_fetch_request {
	struct weir_str method;
	struct weir_str fields;
	struct weir_str host;
	bool has_query;
	uint16_t port;
	const struct weir_store_key *key;
	const uint64_t *variant;      /* as weir_store_find() gave it */
	const struct weir_hold *stale; /* NULL, or what the origin is asked about; taken over on success */
};

enum weir_fetch_end {
	WEIR_FETCH_GOES_ON,
	WEIR_FETCH_STORED,
	WEIR_FETCH_CONFIRMED, /* 304: what was stale is fresh */
	WEIR_FETCH_PASSED,    /* its response cannot be stored */
	WEIR_FETCH_FAILED,    /* no response, half of one, or a status that lets stale-if-error apply */
};

struct weir_fetch;

/* For GET: begins to fill. -EBUSY: another fetch of the same goes on. -ENOSPC, -ENOMEM, -ETIMEDOUT: without the cache. */
int weir_fetch_new(struct weir_pool_cache *pc, const struct weir_fetch_request *r, struct weir_fetch **ret);
/* For other methods: only watches what the response changes. -ENOMEM. */
int weir_fetch_watch(struct weir_pool_cache *pc, const struct weir_fetch_request *r, struct weir_fetch **ret);

/* The final response's head. `fields`: as the origin sent them. `shown`: as a client gets it, with its empty line.
 * `length`: of the body, or UINT64_MAX. Returns the rules that keep it out; 0: it is being stored. */
uint64_t weir_fetch_head(struct weir_fetch *f, unsigned status, struct weir_str fields, struct weir_str shown,
			 uint64_t length);
/* False: it is not being stored, or no more. */
bool weir_fetch_body(struct weir_fetch *f, struct weir_str data);
/* The last call. `is_complete`: the response came to its end. `has_failed`: the origin's fault that it did not. Frees it. */
enum weir_fetch_end weir_fetch_end(struct weir_fetch *f, bool is_complete, bool has_failed);

/* What those wait for who wait for it. */
const uint64_t *weir_fetch_hash(const struct weir_fetch *f);
bool weir_fetch_is_fill(const struct weir_fetch *f);

#endif
