// SPDX-License-Identifier: GPL-2.0
/* weir_xdp: sees every packet first. SYNs are answered with cookies, requests from the cache; what a
 * worker must see goes up. Runs in softirq on the CPU that received the packet. */
#include "lib/base.h"
#include "lib/choose.h"
#include "lib/fresh.h"
#include "lib/lent.h"
#include "lib/limit.h"
#include "lib/owned.h"
#include "lib/pkt.h"
#include "lib/verdict.h"

__noinline int weir_xdp_load(struct xdp_md *ctx, struct weir_scratch *s)
{
	return s ? weir_segment_load(ctx, s) : WEIR_VERDICT_PASS_MALFORMED;
}

__noinline int weir_xdp_choose(struct weir_scratch *s, struct weir_entry *e, struct weir_answer *a)
{
	return s && e && a ? (int)choose(s, e, a) : (int)WEIR_MISS_TORN;
}

__noinline int weir_xdp_answer(struct xdp_md *ctx, struct weir_scratch *s, struct weir_flow *f,
			       struct weir_answer *a)
{
	return answer_any(ctx, true, s, f, a);
}

/* Packets of connections without a flow: births by cookie, TIME-WAIT, strangers. */
static __always_inline enum weir_verdict no_flow(struct xdp_md *ctx, struct weir_scratch *s,
						 struct weir_flow **ret_flow)
{
	struct weir_pkt *p = &s->pkt;
	enum weir_verdict v = weir_timewait_packet(ctx, s);
	bool is_valid;

	if (v != WEIR_VERDICT_MORE)
		return v;
	if ((p->tcp_flags & (WEIR_TCP_SYN | WEIR_TCP_ACK | WEIR_TCP_RST)) == WEIR_TCP_SYN) {
		v = weir_limit_syn(s);
		return v == WEIR_VERDICT_MORE ? weir_syn(ctx, s) : v;
	}
	if ((p->tcp_flags & (WEIR_TCP_SYN | WEIR_TCP_ACK | WEIR_TCP_RST)) != WEIR_TCP_ACK)
		return WEIR_VERDICT_PASS_NO_FLOW;
	*ret_flow = weir_flow_accept(s, &is_valid);
	if (!*ret_flow) /* a valid cookie must not end in the kernel's RST: the client tries again */
		return is_valid ? WEIR_VERDICT_DROP_RACE : WEIR_VERDICT_PASS_NO_FLOW;
	if ((*ret_flow)->owner != WEIR_OWNER_XDP)
		return WEIR_VERDICT_DROP_RACE;
	weir_limit_born(s);
	if (!p->payload_bytes && !(p->tcp_flags & WEIR_TCP_FIN))
		return WEIR_VERDICT_ACCEPTED;
	return WEIR_VERDICT_MORE;
}

/* A fragment's first piece may belong to a connection that the kernel knows nothing of. */
static __always_inline enum weir_verdict fragment(const struct weir_pkt *p)
{
	struct weir_flow *f = weir_flow_find(p);

	return f && f->owner == WEIR_OWNER_XDP ? WEIR_VERDICT_DROP_FRAGMENT :
						 WEIR_VERDICT_PASS_FRAGMENT;
}

static __always_inline enum weir_verdict classify(struct xdp_md *ctx, struct weir_scratch *s)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct weir_pkt *p = &s->pkt;
	struct weir_flow *f;
	enum weir_verdict v;
	bool is_syn;

	v = weir_pkt_parse(p, data, end, (__u32)(end - data), ctx->ingress_ifindex);
	if (v == WEIR_VERDICT_PASS_FRAGMENT)
		return fragment(p);
	if (v != WEIR_VERDICT_MORE)
		return v;
	f = weir_flow_find(p);
	if (f ? !weir_endpoint_by_id(p, f->endpoint) : !weir_endpoint_find(p))
		return WEIR_VERDICT_PASS_NOT_OURS;
	p->now_ns = bpf_ktime_get_ns();
	v = weir_limit_packet(p);
	if (v != WEIR_VERDICT_MORE)
		return v;
	is_syn = (p->tcp_flags & (WEIR_TCP_SYN | WEIR_TCP_ACK | WEIR_TCP_RST)) == WEIR_TCP_SYN;
	if (f && f->owner == WEIR_OWNER_KERNEL && !is_syn)
		return weir_lent_packet(ctx, s, f);
	v = weir_xdp_load(ctx, s);
	if (v != WEIR_VERDICT_MORE)
		return v;
	weir_options(s);
	if (f && f->owner == WEIR_OWNER_KERNEL) {
		/* a SYN: the socket answers it, if there is one */
		__u32 state = weir_socket_state(ctx, p);

		if (state && state != BPF_TCP_LISTEN)
			return WEIR_VERDICT_PASS_KERNEL_SYN;
		bpf_map_delete_elem(&weir_flows, &p->key);
		f = NULL;
	}
	if (!f) {
		v = no_flow(ctx, s, &f);
		if (v != WEIR_VERDICT_MORE || !f)
			return v;
	}
	return weir_owned_packet(ctx, s, f);
}

SEC("xdp")
int weir_xdp(struct xdp_md *ctx)
{
	struct weir_scratch *s = weir_scratch_get();

	return s ? weir_xdp_action(classify(ctx, s)) : XDP_PASS;
}
