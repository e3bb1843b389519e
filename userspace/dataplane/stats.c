/* SPDX-License-Identifier: GPL-2.0 */
/* Reads what the programs count, and the cache and flow maps, for the control socket. */
#include "dataplane/dataplane_priv.h"

#include <errno.h>
#include <string.h>

#define CPUS_MAX 1024

static uint64_t sum_u64(int fd, uint32_t key)
{
	static uint64_t values[CPUS_MAX];
	int cpus = libbpf_num_possible_cpus(), i;
	uint64_t sum = 0;

	if (cpus > CPUS_MAX || bpf_map_lookup_elem(fd, &key, values))
		return 0;
	for (i = 0; i < cpus; i++)
		sum += values[i];
	return sum;
}

uint64_t weir_dataplane_verdict(struct weir_dataplane *dp, enum weir_verdict v)
{
	return sum_u64(bpf_map__fd(dp->skel->maps.weir_verdicts), v);
}

struct flow_counts {
	uint64_t xdp, kernel;
};

static int count_flow(const struct weir_flow_key *k, const struct weir_flow *f, void *arg)
{
	struct flow_counts *n = arg;

	(void)k;
	if (f->owner == WEIR_OWNER_KERNEL)
		n->kernel++;
	else
		n->xdp++;
	return 0;
}

struct cache_counts {
	uint64_t entries, bytes;
};

static int count_entry(const struct weir_entry *e, enum weir_class c, void *arg)
{
	struct cache_counts *n = arg;

	(void)c;
	n->entries++;
	n->bytes += e->whole.bytes + e->cond.bytes + (e->flags & WEIR_ENTRY_HEAD_ONLY ? 0 : e->body_bytes);
	return 0;
}

static size_t class_bytes(enum weir_class c)
{
	return c == WEIR_CLASS_S ? sizeof(struct weir_entry_s) :
	       c == WEIR_CLASS_M ? sizeof(struct weir_entry_m) :
				   sizeof(struct weir_entry_l);
}

/* What is known only by walking maps; the supervisor has one thread. */
static void walk(struct weir_dataplane *dp, uint64_t max_age_ms, struct weir_dataplane_stats *ret)
{
	static struct flow_counts flows;
	static struct cache_counts cache;
	static uint64_t walked_ns;
	uint64_t now = dp_now_ns();
	uint32_t i;

	if (!walked_ns || now - walked_ns > max_age_ms * 1000000) {
		flows = (struct flow_counts){};
		cache = (struct cache_counts){};
		(void)weir_dataplane_flow_each(dp, count_flow, &flows);
		for (i = 0; i < WEIR_POOLS_MAX; i++)
			(void)weir_dataplane_cache_each(dp, (uint16_t)i, count_entry, &cache);
		walked_ns = now;
	}
	ret->flows_xdp = flows.xdp;
	ret->flows_kernel = flows.kernel;
	ret->cache_entries = cache.entries;
	ret->cache_bytes = cache.bytes;
}

int weir_dataplane_stats(struct weir_dataplane *dp, uint64_t max_age_ms, struct weir_dataplane_stats *ret)
{
	struct weir_dataplane_stats s = {};
	uint32_t i;
	int c;

	for (i = 1; i < WEIR_VERDICT__MAX; i++)
		s.verdicts[i] = sum_u64(bpf_map__fd(dp->skel->maps.weir_verdicts), i);
	for (i = 1; i < WEIR_MISS__MAX; i++)
		s.misses[i] = sum_u64(bpf_map__fd(dp->skel->maps.weir_misses), i);
	walk(dp, max_age_ms, &s);
	s.flows_capacity = bpf_map__max_entries(dp->skel->maps.weir_flows);
	for (i = 0; i < WEIR_POOLS_MAX; i++)
		for (c = 0; c < WEIR_CLASS__MAX; c++)
			if (dp->pools[i].cache[c] >= 0)
				s.cache_reserved += dp->pools[i].entries[c] * class_bytes(c);
	*ret = s;
	return 0;
}

int weir_dataplane_pool_stats(struct weir_dataplane *dp, uint16_t pool, struct weir_pool_stats *ret)
{
	static struct weir_pool_stats values[CPUS_MAX];
	int cpus = libbpf_num_possible_cpus(), i, reason;
	struct weir_pool_stats s = {};
	uint32_t key = pool;

	if (cpus > CPUS_MAX)
		return -E2BIG;
	if (bpf_map_lookup_elem(bpf_map__fd(dp->skel->maps.weir_pool_stats), &key, values))
		return -errno;
	for (i = 0; i < cpus; i++) {
		s.hits += values[i].hits;
		s.hit_bytes += values[i].hit_bytes;
		s.misses += values[i].misses;
		s.handovers += values[i].handovers;
		s.seizes += values[i].seizes;
		s.not_modified += values[i].not_modified;
		s.stale += values[i].stale;
		for (reason = 0; reason < WEIR_REFUSAL__MAX; reason++)
			s.refused[reason] += values[i].refused[reason];
	}
	*ret = s;
	return 0;
}

#define WEIR_ROW(name, action, help) [WEIR_VERDICT_##name] = { #name, help },
static const struct {
	const char *name, *help;
} verdicts[WEIR_VERDICT__MAX] = {
	[WEIR_VERDICT_MORE] = { "MORE", "not decided" },
#include "weir/verdicts.def"
};
#undef WEIR_ROW

#define WEIR_ROW(name, help) [WEIR_MISS_##name] = { #name, help },
static const struct {
	const char *name, *help;
} misses[WEIR_MISS__MAX] = {
	[WEIR_MISS_NONE] = { "NONE", "answered" },
#include "weir/misses.def"
};
#undef WEIR_ROW

const char *weir_refusal_phrase(enum weir_refusal r)
{
	static const char *const phrases[WEIR_REFUSAL__MAX] = {
		[WEIR_REFUSAL_NONE] = "-",
#define WEIR_ROW(name, phrase, help) [WEIR_REFUSAL_##name] = phrase,
#include "weir/refusals.def"
#undef WEIR_ROW
	};

	return r < WEIR_REFUSAL__MAX ? phrases[r] : "?";
}

const char *weir_verdict_name(enum weir_verdict v)
{
	return v < WEIR_VERDICT__MAX ? verdicts[v].name : "?";
}

const char *weir_verdict_help(enum weir_verdict v)
{
	return v < WEIR_VERDICT__MAX ? verdicts[v].help : "?";
}

const char *weir_miss_name(enum weir_miss m)
{
	return m < WEIR_MISS__MAX ? misses[m].name : "?";
}

const char *weir_miss_help(enum weir_miss m)
{
	return m < WEIR_MISS__MAX ? misses[m].help : "?";
}

/* Large enough for any class's value; the supervisor has one thread. */
static union {
	struct weir_entry head;
	struct weir_entry_l large;
} value;

int weir_dataplane_cache_each(struct weir_dataplane *dp, uint16_t pool,
			      int (*fn)(const struct weir_entry *e, enum weir_class c, void *arg), void *arg)
{
	struct weir_cache_key key, next;
	int c, r = 0;

	for (c = 0; c < WEIR_CLASS__MAX; c++) {
		int fd = dp->pools[pool].cache[c];
		bool has_key = false;

		while (fd >= 0 && !bpf_map_get_next_key(fd, has_key ? &key : NULL, &next)) {
			if (!bpf_map_lookup_elem(fd, &next, &value))
				r = fn(&value.head, c, arg);
			if (r)
				return r;
			key = next;
			has_key = true;
		}
	}
	return 0;
}

int weir_dataplane_cache_get(struct weir_dataplane *dp, uint16_t pool, const struct weir_cache_key *key,
			     struct weir_entry *ret, enum weir_class *ret_class)
{
	int c;

	for (c = 0; c < WEIR_CLASS__MAX; c++) {
		int fd = dp->pools[pool].cache[c];

		if (fd < 0 || bpf_map_lookup_elem(fd, key, &value))
			continue;
		*ret = value.head;
		*ret_class = c;
		return 0;
	}
	return -ENOENT;
}

int weir_dataplane_cache_purge(struct weir_dataplane *dp, uint16_t pool, const struct weir_cache_key *key)
{
	int c, n = 0;

	for (c = 0; c < WEIR_CLASS__MAX; c++) {
		int fd = dp->pools[pool].cache[c];

		if (fd >= 0 && !bpf_map_delete_elem(fd, key))
			n++;
	}
	return n;
}

/* Deleting while walking restarts the walk at the first key, until none is left. */
int weir_dataplane_cache_flush(struct weir_dataplane *dp, uint16_t pool)
{
	struct weir_cache_key key;
	int c, n = 0;

	for (c = 0; c < WEIR_CLASS__MAX; c++) {
		int fd = dp->pools[pool].cache[c];

		while (fd >= 0 && !bpf_map_get_next_key(fd, NULL, &key)) {
			if (!bpf_map_delete_elem(fd, &key))
				n++;
		}
	}
	return n;
}

int weir_dataplane_flow_each(struct weir_dataplane *dp,
			     int (*fn)(const struct weir_flow_key *k, const struct weir_flow *f, void *arg), void *arg)
{
	int fd = bpf_map__fd(dp->skel->maps.weir_flows), r = 0;
	struct weir_flow_key key, next;
	struct weir_flow f;
	bool has_key = false;

	while (!r && !bpf_map_get_next_key(fd, has_key ? &key : NULL, &next)) {
		if (!bpf_map_lookup_elem(fd, &next, &f))
			r = fn(&next, &f, arg);
		key = next;
		has_key = true;
	}
	return r;
}
