/* SPDX-License-Identifier: GPL-2.0 */
/* Keepers: starts one for each slot of a pool that shall run, notices its death, starts it again, ever more slowly
 * while it dies young; sends orders. A keeper may be another supervisor's child: pidfds tell of those. */
#include "supervisor/supervisor_priv.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "common/log.h"

#define YOUNG_MS 5000	     /* a keeper that dies before this age counts as a failure */
#define RETRY_MS_MAX 30000   /* longest pause before the next start */
#define PASS_BYTES (1 << 20) /* room for connections on their way to another pool */

static int open_pass(struct sup *s, uint16_t pool)
{
	int pair[2], bytes = PASS_BYTES;

	if (s->pass_tx[pool] >= 0)
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return -errno;
	(void)setsockopt(pair[0], SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
	s->pass_tx[pool] = pair[0];
	s->pass_rx[pool] = pair[1];
	return 0;
}

static int new_slot(struct sup *s, const struct weir_conf_pool *pool, uint32_t number)
{
	struct sup_slot *slot = &s->slots[number];
	size_t i, listens = s->config->listens_count;

	slot->listeners = calloc(listens, sizeof(*slot->listeners));
	if (!slot->listeners)
		return -ENOMEM;
	for (i = 0; i < listens; i++)
		slot->listeners[i].fd = -1;
	slot->pool = pool;
	if (s->slots_count <= number)
		s->slots_count = number + 1;
	return 0;
}

int sup_slots_new(struct sup *s)
{
	size_t i;
	unsigned n;
	int r = 0;

	s->slots = calloc(WEIR_SLOTS_MAX, sizeof(*s->slots));
	if (!s->slots)
		return -ENOMEM;
	for (i = 0; i < WEIR_SLOTS_MAX; i++)
		s->slots[i].pidfd = s->slots[i].order_tx = -1;
	for (i = 0; r == 0 && i < s->config->pools_count; i++)
		for (n = 0; r == 0 && n < s->config->pools[i].slots; n++)
			r = new_slot(s, &s->config->pools[i], s->config->pools[i].first_slot + n);
	return r;
}

void sup_slots_free(struct sup *s)
{
	size_t i;

	for (i = 0; i < s->slots_count; i++) {
		if (s->slots[i].pidfd >= 0)
			close(s->slots[i].pidfd);
		free(s->slots[i].listeners);
	}
	free(s->slots);
	s->slots = NULL;
	s->slots_count = 0;
	for (i = 0; i < WEIR_POOLS_MAX; i++) {
		if (s->pass_tx[i] >= 0) {
			close(s->pass_tx[i]);
			close(s->pass_rx[i]);
		}
	}
}

/* In the child. */
__attribute__((noreturn)) static void become_keeper(const struct sup *s, uint32_t number, const char *cgroup, const int order[2])
{
	const struct sup_slot *slot = &s->slots[number];
	int *pass_tx = mmap(NULL, sizeof(s->pass_tx), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct wrk_setup setup = {
		.config = s->config,
		.pool = slot->pool,
		.routes = s->routes,
		.slot = number,
		.listeners = slot->listeners,
		.listeners_count = s->config->listens_count,
		.pass_rx = s->pass_rx[slot->pool->id],
		.pass_tx = pass_tx,
		.order_rx = order[1],
		.order_tx = order[0],
		.cache_fds = { -1, -1, -1 },
		.tickets_fd = -1,
		.queue_fd = -1,
		.metrics = &s->metrics[number],
		.upstreams = sup_state_upstreams(s, slot->pool->id),
		.wake_fd = s->wake_fd,
		.clock_fd = -1,
		.cgroup = cgroup,
	};

	if (pass_tx == MAP_FAILED)
		_exit(1);
	memcpy(pass_tx, s->pass_tx, sizeof(s->pass_tx));
	/* Ctrl-C at a terminal reaches the whole group: the order to drain comes from the supervisor alone. */
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)sigprocmask(SIG_SETMASK, &s->signals_before, NULL);
	if (s->dp) {
		const uint64_t *secret = weir_dataplane_cache_secret(s->dp);

		weir_dataplane_pool_fds(s->dp, slot->pool->id, setup.cache_fds, &setup.tickets_fd,
					&setup.queue_fd);
		setup.clock_fd = weir_dataplane_clock_fd(s->dp);
		memcpy(setup.cache_secret, secret, sizeof(setup.cache_secret));
	}
	wrk_keeper_main(&setup);
}

/* Every keeper starts with the way to every pool, also to those that start later. */
void sup_slots_open_passes(struct sup *s)
{
	size_t i;

	for (i = 0; i < s->config->pools_count; i++)
		if (open_pass(s, s->config->pools[i].id) < 0)
			weir_warn("pool '%s' gets no requests from other pools' workers", s->config->pools[i].name);
}

static void start(struct sup *s, uint32_t number)
{
	struct sup_slot *slot = &s->slots[number];
	struct epoll_event e = { .events = EPOLLIN };
	const char *cgroup = sup_cgroup_make(s, slot->pool, number);
	int order[2] = { -1, -1 };
	pid_t pid;

	sup_slots_open_passes(s);
	if (wrk_order_pair(order) < 0)
		weir_warn("pool '%s' will not learn of pools that a reload adds", slot->pool->name);
	pid = fork();
	if (pid == 0)
		become_keeper(s, number, cgroup, order);
	/* the keeper has both ends: whoever is its supervisor then fetches one by this number */
	slot->order_tx = order[0];
	weir_closep(&order[0]);
	weir_closep(&order[1]);
	slot->started_ms = weir_now_ms();
	if (pid < 0) {
		slot->retry_ms = slot->started_ms + RETRY_MS_MAX;
		weir_err(-errno, "cannot start slot %u of pool '%s', trying again in %d s", number, slot->pool->name,
			 RETRY_MS_MAX / 1000);
		return;
	}
	slot->keeper = pid;
	slot->is_ending = false;
	slot->pidfd = e.data.fd = pidfd_open(pid, 0);
	if (slot->pidfd >= 0)
		(void)epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, slot->pidfd, &e);
	sup_state_note_slot(s, number);
}

void sup_slots_start(struct sup *s)
{
	uint64_t now = weir_now_ms();
	uint32_t i;

	for (i = 0; i < s->slots_count && !s->is_stopping; i++)
		if (s->slots[i].pool && !s->slots[i].keeper && s->slots[i].retry_ms <= now &&
		    sup_pool_of(s, &s->slots[i])->want == SUP_WANT_RUN)
			start(s, i);
}

static void say_how_it_ended(const struct sup_slot *slot, int status, uint64_t retry_in_ms)
{
	char how[64];

	if (status < 0)
		snprintf(how, sizeof(how), "has ended");
	else if (WIFSIGNALED(status))
		snprintf(how, sizeof(how), "was killed by signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else
		snprintf(how, sizeof(how), "ended with status %d", WEXITSTATUS(status));
	weir_warn("keeper %d of pool '%s' %s, starting another one%s", slot->keeper, slot->pool->name, how,
		  retry_in_ms ? " after a pause" : "");
}

static void note_death(struct sup *s, struct sup_slot *slot, int status)
{
	struct weir_metrics_slot *m = &s->metrics[slot - s->slots];
	uint64_t now = weir_now_ms(), pause = 0;

	if (!s->is_stopping && !slot->is_ending) {
		slot->failures = now - slot->started_ms < YOUNG_MS ? slot->failures + 1 : 0;
		if (slot->failures > 1)
			pause = MIN(RETRY_MS_MAX, 250U << MIN(slot->failures, 8U));
		say_how_it_ended(slot, status, pause);
		weir_metrics_add(m, restarts, 1);
		weir_metrics_add(m, crashes, 1);
	}
	slot->keeper = 0;
	slot->retry_ms = now + pause;
	if (slot->pidfd >= 0) {
		(void)epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, slot->pidfd, NULL);
		close(slot->pidfd);
	}
	slot->pidfd = -1;
	slot->recycle_ms = 0;
	weir_metrics_set(m, slot_state, WEIR_SLOT_NONE);
	weir_metrics_set(m, keeper_pid, 0);
	weir_metrics_set(m, worker_pid, 0);
	weir_metrics_set(m, old_pid, 0);
	weir_metrics_set(m, threads, 0);
	weir_metrics_set(m, threads_busy, 0);
	sup_state_note_slot(s, (uint32_t)(slot - s->slots));
}

static bool has_ended(const struct sup_slot *slot)
{
	struct pollfd p = { .fd = slot->pidfd, .events = POLLIN };

	return slot->keeper && slot->pidfd >= 0 && poll(&p, 1, 0) == 1;
}

void sup_slots_reap(struct sup *s)
{
	int status;
	size_t i;
	pid_t pid;

	/* programs that were run for a pool end here too */
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		sup_admin_died(s, pid);
		for (i = 0; i < s->slots_count; i++)
			if (s->slots[i].keeper == pid)
				note_death(s, &s->slots[i], status);
	}
	for (i = 0; i < s->slots_count; i++)
		if (has_ended(&s->slots[i]))
			note_death(s, &s->slots[i], -1);
}

static int send_signal(const struct sup_slot *slot, int number)
{
	if (!slot->keeper)
		return -ESRCH;
	if (slot->pidfd >= 0)
		return pidfd_send_signal(slot->pidfd, number, NULL, 0) < 0 ? -errno : 0;
	return kill(slot->keeper, number) < 0 ? -errno : 0;
}

void sup_slots_signal(struct sup *s, int signal)
{
	size_t i;

	for (i = 0; i < s->slots_count; i++)
		(void)send_signal(&s->slots[i], signal);
}

void sup_slot_end(struct sup_slot *slot)
{
	slot->is_ending = true;
	slot->wants_recycle = false;
	(void)send_signal(slot, SIGTERM);
}

int sup_slot_order(struct sup_slot *slot, enum wrk_order order, enum wrk_reason reason)
{
	const union sigval value = { .sival_int = (int)((unsigned)order | (unsigned)reason << 8) };

	if (!slot->keeper || has_ended(slot))
		return -ESRCH;
	return sigqueue(slot->keeper, WRK_ORDER, value) < 0 ? -errno : 0;
}

enum weir_slot_state sup_slot_state(const struct sup *s, const struct sup_slot *slot)
{
	uint64_t state = weir_metrics_get(&s->metrics[sup_slot_number(s, slot)], slot_state);

	if (!slot->keeper)
		return WEIR_SLOT_NONE;
	if (slot->is_ending)
		return WEIR_SLOT_STOPPING;
	return state == WEIR_SLOT_NONE || state > WEIR_SLOT_STOPPING ? WEIR_SLOT_STARTING :
								       (enum weir_slot_state)state;
}

bool sup_slots_are_gone(const struct sup *s)
{
	size_t i;

	for (i = 0; i < s->slots_count; i++)
		if (s->slots[i].keeper > 0)
			return false;
	return true;
}
