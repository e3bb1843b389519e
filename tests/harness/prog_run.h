/* SPDX-License-Identifier: GPL-2.0 */
/* Runs weir_xdp on single packets (BPF_PROG_TEST_RUN) and tells what came of each: verdict, reason, reply.
 * Programs and maps are loaded once a test binary, by Criterion's runner; each test finds them by their ids and starts
 * from the same contents. Every run checks what holds for all packets: exactly one verdict counter moves, by one,
 * the action is that of its row, what passes is unchanged, and what is sent is well-formed and goes back. */
#ifndef WEIR_TEST_PROG_RUN_H
#define WEIR_TEST_PROG_RUN_H

#include <criterion/criterion.h>
#include <criterion/hooks.h>

#include "weir/cache.h"
#include "weir/endpoint.h"
#include "weir/pool.h"
#include "weir/verdict.h"

#include "dataplane/dataplane.h"
#include "harness/packet.h"

/* First line of each test file: loads the programs in the runner and resets the maps before each test. */
#define PROG_TESTS(suite)                                    \
	ReportHook(PRE_ALL)(struct criterion_test_set *set)  \
	{                                                    \
		(void)set;                                   \
		prog_load();                                 \
	}                                                    \
	TestSuite(suite, .init = prog_set_up, .timeout = 60)

/* The cast. Both endpoints route every request to POOL_A until a test says otherwise. */
#define CLIENT_IP "198.51.100.7"
#define SERVER_IP "192.0.2.1"
#define CLIENT_IP6 "2001:db8:1::7"
#define SERVER_IP6 "2001:db8::1"
#define CLIENT_PORT 40001
#define SERVER_PORT 80
#define ENDPOINT4 3
#define ENDPOINT6 5
#define POOL_A 1
#define POOL_B 2
#define POOL_OFF 3 /* has no kernel cache */
#define POOLS 3
#define CLIENT_ISN 0x10203040u
#define CLIENT_TS 0x70000000u
#define DATE "Sun, 06 Nov 1994 08:49:37 GMT"
#define RCV_WSCALE 7

#define PROG_MAPS(X)                                                                       \
	X(endpoints) X(ports) X(ep_by_id) X(ifaces) X(secrets) X(clock) X(pools) X(hosts) \
	X(routes) X(flows) X(timewait) X(verdicts) X(misses) X(pool_stats) X(scratch)

struct prog {
#define X(name) int name;
	PROG_MAPS(X)
#undef X
	int xdp;
	int tc;
	int cache[POOLS + 1][WEIR_CLASS__MAX]; /* of POOL_A and POOL_B; the smallest class of pool 0 */
	int tickets[POOLS + 1];
	int queues[POOLS + 1];
};
extern struct prog prog;

/* What weir_xdp leaves for weir_tc: the layout that both sides of bpf/lib/meta.h agree on. */
struct prog_meta {
	uint32_t magic;
	uint32_t seq;
	uint32_t ack;
	uint16_t pool;
	uint8_t kind;
	uint8_t flags;
	uint32_t digest[4];
};
enum prog_meta_kind {
	PROG_META_ANSWER = 1,
	PROG_META_AGAIN,
	PROG_META_SEIZE,
	PROG_META_HANDOVER,
	PROG_META_WAIT,

	PROG_META_RESET = 4, /* a flag */
};

struct prog_result {
	enum weir_verdict verdict;
	enum weir_miss miss;	/* the reason that was counted, or WEIR_MISS_NONE */
	bool has_meta;
	struct prog_meta meta;
	size_t bytes;		/* of frame[] */
	struct packet reply;	/* when the frame is sent back */
	uint8_t frame[PACKET_FRAME_MAX];
};

void prog_load(void);
void prog_set_up(void);

void prog_run_frame(const uint8_t *frame, size_t bytes, struct prog_result *ret);
void prog_run(const struct packet *p, struct prog_result *ret);

/* Only runs it: no counters, no checks. For loops over many packets. */
void prog_run_fast(const uint8_t *frame, size_t bytes);

/* A segment of the cast's client: ACK, window 64000, nothing else. */
struct packet prog_packet(bool is_v6);

enum prog_option {
	WITH_V6 = 1,
	WITH_TS = 2,
	WITH_SACK = 4,
	WITH_WSCALE = 8, /* the client's shift is 9 */
	WITH_ALL = WITH_TS | WITH_SACK | WITH_WSCALE,
};
#define CLIENT_WSCALE 9

/* The SYN of a connection, with the MSS option if `mss` is not 0. */
struct packet prog_syn(unsigned options, uint16_t mss);
/* SYN and ACK; the connection is XDP's then. Returns the client's next segment, an ACK. */
struct packet prog_connect(unsigned options, uint16_t mss);
/* The client's segment after it has received the reply. */
void prog_acknowledge(struct packet *client, const struct packet *reply);
/* The same connection's segment with a request. */
struct packet prog_request(const struct packet *client, const char *text);

bool prog_flow(const struct packet *p, struct weir_flow *ret);
void prog_flow_put(const struct packet *p, const struct weir_flow *f);
void prog_flow_remove(const struct packet *p);
/* Entries in flow table and TIME-WAIT together. */
size_t prog_flows_count(void);

/* Rows that tests change. */
void prog_put(int map, const void *key, const void *value);
void prog_iface(uint8_t flags, uint32_t mtu, const uint8_t mac[6]);
void prog_endpoints(uint8_t flags, uint16_t pool, uint8_t buckets);
void prog_clock_written(uint64_t written_ns);
struct weir_secrets prog_secrets(void);
void prog_secrets_put(const struct weir_secrets *s);
uint64_t prog_now_ns(void);
struct weir_pool_stats prog_pool_stats(uint32_t pool);
struct weir_pool prog_pool(uint32_t pool);
struct weir_queue prog_queue(uint32_t pool);
void prog_queue_put(uint32_t pool, uint64_t arrived, uint64_t taken);

/* The slot of a connection in a pool's ticket table. */
void prog_ticket_put(const struct packet *p, uint32_t pool, const struct weir_ticket *t);
struct weir_ticket prog_ticket(const struct packet *p, uint32_t pool);
/* The whole bucket in which it is. */
void prog_bucket_put(const struct packet *p, uint32_t pool, const struct weir_ticket_bucket *b);
struct weir_ticket_bucket prog_bucket(const struct packet *p, uint32_t pool);

#define assert_verdict(result, expected)                                                                   \
	cr_assert_eq((result)->verdict, expected, "%s (miss %s) instead of %s", weir_verdict_name((result)->verdict), \
		     weir_miss_name((result)->miss), weir_verdict_name(expected))

#define assert_miss(result, expected)                                                                      \
	cr_assert_eq((result)->miss, expected, "miss %s instead of %s (verdict %s)", weir_miss_name((result)->miss),   \
		     weir_miss_name(expected), weir_verdict_name((result)->verdict))

/* The reply has exactly these flags and sequence numbers. */
#define assert_reply(result, expected_flags, expected_seq, expected_ack)                                   \
	do {                                                                                               \
		cr_assert_eq((result)->reply.flags, expected_flags, "flags %#x", (result)->reply.flags);   \
		cr_assert_eq((result)->reply.seq, (uint32_t)(expected_seq), "seq %u instead of %u",        \
			     (result)->reply.seq, (uint32_t)(expected_seq));                               \
		cr_assert_eq((result)->reply.ack, (uint32_t)(expected_ack), "ack %u instead of %u",        \
			     (result)->reply.ack, (uint32_t)(expected_ack));                               \
	} while (0)

#endif
