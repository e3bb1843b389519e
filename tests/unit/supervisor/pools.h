/* SPDX-License-Identifier: GPL-2.0 */
/* A supervisor made by hand for tests: two pools, the first with two slots, whose keepers are processes that only count
 * orders; no kernel side, no sockets but those that a test asks for. */
#ifndef TEST_POOLS_H
#define TEST_POOLS_H

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "supervisor/state.h"

#define SLOTS 3

static struct weir_conf_pool confs[2];
static struct weir_conf_listen listens[1];
static struct weir_config config;
static struct sup sup;
static char control[64];

/* Obeys as a keeper would, in the metrics alone. */
__attribute__((noreturn)) static void be_keeper(struct weir_metrics_slot *m)
{
	sigset_t signals;
	siginfo_t info;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, WRK_ORDER);
	weir_metrics_set(m, slot_state, WEIR_SLOT_STARTED);
	for (;;) {
		if (sigwaitinfo(&signals, &info) == SIGTERM)
			_exit(0);
		if ((info.si_value.sival_int & 0xff) != WRK_ORDER_RECYCLE)
			continue;
		weir_metrics_set(m, slot_state, WEIR_SLOT_RECYCLING);
		(void)poll(NULL, 0, 30);
		weir_metrics_add(m, recycles, 1);
		weir_metrics_set(m, slot_state, WEIR_SLOT_STARTED);
	}
}

static inline void start_keeper(unsigned number)
{
	struct sup_slot *slot = &sup.slots[number];

	slot->keeper = fork();
	if (slot->keeper == 0)
		be_keeper(&sup.metrics[number]);
	slot->pidfd = pidfd_open(slot->keeper, 0);
	slot->is_ending = false;
	while (weir_metrics_get(&sup.metrics[number], slot_state) != WEIR_SLOT_STARTED)
		(void)poll(NULL, 0, 1);
}

static inline void pools_init(void)
{
	sigset_t signals;
	unsigned i;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, WRK_ORDER);
	(void)sigprocmask(SIG_BLOCK, &signals, NULL);
	snprintf(control, sizeof(control), "/tmp/weir_pools_%d", getpid());
	for (i = 0; i < 2; i++)
		confs[i] = (struct weir_conf_pool){
			.id = (uint16_t)(i + 1), .first_slot = i * 2, .slots = 2 - i, .startup_ms = 2000,
			.shutdown_ms = 2000, .queue_length = 10, .verbosity = WEIR_VERBOSITY_LIMITED,
			.rapid_fail = true, .rapid_fail_crashes = 3, .rapid_fail_ms = 60000, .cpu_reset_ms = 60000,
		};
	strcpy(confs[0].name, "a");
	strcpy(confs[1].name, "b");
	listens[0] = (struct weir_conf_listen){ .port = 1, .text = "127.0.0.1:1" };
	config = (struct weir_config){ .listens = listens, .listens_count = 1, .pools = confs, .pools_count = 2,
				       .control = control, .name = (char *)"pools" };
	sup = (struct sup){ .config = &config, .wake_fd = eventfd(0, EFD_NONBLOCK),
			    .epoll_fd = epoll_create1(EPOLL_CLOEXEC) };
	memset(sup.pass_tx, 0xff, sizeof(sup.pass_tx));
	memset(sup.pass_rx, 0xff, sizeof(sup.pass_rx));
	memset(sup.activated, 0xff, sizeof(sup.activated));
	if (sup_slots_new(&sup) < 0 || sup_state_new(&sup) < 0 || sup_pools_new(&sup) < 0 || sup_refuser_new(&sup) < 0)
		abort();
	sup_state_commit(&sup);
	for (i = 0; i < SLOTS; i++)
		start_keeper(i);
}

static inline void pools_fini(void)
{
	sup.is_stopping = true;
	sup_slots_signal(&sup, SIGKILL);
	while (!sup_slots_are_gone(&sup))
		sup_slots_reap(&sup);
	sup_refuser_free(&sup);
	sup_state_free(&sup, true);
	sup_pools_free(&sup);
	sup_slots_free(&sup);
}

/* Until the slot's keeper is gone and seen to be. */
static inline void wait_ended(unsigned number)
{
	struct pollfd p = { .fd = sup.slots[number].pidfd, .events = POLLIN };

	(void)poll(&p, 1, 5000);
	sup_slots_reap(&sup);
}

#endif
