/* SPDX-License-Identifier: GPL-2.0 */
/* The worker process: N serving threads on one epoll set, each taking one event at a time; and the main thread, which
 * serves nothing, so that file changes and deadlines are seen while every other thread is busy. */
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

static void dispatch(struct wrk_thread *t, const struct epoll_event *e)
{
	uint32_t number = (uint32_t)e->data.u64;
	struct wrk_conn *c;

	switch ((enum wrk_source)(e->data.u64 >> 32)) {
	case WRK_SOURCE_CONN:
		c = &t->w->base->table.conns[number];
		if (wrk_conn_claim(c, t->number))
			wrk_serve(t, c, e->events);
		break;
	case WRK_SOURCE_LISTENER:
		wrk_accept(t, number);
		break;
	case WRK_SOURCE_PASS:
		wrk_pass_receive(t);
		break;
	case WRK_SOURCE_DRAIN:
		break;
	}
}

/* The signal stays readable, so each thread sees it. From then on: what waits, then no more. */
static void drain(struct wrk_thread *t)
{
	struct epoll_event events[16];
	int i, n, served;

	do {
		served = 0;
		n = epoll_wait(t->w->base->epoll_fd, events, 16, 0);
		for (i = 0; i < n; i++) {
			enum wrk_source source = (enum wrk_source)(events[i].data.u64 >> 32);

			if (source == WRK_SOURCE_DRAIN ||
			    (source != WRK_SOURCE_CONN && weir_now_ms() > t->w->drain_ms + WRK_BACKLOG_MS))
				continue;
			dispatch(t, &events[i]);
			served++;
		}
	} while (served > 0);
}

static void *serve_thread(void *arg)
{
	struct wrk_thread *t = arg;
	struct epoll_event e;
	int n;

	do {
		n = epoll_wait(t->w->base->epoll_fd, &e, 1, -1);
		if (n == 1)
			dispatch(t, &e);
		/* acquire: pairs with the release in begin_drain() */
	} while (!__atomic_load_n(&t->w->is_draining, __ATOMIC_ACQUIRE));
	drain(t);
	/* release: what this thread did is seen by who counts to zero */
	__atomic_sub_fetch(&t->w->threads_running, 1, __ATOMIC_RELEASE);
	return NULL;
}

static int start_threads(struct wrk_worker *w)
{
	unsigned i;

	w->threads_count = w->setup->pool->threads;
	if (w->threads_count < 1)
		w->threads_count = 1;
	if (w->threads_count > WRK_THREADS_MAX)
		w->threads_count = WRK_THREADS_MAX;
	w->threads = calloc(w->threads_count, sizeof(struct wrk_thread *));
	if (!w->threads)
		return -ENOMEM;
	for (i = 0; i < w->threads_count; i++) {
		int r;

		w->threads[i] = calloc(1, sizeof(struct wrk_thread));
		if (!w->threads[i])
			return -ENOMEM;
		w->threads[i]->w = w;
		w->threads[i]->number = i;
		w->threads_running++;
		r = pthread_create(&w->threads[i]->id, NULL, serve_thread, w->threads[i]);
		if (r)
			return -r;
	}
	return 0;
}

static int watch(int epoll_fd, int fd, uint64_t tag)
{
	struct epoll_event e = { .events = EPOLLIN, .data.u64 = tag };

	if (fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e) == 0 || errno == EEXIST)
		return 0;
	return -errno;
}

static int watch_sources(struct wrk_worker *w)
{
	const struct wrk_setup *s = w->setup;
	int ep = w->base->epoll_fd, r;
	size_t i;

	r = watch(ep, w->base->drain_fd, wrk_event_tag(WRK_SOURCE_DRAIN, 0));
	if (r == 0)
		r = watch(ep, s->pass_rx, wrk_event_tag(WRK_SOURCE_PASS, 0));
	for (i = 0; r == 0 && i < s->listeners_count; i++)
		r = watch(ep, s->listeners[i].fd, wrk_event_tag(WRK_SOURCE_LISTENER, (uint32_t)i));
	return r;
}

static void begin_drain(struct wrk_worker *w)
{
	w->drain_ms = weir_now_ms();
	/* release: pairs with the acquire in serve_thread() */
	__atomic_store_n(&w->is_draining, true, __ATOMIC_RELEASE);
}

/* The main thread's work until all others have ended. */
static void tend(struct wrk_worker *w)
{
	const struct weir_conf_pool *pool = w->setup->pool;
	unsigned shortest = pool->keepalive_ms < pool->header_ms ? pool->keepalive_ms : pool->header_ms;
	int tick_ms = shortest < 400 ? 100 : shortest > 4000 ? 1000 : (int)shortest / 4;
	uint64_t swept_ms = weir_now_ms();
	struct pollfd fds[] = {
		{ .fd = w->files ? weir_static_watch_fd(w->files) : -1, .events = POLLIN },
		{ .fd = w->base->drain_fd, .events = POLLIN },
	};

	while (__atomic_load_n(&w->threads_running, __ATOMIC_ACQUIRE) > 0) {
		int n = poll(fds, 2, w->is_draining ? 10 : tick_ms);

		if (n > 0 && fds[0].revents)
			weir_static_watch(w->files);
		if (n > 0 && fds[1].revents && !w->is_draining) {
			begin_drain(w);
			fds[1].fd = -1;
		}
		if (weir_now_ms() - swept_ms >= (uint64_t)tick_ms) {
			wrk_sweep(w);
			swept_ms = weir_now_ms();
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
	w->cache.metrics = s->metrics;
}

static void ignore_signals(void)
{
	static const int ignored[] = { SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 };
	sigset_t none;
	size_t i;

	/* The keeper decides when a worker ends; a terminal's Ctrl-C reaches the whole process group. */
	for (i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		(void)signal(ignored[i], SIG_IGN);
	(void)signal(SIGCHLD, SIG_DFL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static int run(struct wrk_worker *w)
{
	struct weir_static_conf files = {
		.root = w->setup->pool->root,
		.index = w->setup->pool->index,
		.files_max = files_max(w->setup->pool),
	};
	int r;

	init_cache(w);
	r = weir_static_new(&files, &w->cache, &w->files);
	if (r < 0)
		(void)weir_err(r, "cannot serve '%s', answering 500 to each request", files.root);
	r = wrk_tickets_init(w);
	if (r == 0)
		r = wrk_locals_init(w);
	if (r < 0)
		return weir_err(r, "cannot ask the listening sockets for their addresses");
	r = wrk_sandbox_syscalls();
	if (r < 0)
		return weir_err(r, "cannot install the system call filter");
	wrk_recover(w);
	r = watch_sources(w);
	if (r < 0)
		return weir_err(r, "cannot watch the listening sockets");
	r = start_threads(w);
	if (r < 0)
		return weir_err(r, "cannot start %u threads", w->setup->pool->threads);
	tend(w);
	wrk_sweep_all(w);
	weir_static_free(w->files);
	return 0;
}

void wrk_worker_main(const struct wrk_base *base)
{
	struct wrk_worker w = { .base = base, .setup = base->setup };
	char name[16];

	snprintf(name, sizeof(name), "weir:%.10s", base->setup->pool->name);
	(void)prctl(PR_SET_NAME, name);
	/* A worker without its keeper would never be replaced. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	ignore_signals();
	_exit(run(&w) < 0 ? 1 : 0);
}
