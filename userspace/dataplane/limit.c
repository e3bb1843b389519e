/* SPDX-License-Identifier: GPL-2.0 */
/* Writes and reads the maps of protection: access list, limits, sources. */
#include "dataplane/dataplane_priv.h"

#include <errno.h>
#include <string.h>

static int acl_fd(struct weir_dataplane *dp)
{
	return bpf_map__fd(dp->skel->maps.weir_acl);
}

int weir_dataplane_limits_get(struct weir_dataplane *dp, struct weir_limits *ret)
{
	uint32_t zero = 0;

	return bpf_map_lookup_elem(bpf_map__fd(dp->skel->maps.weir_limits), &zero, ret) ? -errno : 0;
}

int weir_dataplane_limits_set(struct weir_dataplane *dp, const struct weir_limits *l)
{
	struct weir_acl_key first;
	struct weir_limits now = *l;
	uint32_t zero = 0;

	/* flags last: XDP looks at nothing that is not there */
	now.flags = bpf_map_get_next_key(acl_fd(dp), NULL, &first) == 0 ? WEIR_LIMIT_ACL : 0;
	if (l->syn.interval_ns || l->request.interval_ns || l->kilobyte.interval_ns || l->connections)
		now.flags |= WEIR_LIMIT_RATES;
	return bpf_map_update_elem(bpf_map__fd(dp->skel->maps.weir_limits), &zero, &now, BPF_ANY) ? -errno : 0;
}

static int refresh_flags(struct weir_dataplane *dp)
{
	struct weir_limits l;
	int r = weir_dataplane_limits_get(dp, &l);

	return r < 0 ? r : weir_dataplane_limits_set(dp, &l);
}

int weir_dataplane_acl_set(struct weir_dataplane *dp, const struct weir_acl_key *key, enum weir_acl_action action)
{
	struct weir_acl row = { .action = action };

	return bpf_map_update_elem(acl_fd(dp), key, &row, BPF_ANY) ? -errno : refresh_flags(dp);
}

int weir_dataplane_acl_remove(struct weir_dataplane *dp, const struct weir_acl_key *key)
{
	return bpf_map_delete_elem(acl_fd(dp), key) ? -errno : refresh_flags(dp);
}

int weir_dataplane_acl_each(struct weir_dataplane *dp,
			    int (*fn)(const struct weir_acl_key *k, const struct weir_acl *row, void *arg), void *arg)
{
	struct weir_acl_key key, next;
	bool has_key = false;
	struct weir_acl row;
	int r = 0;

	while (!r && !bpf_map_get_next_key(acl_fd(dp), has_key ? &key : NULL, &next)) {
		if (!bpf_map_lookup_elem(acl_fd(dp), &next, &row))
			r = fn(&next, &row, arg);
		key = next;
		has_key = true;
	}
	return r;
}

int weir_dataplane_acl_clear(struct weir_dataplane *dp)
{
	struct weir_acl_key key;

	while (!bpf_map_get_next_key(acl_fd(dp), NULL, &key))
		if (bpf_map_delete_elem(acl_fd(dp), &key))
			return -errno;
	return refresh_flags(dp);
}

int weir_dataplane_source_each(struct weir_dataplane *dp,
			       int (*fn)(const struct weir_addr *a, struct weir_source *s, void *arg), void *arg)
{
	int fd = bpf_map__fd(dp->skel->maps.weir_rate), r = 0;
	struct weir_addr key, next;
	struct weir_source s;
	bool has_key = false;

	while (r >= 0 && !bpf_map_get_next_key(fd, has_key ? &key : NULL, &next)) {
		if (!bpf_map_lookup_elem(fd, &next, &s)) {
			r = fn(&next, &s, arg);
			if (r > 0 && bpf_map_update_elem(fd, &next, &s, BPF_EXIST))
				r = -errno == -ENOENT ? 0 : -errno;
		}
		key = next;
		has_key = true;
	}
	return r < 0 ? r : 0;
}
