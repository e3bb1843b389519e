// SPDX-License-Identifier: GPL-2.0
/* Which frames are ours, and which of them are believed: bpf/lib/pkt.h. The packet is a SYN, because a SYN that is
 * believed is answered. */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <string.h>

#include "harness/prog_run.h"

PROG_TESTS(xdp_parse);

static const uint8_t our_mac[6] = { 0x02, 0, 0, 0, 0, 0x01 };

static struct packet syn(bool is_v6)
{
	return prog_syn((is_v6 ? WITH_V6 : 0) | WITH_ALL, 1460);
}

static void expect(const uint8_t *frame, size_t bytes, enum weir_verdict v)
{
	struct prog_result r;

	prog_run_frame(frame, bytes, &r);
	assert_verdict(&r, v);
}

static void expect_packet(const struct packet *p, enum weir_verdict v)
{
	uint8_t frame[PACKET_FRAME_MAX];

	expect(frame, packet_build(p, frame), v);
}

Test(xdp_parse, syn_to_an_endpoint_is_answered)
{
	struct packet p4 = syn(false), p6 = syn(true);

	expect_packet(&p4, WEIR_VERDICT_SYN_COOKIE);
	expect_packet(&p6, WEIR_VERDICT_SYN_COOKIE);
}

Test(xdp_parse, other_protocols_pass)
{
	struct packet p4 = syn(false), p6 = syn(true);
	uint8_t frame[PACKET_FRAME_MAX];
	size_t bytes = packet_build(&p4, frame);

	frame[packet_ip_offset(&p4) + 9] = IPPROTO_UDP;
	packet_sum_ip(&p4, frame);
	expect(frame, bytes, WEIR_VERDICT_PASS_NOT_OURS);
	frame[12] = ETH_P_ARP >> 8;
	frame[13] = ETH_P_ARP & 0xff;
	expect(frame, bytes, WEIR_VERDICT_PASS_NOT_OURS);
	bytes = packet_build(&p6, frame);
	frame[packet_ip_offset(&p6) + 6] = IPPROTO_ICMPV6;
	expect(frame, bytes, WEIR_VERDICT_PASS_NOT_OURS);
}

Test(xdp_parse, other_address_passes)
{
	struct packet p4 = syn(false), p6 = syn(true);

	p4.server.word[3] ^= htonl(1);
	p6.server.word[3] ^= htonl(1);
	expect_packet(&p4, WEIR_VERDICT_PASS_NOT_OURS);
	expect_packet(&p6, WEIR_VERDICT_PASS_NOT_OURS);
}

/* Linux drops them (ip6_rcv_core()): no such address is on any wire. */
Test(xdp_parse, mapped_addresses_in_ipv6_are_not_the_ipv4_endpoint)
{
	struct packet p4 = syn(false), p = syn(true);
	struct prog_result r;

	p.server = p4.server;
	prog_run(&p, &r);
	cr_assert(r.verdict == WEIR_VERDICT_PASS_NOT_OURS || r.verdict == WEIR_VERDICT_PASS_MALFORMED);
	p = syn(true);
	p.client = p4.client;
	prog_run(&p, &r);
	cr_assert(r.verdict == WEIR_VERDICT_PASS_NOT_OURS || r.verdict == WEIR_VERDICT_PASS_MALFORMED);
}

Test(xdp_parse, other_port_passes)
{
	struct packet p = syn(false);

	p.server_port = SERVER_PORT + 1;
	expect_packet(&p, WEIR_VERDICT_PASS_NOT_OURS);
	p.server_port = SERVER_PORT + 64;
	expect_packet(&p, WEIR_VERDICT_PASS_NOT_OURS);
}

Test(xdp_parse, other_mac_passes)
{
	struct packet p = syn(false);
	size_t i;

	prog_iface(0, 1500, our_mac);
	expect_packet(&p, WEIR_VERDICT_PASS_NOT_OURS);
	memcpy(p.to, our_mac, sizeof(p.to));
	p.from[0] = 0x06;
	expect_packet(&p, WEIR_VERDICT_SYN_COOKIE);
	for (i = 0; i < sizeof(p.to); i++) {
		p.to[i] ^= 0x10;
		expect_packet(&p, WEIR_VERDICT_PASS_NOT_OURS);
		p.to[i] ^= 0x10;
	}
	memset(p.to, 0xff, sizeof(p.to));
	expect_packet(&p, WEIR_VERDICT_PASS_NOT_OURS);
}

Test(xdp_parse, ip_length_beyond_the_frame_is_the_kernels)
{
	struct packet p4 = syn(false), p6 = syn(true);
	uint8_t frame[PACKET_FRAME_MAX];
	size_t bytes = packet_build(&p4, frame);

	expect(frame, bytes - 1, WEIR_VERDICT_PASS_MALFORMED);
	bytes = packet_build(&p6, frame);
	expect(frame, bytes - 1, WEIR_VERDICT_PASS_MALFORMED);
}

Test(xdp_parse, each_wrong_length_field_is_the_kernels)
{
	static const struct {
		size_t offset; /* in the IP header */
		uint8_t value;
	} wrong[] = {
		{ 0, 0x55 },  /* version 5 */
		{ 0, 0x44 },  /* header of 16 bytes */
		{ 0, 0x4f },  /* header of 60 bytes, behind which is no whole TCP header */
		{ 3, 39 },    /* total length less than both headers */
		{ 3, 19 },    /* less than the IP header */
		{ 32, 0x40 }, /* TCP header of 16 bytes */
		{ 32, 0xf0 }, /* of 60 bytes, more than there are */
	};
	struct packet p = syn(false);
	uint8_t frame[PACKET_FRAME_MAX];
	size_t i, bytes;

	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		bytes = packet_build(&p, frame);
		frame[packet_ip_offset(&p) + wrong[i].offset] = wrong[i].value;
		expect(frame, bytes, WEIR_VERDICT_PASS_MALFORMED);
	}
}

Test(xdp_parse, each_wrong_length_field_of_ipv6_is_the_kernels)
{
	static const struct {
		size_t offset;
		uint8_t value;
	} wrong[] = { { 0, 0x50 }, { 5, 19 }, { 5, 200 }, { 52, 0x40 }, { 52, 0xf0 } };
	struct packet p = syn(true);
	uint8_t frame[PACKET_FRAME_MAX];
	size_t i, bytes;

	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		bytes = packet_build(&p, frame);
		frame[packet_ip_offset(&p) + wrong[i].offset] = wrong[i].value;
		expect(frame, bytes, WEIR_VERDICT_PASS_MALFORMED);
	}
}

Test(xdp_parse, short_frames_pass)
{
	struct packet p4 = syn(false), p6 = syn(true);
	uint8_t frame[PACKET_FRAME_MAX];
	struct prog_result r;
	size_t bytes;

	(void)packet_build(&p4, frame);
	for (bytes = 14; bytes < 54; bytes++) {
		prog_run_frame(frame, bytes, &r);
		cr_assert(r.verdict == WEIR_VERDICT_PASS_NOT_OURS || r.verdict == WEIR_VERDICT_PASS_MALFORMED);
	}
	(void)packet_build(&p6, frame);
	for (bytes = 14; bytes < 74; bytes++) {
		prog_run_frame(frame, bytes, &r);
		cr_assert(r.verdict == WEIR_VERDICT_PASS_NOT_OURS || r.verdict == WEIR_VERDICT_PASS_MALFORMED);
	}
}

Test(xdp_parse, wrong_ip_checksum_is_not_believed)
{
	struct packet p = syn(false);
	uint8_t frame[PACKET_FRAME_MAX];
	size_t bytes = packet_build(&p, frame);

	frame[packet_ip_offset(&p) + 11] ^= 1;
	expect(frame, bytes, WEIR_VERDICT_PASS_CHECKSUM);
}

/* Every bit that the TCP checksum covers, for header, options and payload. */
Test(xdp_parse, each_flipped_bit_of_the_segment_is_noticed)
{
	struct packet p = syn(false);
	uint8_t frame[PACKET_FRAME_MAX];
	size_t bytes, at, tcp = packet_tcp_offset(&p);
	struct prog_result r;

	p.payload = "odd";
	p.payload_bytes = 3;
	bytes = packet_build(&p, frame);
	for (at = tcp; at < bytes; at++) {
		/* port and data offset have verdicts of their own */
		if (at - tcp == 2 || at - tcp == 3 || at - tcp == 12)
			continue;
		frame[at] ^= (uint8_t)(1 << at % 8);
		prog_run_frame(frame, bytes, &r);
		cr_assert_eq(r.verdict, WEIR_VERDICT_PASS_CHECKSUM, "byte %zu", at - tcp);
		frame[at] ^= (uint8_t)(1 << at % 8);
	}
}

Test(xdp_parse, checksum_is_verified_at_every_length)
{
	static char text[3000];
	uint8_t frame[PACKET_FRAME_MAX];
	struct packet p = syn(true);
	size_t bytes, n;

	memset(text, 0xfe, sizeof(text));
	p.payload = text;
	for (n = 0; n < sizeof(text); n += n < 20 ? 1 : 97) {
		p.payload_bytes = n;
		bytes = packet_build(&p, frame);
		expect(frame, bytes, WEIR_VERDICT_SYN_COOKIE);
		frame[bytes - 1] ^= 0x80;
		expect(frame, bytes, WEIR_VERDICT_PASS_CHECKSUM);
	}
}

Test(xdp_parse, partial_checksum_is_believed_on_local_links_only)
{
	struct packet p[2] = { syn(false), syn(true) };
	uint8_t frame[PACKET_FRAME_MAX];
	size_t bytes;
	int i;

	for (i = 0; i < 2; i++) {
		bytes = packet_build(&p[i], frame);
		packet_offload(&p[i], frame);
		prog_iface(0, 1500, NULL);
		expect(frame, bytes, WEIR_VERDICT_PASS_CHECKSUM);
		prog_iface(WEIR_IFACE_LOCAL, 1500, NULL);
		expect(frame, bytes, WEIR_VERDICT_SYN_COOKIE);
		frame[packet_tcp_offset(&p[i]) + 16] ^= 1;
		expect(frame, bytes, WEIR_VERDICT_PASS_CHECKSUM);
	}
}

Test(xdp_parse, fragments_are_the_kernels)
{
	struct packet p = syn(false);

	p.frag = 0x2000; /* first, more to come */
	expect_packet(&p, WEIR_VERDICT_PASS_FRAGMENT);
	p.frag = 0x00b9; /* last */
	expect_packet(&p, WEIR_VERDICT_PASS_FRAGMENT);
}

Test(xdp_parse, first_fragment_of_a_connection_of_ours_is_dropped)
{
	struct packet p = prog_connect(0, 1460), other = p;

	p.frag = 0x2000;
	p.payload = "GET / HTTP/1.1\r\n";
	p.payload_bytes = 16;
	expect_packet(&p, WEIR_VERDICT_DROP_FRAGMENT);
	other.client_port++;
	other.frag = 0x2000;
	expect_packet(&other, WEIR_VERDICT_PASS_FRAGMENT);
}

Test(xdp_parse, ip_options_are_no_obstacle_to_a_handshake)
{
	struct packet p = syn(false);
	struct prog_result r;

	for (p.ip_option_bytes = 4; p.ip_option_bytes <= 40; p.ip_option_bytes += 4) {
		prog_run(&p, &r);
		assert_verdict(&r, WEIR_VERDICT_SYN_COOKIE);
	}
	p = syn(true);
	for (p.ip_option_bytes = 8; p.ip_option_bytes <= 64; p.ip_option_bytes += 8) {
		prog_run(&p, &r);
		assert_verdict(&r, WEIR_VERDICT_SYN_COOKIE);
	}
}

/* RFC 8200 4.4: this host is but a stop on the way, and the checksum is the last one's. */
Test(xdp_parse, segment_that_is_routed_on_is_not_ours)
{
	struct packet p = syn(true);
	uint8_t frame[PACKET_FRAME_MAX], *ip = frame + packet_ip_offset(&p);
	struct prog_result r;
	size_t bytes;

	p.ip_option_bytes = 8;
	bytes = packet_build(&p, frame);
	ip[6] = IPPROTO_ROUTING;
	ip[42] = 4; /* segment routing */
	ip[43] = 1; /* segments left */
	prog_run_frame(frame, bytes, &r);
	cr_assert(r.verdict == WEIR_VERDICT_PASS_NOT_OURS || r.verdict == WEIR_VERDICT_PASS_MALFORMED);
}

Test(xdp_parse, request_with_ip_options_is_a_workers)
{
	struct prog_result r;
	int i;

	for (i = 0; i < 2; i++) {
		struct packet p = prog_connect(i ? WITH_V6 : 0, 1400);

		p = prog_request(&p, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
		p.ip_option_bytes = 8;
		prog_run(&p, &r);
		assert_verdict(&r, WEIR_VERDICT_HANDOVER);
		assert_miss(&r, WEIR_MISS_IP_OPTIONS);
	}
}

Test(xdp_parse, one_vlan_tag_is_kept_in_the_reply)
{
	struct packet p[2] = { syn(false), syn(true) };
	struct prog_result r;
	int i;

	for (i = 0; i < 2; i++) {
		p[i].tags = 1;
		p[i].tci[0] = 0xa123;
		prog_run(&p[i], &r);
		assert_verdict(&r, WEIR_VERDICT_SYN_COOKIE);
		cr_assert_eq(r.reply.tags, 1);
		cr_assert_eq(r.reply.tci[0], 0xa123);
	}
}

Test(xdp_parse, two_vlan_tags_pass)
{
	struct packet p = syn(false);

	p.tags = 2;
	expect_packet(&p, WEIR_VERDICT_PASS_NOT_OURS);
	p.tpid[0] = ETH_P_8021AD;
	expect_packet(&p, WEIR_VERDICT_PASS_NOT_OURS);
	p.tags = 1;
	expect_packet(&p, WEIR_VERDICT_PASS_NOT_OURS);
}

Test(xdp_parse, padding_of_the_frame_is_no_payload)
{
	struct packet p = prog_syn(0, 0);
	struct prog_result r;

	p.padding = 6; /* Ethernet's minimum of 60 bytes */
	prog_run(&p, &r);
	assert_verdict(&r, WEIR_VERDICT_SYN_COOKIE);
	p = prog_connect(WITH_V6, 1440);
	p.padding = 40;
	expect_packet(&p, WEIR_VERDICT_ACK);
}

Test(xdp_parse, sources_that_no_client_has_are_the_kernels)
{
	struct packet p = syn(false), p6 = syn(true);

	p.client.word[3] = htonl(0xe0000001);
	expect_packet(&p, WEIR_VERDICT_PASS_MALFORMED);
	p.client.word[3] = htonl(0xffffffff);
	expect_packet(&p, WEIR_VERDICT_PASS_MALFORMED);
	p.client.word[3] = htonl(0x00000001);
	expect_packet(&p, WEIR_VERDICT_PASS_MALFORMED);
	p6.client.word[0] = htonl(0xff020000);
	expect_packet(&p6, WEIR_VERDICT_PASS_MALFORMED);
	memset(&p6.client, 0, sizeof(p6.client));
	expect_packet(&p6, WEIR_VERDICT_PASS_MALFORMED);
}
