/* SPDX-License-Identifier: GPL-2.0 */
/* A connection whose request belongs to another pool goes there, with every byte that was read for it: one message
 * on a SOCK_SEQPACKET pair, the descriptor beside it. Both ends are workers of one instance, but of two identities:
 * what comes in is checked like any input. */
#include "worker/wrk_priv.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "common/clock.h"
#include "common/macro.h"

/* Start of the message; the bytes follow. */
struct pass_head {
	struct weir_flow_key key;
	uint32_t consumed;
	uint32_t sent;
	uint32_t bytes;
	uint16_t endpoint;
	uint8_t pad[2];
};

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int))];
};

int wrk_pass_on(struct wrk_thread *t, struct wrk_conn *c, uint16_t pool, struct weir_str rest)
{
	const struct wrk_setup *setup = t->w->setup;
	int fd = wrk_conn_fd(&t->w->base->table, c), to = pool < WEIR_POOLS_MAX ? setup->pass_tx[pool] : -1;
	struct pass_head head = {
		.key = c->key,
		.consumed = c->consumed,
		.sent = c->sent,
		.bytes = (uint32_t)rest.n,
		.endpoint = c->endpoint,
	};
	struct iovec iov[] = { { &head, sizeof(head) }, { (void *)(uintptr_t)rest.p, rest.n } };
	union control control = { .bytes = { 0 } };
	struct msghdr m = {
		.msg_iov = iov,
		.msg_iovlen = ARRAY_SIZE(iov),
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	struct cmsghdr *cm = CMSG_FIRSTHDR(&m);

	if (to < 0)
		return -ENOTCONN;
	cm->cmsg_level = SOL_SOCKET;
	cm->cmsg_type = SCM_RIGHTS;
	cm->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cm), &fd, sizeof(fd));
	/* The socket lives on elsewhere: closing our descriptor would not take it out of the epoll set. */
	if (c->in_epoll && epoll_ctl(t->w->base->epoll_fd, EPOLL_CTL_DEL, fd, NULL) < 0)
		return -errno;
	c->in_epoll = false;
	__atomic_store_n(&c->phase, WRK_PHASE_PASSED, __ATOMIC_RELEASE);
	if (sendmsg(to, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		c->phase = WRK_PHASE_HEAD;
		return -errno;
	}
	weir_metrics_add(setup->metrics, passed_on, 1);
	wrk_conn_free(&t->w->base->table, c);
	return 0;
}

static int received_fd(struct msghdr *m)
{
	struct cmsghdr *cm = CMSG_FIRSTHDR(m);
	int fd = -1;

	if (cm && cm->cmsg_level == SOL_SOCKET && cm->cmsg_type == SCM_RIGHTS && cm->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(cm), sizeof(fd));
	return fd;
}

void wrk_pass_receive(struct wrk_thread *t)
{
	_cleanup_close_ int fd = -1;
	struct pass_head head;
	struct iovec iov[] = { { &head, sizeof(head) }, { t->in, sizeof(t->in) } };
	union control control;
	struct msghdr m = {
		.msg_iov = iov,
		.msg_iovlen = ARRAY_SIZE(iov),
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	struct wrk_conn *c;
	ssize_t n = recvmsg(t->w->setup->pass_rx, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n <= 0)
		return;
	fd = received_fd(&m);
	if (fd < 0 || n < (ssize_t)sizeof(head) || head.bytes != (size_t)n - sizeof(head))
		return;
	c = wrk_conn_open(&t->w->base->table, fd, t->number);
	if (!c)
		return;
	(void)TAKE_FD(fd);
	c->key = head.key;
	c->consumed = head.consumed;
	c->sent = head.sent;
	c->endpoint = head.endpoint;
	c->deadline_ms = weir_now_ms() + t->w->setup->pool->header_ms;
	weir_metrics_add(t->w->setup->metrics, received, 1);
	wrk_serve_received(t, c, head.bytes);
}
