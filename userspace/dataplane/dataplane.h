/* SPDX-License-Identifier: GPL-2.0 */
/* The kernel side seen from the supervisor: load, attach, pin, fill and read the BPF objects. The only folder
 * that includes <bpf/...> or the skeleton. Single thread. Functions return 0 or -errno; `ret_why` arguments, where
 * there are any, receive a sentence for people (static or owned by the dataplane) that says what to do. */
#ifndef WEIR_DATAPLANE_H
#define WEIR_DATAPLANE_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/cache.h"
#include "weir/endpoint.h"
#include "weir/flow.h"
#include "weir/limit.h"
#include "weir/pool.h"
#include "weir/verdict.h"

#include "common/macro.h"
#include "config/config.h"
#include "route/route.h"

struct weir_dataplane;

/* What happened on one interface. */
struct weir_dataplane_iface {
	char name[16];
	unsigned ifindex;
	bool is_native;
	uint32_t mtu;
};

/* Removes what a dead instance with the same name left: pins, tc filters. Safe when there is nothing. */
int weir_dataplane_clean(const struct weir_config *conf);

/* Loads every program and map for `conf`, without attaching. With `is_kept` (by pool id) the pinned maps of an earlier
 * instance are used on: connections, secrets, endpoints, and what belongs to the pools that it names; the others get new
 * maps. NULL: all are new. -EPERM, -ENOENT (kernel lacks something, or a map that shall be used on is missing): *ret_why
 * says. */
int weir_dataplane_load(const struct weir_config *conf, const bool *is_kept, struct weir_dataplane **ret_dp,
			char ret_why[256]);

/* Detaches, unpins and frees everything. Takes NULL, returns NULL. */
struct weir_dataplane *weir_dataplane_free(struct weir_dataplane *dp);
DEFINE_CLEANUP(struct weir_dataplane *, weir_dataplane_free)

/* Frees it and leaves what is attached and pinned to an earlier instance's workers, and to the next supervisor. Takes NULL,
 * returns NULL. */
struct weir_dataplane *weir_dataplane_leave(struct weir_dataplane *dp);

/* Maps that a worker of `pool` inherits: ret_cache[WEIR_CLASS__MAX], ret_tickets, ret_queue. Owned by the dataplane. */
void weir_dataplane_pool_fds(struct weir_dataplane *dp, uint16_t pool, int *ret_cache, int *ret_tickets,
			     int *ret_queue);
/* The map of the Date, for a keeper to map. Owned by the dataplane. */
int weir_dataplane_clock_fd(struct weir_dataplane *dp);
const uint64_t *weir_dataplane_cache_secret(struct weir_dataplane *dp);

/* Writes pools and routes, then endpoints (wildcards expanded to local addresses), which take the new routes one by one:
 * a request sees the table of its endpoint, whole. What an earlier configuration had on the same maps goes, but for its
 * pools: weir_dataplane_forget_pool(). */
int weir_dataplane_configure(struct weir_dataplane *dp, const struct weir_config *conf,
			     const struct weir_route_compiled *routes);

/* Takes a pool that no request is routed to any more, and whose workers are gone, out of the maps. `name`: of its pins;
 * NULL: they are another pool's now. */
void weir_dataplane_forget_pool(struct weir_dataplane *dp, uint16_t pool, const char *name);

/* Changes what the programs do with a pool's requests: refusal NONE serves them. Effective with the next packet. */
int weir_dataplane_set_pool(struct weir_dataplane *dp, uint16_t pool, enum weir_refusal refusal,
			    enum weir_verbosity verbosity, uint32_t queue_limit);
/* The request queue of a pool, mapped; owned by the dataplane. The supervisor may set `taken` to `arrived` when it
 * knows that nothing waits. NULL: no such pool. */
struct weir_queue *weir_dataplane_queue(struct weir_dataplane *dp, uint16_t pool);
/* Stores a canned 503 (see weir/pool.h); `value` as a worker would publish it, its key { reason, verbosity }. */
int weir_dataplane_put_refusal(struct weir_dataplane *dp, enum weir_refusal refusal, enum weir_verbosity verbosity,
			       const struct weir_entry_s *value);
const char *weir_refusal_phrase(enum weir_refusal r); /* "QueueFull" */

/* Puts listening socket `fd` of `endpoint` into the steering map as that of worker `slot`, and attaches the
 * steering program to its SO_REUSEPORT group. Call for every socket, after listen(). */
int weir_dataplane_add_socket(struct weir_dataplane *dp, uint16_t endpoint, uint32_t slot, int fd);

/* Attaches sockops, tc and XDP to the interfaces. Fails as a whole; then nothing stays attached. Programs of an earlier
 * instance of the name are replaced in place, without a packet in between. The links are pinned: XDP outlives a
 * supervisor that is killed. */
int weir_dataplane_attach(struct weir_dataplane *dp, const struct weir_config *conf, char ret_why[256]);
size_t weir_dataplane_ifaces(struct weir_dataplane *dp, const struct weir_dataplane_iface **ret_ifaces);

/* Once a second, just after the second began: Date for XDP. Also rotates the cookie secret when it is due, and
 * removes flows that were idle too long. */
void weir_dataplane_tick(struct weir_dataplane *dp);

/* Numbers. */
struct weir_dataplane_stats {
	uint64_t verdicts[WEIR_VERDICT__MAX];
	uint64_t misses[WEIR_MISS__MAX];
	uint64_t flows_xdp, flows_kernel, flows_capacity;
	uint64_t cache_entries, cache_bytes, cache_reserved;
};
/* Flows and cache entries are counted by walking their maps; a count not older than `max_age_ms` is used again. */
int weir_dataplane_stats(struct weir_dataplane *dp, uint64_t max_age_ms, struct weir_dataplane_stats *ret);
int weir_dataplane_pool_stats(struct weir_dataplane *dp, uint16_t pool, struct weir_pool_stats *ret);
const char *weir_verdict_name(enum weir_verdict v); /* "HIT_TC" */
const char *weir_verdict_help(enum weir_verdict v);
const char *weir_miss_name(enum weir_miss m);
const char *weir_miss_help(enum weir_miss m);

/* Cache of one pool: calls `fn` for each entry with its class; stops when fn returns non-zero and returns that. */
int weir_dataplane_cache_each(struct weir_dataplane *dp, uint16_t pool,
			      int (*fn)(const struct weir_entry *e, enum weir_class c, void *arg), void *arg);
/* The entry under a key; -ENOENT. */
int weir_dataplane_cache_get(struct weir_dataplane *dp, uint16_t pool, const struct weir_cache_key *key,
			     struct weir_entry *ret, enum weir_class *ret_class);
/* Removes a key from all classes of a pool; returns how many were removed. */
int weir_dataplane_cache_purge(struct weir_dataplane *dp, uint16_t pool, const struct weir_cache_key *key);
/* Removes every entry of a pool. */
int weir_dataplane_cache_flush(struct weir_dataplane *dp, uint16_t pool);
/* Flow table. */
int weir_dataplane_flow_each(struct weir_dataplane *dp,
			     int (*fn)(const struct weir_flow_key *k, const struct weir_flow *f, void *arg), void *arg);

/* limit.c: protection. The flags of `l` are derived. */
int weir_dataplane_limits_get(struct weir_dataplane *dp, struct weir_limits *ret);
int weir_dataplane_limits_set(struct weir_dataplane *dp, const struct weir_limits *l);
int weir_dataplane_acl_set(struct weir_dataplane *dp, const struct weir_acl_key *key, enum weir_acl_action action);
int weir_dataplane_acl_remove(struct weir_dataplane *dp, const struct weir_acl_key *key); /* -ENOENT */
int weir_dataplane_acl_clear(struct weir_dataplane *dp);
int weir_dataplane_acl_each(struct weir_dataplane *dp,
			    int (*fn)(const struct weir_acl_key *k, const struct weir_acl *row, void *arg), void *arg);
/* Calls fn for each source that is known; it returns 1 when its changes shall be written back, 0, or -errno to stop. */
int weir_dataplane_source_each(struct weir_dataplane *dp,
			       int (*fn)(const struct weir_addr *a, struct weir_source *s, void *arg), void *arg);
/* One counter of packets. */
uint64_t weir_dataplane_verdict(struct weir_dataplane *dp, enum weir_verdict v);

/* One line of `weir doctor`. */
struct weir_probe {
	const char *what;	/* "kfunc bpf_sk_assign_tcp_reqsk" */
	bool is_ok;
	bool is_needed;		/* false: nice to have */
	char detail[160];	/* what was found; if missing, what it costs and what to do */
};
/* Probes this kernel and fills up to `max` rows; returns how many. Needs no dataplane. */
size_t weir_dataplane_probe(struct weir_probe *ret_rows, size_t max);
/* The same for an interface. */
size_t weir_dataplane_probe_iface(const char *name, struct weir_probe *ret_rows, size_t max);

#endif
