// SPDX-License-Identifier: GPL-2.0
/* For the server's end of a veth pair when the server is nginx: a veth delivers XDP_TX frames only to a
 * peer that has an XDP program too. */
#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

SEC("xdp")
int bench_pass(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}
