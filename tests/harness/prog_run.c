// SPDX-License-Identifier: GPL-2.0
/* One packet through weir_xdp, and the helpers that play a client's side of a connection. */
#include "harness/prog_run.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <string.h>

#include "common/macro.h"

#define META_MAGIC 0x57656972u
#define CPUS_MAX 256

static uint64_t verdicts_before[WEIR_VERDICT__MAX], verdicts_after[WEIR_VERDICT__MAX];
static uint64_t misses_before[WEIR_MISS__MAX], misses_after[WEIR_MISS__MAX];

static const struct {
	int action;
	bool has_meta;
} rows[WEIR_VERDICT__MAX] = {
#define ROW_PASS XDP_PASS, false
#define ROW_UP XDP_PASS, true
#define ROW_DROP XDP_DROP, false
#define ROW_TX XDP_TX, false
#define WEIR_ROW(name, action, help) [WEIR_VERDICT_##name] = { ROW_##action },
#include "weir/verdicts.def"
#undef WEIR_ROW
};

static void read_counters(int map, uint64_t *ret, uint32_t count)
{
	uint64_t values[CPUS_MAX];
	uint32_t i;
	int cpu;

	cr_assert_leq(libbpf_num_possible_cpus(), CPUS_MAX);
	for (i = 0; i < count; i++) {
		cr_assert_eq(bpf_map_lookup_elem(map, &i, values), 0);
		ret[i] = 0;
		for (cpu = 0; cpu < libbpf_num_possible_cpus(); cpu++)
			ret[i] += values[cpu];
	}
}

/* Which one counter moved; 0 if none did. */
static uint32_t moved(const uint64_t *before, const uint64_t *after, uint32_t count)
{
	uint32_t i, found = 0;

	for (i = 0; i < count; i++) {
		if (before[i] == after[i])
			continue;
		cr_assert_eq(after[i] - before[i], 1, "counter %u moved by %lu", i,
			     (unsigned long)(after[i] - before[i]));
		cr_assert_eq(found, 0, "counters %u and %u moved", found, i);
		found = i;
	}
	return found;
}

static int test_run(const uint8_t *frame, size_t bytes, struct prog_result *ret, uint32_t *ret_offset)
{
	struct xdp_md ctx_in = { .data_end = (uint32_t)bytes, .ingress_ifindex = 1 }, ctx_out = {};
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = frame, .data_size_in = (uint32_t)bytes, .data_out = ret->frame,
		    .data_size_out = sizeof(ret->frame), .ctx_in = &ctx_in, .ctx_size_in = sizeof(ctx_in),
		    .ctx_out = &ctx_out, .ctx_size_out = sizeof(ctx_out), .repeat = 1);
	int r = bpf_prog_test_run_opts(prog.xdp, &o);

	cr_assert_eq(r, 0, "test run of %zu bytes: %s", bytes, strerror(-r));
	ret->bytes = o.data_size_out;
	*ret_offset = ctx_out.data;
	return (int)o.retval;
}

/* Metadata comes out in front of the frame. */
static void take_meta(struct prog_result *r, uint32_t offset)
{
	r->has_meta = offset != 0;
	if (!r->has_meta)
		return;
	cr_assert_eq(offset, sizeof(r->meta), "%u bytes of metadata", offset);
	memcpy(&r->meta, r->frame, sizeof(r->meta));
	cr_assert_eq(r->meta.magic, META_MAGIC);
	r->bytes -= offset;
	memmove(r->frame, r->frame + offset, r->bytes);
}

/* Addresses and ports of a frame that was sent, whatever else is wrong with it. */
static struct weir_flow_key key_of(const uint8_t *frame)
{
	const uint8_t *ip = frame + (frame[12] == 0x81 ? 18 : 14);
	struct weir_flow_key k = { .client = { { 0, 0, htonl(0xffff), 0 } }, .server = { { 0, 0, htonl(0xffff), 0 } } };
	size_t header = (ip[0] & 15) * 4u;

	if (ip[0] >> 4 == 6) {
		header = ip[6] == IPPROTO_DSTOPTS || ip[6] == IPPROTO_ROUTING ? 40 + (ip[41] + 1u) * 8 : 40;
		memcpy(&k.client, ip + 8, 16);
		memcpy(&k.server, ip + 24, 16);
	} else {
		memcpy(&k.client.word[3], ip + 12, 4);
		memcpy(&k.server.word[3], ip + 16, 4);
	}
	memcpy(&k.client_port, ip + header, 2);
	memcpy(&k.server_port, ip + header + 2, 2);
	return k;
}

/* A reply goes back where the frame came from, over the same link. */
static void check_reply(const uint8_t *frame, struct prog_result *r)
{
	const char *wrong = packet_parse(r->frame, r->bytes, &r->reply);
	struct weir_flow_key sent = key_of(frame), back;
	uint8_t swapped[12];

	cr_assert_null(wrong, "reply (%s): %s", weir_verdict_name(r->verdict), wrong);
	memcpy(swapped, frame + 6, 6);
	memcpy(swapped + 6, frame, 6);
	cr_assert_arr_eq(r->frame, swapped, 12);
	packet_swap(&r->reply);
	back = packet_key(&r->reply);
	cr_assert_arr_eq(&back, &sent, sizeof(sent), "the reply goes elsewhere");
}

void prog_run_frame(const uint8_t *frame, size_t bytes, struct prog_result *r)
{
	uint32_t offset;
	int action;

	memset(r, 0, offsetof(struct prog_result, frame));
	read_counters(prog.verdicts, verdicts_before, WEIR_VERDICT__MAX);
	read_counters(prog.misses, misses_before, WEIR_MISS__MAX);
	action = test_run(frame, bytes, r, &offset);
	read_counters(prog.verdicts, verdicts_after, WEIR_VERDICT__MAX);
	read_counters(prog.misses, misses_after, WEIR_MISS__MAX);
	r->verdict = moved(verdicts_before, verdicts_after, WEIR_VERDICT__MAX);
	r->miss = moved(misses_before, misses_after, WEIR_MISS__MAX);
	take_meta(r, offset);
	cr_assert_neq(r->verdict, WEIR_VERDICT_MORE, "no verdict was counted");
	cr_assert_eq(action, rows[r->verdict].action, "action %d with %s", action, weir_verdict_name(r->verdict));
	cr_assert_eq(r->has_meta, rows[r->verdict].has_meta, "metadata with %s", weir_verdict_name(r->verdict));
	if (action == XDP_TX) {
		check_reply(frame, r);
	} else if (action == XDP_PASS) {
		cr_assert_eq(r->bytes, bytes, "%s changed the length", weir_verdict_name(r->verdict));
		cr_assert_arr_eq(r->frame, frame, bytes, "%s changed the frame", weir_verdict_name(r->verdict));
	}
}

void prog_run(const struct packet *p, struct prog_result *r)
{
	uint8_t frame[PACKET_FRAME_MAX];

	prog_run_frame(frame, packet_build(p, frame), r);
}

void prog_run_fast(const uint8_t *frame, size_t bytes)
{
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = frame, .data_size_in = (uint32_t)bytes, .repeat = 1);

	cr_assert_eq(bpf_prog_test_run_opts(prog.xdp, &o), 0);
}

static struct weir_addr address(const char *text, bool is_v6)
{
	struct weir_addr a = { { 0, 0, htonl(0xffff), 0 } };

	inet_pton(is_v6 ? AF_INET6 : AF_INET, text, is_v6 ? a.word : a.word + 3);
	return a;
}

struct packet prog_packet(bool is_v6)
{
	struct packet p = {
		.is_v6 = is_v6,
		.client = address(is_v6 ? CLIENT_IP6 : CLIENT_IP, is_v6),
		.server = address(is_v6 ? SERVER_IP6 : SERVER_IP, is_v6),
		.client_port = CLIENT_PORT,
		.server_port = SERVER_PORT,
		.flags = ACK,
		.window = 64000,
	};

	return p;
}

struct packet prog_syn(unsigned options, uint16_t mss)
{
	struct packet p = prog_packet(options & WITH_V6);

	p.flags = SYN;
	p.seq = CLIENT_ISN;
	p.mss = mss;
	p.has_ts = options & WITH_TS;
	p.ts_val = CLIENT_TS;
	p.has_sack = options & WITH_SACK;
	p.has_wscale = options & WITH_WSCALE;
	p.wscale = CLIENT_WSCALE;
	return p;
}

void prog_acknowledge(struct packet *c, const struct packet *reply)
{
	c->seq = reply->ack;
	c->ack = reply->seq + (uint32_t)reply->payload_bytes + !!(reply->flags & (SYN | FIN));
	if (reply->has_ts) {
		c->ts_val++;
		c->ts_ecr = reply->ts_val;
	}
}

struct packet prog_connect(unsigned options, uint16_t mss)
{
	struct packet c = prog_syn(options, mss);
	struct prog_result r;

	prog_run(&c, &r);
	assert_verdict(&r, WEIR_VERDICT_SYN_COOKIE);
	c = prog_packet(options & WITH_V6);
	c.has_ts = r.reply.has_ts;
	c.ts_val = CLIENT_TS;
	prog_acknowledge(&c, &r.reply);
	prog_run(&c, &r);
	assert_verdict(&r, WEIR_VERDICT_ACCEPTED);
	return c;
}

struct packet prog_request(const struct packet *client, const char *text)
{
	struct packet p = *client;

	p.flags = ACK | PSH;
	p.payload = text;
	p.payload_bytes = strlen(text);
	return p;
}
