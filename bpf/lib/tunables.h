/* SPDX-License-Identifier: GPL-2.0 */
/* Read-only data that the loader sets before the programs are loaded, from the sysctls of the network
 * namespace. Included by xdp.bpf.c alone: bpftool 7.1 mislays read-only data that two objects share. */
#ifndef WEIR_LIB_TUNABLES_H
#define WEIR_LIB_TUNABLES_H

#include "lib/base.h"

#define MSS_INDEX_MIN6 3 /* 1220 in the loader's table (userspace/dataplane/load.c) */

const volatile __u16 weir_mss_table[16] = { 0 }; /* bytes, rising; [0] stands for "below 536" */
const volatile __u16 weir_wnd_table[16] = { 0 }; /* receive window for each, bytes */
const volatile __u8 weir_use_ts = 1;	/* net.ipv4.tcp_timestamps */
const volatile __u8 weir_use_sack = 1;	/* net.ipv4.tcp_sack */
const volatile __u8 weir_use_wscale = 1; /* net.ipv4.tcp_window_scaling */
const volatile __u8 weir_rcv_wscale = 7; /* our shift */

#endif
