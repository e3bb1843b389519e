/* SPDX-License-Identifier: GPL-2.0 */
/* What a keeper does before its first worker: limits that need rights, then the pool's identity, then what the workers
 * share. */
#include "worker/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "common/log.h"

#define THROTTLE_NICE 10

static void join_cgroup(const char *path)
{
	char file[320];
	int fd;

	snprintf(file, sizeof(file), "%s/cgroup.procs", path);
	fd = open(file, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		weir_warn("cannot join cgroup '%s' (%s): its limits do not hold for this slot", path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void set_affinity(const struct weir_conf_pool *pool)
{
	bool wanted[CPU_SETSIZE];
	cpu_set_t set;
	int i;

	if (!pool->smp_affinity || weir_conf_cpus_parse(pool->smp_affinity, wanted, CPU_SETSIZE) < 0)
		return;
	CPU_ZERO(&set);
	for (i = 0; i < CPU_SETSIZE; i++)
		if (wanted[i])
			CPU_SET(i, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		weir_warn("smp_affinity '%s' is not possible here (%s), using every CPU", pool->smp_affinity,
			  strerror(errno));
}

static void set_files(const struct weir_conf_pool *pool)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	if (pool->nofile)
		limit.rlim_max = MIN(limit.rlim_max, (rlim_t)pool->nofile);
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* Without a cgroup: what comes closest. */
static void set_limits(const struct wrk_setup *s)
{
	const struct weir_conf_pool *pool = s->pool;
	struct rlimit limit = { (rlim_t)pool->memory_limit_kb << 10, (rlim_t)pool->memory_limit_kb << 10 };

	if (s->cgroup) {
		join_cgroup(s->cgroup);
		return;
	}
	if (pool->memory_limit_kb && setrlimit(RLIMIT_DATA, &limit) < 0)
		weir_warn("memory_limit cannot be set (%s)", strerror(errno));
	if (pool->cpu_limit && pool->cpu_action == WEIR_CPU_THROTTLE && setpriority(PRIO_PROCESS, 0, THROTTLE_NICE) < 0)
		weir_warn("cpu_action throttle cannot be set (%s)", strerror(errno));
}

static void set_environment(const struct weir_conf_pool *pool)
{
	size_t i;

	for (i = 0; i < pool->environment.count; i++)
		if (putenv(pool->environment.items[i]))
			weir_warn("environment '%s' cannot be set", pool->environment.items[i]);
}

/* For this process alone: a worker must not be able to write what XDP sends as Date of every pool. */
static void map_clock(struct keeper *k)
{
	size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
	void *p;

	if (k->base.setup->clock_fd <= 0)
		return;
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, k->base.setup->clock_fd, 0);
	if (p == MAP_FAILED || madvise(p, bytes, MADV_DONTFORK) < 0)
		weir_warn("the clock cannot be mapped: without a supervisor XDP would stop answering");
	else
		k->clock = p;
}

static int make_shared(struct keeper *k)
{
	int r;

	r = wrk_table_new(&k->base.table);
	if (r < 0)
		return weir_err(r, "cannot map the connection table");
	k->base.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	k->base.ping_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
	if (k->base.epoll_fd < 0 || k->base.ping_fd < 0)
		return weir_err(-errno, "cannot make the epoll set");
	if (k->base.setup->store_fd > 0) {
		r = weir_store_open(k->base.setup->store_fd, NULL, &k->store);
		if (r < 0)
			return weir_err(r, "cannot map the response cache");
		/* of an earlier keeper's workers */
		weir_store_bury_slot(k->store, k->base.setup->slot);
	}
	r = wrk_tickets_init(&k->rescue);
	if (r < 0)
		return weir_err(r, "cannot map the pool's tickets");
	r = wrk_locals_init(&k->rescue);
	if (r < 0)
		return weir_err(r, "cannot ask the listening sockets for their addresses");
	return 0;
}

int keeper_watch_sources(const struct keeper *k)
{
	const struct wrk_setup *s = k->base.setup;
	struct epoll_event e = { .events = EPOLLIN };
	size_t i;

	for (i = 0; i < s->listeners_count; i++) {
		e.data.u64 = wrk_event_tag(WRK_SOURCE_LISTENER, (uint32_t)i);
		if (s->listeners[i].fd >= 0 &&
		    epoll_ctl(k->base.epoll_fd, EPOLL_CTL_ADD, s->listeners[i].fd, &e) < 0 && errno != EEXIST)
			return -errno;
	}
	e.data.u64 = wrk_event_tag(WRK_SOURCE_PASS, 0);
	if (s->pass_rx >= 0 && epoll_ctl(k->base.epoll_fd, EPOLL_CTL_ADD, s->pass_rx, &e) < 0 && errno != EEXIST)
		return -errno;
	return 0;
}

int keeper_prepare(struct keeper *k)
{
	const struct wrk_setup *s = k->base.setup;
	int r;

	map_clock(k);
	r = keeper_close_strays(k);
	if (r < 0)
		return weir_err(r, "cannot close inherited descriptors");
	r = keeper_program_prepare(k);
	if (r < 0)
		return r;
	set_limits(s);
	set_affinity(s->pool);
	set_files(s->pool);
	set_environment(s->pool);
	r = wrk_sandbox_identity(s->pool->uid, s->pool->gid);
	if (r < 0)
		return weir_err(r, "cannot become user %u of pool '%s'", (unsigned)s->pool->uid, s->pool->name);
	r = keeper_program_open_pipe(k);
	if (r < 0)
		return r;
	r = make_shared(k);
	if (r == 0 && k->is_resting) {
		r = keeper_watch_sources(k);
		if (r < 0)
			return weir_err(r, "cannot watch the listening sockets");
	}
	return r;
}
