/* SPDX-License-Identifier: GPL-2.0 */
/* Sizes the maps, and makes, fills and drops each pool's own: cache, tickets, queue. */
#include "dataplane/dataplane_priv.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

int dp_maps_size(struct weir_dataplane *dp, const struct weir_config *conf)
{
	return bpf_map__set_max_entries(dp->skel->maps.weir_flows, MAX(conf->flows, 1024u));
}

/* Puts a new inner map with the types of `like`, named after pool and purpose, into `outer`. */
static int add_inner(struct weir_dataplane *dp, const struct bpf_map *outer, const struct bpf_map *like, uint32_t pool,
		     char letter, unsigned entries, int *ret_fd)
{
	bool is_array = bpf_map__type(like) == BPF_MAP_TYPE_ARRAY;
	LIBBPF_OPTS(bpf_map_create_opts, o, .btf_fd = bpf_object__btf_fd(dp->skel->obj),
		    .btf_key_type_id = bpf_map__btf_key_type_id(like),
		    .btf_value_type_id = bpf_map__btf_value_type_id(like),
		    .map_flags = is_array ? BPF_F_MMAPABLE : 0);
	_cleanup_close_ int fd = -1;
	char name[16];

	snprintf(name, sizeof(name), "weir_p%u_%c", pool, letter);
	fd = bpf_map_create(bpf_map__type(like), name, bpf_map__key_size(like), bpf_map__value_size(like), entries, &o);
	if (fd < 0)
		return fd;
	if (bpf_map_update_elem(bpf_map__fd(outer), &pool, &fd, BPF_ANY))
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int dp_map_queue(struct dp_pool *p)
{
	void *m = mmap(NULL, sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_SHARED, p->queue_fd, 0);

	if (m == MAP_FAILED)
		return -errno;
	p->queue = m;
	return 0;
}

/* A pool id may have been another pool's before. */
static int clear_stats(struct weir_dataplane *dp, uint32_t pool)
{
	int cpus = libbpf_num_possible_cpus();
	_cleanup_free_ struct weir_pool_stats *none = cpus > 0 ? calloc((size_t)cpus, sizeof(*none)) : NULL;

	if (!none)
		return cpus < 0 ? cpus : -ENOMEM;
	return bpf_map_update_elem(bpf_map__fd(dp->skel->maps.weir_pool_stats), &pool, none, BPF_ANY) ? -errno : 0;
}

static int make_pool(struct weir_dataplane *dp, const struct weir_conf_pool *p)
{
	const struct bpf_map *outer[] = { dp->skel->maps.weir_cache_s, dp->skel->maps.weir_cache_m,
					  dp->skel->maps.weir_cache_l };
	const struct bpf_map *like[] = { dp->skel->maps.weir_type_s, dp->skel->maps.weir_type_m,
					 dp->skel->maps.weir_type_l };
	struct dp_pool *dpp = &dp->pools[p->id];
	int r, c;

	r = add_inner(dp, dp->skel->maps.weir_tickets, dp->skel->maps.weir_type_t, p->id, 't', WEIR_TICKET_BUCKETS,
		      &dpp->tickets);
	if (r >= 0)
		r = add_inner(dp, dp->skel->maps.weir_queues, dp->skel->maps.weir_type_q, p->id, 'q', 1,
			      &dpp->queue_fd);
	if (r >= 0)
		r = dp_map_queue(dpp);
	for (c = 0; r >= 0 && c < WEIR_CLASS__MAX && p->kernel_cache; c++) {
		dpp->entries[c] = MAX(p->entries[c], 16u);
		r = add_inner(dp, outer[c], like[c], p->id, "sml"[c], dpp->entries[c], &dpp->cache[c]);
	}
	return r < 0 ? r : clear_stats(dp, p->id);
}

int dp_maps_make_pools(struct weir_dataplane *dp, const struct weir_config *conf)
{
	size_t i;
	int r = 0;

	for (i = 0; i < conf->pools_count && r >= 0; i++) {
		const struct weir_conf_pool *p = &conf->pools[i];

		r = dp->is_kept && dp->is_kept[p->id] ? dp_reuse_pool(conf, p, &dp->pools[p->id]) : make_pool(dp, p);
	}
	if (r < 0)
		return r;
	/* pool 0 serves nothing but the canned refusals */
	return dp->is_kept ? dp_reuse_refusals(dp, conf) :
			     add_inner(dp, dp->skel->maps.weir_cache_s, dp->skel->maps.weir_type_s, 0, 's', 64,
				       &dp->pools[0].cache[0]);
}

void dp_maps_close_pools(struct weir_dataplane *dp)
{
	int i, c;

	for (i = 0; i < WEIR_POOLS_MAX; i++) {
		weir_closep(&dp->pools[i].tickets);
		weir_closep(&dp->pools[i].queue_fd);
		if (dp->pools[i].queue)
			munmap(dp->pools[i].queue, sysconf(_SC_PAGESIZE));
		for (c = 0; c < WEIR_CLASS__MAX; c++)
			weir_closep(&dp->pools[i].cache[c]);
	}
}

void weir_dataplane_pool_fds(struct weir_dataplane *dp, uint16_t pool, int *ret_cache, int *ret_tickets,
			     int *ret_queue)
{
	memcpy(ret_cache, dp->pools[pool].cache, sizeof(dp->pools[pool].cache));
	*ret_tickets = dp->pools[pool].tickets;
	*ret_queue = dp->pools[pool].queue_fd;
}

int weir_dataplane_clock_fd(struct weir_dataplane *dp)
{
	return bpf_map__fd(dp->skel->maps.weir_clock);
}

struct weir_queue *weir_dataplane_queue(struct weir_dataplane *dp, uint16_t pool)
{
	return pool < WEIR_POOLS_MAX ? dp->pools[pool].queue : NULL;
}

int weir_dataplane_set_pool(struct weir_dataplane *dp, uint16_t pool, enum weir_refusal refusal,
			    enum weir_verbosity verbosity, uint32_t queue_limit)
{
	int fd = bpf_map__fd(dp->skel->maps.weir_pools);
	uint32_t id = pool;
	struct weir_pool v;

	if (bpf_map_lookup_elem(fd, &id, &v))
		return -errno;
	v.refusal = refusal;
	v.verbosity = verbosity;
	v.queue_limit = queue_limit;
	return bpf_map_update_elem(fd, &id, &v, BPF_ANY) ? -errno : 0;
}

int weir_dataplane_put_refusal(struct weir_dataplane *dp, enum weir_refusal refusal, enum weir_verbosity verbosity,
			       const struct weir_entry_s *value)
{
	struct weir_cache_key key = { { refusal, verbosity } };

	return bpf_map_update_elem(dp->pools[0].cache[0], &key, value, BPF_ANY) ? -errno : 0;
}

const uint64_t *weir_dataplane_cache_secret(struct weir_dataplane *dp)
{
	return (const uint64_t *)dp->secrets.cache_key;
}

int weir_dataplane_add_socket(struct weir_dataplane *dp, uint16_t endpoint, uint32_t slot, int fd)
{
	uint32_t index = endpoint * WEIR_SLOTS_MAX + slot;
	int prog = bpf_program__fd(dp->skel->progs.weir_steer);
	uint64_t value = fd;

	if (bpf_map_update_elem(bpf_map__fd(dp->skel->maps.weir_sockets), &index, &value, BPF_ANY))
		return -errno;
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, &prog, sizeof(prog)) ? -errno : 0;
}

void weir_dataplane_forget_pool(struct weir_dataplane *dp, uint16_t pool, const char *name)
{
	const struct bpf_map *outer[] = { dp->skel->maps.weir_cache_s, dp->skel->maps.weir_cache_m,
					  dp->skel->maps.weir_cache_l, dp->skel->maps.weir_tickets,
					  dp->skel->maps.weir_queues };
	struct weir_pool none = {};
	uint32_t id = pool;
	size_t i;

	(void)bpf_map_update_elem(bpf_map__fd(dp->skel->maps.weir_pools), &id, &none, BPF_ANY);
	for (i = 0; i < ARRAY_SIZE(outer); i++)
		(void)bpf_map_delete_elem(bpf_map__fd(outer[i]), &id);
	if (name)
		dp_unpin_pool(dp, name);
}
