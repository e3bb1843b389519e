/* SPDX-License-Identifier: GPL-2.0 */
/* The log's process: takes the records of the kernel side's ring and of every slot's, and writes lines. It has no rights:
 * files come over the channel as descriptors, opened and renamed by the supervisor. Nobody waits for it. */
#ifndef WEIR_LOGGER_H
#define WEIR_LOGGER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "config/config.h"
#include "metrics/log_ring.h"
#include "metrics/metrics.h"

/* What the supervisor hands over at fork(). */
struct log_setup {
	const struct weir_config *config;
	struct weir_log_shared *shared;
	struct weir_metrics_slot *metrics; /* of WEIR_SLOTS_MAX slots: whether keepers live */
	uint64_t consumer; /* what shared->consumer is while this process is the one */
	int events_map;	   /* weir_events; -1: no kernel side */
	int channel;	   /* SOCK_SEQPACKET: struct log_order, with a descriptor where it says so */
	int before;	   /* pidfd of the process that consumed before; -1: none */
	uid_t uid;
	gid_t gid;
};

enum log_what {
	LOG_ORDER_ACCESS,	/* descriptor: the access log from now on */
	LOG_ORDER_ERROR,	/* descriptor: the error log */
	LOG_ORDER_KERNEL_LOST,	/* value: records that did not fit into the kernel's ring, since it is there */
	LOG_ORDER_KERNEL_DROPS, /* value: packets that protection dropped and that have no record, likewise */
	LOG_ORDER_ERRORS,	/* value: whether the kernel side's refusals are in the access log */
	LOG_ORDER_END,		/* write what there is, and end */
};

struct log_order {
	uint32_t what; /* enum log_what */
	uint32_t pad;
	uint64_t value;
};

/* Runs until it is told to end, another process is the consumer, or its supervisor and every keeper are gone: without a
 * supervisor the workers' records are still written. */
void log_main(const struct log_setup *setup) __attribute__((noreturn));

#endif
