/* SPDX-License-Identifier: GPL-2.0 */
/* The BPF half of the generator, handled from user space: set up, load, attach, inject, repair, stop.
 * One thread. Functions return 0 or, after a message on stderr, -1. */
#ifndef BENCH_LOOP_H
#define BENCH_LOOP_H

#include <linux/types.h>
#include <netinet/in.h>
#include <stdbool.h>

#include "gen.h"
#include "probe.h"

#define GEN_CPUS_MAX 64

struct gen_options {
	const char *dev, *path, *host, *expect, *netns;
	struct sockaddr_in client, server; /* client: the first of its addresses */
	unsigned connections, in_flight, base_port;
	double seconds;
	bool with_ts, is_idle;
	int cpus[GEN_CPUS_MAX];
	unsigned cpus_count;
};

struct gen {
	struct gen_options opt;
	struct probe probe; /* what the server answers */
	struct gen_bpf *skel;
	unsigned ifindex;
	int attached_fd; /* of the program that is on the interface, 0: none */
	__u32 seen_requests[GEN_CONNS_MAX];
	unsigned char idle_scans[GEN_CONNS_MAX];
	__u64 stalls, reopened;
};

double gen_now_s(void);

/* Puts a program that passes everything on g->opt.dev: without one a veth drops what the peer's program sends,
 * and the probe would get no answer from a server that is an XDP program. */
int gen_attach_pass(struct gen *g);

/* Loads the programs for g->opt and g->probe, and attaches to g->opt.dev in native mode, in place of that. */
int gen_load(struct gen *g);

/* Whether connections fall silent after one request; from the start they do. */
void gen_set_single(struct gen *g, bool is_single);

/* Sends the SYNs of connections first .. end - 1, from this CPU. */
int gen_open(struct gen *g, unsigned first, unsigned end);

/* Sends the next request of those of first .. end - 1 that are idle. */
int gen_ask_again(struct gen *g, unsigned first, unsigned end);

/* To be called every GEN_SCAN_MS: sends what connections 0 .. end - 1 wait for, opens dead ones again. */
#define GEN_SCAN_MS 20
int gen_repair(struct gen *g, unsigned end);

unsigned gen_count(const struct gen *g, enum gen_state state);
void gen_read_counters(const struct gen *g, struct gen_counters *ret, __u64 ret_verified[GEN_CPUS_MAX]);
int gen_pin_to(int cpu);

/* Stops the loop, resets every connection, so that the server keeps none, detaches and unloads. */
void gen_stop(struct gen *g);

#endif
