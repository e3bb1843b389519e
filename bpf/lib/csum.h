/* SPDX-License-Identifier: GPL-2.0 */
/* One's complement sums (RFC 1071). "Native" sums add 16-bit words as they lie in memory, which gives
 * the checksum field in network order directly; sums in cache entries are of big-endian words, and
 * swapping the bytes of a folded sum converts one into the other. */
#ifndef WEIR_LIB_CSUM_H
#define WEIR_LIB_CSUM_H

#include "lib/base.h"

/* Adding a word to itself with its halves swapped leaves in the upper half the sum of both halves, with the carry of the lower
 * half's addition, which is the same one, brought in: end-around carry. */
static __always_inline __u32 csum_fold16(__u64 sum)
{
	__u32 half;

	sum += sum << 32 | sum >> 32;
	half = (__u32)(sum >> 32);
	half += half << 16 | half >> 16;
	return half >> 16;
}

static __always_inline __u32 csum_swap(__u32 folded)
{
	return ((folded & 0xff) << 8) | ((folded >> 8) & 0xff);
}

/* Native sum of `bytes` (constant, multiple of 4) at `p`. */
static __always_inline __u64 csum_words(const void *p, __u32 bytes)
{
	const __u32 *w = p;
	__u64 sum = 0;
	__u32 i;

#pragma clang loop unroll(full)
	for (i = 0; i < bytes / 4; i++)
		sum += w[i];
	return sum;
}

/* Native sum of the pseudo header: RFC 9293 3.1, RFC 8200 8.1. Addresses mapped from IPv4 add the
 * constant ::ffff prefix, which is left out by summing the last word only. */
static __always_inline __u64 csum_pseudo(const struct weir_flow_key *k, bool is_v6, __u32 l4_bytes)
{
	__u64 sum = bpf_htons((__u16)l4_bytes) + bpf_htons(IPPROTO_TCP);

	sum += (__u64)k->client.word[3] + k->server.word[3];
	if (is_v6)
		sum += (__u64)k->client.word[0] + k->client.word[1] + k->client.word[2] +
		       k->server.word[0] + k->server.word[1] + k->server.word[2];
	return sum;
}

#endif
