// SPDX-License-Identifier: GPL-2.0
/* weir_steer: picks the listening socket of the pool, and of the worker slot, that the request of this flow is
 * for. Runs when the kernel looks for a listener of an endpoint's SO_REUSEPORT group: at hand-over, and for
 * connections that the kernel accepts itself (a SYN that met a socket in TIME-WAIT, or came where no XDP program is).
 * Their request is not known yet: they go to the endpoint's default pool, in whose queue weir_sock counts them. */
#include "lib/base.h"
#include "lib/flow.h"
#include "lib/queue.h"
#include "maps/endpoint.h"
#include "maps/flow.h"

static __always_inline bool read_key(struct sk_reuseport_md *md, struct weir_flow_key *k)
{
	__u16 ports[2];

	if (bpf_skb_load_bytes(md, 0, ports, sizeof(ports)))
		return false;
	k->client_port = ports[0];
	k->server_port = ports[1];
	if (md->eth_protocol == bpf_htons(ETH_P_IP)) {
		__be32 addrs[2];

		if (bpf_skb_load_bytes_relative(md, 12, addrs, sizeof(addrs), BPF_HDR_START_NET))
			return false;
		k->client.word[2] = bpf_htonl(0xffff);
		k->client.word[3] = addrs[0];
		k->server.word[2] = bpf_htonl(0xffff);
		k->server.word[3] = addrs[1];
		return true;
	}
	return md->eth_protocol == bpf_htons(ETH_P_IPV6) &&
	       !bpf_skb_load_bytes_relative(md, 8, &k->client, 32, BPF_HDR_START_NET);
}

SEC("sk_reuseport")
int weir_steer(struct sk_reuseport_md *md)
{
	struct weir_endpoint_key ek = {};
	struct weir_flow_key k = {};
	struct weir_endpoint *e;
	struct weir_flow *f;
	__u32 index;

	if (!read_key(md, &k))
		return SK_PASS;
	f = bpf_map_lookup_elem(&weir_flows, &k);
	if (flow_is_handed(f)) {
		index = f->endpoint * WEIR_SLOTS_MAX + f->slot;
	} else {
		ek.addr = k.server;
		ek.port = k.server_port;
		e = bpf_map_lookup_elem(&weir_endpoints, &ek);
		if (!e || !e->pool)
			return SK_PASS;
		index = e->id * WEIR_SLOTS_MAX + weir_pool_slot(e->pool);
	}
	/* Not there (slot being replaced): the kernel's hash picks another, whose worker passes it on. */
	bpf_sk_select_reuseport(md, &weir_sockets, &index, 0);
	return SK_PASS;
}
