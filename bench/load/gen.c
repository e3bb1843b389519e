// SPDX-License-Identifier: GPL-2.0
/* The load generator: options, what is measured, JSON. Learns the expected response (probe.c), lets loop.c put
 * gen.bpf.c on the client's end of a veth pair, and either counts verified responses of a closed loop for a while
 * or (--idle) opens connections, asks once on each, leaves them idle until its standard input ends, and asks again.
 * One thread; every loop is bounded by time.
 * Exit status 0: measured, nothing bad; 1: could not measure; 2: bad responses or lost connections were seen. */
#include <arpa/inet.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "loop.h"

#define WARM_UP_S 0.5
#define BATCH 240	/* a veth ring holds 256 frames */
#define BATCH_S 5
#define IDLE_HOLD_S 300

static volatile sig_atomic_t is_interrupted;

static void on_signal(int sig)
{
	(void)sig;
	is_interrupted = 1;
}

static void usage(FILE *f)
{
	fputs("gen --dev IF --server-ip A --client-ip B --port P --path /X\n"
	      "    [--connections N]  default 1024, at most 131072; each 16384 need one more client address,\n"
	      "                       counted up from B, all of them on IF\n"
	      "    [--in-flight N]    requests at the same time, default 128; divides the connections. A veth\n"
	      "                       ring loses frames from 256 on\n"
	      "    [--seconds S]      of measuring, after half a second of warm-up; default 3\n"
	      "    [--timestamps]     offer and require TCP timestamps\n"
	      "    [--host NAME]      Host field, default A:P\n"
	      "    [--expect FILE]    the body must be this file\n"
	      "    [--cpus A,B..]     where to start connections (they stay on their CPU), default: any\n"
	      "    [--base-port N]    client ports from N on\n"
	      "    [--netns NAME]     enter this network namespace first\n"
	      "    [--idle]           instead: ask once on each connection, leave all idle until end of input, ask again\n",
	      f);
}

static void parse_cpus(struct gen_options *o, char *list)
{
	for (char *s = strtok(list, ","); s && o->cpus_count < GEN_CPUS_MAX; s = strtok(NULL, ","))
		o->cpus[o->cpus_count++] = atoi(s);
}

static int parse(int argc, char **argv, struct gen_options *o)
{
	static const struct option longs[] = {
		{"dev", 1, NULL, 'd'},	    {"server-ip", 1, NULL, 's'}, {"client-ip", 1, NULL, 'c'},
		{"port", 1, NULL, 'p'},	    {"path", 1, NULL, 'u'},	 {"connections", 1, NULL, 'n'},
		{"seconds", 1, NULL, 't'},  {"timestamps", 0, NULL, 'T'}, {"host", 1, NULL, 'H'},
		{"in-flight", 1, NULL, 'f'},
		{"expect", 1, NULL, 'e'},   {"cpus", 1, NULL, 'C'},	 {"base-port", 1, NULL, 'b'},
		{"netns", 1, NULL, 'N'},    {"idle", 0, NULL, 'i'},	 {"help", 0, NULL, 'h'},
		{0},
	};
	static char host[64];
	bool is_ok = true;
	int c;

	*o = (struct gen_options){.connections = 1024, .in_flight = 128, .seconds = 3, .path = "/"};
	o->client.sin_family = o->server.sin_family = AF_INET;
	/* other ports than the last run: the server may still know those */
	o->base_port = 10000 + (unsigned)(time(NULL) % 5) * (GEN_PORTS / 2);
	while (is_ok && (c = getopt_long(argc, argv, "", longs, NULL)) >= 0) {
		switch (c) {
		case 'd': o->dev = optarg; break;
		case 's': is_ok = inet_pton(AF_INET, optarg, &o->server.sin_addr) == 1; break;
		case 'c': is_ok = inet_pton(AF_INET, optarg, &o->client.sin_addr) == 1; break;
		case 'p': o->server.sin_port = htons((uint16_t)atoi(optarg)); break;
		case 'u': o->path = optarg; break;
		case 'n': o->connections = (unsigned)atoi(optarg); break;
		case 'f': o->in_flight = (unsigned)atoi(optarg); break;
		case 't': o->seconds = atof(optarg); break;
		case 'T': o->with_ts = true; break;
		case 'H': o->host = optarg; break;
		case 'e': o->expect = optarg; break;
		case 'C': parse_cpus(o, optarg); break;
		case 'b': o->base_port = (unsigned)atoi(optarg); break;
		case 'N': o->netns = optarg; break;
		case 'i': o->is_idle = true; break;
		case 'h': usage(stdout); exit(0);
		default: is_ok = false;
		}
	}
	if (o->is_idle || o->in_flight > o->connections)
		o->in_flight = o->connections;
	if (!is_ok || !o->dev || !o->server.sin_port || !o->server.sin_addr.s_addr || !o->client.sin_addr.s_addr ||
	    !o->connections || o->connections > GEN_CONNS_MAX || !o->in_flight || o->connections % o->in_flight ||
	    o->base_port + GEN_PORTS > 65535 ||
	    o->seconds <= 0 || o->seconds > 600)
		return -1;
	if (!o->host) {
		snprintf(host, sizeof(host), "%s:%u", inet_ntoa(o->server.sin_addr), ntohs(o->server.sin_port));
		o->host = host;
	}
	return 0;
}

static int enter_netns(const char *name)
{
	char path[128];
	int fd, r;

	snprintf(path, sizeof(path), "%s%s", strchr(name, '/') ? "" : "/run/netns/", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	r = fd < 0 ? -1 : setns(fd, CLONE_NEWNET);
	if (r)
		fprintf(stderr, "gen: cannot enter %s: %s\n", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return r;
}

/* CPU seconds of the whole machine by /proc/stat: user+nice, system, irq+softirq, idle+iowait, steal. */
static void read_cpu(double ret[5])
{
	unsigned long long v[8] = {0};
	double hz = (double)sysconf(_SC_CLK_TCK);
	FILE *f = fopen("/proc/stat", "re");

	if (!f || fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", v, v + 1, v + 2, v + 3, v + 4, v + 5,
			 v + 6, v + 7) != 8)
		fprintf(stderr, "gen: cannot read /proc/stat\n");
	if (f)
		fclose(f);
	ret[0] = (double)(v[0] + v[1]) / hz;
	ret[1] = (double)v[2] / hz;
	ret[2] = (double)(v[5] + v[6]) / hz;
	ret[3] = (double)(v[3] + v[4]) / hz;
	ret[4] = (double)v[7] / hz;
}

static __u64 count_bad(const struct gen_counters *n)
{
	return n->bad_length + n->bad_bytes + n->bad_checksum + n->bad_header;
}

static void print_counters(const struct gen_counters *n)
{
	const char *sep = "";

	printf(" \"counters\": {");
#define GEN_ROW(name, help) printf("%s\"%s\": %llu", sep, #name, n->name), sep = ", ";
	GEN_COUNTERS(GEN_ROW)
#undef GEN_ROW
	printf("}");
}

/* Waits for `seconds`, repairing. */
static int keep_going(struct gen *g, double seconds)
{
	double end = gen_now_s() + seconds;
	int r = 0;

	while (!r && !is_interrupted && gen_now_s() < end) {
		usleep(GEN_SCAN_MS * 1000);
		r = gen_repair(g, g->opt.connections);
	}
	return is_interrupted ? -1 : r;
}

/* Runs `start` (gen_open or gen_ask_again) for all connections, a batch at a time, each until it is idle. */
static int for_all(struct gen *g, int (*start)(struct gen *g, unsigned first, unsigned end))
{
	struct gen_counters c;
	__u64 per_cpu[GEN_CPUS_MAX], before;
	unsigned i, end;

	for (i = 0; i < g->opt.connections && !is_interrupted; i = end) {
		double now = gen_now_s(), limit = now + BATCH_S, scan = now;

		end = i + BATCH < g->opt.connections ? i + BATCH : g->opt.connections;
		gen_read_counters(g, &c, per_cpu);
		before = c.verified + count_bad(&c) + c.resets;
		if (start(g, i, end))
			return -1;
		do {
			usleep(200);
			now = gen_now_s();
			if (now > scan + GEN_SCAN_MS / 1000.0) {
				scan = now;
				if (gen_repair(g, end))
					return -1;
			}
			gen_read_counters(g, &c, per_cpu);
		} while (c.verified + count_bad(&c) + c.resets < before + (end - i) && now < limit && !is_interrupted);
	}
	return is_interrupted ? -1 : 0;
}

/* Starts the closed loop: one packet for each of the first in_flight connections, a share from each CPU. */
static int start_loop(struct gen *g)
{
	unsigned shares = g->opt.cpus_count ? g->opt.cpus_count : 1, n = g->opt.in_flight;

	gen_set_single(g, false);
	for (unsigned i = 0; i < shares; i++) {
		if (g->opt.cpus_count && gen_pin_to(g->opt.cpus[i]))
			return -1;
		if (gen_ask_again(g, n * i / shares, n * (i + 1) / shares))
			return -1;
	}
	return keep_going(g, WARM_UP_S);
}

static int measure(struct gen *g)
{
	__u64 cpu_a[GEN_CPUS_MAX] = {0}, cpu_b[GEN_CPUS_MAX] = {0}, stalls;
	struct gen_counters a, b;
	double t0, t1, c0[5], c1[5], busy;

	if (for_all(g, gen_open) || start_loop(g))
		return 1;
	stalls = g->stalls;
	gen_read_counters(g, &a, cpu_a);
	read_cpu(c0);
	t0 = gen_now_s();
	if (keep_going(g, g->opt.seconds))
		return 1;
	gen_read_counters(g, &b, cpu_b);
	read_cpu(c1);
	t1 = gen_now_s();

#define GEN_ROW(name, help) b.name -= a.name;
	GEN_COUNTERS(GEN_ROW)
#undef GEN_ROW
	busy = c1[0] - c0[0] + c1[1] - c0[1] + c1[2] - c0[2];
	printf("{\"seconds\": %.3f, \"connections\": %u, \"in_flight\": %u, \"opened\": %llu, \"timestamps\": %s,\n"
	       " \"request_bytes\": %zu, \"response_bytes\": %zu, \"responses_per_s\": %.0f, \"verified\": %llu,\n"
	       " \"bad\": %llu, \"stalls\": %llu, \"reopened\": %llu,\n",
	       t1 - t0, g->opt.connections, g->opt.in_flight, a.opened, g->opt.with_ts ? "true" : "false",
	       g->probe.request_bytes, g->probe.response_bytes, (double)b.verified / (t1 - t0), b.verified,
	       count_bad(&b), g->stalls - stalls, g->reopened);
	print_counters(&b);
	printf(",\n \"cpu\": {\"busy_s\": %.2f, \"user_s\": %.2f, \"system_s\": %.2f, \"softirq_s\": %.2f, "
	       "\"idle_s\": %.2f, \"steal_s\": %.2f},\n \"responses_per_cpu_s\": %.0f, \"verified_by_cpu\": [",
	       busy, c1[0] - c0[0], c1[1] - c0[1], c1[2] - c0[2], c1[3] - c0[3], c1[4] - c0[4],
	       busy > 0 ? (double)b.verified / busy : 0);
	for (int i = 0; i < GEN_CPUS_MAX && i < libbpf_num_possible_cpus(); i++)
		printf("%s%llu", i ? ", " : "", cpu_b[i] - cpu_a[i]);
	printf("]}\n");
	return count_bad(&b) ? 2 : 0;
}

static void print_phase(struct gen *g, const char *phase, __u64 before, __u64 *ret_verified)
{
	__u64 per_cpu[GEN_CPUS_MAX];
	struct gen_counters c;

	gen_read_counters(g, &c, per_cpu);
	printf("{\"phase\": \"%s\", \"verified\": %llu, \"idle\": %u, \"dead\": %u, \"bad\": %llu, "
	       "\"stalls\": %llu,",
	       phase, c.verified - before, gen_count(g, GEN_IDLE), gen_count(g, GEN_DEAD), count_bad(&c), g->stalls);
	print_counters(&c);
	printf("}\n");
	fflush(stdout);
	*ret_verified = c.verified;
}

static int idle(struct gen *g)
{
	double limit = gen_now_s() + IDLE_HOLD_S;
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
	__u64 first = 0, both = 0;
	char byte;

	if (for_all(g, gen_open))
		return 1;
	print_phase(g, "idle", 0, &first);
	while (!is_interrupted && gen_now_s() < limit)
		if (poll(&input, 1, 100) > 0 && read(STDIN_FILENO, &byte, 1) <= 0)
			break;
	if (for_all(g, gen_ask_again))
		return 1;
	print_phase(g, "again", first, &both);
	return both == 2ULL * g->opt.connections ? 0 : 2;
}

int main(int argc, char **argv)
{
	static struct gen g;
	int r = 1;

	if (parse(argc, argv, &g.opt)) {
		usage(stderr);
		return 1;
	}
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	if (g.opt.netns && enter_netns(g.opt.netns))
		return 1;
	g.ifindex = if_nametoindex(g.opt.dev);
	if (!g.ifindex) {
		fprintf(stderr, "gen: no interface %s here\n", g.opt.dev);
		return 1;
	}
	srandom((unsigned)time(NULL));
	if (!gen_attach_pass(&g) &&
	    !probe_learn(&g.opt.client, &g.opt.server, g.opt.path, g.opt.host, 3, &g.probe) &&
	    (!g.opt.expect || !probe_compare(&g.probe, g.opt.expect)) && !gen_load(&g))
		r = g.opt.is_idle ? idle(&g) : measure(&g);
	gen_stop(&g);
	return r;
}
