/* SPDX-License-Identifier: GPL-2.0 */
/* What a dead worker left: the connection table and the epoll set. Runs in its successor before any thread does.
 * Idle and queued connections go on; a request that was in flight is answered 503 if nothing of its response can
 * have been sent. */
#include "worker/wrk_priv.h"

#include <errno.h>
#include <netinet/in.h>
#include <linux/tcp.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/clock.h"

#define RECOVERER (WRK_THREADS_MAX + 2) /* as a thread number */

/* Whether every byte that the socket has given away is accounted for: the thread had the connection but had not
 * read the request, or had not begun to. */
static bool is_untouched(const struct wrk_conn *c, int fd)
{
	struct tcp_info info;
	socklen_t n = sizeof(info);
	int unread;
	uint32_t read;

	if (c->step != WRK_STEP_NONE || getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) < 0 ||
	    ioctl(fd, FIONREAD, &unread) < 0)
		return false;
	read = (uint32_t)info.tcpi_bytes_received - (uint32_t)unread;
	/* a FIN counts as one byte there */
	return read == c->consumed || read == c->consumed + 1;
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

static void apologize(struct wrk_worker *w, struct wrk_conn *c, int fd)
{
	static const char sorry[] = "HTTP/1.1 503 Service Unavailable\r\n"
				    "Server: weir\r\n"
				    "Retry-After: 1\r\n"
				    "Content-Length: 0\r\n"
				    "Connection: close\r\n\r\n";

	if (c->step == WRK_STEP_SENDING || c->phase != WRK_PHASE_HEAD ||
	    send(fd, sorry, sizeof(sorry) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		wrk_conn_close(w, c);
		return;
	}
	weir_metrics_add(w->setup->metrics, responses_5xx, 1);
	if (wrk_conn_linger(w, c) == WRK_NEXT_IDLE && arm(w, c, fd) < 0)
		wrk_conn_close(w, c);
}

static void recover(struct wrk_worker *w, struct wrk_conn *c)
{
	int fd = wrk_conn_fd(&w->base->table, c);
	uint32_t state = c->state & 0xff;

	if (state == WRK_FREE)
		return;
	c->state = WRK_FLIGHT | RECOVERER << 8;
	if (state != WRK_IDLE && !is_untouched(c, fd))
		apologize(w, c, fd);
	else if (arm(w, c, fd) < 0)
		wrk_conn_close(w, c);
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
