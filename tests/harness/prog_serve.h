/* SPDX-License-Identifier: GPL-2.0 */
/* A Weir without supervisor and workers, in the test's own network namespace: the programs attached to lo, two pools
 * with a listening socket each, and the test itself as client and as worker. One test a process; what it leaves goes
 * with it. */
#ifndef WEIR_TEST_PROG_SERVE_H
#define WEIR_TEST_PROG_SERVE_H

#include "dataplane/dataplane.h"
#include "harness/prog_cache.h"

#define SERVE_PORT 8080
#define SERVE_WAIT_MS 10000 /* for what must happen; a failing test takes this long */

enum serve_endpoint {
	SERVE_V4, /* 127.0.0.1 */
	SERVE_V6, /* ::1 */
	SERVE__MAX,
};

struct serve {
	struct weir_config config;
	struct weir_dataplane *dp;
	int listeners[POOLS][SERVE__MAX]; /* by pool id */
	struct weir_ticket *tickets[POOLS];
	uint64_t verdicts[WEIR_VERDICT__MAX]; /* as they were at the last serve_mark() */
};
extern struct serve serve;

/* The endpoint's id, for prog_publish(). */
#define SERVE_ENDPOINT(e) ((uint16_t)(ENDPOINT4 + (e)))

/* Suite set-up: /a/ is POOL_A's, /b/ POOL_B's, everything else POOL_A's. */
void serve_start(void);
void serve_start_with_backlog(int backlog);
void serve_stop(void);

/* A client; it waits for answers as long as SERVE_WAIT_MS. */
int serve_connect(enum serve_endpoint e);
/* The connection that waits in a pool's socket; waits for it. */
int serve_accept(uint16_t pool, enum serve_endpoint e);
/* True: nothing waits in a pool's sockets. */
bool serve_is_quiet(uint16_t pool);

void serve_send(int fd, const char *text);
/* Reads exactly this text. */
void serve_expect(int fd, const char *text);
/* Reads exactly the entry's response, whatever its date. */
void serve_expect_entry(int fd, const struct prog_entry *e, bool is_head, bool is_close);
/* Reads the end of the stream; 0, or the errno of a reset. */
int serve_end(int fd);

/* The flow of a client's connection; false: there is none. By key, where the socket may be closed by then. */
struct weir_flow_key serve_key(int client);
bool serve_flow_find(const struct weir_flow_key *k, struct weir_flow *ret);
bool serve_flow(int client, struct weir_flow *ret);
bool serve_is_owned_by(int client, enum weir_owner owner);

/* The worker of `pool` offers the connection of `client` back; withdraws the offer. */
void serve_offer(int client, uint16_t pool, uint32_t consumed, uint32_t sent);
void serve_withdraw(int client, uint16_t pool);
enum weir_ticket_state serve_ticket(int client, uint16_t pool);

void serve_mark(void);
/* How often a verdict was counted since the mark. */
uint64_t serve_counted(enum weir_verdict v);
uint64_t serve_missed(enum weir_miss m);

/* Waits until the condition holds; the state of maps and sockets tells nobody when it changes. */
#define serve_wait(condition)                                                          \
	do {                                                                           \
		int waited_ms = 0;                                                     \
		while (!(condition) && waited_ms++ < SERVE_WAIT_MS)                    \
			serve_pause();                                                 \
		cr_assert(condition);                                                  \
	} while (0)
void serve_pause(void);

#endif
