/* SPDX-License-Identifier: GPL-2.0 */
/* Turns the prefixes into the rows of the kernel's two route maps. Prefixes that differ only in their path share a
 * group; a group has one host row for each endpoint with its port, and one route row for each path. */
#include "route/route.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "weir/key.h"

struct builder {
	const struct weir_config *conf;
	uint16_t table;
	struct weir_route_compiled out;
};

static int by_group(const void *a, const void *b)
{
	return weir_conf_prefix_compare_group(*(const struct weir_conf_prefix *const *)a,
					      *(const struct weir_conf_prefix *const *)b);
}

static uint64_t host_digest(const struct weir_conf_prefix *p, const __u64 secret[2])
{
	switch (p->bucket) {
	case WEIR_BUCKET_HOST:
	case WEIR_BUCKET_SUBDOMAIN:
		return weir_host_digest(secret, p->host, (__u32)strlen(p->host));
	case WEIR_BUCKET_IP:
		return weir_host_digest(secret, &p->addr, sizeof(p->addr));
	default:
		return 0;
	}
}

/* Adds the host rows of a group: one for each endpoint that has its port. */
static int add_hosts(struct builder *b, const struct weir_conf_prefix *p, const __u64 secret[2],
		     const struct weir_host *value)
{
	size_t i;

	for (i = 0; i < b->conf->listens_count; i++) {
		const struct weir_conf_listen *l = &b->conf->listens[i];
		struct weir_route_host_row *rows;

		if (l->port != p->port)
			continue;
		if (b->out.hosts_count == WEIR_HOSTS_MAX)
			return -E2BIG;
		rows = reallocarray(b->out.hosts, b->out.hosts_count + 1, sizeof(*rows));
		if (!rows)
			return -ENOMEM;
		b->out.hosts = rows;
		rows[b->out.hosts_count++] = (struct weir_route_host_row){
			.key = { .digest = host_digest(p, secret), .endpoint = l->id, .table = b->table,
				 .bucket = (__u8)p->bucket },
			.value = *value,
		};
		b->out.buckets[l->id] |= (uint8_t)(1U << p->bucket);
	}
	return 0;
}

/* Adds the route row of one path; sets its depth's bit. */
static int add_route(struct builder *b, const struct weir_conf_prefix *p, const __u64 secret[2],
		     struct weir_host *group)
{
	struct weir_route_row *row = &b->out.routes[b->out.routes_count];
	const char *segment = p->path + 1;
	uint64_t digest = 0;
	uint32_t depth = 0;

	while (*segment) {
		size_t bytes = strcspn(segment, "/");

		digest = weir_segment_digest(secret, digest, segment, (__u32)bytes);
		segment += bytes + (segment[bytes] == '/');
		depth++;
	}
	if (depth > WEIR_DEPTH_MAX)
		return -E2BIG;
	*row = (struct weir_route_row){
		.key = { .digest = digest, .group = group->group, .depth = depth },
		.value = { .pool = p->pool, .id = p->id },
	};
	b->out.routes_count++;
	if (group->depths >> WEIR_HOST_DEEPEST_SHIFT < depth)
		group->depths = (group->depths & ((1U << WEIR_HOST_DEEPEST_SHIFT) - 1)) |
				depth << WEIR_HOST_DEEPEST_SHIFT;
	group->depths |= 1U << depth;
	return 0;
}

static int compile_groups(struct builder *b, const struct weir_conf_prefix **sorted, const __u64 secret[2])
{
	size_t i, end, count = b->conf->prefixes_count;
	struct weir_host group = { .group = (__u32)b->table << 16 };
	int r;

	for (i = 0; i < count; i = end) {
		if (sorted[i]->host && strlen(sorted[i]->host) > WEIR_HOST_MAX)
			return -E2BIG;
		group.depths = 0;
		for (end = i; end < count && by_group(&sorted[i], &sorted[end]) == 0; end++) {
			r = add_route(b, sorted[end], secret, &group);
			if (r < 0)
				return r;
		}
		r = add_hosts(b, sorted[i], secret, &group);
		if (r < 0)
			return r;
		group.group++;
	}
	return 0;
}

int weir_route_compile(const struct weir_config *conf, const uint64_t secret[2], uint16_t table,
		       struct weir_route_compiled *ret)
{
	_cleanup_free_ const struct weir_conf_prefix **sorted = NULL;
	const __u64 key[2] = { secret[0], secret[1] };
	struct builder b = { .conf = conf, .table = table, .out.table = table };
	size_t i, count = conf->prefixes_count;
	int r = 0;

	assert(ret);
	if (count > WEIR_ROUTES_MAX)
		return -E2BIG;
	sorted = calloc(count + 1, sizeof(*sorted));
	b.out.routes = calloc(count + 1, sizeof(*b.out.routes));
	if (!sorted || !b.out.routes)
		r = -ENOMEM;
	for (i = 0; r == 0 && i < count; i++)
		sorted[i] = &conf->prefixes[i];
	if (r == 0) {
		qsort(sorted, count, sizeof(*sorted), by_group);
		r = compile_groups(&b, sorted, key);
	}
	if (r < 0) {
		weir_route_compiled_fini(&b.out);
		return r;
	}
	*ret = b.out;
	return 0;
}

void weir_route_compiled_fini(struct weir_route_compiled *c)
{
	free(c->hosts);
	free(c->routes);
	*c = (struct weir_route_compiled){};
}
