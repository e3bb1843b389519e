/* SPDX-License-Identifier: GPL-2.0 */
/* What every program includes: kernel types, helpers, and the few macros that keep clang and the
 * verifier agreed. */
#ifndef WEIR_LIB_BASE_H
#define WEIR_LIB_BASE_H

#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "weir/limits.h"
#include "weir/types.h"

#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86DD
#define ETH_P_8021Q 0x8100
#define ETH_P_8021AD 0x88A8
#define IPPROTO_TCP 6
#define AF_INET 2
#define AF_INET6 10
#define TC_ACT_OK 0
#define TC_ACT_SHOT 2
#define EINVAL 22
#define BPF_RB_NO_WAKEUP 1

#define NULL ((void *)0)
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define barrier() asm volatile("" ::: "memory")

/* Hides a value from clang's range analysis, so that a mask that follows is really emitted and the
 * verifier sees the bound (clang 14 folds masks it thinks redundant). Test: bpf/xdp_*.c load at all. */
#define opaque(x) asm volatile("" : "+r"(x))

/* before(a, b) in sequence space, RFC 9293 3.4. */
static __always_inline bool seq_before(__u32 a, __u32 b)
{
	return (__s32)(a - b) < 0;
}

static __always_inline bool seq_after(__u32 a, __u32 b)
{
	return (__s32)(b - a) < 0;
}

#endif
