/* SPDX-License-Identifier: GPL-2.0 */
/* The keepers of a supervisor that was killed, or of this one before a reload. A pool that is the same in the
 * configuration as it is now is taken over, with its sockets, maps and requests. The others are replaced: the new ones
 * listen first, then the old ones drain, and pass their connections on. */
#include "supervisor/state.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/pidfd.h>

#include "common/clock.h"
#include "common/log.h"

#define END_MS 10000

static size_t count_alive(const struct sup_state *st)
{
	size_t i, n = 0;

	for (i = 0; i < WEIR_SLOTS_MAX; i++)
		n += sup_state_is_alive(&st->slots[i]);
	return n;
}

/* --- taking over --- */

/* Our own descriptor of what the keeper has under `number`. */
static int fetch(int pidfd, int number, int *fd)
{
	if (*fd >= 0 || number < 0)
		return 0;
	*fd = pidfd_getfd(pidfd, number, 0);
	return *fd < 0 ? -errno : 0;
}

static int adopt_slot(struct sup *s, struct sup_slot *slot, const struct sup_state_slot *st)
{
	int r = 0;
	size_t i;

	slot->pidfd = pidfd_open(st->keeper, 0);
	if (slot->pidfd < 0)
		return -errno;
	/* now it cannot become another process */
	if (!sup_state_is_alive(st))
		return -ESRCH;
	slot->keeper = st->keeper;
	slot->started_ms = weir_now_ms();
	for (i = 0; r == 0 && i < s->config->listens_count; i++) {
		const struct weir_conf_listen *l = &s->config->listens[i];

		slot->listeners[i].endpoint = l->id;
		slot->listeners[i].port = l->port;
		r = fetch(slot->pidfd, st->listeners[l->id], &slot->listeners[i].fd);
	}
	if (r == 0)
		r = fetch(slot->pidfd, st->pass_tx, &s->pass_tx[slot->pool->id]);
	if (r == 0)
		r = fetch(slot->pidfd, st->pass_rx, &s->pass_rx[slot->pool->id]);
	return r == 0 ? fetch(slot->pidfd, st->wake_fd, &s->wake_fd) : r;
}

static int adopt(struct sup *s)
{
	size_t i;
	int r;

	for (i = 0; i < s->slots_count; i++) {
		const struct weir_conf_pool *p = s->slots[i].pool;

		if (!p || !s->is_kept[p->id] || !sup_state_is_alive(&s->state->slots[i]))
			continue;
		r = adopt_slot(s, &s->slots[i], &s->state->slots[i]);
		if (r < 0)
			return r;
	}
	/* a pool whose keepers are all gone has lost the end to which the others' workers pass its connections */
	for (i = 0; i < s->config->pools_count; i++) {
		uint16_t id = s->config->pools[i].id;

		if (s->is_kept[id] && (s->pass_tx[id] < 0 || s->pass_rx[id] < 0))
			return -EPIPE;
	}
	return 0;
}

/* Lets go of everything that was adopted. */
static void let_go(struct sup *s)
{
	size_t i;

	sup_sockets_close(s);
	sup_slots_free(s);
	for (i = 0; i < WEIR_POOLS_MAX; i++)
		s->pass_tx[i] = s->pass_rx[i] = -1;
	weir_closep(&s->wake_fd);
	s->wake_fd = -1;
}

/* What the pool was told before. A changed configuration may be the cure of one that failed, but not against an
 * administrator's order. */
static enum sup_want wanted_before(const struct sup_state *st, const struct weir_conf_pool *p, bool is_kept)
{
	uint32_t most = is_kept ? SUP_WANT_PAUSED : SUP_WANT_DISABLED, i;

	for (i = 0; st && i < WEIR_POOLS_MAX; i++)
		if (!strncmp(st->pools[i].name, p->name, sizeof(st->pools[i].name)) && st->pools[i].want <= most)
			return (enum sup_want)st->pools[i].want;
	return SUP_WANT_RUN;
}

/* The ids that a configuration has as it was loaded. */
static void unplace(struct weir_config *c)
{
	size_t i, j;

	for (i = 0; i < c->prefixes_count; i++) {
		for (j = 0; c->prefixes[i].pool && c->pools[j].id != c->prefixes[i].pool; j++)
			;
		if (c->prefixes[i].pool)
			c->prefixes[i].pool = (uint16_t)(j + 1);
	}
	for (i = 0; i < c->pools_count; i++)
		c->pools[i].id = (uint16_t)(i + 1);
}

static int place(struct sup *s, bool may_keep)
{
	struct sup_place *p = malloc(sizeof(*p));
	const char *why;
	size_t i;
	int r;

	if (!p)
		return -ENOMEM;
	r = sup_place_find(s->config, s->state, may_keep, p, &why);
	if (r < 0) {
		free(p);
		return weir_err(r, "too many %s together with those that are replaced", why);
	}
	sup_place_apply(s->config, p);
	memset(s->is_kept, 0, sizeof(s->is_kept));
	for (i = 0; i < s->config->pools_count; i++) {
		uint16_t id = s->config->pools[i].id;

		s->is_kept[id] = p->is_kept[i];
		s->listens_of[id] = p->listens[i];
		s->want_before[id] = wanted_before(s->state, &s->config->pools[i], p->is_kept[i]);
	}
	memcpy(s->is_new_endpoint, p->is_new_endpoint, sizeof(s->is_new_endpoint));
	s->last_pool = p->last_pool;
	free(p);
	return sup_slots_new(s);
}

bool sup_takeover_has_kept(const struct sup *s)
{
	size_t i;

	for (i = 0; i < WEIR_POOLS_MAX; i++)
		if (s->is_kept[i])
			return true;
	return false;
}

/* Names the pools for which `is_kept` is so. */
static void list_pools(const struct sup *s, bool is_kept, char *buf, size_t bytes)
{
	size_t i, n = 0;

	snprintf(buf, bytes, "none");
	for (i = 0; i < s->config->pools_count && n < bytes; i++)
		if (s->is_kept[s->config->pools[i].id] == is_kept)
			n += (size_t)snprintf(buf + n, bytes - n, "%s%s", n ? ", " : "", s->config->pools[i].name);
}

static void say_what(struct sup *s)
{
	char kept[100], begun[100];

	list_pools(s, true, kept, sizeof(kept));
	list_pools(s, false, begun, sizeof(begun));
	snprintf(s->state->reloaded, sizeof(s->state->reloaded), "pools that go on: %s; that begin, new or changed: %s",
		 kept, begun);
	weir_info("taking over from an earlier supervisor; %s", s->state->reloaded);
}

/* Maps what an earlier supervisor left, if any of its keepers lives. */
static void find_state(struct sup *s)
{
	size_t bytes, i;
	void *p;
	int r = sup_state_map(s->config->control, &p, &bytes);

	if (r < 0) {
		if (r != -ENOENT)
			weir_warn("what an earlier supervisor left beside %s is of another version: its workers, if "
				  "any, must be ended by hand",
				  s->config->control);
		return;
	}
	s->state = p;
	for (i = 0; i < WEIR_SLOTS_MAX; i++)
		if (s->state->slots[i].pool_id >= WEIR_POOLS_MAX)
			s->state->slots[i] = (struct sup_state_slot){ .keeper = 0 };
	if (!count_alive(s->state)) {
		(void)munmap(p, bytes);
		s->state = NULL;
		return;
	}
	s->has_old = true;
	s->was_attached = s->state->is_attached;
}

int sup_takeover_find(struct sup *s)
{
	bool may_keep;
	int r;

	find_state(s);
	may_keep = s->has_old && sup_place_may_keep(s->config, s->state);
	if (may_keep && s->was_attached && s->state->flows != s->config->flows) {
		weir_warn("flows stays %llu until the next full start: the table of living connections cannot change "
			  "its size",
			  (unsigned long long)s->state->flows);
		s->config->flows = (unsigned)s->state->flows;
	}
	s->is_without_kernel = may_keep && !s->was_attached;
	r = place(s, may_keep);
	if (r < 0 || !s->has_old)
		return r;
	r = adopt(s);
	if (r < 0)
		return sup_takeover_give_up(s, strerror(-r));
	say_what(s);
	return 0;
}

int sup_takeover_give_up(struct sup *s, const char *why)
{
	weir_warn("the workers of an earlier supervisor cannot be taken over (%s): they will be replaced", why);
	let_go(s);
	unplace(s->config);
	s->is_without_kernel = false;
	return place(s, false);
}

/* --- after the start --- */

void sup_takeover_inherit(struct sup *s)
{
	size_t i;

	for (i = 0; s->has_old && i < WEIR_SLOTS_MAX; i++) {
		const struct sup_state_slot *st = &s->state->slots[i];
		bool is_replaced = sup_state_is_alive(st) && !s->is_kept[st->pool_id];
		const struct sup_pool *p = is_replaced ? sup_pool_find(s, st->pool) : NULL;
		_cleanup_close_ int pidfd = -1, tx = -1, rx = -1;

		if (!p || s->pass_tx[p->conf->id] >= 0)
			continue;
		pidfd = pidfd_open(st->keeper, 0);
		if (pidfd < 0 || !sup_state_is_alive(st) || fetch(pidfd, st->pass_tx, &tx) < 0 ||
		    fetch(pidfd, st->pass_rx, &rx) < 0 || tx < 0 || rx < 0)
			continue;
		s->pass_tx[p->conf->id] = TAKE_FD(tx);
		s->pass_rx[p->conf->id] = TAKE_FD(rx);
	}
}

/* Gives a keeper that runs already the way to the pools that begin now. */
static int give_passes(struct sup *s, const struct sup_state_slot *st)
{
	_cleanup_close_ int pidfd = pidfd_open(st->keeper, 0), tx = -1;
	size_t i;
	int r;

	if (pidfd < 0 || !sup_state_is_alive(st))
		return -ESRCH;
	r = fetch(pidfd, st->order_tx, &tx);
	for (i = 0; r == 0 && i < s->config->pools_count; i++) {
		uint16_t id = s->config->pools[i].id;

		if (!s->is_kept[id] && s->pass_tx[id] >= 0)
			r = wrk_keeper_give(tx, id, s->pass_tx[id]);
	}
	return r;
}

void sup_takeover_connect(struct sup *s)
{
	size_t i;
	int r;

	sup_slots_open_passes(s);
	if (s->was_attached && !s->dp)
		(void)weir_dataplane_clean(s->config);
	for (i = 0; s->has_old && i < WEIR_SLOTS_MAX; i++) {
		if (!sup_state_is_alive(&s->state->slots[i]))
			continue;
		r = give_passes(s, &s->state->slots[i]);
		if (r < 0 && r != -ESRCH)
			weir_warn("a worker of pool '%s' cannot pass requests on to pools that begin now (%s): it "
				  "answers them with 503 until it is recycled",
				  s->state->slots[i].pool, strerror(-r));
	}
}

/* Whose workers take the connections of a keeper that leaves: its pool's; or those of any pool that runs, when that is no
 * more. */
static uint16_t successor(const struct sup *s, const struct sup_state_slot *st)
{
	const struct sup_pool *p = sup_pool_find(s, st->pool);
	size_t i;

	for (i = 0; !p && i < s->config->pools_count; i++)
		if (s->pools[i].want == SUP_WANT_RUN)
			p = &s->pools[i];
	return p && s->pass_tx[p->conf->id] >= 0 ? p->conf->id : 0;
}

static int end_old(const struct sup *s, const struct sup_state_slot *st)
{
	uint16_t to = successor(s, st);
	const union sigval value = { .sival_int = (int)(WRK_ORDER_MOVE | (unsigned)to << 16) };

	if (to)
		return sigqueue(st->keeper, WRK_ORDER, value) < 0 ? -errno : 0;
	return kill(st->keeper, SIGTERM) < 0 ? -errno : 0;
}

/* With tcp_migrate_req a connection that nobody has accepted when its listening socket is closed goes to another one of
 * the SO_REUSEPORT group: wanted as long as the old workers drain. True: it was changed. */
static bool set_migrate(char value)
{
	_cleanup_close_ int fd = open("/proc/sys/net/ipv4/tcp_migrate_req", O_RDWR | O_CLOEXEC);
	char now;

	return fd >= 0 && pread(fd, &now, 1, 0) == 1 && now != value && pwrite(fd, &value, 1, 0) == 1;
}

void sup_takeover_finish(struct sup *s)
{
	size_t i, n = 0;

	for (i = 0; i < s->slots_count; i++) {
		struct epoll_event e = { .events = EPOLLIN, .data.fd = s->slots[i].pidfd };

		/* of a slot that was started now, it is there already */
		if (s->slots[i].pool && s->slots[i].pidfd >= 0)
			(void)epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->slots[i].pidfd, &e);
	}
	if (!s->has_old)
		return;
	s->state->reloads++;
	/* the supervisor before may have been replaced, or killed, in the midst of its own drain */
	s->has_set_migrate = set_migrate('1') || s->state->has_set_migrate;
	s->state->has_set_migrate = s->has_set_migrate;
	for (i = 0; i < WEIR_SLOTS_MAX; i++)
		if (s->state->slots[i].is_leaving && sup_state_is_alive(&s->state->slots[i]) &&
		    end_old(s, &s->state->slots[i]) == 0)
			n++;
	if (n)
		weir_info("replaced: %zu pool slot%s of the earlier supervisor drain%s now", n, n == 1 ? "" : "s",
			  n == 1 ? "s" : "");
}

static bool is_draining(const struct sup *s)
{
	size_t i;

	for (i = 0; i < WEIR_SLOTS_MAX; i++)
		if (s->state->slots[i].is_leaving && sup_state_is_alive(&s->state->slots[i]))
			return true;
	return false;
}

void sup_takeover_tick(struct sup *s, bool is_over)
{
	size_t i;

	if (!s->has_old || (!is_over && is_draining(s)))
		return;
	if (s->has_set_migrate)
		(void)set_migrate('0');
	s->has_set_migrate = false;
	s->state->has_set_migrate = 0;
	for (i = 0; i < WEIR_SLOTS_MAX; i++) {
		struct sup_state_slot *st = &s->state->slots[i];

		if (!st->is_leaving)
			continue;
		if (s->dp && !weir_config_pool(s->config, (uint16_t)st->pool_id))
			weir_dataplane_forget_pool(s->dp, (uint16_t)st->pool_id,
						   sup_pool_find(s, st->pool) ? NULL : st->pool);
		memset(st, 0, sizeof(*st));
	}
	s->has_old = false;
}

/* --- without a supervisor --- */

/* tc filters are found only from the network namespace that the instance lives in. */
static void enter_namespace(const struct sup_state *st)
{
	_cleanup_close_ int pidfd = -1;
	size_t i;

	for (i = 0; i < WEIR_SLOTS_MAX && pidfd < 0; i++)
		if (sup_state_is_alive(&st->slots[i]))
			pidfd = pidfd_open(st->slots[i].keeper, 0);
	if (pidfd >= 0 && setns(pidfd, CLONE_NEWNET) < 0)
		weir_warn("cannot enter the network namespace of the workers (%s): filters may be left there",
			  strerror(errno));
}

int sup_end_orphans(const char *control)
{
	struct weir_config name_only = {};
	uint64_t until = weir_now_ms() + END_MS;
	struct sup_state *st;
	size_t bytes, i;
	void *p;
	int r = sup_state_map(control, &p, &bytes);

	if (r < 0)
		return r;
	st = p;
	enter_namespace(st);
	for (i = 0; i < WEIR_SLOTS_MAX; i++)
		if (sup_state_is_alive(&st->slots[i]))
			(void)kill(st->slots[i].keeper, SIGTERM);
	while (count_alive(st) && weir_now_ms() < until)
		(void)poll(NULL, 0, 20);
	for (i = 0; i < WEIR_SLOTS_MAX; i++)
		if (sup_state_is_alive(&st->slots[i]))
			(void)kill(st->slots[i].keeper, SIGKILL);
	name_only.name = st->name;
	(void)weir_dataplane_clean(&name_only);
	(void)munmap(p, bytes);
	sup_state_remove(control);
	(void)unlink(control);
	return 0;
}
