/* SPDX-License-Identifier: GPL-2.0 */
/* Inside of state.c, place.c and takeover.c: the layout of the file beside the control socket. Only processes of root see it: the
 * keepers inherit the metrics behind it, not this. */
#ifndef WEIR_SUPERVISOR_STATE_H
#define WEIR_SUPERVISOR_STATE_H

#include "supervisor/supervisor_priv.h"

#define SUP_STATE_MAGIC 0x31726965575f7473ULL
#define SUP_STATE_VERSION 2

/* A keeper, and the numbers that our descriptors have in it. */
struct sup_state_slot {
	int32_t keeper;	       /* 0: none */
	int32_t wake_fd;
	uint64_t start_ticks;  /* field 22 of /proc/PID/stat: the number may be another process's by now */
	int32_t listeners[WEIR_ENDPOINTS_MAX]; /* by endpoint id; -1: none */
	int32_t pass_tx;       /* the way to its own pool's workers */
	int32_t pass_rx;
	int32_t order_tx;
	uint32_t pool_id;
	char pool[32];
	uint32_t is_leaving;   /* it was replaced, and drains */
	uint32_t pad;
};

/* A pool of the configuration, by id. */
struct sup_state_pool {
	char name[32];	       /* empty: none */
	uint64_t digest;       /* of all that its workers depend on */
	uint32_t want;	       /* enum sup_want */
	uint32_t first_slot;
	uint32_t slots;
	uint32_t pad;
};

struct sup_state {
	uint64_t magic;
	uint32_t version;      /* of this layout */
	uint32_t abi;	       /* WEIR_ABI_VERSION */
	char endpoints[WEIR_ENDPOINTS_MAX][64]; /* by id; empty: none */
	uint64_t flows;	       /* size of the flow table */
	int64_t started_at;
	uint32_t is_attached;  /* there was a kernel side */
	uint32_t attach;       /* enum weir_attach, as it was asked for */
	uint32_t reloads;      /* takeovers and reloads since the instance began */
	uint16_t routes;       /* number of the route table that the kernel side has, see weir/route.h */
	uint16_t last_pool;    /* the id that was given last: ids of pools that are gone are not used again at once */
	uint32_t has_set_migrate; /* tcp_migrate_req was off: whoever sees the drain end sets it back */
	char name[64];	       /* of the instance: of its pins */
	char reloaded[256];    /* what the last reload did, for people */
	struct sup_state_pool pools[WEIR_POOLS_MAX];
	struct sup_state_slot slots[WEIR_SLOTS_MAX];
};

/* Bytes of the file: the state in whole pages, then the metrics. */
size_t sup_state_bytes(void);
size_t sup_state_metrics_at(void);
/* Of a pool: its settings, its prefixes, and the addresses (bits by index in c->listens) that it listens on. */
uint64_t sup_state_digest(const struct weir_config *c, const struct weir_conf_pool *p, uint64_t listens);
/* When a process was started, in clock ticks since boot; 0: there is none. */
uint64_t sup_process_start(pid_t pid);
/* Whether the keeper of a slot is that process still. */
bool sup_state_is_alive(const struct sup_state_slot *slot);
/* Maps the file of a control path. -ENOENT; -EBADMSG: it is of another version. */
void sup_state_remove(const char *control);
int sup_state_map(const char *control, void **ret, size_t *ret_bytes);

/* place.c: which pool of a configuration is which of those that run. */
struct sup_place {
	/* by index in the configuration */
	uint16_t pool_ids[WEIR_POOLS_MAX];
	uint32_t first_slots[WEIR_POOLS_MAX];
	bool is_kept[WEIR_POOLS_MAX];
	uint64_t listens[WEIR_POOLS_MAX]; /* on which the pool listens: bits by index */
	uint16_t endpoint_ids[WEIR_ENDPOINTS_MAX];
	bool is_new_endpoint[WEIR_ENDPOINTS_MAX];
	uint16_t last_pool;
};
/* Where each pool and endpoint of a configuration as it was loaded goes, beside those of `st` (NULL: there are none) that
 * are not its own. `may_keep`: pools that are the same keep their ids, slots and workers. -ENOSPC: *ret_why (static) says
 * what there is too much of. */
int sup_place_find(const struct weir_config *c, const struct sup_state *st, bool may_keep, struct sup_place *ret,
		   const char **ret_why);
/* Gives them to the configuration. */
void sup_place_apply(struct weir_config *c, const struct sup_place *p);
/* Whether workers of that instance can go on with this configuration at all; what is not the pools' own decides. */
bool sup_place_may_keep(const struct weir_config *c, const struct sup_state *st);

#endif
