/* SPDX-License-Identifier: GPL-2.0 */
/* The kernel response cache: per pool and class of size one LRU map, filled by that pool's workers only
 * (DESIGN rules 6 to 8). An entry is the whole response as XDP sends it, but for Date, Age and Connection, and the 304 for it. */
#ifndef WEIR_CACHE_H
#define WEIR_CACHE_H

#include "weir/limits.h"
#include "weir/types.h"

/* SipHash-1-3-128 of the canonical request under the boot secret, see weir/key.h. */
struct weir_cache_key {
	__u64 digest[2];
};
_Static_assert(sizeof(struct weir_cache_key) == 16, "weir_cache_key is hashed as 16 bytes");

enum weir_class {
	WEIR_CLASS_S,
	WEIR_CLASS_M,
	WEIR_CLASS_L,
	WEIR_CLASS__MAX,
};

/* Content codings that the client accepts: part of the key, as far as the pool's responses depend on them (weir_pool
 * .encodings). Weights are no part of it: a list that prefers what stands later in this order to what stands earlier is no plain
 * case: br, zstd, gzip, deflate, none. */
enum weir_encoding {
	WEIR_ENCODING_GZIP = 1,
	WEIR_ENCODING_BR = 2,
	WEIR_ENCODING_ZSTD = 4,
	WEIR_ENCODING_DEFLATE = 8,
	WEIR_ENCODING__COUNT = 16, /* encoding sets: keys that one URL can have */
	WEIR_ENCODING_ANY = 16,	   /* times a coding: it is accepted by "*" alone. Never in a key: if the pool offers that
				    * coding, the request is a worker's */
};

enum weir_entry_flag {
	WEIR_ENTRY_HEAD_ONLY = 1,      /* the body is not here: HEAD and conditional requests only */
	WEIR_ENTRY_IGNORE_REQUEST = 2, /* Cache-Control and Pragma of the request change nothing */
};

#define WEIR_BODY_ABSENT 0x7fffffffu /* body_bytes of HEAD_ONLY: larger than any segment */

/* A head in an entry, and which of its bytes are written for each hit. The Date value is WEIR_DATE_BYTES zero bytes, the Age
 * value WEIR_AGE_BYTES zero bytes, the Connection value "keep-alive". An offset of 0: no such value, or it stays as it
 * is (the Date of an origin, RFC 9110 6.6.1). */
struct weir_entry_head {
	__u32 bytes; /* status line and fields with the empty line */
	__u16 sum;   /* see weir_entry */
	__u16 date_off;
	__u16 conn_off;
	__u16 age_off;
};
_Static_assert(sizeof(struct weir_entry_head) == 12, "weir_entry_head has no hidden padding");

/* Start of every class's value. The response is in bytes[]: whole.bytes of head, then body_bytes. The head of the 304
 * for it is in cond_head[], cond.bytes of it; 0: conditional requests are for a worker. Sums are one's complement sums, not
 * inverted, of big-endian 16-bit words counted from the start of head and of body, with the values above as they are here.
 * Times are CLOCK_MONOTONIC. */
struct weir_entry {
	/* what a hit reads */
	__u64 generation;	/* unique for each publication; equals generation_end or the value is torn */
	__u64 digest[2];	/* the key again: a recycled element is seen by it */
	__u64 expires_ns;	/* fresh until; ~0: until withdrawn */
	__u32 body_bytes;
	__u16 body_sum;
	__u16 status;
	struct weir_entry_head whole;
	struct weir_entry_head cond;
	__u64 hits; /* any CPU, atomic; exact to 1024, then sampled */

	/* what some hits read */
	__u64 born_ns;	  /* Age counts from here; may lie before boot: modulo 2^64 */
	__u64 stale_ns;	  /* from expires_ns to here: answered still, while one request at a time goes up; 0: never */
	__u64 refresh_ns; /* any CPU, compare-and-swap: until then a request is up to refresh it */
	__u32 refresh_ms; /* how long that one may take before the next goes up */
	__u8 flags;	  /* enum weir_entry_flag */
	__u8 etag_bytes;  /* 0: none */
	__u16 url_bytes;
	char etag[WEIR_ETAG_BYTES]; /* opaque-tag with quotes, without W/; zero-padded; char, so that dumps show text */
	char modified[32];	    /* the value of Last-Modified, WEIR_DATE_BYTES; or zeros */

	/* for people, and for purging */
	__u64 created_ns;
	__u64 object_bytes;	/* of the body, wherever it is */
	char url[WEIR_URL_MAX]; /* "host/target"; not terminated */

	__u8 cond_head[WEIR_COND_BYTES];
};
_Static_assert(sizeof(struct weir_entry) == 216 + WEIR_URL_MAX + WEIR_COND_BYTES, "weir_entry has no hidden padding");

struct weir_entry_s {
	struct weir_entry head;
	__u8 bytes[WEIR_BYTES_S];
	__u64 generation_end;
};
struct weir_entry_m {
	struct weir_entry head;
	__u8 bytes[WEIR_BYTES_M];
	__u64 generation_end;
};
struct weir_entry_l {
	struct weir_entry head;
	__u8 bytes[WEIR_BYTES_L];
	__u64 generation_end;
};
_Static_assert(sizeof(struct weir_entry_s) == sizeof(struct weir_entry) + WEIR_BYTES_S + 8, "no padding");

#endif
