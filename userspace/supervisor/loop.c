/* SPDX-License-Identifier: GPL-2.0 */
/* The event loop: signals, the second's tick, the control socket. */
#include "supervisor/supervisor_priv.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>

#include "common/clock.h"
#include "common/log.h"

#define DRAIN_MS 5000

/* The first tick half a millisecond into the next second: Date changes with the clock, never before it. */
static int arm_timer(const struct sup *s)
{
	struct itimerspec t = { .it_interval.tv_sec = 1, .it_value.tv_nsec = 500000 };
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	t.it_value.tv_sec = now.tv_sec + 1;
	return timerfd_settime(s->timer_fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &t, NULL) < 0 ? -errno : 0;
}

static int watch(const struct sup *s, int fd)
{
	struct epoll_event e = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

int sup_loop_new(struct sup *s)
{
	static const int wanted[] = { SIGINT, SIGTERM, SIGHUP, SIGCHLD };
	sigset_t signals;
	size_t i;
	int r;

	(void)sigemptyset(&signals);
	for (i = 0; i < ARRAY_SIZE(wanted); i++)
		(void)sigaddset(&signals, wanted[i]);
	if (sigprocmask(SIG_BLOCK, &signals, &s->signals_before) < 0)
		return -errno;
	s->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	s->timer_fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->wake_fd < 0)
		s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->signal_fd < 0 || s->timer_fd < 0 || s->epoll_fd < 0 || s->wake_fd < 0)
		return -errno;
	r = arm_timer(s);
	if (r == 0)
		r = watch(s, s->signal_fd);
	if (r == 0)
		r = watch(s, s->timer_fd);
	if (r == 0)
		r = watch(s, s->wake_fd);
	if (r == 0)
		r = watch(s, sup_refuser_fd(s));
	if (r == 0)
		r = watch(s, weir_ipc_server_fd(s->ipc));
	return r;
}

/* New connections are refused from now on; workers finish what they have begun, with XDP still attached so that
 * nothing in flight changes under them. A second order cuts the wait short. */
void sup_stop(struct sup *s)
{
	if (s->is_stopping) {
		s->kill_ms = 0;
		return;
	}
	s->is_stopping = true;
	s->kill_ms = weir_now_ms() + DRAIN_MS;
	weir_info("stopping: waiting up to %d s for requests in flight", DRAIN_MS / 1000);
	sup_service_stopping();
	sup_sockets_close(s);
	sup_slots_signal(s, SIGTERM);
}

/* A keeper, or a program that was run for a pool. */
static void on_death(struct sup *s)
{
	sup_slots_reap(s);
	sup_pools_look(s);
	sup_slots_start(s);
}

static void on_news(struct sup *s)
{
	uint64_t count;

	(void)!read(s->wake_fd, &count, sizeof(count));
	sup_pools_look(s);
	sup_refuser_dispatch(s);
}

static void on_signal(struct sup *s)
{
	struct signalfd_siginfo info;

	while (read(s->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGCHLD:
			on_death(s);
			break;
		case SIGHUP:
			sup_reload(s);
			break;
		default:
			sup_stop(s);
		}
	}
}

static void on_tick(struct sup *s)
{
	uint64_t ticks;
	size_t i;

	if (read(s->timer_fd, &ticks, sizeof(ticks)) < 0 && errno == ECANCELED)
		(void)arm_timer(s); /* somebody has set the clock */
	if (s->dp)
		weir_dataplane_tick(s->dp);
	weir_ipc_server_expire(s->ipc);
	for (i = 0; i < s->config->pools_count && !s->is_stopping; i++) {
		sup_queue_tick(s, &s->pools[i]);
		sup_recycle_tick(s, &s->pools[i]);
		sup_cpu_tick(s, &s->pools[i]);
	}
	sup_takeover_tick(s, false);
	sup_service_tick();
	sup_limits_tick(s);
	sup_admin_start(s);
	sup_refuser_dispatch(s);
	sup_pools_look(s);
	sup_slots_start(s);
}

static void check_stop(struct sup *s)
{
	if (!s->is_stopping || sup_slots_are_gone(s) || weir_now_ms() < s->kill_ms)
		return;
	weir_warn("requests are still in flight: ending them");
	sup_slots_signal(s, SIGKILL);
	s->kill_ms = UINT64_MAX;
}

void sup_loop_run(struct sup *s)
{
	if (s->dp)
		weir_dataplane_tick(s->dp);
	while (!s->is_stopping || !sup_slots_are_gone(s)) {
		struct epoll_event e;
		int n = epoll_wait(s->epoll_fd, &e, 1, s->is_stopping ? 100 : -1);

		if (n == 1 && e.data.fd == s->signal_fd)
			on_signal(s);
		else if (n == 1 && e.data.fd == s->timer_fd)
			on_tick(s);
		else if (n == 1 && e.data.fd == s->wake_fd)
			on_news(s);
		else if (n == 1 && e.data.fd == sup_refuser_fd(s))
			sup_refuser_dispatch(s);
		else if (n == 1 && e.data.fd == weir_ipc_server_fd(s->ipc))
			weir_ipc_server_dispatch(s->ipc);
		else if (n == 1) /* the pidfd of a keeper */
			on_death(s);
		if (s->is_reloading && !s->is_stopping)
			sup_reload_now(s);
		check_stop(s);
		sup_upgrade_tick(s);
	}
}
