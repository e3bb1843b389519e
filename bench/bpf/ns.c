// SPDX-License-Identifier: GPL-2.0
/* Nanoseconds of the running weir_xdp for one hit, one miss and one packet that it passes, by BPF_PROG_TEST_RUN on
 * the very program and maps that serve. Runs in the server's network namespace; opens its own TCP connections with
 * packets that exist in test runs only. Prints JSON.
 *
 * A hit rewrites its packet, so it cannot simply be repeated by the kernel: each sample is one run (repeat 1) of the
 * next request of a connection, timed by the kernel around the program alone. What such a sample costs with a program
 * that does nothing is measured in the same way, to be subtracted. A passed packet stays as it is and is also
 * measured with repeat, as the mean of a million runs. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "packet.h"

#define SAMPLES 5000
#define WARM_UP 200
#define REPEAT 1000000
#define OUT_MAX 4096

struct bench {
	int prog;
	unsigned ifindex;
	struct packet_ends ends;
	char hit[256], miss[256]; /* requests */
	__u8 out[OUT_MAX];
	__u32 out_bytes;
};

/* One run, or `repeat` runs; returns the action or -errno. */
static int run(struct bench *b, int prog, const struct packet *p, int repeat, __u32 *ret_ns)
{
	struct xdp_md ctx = {.data_end = p->bytes, .ingress_ifindex = b->ifindex};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = p->data, .data_size_in = p->bytes, .data_out = b->out,
		    .data_size_out = sizeof(b->out), .ctx_in = &ctx, .ctx_size_in = sizeof(ctx), .repeat = repeat);
	int r = bpf_prog_test_run_opts(prog, &opts);

	if (r)
		return r;
	b->out_bytes = opts.data_size_out;
	if (ret_ns)
		*ret_ns = opts.duration;
	return (int)opts.retval;
}

static int compare(const void *a, const void *b)
{
	__u32 x = *(const __u32 *)a, y = *(const __u32 *)b;

	return x < y ? -1 : x > y;
}

static void print_samples(const char *name, __u32 *ns, unsigned count)
{
	qsort(ns, count, sizeof(*ns), compare);
	printf("\"%s\": {\"median\": %u, \"p10\": %u, \"p90\": %u, \"samples\": %u}", name, ns[count / 2], ns[count / 10],
	       ns[count * 9 / 10], count);
}

static int failed(const char *what, int r)
{
	if (r < 0)
		fprintf(stderr, "ns: %s: %s\n", what, strerror(-r));
	else
		fprintf(stderr, "ns: %s: the program returned %d\n", what, r);
	return -1;
}

/* Opens connection `n` and has its first request answered from the cache. */
static int open_conn(struct bench *b, unsigned n, struct packet_conn *ret_c)
{
	struct packet p;
	int r;

	packet_conn_init(ret_c, &b->ends, n);
	packet_syn(ret_c, &p);
	r = run(b, b->prog, &p, 1, NULL);
	if (r != XDP_TX || packet_take(ret_c, b->out, b->out_bytes))
		return failed("SYN is not answered", r);
	packet_data(ret_c, b->hit, &p);
	r = run(b, b->prog, &p, 1, NULL);
	if (r != XDP_TX || packet_take(ret_c, b->out, b->out_bytes))
		return failed("the first request is not answered from the cache", r);
	return 0;
}

static void close_conn(struct bench *b, struct packet_conn *c)
{
	struct packet p;

	packet_rst(c, &p);
	(void)run(b, b->prog, &p, 1, NULL);
}

static int measure_hit(struct bench *b)
{
	static __u32 ns[SAMPLES];
	struct packet_conn c;
	struct packet p;

	if (open_conn(b, 0, &c))
		return -1;
	for (unsigned i = 0; i < SAMPLES + WARM_UP; i++) {
		int r;

		packet_data(&c, b->hit, &p);
		r = run(b, b->prog, &p, 1, &ns[i < WARM_UP ? 0 : i - WARM_UP]);
		if (r != XDP_TX || packet_take(&c, b->out, b->out_bytes))
			return failed("a hit is not answered", r);
	}
	close_conn(b, &c);
	print_samples("hit", ns, SAMPLES);
	return 0;
}

/* Each miss on a connection of its own: it makes the flow wait for a socket. */
static int measure_miss(struct bench *b)
{
	static __u32 ns[SAMPLES];
	struct packet_conn c;
	struct packet p;

	for (unsigned i = 0; i < SAMPLES; i++) {
		int r;

		if (open_conn(b, i + 1, &c))
			return -1;
		packet_data(&c, b->miss, &p);
		r = run(b, b->prog, &p, 1, &ns[i]);
		if (r != XDP_PASS)
			return failed("a miss is not passed", r);
		close_conn(b, &c);
	}
	print_samples("miss", ns, SAMPLES);
	return 0;
}

static int measure_pass(struct bench *b, const char *name, int prog)
{
	struct packet_ends ends = b->ends;
	static __u32 ns[SAMPLES];
	struct packet_conn c;
	struct packet p;
	__u32 mean;

	ends.server_port = htons((__u16)(ntohs(ends.server_port) ^ 1));
	packet_conn_init(&c, &ends, 0);
	packet_data(&c, b->hit, &p);
	for (unsigned i = 0; i < SAMPLES + WARM_UP; i++) {
		int r = run(b, prog, &p, 1, &ns[i < WARM_UP ? 0 : i - WARM_UP]);

		if (r != XDP_PASS)
			return failed("a packet for another port is not passed", r);
	}
	print_samples(name, ns, SAMPLES);
	if (run(b, prog, &p, REPEAT, &mean) != XDP_PASS)
		return failed("repeat", -EIO);
	printf(", \"%s_repeat\": %u", name, mean);
	return 0;
}

/* The program on the interface, or behind libxdp's dispatcher the newest one of its name. */
static int find_program(unsigned ifindex, const char *name)
{
	struct bpf_prog_info info;
	__u32 id = 0, bytes, best = 0;
	int fd;

	(void)bpf_xdp_query_id((int)ifindex, 0, &best);
	fd = best ? bpf_prog_get_fd_by_id(best) : -1;
	if (fd >= 0) {
		memset(&info, 0, sizeof(info));
		bytes = sizeof(info);
		if (!bpf_obj_get_info_by_fd(fd, &info, &bytes) && !strcmp(info.name, name))
			return fd;
		close(fd);
	}
	for (best = 0; !bpf_prog_get_next_id(id, &id);) {
		fd = bpf_prog_get_fd_by_id(id);
		if (fd < 0)
			continue;
		memset(&info, 0, sizeof(info));
		bytes = sizeof(info);
		if (!bpf_obj_get_info_by_fd(fd, &info, &bytes) && !strcmp(info.name, name))
			best = id;
		close(fd);
	}
	return best ? bpf_prog_get_fd_by_id(best) : -1;
}

static int load_empty(void)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};

	return bpf_prog_load(BPF_PROG_TYPE_XDP, "bench_empty", "GPL", insns, 2, NULL);
}

int main(int argc, char **argv)
{
	static struct bench b;
	struct ifreq ifr = {0};
	int empty, fd, r;

	if (argc != 7) {
		fprintf(stderr, "ns INTERFACE SERVER_IP PORT HIT_PATH MISS_PATH PROGRAM\n");
		return 1;
	}
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	b.ifindex = if_nametoindex(argv[1]);
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", argv[1]);
	b.ends.server_port = htons((__u16)atoi(argv[3]));
	if (fd < 0 || !b.ifindex || ioctl(fd, SIOCGIFHWADDR, &ifr) ||
	    inet_pton(AF_INET, argv[2], &b.ends.server_ip) != 1) {
		fprintf(stderr, "ns: no interface %s here, or a bad address\n", argv[1]);
		return 1;
	}
	close(fd);
	memcpy(b.ends.server_mac, ifr.ifr_hwaddr.sa_data, 6);
	snprintf(b.hit, sizeof(b.hit), "GET %s HTTP/1.1\r\nHost: %s:%s\r\n\r\n", argv[4], argv[2], argv[3]);
	snprintf(b.miss, sizeof(b.miss), "GET %s HTTP/1.1\r\nHost: %s:%s\r\n\r\n", argv[5], argv[2], argv[3]);
	b.prog = find_program(b.ifindex, argv[6]);
	empty = load_empty();
	if (b.prog < 0 || empty < 0) {
		fprintf(stderr, "ns: no program %s on %s, or cannot load one: %s\n", argv[6], argv[1], strerror(errno));
		return 1;
	}

	printf("{");
	r = measure_pass(&b, "empty", empty);
	printf(", ");
	r = r ? r : measure_pass(&b, "pass", b.prog);
	printf(", ");
	r = r ? r : measure_hit(&b);
	printf(", ");
	r = r ? r : measure_miss(&b);
	printf("}\n");
	return r ? 1 : 0;
}
