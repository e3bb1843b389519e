/* SPDX-License-Identifier: GPL-2.0 */
/* The memory level of the cache: one region of memory for each pool, mapped by its workers, made
 * and kept by the supervisor. Its size is the budget, all bookkeeping included: it cannot grow. Any
 * process may be killed at any instruction: look-ups take no lock; what changes the structure is
 * done under one robust lock, and whoever finds that its last owner died puts everything in order
 * from the objects alone (store_repair.c).
 *
 * The lock needs a thread that libc knows: a worker's main thread, made by a bare clone(2), may
 * only call weir_store_open() and weir_store_enter(). */
#ifndef WEIR_CACHE_STORE_H
#define WEIR_CACHE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/cache.h"

#include "cache/policy.h"
#include "common/str.h"

#define WEIR_STORE_KEY_BYTES 8448  /* "host/target" */
#define WEIR_STORE_HEAD_BYTES 5120 /* of a stored head: a response must have room for Age and the rest beside it */
#define WEIR_STORE_TAGS_BYTES 1024
#define WEIR_STORE_EXTENTS 16	 /* pieces of memory that an object may lie in; the first holds all but the body */
#define WEIR_STORE_KERNEL_KEYS 4 /* keys under which the kernel may have an object at a time */
#define WEIR_STORE_BYTES_MIN (1u << 20)

struct weir_store;

/* Where an object is in the kernel: how the store takes it out. Both may be called under the
 * store's lock. */
struct weir_store_kernel {
	void (*drop)(void *arg, const struct weir_cache_key *key);
	/* Hits that the kernel has counted for it; 0 when it is not there. NULL: unknown. */
	uint64_t (*hits)(void *arg, const struct weir_cache_key *key);
	void *arg;
};

/* Makes the region: a memfd of `bytes`, ready to use. `readers`: processes that may use it at a
 * time. */
int weir_store_create(uint64_t bytes, unsigned readers, int *ret_fd);
/* Maps a region. `fd` is borrowed. `kernel` is copied; NULL: no kernel level. -EBADMSG: it is none,
 * or of another version. */
int weir_store_open(int fd, const struct weir_store_kernel *kernel, struct weir_store **ret);
/* The kernel level of a store that was opened without; copied. */
void weir_store_set_kernel(struct weir_store *s, const struct weir_store_kernel *kernel);
/* Unmaps it. Takes NULL, returns NULL. */
struct weir_store *weir_store_free(struct weir_store *s);

/* Makes the calling process a reader, under a number that nobody else uses. -EBUSY: there are too
 * many. */
int weir_store_enter(struct weir_store *s, uint64_t reader);
/* That reader is gone: what it held is free, what it was fetching is forgotten. By itself, or by
 * whoever saw it die. */
void weir_store_bury(struct weir_store *s, uint64_t reader);

/* The same for every reader with this number in its upper 32 bits. */
void weir_store_bury_slot(struct weir_store *s, uint32_t slot);

/* --- keys --- */

struct weir_store_key {
	uint64_t hash[2];
	uint16_t bytes;
	char text[WEIR_STORE_KEY_BYTES];
};
/* Fills in the hash of key->text and `port`. */
void weir_store_key_hash(const struct weir_store *s, uint16_t port, struct weir_store_key *key);

/* --- look-up: any thread, no lock --- */

/* An object that stays where it is until weir_hold_put(). Copy at will, put once. */
struct weir_hold {
	struct weir_store *store; /* NULL: nothing is held */
	uint32_t index;
	uint64_t generation;
};

/* Slices into the store's memory. */
struct weir_object_view {
	struct weir_str key;  /* "host/target" */
	struct weir_str vary; /* names, "a,b" */
	struct weir_str tags; /* separated by spaces */
	struct weir_str head; /* status line and fields, without Date, Age, Connection and the empty line */
	uint64_t body_bytes;
	struct weir_policy_stored stored;
	int64_t created_s; /* CLOCK_REALTIME */
	uint64_t stored_ms; /* CLOCK_MONOTONIC: since when it can be found */
	uint64_t hits;
	uint64_t generation;
	uint16_t port;
};

/* The newest stored response to a request with these fields. -ENOENT. `ret_variant`, may be NULL:
 * the digest that weir_store_begin() takes, whether something was found or not. */
int weir_store_find(struct weir_store *s, const struct weir_store_key *key, struct weir_str fields,
		    struct weir_hold *ret, uint64_t ret_variant[2]);
void weir_hold_put(struct weir_hold *h);
void weir_hold_view(const struct weir_hold *h, struct weir_object_view *ret);
/* Pieces of the body from `off` on. Returns how many, up to WEIR_STORE_EXTENTS. */
unsigned weir_hold_body(const struct weir_hold *h, uint64_t off, uint64_t bytes,
			struct weir_str ret[WEIR_STORE_EXTENTS]);
/* It answered a request. */
void weir_hold_used(const struct weir_hold *h);
/* Whether nothing has removed it. */
bool weir_hold_is_live(const struct weir_hold *h);
/* Whether the caller is the one that refreshes it, until `now_ms + for_ms`. */
bool weir_hold_claim_refresh(const struct weir_hold *h, uint64_t now_ms, uint64_t for_ms);
/* Whether it was put into the kernel under this key within `repeat_ms`. No lock: an answer that is wrong costs one try. */
bool weir_hold_is_published(const struct weir_hold *h, const struct weir_cache_key *key, unsigned repeat_ms);
/* Lets publish() put it into the kernel under a key while nobody can remove it: what is put is
 * dropped with it. -ESTALE: it was removed. -EALREADY: it was put there within `repeat_ms`. Else
 * what publish() said. */
int weir_hold_publish(const struct weir_hold *h, const struct weir_cache_key *key, unsigned repeat_ms,
		      int (*publish)(void *arg), void *arg);

/* --- fill: one thread at a time --- */

struct weir_fill {
	struct weir_store *store; /* NULL: none */
	uint32_t index;
	uint64_t generation;
	uint64_t body_bytes; /* so far */
	uint64_t max_bytes;
	uint64_t variant[2]; /* of the response */
};

/* Begins to fetch: before the request goes to the origin, so that a purge that comes now is not
 * overtaken by its response. -EBUSY: somebody is fetching it already. -ENOSPC. -ETIMEDOUT: the lock
 * was not to be had. */
int weir_store_begin(struct weir_store *s, const struct weir_store_key *key, uint16_t port, const uint64_t variant[2],
		     uint64_t max_bytes, struct weir_fill *ret);
/* The response's head, as weir_object_view.head, and its policy; `request` gives the values of
 * Vary. `length`: of the body, or UINT64_MAX. -EFBIG: larger than max_bytes. -ENOSPC. -ESTALE:
 * purged. The fill is to be aborted then. */
int weir_fill_head(struct weir_fill *f, const struct weir_policy_store *policy, struct weir_str request,
		   struct weir_str head, struct weir_str tags, uint64_t length, int64_t now_s);
/* More of the body. Errors as above. */
int weir_fill_body(struct weir_fill *f, const void *bytes, size_t count);
/* The response is complete: it can be found, in the place of older ones. -ESTALE: purged meanwhile.
 * Ends the fill either way. `ret`, may be NULL: holds it. */
int weir_fill_commit(struct weir_fill *f, struct weir_hold *ret);
/* Takes a fill that was not begun, or has ended, too. */
void weir_fill_abort(struct weir_fill *f);
/* Whether the fetch of (key, variant) goes on somewhere. */
bool weir_store_is_filling(struct weir_store *s, const struct weir_store_key *key, const uint64_t variant[2]);

/* --- what is no object --- */

/* Counts a request for admission. True: it is at least the `wanted`-th within `window_ms`. */
bool weir_store_admits(struct weir_store *s, const struct weir_store_key *key, unsigned wanted, uint64_t window_ms,
		       uint64_t now_ms);
/* Remembers why the last response for a key was not stored: WEIR_RULE_BIT()s. Until `until_ms` nobody need wait for
 * another's fetch of it. */
void weir_store_pass(struct weir_store *s, const struct weir_store_key *key, uint64_t until_ms, uint64_t rules);
/* Those rules; 0: none are known. */
uint64_t weir_store_refusal(struct weir_store *s, const struct weir_store_key *key);
bool weir_store_is_passed(struct weir_store *s, const struct weir_store_key *key, uint64_t now_ms);

/* --- removal: when they return nothing that was there is found, and no fetch that had begun is
 * stored --- */

enum weir_purge {
	WEIR_PURGE_ALL,
	WEIR_PURGE_KEY,	   /* text is a whole key, or one without its host: "/target" */
	WEIR_PURGE_PREFIX, /* text begins keys, with or without their hosts */
	WEIR_PURGE_TAG,
};
/* Returns how many objects went; -ETIMEDOUT: the lock was not to be had, and nothing did. */
int weir_store_purge(struct weir_store *s, enum weir_purge what, struct weir_str text);
/* One key, by a request that changed it. */
int weir_store_invalidate(struct weir_store *s, struct weir_str text);
/* This object, unless it is gone. */
void weir_hold_remove(const struct weir_hold *h);

/* --- for people --- */

struct weir_store_stats {
	uint64_t bytes_budget; /* of the region */
	uint64_t bytes_used;   /* bookkeeping and what objects have */
	uint64_t objects;
	uint64_t objects_max;
	uint64_t fills; /* being fetched */
#define WEIR_ROW(name, help) uint64_t name;
#include "cache/store_counters.def"
#undef WEIR_ROW
};
void weir_store_stats(struct weir_store *s, struct weir_store_stats *ret);
/* Calls found() for each object, which stays during the call. */
void weir_store_each(struct weir_store *s, void (*found)(const struct weir_hold *h, void *arg), void *arg);
/* Keys under which the kernel may have it. Returns how many. */
unsigned weir_hold_kernel_keys(const struct weir_hold *h, struct weir_cache_key ret[WEIR_STORE_KERNEL_KEYS]);

enum weir_store_counter {
#define WEIR_ROW(name, help) WEIR_STORE_COUNT_##name,
#include "cache/store_counters.def"
#undef WEIR_ROW
	WEIR_STORE_COUNT__MAX,
};
void weir_store_count(struct weir_store *s, enum weir_store_counter c, uint64_t n);

#endif
