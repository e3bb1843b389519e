/* SPDX-License-Identifier: GPL-2.0 */
/* Inside of state.c and takeover.c: the layout of the file beside the control socket. Only processes of root see it: the
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
	int32_t store_fd;
	int32_t pad;
	uint64_t start_ticks;  /* field 22 of /proc/PID/stat: the number may be another process's by now */
	int32_t listeners[WEIR_ENDPOINTS_MAX];
	int32_t pass_rx;
	uint32_t pool_id;
	char pool[32];
	int32_t pass_tx[WEIR_POOLS_MAX];
};

struct sup_state {
	uint64_t magic;
	uint32_t version;      /* of this layout */
	uint32_t abi;	       /* WEIR_ABI_VERSION */
	uint64_t digest;       /* of the configuration and this program's version */
	char endpoints[WEIR_ENDPOINTS_MAX][64]; /* by id; empty: none */
	uint64_t flows;	       /* size of the flow table */
	int64_t started_at;
	uint32_t is_attached;  /* there was a kernel side */
	uint32_t has_set_migrate; /* tcp_migrate_req was off: whoever sees the drain end sets it back */
	char name[64];	       /* of the instance: of its pins */
	uint32_t want[WEIR_POOLS_MAX]; /* enum sup_want, by pool id */
	char pools[WEIR_POOLS_MAX][32]; /* their names */
	struct sup_state_slot slots[WEIR_SLOTS_MAX];
};

/* Bytes of the file: the state in whole pages, then the metrics. */
size_t sup_state_bytes(void);
size_t sup_state_metrics_at(void);
uint64_t sup_state_digest(const struct weir_config *c);
/* When a process was started, in clock ticks since boot; 0: there is none. */
uint64_t sup_process_start(pid_t pid);
/* Whether the keeper of a slot is that process still. */
bool sup_state_is_alive(const struct sup_state_slot *slot);
/* Maps the file of a control path. -ENOENT; -EBADMSG: it is of another version. */
void sup_state_remove(const char *control);
int sup_state_map(const char *control, void **ret, size_t *ret_bytes);

#endif
