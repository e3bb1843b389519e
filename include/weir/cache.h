/* SPDX-License-Identifier: GPL-2.0 */
/* The kernel response cache: per pool and class of size one LRU map, filled by that pool's workers only
 * (DESIGN rules 6 to 8). An entry is the whole response as XDP sends it, but for Date and Connection. */
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

/* Content codings that the client accepts: part of the key. A request whose Accept-Encoding has
 * weights, '*' or "identity" is no plain case and goes to a worker. */
enum weir_encoding {
	WEIR_ENCODING_GZIP = 1,
	WEIR_ENCODING_BR = 2,
	WEIR_ENCODING_ZSTD = 4,
	WEIR_ENCODING_DEFLATE = 8,
	WEIR_ENCODING__COUNT = 16, /* encoding sets: keys that one URL can have */
};

/* Start of every class's value. The response is in bytes[], head_bytes of it the status line and fields
 * with the empty line, then body_bytes. The Date value in bytes[] is WEIR_DATE_BYTES zero bytes and
 * the Connection value is "keep-alive". Sums are one's complement sums, not inverted, of big-endian
 * 16-bit words counted from the start of head and of body, with those values as they are in bytes[]. */
struct weir_entry {
	__u64 generation;	/* unique for each publication; equals generation_end or the value is torn */
	__u64 digest[2];	/* the key again: a recycled element is seen by it */
	__u64 created_ns;	/* CLOCK_MONOTONIC */
	__u64 expires_ns;	/* CLOCK_MONOTONIC; never sent after */
	__u64 hits;		/* any CPU, atomic; exact to 1024, then sampled */
	__u32 head_bytes;
	__u32 body_bytes;
	__u32 head_sum;		/* 16 bits used */
	__u32 body_sum;		/* 16 bits used */
	__u16 date_off;		/* of the Date value in bytes[] */
	__u16 conn_off;		/* of the Connection value in bytes[] */
	__u16 status;
	__u16 url_bytes;
	char url[WEIR_URL_MAX];	/* "host/target" for people and for purging; not terminated */
};
_Static_assert(sizeof(struct weir_entry) == 72 + WEIR_URL_MAX, "weir_entry has no hidden padding");

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
_Static_assert(sizeof(struct weir_entry_s) == 72 + WEIR_URL_MAX + WEIR_BYTES_S + 8, "no padding");

#endif
