/* SPDX-License-Identifier: GPL-2.0 */
/* Raw bpf(2), because only userspace/dataplane links against libbpf's idea of the world. */
#include "common/bpf_map.h"

#include <assert.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int element_flags(enum bpf_cmd cmd, int fd, const void *key, const void *value, uint64_t flags)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_fd = (uint32_t)fd;
	attr.key = (uint64_t)(uintptr_t)key;
	attr.value = (uint64_t)(uintptr_t)value;
	attr.flags = flags;
	return syscall(SYS_bpf, cmd, &attr, sizeof(attr)) < 0 ? -errno : 0;
}

static int element(enum bpf_cmd cmd, int fd, const void *key, const void *value)
{
	return element_flags(cmd, fd, key, value, 0);
}

int weir_bpf_map_lookup(int fd, const void *key, void *ret_value)
{
	return element(BPF_MAP_LOOKUP_ELEM, fd, key, ret_value);
}

int weir_bpf_map_update(int fd, const void *key, const void *value)
{
	return element(BPF_MAP_UPDATE_ELEM, fd, key, value);
}

int weir_bpf_map_insert(int fd, const void *key, const void *value)
{
	return element_flags(BPF_MAP_UPDATE_ELEM, fd, key, value, BPF_NOEXIST);
}

int weir_bpf_map_delete(int fd, const void *key)
{
	return element(BPF_MAP_DELETE_ELEM, fd, key, NULL);
}

int weir_bpf_map_next_key(int fd, const void *key, void *ret_next)
{
	return element(BPF_MAP_GET_NEXT_KEY, fd, key, ret_next);
}

size_t weir_bpf_map_clear(int fd, size_t key_bytes)
{
	uint64_t keys[2][8];
	size_t deleted = 0;
	int r, now = 0;

	assert(key_bytes <= sizeof(keys[0]));
	r = weir_bpf_map_next_key(fd, NULL, keys[now]);
	/* The successor is asked for first: without its predecessor the walk would start over each time. */
	while (r == 0) {
		r = weir_bpf_map_next_key(fd, keys[now], keys[!now]);
		if (weir_bpf_map_delete(fd, keys[now]) == 0)
			deleted++;
		now = !now;
	}
	return deleted;
}
