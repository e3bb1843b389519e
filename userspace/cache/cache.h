/* SPDX-License-Identifier: GPL-2.0 */
/* Filling the kernel cache: which requests it can answer, how an entry is laid out, and publishing and withdrawing
 * under one lock an item, so that nothing is published after it was withdrawn. Used by handlers on any worker
 * thread. What may be stored at all is the handler's knowledge; DESIGN rules 6 to 8. */
#ifndef WEIR_CACHE_PUBLISH_H
#define WEIR_CACHE_PUBLISH_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "weir/cache.h"

#include "common/str.h"
#include "http/http.h"
#include "metrics/metrics.h"

#define WEIR_CACHE_KEYS_MAX 64	     /* keys (host, query, encodings) that one item may fill at a time */
#define WEIR_CACHE_REPEAT_MS 100     /* an item that was evicted is published again, but not more often */

/* The kernel cache as one worker sees it. Fixed after init, but for `generation`. */
struct weir_cache {
	int fds[WEIR_CLASS__MAX];	   /* borrowed; -1: no kernel cache */
	uint64_t secret[2];
	struct weir_metrics_slot *metrics; /* published, withdrawn */
	uint64_t generation;		   /* any thread, atomic: the last one that was given out */
};

static inline bool weir_cache_is_on(const struct weir_cache *c)
{
	return c->fds[WEIR_CLASS_S] >= 0;
}

/* A whole response as XDP shall send it, Date and Connection aside (see weir/cache.h). Borrowed. */
struct weir_cache_image {
	const char *head;
	uint16_t head_bytes;
	uint16_t date_off;
	uint16_t conn_off;
	const void *body;
	uint32_t body_bytes;
	uint64_t expires_ns; /* CLOCK_MONOTONIC: fresh until; 0: until withdrawn */
};

/* What one source (a file) has in the kernel cache. Embedded in the handler's object. */
struct weir_cache_item {
	pthread_mutex_t lock;
	/* under lock */
	bool is_withdrawn;
	uint16_t used;	/* of slots */
	uint16_t next;	/* slot that is reused first */
	struct weir_cache_slot *slots; /* WEIR_CACHE_KEYS_MAX, from the first publication on */
};

struct weir_cache_slot {
	struct weir_cache_key key;
	uint64_t published_ms;
};

void weir_cache_item_init(struct weir_cache_item *item);
/* Withdraw first. */
void weir_cache_item_fini(struct weir_cache_item *item);

/* Whether the kernel would ever look this request up (DESIGN rule 2): GET, HTTP/1.1 or 1.0, plain host and target, no
 * field that changes the answer, no body. Also gives the set of enum weir_encoding. */
bool weir_cache_is_plain(const struct weir_request *r, uint8_t *ret_encodings);

/* Puts the image into the kernel cache under the request's key, until withdrawn. 0: it is there (perhaps from
 * before). -EINVAL: the request is not plain. -E2BIG: too large, or its URL is too long. -ESTALE: the item is
 * withdrawn. Else what bpf(2) said. */
int weir_cache_publish(struct weir_cache *c, struct weir_cache_item *item, const struct weir_request *r,
		       uint16_t endpoint, const struct weir_cache_image *image);

/* Takes every key of the item out of the kernel cache, for good: the item cannot be published again. */
void weir_cache_withdraw(struct weir_cache *c, struct weir_cache_item *item);

/* Lays out an entry. `ret` has room for the class that is returned: WEIR_CLASS_*, or -E2BIG. */
int weir_cache_build(const struct weir_cache_image *image, const struct weir_cache_key *key, struct weir_str host,
		     struct weir_str target, uint64_t generation, uint64_t now_ns, struct weir_entry_l *ret);

/* One's complement sum of big-endian 16-bit words, folded, not inverted; an odd last byte is a high half. */
uint16_t weir_cache_sum(const void *data, size_t bytes);

#endif
