/* SPDX-License-Identifier: GPL-2.0 */
/* Fills the maps of endpoints, pools and routes from a configuration. They may hold those of an earlier one, which
 * programs read meanwhile: each row of the new one is beside its predecessor until an endpoint takes the new table. */
#include "dataplane/dataplane_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

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
		      uint8_t buckets, uint16_t table)
{
	struct weir_endpoint e = {
		.id = l->id,
		.pool = default_pool(conf, l->port),
		.flags = WEIR_ENDPOINT_HTTP | (is_single(conf, l->port) ? WEIR_ENDPOINT_SINGLE : 0),
		.buckets = buckets,
		.table = table,
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

/* --- what an earlier configuration had --- */

#define KEY_BYTES_MAX 32

/* Deletes the rows of a hash map that is_stale() says so of. */
static void sweep(int fd, size_t key_bytes, bool (*is_stale)(const void *key, const void *arg), const void *arg)
{
	__attribute__((aligned(8))) char key[KEY_BYTES_MAX], next[KEY_BYTES_MAX];
	bool has_key = false;

	while (!bpf_map_get_next_key(fd, has_key ? key : NULL, next)) {
		/* then on from the last one that stays: where a row was that is gone, nobody knows */
		if (is_stale(next, arg) && !bpf_map_delete_elem(fd, next))
			continue;
		memcpy(key, next, key_bytes);
		has_key = true;
	}
}

static bool is_other_host(const void *key, const void *table)
{
	return ((const struct weir_host_key *)key)->table != *(const uint16_t *)table;
}

static bool is_other_route(const void *key, const void *table)
{
	return ((const struct weir_route_key *)key)->group >> 16 != *(const uint16_t *)table;
}

static bool is_other_endpoint(const void *key, const void *arg)
{
	const struct weir_endpoint_key *k = key;
	const struct weir_config *conf = arg;
	bool is_v6 = k->addr.word[0] || k->addr.word[1] || k->addr.word[2] != htonl(0xffff);
	size_t i;

	for (i = 0; i < conf->listens_count; i++) {
		const struct weir_conf_listen *l = &conf->listens[i];

		if (l->port == ntohs(k->port) && l->is_v6 == is_v6 &&
		    (l->is_any || !memcmp(&l->addr, &k->addr, sizeof(k->addr))))
			return false;
	}
	return true;
}

static void sweep_ids(const struct weir_dataplane *dp, const struct weir_config *conf)
{
	int fd = bpf_map__fd(dp->skel->maps.weir_ep_by_id);
	struct weir_endpoint none = {};
	uint32_t id;
	size_t i;

	for (id = 0; id < WEIR_ENDPOINTS_MAX; id++) {
		for (i = 0; i < conf->listens_count && conf->listens[i].id != id; i++)
			;
		if (i == conf->listens_count)
			(void)bpf_map_update_elem(fd, &id, &none, BPF_ANY);
	}
}

static void sweep_ports(const struct weir_dataplane *dp, const struct weir_config *conf)
{
	int fd = bpf_map__fd(dp->skel->maps.weir_ports);
	uint64_t bits[65536 / 64] = { 0 }, now;
	uint32_t word;
	size_t i;

	for (i = 0; i < conf->listens_count; i++)
		bits[conf->listens[i].port >> 6] |= 1ULL << (conf->listens[i].port & 63);
	for (word = 0; word < ARRAY_SIZE(bits); word++)
		if (!bpf_map_lookup_elem(fd, &word, &now) && now != bits[word])
			(void)bpf_map_update_elem(fd, &word, &bits[word], BPF_ANY);
}

static void sweep_all(const struct weir_dataplane *dp, const struct weir_config *conf, uint16_t table)
{
	sweep(bpf_map__fd(dp->skel->maps.weir_endpoints), sizeof(struct weir_endpoint_key), is_other_endpoint, conf);
	sweep_ids(dp, conf);
	sweep_ports(dp, conf);
	sweep(bpf_map__fd(dp->skel->maps.weir_hosts), sizeof(struct weir_host_key), is_other_host, &table);
	sweep(bpf_map__fd(dp->skel->maps.weir_routes), sizeof(struct weir_route_key), is_other_route, &table);
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
		r = put_listen(dp, conf, &conf->listens[i], routes->buckets[conf->listens[i].id], routes->table);
	if (r >= 0)
		sweep_all(dp, conf, routes->table);
	return r;
}
