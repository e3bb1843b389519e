/* SPDX-License-Identifier: GPL-2.0 */
/* What a dead worker left: the connection table and the epoll set. Runs in another worker of the slot, its successor
 * or one that took over before: first of all, and whenever the keeper has buried one. Idle and queued connections go
 * on; a request that was in flight is answered 503 if nothing of its response can have been sent. */
#include "worker/wrk_priv.h"

#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/clock.h"

#define RECOVERER (WRK_THREADS_MAX + 2) /* as the index of a thread */

/* What the socket itself has given and taken since accept(), modulo 2^32. */
struct totals {
	uint32_t read;
	uint32_t written;
};

static int ask_socket(int fd, struct totals *ret)
{
	struct tcp_info info;
	socklen_t n = sizeof(info);
	int unread, unacknowledged;

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) < 0 || ioctl(fd, SIOCINQ, &unread) < 0 ||
	    ioctl(fd, SIOCOUTQ, &unacknowledged) < 0)
		return -errno;
	ret->read = (uint32_t)info.tcpi_bytes_received - (uint32_t)unread;
	ret->written = (uint32_t)info.tcpi_bytes_acked + (uint32_t)unacknowledged;
	return 0;
}

bool wrk_socket_is_unread(int fd)
{
	struct totals socket;

	return ask_socket(fd, &socket) == 0 && socket.read == 0;
}

/* Whether a connection in flight is idle in the client's eyes: the thread had not read the request, or had sent the
 * whole response of the last one. Corrects the entry. */
static bool is_between_requests(struct wrk_conn *c, const struct totals *socket)
{
	/* a FIN counts as one byte there */
	if (socket->read != c->consumed && socket->read != c->consumed + 1)
		return false;
	if (c->step == WRK_STEP_NONE)
		return true;
	if (c->step != WRK_STEP_SENDING || !c->goes_on || socket->written != c->sent_goal)
		return false;
	c->sent = c->sent_goal;
	c->in_bytes = 0;
	c->is_partial = false;
	return true;
}

/* False: closed. */
static bool apologize(struct wrk_worker *w, struct wrk_conn *c, int fd, const struct totals *socket)
{
	static const char sorry[] = "HTTP/1.1 503 Service Unavailable\r\n"
				    "Server: weir\r\n"
				    "Retry-After: 1\r\n"
				    "Content-Length: 0\r\n"
				    "Connection: close\r\n\r\n";
	bool is_complete = c->step == WRK_STEP_SENDING && socket->written == c->sent_goal;
	bool has_begun = c->step == WRK_STEP_SENDING && socket->written != c->sent_start;

	if (!is_complete) {
		if (has_begun || c->phase != WRK_PHASE_HEAD ||
		    send(fd, sorry, sizeof(sorry) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
			wrk_conn_reset(w, c);
			return false;
		}
		weir_metrics_add(w->setup->metrics, responses_5xx, 1);
	}
	return wrk_conn_linger(w, c) == WRK_NEXT_IDLE;
}

/* The entry of a dead owner, which is ours now. False: closed. */
static bool mend(struct wrk_worker *w, struct wrk_conn *c)
{
	int fd = wrk_conn_fd(&w->base->table, c);
	struct totals socket = { 0 };

	if (c->phase == WRK_PHASE_PASSED) {
		wrk_conn_close(w, c);
		return false;
	}
	if (ask_socket(fd, &socket) < 0) {
		wrk_conn_reset(w, c);
		return false;
	}
	if (!is_between_requests(c, &socket))
		return apologize(w, c, fd, &socket);
	__atomic_store_n(&c->step, WRK_STEP_NONE, __ATOMIC_RELEASE);
	__atomic_store_n(&c->deadline_ms, weir_now_ms() + w->setup->pool->keepalive_ms, __ATOMIC_RELAXED);
	return true;
}

static void recover(struct wrk_worker *w, struct wrk_conn *c)
{
	unsigned me = wrk_thread_number(w->base, RECOVERER);
	/* acquire: with the owner's name comes the knowledge that it lives, see wrk_table_enter() */
	uint32_t old = __atomic_load_n(&c->state, __ATOMIC_ACQUIRE);
	bool was_idle = (old & ~(uint32_t)WRK_HELD) == WRK_IDLE;

	/* what a dead thread was opening is for the keeper to find */
	if (old == WRK_FREE || (old & 0x7f) == WRK_OPENING || (!was_idle && wrk_table_is_living(&w->base->table, old)))
		return;
	/* Fails when a living thread has it, or, for a dead owner's, when an event marks it: try again. */
	while (!__atomic_compare_exchange_n(&c->state, &old, WRK_FLIGHT | me << 8, false, __ATOMIC_ACQ_REL,
					    __ATOMIC_ACQUIRE))
		if (was_idle)
			return;
	/* The dead may have been told of what waits in an idle one, or not have come to EPOLL_CTL_ADD. */
	if (was_idle || mend(w, c)) {
		c->in_epoll = false;
		wrk_conn_give_back(w, c, me);
	}
}

void wrk_recover(struct wrk_worker *w)
{
	const struct wrk_table *t = &w->base->table;
	/* acquire: pairs with the release in wrk_table_bury() */
	uint32_t fd, deaths = __atomic_load_n(&t->shared->deaths, __ATOMIC_ACQUIRE);

	if (deaths == __atomic_load_n(&t->shared->recovered, __ATOMIC_RELAXED))
		return;
	for (fd = 0; fd <= __atomic_load_n(t->highest, __ATOMIC_RELAXED); fd++)
		recover(w, &t->conns[fd]);
	__atomic_store_n(&t->shared->recovered, deaths, __ATOMIC_RELAXED);
}

void wrk_recover_dead(struct wrk_worker *w, uint32_t generation)
{
	wrk_table_bury(&w->base->table, generation);
}
