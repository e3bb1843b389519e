/* SPDX-License-Identifier: GPL-2.0 */
/* The keepers of a supervisor that was killed. With the same configuration they are taken over, with their sockets, maps and
 * requests; with another one they are replaced: the new ones listen first, then the old ones drain. */
#include "supervisor/state.h"

#include <errno.h>
#include <poll.h>
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
	weir_info("taking over from a supervisor that was killed: %zu of %zu pool slots still serve", n, s->slots_count);
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
			weir_warn("what an earlier supervisor left beside %s is of another version: its workers, if any, "
				  "must be ended by hand",
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
		weir_info("a supervisor was killed, and the configuration is another now: its workers will be replaced");
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
	weir_warn("the workers of a supervisor that was killed cannot be taken over (%s): they will be replaced", why);
	give_up(s);
	s->old = TAKE_PTR(s->state);
	s->is_takeover = false;
	s->is_without_kernel = false;
}

bool sup_takeover_has_endpoints(const struct sup *s)
{
	return s->old->is_attached && s->old->endpoints == sup_state_endpoints(s->config);
}

/* --- after the start --- */

void sup_takeover_finish(struct sup *s)
{
	size_t i, n = 0;

	for (i = 0; s->is_takeover && i < s->slots_count; i++) {
		struct epoll_event e = { .events = EPOLLIN, .data.fd = s->slots[i].pidfd };

		if (s->slots[i].pidfd >= 0)
			(void)epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->slots[i].pidfd, &e);
	}
	for (i = 0; s->old && i < WEIR_SLOTS_MAX; i++)
		if (sup_state_is_alive(&s->old->slots[i]) && kill(s->old->slots[i].keeper, SIGTERM) == 0)
			n++;
	if (n)
		weir_info("replaced: %zu pool slot%s of the killed supervisor drain%s now", n, n == 1 ? "" : "s",
			  n == 1 ? "s" : "");
	if (s->old)
		(void)munmap(s->old, sup_state_bytes());
	s->old = NULL;
}

/* --- without a supervisor --- */

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
