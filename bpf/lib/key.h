/* SPDX-License-Identifier: GPL-2.0 */
/* Cache key and route digests of a parsed request: the words of include/weir/key.h, fed from scratch
 * memory. tests/bpf/key compares the two. */
#ifndef WEIR_LIB_KEY_H
#define WEIR_LIB_KEY_H

#include "lib/base.h"
#include "lib/http_head.h"
#include "lib/scratch.h"

#include "weir/key.h"
#include "weir/siphash.h"

/* The hash in progress is in scratch memory and fed by bpf_loop(): an ordinary loop over registers
 * multiplies the verifier's states by its exits. */
struct key_feed {
	struct weir_scratch *s;
};

static long feed_head_word(__u64 index, struct key_feed *f)
{
	__u32 off = (__u32)index * 8;
	struct weir_scratch *s = f->s;

	if (off >= s->feed_bytes)
		return 1;
	weir_sip_word(&s->sip, weir_key_mask(head_word(s, s->feed_at + off), s->feed_bytes - off));
	return 0;
}

static long feed_host_word(__u64 index, struct key_feed *f)
{
	struct weir_scratch *s = f->s;
	__u32 off = (__u32)index * 8, at = s->feed_at + off;

	if (off >= s->feed_bytes)
		return 1;
	opaque(at);
	weir_sip_word(&s->sip, weir_key_mask(*(const __u64 *)(s->req.host + (at & (WEIR_HOST_MAX - 1))),
					     s->feed_bytes - off));
	return 0;
}

/* Feeds head[at .. at+bytes). */
static __always_inline void feed_head(struct weir_scratch *s, __u32 at, __u32 bytes)
{
	struct key_feed f = { .s = s };

	s->feed_at = at;
	s->feed_bytes = bytes;
	bpf_loop(WEIR_TARGET_MAX / 8, feed_head_word, &f, 0);
}

/* Feeds the host name from byte `from` on. */
static __always_inline void feed_host(struct weir_scratch *s, __u32 from)
{
	struct key_feed f = { .s = s };

	s->feed_at = from;
	s->feed_bytes = s->req.host_bytes - from;
	bpf_loop(WEIR_HOST_MAX / 8, feed_host_word, &f, 0);
}

#define KEY_SHORT 32 /* bytes of host, and of target, that are hashed in registers */

static long feed13_head_word(__u64 index, struct key_feed *f)
{
	__u32 off = (__u32)index * 8;
	struct weir_scratch *s = f->s;

	if (off >= s->feed_bytes)
		return 1;
	weir_sip13_word(&s->sip, weir_key_mask(head_word(s, s->feed_at + off), s->feed_bytes - off));
	return 0;
}

static long feed13_host_word(__u64 index, struct key_feed *f)
{
	struct weir_scratch *s = f->s;
	__u32 off = (__u32)index * 8, at = off;

	if (off >= s->req.host_bytes)
		return 1;
	opaque(at);
	weir_sip13_word(&s->sip, weir_key_mask(*(const __u64 *)(s->req.host + (at & (WEIR_HOST_MAX - 1))),
					       s->req.host_bytes - off));
	return 0;
}

/* Feeds up to KEY_SHORT bytes at `p`. */
static __always_inline void feed_short(struct weir_sip *h, const __u64 *p, __u32 bytes)
{
	__u32 i;

#pragma clang loop unroll(full)
	for (i = 0; i < KEY_SHORT / 8; i++)
		if (i * 8 < bytes)
			weir_sip13_word(h, weir_key_mask(p[i], bytes - i * 8));
}

/* Fills r->digest. */
static __always_inline void weir_key_of(struct weir_scratch *s, const __u64 secret[2], __u8 encodings)
{
	struct key_feed f = { .s = s };
	struct weir_req *r = &s->req;
	struct weir_sip h;
	__u32 at;

	weir_sip13_init128(&h, secret);
	weir_sip13_word(&h,
			weir_key_first_word(s->pkt.endpoint, encodings, (__u16)r->host_bytes, (__u16)r->target_bytes));
	at = r->target_at;
	if (r->host_bytes <= KEY_SHORT && r->target_bytes <= KEY_SHORT) {
		opaque(at);
		feed_short(&h, (const __u64 *)r->host, r->host_bytes);
		feed_short(&h, (const __u64 *)(s->head + (at & HEAD_MASK)), r->target_bytes);
		weir_sip13_final128(&h, r->digest);
		return;
	}
	s->sip = h;
	bpf_loop(WEIR_HOST_MAX / 8, feed13_host_word, &f, 0);
	s->feed_at = at;
	s->feed_bytes = r->target_bytes;
	bpf_loop(WEIR_TARGET_MAX / 8, feed13_head_word, &f, 0);
	weir_sip13_final128(&s->sip, r->digest);
}

/* Digest of the host name from byte `from` on. */
static __always_inline __u64 host_digest(struct weir_scratch *s, const __u64 secret[2], __u32 from)
{
	weir_sip_init(&s->sip, secret);
	feed_host(s, from);
	weir_sip_word(&s->sip, s->req.host_bytes - from);
	return weir_sip_final(&s->sip);
}

/* Digest of the 16 address bytes. */
static __always_inline __u64 addr_digest(const struct weir_addr *a, const __u64 secret[2])
{
	struct weir_sip h;

	weir_sip_init(&h, secret);
	weir_sip_word(&h, (__u64)a->word[1] << 32 | a->word[0]);
	weir_sip_word(&h, (__u64)a->word[3] << 32 | a->word[2]);
	weir_sip_word(&h, sizeof(*a));
	return weir_sip_final(&h);
}

#endif
