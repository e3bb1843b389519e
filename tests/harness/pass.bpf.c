// SPDX-License-Identifier: GPL-2.0
/* XDP_PASS for the client's end of a veth pair: veth delivers XDP_TX frames only to a peer that has a program. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

SEC("xdp")
int weir_pass(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
