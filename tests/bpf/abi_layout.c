// SPDX-License-Identifier: GPL-2.0
/* The contract as the compilers saw it: every shared struct has the same size and offsets in the BTF of the BPF object
 * and on this host, and `bpftool map dump` can print every map with named fields. Reads the object, loads nothing. */
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <criterion/criterion.h>
#include <string.h>

#include "common/macro.h"
#include "weir.skel.h"
#include "weir/cache.h"
#include "weir/endpoint.h"
#include "weir/flow.h"
#include "weir/pool.h"
#include "weir/route.h"

/* A row without a member is the struct itself; the rows of its members follow in order. */
/* clang-format off */
#define STRUCT(type) { #type, NULL, 0, sizeof(struct type) }
#define MEMBER(type, name) { #type, #name, offsetof(struct type, name), sizeof(((struct type *)NULL)->name) }

static const struct row {
	const char *type;
	const char *member;
	size_t offset;
	size_t bytes;
} rows[] = {
	STRUCT(weir_cache_key),
	MEMBER(weir_cache_key, digest),
	STRUCT(weir_entry),
	MEMBER(weir_entry, generation), MEMBER(weir_entry, digest), MEMBER(weir_entry, expires_ns),
	MEMBER(weir_entry, body_bytes), MEMBER(weir_entry, body_sum), MEMBER(weir_entry, status),
	MEMBER(weir_entry, whole), MEMBER(weir_entry, cond), MEMBER(weir_entry, hits), MEMBER(weir_entry, born_ns),
	MEMBER(weir_entry, stale_ns), MEMBER(weir_entry, refresh_ns), MEMBER(weir_entry, refresh_ms),
	MEMBER(weir_entry, flags), MEMBER(weir_entry, etag_bytes), MEMBER(weir_entry, url_bytes),
	MEMBER(weir_entry, etag), MEMBER(weir_entry, modified), MEMBER(weir_entry, created_ns),
	MEMBER(weir_entry, object_bytes), MEMBER(weir_entry, url), MEMBER(weir_entry, cond_head),
	STRUCT(weir_entry_head),
	MEMBER(weir_entry_head, bytes), MEMBER(weir_entry_head, sum), MEMBER(weir_entry_head, date_off),
	MEMBER(weir_entry_head, conn_off), MEMBER(weir_entry_head, age_off),
	STRUCT(weir_entry_s),
	MEMBER(weir_entry_s, head), MEMBER(weir_entry_s, bytes), MEMBER(weir_entry_s, generation_end),
	STRUCT(weir_entry_m),
	MEMBER(weir_entry_m, head), MEMBER(weir_entry_m, bytes), MEMBER(weir_entry_m, generation_end),
	STRUCT(weir_entry_l),
	MEMBER(weir_entry_l, head), MEMBER(weir_entry_l, bytes), MEMBER(weir_entry_l, generation_end),
	STRUCT(weir_addr),
	MEMBER(weir_addr, word),
	STRUCT(weir_endpoint_key),
	MEMBER(weir_endpoint_key, addr), MEMBER(weir_endpoint_key, port), MEMBER(weir_endpoint_key, pad),
	STRUCT(weir_endpoint),
	MEMBER(weir_endpoint, id), MEMBER(weir_endpoint, pool), MEMBER(weir_endpoint, flags),
	MEMBER(weir_endpoint, buckets), MEMBER(weir_endpoint, table),
	STRUCT(weir_iface),
	MEMBER(weir_iface, mac), MEMBER(weir_iface, flags), MEMBER(weir_iface, pad), MEMBER(weir_iface, mtu),
	STRUCT(weir_secrets),
	MEMBER(weir_secrets, cache_key), MEMBER(weir_secrets, ts_offset), MEMBER(weir_secrets, cookie),
	MEMBER(weir_secrets, cookie_current), MEMBER(weir_secrets, pad),
	STRUCT(weir_date),
	MEMBER(weir_date, text), MEMBER(weir_date, sum), MEMBER(weir_date, pad), MEMBER(weir_date, written_ns),
	STRUCT(weir_clock),
	MEMBER(weir_clock, current), MEMBER(weir_clock, turn), MEMBER(weir_clock, dates),
	STRUCT(weir_flow_key),
	MEMBER(weir_flow_key, client), MEMBER(weir_flow_key, server), MEMBER(weir_flow_key, client_port),
	MEMBER(weir_flow_key, server_port), MEMBER(weir_flow_key, pad),
	STRUCT(weir_flow),
	MEMBER(weir_flow, rcv_nxt), MEMBER(weir_flow, snd_nxt), MEMBER(weir_flow, snd_una),
	MEMBER(weir_flow, ts_recent), MEMBER(weir_flow, ts_echo), MEMBER(weir_flow, base_rcv),
	MEMBER(weir_flow, base_snd), MEMBER(weir_flow, requests),
	MEMBER(weir_flow, snd_iss), MEMBER(weir_flow, form), MEMBER(weir_flow, req_seq),
	MEMBER(weir_flow, req_bytes), MEMBER(weir_flow, resp_bytes), MEMBER(weir_flow, ts_offset),
	MEMBER(weir_flow, digest), MEMBER(weir_flow, generation), MEMBER(weir_flow, created_ns),
	MEMBER(weir_flow, seen_ns), MEMBER(weir_flow, endpoint), MEMBER(weir_flow, pool), MEMBER(weir_flow, mss),
	MEMBER(weir_flow, owner), MEMBER(weir_flow, state), MEMBER(weir_flow, flags), MEMBER(weir_flow, snd_wscale),
	MEMBER(weir_flow, rcv_wscale), MEMBER(weir_flow, retransmits), MEMBER(weir_flow, slot),
	MEMBER(weir_flow, window),
	STRUCT(weir_timewait),
	MEMBER(weir_timewait, rcv_nxt), MEMBER(weir_timewait, snd_nxt), MEMBER(weir_timewait, ts_recent),
	MEMBER(weir_timewait, has_ts), MEMBER(weir_timewait, since_ns),
	STRUCT(weir_ticket),
	MEMBER(weir_ticket, state), MEMBER(weir_ticket, consumed), MEMBER(weir_ticket, sent),
	MEMBER(weir_ticket, pad), MEMBER(weir_ticket, key), MEMBER(weir_ticket, spare),
	STRUCT(weir_host_key),
	MEMBER(weir_host_key, digest), MEMBER(weir_host_key, endpoint), MEMBER(weir_host_key, table),
	MEMBER(weir_host_key, bucket), MEMBER(weir_host_key, pad),
	STRUCT(weir_host),
	MEMBER(weir_host, group), MEMBER(weir_host, depths),
	STRUCT(weir_route_key),
	MEMBER(weir_route_key, digest), MEMBER(weir_route_key, group), MEMBER(weir_route_key, depth),
	STRUCT(weir_route),
	MEMBER(weir_route, pool), MEMBER(weir_route, flags), MEMBER(weir_route, id),
	STRUCT(weir_pool),
	MEMBER(weir_pool, name), MEMBER(weir_pool, state), MEMBER(weir_pool, flags), MEMBER(weir_pool, first_slot),
	MEMBER(weir_pool, slots), MEMBER(weir_pool, queue_limit), MEMBER(weir_pool, refusal),
	MEMBER(weir_pool, verbosity), MEMBER(weir_pool, encodings), MEMBER(weir_pool, pad),
	STRUCT(weir_queue),
	MEMBER(weir_queue, arrived), MEMBER(weir_queue, taken),
	STRUCT(weir_pool_stats),
	MEMBER(weir_pool_stats, hits), MEMBER(weir_pool_stats, hit_bytes), MEMBER(weir_pool_stats, misses),
	MEMBER(weir_pool_stats, handovers), MEMBER(weir_pool_stats, seizes),
	MEMBER(weir_pool_stats, not_modified), MEMBER(weir_pool_stats, stale), MEMBER(weir_pool_stats, refused),
};
/* clang-format on */

static struct weir_bpf *skel;
static const struct btf *btf;

static void set_up(void)
{
	skel = weir_bpf__open();
	cr_assert_not_null(skel);
	btf = bpf_object__btf(skel->obj);
	cr_assert_not_null(btf);
}

static void tear_down(void)
{
	weir_bpf__destroy(skel);
}

TestSuite(abi_layout, .init = set_up, .fini = tear_down);

/* The rows behind a struct's own are its members, all of them and in order. */
static void check_members(const struct btf_type *t, const struct row *row, const struct row *end)
{
	const struct btf_member *m = btf_members(t);
	const char *type = row->type;
	int i;

	for (i = 0, row++; i < btf_vlen(t); i++, m++, row++) {
		const char *name = btf__name_by_offset(btf, m->name_off);

		cr_assert(row < end && row->member && !strcmp(row->member, name),
			  "struct %s has a member %s without a row", type, name);
		cr_assert_eq(m->offset, row->offset * 8, "%s.%s", type, name);
		cr_assert_eq((size_t)btf__resolve_size(btf, m->type), row->bytes, "%s.%s", type, name);
	}
	cr_assert(row == end || !row->member, "%s.%s is not in BTF", type, row->member);
}

Test(abi_layout, host_and_bpf_agree_on_every_struct)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct btf_type *t;
		int id;

		if (rows[i].member)
			continue;
		id = btf__find_by_name_kind(btf, rows[i].type, BTF_KIND_STRUCT);
		cr_assert_gt(id, 0, "struct %s is not in BTF", rows[i].type);
		t = btf__type_by_id(btf, (uint32_t)id);
		cr_assert_eq(t->size, rows[i].bytes, "struct %s", rows[i].type);
		check_members(t, &rows[i], rows + ARRAY_SIZE(rows));
	}
}

static bool is_map_of_maps(const struct bpf_map *map)
{
	return bpf_map__type(map) == BPF_MAP_TYPE_ARRAY_OF_MAPS;
}

/* Typedefs and arrays lead to what is printed. */
static const struct btf_type *resolve(uint32_t id)
{
	const struct btf_type *t = btf__type_by_id(btf, id);

	while (btf_is_typedef(t) || btf_is_const(t) || btf_is_volatile(t) || btf_is_array(t))
		t = btf__type_by_id(btf, btf_is_array(t) ? btf_array(t)->type : t->type);
	return t;
}

static void check_named(const char *map, uint32_t id)
{
	const struct btf_type *t;
	int i;

	cr_assert_neq(id, 0, "map %s has a key or value without a type", map);
	t = resolve(id);
	cr_assert(btf_is_int(t) || btf_is_struct(t), "map %s", map);
	if (!btf_is_struct(t))
		return;
	for (i = 0; i < btf_vlen(t); i++) {
		cr_assert(*btf__name_by_offset(btf, btf_members(t)[i].name_off), "map %s has a nameless field", map);
		check_named(map, btf_members(t)[i].type);
	}
}

Test(abi_layout, every_map_can_be_dumped_with_names)
{
	const struct bpf_map *map;

	bpf_object__for_each_map(map, skel->obj)
		if (!is_map_of_maps(map) && !bpf_map__is_internal(map)) {
			check_named(bpf_map__name(map), bpf_map__btf_key_type_id(map));
			check_named(bpf_map__name(map), bpf_map__btf_value_type_id(map));
		}
}

Test(abi_layout, key_and_value_sizes_are_those_of_their_types)
{
	const struct bpf_map *map;

	bpf_object__for_each_map(map, skel->obj)
		if (!is_map_of_maps(map) && !bpf_map__is_internal(map)) {
			cr_assert_eq(bpf_map__key_size(map), btf__resolve_size(btf, bpf_map__btf_key_type_id(map)),
				     "%s", bpf_map__name(map));
			cr_assert_eq(bpf_map__value_size(map), btf__resolve_size(btf, bpf_map__btf_value_type_id(map)),
				     "%s", bpf_map__name(map));
		}
}

static void check_name(const char *name)
{
	cr_assert_eq(strncmp(name, "weir_", 5), 0, "%s does not start with weir_", name);
	cr_assert_leq(strlen(name), 15, "%s is longer than the kernel keeps", name);
}

Test(abi_layout, names_are_ours_and_short_enough_to_be_kept)
{
	const struct bpf_map *map;
	struct bpf_program *program;

	bpf_object__for_each_map(map, skel->obj)
		if (!bpf_map__is_internal(map))
			check_name(bpf_map__name(map));
	bpf_object__for_each_program(program, skel->obj)
		check_name(bpf_program__name(program));
}
