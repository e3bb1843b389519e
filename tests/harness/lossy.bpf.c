// SPDX-License-Identifier: GPL-2.0
/* A bad link, as tc programs on both directions of one interface: drops some TCP packets, and sends some on a detour
 * from which lossy.c brings them back late, behind packets that were sent after them, or twice. Attached to the
 * client's end only, so that what the server does is undisturbed. Other protocols pass.
 * (Not bpf_clone_redirect() for duplicates: generic XDP does not look at a clone, skb_is_redirected().) */
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define TC_ACT_OK 0
#define TC_ACT_SHOT 2
#define TC_ACT_STOLEN 4
#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86DD

/* Of 10,000 packets, set before load. */
const volatile __u32 drop = 0;
const volatile __u32 detour = 0;
const volatile __u32 detour_ifindex = 0;

/* By direction: 0 out of the client, 1 into it. */
__u64 seen[2], dropped[2], detoured[2];

static __always_inline bool is_tcp(struct __sk_buff *skb)
{
	__u8 proto = 0;

	if (skb->protocol == bpf_htons(ETH_P_IP))
		(void)bpf_skb_load_bytes(skb, 14 + 9, &proto, 1);
	else if (skb->protocol == bpf_htons(ETH_P_IPV6))
		(void)bpf_skb_load_bytes(skb, 14 + 6, &proto, 1);
	return proto == 6;
}

static __always_inline bool happens(__u32 of_10000)
{
	return of_10000 && bpf_get_prandom_u32() % 10000 < of_10000;
}

static __always_inline int weather(struct __sk_buff *skb, int in)
{
	if (!is_tcp(skb))
		return TC_ACT_OK;
	__sync_fetch_and_add(&seen[in], 1);
	if (happens(drop)) {
		__sync_fetch_and_add(&dropped[in], 1);
		/* At egress SHOT would tell the local TCP that the segment was never sent. */
		return in ? TC_ACT_SHOT : TC_ACT_STOLEN;
	}
	if (happens(detour)) {
		__sync_fetch_and_add(&detoured[in], 1);
		return (int)bpf_redirect(detour_ifindex, 0);
	}
	return TC_ACT_OK;
}

SEC("tc")
int lossy_out(struct __sk_buff *skb)
{
	return weather(skb, 0);
}

SEC("tc")
int lossy_in(struct __sk_buff *skb)
{
	return weather(skb, 1);
}

char _license[] SEC("license") = "GPL";
