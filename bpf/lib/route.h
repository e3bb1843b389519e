/* SPDX-License-Identifier: GPL-2.0 */
/* Finds the pool of a request in the kernel's copy of the URL namespace: the first bucket with a match
 * wins, then the longest path by whole segments. weir_route_find() in userspace/route says the same. */
#ifndef WEIR_LIB_ROUTE_H
#define WEIR_LIB_ROUTE_H

#include "lib/base.h"
#include "lib/key.h"
#include "maps/route.h"

struct route_ctx {
	struct weir_scratch *s;
	const __u64 *secret;
};

#define ROUTE_FOUND 0x80000000u

/* Chains the digest of one more path segment; segment i lies between slash i and the next. */
static long route_segment(__u64 index, struct route_ctx *c)
{
	struct weir_req *r = &c->s->req;
	__u32 i = r->seen; /* goes on where an earlier bucket stopped */
	__u32 from, to;
	struct weir_sip *h = &c->s->sip;

	(void)index;
	if (i >= WEIR_DEPTH_MAX || i >= r->slashes)
		return 1;
	opaque(i);
	i &= WEIR_DEPTH_MAX - 1;
	from = r->slash[i] + 1u;
	to = i + 1 < r->slashes ? r->slash[i + 1] : r->path_bytes;
	if (from >= to) /* the path ends with '/' */
		return 1;
	weir_sip_init(h, c->secret);
	weir_sip_word(h, r->segments[i]);
	feed_head(c->s, r->target_at + from, to - from);
	weir_sip_word(h, to - from);
	r->segments[i + 1] = weir_sip_final(h);
	r->seen = (__u8)(i + 1); /* segments known: the header bits are not needed any more */
	return 0;
}

struct route_find {
	struct weir_req *r;
	__u32 group;
	__u32 depths;
	__u32 deepest;
	__u32 found; /* ROUTE_FOUND | pool; 0: not yet */
};

/* Tries one depth, from the deepest. */
static long route_depth(__u64 index, struct route_find *f)
{
	struct weir_route_key k = { .group = f->group };
	struct weir_route *route;
	__u32 d = f->deepest - (__u32)index;

	if (d > WEIR_DEPTH_MAX)
		return 1;
	if (!(f->depths & (1u << d)))
		return 0;
	k.depth = d;
	opaque(d);
	if (d && d <= WEIR_DEPTH_MAX)
		k.digest = f->r->segments[d];
	route = bpf_map_lookup_elem(&weir_routes, &k);
	if (!route)
		return 0;
	f->found = ROUTE_FOUND | route->pool;
	return 1;
}

/* The digest under which this request is looked up in `bucket`; false: it has none. */
static __always_inline bool bucket_digest(struct weir_scratch *s, const __u64 secret[2], __u32 bucket,
					  __u64 *ret_digest)
{
	struct weir_req *r = &s->req;
	__u32 i;

	*ret_digest = 0;
	if (bucket == WEIR_BUCKET_HOST) {
		*ret_digest = host_digest(s, secret, 0);
	} else if (bucket == WEIR_BUCKET_IP) {
		*ret_digest = addr_digest(&s->pkt.key.server, secret);
	} else if (bucket == WEIR_BUCKET_SUBDOMAIN) {
#pragma clang loop unroll(disable)
		for (i = 0; i < WEIR_HOST_MAX; i++) {
			if (i >= r->host_bytes)
				return false;
			if (r->host[i & (WEIR_HOST_MAX - 1)] == '.')
				break;
		}
		if (!i || i + 1 >= r->host_bytes)
			return false;
		*ret_digest = host_digest(s, secret, i + 1);
	}
	return true;
}

/* Not inlined: verified once for both programs' call sites. Sets r->pool; 0 when no prefix matches or the prefix has
 * no pool. */
static __noinline int weir_route_lookup(struct weir_scratch *s, const __u64 *secret)
{
	struct weir_req *r;
	struct route_ctx c;
	__u32 bucket, deepest;

	if (!s || !secret)
		return 0;
	r = &s->req;
	r->seen = 0;
	r->pool = 0;
#pragma clang loop unroll(disable)
	for (bucket = 0; bucket < WEIR_BUCKET__MAX; bucket++) {
		struct weir_host_key k = { .endpoint = s->pkt.endpoint,
					     .table = s->pkt.table,
					     .bucket = (__u8)bucket };
		struct route_find f = { .r = r };
		struct weir_host *host;

		if (!(s->pkt.buckets & (1 << bucket)))
			continue;
		if (!bucket_digest(s, secret, bucket, &k.digest))
			continue;
		host = bpf_map_lookup_elem(&weir_hosts, &k);
		if (!host)
			continue;
		f.group = host->group;
		f.depths = host->depths;
		deepest = f.depths >> WEIR_HOST_DEEPEST_SHIFT;
		/* as deep as this group needs; an earlier bucket may have begun, or found the path's end */
		if (deepest > r->seen) {
			c.s = s;
			c.secret = secret;
			r->segments[0] = 0;
			if (deepest - r->seen == 1)
				route_segment(0, &c);
			else
				bpf_loop(deepest - r->seen, route_segment, &c, 0);
		}
		f.deepest = deepest < r->seen ? deepest : r->seen;
		/* the deepest first: mostly that is it */
		if (!route_depth(0, &f) && f.deepest > 0) {
			f.deepest--;
			bpf_loop(f.deepest + 1, route_depth, &f, 0);
		}
		if (f.found) {
			r->pool = (__u16)f.found;
			return 1;
		}
	}
	return 0;
}

#endif
