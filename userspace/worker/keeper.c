/* SPDX-License-Identifier: GPL-2.0 */
/* The keeper: one process a pool slot that holds the file table (listening sockets, epoll set, connections) and the
 * connection table, so that both outlive a worker. It starts the worker, again whenever it dies, and does nothing
 * else; it never reads what a client sent. */
#include "worker/wrk_priv.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/bpf_map.h"
#include "common/clock.h"
#include "common/fds.h"
#include "common/log.h"
#include "common/macro.h"

#define BACKOFF_MIN_MS 20   /* before a worker that did nothing but die is started again; doubled each time */
#define BACKOFF_MAX_MS 1000
#define YOUNG_MS 1000	    /* older, or with a request answered, it did something */

struct keeper {
	struct wrk_base base;
	pid_t parent;
	pid_t worker;	   /* 0: none */
	uint64_t born_ms;  /* of the worker */
	uint64_t requests; /* that the slot had answered then */
	unsigned backoff_ms;
	bool is_ending;
	uint64_t ending_ms;
};

/* Closes what neither the supervisor gave us nor a connection is. Also sweeps what a dead worker had open. */
static int close_strays(const struct wrk_base *b)
{
	const struct wrk_setup *s = b->setup;
	uint32_t fd, highest = b->table.highest ? *b->table.highest : 0;
	size_t count = 0, i;
	_cleanup_free_ int *keep = calloc(s->listeners_count + WEIR_POOLS_MAX + WEIR_CLASS__MAX + 9 + highest,
					  sizeof(*keep));

	if (!keep)
		return -ENOMEM;
	for (i = 0; i < s->listeners_count; i++)
		keep[count++] = s->listeners[i].fd;
	for (i = 0; i < WEIR_POOLS_MAX; i++)
		keep[count++] = s->pass_tx[i];
	for (i = 0; i < WEIR_CLASS__MAX; i++)
		keep[count++] = s->cache_fds[i];
	keep[count++] = s->tickets_fd;
	keep[count++] = s->queue_fd;
	keep[count++] = s->pass_rx;
	keep[count++] = b->epoll_fd;
	keep[count++] = b->drain_fd;
	for (fd = 0; highest > 0 && fd <= highest; fd++)
		if (b->table.conns[fd].state != WRK_FREE)
			keep[count++] = (int)fd;
	weir_fds_close_except(keep, count);
	return 0;
}

static int prepare(struct keeper *k)
{
	const struct weir_conf_pool *pool = k->base.setup->pool;
	struct rlimit limit;
	int r;

	r = close_strays(&k->base);
	if (r < 0)
		return weir_err(r, "cannot close inherited descriptors");
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	r = wrk_sandbox_identity(pool->uid, pool->gid);
	if (r < 0)
		return weir_err(r, "cannot become user %u of pool '%s'", (unsigned)pool->uid, pool->name);
	/* After the identity: a change of it clears this. */
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != k->parent)
		return weir_err(-ESRCH, "the supervisor is gone");
	r = wrk_table_new(&k->base.table);
	if (r < 0)
		return weir_err(r, "cannot map the connection table");
	k->base.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	k->base.drain_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (k->base.epoll_fd < 0 || k->base.drain_fd < 0)
		return weir_err(-errno, "cannot make the epoll set");
	return 0;
}

/* The raw call, because fork() cannot share the file table. The child goes on like after fork(): a copy of this
 * single-threaded process. */
static int start_worker(struct keeper *k)
{
	struct weir_metrics_slot *m = k->base.setup->metrics;
	long pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid < 0)
		return -errno;
	if (pid == 0)
		wrk_worker_main(&k->base);
	k->worker = (pid_t)pid;
	k->born_ms = weir_now_ms();
	k->requests = weir_metrics_get(m, requests);
	weir_metrics_set(m, worker_pid, pid);
	weir_metrics_set(m, started_at, weir_realtime_s());
	return 0;
}

/* The dead worker's watches died with it: nobody would notice a change of what it has published. */
static void flush_cache(const struct wrk_setup *s)
{
	size_t i;

	for (i = 0; i < WEIR_CLASS__MAX; i++)
		if (s->cache_fds[i] >= 0)
			(void)weir_bpf_map_clear(s->cache_fds[i], sizeof(struct weir_cache_key));
}

static void bury_worker(struct keeper *k, int status)
{
	const struct wrk_setup *s = k->base.setup;
	uint64_t lived_ms = weir_now_ms() - k->born_ms;

	k->worker = 0;
	weir_metrics_set(s->metrics, worker_pid, 0);
	flush_cache(s);
	if (k->is_ending)
		return;
	if (WIFSIGNALED(status))
		weir_warn("worker of pool '%s' died of signal %d (%s) after %llu ms, starting another", s->pool->name,
			  WTERMSIG(status), strsignal(WTERMSIG(status)), (unsigned long long)lived_ms);
	else
		weir_warn("worker of pool '%s' ended with status %d after %llu ms, starting another", s->pool->name,
			  WEXITSTATUS(status), (unsigned long long)lived_ms);
	if (lived_ms > YOUNG_MS || weir_metrics_get(s->metrics, requests) != k->requests)
		k->backoff_ms = 0;
	else
		k->backoff_ms = k->backoff_ms ? MIN(k->backoff_ms * 2, BACKOFF_MAX_MS) : BACKOFF_MIN_MS;
	weir_metrics_add(s->metrics, restarts, 1);
	(void)close_strays(&k->base);
}

static void begin_end(struct keeper *k)
{
	const uint64_t one = 1;

	if (k->is_ending)
		return;
	k->is_ending = true;
	k->ending_ms = weir_now_ms();
	(void)!write(k->base.drain_fd, &one, sizeof(one));
}

/* Waits up to `ms` (-1: for ever) for a signal; returns it, or 0. */
static int wait_signal(const sigset_t *signals, int ms)
{
	struct timespec limit = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };
	int sig = sigtimedwait(signals, NULL, ms < 0 ? NULL : &limit);

	return sig > 0 ? sig : 0;
}

static int run(struct keeper *k, const sigset_t *signals)
{
	int status, sig;

	for (;;) {
		if (!k->worker && k->is_ending)
			return 0;
		if (!k->worker && k->backoff_ms > 0 && wait_signal(signals, (int)k->backoff_ms) == SIGTERM)
			return 0;
		if (!k->worker && start_worker(k) < 0)
			k->backoff_ms = BACKOFF_MAX_MS;
		sig = wait_signal(signals, k->is_ending ? 50 : k->worker ? -1 : 0);
		if (sig == SIGTERM)
			begin_end(k);
		while (k->worker && waitpid(k->worker, &status, WNOHANG) == k->worker)
			bury_worker(k, status);
		if (k->worker && k->is_ending && weir_now_ms() - k->ending_ms > WRK_DRAIN_MS)
			(void)kill(k->worker, SIGKILL);
	}
}

void wrk_keeper_main(const struct wrk_setup *setup)
{
	struct keeper k = {
		.base = { .setup = setup, .epoll_fd = -1, .drain_fd = -1 },
		.parent = getppid(),
	};
	sigset_t signals;
	char name[16];

	snprintf(name, sizeof(name), "weir-keep:%.5s", setup->pool->name);
	(void)prctl(PR_SET_NAME, name);
	weir_log_init(WEIR_LOG_INFO, setup->pool->name);
	/* Ctrl-C reaches the whole process group; the supervisor alone decides what it means. */
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGTERM, SIG_DFL);
	(void)signal(SIGCHLD, SIG_DFL);
	sigfillset(&signals);
	sigdelset(&signals, SIGSEGV);
	(void)sigprocmask(SIG_SETMASK, &signals, NULL);
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGCHLD);

	weir_metrics_set(setup->metrics, keeper_pid, getpid());
	if (prepare(&k) < 0)
		_exit(1);
	_exit(run(&k, &signals) < 0 ? 1 : 0);
}
