/* SPDX-License-Identifier: GPL-2.0 */
/* Fixed-width types for both sides of the contract: from BTF in BPF programs, from the kernel's
 * user headers elsewhere. Every other header of include/weir starts from this one. */
#ifndef WEIR_TYPES_H
#define WEIR_TYPES_H

#ifdef __bpf__
#include "vmlinux.h"
#else
#include <linux/types.h>
#endif

#define WEIR_INLINE static inline __attribute__((always_inline, unused))

#endif
