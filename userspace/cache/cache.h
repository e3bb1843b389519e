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
#define WEIR_CACHE_REPEAT_HEAD_MS 1000 /* the same for one whose GETs reach the worker anyway */
#define WEIR_CACHE_REFRESH_MS 5000     /* how long the one request that refreshes a stale entry may take */

/* The kernel cache as one worker sees it. Fixed after init, but for `generation`. */
struct weir_cache {
	int fds[WEIR_CLASS__MAX];	   /* borrowed; -1: no kernel cache */
	uint64_t secret[2];
	uint8_t encodings;		   /* weir_pool.encodings */
	bool has_status;		   /* adds Cache-Status (RFC 9211) to what is published */
	struct weir_metrics_slot *metrics; /* published, withdrawn */
	uint64_t generation;		   /* any thread, atomic: the last one that was given out */
};

static inline bool weir_cache_is_on(const struct weir_cache *c)
{
	return c->fds[WEIR_CLASS_S] >= 0;
}

/* A response head with the empty line at its end, and where it has values that XDP writes for each answer. 0: there is no
 * such value. */
struct weir_cache_head {
	const char *p;
	uint16_t bytes;
	/* WEIR_DATE_BYTES zero bytes. 0: Date is not the time of the answer, but what is written there (RFC 9110 6.6.1: a
	 * cache keeps the Date of a stored response) */
	uint16_t date_off;
	uint16_t conn_off; /* "keep-alive", or XDP would lie: never 0 */
	/* WEIR_AGE_BYTES zero bytes: XDP writes the age in seconds with leading zeros (RFC 9111 1.2.2) */
	uint16_t age_off;
};

/* A whole response as XDP shall send it, and the rules for it. Borrowed. Members that are 0 or NULL have the meaning that is
 * said there, so that a designated initialiser need only name what there is. Times are CLOCK_MONOTONIC, ns. */
struct weir_cache_image {
	struct weir_cache_head head;
	const void *body;
	uint64_t body_bytes;
	uint16_t status; /* 0: 200 */
	/* enum weir_entry_flag. HEAD_ONLY: `body` is not looked at and GETs go to the worker, but HEAD and conditional requests
	 * for an object of any size are answered */
	uint8_t flags;

	/* What a matching If-None-Match or If-Modified-Since gets, with the fields of RFC 9110 15.4.5. `bytes` 0: conditional
	 * requests go to the worker. Only for status 200; for 300 and more conditions are ignored (RFC 9110 13.2.1). More
	 * than WEIR_COND_BYTES, or an ETag of more than WEIR_ETAG_BYTES: as if it were not given. */
	struct weir_cache_head not_modified;
	struct weir_str etag;	  /* value of ETag, "W/" included */
	struct weir_str modified; /* value of Last-Modified, IMF-fixdate; If-Modified-Since must be the same text */

	uint64_t expires_ns; /* fresh until; 0: until withdrawn */
	/* stale-while-revalidate until, RFC 5861 3; 0: never stale. From expires_ns on one request is passed up, the others get
	 * the stale answer; if nothing was published after refresh_ms, one more, and so on; after stale_ns all of them */
	uint64_t stale_ns;
	uint32_t refresh_ms; /* 0: WEIR_CACHE_REFRESH_MS */
	/* when Age was 0: time of the response less its age then; modulo 2^64, as it may lie before boot. Only with an age_off */
	uint64_t born_ns;
};

/* Under which key a response lies in the kernel, and its URL. Borrowed from the request. */
struct weir_cache_name {
	struct weir_cache_key key;
	uint8_t encodings; /* those of the request, as far as they are part of the key */
	struct weir_str host;
	struct weir_str target;
};

/* --- for a store that keeps its own account of what is published --- */

/* The name of the response to a request. -EINVAL: the kernel would never look it up. -E2BIG: the URL is too long. */
int weir_cache_name(const struct weir_cache *c, const struct weir_request *r, uint16_t endpoint,
		    struct weir_cache_name *ret);

/* Puts a response into the kernel. With `is_replacing` in the place of one that may be there, at once: no request finds
 * nothing, none gets a mixture, and a client that waits for a lost answer of the old one is reset. Without, one
 * that is there and has not expired stays, and 0 is returned. The caller sees to it that a response is not put after it was dropped (one lock
 * around either), and that the response is right for every request of that name: whatever coding was chosen, for every
 * client that accepts at least name->encodings.
 * -EPERM: a response with Set-Cookie, with Vary other than Accept-Encoding, or with a Content-Encoding that is not in
 * name->encodings. -EINVAL: an offset that is not where it says, or a head without end. -E2BIG: too large; try HEAD_ONLY.
 * Else what bpf(2) said. Any thread. */
int weir_cache_put(struct weir_cache *c, const struct weir_cache_name *name, const struct weir_cache_image *image,
		   bool is_replacing);

/* Takes a response out. True: it was there. What a CPU is writing at this moment still goes out. */
bool weir_cache_drop(struct weir_cache *c, const struct weir_cache_key *key);

/* --- for a handler whose sources change or go as a whole --- */

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
 * field that changes the answer but one entity tag in If-None-Match or a date in If-Modified-Since, no body. Also gives
 * the set of enum weir_encoding. */
bool weir_cache_is_plain(const struct weir_request *r, uint8_t *ret_encodings);

/* The opaque-tag with its quotes of an If-None-Match that XDP evaluates: one entity tag of up to WEIR_ETAG_BYTES,
 * "W/" aside. False: a list, "*", or malformed. */
bool weir_cache_one_tag(struct weir_str value, struct weir_str *ret_tag);

/* Puts the image into the kernel cache under the request's key, until withdrawn. 0: it is there (perhaps from
 * before). -ESTALE: the item is withdrawn. Else as weir_cache_name() and weir_cache_put(). */
int weir_cache_publish(struct weir_cache *c, struct weir_cache_item *item, const struct weir_request *r,
		       uint16_t endpoint, const struct weir_cache_image *image);

/* Takes every key of the item out of the kernel cache, for good: the item cannot be published again. */
void weir_cache_withdraw(struct weir_cache *c, struct weir_cache_item *item);

/* --- inside --- */

/* Whether a response may be in the kernel under this set of codings at all: 0, -EPERM or -EINVAL, see weir_cache_put(). */
int weir_cache_check(const struct weir_cache_image *image, uint8_t encodings);

/* Lays out an entry. `extra`: a field line with its CRLF that is added to both heads, or NULL. `ret` has room for the class
 * that is returned: WEIR_CLASS_*, or -E2BIG. */
int weir_cache_build(const struct weir_cache_image *image, const char *extra, const struct weir_cache_key *key,
		     struct weir_str host, struct weir_str target, uint64_t generation, uint64_t now_ns,
		     struct weir_entry_l *ret);

/* One's complement sum of big-endian 16-bit words, folded, not inverted; an odd last byte is a high half. */
uint16_t weir_cache_sum(const void *data, size_t bytes);

#endif
