/* SPDX-License-Identifier: GPL-2.0 */
/* The version of the contract between kernel and user space, and where its objects are pinned.
 * A change of any map value's layout bumps the version; the loader refuses pins of another one. */
#ifndef WEIR_ABI_H
#define WEIR_ABI_H

#define WEIR_ABI_VERSION 5
#define WEIR_BPFFS "/sys/fs/bpf"
#define WEIR_PIN_ROOT WEIR_BPFFS "/weir"

#endif
