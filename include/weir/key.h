/* SPDX-License-Identifier: GPL-2.0 */
/* How a request becomes a cache key, and how hosts and path segments become route digests.
 *
 * The bytes that are hashed are zero-padded to whole 64-bit little-endian words; buffers passed here
 * must therefore be readable up to the next multiple of 8 after `bytes`. The first word of a cache key
 * holds every length, so padding cannot make two requests alike. BPF programs feed the same words with
 * their own loops (bpf/lib/key.h); tests/bpf compares the two. */
#ifndef WEIR_KEY_H
#define WEIR_KEY_H

#include "weir/cache.h"
#include "weir/siphash.h"
#include "weir/types.h"

/* First word of a cache key: endpoint id, encoding set, host and target lengths. */
WEIR_INLINE __u64 weir_key_first_word(__u16 endpoint, __u8 encodings, __u16 host_bytes, __u16 target_bytes)
{
	return (__u64)endpoint | (__u64)encodings << 16 | (__u64)host_bytes << 32 | (__u64)target_bytes << 48;
}

/* Keeps the first `bytes` (1..8) of a little-endian word. */
WEIR_INLINE __u64 weir_key_mask(__u64 word, __u32 bytes)
{
	return bytes >= 8 ? word : word & ((1ULL << (8 * (bytes & 7))) - 1);
}

#ifndef __bpf__
#include <string.h>

/* The next up to eight bytes of `data` as a word. */
WEIR_INLINE __u64 weir_key_word(const void *data, __u32 off, __u32 bytes)
{
	__u64 word = 0;

	memcpy(&word, (const char *)data + off, bytes - off < 8 ? bytes - off : 8);
	return word;
}

WEIR_INLINE void weir_key_feed(struct weir_sip *s, const void *data, __u32 bytes)
{
	__u32 off;

	for (off = 0; off < bytes; off += 8)
		weir_sip_word(s, weir_key_word(data, off, bytes));
}

WEIR_INLINE void weir_key_feed13(struct weir_sip *s, const void *data, __u32 bytes)
{
	__u32 off;

	for (off = 0; off < bytes; off += 8)
		weir_sip13_word(s, weir_key_word(data, off, bytes));
}

/* The cache key of a canonical request. `host` in lower case without a port, `target` as it was sent
 * (origin-form with query). `encodings` is a set of enum weir_encoding. */
WEIR_INLINE void weir_key_make(const __u64 secret[2], __u16 endpoint, __u8 encodings, const char *host,
			       __u16 host_bytes, const char *target, __u16 target_bytes,
			       struct weir_cache_key *ret_key)
{
	struct weir_sip s;

	weir_sip13_init128(&s, secret);
	weir_sip13_word(&s, weir_key_first_word(endpoint, encodings, host_bytes, target_bytes));
	weir_key_feed13(&s, host, host_bytes);
	weir_key_feed13(&s, target, target_bytes);
	weir_sip13_final128(&s, ret_key->digest);
}

/* Digest of a host name (lower case, no port) or of the 16 bytes of a struct weir_addr. */
WEIR_INLINE __u64 weir_host_digest(const __u64 secret[2], const void *host, __u32 bytes)
{
	struct weir_sip s;

	weir_sip_init(&s, secret);
	weir_key_feed(&s, host, bytes);
	weir_sip_word(&s, bytes);
	return weir_sip_final(&s);
}

/* Digest of the path so far plus one more segment (without slashes); starts from 0 for "/". */
WEIR_INLINE __u64 weir_segment_digest(const __u64 secret[2], __u64 parent, const void *segment, __u32 bytes)
{
	struct weir_sip s;

	weir_sip_init(&s, secret);
	weir_sip_word(&s, parent);
	weir_key_feed(&s, segment, bytes);
	weir_sip_word(&s, bytes);
	return weir_sip_final(&s);
}
#endif

#endif
