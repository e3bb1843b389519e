/* SPDX-License-Identifier: GPL-2.0 */
/* SipHash (Aumasson and Bernstein, 2012), fed by 64-bit words, for BPF programs and user space. The caller makes
 * words from bytes (little endian) and puts the lengths into one of them, so that no two inputs give the same
 * words. 64 bits: SipHash-2-4, for SYN cookies and routes. 128 bits: SipHash-1-3, for cache keys, which each request
 * pays for and no client ever sees; it is what Linux (hsiphash), Rust and Python key their hash tables with. */
#ifndef WEIR_SIPHASH_H
#define WEIR_SIPHASH_H

#include "weir/types.h"

struct weir_sip {
	__u64 v0, v1, v2, v3;
};

#define WEIR_ROTL64(x, b) (((x) << (b)) | ((x) >> (64 - (b))))

WEIR_INLINE void weir_sip_round(struct weir_sip *s)
{
	s->v0 += s->v1;
	s->v1 = WEIR_ROTL64(s->v1, 13);
	s->v1 ^= s->v0;
	s->v0 = WEIR_ROTL64(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = WEIR_ROTL64(s->v3, 16);
	s->v3 ^= s->v2;
	s->v0 += s->v3;
	s->v3 = WEIR_ROTL64(s->v3, 21);
	s->v3 ^= s->v0;
	s->v2 += s->v1;
	s->v1 = WEIR_ROTL64(s->v1, 17);
	s->v1 ^= s->v2;
	s->v2 = WEIR_ROTL64(s->v2, 32);
}

WEIR_INLINE void weir_sip_init(struct weir_sip *s, const __u64 key[2])
{
	s->v0 = key[0] ^ 0x736f6d6570736575ULL;
	s->v1 = key[1] ^ 0x646f72616e646f6dULL;
	s->v2 = key[0] ^ 0x6c7967656e657261ULL;
	s->v3 = key[1] ^ 0x7465646279746573ULL;
}

WEIR_INLINE void weir_sip13_init128(struct weir_sip *s, const __u64 key[2])
{
	weir_sip_init(s, key);
	s->v1 ^= 0xee;
}

WEIR_INLINE void weir_sip_word(struct weir_sip *s, __u64 word)
{
	s->v3 ^= word;
	weir_sip_round(s);
	weir_sip_round(s);
	s->v0 ^= word;
}

WEIR_INLINE __u64 weir_sip_final(struct weir_sip *s)
{
	s->v2 ^= 0xff;
	weir_sip_round(s);
	weir_sip_round(s);
	weir_sip_round(s);
	weir_sip_round(s);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

/* One word of SipHash-1-3. */
WEIR_INLINE void weir_sip13_word(struct weir_sip *s, __u64 word)
{
	s->v3 ^= word;
	weir_sip_round(s);
	s->v0 ^= word;
}

WEIR_INLINE void weir_sip13_final128(struct weir_sip *s, __u64 ret_digest[2])
{
	s->v2 ^= 0xee;
	weir_sip_round(s);
	weir_sip_round(s);
	weir_sip_round(s);
	ret_digest[0] = s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
	s->v1 ^= 0xdd;
	weir_sip_round(s);
	weir_sip_round(s);
	weir_sip_round(s);
	ret_digest[1] = s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

#endif
