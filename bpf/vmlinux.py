#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Trim `bpftool btf dump file /sys/kernel/btf/vmlinux format c` to the types that bpf/ reads.

Usage: vmlinux.py < full.h > vmlinux.h   (run by `make vmlinux`)

A type listed in WANTED is kept with everything it holds by value; what it only points to is
forward-declared. Line 1 of the result names the kernel and the command, as STYLE.md asks.
"""
import os
import re
import sys

WANTED = """ethhdr iphdr ipv6hdr tcphdr vlan_hdr xdp_md __sk_buff bpf_sock_ops sk_reuseport_md
bpf_sock bpf_sock_tuple tcp_sock bpf_tcp_req_attrs bpf_map_type xdp_action bpf_redir_neigh
bpf_devmap_val bpf_hdr_start_off sk_action sock""".split()

# Only passed on to a kfunc by pointer: their fields are never read.
OPAQUE = {"tcp_sock", "sock"}

DEF = re.compile(r"^(?:(struct|union|enum) (\w+) \{.*?^\}.*?;|typedef .*?;)\n", re.M | re.S)
ANON_ENUM = re.compile(r"^enum \{.*?^\};\n", re.M | re.S)
ENUM_KEEP = re.compile(r"\b(BPF_ANY|BPF_F_\w+|BPF_SOCK_OPS_\w+|BPF_TCP_\w+|BPF_NOEXIST)\b")


def load(text):
    tagged, typedefs = {}, {}
    for m in DEF.finditer(text):
        block = m.group(0)
        if m.group(2):
            tagged[m.group(2)] = block
            continue
        name = re.search(r"(\w+)(?:\[[^\]]*\])*;\n$", block) or re.search(r"\(\*(\w+)\)", block)
        if name:
            typedefs[name.group(1)] = block
    return tagged, typedefs


def main():
    text = sys.stdin.read()
    tagged, typedefs = load(text)
    order, seen, forward = [], set(), set()

    def need(name):
        if name in seen:
            return
        seen.add(name)
        if name in OPAQUE:
            order.append(f"struct {name} {{\n\t__u8 opaque[1];\n}};\n")
            return
        block = tagged.get(name) or typedefs.get(name)
        if not block:
            return
        for line in block.split("\n"):
            for kind, ref, star in re.findall(r"\b(struct|union|enum) (\w+)\b\s*(\**)", line):
                if ref == name:
                    continue
                if star and kind != "enum":
                    forward.add(f"{kind} {ref};")
                else:
                    need(ref)
            ref = re.match(r"(?:typedef )?\s*(\w+)\b", line)
            if ref and ref.group(1) in typedefs and ref.group(1) != name:
                need(ref.group(1))
        order.append(block)

    for name in ("__u8 __s8 __u16 __s16 __u32 __s32 __u64 __s64 __be16 __be32 __sum16 __wsum bool".split() + WANTED):
        need(name)
    print(f"/* Linux {os.uname().release.split('-')[0]}, by: make vmlinux (bpftool btf dump file "
          "/sys/kernel/btf/vmlinux format c | bpf/vmlinux.py). Do not edit or format. */")
    print("#ifndef __VMLINUX_H__\n#define __VMLINUX_H__\n")
    print("#ifndef BPF_NO_PRESERVE_ACCESS_INDEX\n#pragma clang attribute push "
          "(__attribute__((preserve_access_index)), apply_to = record)\n#endif\n")
    print("enum {\n\tfalse = 0,\n\ttrue = 1,\n};\n")
    for line in sorted(forward):
        print(line)
    print()
    for block in order:
        print(block)
    for m in ANON_ENUM.finditer(text):
        if ENUM_KEEP.search(m.group(0)):
            print(m.group(0))
    print("#ifndef BPF_NO_PRESERVE_ACCESS_INDEX\n#pragma clang attribute pop\n#endif\n\n#endif")


if __name__ == "__main__":
    main()
