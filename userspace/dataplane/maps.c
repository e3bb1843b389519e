/* SPDX-License-Identifier: GPL-2.0 */
/* Sizes the maps, makes each pool's own cache and ticket maps, and fills endpoints, pools and routes. */
#include "dataplane/dataplane_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/mman.h>

#include "common/log.h"

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

int dp_maps_make_pools(struct weir_dataplane *dp, const struct weir_config *conf)
{
	const struct bpf_map *outer[] = { dp->skel->maps.weir_cache_s, dp->skel->maps.weir_cache_m,
					  dp->skel->maps.weir_cache_l };
	const struct bpf_map *like[] = { dp->skel->maps.weir_type_s, dp->skel->maps.weir_type_m,
					 dp->skel->maps.weir_type_l };
	size_t i;
	int r, c;

	for (i = 0; i < conf->pools_count; i++) {
		const struct weir_conf_pool *p = &conf->pools[i];
		struct dp_pool *dpp = &dp->pools[p->id];

		r = add_inner(dp, dp->skel->maps.weir_tickets, dp->skel->maps.weir_type_t, p->id, 't',
			      WEIR_TICKET_BUCKETS, &dpp->tickets);
		if (r >= 0)
			r = add_inner(dp, dp->skel->maps.weir_queues, dp->skel->maps.weir_type_q, p->id, 'q', 1,
				      &dpp->queue_fd);
		if (r >= 0)
			r = dp_map_queue(dpp);
		for (c = 0; r >= 0 && c < WEIR_CLASS__MAX && p->kernel_cache; c++) {
			dpp->entries[c] = MAX(p->entries[c], 16u);
			r = add_inner(dp, outer[c], like[c], p->id, "sml"[c], dpp->entries[c], &dpp->cache[c]);
		}
		if (r < 0)
			return r;
	}
	/* pool 0 serves nothing but the canned refusals */
	return add_inner(dp, outer[0], like[0], 0, 's', 64, &dp->pools[0].cache[0]);
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

static int put_endpoint(struct weir_dataplane *dp, const struct weir_conf_listen *l, const struct weir_addr *addr,
			const struct weir_endpoint *e)
{
	struct weir_endpoint_key k = { .addr = *addr, .port = htons(l->port) };

	return bpf_map_update_elem(bpf_map__fd(dp->skel->maps.weir_endpoints), &k, e, BPF_ANY) ? -errno : 0;
}

static bool mapped(const struct sockaddr *sa, bool is_v6, struct weir_addr *ret)
{
	if (!is_v6 && sa->sa_family == AF_INET) {
		ret->word[0] = ret->word[1] = 0;
		ret->word[2] = htonl(0xffff);
		ret->word[3] = ((const struct sockaddr_in *)sa)->sin_addr.s_addr;
		return true;
	}
	if (is_v6 && sa->sa_family == AF_INET6) {
		memcpy(ret, &((const struct sockaddr_in6 *)sa)->sin6_addr, 16);
		return true;
	}
	return false;
}

/* A wildcard listens on every address of this host: XDP must not take what the host would forward. */
static int put_wildcard(struct weir_dataplane *dp, const struct weir_conf_listen *l, const struct weir_endpoint *e)
{
	struct ifaddrs *all, *i;
	struct weir_addr addr;
	int r = 0;

	if (getifaddrs(&all))
		return -errno;
	for (i = all; i && r >= 0; i = i->ifa_next)
		if (i->ifa_addr && mapped(i->ifa_addr, l->is_v6, &addr))
			r = put_endpoint(dp, l, &addr, e);
	freeifaddrs(all);
	return r;
}

/* The pool for requests that XDP cannot route: that of the shortest weak prefix on the port, else any. */
static uint16_t default_pool(const struct weir_config *conf, uint16_t port)
{
	const struct weir_conf_prefix *best = NULL;
	size_t i;

	for (i = 0; i < conf->prefixes_count; i++) {
		const struct weir_conf_prefix *p = &conf->prefixes[i];

		if (p->port != port || !p->pool)
			continue;
		if (!best || p->bucket > best->bucket ||
		    (p->bucket == best->bucket && strlen(p->path) < strlen(best->path)))
			best = p;
	}
	return best ? best->pool : 0;
}

/* Does every request on this port belong to the same prefix? */
static bool is_single(const struct weir_config *conf, uint16_t port)
{
	size_t i, n = 0;
	bool is_all = false;

	for (i = 0; i < conf->prefixes_count; i++) {
		const struct weir_conf_prefix *p = &conf->prefixes[i];

		if (p->port != port)
			continue;
		n++;
		is_all = p->bucket == WEIR_BUCKET_WEAK && !strcmp(p->path, "/") && p->pool;
	}
	return n == 1 && is_all;
}

/* By id first: a packet may come as soon as the address is known. */
static int put_listen(struct weir_dataplane *dp, const struct weir_config *conf, const struct weir_conf_listen *l,
		      uint8_t buckets)
{
	struct weir_endpoint e = {
		.id = l->id,
		.pool = default_pool(conf, l->port),
		.flags = WEIR_ENDPOINT_HTTP | (is_single(conf, l->port) ? WEIR_ENDPOINT_SINGLE : 0),
		.buckets = buckets,
	};
	uint32_t id = l->id, word = l->port >> 6;
	int ports = bpf_map__fd(dp->skel->maps.weir_ports);
	uint64_t bits = 0;

	if (bpf_map_update_elem(bpf_map__fd(dp->skel->maps.weir_ep_by_id), &id, &e, BPF_ANY) ||
	    bpf_map_lookup_elem(ports, &word, &bits))
		return -errno;
	bits |= 1ULL << (l->port & 63);
	if (bpf_map_update_elem(ports, &word, &bits, BPF_ANY))
		return -errno;
	return l->is_any ? put_wildcard(dp, l, &e) : put_endpoint(dp, l, &l->addr, &e);
}

static int put_pool(struct weir_dataplane *dp, const struct weir_conf_pool *p)
{
	struct weir_pool v = {
		.state = WEIR_POOL_STARTED,
		.flags = p->kernel_cache ? WEIR_POOL_CACHED : 0,
		.first_slot = p->first_slot,
		.slots = p->slots,
		.encodings = weir_conf_pool_encodings(p),
	};
	uint32_t id = p->id;

	v.verbosity = WEIR_VERBOSITY_LIMITED;
	snprintf(v.name, sizeof(v.name), "%s", p->name);
	return bpf_map_update_elem(bpf_map__fd(dp->skel->maps.weir_pools), &id, &v, BPF_ANY) ? -errno : 0;
}

int weir_dataplane_configure(struct weir_dataplane *dp, const struct weir_config *conf,
			     const struct weir_route_compiled *routes)
{
	int hosts = bpf_map__fd(dp->skel->maps.weir_hosts), table = bpf_map__fd(dp->skel->maps.weir_routes);
	size_t i;
	int r = 0;

	for (i = 0; i < conf->pools_count && r >= 0; i++)
		r = put_pool(dp, &conf->pools[i]);
	for (i = 0; i < routes->routes_count && r >= 0; i++)
		if (bpf_map_update_elem(table, &routes->routes[i].key, &routes->routes[i].value, BPF_ANY))
			r = -errno;
	for (i = 0; i < routes->hosts_count && r >= 0; i++)
		if (bpf_map_update_elem(hosts, &routes->hosts[i].key, &routes->hosts[i].value, BPF_ANY))
			r = -errno;
	for (i = 0; i < conf->listens_count && r >= 0; i++)
		r = put_listen(dp, conf, &conf->listens[i], routes->buckets[conf->listens[i].id]);
	return r;
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
