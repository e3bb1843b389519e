/* SPDX-License-Identifier: GPL-2.0 */
/* The keepers of a supervisor that was killed. With the same configuration they are taken over, with their
 * sockets, maps and requests; with another one they are replaced: the new ones listen first, then the old ones
 * drain. */
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
		slot->listeners[i].endpoint = s->config->listens[i].id;
		slot->listeners[i].port = s->config->listens[i].port;
		r = fetch(slot->pidfd, st->listeners[i], &slot->listeners[i].fd);
	}
	for (i = 0; r == 0 && i < WEIR_POOLS_MAX; i++)
		r = fetch(slot->pidfd, st->pass_tx[i], &s->pass_tx[i]);
	if (r == 0)
		r = fetch(slot->pidfd, st->pass_rx, &s->pass_rx[slot->pool->id]);
	if (r == 0)
		r = fetch(slot->pidfd, st->store_fd, sup_store_fd(s, slot->pool->id));
	return r == 0 ? fetch(slot->pidfd, st->wake_fd, &s->wake_fd) : r;
}

/* A pool whose keepers are all gone has lost the end to which the others' workers pass its connections. */
static bool is_whole(const struct sup *s)
{
	size_t i;

	for (i = 0; i < s->config->pools_count; i++)
		if (s->pass_tx[s->config->pools[i].id] < 0 || s->pass_rx[s->config->pools[i].id] < 0)
			return false;
	return true;
}

static int adopt(struct sup *s)
{
	size_t i, n = 0;
	int r;

	for (i = 0; i < s->slots_count; i++) {
		if (!sup_state_is_alive(&s->state->slots[i]))
			continue;
		r = adopt_slot(s, &s->slots[i], &s->state->slots[i]);
		if (r < 0)
			return r;
		n++;
	}
	if (!is_whole(s))
		return -EPIPE;
	weir_info("taking over from an earlier supervisor: %zu of %zu pool slots still serve", n, s->slots_count);
	return 0;
}

/* Lets go of everything that was adopted: the keepers will be replaced. */
static void give_up(struct sup *s)
{
	size_t i, j;

	for (i = 0; i < s->slots_count; i++) {
		struct sup_slot *slot = &s->slots[i];

		weir_closep(&slot->pidfd);
		slot->pidfd = -1;
		slot->keeper = 0;
		for (j = 0; j < s->config->listens_count; j++) {
			weir_closep(&slot->listeners[j].fd);
			slot->listeners[j].fd = -1;
		}
	}
	for (i = 0; i < WEIR_POOLS_MAX; i++) {
		weir_closep(&s->pass_tx[i]);
		weir_closep(&s->pass_rx[i]);
		s->pass_tx[i] = s->pass_rx[i] = -1;
	}
	for (i = 0; i < s->config->pools_count; i++) {
		weir_closep(sup_store_fd(s, s->config->pools[i].id));
		*sup_store_fd(s, s->config->pools[i].id) = -1;
	}
	weir_closep(&s->wake_fd);
	s->wake_fd = -1;
}

void sup_takeover_find(struct sup *s)
{
	bool has_kernel;
	size_t bytes;
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
	if (!count_alive(s->state)) {
		(void)munmap(p, bytes);
		s->state = NULL;
		return;
	}
	has_kernel = s->state->is_attached;
	if (s->state->digest != sup_state_digest(s->config)) {
		s->old = TAKE_PTR(s->state);
		weir_info("taking over from an earlier supervisor: the configuration is another now, its workers will "
			  "be replaced");
		return;
	}
	r = adopt(s);
	if (r == 0) {
		s->is_takeover = true;
		s->is_without_kernel = !has_kernel;
		return;
	}
	sup_takeover_give_up(s, strerror(-r));
}

void sup_takeover_give_up(struct sup *s, const char *why)
{
	weir_warn("the workers of an earlier supervisor cannot be taken over (%s): they will be replaced", why);
	give_up(s);
	s->old = TAKE_PTR(s->state);
	s->is_takeover = false;
	s->is_without_kernel = false;
}

bool sup_takeover_has_endpoints(const struct sup *s)
{
	const struct weir_config *c = s->config;
	size_t i;

	/* one more at the end, or one less, disturbs no flow of the others */
	for (i = 0; i < c->listens_count && i < WEIR_ENDPOINTS_MAX && s->old->endpoints[i][0]; i++)
		if (strncmp(s->old->endpoints[i], c->listens[i].text, sizeof(s->old->endpoints[0])))
			return false;
	return s->old->is_attached && s->old->flows == c->flows;
}

/* --- after the start --- */

static const struct sup_pool *successor(const struct sup *s, const struct sup_state_slot *st)
{
	return sup_pool_find(s, st->pool);
}

void sup_takeover_inherit(struct sup *s)
{
	size_t i;

	for (i = 0; s->old && i < WEIR_SLOTS_MAX; i++) {
		struct sup_state_slot *st = &s->old->slots[i];
		const struct sup_pool *p = sup_state_is_alive(st) ? successor(s, st) : NULL;
		_cleanup_close_ int pidfd = -1, tx = -1, rx = -1;

		if (!p || s->pass_tx[p->conf->id] >= 0 || st->pool_id >= WEIR_POOLS_MAX)
			continue;
		pidfd = pidfd_open(st->keeper, 0);
		if (pidfd < 0 || !sup_state_is_alive(st) || fetch(pidfd, st->pass_tx[st->pool_id], &tx) < 0 ||
		    fetch(pidfd, st->pass_rx, &rx) < 0 || tx < 0 || rx < 0)
			continue;
		s->pass_tx[p->conf->id] = TAKE_FD(tx);
		s->pass_rx[p->conf->id] = TAKE_FD(rx);
		s->is_inherited[p->conf->id] = true;
	}
}

/* Its connections go on in the new workers of its pool, if there are any and it can reach them. */
static int end_old(const struct sup *s, const struct sup_state_slot *st)
{
	const union sigval value = { .sival_int = WRK_ORDER_MOVE };
	const struct sup_pool *p = successor(s, st);

	if (p && s->is_inherited[p->conf->id])
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

	for (i = 0; s->is_takeover && i < s->slots_count; i++) {
		struct epoll_event e = { .events = EPOLLIN, .data.fd = s->slots[i].pidfd };

		if (s->slots[i].pidfd >= 0)
			(void)epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->slots[i].pidfd, &e);
	}
	/* The supervisor before may have been replaced, or killed, in the midst of its own drain. */
	if (s->old)
		s->has_set_migrate = set_migrate('1') || s->old->has_set_migrate;
	else if (s->state->has_set_migrate)
		(void)set_migrate('0');
	s->state->has_set_migrate = s->has_set_migrate;
	for (i = 0; s->old && i < WEIR_SLOTS_MAX; i++)
		if (sup_state_is_alive(&s->old->slots[i]) && end_old(s, &s->old->slots[i]) == 0)
			n++;
	if (n)
		weir_info("replaced: %zu pool slot%s of the earlier supervisor drain%s now", n, n == 1 ? "" : "s",
			  n == 1 ? "s" : "");
}

void sup_takeover_tick(struct sup *s, bool is_over)
{
	if (!s->old || (!is_over && count_alive(s->old)))
		return;
	if (s->has_set_migrate)
		(void)set_migrate('0');
	s->has_set_migrate = false;
	if (s->state)
		s->state->has_set_migrate = 0;
	(void)munmap(s->old, sup_state_bytes());
	s->old = NULL;
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
	wrk_programs_remove(control);
	sup_state_remove(control);
	(void)unlink(control);
	return 0;
}
