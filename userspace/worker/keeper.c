/* SPDX-License-Identifier: GPL-2.0 */
/* The keeper's loop: signals of the supervisor and of the workers, the clock, the epoll set while no worker looks
 * at it. A keeper outlives its supervisor: the next one takes it over, and until then XDP's Date is written here. */
#include "worker/keeper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <time.h>

#include "common/clock.h"
#include "common/log.h"

#define BUSY_TICK_MS 5 /* while something is under way */

const char *wrk_reason_name(enum wrk_reason r)
{
	static const char *const names[WRK_REASON__MAX] = {
		[WRK_REASON_TIME] = "Time",
		[WRK_REASON_REQUESTS] = "Requests",
		[WRK_REASON_SCHEDULE] = "Schedule",
		[WRK_REASON_MEMORY] = "Memory",
		[WRK_REASON_ON_DEMAND] = "OnDemand",
		[WRK_REASON_CONFIG_CHANGE] = "ConfigChange",
		[WRK_REASON_FILE_CHANGE] = "FileChange",
		[WRK_REASON_IDLE] = "IdleTimeout",
	};

	return (unsigned)r < WRK_REASON__MAX ? names[r] : "?";
}

static void obey(struct keeper *k, const struct signalfd_siginfo *info)
{
	enum wrk_reason reason = (enum wrk_reason)((unsigned)info->ssi_int >> 8 & 0xff);

	if (info->ssi_uid != 0 || k->is_ending || (unsigned)reason >= WRK_REASON__MAX)
		return;
	switch (info->ssi_int & 0xff) {
	case WRK_ORDER_MOVE:
		k->is_ending = k->is_moving = true;
		k->move_to = (uint16_t)((unsigned)info->ssi_int >> 16);
		break;
	case WRK_ORDER_RECYCLE:
	case WRK_ORDER_REST:
		k->has_order = true;
		k->reason = (info->ssi_int & 0xff) == WRK_ORDER_REST ? WRK_REASON_IDLE : reason;
		break;
	}
}

static void read_signals(struct keeper *k)
{
	struct signalfd_siginfo info;

	while (read(k->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGTERM)
			k->is_ending = true;
		else if ((int)info.ssi_signo == WRK_ORDER)
			obey(k, &info);
	}
}

static bool is_busy(const struct keeper *k)
{
	return k->is_ending || k->next.pid || k->old.pid || (k->serving.pid && !k->serving.is_ready) ||
	       (!k->serving.pid && !k->is_resting) || (k->has_order && !k->is_resting);
}

static int timeout_ms(const struct keeper *k)
{
	struct timespec t;
	int left;

	if (is_busy(k))
		return BUSY_TICK_MS;
	if (!k->is_timekeeper)
		return (int)k->tick_ms;
	(void)clock_gettime(CLOCK_REALTIME, &t);
	left = 1001 - (int)(t.tv_nsec / 1000000);
	return MIN(left, (int)k->tick_ms);
}

static void run(struct keeper *k)
{
	struct pollfd fds[3] = { { .fd = k->signal_fd, .events = POLLIN },
				 { .fd = -1 },
				 { .fd = k->base.setup->order_rx, .events = POLLIN } };

	while (!k->is_ending || keeper_has_worker(k)) {
		/* Not before the one that rests now is gone: its order to drain is in the set. */
		fds[1] = (struct pollfd){ .fd = k->is_resting && !k->old.pid ? k->base.epoll_fd : -1,
					  .events = POLLIN };
		(void)poll(fds, 3, timeout_ms(k));
		read_signals(k);
		if (fds[2].revents)
			keeper_take_gift(k);
		keeper_reap(k);
		if (k->is_resting && fds[1].revents)
			k->is_resting = false;
		keeper_step(k);
		keeper_ping(k);
		keeper_tick_clock(k);
	}
}

static void take_signals(struct keeper *k)
{
	sigset_t signals;

	/* Ctrl-C reaches the whole process group; the supervisor alone decides what it means. */
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGTERM, SIG_DFL);
	(void)signal(SIGCHLD, SIG_DFL);
	sigfillset(&signals);
	sigdelset(&signals, SIGSEGV);
	(void)sigprocmask(SIG_SETMASK, &signals, NULL);
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, WRK_ORDER);
	k->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Often enough for the shortest time that the pool asks for. */
static unsigned tick(const struct weir_conf_pool *p)
{
	const unsigned times[] = { p->startup_ms, p->shutdown_ms, p->ping_interval_ms, p->ping_response_ms };
	unsigned shortest = 4000;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(times); i++)
		if (times[i])
			shortest = MIN(shortest, times[i]);
	return MAX(shortest / 8, BUSY_TICK_MS);
}

void wrk_keeper_main(const struct wrk_setup *setup)
{
	struct keeper k = {
		.base = { .setup = setup, .epoll_fd = -1, .drain_fd = -1, .ping_fd = -1 },
		.rescue = { .base = &k.base, .setup = setup },
		.tick_ms = tick(setup->pool),
		.is_resting = setup->pool->start_mode == WEIR_START_ON_DEMAND,
	};
	char name[16];

	snprintf(name, sizeof(name), "weir-keep:%.5s", setup->pool->name);
	(void)prctl(PR_SET_NAME, name);
	weir_log_init(WEIR_LOG_INFO, setup->pool->name);
	take_signals(&k);
	weir_metrics_set(setup->metrics, keeper_pid, getpid());
	if (k.signal_fd < 0 || keeper_prepare(&k) < 0)
		_exit(1);
	run(&k);
	keeper_state(&k, WEIR_SLOT_NONE);
	_exit(0);
}
