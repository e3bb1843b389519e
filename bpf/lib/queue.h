/* SPDX-License-Identifier: GPL-2.0 */
/* A pool's request queue as the kernel side has it: how deep it is, whether a request may join, and the tickets with
 * which its workers offer idle connections back. */
#ifndef WEIR_LIB_QUEUE_H
#define WEIR_LIB_QUEUE_H

#include "lib/base.h"
#include "lib/verdict.h"
#include "maps/flow.h"
#include "maps/route.h"

static __always_inline struct weir_queue *queue_of(__u32 pool)
{
	void *inner = bpf_map_lookup_elem(&weir_queues, &pool);
	__u32 zero = 0;

	return inner ? bpf_map_lookup_elem(inner, &zero) : NULL;
}

/* One of the pool's worker slots, evenly. */
static __always_inline __u16 weir_pool_slot(__u32 pool)
{
	struct weir_pool *p = bpf_map_lookup_elem(&weir_pools, &pool);

	if (!p || !p->slots)
		return 0;
	return (__u16)(p->first_slot + (p->slots > 1 ? bpf_get_prandom_u32() % p->slots : 0));
}

/* A request of this pool was passed up. */
static __always_inline void weir_queue_arrive(__u32 pool)
{
	struct weir_queue *q = queue_of(pool);

	if (q)
		__sync_fetch_and_add(&q->arrived, 1);
}

/* Why a request must not be passed up to this pool: enum weir_refusal. */
static __always_inline __u8 weir_queue_refusal(__u32 pool)
{
	struct weir_pool *p = bpf_map_lookup_elem(&weir_pools, &pool);
	struct weir_queue *q;

	if (!p)
		return WEIR_REFUSAL_NONE;
	if (p->refusal)
		return p->refusal;
	if (!p->queue_limit)
		return WEIR_REFUSAL_NONE;
	q = queue_of(pool);
	if (!q || (__s64)(*(volatile __u64 *)&q->arrived - *(volatile __u64 *)&q->taken) <
			  (__s64)p->queue_limit)
		return WEIR_REFUSAL_NONE;
	return WEIR_REFUSAL_QUEUE_FULL;
}

static __always_inline __u8 queue_verbosity(__u32 pool)
{
	struct weir_pool *p = bpf_map_lookup_elem(&weir_pools, &pool);

	return p ? p->verbosity : WEIR_VERBOSITY_LIMITED;
}

static __always_inline void weir_count_refusal(__u32 pool, __u8 refusal)
{
	struct weir_pool_stats *st = weir_stats_of(pool);

	if (st && refusal < WEIR_REFUSAL__MAX)
		st->refused[refusal]++;
}

static __always_inline bool ticket_is_for(const struct weir_ticket *t, const struct weir_flow_key *k)
{
	const __u64 *a = (const __u64 *)&t->key, *b = (const __u64 *)k;

	return a[4] == b[4] && !((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]));
}

/* The offer of this connection, if there is one. Gives its state word, read before the key: a slot that is overwritten
 * meanwhile has another generation, and cannot be moved with this word. The way goes through memory, where the verifier
 * forgets it: else it walks everything that follows once for each way, and 6.18 gives up at a million instructions. Test:
 * make verifier. */
static __always_inline struct weir_ticket *weir_ticket_of(struct weir_pkt *p, __u32 pool, __u32 *ret_state)
{
	void *inner = bpf_map_lookup_elem(&weir_tickets, &pool);
	__u32 index = weir_ticket_bucket(&p->key), i, way;
	struct weir_ticket_bucket *b;

	b = inner ? bpf_map_lookup_elem(inner, &index) : NULL;
	if (!b)
		return NULL;
	*(volatile __u32 *)&p->ticket_way = WEIR_TICKET_WAYS;
#pragma clang loop unroll(full)
	for (i = 0; i < WEIR_TICKET_WAYS; i++) {
		__u32 state = *(volatile __u32 *)&b->ways[i].state;

		barrier();
		if ((state & 0xff) == WEIR_TICKET_OFFERED && ticket_is_for(&b->ways[i], &p->key)) {
			*ret_state = state;
			*(volatile __u32 *)&p->ticket_way = i;
			break;
		}
	}
	way = *(volatile __u32 *)&p->ticket_way;
	return way < WEIR_TICKET_WAYS ? &b->ways[way] : NULL;
}

/* Does an offer say that this packet's first byte is the next that the worker will read, and that every byte it sent is
 * acknowledged by this packet? Gives the state word to move it with. */
static __always_inline struct weir_ticket *weir_ticket_match(const struct weir_flow *f, struct weir_pkt *p,
							     __u32 *ret_state)
{
	struct weir_ticket *t = weir_ticket_of(p, f->pool, ret_state);

	if (!t || f->base_rcv + t->consumed != p->seq || f->base_snd + t->sent != p->ack)
		return NULL;
	return t;
}

/* Claims an offer: only one of worker, tc and XDP succeeds. */
static __always_inline bool weir_ticket_move(struct weir_ticket *t, __u32 state, __u8 to)
{
	return __sync_val_compare_and_swap(&t->state, state, (state & ~0xffu) | to) == state;
}

#endif
