// SPDX-License-Identifier: GPL-2.0
/* weir_tc: ingress, behind weir_xdp. Does what XDP decided but cannot do: turns a request into a kernel
 * socket, answers where a frame could not grow, takes idle connections back. Packets without our
 * metadata are none of its business. */
#include "lib/base.h"
#include "lib/answer.h"
#include "lib/flow.h"
#include "lib/lend.h"
#include "lib/meta.h"
#include "lib/pkt.h"
#include "lib/reply.h"
#include "lib/verdict.h"

#define TC_ACT_UNSPEC (-1)

__noinline int weir_tc_answer(struct __sk_buff *ctx, struct weir_scratch *s, struct weir_flow *f,
			      struct weir_answer *a)
{
	return answer_any(ctx, false, s, f, a);
}

/* The answer that the metadata names, for flow `f`. */
static __always_inline void answer_of(struct weir_answer *a, const struct weir_meta *m,
				      const struct weir_flow *f, const struct weir_pkt *p)
{
	a->digest[0] = (__u64)m->digest[1] << 32 | m->digest[0];
	a->digest[1] = (__u64)m->digest[3] << 32 | m->digest[2];
	a->seq = p->ack;
	a->ack = p->seq + p->payload_bytes;
	a->window = flow_client_window(f, p);
	a->room = flow_room(f);
	a->pool = m->pool;
	a->is_head = !!(m->flags & META_HEAD);
	a->is_close = !!(m->flags & META_CLOSE);
	a->is_write = 1;
	if (m->flags & META_NOT_MODIFIED) {
		a->form = WEIR_FORM_NOT_MODIFIED;
		a->generation = f->generation;
	}
}

/* A hit whose frame XDP could not grow. If the entry is gone by now, or too large, a worker must see the request. */
static __always_inline enum weir_verdict answer(struct __sk_buff *skb, struct weir_scratch *s,
						struct weir_flow *f, const struct weir_meta *m)
{
	struct weir_answer a = {};

	if (f->owner != WEIR_OWNER_XDP || f->rcv_nxt != s->pkt.seq || f->snd_nxt != s->pkt.ack)
		return WEIR_VERDICT_TC_RACE;
	answer_of(&a, m, f, &s->pkt);
	switch (weir_tc_answer(skb, s, f, &a)) {
	case ANSWER_WRITTEN:
		return weir_answer_commit(f, &s->pkt, &a) ? WEIR_VERDICT_TC_ANSWERED :
							    WEIR_VERDICT_TC_RACE;
	case ANSWER_BROKEN:
		return WEIR_VERDICT_TC_RACE;
	default: /* gone meanwhile, or larger than an skb may grow */
		f->flags |= WEIR_FLOW_PENDING;
		return weir_handover(skb, s, f, m->pool);
	}
}

/* The same answer again. Without it there is nothing to say: the next repetition is reset by XDP. */
static __always_inline enum weir_verdict again(struct __sk_buff *skb, struct weir_scratch *s,
					       struct weir_flow *f)
{
	struct weir_answer a = {};

	if (f->owner != WEIR_OWNER_XDP)
		return WEIR_VERDICT_TC_RACE;
	weir_answer_again(f, &a);
	a.window = flow_client_window(f, &s->pkt);
	return weir_tc_answer(skb, s, f, &a) == ANSWER_WRITTEN ? WEIR_VERDICT_TC_ANSWERED_AGAIN :
									   WEIR_VERDICT_TC_RACE;
}

static __always_inline enum weir_verdict classify(struct __sk_buff *skb, struct weir_scratch *s,
						  const struct weir_meta *m)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct weir_pkt *p = &s->pkt;
	struct weir_answer a = {};
	struct weir_flow *f;
	__u32 bytes;

	if (weir_pkt_parse(p, data, end, skb->len, skb->ifindex) != WEIR_VERDICT_MORE ||
	    p->seq != m->seq || p->ack != m->ack)
		return WEIR_VERDICT_MORE;
	f = weir_flow_find(p);
	if (!f)
		return WEIR_VERDICT_MORE;
	p->now_ns = bpf_ktime_get_ns();
	bytes = p->header_bytes;
	opaque(bytes);
	if (bytes < sizeof(struct tcphdr))
		return WEIR_VERDICT_MORE;
	opaque(bytes);
	if (bytes > 60 || bpf_skb_load_bytes(skb, p->l4_off, s->head, bytes))
		return WEIR_VERDICT_MORE;
	weir_options(s);

	switch (m->kind) {
	case META_ANSWER:
		return answer(skb, s, f, m);
	case META_AGAIN:
		return again(skb, s, f);
	case META_SEIZE:
		if (m->flags & META_RESET)
			return weir_seize_to_reset(skb, s, f);
		answer_of(&a, m, f, p);
		return weir_seize(skb, s, f, &a);
	case META_HANDOVER:
		return weir_handover(skb, s, f, m->pool);
	case META_WAIT:
		return weir_handover_wait(skb, s, f);
	}
	return WEIR_VERDICT_MORE;
}

SEC("tc")
int weir_tc(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data;
	struct weir_meta *meta = (void *)(long)skb->data_meta;
	struct weir_scratch *s;
	struct weir_meta m;
	enum weir_verdict v;

	if ((void *)(meta + 1) > data)
		return TC_ACT_UNSPEC;
	if (meta->magic != WEIR_META_MAGIC)
		return TC_ACT_UNSPEC;
	__builtin_memcpy(&m, meta, sizeof(m));
	s = weir_scratch_get();
	if (!s)
		return TC_ACT_UNSPEC;
	v = classify(skb, s, &m);
	if (v == WEIR_VERDICT_MORE)
		return TC_ACT_UNSPEC;
	weir_count(v);
	switch (v) {
	case WEIR_VERDICT_TC_ANSWERED:
	case WEIR_VERDICT_TC_ANSWERED_AGAIN:
		return (int)bpf_redirect(skb->ifindex, 0);
	case WEIR_VERDICT_TC_ASSIGNED:
	case WEIR_VERDICT_TC_PASSED:
	case WEIR_VERDICT_TC_SEIZED:
		return TC_ACT_OK;
	default:
		return TC_ACT_SHOT;
	}
}
