// SPDX-License-Identifier: GPL-2.0
/* weir_sock: sockops. Sees sockets of our endpoints come and go, and with them the kernel's ownership of flows:
 * a hand-over is done when its socket exists; a flow ends with its socket unless XDP took it back. */
#include "lib/base.h"
#include "lib/flow.h"
#include "lib/queue.h"
#include "maps/endpoint.h"
#include "maps/flow.h"

/* Sockets of the whole cgroup come by; those of other network namespaces may have the same addresses. Set at load. */
const volatile __u64 weir_netns = 0;

/* In the IPv4 branch the loads are hidden from clang 14, which else merges the tails of both branches into one load at
 * a computed offset: the verifier refuses that for a context ("dereference of modified ctx ptr"). */
static __always_inline bool read_key(struct bpf_sock_ops *ops, struct weir_flow_key *k)
{
	/* remote_port is in network byte order in the low half on some kernels and the high half on others: the
	 * context access converts so that bpf_ntohl() gives the port. local_port is in host order. */
	k->client_port = bpf_htons((__u16)bpf_ntohl(ops->remote_port));
	k->server_port = bpf_htons((__u16)ops->local_port);
	if (ops->family == AF_INET) {
		__be32 remote = ops->remote_ip4, local = ops->local_ip4;

		opaque(remote);
		opaque(local);
		k->client.word[2] = bpf_htonl(0xffff);
		k->client.word[3] = remote;
		k->server.word[2] = bpf_htonl(0xffff);
		k->server.word[3] = local;
		return true;
	}
	if (ops->family != AF_INET6)
		return false;
	k->client.word[0] = ops->remote_ip6[0];
	k->client.word[1] = ops->remote_ip6[1];
	k->client.word[2] = ops->remote_ip6[2];
	k->client.word[3] = ops->remote_ip6[3];
	k->server.word[0] = ops->local_ip6[0];
	k->server.word[1] = ops->local_ip6[1];
	k->server.word[2] = ops->local_ip6[2];
	k->server.word[3] = ops->local_ip6[3];
	return true;
}

static __always_inline struct weir_endpoint *endpoint_of(const struct weir_flow_key *k)
{
	struct weir_endpoint_key ek = { .addr = k->server, .port = k->server_port };

	return bpf_map_lookup_elem(&weir_endpoints, &ek);
}

/* A socket exists: the kernel owns the flow. */
static __always_inline void established(struct bpf_sock_ops *ops, const struct weir_flow_key *k,
					const struct weir_endpoint *e)
{
	struct weir_flow *f = bpf_map_lookup_elem(&weir_flows, k);
	struct weir_pool_stats *st;
	struct weir_flow born = {};
	__u64 nxt;

	if (flow_is_handed(f)) {
		nxt = (__u64)f->base_snd << 32 | (f->base_rcv + f->req_bytes);
		*(volatile __u64 *)&f->rcv_nxt = nxt;
		f->flags &= (__u8) ~(WEIR_FLOW_PENDING | WEIR_FLOW_CLOSING);
		f->owner = WEIR_OWNER_KERNEL;
		weir_queue_arrive(f->pool);
		st = weir_stats_of(f->pool);
		if (st)
			st->handovers++;
	} else {
		born.owner = WEIR_OWNER_KERNEL;
		born.flags = WEIR_FLOW_NO_SEIZE;
		born.endpoint = e->id;
		born.pool = e->pool; /* as weir_steer has it */
		born.created_ns = bpf_ktime_get_ns();
		born.seen_ns = born.created_ns;
		bpf_map_update_elem(&weir_flows, k, &born, BPF_ANY);
		weir_queue_arrive(e->pool);
	}
	bpf_sock_ops_cb_flags_set(ops, ops->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
}

/* The socket leaves ESTABLISHED: no seize any more; at CLOSE the flow ends with it. */
static __always_inline void state_changed(const struct weir_flow_key *k, __u32 state)
{
	struct weir_flow *f = bpf_map_lookup_elem(&weir_flows, k);

	if (!f || f->owner != WEIR_OWNER_KERNEL || state == BPF_TCP_ESTABLISHED)
		return;
	f->flags |= WEIR_FLOW_CLOSING;
	if (state == BPF_TCP_CLOSE)
		bpf_map_delete_elem(&weir_flows, k);
}

SEC("sockops")
int weir_sock(struct bpf_sock_ops *ops)
{
	struct weir_flow_key k = {};
	struct weir_endpoint *e;
	__u32 op = ops->op;

	if (op != BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB && op != BPF_SOCK_OPS_STATE_CB)
		return 1;
	if (bpf_get_netns_cookie(ops) != weir_netns || !read_key(ops, &k))
		return 1;
	e = endpoint_of(&k);
	if (!e)
		return 1;
	if (op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB)
		established(ops, &k, e);
	else
		state_changed(&k, ops->args[1]);
	return 1;
}
