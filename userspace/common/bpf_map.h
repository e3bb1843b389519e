/* SPDX-License-Identifier: GPL-2.0 */
/* Elements of BPF maps by inherited descriptor: the four commands of bpf(2) that an unprivileged worker may
 * use. Keys and values are as wide as the map says. Any thread. -EBADF when `fd` is -1. */
#ifndef WEIR_COMMON_BPF_MAP_H
#define WEIR_COMMON_BPF_MAP_H

#include <stddef.h>

/* -ENOENT: no such key. */
int weir_bpf_map_lookup(int fd, const void *key, void *ret_value);
/* Creates or replaces. -ENOMEM, -E2BIG: the map is full. */
int weir_bpf_map_update(int fd, const void *key, const void *value);
/* Creates. -EEXIST: the key is there, and keeps its value. */
int weir_bpf_map_insert(int fd, const void *key, const void *value);
/* -ENOENT: no such key. */
int weir_bpf_map_delete(int fd, const void *key);
/* `key` NULL: the first. -ENOENT: that was the last. A key that is gone starts over. */
int weir_bpf_map_next_key(int fd, const void *key, void *ret_next);

/* Deletes every element of a map with keys of `key_bytes` (up to 64). Returns how many. What others add
 * meanwhile may stay. */
size_t weir_bpf_map_clear(int fd, size_t key_bytes);

#endif
