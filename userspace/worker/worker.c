/* SPDX-License-Identifier: GPL-2.0 */
/* The worker process: serving threads (threads.c) on one epoll set, and the main thread, which serves nothing, so that
 * file changes, deadlines and the order to end are seen while every other thread is busy. */
#include "worker/wrk_priv.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"

void wrk_ping_answer(struct wrk_worker *w)
{
	struct weir_metrics_slot *m = w->setup->metrics;
	uint64_t one;

	if (read(w->base->ping_fd, &one, sizeof(one)) == sizeof(one))
		weir_metrics_set(m, ping_answered, weir_metrics_get(m, ping_asked));
}

void wrk_dispatch(struct wrk_thread *t, uint64_t tag, uint32_t events)
{
	uint32_t number = (uint32_t)tag;
	struct wrk_conn *c;

	switch ((enum wrk_source)(tag >> 32)) {
	case WRK_SOURCE_CONN:
		c = &t->w->base->table.conns[number];
		if (wrk_conn_claim(c, t->number))
			wrk_serve(t, c, events);
		break;
	case WRK_SOURCE_LISTENER:
		wrk_accept(t, number);
		break;
	case WRK_SOURCE_PASS:
		wrk_pass_receive(t);
		break;
	case WRK_SOURCE_PING:
		wrk_ping_answer(t->w);
		break;
	}
}

void wrk_serve_rest(struct wrk_thread *t)
{
	struct epoll_event events[16];
	int i, n, served;

	do {
		served = 0;
		n = epoll_wait(t->w->base->epoll_fd, events, 16, 0);
		for (i = 0; i < n; i++) {
			enum wrk_source source = (enum wrk_source)(events[i].data.u64 >> 32);

			if (source != WRK_SOURCE_CONN && weir_now_ms() > t->w->drain_ms + WRK_BACKLOG_MS)
				continue;
			wrk_dispatch(t, events[i].data.u64, events[i].events);
			served++;
		}
	} while (served > 0);
}

static int watch(int epoll_fd, int fd, uint64_t tag)
{
	struct epoll_event e = { .events = EPOLLIN, .data.u64 = tag };

	if (fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e) == 0 || errno == EEXIST)
		return 0;
	return -errno;
}

/* The drain signal is not among them: an elder's would keep its successor awake. */
static int watch_sources(struct wrk_worker *w)
{
	const struct wrk_setup *s = w->setup;
	int ep = w->base->epoll_fd, r;
	size_t i;

	r = watch(ep, w->base->ping_fd, wrk_event_tag(WRK_SOURCE_PING, 0));
	if (r == 0)
		r = watch(ep, s->pass_rx, wrk_event_tag(WRK_SOURCE_PASS, 0));
	for (i = 0; r == 0 && i < s->listeners_count; i++)
		r = watch(ep, s->listeners[i].fd, wrk_event_tag(WRK_SOURCE_LISTENER, (uint32_t)i));
	return r;
}

/* An order to end may follow the one to hand over. */
static void begin_drain(struct wrk_worker *w)
{
	uint64_t value;

	if (read(w->base->drain_fd, &value, sizeof(value)) != sizeof(value))
		return;
	wrk_relay_leave_requests(w);
	w->drain_ms = weir_now_ms();
	w->move_to = (uint16_t)(value >> 8);
	value &= 0xff;
	w->is_moving = value == WRK_DRAIN_MOVE;
	if (!w->move_to)
		w->move_to = w->setup->pool->id;
	if (value != WRK_DRAIN_HAND_OVER && value != WRK_DRAIN_MOVE) {
		__atomic_store_n(&w->is_ending, true, __ATOMIC_RELEASE);
		__atomic_store_n(&w->base->table.shared->is_ending, 1, __ATOMIC_RELEASE);
	}
	/* release: pairs with the acquire in serve_thread() */
	__atomic_store_n(&w->is_draining, true, __ATOMIC_RELEASE);
}

/* Whether a thread is missing, and how long requests have been waiting. */
static void look(struct wrk_worker *w, uint64_t now)
{
	struct pollfd ready = { .fd = w->base->epoll_fd, .events = POLLIN };
	struct weir_metrics_slot *m = w->setup->metrics;
	uint64_t requests = weir_metrics_get(m, requests);
	unsigned timeout_ms = w->setup->pool->queue_timeout_ms;
	bool is_waiting = poll(&ready, 1, 0) > 0;

	if (!is_waiting)
		w->waiting_ms = 0;
	else if (w->waiting_ms == 0)
		w->waiting_ms = now;
	__atomic_store_n(&w->is_pressed,
			 is_waiting && timeout_ms > 0 && now + 2 * WRK_TICK_MS >= w->waiting_ms + timeout_ms,
			 __ATOMIC_RELAXED);
	if (is_waiting)
		wrk_threads_look(w, now, true);
	else
		wrk_threads_count(w, now);
	if (requests != w->requests_seen || weir_metrics_get(m, threads_busy) > 0)
		weir_metrics_set(m, last_request_ms, now);
	w->requests_seen = requests;
}

static int sweep_ms(const struct weir_conf_pool *pool)
{
	const unsigned limits[] = { pool->keepalive_ms, pool->header_ms, pool->body_ms, pool->request_ms };
	unsigned shortest = 4000;
	size_t i;

	for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		if (limits[i] > 0 && limits[i] < shortest)
			shortest = limits[i];
	return shortest < 400 ? 100 : (int)shortest / 4;
}

static bool is_done(struct wrk_worker *w)
{
	/* Exchanges may take long, and what is to be moved does not wait for them. */
	if (w->is_moving && wrk_relay_active(w) > 0)
		return true;
	return __atomic_load_n(&w->threads_running, __ATOMIC_ACQUIRE) == 0 && !wrk_pump_is_running(w) &&
	       wrk_relay_active(w) == 0;
}

/* The main thread's work until all others have ended. */
static void tend(struct wrk_worker *w)
{
	int every_ms = sweep_ms(w->setup->pool);
	uint64_t swept_ms = weir_now_ms(), looked_ms = swept_ms;
	struct pollfd fds[] = {
		{ .fd = w->files ? weir_static_watch_fd(w->files) : -1, .events = POLLIN },
		{ .fd = w->base->drain_fd, .events = POLLIN },
	};

	while (!w->is_draining || !is_done(w)) {
		int n = poll(fds, 2, w->is_draining ? 10 : WRK_TICK_MS);
		uint64_t now = weir_now_ms();

		if (n > 0 && fds[0].revents)
			weir_static_watch(w->files);
		if (n > 0 && fds[1].revents)
			begin_drain(w);
		if (w->is_draining)
			wrk_threads_wake(w);
		if (now - looked_ms >= WRK_TICK_MS) {
			looked_ms = now;
			look(w, now);
			wrk_recover(w);
			wrk_relay_sweep(w, now);
			wrk_limits_log(w, now, false);
		}
		if (now - swept_ms >= (uint64_t)every_ms) {
			swept_ms = now;
			wrk_sweep(w);
		}
	}
}

static size_t files_max(const struct weir_conf_pool *pool)
{
	size_t n = (size_t)pool->entries[0] + pool->entries[1] + pool->entries[2];

	return n < 16384 ? 16384 : n > 262144 ? 262144 : n;
}

static void init_cache(struct wrk_worker *w)
{
	const struct wrk_setup *s = w->setup;
	int class;

	for (class = 0; class < WEIR_CLASS__MAX; class++)
		w->cache.fds[class] = s->pool->kernel_cache ? s->cache_fds[class] : -1;
	memcpy(w->cache.secret, s->cache_secret, sizeof(w->cache.secret));
	w->cache.encodings = weir_conf_pool_encodings(s->pool);
	w->cache.has_status = s->pool->cache_status;
	w->cache.metrics = s->metrics;
}

static void on_wake(int sig)
{
	(void)sig;
}

static void ignore_signals(void)
{
	static const int ignored[] = { SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR2 };
	struct sigaction wake = { .sa_handler = on_wake, .sa_flags = SA_RESTART };
	sigset_t none;
	size_t i;

	/* The keeper decides when a worker ends; a terminal's Ctrl-C reaches the whole process group. */
	for (i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		(void)signal(ignored[i], SIG_IGN);
	(void)signal(SIGCHLD, SIG_DFL);
	/* ends an epoll_wait(), see wrk_threads_wake() */
	(void)sigaction(SIGUSR1, &wake, NULL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static void init_handler(struct wrk_worker *w)
{
	const struct weir_conf_pool *pool = w->setup->pool;
	struct weir_static_conf files = {
		.root = pool->root,
		.index = pool->index,
		.files_max = files_max(pool),
		.options = &pool->files,
	};
	int r;

	w->limits = (struct weir_http_limits){
		.head_bytes = w->setup->config->max_request_bytes,
		.field_bytes = w->setup->config->max_field_length,
		.segment_bytes = w->setup->config->url_segment_max_length,
		.segments = w->setup->config->url_segment_max_count,
	};
	w->is_debug = pool->handler == WEIR_HANDLER_DEBUG;
	if (pool->handler != WEIR_HANDLER_STATIC)
		return;
	r = weir_static_new(&files, &w->cache, &w->files);
	if (r < 0)
		(void)weir_err(r, "cannot serve '%s', answering 500 to each request", files.root);
}

/* Until the drain is over. */
static int serve(struct wrk_worker *w)
{
	const struct wrk_table *t = &w->base->table;
	bool is_final;
	int r;

	wrk_recover(w);
	r = watch_sources(w);
	if (r < 0)
		return weir_err(r, "cannot watch the listening sockets");
	r = wrk_threads_start(w);
	if (r < 0)
		return weir_err(r, "cannot start %u threads", w->threads_min);
	weir_metrics_set(w->setup->metrics, ready_pid, getpid());
	tend(w);
	if (w->is_moving) {
		do {
			wrk_threads_wake(w);
			wrk_move_all(w);
		} while (!is_done(w) || wrk_relay_active(w) > 0);
		__atomic_store_n(&t->shared->is_ending, 1, __ATOMIC_RELEASE);
	}
	/* After a hand-over the connections are another worker's, or the keeper's until there is one; unless the slot
	 * has come to its end meanwhile, and that other one was quicker. */
	is_final = w->is_ending || (__atomic_load_n(&t->shared->is_ending, __ATOMIC_ACQUIRE) &&
				    !wrk_table_has_others(t, w->base->generation));
	if (is_final)
		wrk_sweep_all(w);
	wrk_relay_end(w);
	/* what it has given back meanwhile */
	if (is_final && w->relay.codec)
		wrk_sweep_all(w);
	wrk_limits_log(w, weir_now_ms(), true);
	return 0;
}

static int run(struct wrk_worker *w)
{
	const struct wrk_base *b = w->base;
	int r;

	pthread_mutex_init(&w->threads_lock, NULL);
	init_cache(w);
	init_handler(w);
	r = wrk_tickets_init(w);
	if (r == 0)
		r = wrk_locals_init(w);
	if (r < 0)
		return weir_err(r, "cannot ask the listening sockets for their addresses");
	r = wrk_pump_init(w);
	if (r < 0)
		return weir_err(r, "cannot make an epoll set");
	r = wrk_relay_init(w);
	if (r < 0)
		return weir_err(r, "cannot prepare the upstreams of pool '%s'", w->setup->pool->name);
	r = wrk_sandbox_syscalls(w->setup->pool->handler == WEIR_HANDLER_MODULE ? w->setup->pool->module.sandbox :
										    WEIR_SANDBOX_STRICT,
				 w->relay.codec != NULL);
	if (r < 0)
		return weir_err(r, "cannot install the system call filter");
	r = wrk_module_init(w);
	if (r < 0)
		return r;
	r = wrk_table_enter(&b->table, b->generation, b->has_elder);
	if (r < 0)
		return weir_err(r, "too many workers share the slot");
	r = serve(w);
	weir_static_free(w->files);
	weir_module_free(w->module);
	wrk_table_leave(&b->table, b->generation);
	close(w->pump.epoll_fd);
	wrk_relay_fini(w);
	return r;
}

void wrk_worker_main(const struct wrk_base *base)
{
	static struct wrk_worker w;
	char name[16];

	w.base = base;
	w.setup = base->setup;
	snprintf(name, sizeof(name), "weir:%.10s", base->setup->pool->name);
	(void)prctl(PR_SET_NAME, name);
	/* A worker without its keeper would never be replaced. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	ignore_signals();
	_exit(run(&w) < 0 ? 1 : 0);
}
