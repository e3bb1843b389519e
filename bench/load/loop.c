// SPDX-License-Identifier: GPL-2.0
/* See loop.h. Connection state is read from the BPF half's memory while packets change it: a stale look only
 * repeats a packet, which the server answers with a duplicate, which gen_xdp ignores. */
#include "loop.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench/load/gen.skel.h"

#define STALL_SCANS 10 /* without progress for so many scans: repeat the last packet */

double gen_now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* The Ethernet header: MAC addresses of `dev` and, from the neighbour table (the probe has filled it), of the
 * server. */
static int make_eth(const struct gen_options *o, void *ret_eth)
{
	struct ethhdr *eth = ret_eth;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), r = -1;
	struct ifreq ifr = {0};
	struct arpreq arp = {0};

	if (fd < 0)
		return -1;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", o->dev);
	snprintf(arp.arp_dev, sizeof(arp.arp_dev), "%s", o->dev);
	memcpy(&arp.arp_pa, &o->server, sizeof(o->server));
	((struct sockaddr_in *)&arp.arp_pa)->sin_port = 0;
	if (!ioctl(fd, SIOCGIFHWADDR, &ifr) && !ioctl(fd, SIOCGARP, &arp)) {
		memcpy(eth->h_source, ifr.ifr_hwaddr.sa_data, 6);
		memcpy(eth->h_dest, arp.arp_ha.sa_data, 6);
		eth->h_proto = htons(ETH_P_IP);
		r = 0;
	} else {
		fprintf(stderr, "gen: no MAC address for %s or its peer: %s\n", o->dev, strerror(errno));
	}
	close(fd);
	return r;
}

/* One's complement sum of 32-bit words as they lie in memory, folded; `bytes` is padded with zeros. */
static __u32 sum_fold(const void *data, size_t bytes, __u64 sum)
{
	for (size_t i = 0; i < bytes; i += 4) {
		__u32 w = 0;

		memcpy(&w, (const char *)data + i, bytes - i < 4 ? bytes - i : 4);
		sum += w;
	}
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (__u32)sum;
}

/* Tells the programs what to send and what to expect. */
static int set_up(struct gen *g)
{
	struct gen_bpf__rodata *ro = g->skel->rodata;
	struct gen_setup *s = (struct gen_setup *)&ro->setup;
	const struct probe *p = &g->probe;
	char rest[sizeof(p->response)];

	if (p->response_bytes > GEN_RESPONSE_MAX || p->response_bytes - p->head_bytes < 8) {
		fprintf(stderr, "gen: body must have 8 bytes and the response at most %d, it has %zu\n",
			GEN_RESPONSE_MAX, p->response_bytes);
		return -1;
	}
	s->ifindex = g->ifindex;
	s->connections = g->opt.connections;
	s->with_ts = g->opt.with_ts;
	s->in_flight = g->opt.in_flight;
	s->request_bytes = (__u32)p->request_bytes;
	s->response_bytes = (__u32)p->response_bytes;
	s->vary_first = (__u32)p->date_off / 8;
	s->vary_end = (__u32)(p->date_off + 29 + 7) / 8;
	s->client_ip = ntohl(g->opt.client.sin_addr.s_addr);
	s->server_ip = g->opt.server.sin_addr.s_addr;
	s->base_port = (__u16)g->opt.base_port;
	s->server_port = g->opt.server.sin_port;

	memcpy((void *)ro->want, p->response, p->response_bytes);
	memset((void *)ro->vary, 0xff, sizeof(ro->vary));
	memset((char *)ro->vary + p->date_off, 0, 29);
	memcpy((void *)&ro->want_last, p->response + p->response_bytes - 8, 8);
	memcpy(rest, p->response, p->response_bytes);
	memset(rest + s->vary_first * 8, 0, (s->vary_end - s->vary_first) * 8);
	s->response_sum = sum_fold(rest, p->response_bytes, 0);

	memcpy((void *)ro->request, p->request, p->request_bytes);
	memcpy((void *)&ro->request_last, p->request + p->request_bytes - 8, 8);
	s->request_sum = sum_fold(p->request, p->request_bytes, 0);
	return make_eth(&g->opt, s->eth);
}

void gen_set_single(struct gen *g, bool is_single)
{
	g->skel->bss->is_single = is_single;
}

/* Instead of our own program that is there, never of one that is not ours. */
static int attach(struct gen *g, int fd)
{
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts, .old_prog_fd = g->attached_fd);
	int r = bpf_xdp_attach((int)g->ifindex, fd,
			       XDP_FLAGS_DRV_MODE | (g->attached_fd ? XDP_FLAGS_REPLACE : XDP_FLAGS_UPDATE_IF_NOEXIST),
			       g->attached_fd ? &opts : NULL);

	if (r) {
		fprintf(stderr, "gen: cannot attach native XDP to %s: %s\n", g->opt.dev, strerror(-r));
		return -1;
	}
	g->attached_fd = fd;
	return 0;
}

int gen_attach_pass(struct gen *g)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "gen_pass", "GPL", insns, 2, NULL);

	if (fd < 0) {
		fprintf(stderr, "gen: cannot load a program: %s\n", strerror(errno));
		return -1;
	}
	return attach(g, fd);
}

int gen_load(struct gen *g)
{
	int r;

	g->skel = gen_bpf__open();
	if (!g->skel || set_up(g))
		return -1;
	r = gen_bpf__load(g->skel);
	if (r) {
		fprintf(stderr, "gen: cannot load: %s\n", strerror(-r));
		return -1;
	}
	gen_set_single(g, true);
	return attach(g, bpf_program__fd(g->skel->progs.gen_xdp));
}

/* Sends `count` entries of inject_list from this CPU. */
static int inject(struct gen *g, unsigned count)
{
	static char frame[256];
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = sizeof(frame), .repeat = (int)count,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = 16);
	int r;

	if (!count)
		return 0;
	g->skel->bss->inject_next = 0;
	r = bpf_prog_test_run_opts(bpf_program__fd(g->skel->progs.gen_inject), &run);
	if (!r || r == -EINTR)
		return 0;
	fprintf(stderr, "gen: cannot inject: %s\n", strerror(-r));
	return -1;
}

int gen_pin_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (!sched_setaffinity(0, sizeof(set), &set))
		return 0;
	fprintf(stderr, "gen: cannot run on CPU %d: %s\n", cpu, strerror(errno));
	return -1;
}

static __u32 prepare_syn(struct gen *g, unsigned idx)
{
	struct gen_conn *c = &g->skel->bss->conns[idx];

	*c = (struct gen_conn){.snd_nxt = (__u32)random() ^ idx << 16, .state = GEN_SYN_SENT};
	return GEN_INJECT(GEN_INJECT_SYN, idx);
}

int gen_open(struct gen *g, unsigned first, unsigned end)
{
	unsigned count = 0;

	for (unsigned i = first; i < end; i++)
		g->skel->bss->inject_list[count++] = prepare_syn(g, i);
	return inject(g, count);
}

static __u32 prepare_request(struct gen *g, unsigned idx)
{
	struct gen_conn *c = &g->skel->bss->conns[idx];

	c->snd_nxt += (__u32)g->probe.request_bytes;
	c->requests++;
	c->state = GEN_OPEN;
	return GEN_INJECT(GEN_INJECT_REQUEST, idx);
}

int gen_ask_again(struct gen *g, unsigned first, unsigned end)
{
	unsigned count = 0;

	for (unsigned i = first; i < end; i++)
		if (g->skel->bss->conns[i].state == GEN_IDLE)
			g->skel->bss->inject_list[count++] = prepare_request(g, i);
	return inject(g, count);
}

int gen_repair(struct gen *g, unsigned end)
{
	unsigned count = 0;

	for (unsigned i = 0; i < end; i++) {
		struct gen_conn *c = &g->skel->bss->conns[i];
		__u32 state = __atomic_load_n(&c->state, __ATOMIC_RELAXED), entry = 0;
		__u32 requests = __atomic_load_n(&c->requests, __ATOMIC_RELAXED);

		if (state == GEN_IDLE || state == GEN_CLOSED) {
			continue;
		} else if (state == GEN_NEED_REQUEST) {
			entry = prepare_request(g, i);
		} else if (state == GEN_DEAD) {
			if (g->opt.is_idle)
				continue; /* to be counted, not hidden */
			g->reopened++;
			entry = prepare_syn(g, i);
		} else if (requests != g->seen_requests[i]) {
			g->idle_scans[i] = 0;
		} else if (++g->idle_scans[i] >= STALL_SCANS) {
			g->stalls++;
			entry = GEN_INJECT(state == GEN_SYN_SENT ? GEN_INJECT_SYN : GEN_INJECT_REQUEST, i);
		}
		g->seen_requests[i] = c->requests;
		if (entry) {
			g->idle_scans[i] = 0;
			g->skel->bss->inject_list[count++] = entry;
		}
	}
	return inject(g, count);
}

unsigned gen_count(const struct gen *g, enum gen_state state)
{
	unsigned count = 0;

	for (unsigned i = 0; i < g->opt.connections; i++)
		count += g->skel->bss->conns[i].state == state;
	return count;
}

void gen_read_counters(const struct gen *g, struct gen_counters *ret, __u64 ret_verified[GEN_CPUS_MAX])
{
	static struct gen_counters all[256];
	int cpus = libbpf_num_possible_cpus();
	__u32 zero = 0;

	memset(ret, 0, sizeof(*ret));
	if (bpf_map_lookup_elem(bpf_map__fd(g->skel->maps.counters), &zero, all))
		return;
	for (int i = 0; i < cpus && i < 256; i++) {
#define GEN_ROW(name, help) ret->name += all[i].name;
		GEN_COUNTERS(GEN_ROW)
#undef GEN_ROW
		if (i < GEN_CPUS_MAX)
			ret_verified[i] = all[i].verified;
	}
}

void gen_stop(struct gen *g)
{
	unsigned count = 0;

	if (g->skel && g->attached_fd == bpf_program__fd(g->skel->progs.gen_xdp)) {
		g->skel->bss->is_stopped = 1;
		usleep(20000);
		for (unsigned i = 0; i < g->opt.connections; i++) {
			__u32 state = g->skel->bss->conns[i].state;

			if (state == GEN_OPEN || state == GEN_IDLE)
				g->skel->bss->inject_list[count++] = GEN_INJECT(GEN_INJECT_RST, i);
			if (count < 1024 && i + 1 < g->opt.connections)
				continue;
			(void)inject(g, count);
			count = 0;
		}
		usleep(20000);
	}
	if (g->attached_fd)
		(void)bpf_xdp_detach((int)g->ifindex, XDP_FLAGS_DRV_MODE, NULL);
	g->attached_fd = 0;
	gen_bpf__destroy(g->skel);
	g->skel = NULL;
}
