/* SPDX-License-Identifier: GPL-2.0 */
/* Inside of the dataplane folder. */
#ifndef WEIR_DATAPLANE_PRIV_H
#define WEIR_DATAPLANE_PRIV_H

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "dataplane/dataplane.h"
#include "weir.skel.h"

#define DP_IFACES_MAX 64

struct dp_iface {
	struct weir_dataplane_iface pub;
	int xdp_link;	 /* bpf_link; -1 */
	bool is_tc_attached;
	bool made_qdisc; /* the clsact qdisc is ours */
};

struct dp_pool {
	int cache[WEIR_CLASS__MAX]; /* inner maps; -1 */
	unsigned entries[WEIR_CLASS__MAX];
	int tickets;
	int queue_fd;
	struct weir_queue *queue; /* mapped */
};

struct weir_dataplane {
	struct weir_bpf *skel;
	const bool *is_kept;	/* while loading: pools whose maps are used on; NULL: nothing is */
	char pin_dir[128];	/* /sys/fs/bpf/weir/<name>; empty: no pins */
	int sock_link;		/* cgroup link of weir_sock; -1 */
	struct dp_iface ifaces[DP_IFACES_MAX];
	struct weir_dataplane_iface pub[DP_IFACES_MAX];
	size_t ifaces_count;
	struct dp_pool pools[WEIR_POOLS_MAX];
	struct weir_secrets secrets;
	struct weir_clock *clock; /* the mapped element of weir_clock */
	uint64_t cookie_rotated_ns;
	uint64_t swept_ns;
};

/* maps.c */
int dp_maps_size(struct weir_dataplane *dp, const struct weir_config *conf);
int dp_maps_make_pools(struct weir_dataplane *dp, const struct weir_config *conf);
void dp_maps_close_pools(struct weir_dataplane *dp);

/* pin.c: pins are for people with bpftool and for the next start; without bpffs there are none. */
int dp_pin(struct weir_dataplane *dp, const struct weir_config *conf);
/* What belongs to each pool, in the place of what a pool of that name had: once nothing can fail any more. */
int dp_pin_pools(struct weir_dataplane *dp, const struct weir_config *conf);
void dp_pin_link(const struct weir_dataplane *dp, const char *name, int fd);
int dp_pinned(const char *dir, const char *name); /* a descriptor, or -errno */
/* Links: takes those that are pinned off their hooks, but for `keep` (pin names; may be NULL). */
void dp_unlink(const char *dir, bool (*keep)(const char *name, void *arg), void *arg);
void dp_unpin_pool(const struct weir_dataplane *dp, const char *pool);
/* reuse.c: before load, the pinned maps; after load, those of a pool, of the refusals, and the secrets. */
int dp_reuse_maps(struct weir_dataplane *dp, const struct weir_config *conf);
int dp_reuse_pool(const struct weir_config *conf, const struct weir_conf_pool *p, struct dp_pool *dpp);
int dp_reuse_refusals(struct weir_dataplane *dp, const struct weir_config *conf);
int dp_reuse_secrets(struct weir_dataplane *dp);
int dp_map_queue(struct dp_pool *p);
void dp_unpin(const char *dir);
int dp_pin_dir(const struct weir_config *conf, char ret_dir[128]);

/* attach.c */
void dp_detach(struct weir_dataplane *dp);
bool dp_iface_is_local(const char *name);
void dp_drop_filter(int link); /* the tc filter beside an XDP link, which is about to go */
int dp_find_cgroup(char ret_path[256]);

/* filters.c: does the interface's clsact qdisc carry filters of another priority? True also when unknown. */
bool dp_tc_has_others(unsigned ifindex, uint32_t priority);

/* load.c: libbpf's messages only at debug level. */
void dp_quiet(void);

/* load.c: number in /proc/sys, `fallback` if it cannot be read. */
long dp_sysctl(const char *path, long fallback);

/* clock.c */
int dp_clock_map(struct weir_dataplane *dp);
void dp_clock_set(struct weir_dataplane *dp);
uint64_t dp_now_ns(void);

int dp_secrets_init(struct weir_dataplane *dp);
void dp_secrets_rotate(struct weir_dataplane *dp);

void dp_sweep(struct weir_dataplane *dp);

/* Rows of `weir doctor` that are being filled. */
struct dp_probes {
	struct weir_probe *rows;
	size_t count, max;
};
void dp_probe_add(struct dp_probes *rs, const char *what, bool is_ok, bool is_needed, const char *fmt, ...)
	_printf_(5, 6);
/* probe_iface.c: what one interface can do. */
void dp_probe_iface(struct dp_probes *rs, const char *name);

#endif
