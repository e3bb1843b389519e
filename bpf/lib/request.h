/* SPDX-License-Identifier: GPL-2.0 */
/* From a segment with payload to a decision: which pool, which cache key, or why a worker must see it. */
#ifndef WEIR_LIB_REQUEST_H
#define WEIR_LIB_REQUEST_H

#include "lib/answer.h"
#include "lib/base.h"
#include "lib/http_head.h"
#include "lib/key.h"
#include "lib/limit.h"
#include "lib/queue.h"
#include "lib/route.h"

/* Whether the pool has a cache, and then which codings are part of its keys. */
static __always_inline bool pool_is_cached(__u32 pool, __u8 *ret_encodings)
{
	struct weir_pool *p = bpf_map_lookup_elem(&weir_pools, &pool);

	if (!p || !(p->flags & WEIR_POOL_CACHED))
		return false;
	*ret_encodings = p->encodings;
	return true;
}

int weir_request_classify(struct weir_scratch *s);

/* Parses, routes and keys the request in head[]. s->req.miss is WEIR_MISS_NONE if the cache may be asked; s->req.pool is
 * the pool in any case, the endpoint's default where the request does not tell. */
__noinline int weir_request_classify(struct weir_scratch *s)
{
	struct weir_secrets *sec = weir_secrets_get();
	struct weir_pkt *p;
	struct weir_req *r;
	__u8 encodings = 0;

	if (!s || !sec)
		return 0;
	p = &s->pkt;
	r = &s->req;
	weir_head_parse(s);
	r->pool = 0;
	if (r->has_host && r->target_bytes) {
		if (p->endpoint_flags & WEIR_ENDPOINT_SINGLE)
			r->pool = p->default_pool;
		else
			weir_route_lookup(s, sec->cache_key);
	}
	r->is_routed = r->pool != 0;
	if (!r->is_routed) {
		r->pool = p->default_pool;
		head_miss(r, WEIR_MISS_NO_ROUTE);
	}
	if (p->tcp_flags & ~(WEIR_TCP_ACK | WEIR_TCP_PSH) || p->has_odd_options)
		head_miss(r, WEIR_MISS_TCP_FLAGS);
	if (p->has_ip_options)
		head_miss(r, WEIR_MISS_IP_OPTIONS);
	if (!r->miss && !pool_is_cached(r->pool, &encodings))
		r->miss = WEIR_MISS_POOL_OFF;
	if (!r->miss && r->encodings & encodings * WEIR_ENCODING_ANY)
		r->miss = WEIR_MISS_ENCODING;
	if (!r->miss && !weir_clock_runs(p->now_ns))
		r->miss = WEIR_MISS_CLOCK;
	if (!r->miss)
		weir_key_of(s, sec->cache_key, r->encodings & encodings);
	return 0;
}

/* Fills `a` for the classified request of flow `f`. */
static __always_inline void weir_request_answer(const struct weir_scratch *s, const struct weir_flow *f,
						struct weir_answer *a)
{
	const struct weir_req *r = &s->req;

	a->digest[0] = r->digest[0];
	a->digest[1] = r->digest[1];
	a->generation = 0;
	a->seq = s->pkt.ack;
	a->ack = s->pkt.seq + s->pkt.payload_bytes;
	a->window = flow_client_window(f, &s->pkt);
	a->room = flow_room(f);
	a->pool = r->pool;
	a->is_head = r->is_head;
	a->is_close = r->wants_close;
	a->is_write = 1;
	a->asks = r->asks;
	a->refresh = r->is_head || f->flags & WEIR_FLOW_PENDING ? REFRESH_NOT : REFRESH_MAY;
}

/* Turns the answer into the canned 503 for `refusal`: an entry of pool 0, after which the connection is closed. */
static __always_inline void request_refusal(const struct weir_scratch *s, struct weir_answer *a,
					    __u8 refusal)
{
	a->digest[0] = refusal;
	a->digest[1] = queue_verbosity(s->req.pool);
	a->pool = 0;
	a->is_close = 1;
	a->asks = 0;
	a->form = WEIR_FORM_WHOLE;
}

#define REFUSAL_DROP 0xff /* not even refused: the client tries again */

/* Why the classified request is not served: its source is over a limit, or its pool does not take it. NONE may come with
 * a miss: then a worker must see it. A hand-over that has begun was let through before. */
static __always_inline __u8 weir_request_refusal(struct weir_scratch *s, const struct weir_flow *f)
{
	struct weir_req *r = &s->req;
	int over = f->flags & WEIR_FLOW_PENDING ? 0 : weir_limit_request(s);

	if (over == WEIR_LIMIT_DROP + 1)
		return REFUSAL_DROP;
	if (over == WEIR_LIMIT_REJECT + 1)
		return WEIR_REFUSAL_RATE;
	if (over)
		head_miss(r, WEIR_MISS_RATE);
	if (weir_limit_head(s->pkt.payload_bytes))
		head_miss(r, WEIR_MISS_HEAD_SIZE);
	return r->is_routed ? weir_queue_refusal(r->pool) : WEIR_REFUSAL_NONE;
}

static __always_inline __u8 answer_flags(const struct weir_answer *a)
{
	return (a->is_head ? META_HEAD : 0) | (a->is_close ? META_CLOSE : 0) |
	       (a->form == WEIR_FORM_NOT_MODIFIED ? META_NOT_MODIFIED : 0);
}

#endif
