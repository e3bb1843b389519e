/* SPDX-License-Identifier: GPL-2.0 */
/* Descriptors that a dead worker had, but the connection table does not know. Clients among them, whom a thread had accepted
 * and not yet entered, are entered here, in flight by the dead worker: recover.c finds them as it finds all others.
 * Everything else is closed. While another worker lives, a descriptor without an entry may be that one's, on its way
 * in or out: only what is still there a while later is the dead one's. */
#include "worker/keeper.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/fds.h"
#include "common/log.h"

#define LOOK_AGAIN_MS 300
#define ADOPTED (WRK_THREADS_MAX + 4) /* as the index of a thread */

int keeper_close_strays(const struct keeper *k)
{
	const struct wrk_base *b = &k->base;
	const struct wrk_setup *s = b->setup;
	uint32_t fd, highest = b->table.highest ? *b->table.highest : 0;
	size_t count = 0, i;
	_cleanup_free_ int *keep =
		calloc(s->listeners_count + WEIR_POOLS_MAX + WEIR_CLASS__MAX + 14 + highest, sizeof(*keep));

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
	keep[count++] = s->wake_fd;
	keep[count++] = s->order_rx;
	keep[count++] = s->order_tx;
	keep[count++] = b->epoll_fd;
	keep[count++] = b->ping_fd;
	keep[count++] = k->signal_fd;
	for (fd = 0; highest > 0 && fd <= highest; fd++)
		if (__atomic_load_n(&b->table.conns[fd].state, __ATOMIC_RELAXED) != WRK_FREE)
			keep[count++] = (int)fd;
	weir_fds_close_except(keep, count);
	return 0;
}

static uint64_t cookie_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t n = sizeof(cookie);

	return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &n) == 0 ? cookie : 0;
}

/* Whether the table says nothing of this descriptor. What a dead thread has begun to enter is made free. */
static bool is_unknown(const struct keeper *k, int fd)
{
	const struct wrk_table *t = &k->base.table;
	uint32_t state;

	if ((uint32_t)fd >= t->cap)
		return false;
	state = __atomic_load_n(&t->conns[fd].state, __ATOMIC_ACQUIRE);
	if ((state & 0x7f) == WRK_OPENING && !wrk_table_is_living(t, state))
		return __atomic_compare_exchange_n(&t->conns[fd].state, &state, WRK_FREE, false, __ATOMIC_ACQ_REL,
						   __ATOMIC_RELAXED);
	return state == WRK_FREE;
}

static bool adopt(struct keeper *k, int fd, struct wrk_conn *born)
{
	const struct wrk_setup *s = k->base.setup;

	/* one that another pool has passed on was counted there */
	born->is_counted = k->rescue.queue && wrk_socket_is_unread(fd);
	born->deadline_ms = weir_now_ms() + s->pool->keepalive_ms;
	if (!wrk_conn_open(&k->base.table, fd, wrk_thread_number_in(k->dead_generation, ADOPTED), born))
		return false;
	weir_metrics_add(s->metrics, accepted, 1);
	return true;
}

static bool was_noted(const struct keeper *k, uint64_t cookie)
{
	unsigned i;

	for (i = 0; i < k->strays_count; i++)
		if (k->strays[i] == cookie)
			return true;
	return false;
}

/* Calls for each client that the table does not know: notes it, or adopts it. Returns how many were adopted. */
static unsigned look(struct keeper *k, bool is_noting, bool is_noted_only)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned adopted = 0;
	struct wrk_conn born;
	struct dirent *e;

	while (d && (e = readdir(d))) {
		int fd = e->d_name[0] == '.' ? -1 : atoi(e->d_name);

		if (fd < 0 || fd == dirfd(d) || !is_unknown(k, fd) || !wrk_conn_describe(&k->rescue, fd, &born))
			continue;
		if (!is_noting)
			adopted += (!is_noted_only || was_noted(k, cookie_of(fd))) && adopt(k, fd, &born);
		else if (k->strays_count < KEEPER_STRAYS_MAX)
			k->strays[k->strays_count++] = cookie_of(fd);
	}
	if (!d)
		weir_warn("cannot look for connections that were being accepted (%s): they are reset", strerror(errno));
	else
		closedir(d);
	return adopted;
}

static void say(struct keeper *k, unsigned adopted)
{
	if (!adopted)
		return;
	wrk_table_disturb(&k->base.table);
	k->is_resting = false;
	weir_info("pool '%s': %u connection%s that the worker was just accepting go%s to the next one",
		  k->base.setup->pool->name, adopted, adopted == 1 ? "" : "s", adopted == 1 ? "es" : "");
}

void keeper_find_strays(struct keeper *k, uint32_t dead_generation)
{
	k->dead_generation = dead_generation;
	k->strays_count = 0;
	k->strays_ms = 0;
	if (!keeper_has_worker(k)) {
		if (!k->is_ending)
			say(k, look(k, false, false));
		(void)keeper_close_strays(k);
		return;
	}
	(void)look(k, true, false);
	if (k->strays_count > 0)
		k->strays_ms = weir_now_ms() + LOOK_AGAIN_MS;
}

void keeper_look_again(struct keeper *k)
{
	if (!k->strays_ms || weir_now_ms() < k->strays_ms)
		return;
	k->strays_ms = 0;
	if (!k->is_ending)
		say(k, look(k, false, true));
}
