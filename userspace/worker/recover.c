/* SPDX-License-Identifier: GPL-2.0 */
/* What a dead worker left: the connection table and the epoll set. Runs in its successor before any thread does.
 * Idle and queued connections go on; a request that was in flight is answered 503 if nothing of its response can
 * have been sent. */
#include "worker/wrk_priv.h"

#include <errno.h>
#include <netinet/in.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/clock.h"

#define RECOVERER (WRK_THREADS_MAX + 2) /* as a thread number */

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

/* In the epoll set, and reported again if something waits. */
static int arm(struct wrk_worker *w, struct wrk_conn *c, int fd)
{
	struct epoll_event e = {
		.events = EPOLLIN | EPOLLRDHUP | EPOLLET,
		.data.u64 = wrk_event_tag(WRK_SOURCE_CONN, (uint32_t)fd),
	};

	c->in_epoll = true;
	if (epoll_ctl(w->base->epoll_fd, EPOLL_CTL_MOD, fd, &e) == 0 ||
	    (errno == ENOENT && epoll_ctl(w->base->epoll_fd, EPOLL_CTL_ADD, fd, &e) == 0))
		return 0;
	return -errno;
}

/* Resets what cannot be made good, so that the client does not take half a response for a whole one. */
static void reset(struct wrk_worker *w, struct wrk_conn *c, int fd)
{
	const struct linger now = { .l_onoff = 1 };

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	wrk_conn_close(w, c);
}

static void apologize(struct wrk_worker *w, struct wrk_conn *c, int fd, const struct totals *socket)
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
			reset(w, c, fd);
			return;
		}
		weir_metrics_add(w->setup->metrics, responses_5xx, 1);
	}
	if (wrk_conn_linger(w, c) == WRK_NEXT_IDLE && arm(w, c, fd) < 0)
		wrk_conn_close(w, c);
}

static void recover(struct wrk_worker *w, struct wrk_conn *c)
{
	int fd = wrk_conn_fd(&w->base->table, c);
	uint32_t state = c->state & 0xff;
	struct totals socket = { 0 };

	if (state == WRK_FREE)
		return;
	c->state = WRK_FLIGHT | RECOVERER << 8;
	if (c->phase == WRK_PHASE_PASSED) {
		wrk_conn_close(w, c);
	} else if (state == WRK_IDLE) {
		if (arm(w, c, fd) < 0)
			wrk_conn_close(w, c);
	} else if (ask_socket(fd, &socket) < 0) {
		reset(w, c, fd);
	} else if (!is_between_requests(c, &socket)) {
		apologize(w, c, fd, &socket);
	} else {
		c->step = WRK_STEP_NONE;
		c->deadline_ms = weir_now_ms() + w->setup->pool->keepalive_ms;
		if (arm(w, c, fd) < 0)
			wrk_conn_close(w, c);
	}
	/* freed entries stay free: nobody else runs yet */
	if (c->state != WRK_FREE)
		c->state = WRK_IDLE;
}

void wrk_recover(struct wrk_worker *w)
{
	const struct wrk_table *t = &w->base->table;
	uint32_t fd;

	for (fd = 0; fd <= *t->highest; fd++)
		recover(w, &t->conns[fd]);
}
