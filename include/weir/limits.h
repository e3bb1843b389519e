/* SPDX-License-Identifier: GPL-2.0 */
/* Every size that shapes a map or bounds a loop in a BPF program. User space validates against the
 * same numbers, so that what the kernel cannot hold is refused with a message, not lost. */
#ifndef WEIR_LIMITS_H
#define WEIR_LIMITS_H

#define WEIR_ENDPOINTS_MAX 64	/* listening endpoints (address, port); ids 0..63 */
#define WEIR_POOLS_MAX 256	/* pools; id 0 is never a pool */
#define WEIR_SLOTS_MAX 256	/* pool slots (worker processes) of all pools together */
#define WEIR_ROUTES_MAX 16384	/* prefixes in the kernel's route table; the maps hold two tables */
#define WEIR_HOSTS_MAX 65536	/* (endpoint, bucket, host) groups of prefixes */
#define WEIR_IFINDEX_MAX 4096	/* interfaces are found by ifindex below this */

#define WEIR_HEAD_MAX 4096	/* bytes of a request head that XDP parses; power of two */
#define WEIR_HOST_MAX 128	/* bytes of a host name that XDP accepts; power of two */
#define WEIR_TARGET_MAX 1024	/* bytes of a request target that XDP accepts; power of two */
#define WEIR_DEPTH_MAX 16	/* path segments that a prefix in the kernel's route table may have */
#define WEIR_URL_MAX 256	/* "host/target" of a cache entry, for people; longer ones are not cached */

#define WEIR_BYTES_S 1472 /* largest response (head and body) of each class of cache entry */
#define WEIR_BYTES_M 4096
#define WEIR_BYTES_L 16384

#define WEIR_DATE_BYTES 29	/* IMF-fixdate, RFC 9110 5.6.7 */
#define WEIR_CONN_BYTES 10	/* "keep-alive" or "close     ": the fixed-width Connection value */
#define WEIR_AGE_BYTES 10	/* delta-seconds with leading zeros, RFC 9111 1.2.2: 1*DIGIT */
#define WEIR_ETAG_BYTES 64	/* largest opaque-tag, with its quotes, that XDP compares */
#define WEIR_COND_BYTES 384	/* largest head of a 304 in a cache entry */

#define WEIR_CLOCK_STALE_MS 2500 /* a clock map older than this serves no hits: Date would be wrong */
#define WEIR_COOKIE_UNIT_S 64	/* a SYN cookie is valid for one to two of these units */

#endif
