/* SPDX-License-Identifier: GPL-2.0 */
/* The serving threads: leader/follower on one epoll set, each taking one event at a time. There is one more when none
 * is free, events wait, and most threads wait for something themselves: more threads would not help one that only
 * lacks a processor. A thread that had nothing to do for threads_idle_ms ends while there are more than threads_min.
 * The request path pays for this with two stores to the thread's own memory. */
#include "worker/wrk_priv.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/macro.h"

#define DRAIN_MS 10
#define STACK_BYTES (1u << 20)

static void *serve_thread(void *arg);

/* Under threads_lock. */
static int add(struct wrk_worker *w)
{
	struct wrk_thread *t;
	pthread_attr_t attr;
	unsigned i = 0;
	int r;

	while (w->threads[i])
		i++;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->w = w;
	t->index = i;
	t->number = wrk_thread_number(w->base, i);
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&attr, STACK_BYTES);
	__atomic_add_fetch(&w->threads_running, 1, __ATOMIC_RELAXED);
	r = pthread_create(&t->id, &attr, serve_thread, t);
	(void)pthread_attr_destroy(&attr);
	if (r) {
		__atomic_sub_fetch(&w->threads_running, 1, __ATOMIC_RELAXED);
		free(t);
		return -r;
	}
	w->threads[i] = t;
	__atomic_add_fetch(&w->threads_count, 1, __ATOMIC_RELAXED);
	return 0;
}

/* Under threads_lock. */
static bool grow(struct wrk_worker *w)
{
	int r = w->threads_count < w->threads_max ? add(w) : -E2BIG;

	if (r < 0 && r != -E2BIG && !w->is_short)
		(void)weir_err(r, "pool '%s' cannot have more than %u threads now, requests wait", w->setup->pool->name,
			       w->threads_count);
	w->is_short = r < 0 && r != -E2BIG;
	return r == 0;
}

/* False: it is one of threads_min, and stays. `is_end`: it goes in any case. */
static bool leave(struct wrk_thread *t, bool is_end)
{
	struct wrk_worker *w = t->w;
	bool goes;

	pthread_mutex_lock(&w->threads_lock);
	goes = is_end || w->threads_count > w->threads_min;
	if (goes) {
		w->threads[t->index] = NULL;
		__atomic_sub_fetch(&w->threads_count, 1, __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&w->threads_lock);
	if (!goes)
		return false;
	if (w->module)
		weir_module_thread_fini(w->module, &t->module);
	free(t);
	/* release: what this thread did is seen by who counts to zero */
	__atomic_sub_fetch(&w->threads_running, 1, __ATOMIC_RELEASE);
	return true;
}

/* Under threads_lock. In a drain the counters are the successor's. */
static void publish(struct wrk_worker *w, unsigned busy)
{
	if (__atomic_load_n(&w->is_draining, __ATOMIC_RELAXED))
		return;
	weir_metrics_set(w->setup->metrics, threads, w->threads_count);
	weir_metrics_set(w->setup->metrics, threads_busy, busy);
}

static int idle_ms(struct wrk_worker *w)
{
	return __atomic_load_n(&w->threads_count, __ATOMIC_RELAXED) > w->threads_min ?
		       (int)w->setup->pool->threads_idle_ms : -1;
}

static void serve_event(struct wrk_thread *t, const struct epoll_event *e)
{
	uint64_t now = weir_now_ms();

	__atomic_store_n(&t->busy_ms, now, __ATOMIC_RELAXED);
	if (now != __atomic_load_n(&t->w->looked_ms, __ATOMIC_RELAXED))
		wrk_threads_look(t->w, now, false);
	wrk_dispatch(t, e->data.u64, e->events);
	__atomic_store_n(&t->busy_ms, 0, __ATOMIC_RELAXED);
}

/* Waits for one event. While connections are kept beside the epoll set, only until they must be looked at. */
static int wait_event(struct wrk_thread *t, struct epoll_event *ret)
{
	const struct timespec brief = { .tv_nsec = WRK_FRESH_LOOK_NS };
	int fd = t->w->base->epoll_fd, n;

	if (t->fresh_count == 0)
		return epoll_wait(fd, ret, 1, idle_ms(t->w));
	n = epoll_pwait2(fd, ret, 1, &brief, NULL);
	wrk_fresh_look(t, false);
	return n == 0 ? -1 : n;
}

static void *serve_thread(void *arg)
{
	struct wrk_thread *t = arg;
	struct wrk_worker *w = t->w;
	struct epoll_event e;
	int n;

	do {
		n = w->relay.codec ? wrk_relay_wait(t, idle_ms(w)) : wait_event(t, &e);
		if (n == 1 && !w->relay.codec)
			serve_event(t, &e);
		else if (n == 0 && leave(t, false))
			return NULL;
		/* acquire: pairs with the release in begin_drain() */
	} while (!__atomic_load_n(&w->is_draining, __ATOMIC_ACQUIRE));
	wrk_fresh_look(t, true);
	if (__atomic_load_n(&w->is_ending, __ATOMIC_RELAXED))
		wrk_serve_rest(t);
	while (wrk_relay_active(w) > 0)
		(void)wrk_relay_wait(t, DRAIN_MS);
	(void)leave(t, true);
	return NULL;
}

static unsigned processors(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

int wrk_threads_start(struct wrk_worker *w)
{
	const struct weir_conf_pool *pool = w->setup->pool;
	int r = 0;

	w->threads_min = MIN(MAX(pool->threads_min, 1u), (unsigned)WRK_THREADS_MAX);
	w->threads_max = MIN(MAX(pool->threads_max, w->threads_min), (unsigned)WRK_THREADS_MAX);
	/* Threads that never wait for anything but events are enough with one a processor. */
	if (w->relay.codec)
		w->threads_min = w->threads_max = MIN(w->threads_min, processors());
	pthread_mutex_lock(&w->threads_lock);
	while (r == 0 && w->threads_count < w->threads_min)
		r = add(w);
	publish(w, 0);
	pthread_mutex_unlock(&w->threads_lock);
	return r;
}

/* Under threads_lock. Counts those with an event, and those that have had it for long. */
static void count(struct wrk_worker *w, uint64_t now_ms, unsigned *ret_busy, unsigned *ret_stuck)
{
	unsigned i, left = w->threads_count;

	*ret_busy = *ret_stuck = 0;
	for (i = 0; i < WRK_THREADS_MAX && left > 0; i++) {
		uint64_t busy_ms;

		if (!w->threads[i])
			continue;
		left--;
		busy_ms = __atomic_load_n(&w->threads[i]->busy_ms, __ATOMIC_RELAXED);
		*ret_busy += busy_ms != 0;
		*ret_stuck += busy_ms != 0 && now_ms >= busy_ms + WRK_STUCK_MS;
	}
}

void wrk_threads_look(struct wrk_worker *w, uint64_t now_ms, bool is_waiting)
{
	uint64_t looked_ms = __atomic_load_n(&w->looked_ms, __ATOMIC_RELAXED);
	unsigned busy, stuck, wanted;

	/* Once a tick of the coarse clock, and by one thread, is enough. */
	if (!is_waiting && (looked_ms == now_ms ||
			    !__atomic_compare_exchange_n(&w->looked_ms, &looked_ms, now_ms, false, __ATOMIC_RELAXED,
							 __ATOMIC_RELAXED)))
		return;
	if (pthread_mutex_trylock(&w->threads_lock) != 0)
		return;
	count(w, now_ms, &busy, &stuck);
	publish(w, busy);
	/* Without a free thread the next event would wait. One is enough, unless events are known to wait already. */
	if (busy == w->threads_count && 2 * stuck + 1 >= busy && stuck > 0 &&
	    !__atomic_load_n(&w->is_draining, __ATOMIC_RELAXED)) {
		for (wanted = is_waiting ? MAX(busy / 2, 1u) : 1; wanted > 0 && grow(w); wanted--)
			;
	}
	pthread_mutex_unlock(&w->threads_lock);
}

void wrk_threads_count(struct wrk_worker *w, uint64_t now_ms)
{
	unsigned busy, stuck;

	pthread_mutex_lock(&w->threads_lock);
	count(w, now_ms, &busy, &stuck);
	publish(w, busy);
	pthread_mutex_unlock(&w->threads_lock);
}

void wrk_threads_wake(struct wrk_worker *w)
{
	unsigned i;

	pthread_mutex_lock(&w->threads_lock);
	for (i = 0; i < WRK_THREADS_MAX; i++)
		if (w->threads[i] && __atomic_load_n(&w->threads[i]->busy_ms, __ATOMIC_RELAXED) == 0)
			(void)pthread_kill(w->threads[i]->id, SIGUSR1);
	pthread_mutex_unlock(&w->threads_lock);
}
