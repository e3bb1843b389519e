/* SPDX-License-Identifier: GPL-2.0 */
/* The maps of an instance whose supervisor is dead, or reloads, and whose workers serve, used again: flows, and cache,
 * tickets and queues of the pools that are kept go on as they are, only the programs are loaded anew. */
#include "dataplane/dataplane_priv.h"

#include <errno.h>
#include <string.h>

int dp_reuse_maps(struct weir_dataplane *dp, const struct weir_config *conf)
{
	struct bpf_map *map;
	char dir[128];
	int r;

	if (!dp->is_kept)
		return 0;
	r = dp_pin_dir(conf, dir);
	if (r < 0)
		return r;
	bpf_object__for_each_map(map, dp->skel->obj)
	{
		const char *name = bpf_map__name(map);
		_cleanup_close_ int fd = -1;

		if (strncmp(name, "weir_", 5) || !strncmp(name, "weir_type_", 10) || strchr(name, '.'))
			continue;
		fd = dp_pinned(dir, name);
		r = fd < 0 ? fd : bpf_map__reuse_fd(map, fd);
		if (r < 0)
			return r;
	}
	return 0;
}

int dp_reuse_pool(const struct weir_config *conf, const struct weir_conf_pool *p, struct dp_pool *dpp)
{
	static const char *const suffix[] = { "cache_s", "cache_m", "cache_l" };
	char name[64], dir[128];
	int c, r = dp_pin_dir(conf, dir);

	if (r < 0)
		return r;
	snprintf(name, sizeof(name), "pool_%s_tickets", p->name);
	dpp->tickets = dp_pinned(dir, name);
	snprintf(name, sizeof(name), "pool_%s_queue", p->name);
	dpp->queue_fd = dp_pinned(dir, name);
	if (dpp->tickets < 0 || dpp->queue_fd < 0)
		return -ENOENT;
	for (c = 0; c < WEIR_CLASS__MAX && p->kernel_cache; c++) {
		snprintf(name, sizeof(name), "pool_%s_%s", p->name, suffix[c]);
		dpp->entries[c] = MAX(p->entries[c], 16u);
		dpp->cache[c] = dp_pinned(dir, name);
		if (dpp->cache[c] < 0)
			return -ENOENT;
	}
	return dp_map_queue(dpp);
}

int dp_reuse_refusals(struct weir_dataplane *dp, const struct weir_config *conf)
{
	char dir[128];
	int r = dp_pin_dir(conf, dir);

	if (r < 0)
		return r;
	dp->pools[0].cache[0] = dp_pinned(dir, "refusals");
	return dp->pools[0].cache[0] < 0 ? dp->pools[0].cache[0] : 0;
}

int dp_reuse_secrets(struct weir_dataplane *dp)
{
	uint32_t zero = 0;

	if (bpf_map_lookup_elem(bpf_map__fd(dp->skel->maps.weir_secrets), &zero, &dp->secrets))
		return -errno;
	dp->cookie_rotated_ns = dp_now_ns();
	return 0;
}
