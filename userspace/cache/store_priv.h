/* SPDX-License-Identifier: GPL-2.0 */
/* Inside of store*.c: what lies in the shared region. Numbers of objects and blocks are kept plus
 * one where 0 means none, and checked against their limits wherever they are read: another process
 * may have written anything. */
#ifndef WEIR_CACHE_STORE_PRIV_H
#define WEIR_CACHE_STORE_PRIV_H

#include <pthread.h>

#include "cache/store.h"

#define STORE_MAGIC 0x31726f7473726965ull
#define STORE_VERSION 1
#define BLOCK_BYTES 512
#define ORDER_MAX 26	  /* largest piece: 32 GB */
#define OBJECT_SHARE 4096 /* one object's bookkeeping for so many bytes of the region */
#define READERS_MAX 256
#define NOTES 4096	/* admission and pass marks */
#define CHAIN_MAX 128	/* objects that are looked at in one bucket */
#define VARIANTS_MAX 32 /* of one key */
#define LOCK_MS 2000

enum object_state {
	OBJECT_FREE,
	OBJECT_FILLING,
	OBJECT_LIVE,
	OBJECT_DEAD, /* cannot be found; somebody holds it */
};

enum queue_id {
	QUEUE_NONE,
	QUEUE_SMALL, /* S3-FIFO: where objects begin */
	QUEUE_MAIN,
	QUEUE_DEAD,
	QUEUE__MAX,
};

struct object {
	/* any process, atomic */
	uint32_t state;	     /* enum object_state; what repair believes in */
	uint32_t next;	     /* in its bucket */
	uint64_t generation; /* never the same twice */
	uint64_t hash[2];
	uint64_t variant[2]; /* digest of what Vary names, of the request */
	uint64_t hits;
	uint64_t refresh_ms; /* until then somebody refreshes it */
	uint8_t heat;	     /* uses since the hand was here, up to 3 */
	/* under lock */
	uint8_t queue;			      /* enum queue_id */
	uint8_t is_doomed;		      /* FILLING: purged, and out of its bucket */
	uint8_t has_head;		      /* FILLING */
	uint32_t owner;			      /* FILLING: number of the reader's row */
	uint32_t left, right;		      /* neighbours in its queue */
	uint64_t extents[WEIR_STORE_EXTENTS]; /* EXTENT(); 0: none. Filled from the front */
	/* fixed before it is LIVE */
	struct weir_policy_stored stored;
	int64_t created_s;
	uint64_t stored_ms;
	uint64_t body_bytes;
	uint32_t head_bytes;
	uint16_t key_bytes;
	uint16_t vary_bytes;
	uint16_t tags_bytes;
	uint16_t port;
	/* under lock */
	uint16_t kernel_count;
	uint16_t kernel_next;
	struct weir_cache_key kernel_keys[WEIR_STORE_KERNEL_KEYS];
	uint64_t kernel_ms[WEIR_STORE_KERNEL_KEYS];
	uint64_t kernel_hits; /* when the hand was here */
};

/* First block << 8 | order, and a mark: 0 is none. */
#define EXTENT(block, order) ((uint64_t)(block) << 8 | 0x80 | (uint64_t)(order))
#define EXTENT_BLOCK(e) ((uint32_t)((e) >> 8))
#define EXTENT_ORDER(e) ((unsigned)((e)&0x7f))
#define EXTENT_BYTES(e) ((uint64_t)BLOCK_BYTES << EXTENT_ORDER(e))

/* A free piece, in its own first block. */
struct free_piece {
	uint32_t next, prev; /* block + 1 */
};

struct queue {
	uint32_t first, last; /* object + 1; new ones come first */
	uint64_t blocks;
	uint64_t count;
};

/* Requests for a key, or that it is not to be waited for. One word each, atomic: a lost update is a
 * lost count. */
struct note {
	uint64_t tag; /* of the key */
	uint64_t from_ms;
	uint64_t pass_ms; /* until then */
	uint64_t rules;   /* that kept the last response out */
	uint32_t count;
	uint32_t pad;
};

struct region {
	/* fixed after init */
	uint64_t magic;
	uint64_t version;
	uint64_t bytes;
	uint64_t secret[2];
	uint32_t objects_count, buckets_count, readers_count, blocks_count;
	uint64_t buckets_off, objects_off, pins_off, ghosts_off, map_off, blocks_off;
	/* the lock and what it guards */
	pthread_mutex_t lock;
	uint32_t is_broken;		/* somebody died with the lock */
	uint32_t free_object;		/* first unused one, by .right */
	uint32_t pieces[ORDER_MAX + 1]; /* free ones by order */
	uint64_t blocks_free;
	uint64_t generation;
	struct queue queues[QUEUE__MAX];
	/* any process, atomic */
	uint64_t counters[WEIR_STORE_COUNT__MAX];
	uint64_t readers[READERS_MAX]; /* reader + 1; 0: nobody */
	struct note notes[NOTES];
};

struct weir_store {
	/* fixed after init; `row` after enter() */
	struct region *r;
	uint32_t *buckets; /* object + 1 */
	struct object *objects;
	uint32_t *pins;	  /* readers_count rows of objects_count: holds, by reader. Atomic */
	uint32_t *ghosts; /* fingerprints of objects that were pushed out of SMALL. Under lock */
	uint8_t *map;	  /* by block: MAP_*. Under lock */
	char *blocks;
	/* copies of what is fixed, so that nobody can change them under us */
	uint32_t objects_count, buckets_count, readers_count, blocks_count;
	uint64_t bytes;
	uint64_t secret[2];
	uint32_t row;
	struct weir_store_kernel kernel;
};

#define ROW_NONE UINT32_MAX

/* store.c */
/* 0: locked, and in order. -ETIMEDOUT. */
int store_lock(struct weir_store *s);
void store_unlock(struct weir_store *s);
void store_digest(const uint64_t secret[2], uint64_t salt, const char *bytes, size_t count, uint64_t ret[2]);
struct object *store_object(const struct weir_store *s, uint32_t number);

/* store_blocks.c: under lock */
void blocks_clear(struct weir_store *s);		 /* nothing is free */
bool blocks_take(struct weir_store *s, uint64_t extent); /* marks a piece that repair found; false: it overlaps */
void blocks_sweep(struct weir_store *s);		 /* everything that is not taken is free */
/* A piece of exactly this order. False: none can be had without eviction. */
bool blocks_alloc(struct weir_store *s, unsigned order, uint64_t *ret);
void blocks_free(struct weir_store *s, uint64_t extent);
/* Gives the rest of a piece back, but for the first blocks of this order. */
void blocks_shrink(struct weir_store *s, uint64_t extent, unsigned order);
bool blocks_is_valid(const struct weir_store *s, uint64_t extent);

/* store_queue.c: under lock */
void queue_push(struct weir_store *s, struct object *o, enum queue_id q);
void queue_remove(struct weir_store *s, struct object *o);
/* Where a new object begins. */
enum queue_id queue_choose(struct weir_store *s, const struct object *o);
/* Pushes one object out. False: all are in use. */
bool queue_evict(struct weir_store *s);
uint64_t object_blocks(const struct object *o);

/* store_fill.c: under lock */
/* Whether what it says of its memory can be: before anything of it is read that another process has
 * written. */
bool object_is_sound(const struct weir_store *s, const struct object *o);
bool object_is_held(const struct weir_store *s, const struct object *o);
/* Removes it from its bucket and from the kernel; frees it, or leaves it to its holders. */
void object_kill(struct weir_store *s, struct object *o);
void object_link(struct weir_store *s, struct object *o);
void object_unlink(struct weir_store *s, struct object *o);
void object_free(struct weir_store *s, struct object *o);
/* Frees what is dead and no longer held. */
void objects_bury(struct weir_store *s);
char *object_meta(const struct weir_store *s, const struct object *o);

/* store_repair.c: under lock */
void store_repair(struct weir_store *s);

#endif
