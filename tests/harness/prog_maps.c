// SPDX-License-Identifier: GPL-2.0
/* Loads the programs with small maps, lets each test find them, and gives the maps their first contents. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "harness/prog_run.h"
#include "weir.skel.h"

#define IDS "WEIR_TEST_IDS"
#define SKIP 77

struct prog prog;

/* In the order of struct prog: what the runner hands down as ids. */
static uint32_t ids[sizeof(struct prog) / sizeof(int)];

static uint32_t id_of(int fd, bool is_prog)
{
	struct bpf_prog_info p = {};
	struct bpf_map_info m = {};
	uint32_t bytes = is_prog ? sizeof(p) : sizeof(m);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, is_prog ? (void *)&p : (void *)&m, &bytes))
		return 0;
	return is_prog ? p.id : m.id;
}

/* Tables as the loader writes them for an ordinary network namespace. */
static void set_rodata(struct weir_bpf *skel)
{
	static const uint16_t mss[16] = { 0,	536,  1200, 1220, 1280, 1300, 1340, 1360,
					  1380, 1400, 1420, 1440, 1452, 1460, 8940, 65475 };
	size_t i;

	for (i = 0; i < 16; i++) {
		skel->rodata->weir_mss_table[i] = mss[i];
		skel->rodata->weir_wnd_table[i] = (uint16_t)(65535 / (i ? mss[i] : 536) * (i ? mss[i] : 536));
	}
	skel->rodata->weir_rcv_wscale = RCV_WSCALE;
}

static int make_inner(const struct bpf_map *like, const struct bpf_map *outer, uint32_t pool, unsigned entries)
{
	bool is_array = bpf_map__type(like) == BPF_MAP_TYPE_ARRAY;
	LIBBPF_OPTS(bpf_map_create_opts, o, .map_flags = is_array ? BPF_F_MMAPABLE : 0);
	int fd = bpf_map_create(bpf_map__type(like), "weir_test", bpf_map__key_size(like), bpf_map__value_size(like),
				entries, &o);

	if (fd < 0 || bpf_map_update_elem(bpf_map__fd(outer), &pool, &fd, BPF_ANY)) {
		perror("inner map");
		exit(1);
	}
	return fd;
}

static void make_pools(struct weir_bpf *skel)
{
	uint32_t pool;

	prog.cache[0][0] = make_inner(skel->maps.weir_type_s, skel->maps.weir_cache_s, 0, 256);
	for (pool = 1; pool <= POOLS; pool++) {
		prog.tickets[pool] =
			make_inner(skel->maps.weir_type_t, skel->maps.weir_tickets, pool, WEIR_TICKET_BUCKETS);
		prog.queues[pool] = make_inner(skel->maps.weir_type_q, skel->maps.weir_queues, pool, 1);
		if (pool == POOL_OFF)
			continue;
		prog.cache[pool][0] = make_inner(skel->maps.weir_type_s, skel->maps.weir_cache_s, pool, 2048);
		prog.cache[pool][1] = make_inner(skel->maps.weir_type_m, skel->maps.weir_cache_m, pool, 256);
		prog.cache[pool][2] = make_inner(skel->maps.weir_type_l, skel->maps.weir_cache_l, pool, 256);
	}
}

void prog_load(void)
{
	struct weir_bpf *skel = weir_bpf__open();
	const int *fds = (const int *)&prog;
	char text[sizeof(ids) / sizeof(ids[0]) * 11 + 1] = "";
	size_t i, n = 0;

	libbpf_set_print(NULL);
	if (skel)
		set_rodata(skel);
	if (!skel || bpf_map__set_max_entries(skel->maps.weir_flows, 4096) || weir_bpf__load(skel)) {
		puts("the kernel refuses the BPF programs: run as root on Linux 6.9 or newer, and see `make verifier`");
		exit(SKIP);
	}
	memset(&prog, 0xff, sizeof(prog));
#define X(name) prog.name = bpf_map__fd(skel->maps.weir_##name);
	PROG_MAPS(X)
#undef X
	prog.xdp = bpf_program__fd(skel->progs.weir_xdp);
	prog.tc = bpf_program__fd(skel->progs.weir_tc);
	make_pools(skel);
	for (i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		bool is_prog = &fds[i] == &prog.xdp || &fds[i] == &prog.tc;

		n += (size_t)snprintf(text + n, sizeof(text) - n, "%u ", id_of(fds[i], is_prog));
	}
	setenv(IDS, text, 1);
}

static void find_objects(void)
{
	const char *text = getenv(IDS);
	int *fds = (int *)&prog;
	char *end;
	size_t i;

	cr_assert_not_null(text, "PROG_TESTS() is missing");
	for (i = 0; i < sizeof(ids) / sizeof(ids[0]); i++, text = end) {
		bool is_prog = &fds[i] == &prog.xdp || &fds[i] == &prog.tc;
		uint32_t id = (uint32_t)strtoul(text, &end, 10);

		fds[i] = !id ? -1 : is_prog ? bpf_prog_get_fd_by_id(id) : bpf_map_get_fd_by_id(id);
		cr_assert(!id || fds[i] >= 0);
	}
}

static void empty(int map, size_t key_bytes)
{
	uint8_t key[64];

	cr_assert_leq(key_bytes, sizeof(key));
	while (map >= 0 && !bpf_map_get_next_key(map, NULL, key))
		if (bpf_map_delete_elem(map, key))
			break;
}

void prog_put(int map, const void *key, const void *value)
{
	cr_assert_eq(bpf_map_update_elem(map, key, value, BPF_ANY), 0);
}

void prog_iface(uint8_t flags, uint32_t mtu, const uint8_t mac[6])
{
	struct weir_iface v = { .flags = flags, .mtu = mtu };
	uint32_t lo = 1;

	if (mac)
		memcpy(v.mac, mac, sizeof(v.mac));
	prog_put(prog.ifaces, &lo, &v);
}

void prog_endpoints(uint8_t flags, uint16_t pool, uint8_t buckets)
{
	struct packet p4 = prog_packet(false), p6 = prog_packet(true);
	struct weir_endpoint_key k4 = { .addr = p4.server, .port = htons(SERVER_PORT) };
	struct weir_endpoint_key k6 = { .addr = p6.server, .port = htons(SERVER_PORT) };
	struct weir_endpoint e = { .pool = pool, .flags = flags, .buckets = buckets };
	uint32_t id;

	id = e.id = ENDPOINT4;
	prog_put(prog.endpoints, &k4, &e);
	prog_put(prog.ep_by_id, &id, &e);
	id = e.id = ENDPOINT6;
	prog_put(prog.endpoints, &k6, &e);
	prog_put(prog.ep_by_id, &id, &e);
}

uint64_t prog_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

void prog_clock_written(uint64_t written_ns)
{
	struct weir_clock c = { .current = 0 };
	struct weir_date *d = &c.dates[0];
	uint32_t zero = 0;

	memcpy(d->text, DATE, WEIR_DATE_BYTES);
	d->sum = packet_sum(d->text, sizeof(d->text));
	d->written_ns = written_ns;
	prog_put(prog.clock, &zero, &c);
}

struct weir_secrets prog_secrets(void)
{
	struct weir_secrets s = {
		.cache_key = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 },
		.ts_offset = { 0x1716151413121110, 0x1f1e1d1c1b1a1918 },
		.cookie = { { 0x2726252423222120, 0x2f2e2d2c2b2a2928 }, { 0x3736353433323130, 0x3f3e3d3c3b3a3938 } },
	};

	return s;
}

void prog_secrets_put(const struct weir_secrets *s)
{
	uint32_t zero = 0;

	prog_put(prog.secrets, &zero, s);
}

struct weir_pool prog_pool(uint32_t pool)
{
	struct weir_pool p = {
		.state = WEIR_POOL_STARTED,
		.flags = pool == POOL_OFF ? 0 : WEIR_POOL_CACHED,
		.first_slot = pool - 1,
		.slots = 1,
		.verbosity = WEIR_VERBOSITY_LIMITED,
		.encodings = WEIR_ENCODING__COUNT - 1,
	};

	(void)snprintf(p.name, sizeof(p.name), "pool%u", pool);
	return p;
}

struct weir_queue prog_queue(uint32_t pool)
{
	struct weir_queue q;
	uint32_t zero = 0;

	cr_assert_eq(bpf_map_lookup_elem(prog.queues[pool], &zero, &q), 0);
	return q;
}

void prog_queue_put(uint32_t pool, uint64_t arrived, uint64_t taken)
{
	struct weir_queue q = { arrived, taken };
	uint32_t zero = 0;

	prog_put(prog.queues[pool], &zero, &q);
}

/* As a worker takes it: that of the key, else an empty one, else the first. */
static unsigned way_of(const struct weir_ticket_bucket *b, const struct weir_flow_key *k)
{
	unsigned i;

	for (i = 0; i < WEIR_TICKET_WAYS; i++)
		if (!memcmp(&b->ways[i].key, k, sizeof(*k)))
			return i;
	for (i = 0; i < WEIR_TICKET_WAYS; i++)
		if (!b->ways[i].state)
			return i;
	return 0;
}

struct weir_ticket_bucket prog_bucket(const struct packet *p, uint32_t pool)
{
	struct weir_flow_key k = packet_key(p);
	uint32_t index = weir_ticket_bucket(&k);
	struct weir_ticket_bucket b;

	cr_assert_eq(bpf_map_lookup_elem(prog.tickets[pool], &index, &b), 0);
	return b;
}

void prog_bucket_put(const struct packet *p, uint32_t pool, const struct weir_ticket_bucket *b)
{
	struct weir_flow_key k = packet_key(p);
	uint32_t index = weir_ticket_bucket(&k);

	prog_put(prog.tickets[pool], &index, b);
}

void prog_ticket_put(const struct packet *p, uint32_t pool, const struct weir_ticket *t)
{
	struct weir_ticket_bucket b = prog_bucket(p, pool);
	struct weir_flow_key k = packet_key(p);

	b.ways[way_of(&b, &k)] = *t;
	prog_bucket_put(p, pool, &b);
}

struct weir_ticket prog_ticket(const struct packet *p, uint32_t pool)
{
	struct weir_ticket_bucket b = prog_bucket(p, pool);
	struct weir_flow_key k = packet_key(p);

	return b.ways[way_of(&b, &k)];
}

/* The only ticket slots in use are the cast's. */
static void fill_pools(void)
{
	struct packet p4 = prog_packet(false), p6 = prog_packet(true);
	struct weir_ticket_bucket none = {};
	uint32_t i;
	int c;

	for (i = 0; i <= POOLS; i++) {
		struct weir_pool pool = prog_pool(i);

		for (c = 0; c < WEIR_CLASS__MAX; c++)
			empty(prog.cache[i][c], sizeof(struct weir_cache_key));
		if (!i)
			continue;
		prog_put(prog.pools, &i, &pool);
		prog_queue_put(i, 0, 0);
		prog_bucket_put(&p4, i, &none);
		prog_bucket_put(&p6, i, &none);
	}
}

void prog_set_up(void)
{
	struct weir_secrets secrets = prog_secrets();
	uint32_t word = SERVER_PORT / 64;
	uint64_t bits = 1ULL << SERVER_PORT % 64;
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	(void)sched_setaffinity(0, sizeof(one), &one); /* the per-CPU scratch memory is then CPU 0's */
	find_objects();
	empty(prog.flows, sizeof(struct weir_flow_key));
	empty(prog.timewait, sizeof(struct weir_flow_key));
	empty(prog.endpoints, sizeof(struct weir_endpoint_key));
	empty(prog.hosts, sizeof(struct weir_host_key));
	empty(prog.routes, sizeof(struct weir_route_key));
	prog_put(prog.ports, &word, &bits);
	prog_secrets_put(&secrets);
	prog_clock_written(prog_now_ns());
	prog_iface(0, 1500, NULL);
	prog_endpoints(WEIR_ENDPOINT_HTTP | WEIR_ENDPOINT_SINGLE, POOL_A, 1 << WEIR_BUCKET_WEAK);
	fill_pools();
}

bool prog_flow(const struct packet *p, struct weir_flow *ret)
{
	struct weir_flow_key k = packet_key(p);

	return !bpf_map_lookup_elem(prog.flows, &k, ret);
}

void prog_flow_put(const struct packet *p, const struct weir_flow *f)
{
	struct weir_flow_key k = packet_key(p);

	prog_put(prog.flows, &k, f);
}

void prog_flow_remove(const struct packet *p)
{
	struct weir_flow_key k = packet_key(p);

	(void)bpf_map_delete_elem(prog.flows, &k);
}

static size_t count(int map)
{
	struct weir_flow_key key;
	size_t n = 0;

	while (!bpf_map_get_next_key(map, n ? &key : NULL, &key))
		n++;
	return n;
}

size_t prog_flows_count(void)
{
	return count(prog.flows) + count(prog.timewait);
}

struct weir_pool_stats prog_pool_stats(uint32_t pool)
{
	struct weir_pool_stats values[256], sum = {};
	int cpu, r;

	cr_assert_eq(bpf_map_lookup_elem(prog.pool_stats, &pool, values), 0);
	for (cpu = 0; cpu < libbpf_num_possible_cpus(); cpu++) {
		sum.hits += values[cpu].hits;
		sum.hit_bytes += values[cpu].hit_bytes;
		sum.misses += values[cpu].misses;
		sum.handovers += values[cpu].handovers;
		sum.seizes += values[cpu].seizes;
		sum.not_modified += values[cpu].not_modified;
		sum.stale += values[cpu].stale;
		for (r = 0; r < WEIR_REFUSAL__MAX; r++)
			sum.refused[r] += values[cpu].refused[r];
	}
	return sum;
}
