// SPDX-License-Identifier: GPL-2.0
/* SYN, the cookie in the SYN-ACK, and the segment that brings it back: bpf/lib/cookie.h and bpf/lib/fresh.h. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "common/macro.h"
#include "harness/prog_run.h"
#include "weir/siphash.h"

PROG_TESTS(xdp_syn);

#define CURRENT 0

/* The cookie as its comment in bpf/lib/cookie.h describes it. */
static uint32_t make_cookie(const struct packet *syn, unsigned which, uint32_t unit, uint32_t index)
{
	struct weir_secrets secrets = prog_secrets();
	struct weir_flow_key k = packet_key(syn);
	struct weir_sip h;
	uint64_t words[5];
	int i;

	memcpy(words, &k, sizeof(words));
	weir_sip_init(&h, secrets.cookie[which]);
	for (i = 0; i < 5; i++)
		weir_sip_word(&h, words[i]);
	weir_sip_word(&h, (uint64_t)syn->seq << 32 | index << 28 | (unit & 0xfffffff));
	return index << 28 | (unit & 3) << 26 | which << 25 | (weir_sip_final(&h) & 0x1ffffff);
}

static uint32_t ts_offset(const struct packet *syn)
{
	struct weir_secrets secrets = prog_secrets();
	struct weir_flow_key k = packet_key(syn);
	struct weir_sip h;
	uint64_t words[5];
	int i;

	memcpy(words, &k, sizeof(words));
	weir_sip_init(&h, secrets.ts_offset);
	for (i = 0; i < 5; i++)
		weir_sip_word(&h, words[i]);
	return (uint32_t)weir_sip_final(&h);
}

static uint32_t unit_now(void)
{
	return (uint32_t)(prog_now_ns() / (WEIR_COOKIE_UNIT_S * 1000000000ULL));
}

/* What the client sends after a SYN-ACK with this cookie. */
static struct packet answer_to(const struct packet *syn, uint32_t cookie)
{
	struct packet p = prog_packet(syn->is_v6);

	p.client = syn->client;
	p.client_port = syn->client_port;
	p.seq = syn->seq + 1;
	p.ack = cookie + 1;
	return p;
}

static void expect(const struct packet *p, enum weir_verdict v)
{
	struct prog_result r;

	prog_run(p, &r);
	assert_verdict(&r, v);
}

Test(xdp_syn, options_are_agreed_as_linux_does_with_cookies)
{
	unsigned o;

	for (o = 0; o < 16; o++) {
		struct packet p = prog_syn(o, 1400);
		struct prog_result r;
		bool has_ts = o & WITH_TS;

		prog_run(&p, &r);
		assert_verdict(&r, WEIR_VERDICT_SYN_COOKIE);
		cr_assert_eq(r.reply.flags, SYN | ACK);
		cr_assert_eq(r.reply.ack, CLIENT_ISN + 1);
		cr_assert_eq(r.reply.payload_bytes, 0);
		cr_assert_eq(r.reply.mss, o & WITH_V6 ? 1440 : 1460);
		cr_assert_eq(r.reply.has_ts, has_ts);
		cr_assert_eq(r.reply.has_sack, has_ts && o & WITH_SACK);
		cr_assert_eq(r.reply.has_wscale, has_ts && o & WITH_WSCALE);
		cr_assert_eq(r.reply.wscale, r.reply.has_wscale ? RCV_WSCALE : 0);
		cr_assert_eq(r.reply.window, 65535 / 1400 * 1400);
	}
}

Test(xdp_syn, cookie_is_the_sequence_number)
{
	struct packet p = prog_syn(WITH_ALL, 1460);
	uint32_t before = unit_now();
	struct prog_result r;

	prog_run(&p, &r);
	cr_assert(r.reply.seq == make_cookie(&p, CURRENT, before, 13) ||
		  r.reply.seq == make_cookie(&p, CURRENT, unit_now(), 13));
}

Test(xdp_syn, timestamp_is_the_clock_with_the_options_in_its_low_bits)
{
	unsigned o;

	for (o = 0; o < 16; o++) {
		struct packet p = prog_syn(o | WITH_TS, 1460);
		uint32_t before = (uint32_t)(prog_now_ns() / 1000000), ts;
		struct prog_result r;

		prog_run(&p, &r);
		ts = r.reply.ts_val - ts_offset(&p);
		cr_assert_eq(ts & 15, o & WITH_WSCALE ? CLIENT_WSCALE : 15);
		cr_assert_eq(ts >> 4 & 1, !!(o & WITH_SACK));
		cr_assert_lt(before - ts, 64, "%u is not shortly before %u", ts, before);
		cr_assert_eq(r.reply.ts_ecr, CLIENT_TS);
	}
}

Test(xdp_syn, repeated_syn_gets_the_same_cookie)
{
	struct packet p = prog_syn(WITH_ALL, 1460);
	struct prog_result first, again;

	prog_run(&p, &first);
	prog_run(&p, &again);
	cr_assert_eq(first.reply.seq, again.reply.seq);
}

Test(xdp_syn, own_mss_follows_the_interface)
{
	static const struct {
		uint32_t mtu;
		uint16_t mss4, mss6;
	} rows[] = { { 1500, 1460, 1440 },
		     { 1492, 1452, 1432 },
		     { 9000, 8960, 8940 },
		     { 65536, 65495, 65476 },
		     { 576, 536, 516 } };
	struct prog_result r;
	struct packet p;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		prog_iface(0, rows[i].mtu, NULL);
		p = prog_syn(0, 1460);
		prog_run(&p, &r);
		cr_assert_eq(r.reply.mss, rows[i].mss4);
		p = prog_syn(WITH_V6, 1460);
		prog_run(&p, &r);
		cr_assert_eq(r.reply.mss, rows[i].mss6);
	}
}

Test(xdp_syn, ecn_and_payload_are_left_out_of_account)
{
	struct packet p = prog_syn(0, 1460);
	struct prog_result r;

	p.flags = SYN | ECE | CWR;
	p.payload = "early";
	p.payload_bytes = 5;
	prog_run(&p, &r);
	assert_verdict(&r, WEIR_VERDICT_SYN_COOKIE);
	assert_reply(&r, SYN | ACK, r.reply.seq, CLIENT_ISN + 1);
}

Test(xdp_syn, syn_without_options_is_answered_with_ours_on_generic_links_too)
{
	struct packet p = prog_syn(0, 0);
	struct prog_result r;

	prog_iface(WEIR_IFACE_GENERIC, 1500, NULL);
	prog_run(&p, &r);
	assert_verdict(&r, WEIR_VERDICT_SYN_COOKIE);
	cr_assert_eq(r.reply.mss, 1460);
}

Test(xdp_syn, malformed_options_end_the_reading)
{
	static const struct {
		uint8_t bytes[20];
		unsigned count;
		bool has_mss;
	} rows[] = {
		{ { 2, 4, 5, 0x78, 99, 0, 1, 1 }, 8, true }, /* unknown, length 0 */
		{ { 99, 0, 2, 4, 5, 0x78, 1, 1 }, 8, false },
		{ { 99, 1, 2, 4, 5, 0x78, 1, 1 }, 8, false },
		{ { 99, 4, 1, 1, 2, 4, 5, 0x78 }, 8, true },		 /* unknown, skipped */
		{ { 0, 0, 0, 0, 2, 4, 5, 0x78 }, 8, false },		 /* behind the end */
		{ { 1, 1, 1, 1, 1, 2, 4, 5 }, 8, false },		 /* cut */
		{ { 2, 3, 5, 1, 1, 1, 1, 1 }, 8, false },		 /* wrong length */
		{ { 3, 3, 7, 2, 4, 5, 0x78, 4, 2, 0, 0, 0 }, 12, true }, /* other order */
	};
	struct weir_flow f;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct packet p = prog_syn(0, 0);
		struct prog_result r;

		p.raw_options = rows[i].bytes;
		p.raw_option_bytes = rows[i].count;
		prog_run(&p, &r);
		assert_verdict(&r, WEIR_VERDICT_SYN_COOKIE);
		p = answer_to(&p, r.reply.seq);
		expect(&p, WEIR_VERDICT_ACCEPTED);
		cr_assert(prog_flow(&p, &f));
		cr_assert_eq(f.mss, rows[i].has_mss ? 1400 : 536, "row %zu: %u", i, f.mss);
		prog_flow_remove(&p);
	}
}

Test(xdp_syn, flood_stores_nothing)
{
	struct packet p = prog_syn(WITH_ALL, 1460);
	int i;

	for (i = 0; i < 2000; i++) {
		uint8_t frame[PACKET_FRAME_MAX];

		p.client_port = (uint16_t)(1024 + i);
		prog_run_fast(frame, packet_build(&p, frame));
	}
	cr_assert_eq(prog_flows_count(), 0);
}

Test(xdp_syn, accepted_connection_has_what_was_agreed)
{
	unsigned o;

	for (o = 0; o < 16; o++) {
		struct packet p = prog_connect(o, 1400);
		bool has_ts = o & WITH_TS;
		struct weir_flow f;

		cr_assert(prog_flow(&p, &f));
		cr_assert_eq(f.owner, WEIR_OWNER_XDP);
		cr_assert_eq(f.state, WEIR_FLOW_OPEN);
		cr_assert_eq(f.rcv_nxt, CLIENT_ISN + 1);
		cr_assert_eq(f.snd_nxt, p.ack);
		cr_assert_eq(f.snd_una, p.ack);
		cr_assert_eq(f.mss, 1400);
		cr_assert_eq(f.endpoint, o & WITH_V6 ? ENDPOINT6 : ENDPOINT4);
		cr_assert_eq(f.flags, (has_ts ? WEIR_FLOW_TS : 0) | (has_ts && o & WITH_SACK ? WEIR_FLOW_SACK : 0) |
					      (has_ts && o & WITH_WSCALE ? WEIR_FLOW_WSCALE : 0));
		cr_assert_eq(f.snd_wscale, has_ts && o & WITH_WSCALE ? CLIENT_WSCALE : 0);
		cr_assert_eq(f.rcv_wscale, has_ts && o & WITH_WSCALE ? RCV_WSCALE : 0);
		cr_assert_eq(f.ts_recent, has_ts ? p.ts_val : 0);
		cr_assert_eq(f.ts_offset, has_ts ? ts_offset(&p) : 0);
		prog_flow_remove(&p);
	}
}

Test(xdp_syn, mss_is_rounded_down_to_what_a_cookie_can_hold)
{
	static const struct {
		uint16_t offered, kept;
	} rows[] = {
		{ 0, 536 }, { 1, 0 }, { 64, 0 }, { 535, 0 }, { 536, 536 }, { 1199, 536 }, { 1220, 1220 },
		{ 1399, 1380 }, { 1448, 1440 }, { 1460, 1460 }, { 8939, 1460 }, { 65475, 65475 }, { 65535, 65475 },
	};
	struct weir_flow f;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct packet p = prog_connect(0, rows[i].offered);

		cr_assert(prog_flow(&p, &f));
		cr_assert_eq(f.mss, rows[i].kept, "%u becomes %u", rows[i].offered, f.mss);
		prog_flow_remove(&p);
	}
}

Test(xdp_syn, window_shift_above_14_is_14)
{
	struct packet p = prog_syn(WITH_ALL, 1460);
	struct prog_result r;
	struct weir_flow f;

	p.wscale = 15;
	prog_run(&p, &r);
	p = answer_to(&p, r.reply.seq);
	p.has_ts = true;
	p.ts_val = CLIENT_TS;
	p.ts_ecr = r.reply.ts_val;
	expect(&p, WEIR_VERDICT_ACCEPTED);
	cr_assert(prog_flow(&p, &f));
	cr_assert_eq(f.snd_wscale, 14);
}

Test(xdp_syn, each_forged_bit_of_a_cookie_is_refused)
{
	struct packet syn = prog_syn(0, 1460), p;
	uint32_t cookie = make_cookie(&syn, CURRENT, unit_now(), 13);
	int bit;

	for (bit = 0; bit < 32; bit++) {
		p = answer_to(&syn, cookie ^ 1u << bit);
		expect(&p, WEIR_VERDICT_PASS_NO_FLOW);
	}
	p = answer_to(&syn, cookie);
	expect(&p, WEIR_VERDICT_ACCEPTED);
}

Test(xdp_syn, cookie_belongs_to_one_connection)
{
	struct packet syn = prog_syn(0, 1460);
	uint32_t cookie = make_cookie(&syn, CURRENT, unit_now(), 13);
	struct packet p = answer_to(&syn, cookie);

	p.seq++;
	expect(&p, WEIR_VERDICT_PASS_NO_FLOW);
	p = answer_to(&syn, cookie);
	p.client_port++;
	expect(&p, WEIR_VERDICT_PASS_NO_FLOW);
	p = answer_to(&syn, cookie);
	p.client.word[3] ^= htonl(1);
	expect(&p, WEIR_VERDICT_PASS_NO_FLOW);
	cr_assert_eq(prog_flows_count(), 0);
}

Test(xdp_syn, cookie_lives_for_one_to_two_units)
{
	struct packet syn = prog_syn(0, 1460), p;
	uint32_t now = unit_now();

	p = answer_to(&syn, make_cookie(&syn, CURRENT, now - 1, 13));
	expect(&p, WEIR_VERDICT_ACCEPTED);
	prog_flow_remove(&p);
	p = answer_to(&syn, make_cookie(&syn, CURRENT, now - 2, 13));
	expect(&p, WEIR_VERDICT_PASS_NO_FLOW);
	p = answer_to(&syn, make_cookie(&syn, CURRENT, now - 3, 13));
	expect(&p, WEIR_VERDICT_PASS_NO_FLOW);
	p = answer_to(&syn, make_cookie(&syn, CURRENT, now - 4, 13));
	expect(&p, WEIR_VERDICT_PASS_NO_FLOW);
}

Test(xdp_syn, both_secrets_are_accepted)
{
	struct packet syn = prog_syn(0, 1460), p;
	struct weir_secrets s = prog_secrets();
	struct prog_result r;
	unsigned i, j;

	for (i = 0; i < 2; i++) {
		s.cookie_current = i;
		prog_secrets_put(&s);
		prog_run(&syn, &r);
		cr_assert_eq(r.reply.seq >> 25 & 1, i);
		for (j = 0; j < 2; j++) {
			p = answer_to(&syn, make_cookie(&syn, j, unit_now(), 13));
			expect(&p, WEIR_VERDICT_ACCEPTED);
			prog_flow_remove(&p);
		}
	}
	s.cookie[1][0]++;
	prog_secrets_put(&s);
	p = answer_to(&syn, make_cookie(&syn, 1, unit_now(), 13));
	expect(&p, WEIR_VERDICT_PASS_NO_FLOW);
}

Test(xdp_syn, request_that_brings_the_cookie_is_seen)
{
	struct packet syn = prog_syn(0, 1460), p;
	struct weir_flow f;

	p = answer_to(&syn, make_cookie(&syn, CURRENT, unit_now(), 13));
	p = prog_request(&p, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	expect(&p, WEIR_VERDICT_HANDOVER);
	cr_assert(prog_flow(&p, &f));
	cr_assert_eq(f.rcv_nxt, CLIENT_ISN + 1);
}

Test(xdp_syn, fin_that_brings_the_cookie_is_answered)
{
	struct packet syn = prog_syn(0, 1460), p;
	struct prog_result r;

	p = answer_to(&syn, make_cookie(&syn, CURRENT, unit_now(), 13));
	p.flags = FIN | ACK;
	prog_run(&p, &r);
	assert_verdict(&r, WEIR_VERDICT_FIN);
	assert_reply(&r, FIN | ACK, p.ack, p.seq + 1);
}

Test(xdp_syn, client_that_drops_timestamps_has_no_options)
{
	struct packet p = prog_syn(WITH_ALL, 1460);
	struct prog_result r;
	struct weir_flow f;

	prog_run(&p, &r);
	p = answer_to(&p, r.reply.seq);
	expect(&p, WEIR_VERDICT_ACCEPTED);
	cr_assert(prog_flow(&p, &f));
	cr_assert_eq(f.flags, 0);
}

Test(xdp_syn, each_odd_combination_of_flags_has_its_verdict)
{
	static const struct {
		uint8_t flags;
		enum weir_verdict verdict;
	} rows[] = {
		{ 0, WEIR_VERDICT_PASS_NO_FLOW },
		{ FIN, WEIR_VERDICT_PASS_NO_FLOW },
		{ RST, WEIR_VERDICT_PASS_NO_FLOW },
		{ RST | ACK, WEIR_VERDICT_PASS_NO_FLOW },
		{ SYN | ACK, WEIR_VERDICT_PASS_NO_FLOW },
		{ SYN | RST, WEIR_VERDICT_PASS_NO_FLOW },
		{ SYN | FIN, WEIR_VERDICT_DROP_NO_ACK },
		{ SYN | FIN | RST | PSH | ACK | URG, WEIR_VERDICT_PASS_NO_FLOW },
		{ SYN | PSH, WEIR_VERDICT_SYN_COOKIE },
		{ SYN | URG, WEIR_VERDICT_SYN_COOKIE },
		{ ACK, WEIR_VERDICT_PASS_NO_FLOW },
		{ FIN | ACK, WEIR_VERDICT_PASS_NO_FLOW },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct packet p = prog_syn(0, 1460);

		p.flags = rows[i].flags;
		expect(&p, rows[i].verdict);
	}
	cr_assert_eq(prog_flows_count(), 0);
}

/* The cast's addresses are nobody's; a real connection needs loopback's. */
Test(xdp_syn, syn_for_a_kernel_socket_is_the_kernels)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) }, from;
	_cleanup_close_ int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t bytes = sizeof(to);
	struct packet p = prog_syn(0, 1460);
	struct weir_endpoint_key k = {};
	struct weir_endpoint e = { .id = ENDPOINT4, .flags = WEIR_ENDPOINT_HTTP };
	uint64_t all = ~0ULL;
	uint32_t word;

	cr_assert(!bind(listener, (struct sockaddr *)&to, bytes) && !listen(listener, 1));
	cr_assert(!getsockname(listener, (struct sockaddr *)&to, &bytes));
	cr_assert(!connect(client, (struct sockaddr *)&to, bytes));
	cr_assert(!getsockname(client, (struct sockaddr *)&from, &bytes));
	p.client.word[3] = from.sin_addr.s_addr;
	p.server.word[3] = to.sin_addr.s_addr;
	p.server_port = ntohs(to.sin_port);
	k.addr = p.server;
	k.port = to.sin_port;
	word = p.server_port / 64;
	prog_put(prog.ports, &word, &all);
	prog_put(prog.endpoints, &k, &e);
	expect(&p, WEIR_VERDICT_SYN_COOKIE); /* the listener alone is no obstacle */
	p.client_port = ntohs(from.sin_port);
	expect(&p, WEIR_VERDICT_PASS_KERNEL_SYN);
}
