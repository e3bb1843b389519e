/* SPDX-License-Identifier: GPL-2.0 */
/* A connection whose request belongs to another pool goes there, with every byte that was read for it: one message
 * on a SOCK_SEQPACKET pair, the descriptor beside it. Both ends are workers of one instance, but of two identities:
 * what comes in is checked like any input. */
#include "worker/wrk_priv.h"

#include <errno.h>
#include <netinet/in.h>
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

static int send_message(int to, struct msghdr *m, int fd)
{
	struct cmsghdr *cm = CMSG_FIRSTHDR(m);

	cm->cmsg_level = SOL_SOCKET;
	cm->cmsg_type = SCM_RIGHTS;
	cm->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cm), &fd, sizeof(fd));
	return sendmsg(to, m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int wrk_pass_on(struct wrk_thread *t, struct wrk_conn *c, uint16_t pool, struct weir_str rest)
{
	const struct wrk_setup *setup = t->w->setup;
	int fd = wrk_conn_fd(&t->w->base->table, c), to = -1;
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
	int r;

	/* acquire: pairs with the release in keeper_take_gift() */
	if (pool < WEIR_POOLS_MAX)
		to = __atomic_load_n(&setup->pass_tx[pool], __ATOMIC_ACQUIRE);
	if (to < 0)
		return -ENOTCONN;
	/* The socket lives on elsewhere: closing our descriptor would not take it out of the epoll set. */
	if (c->in_epoll && epoll_ctl(t->w->base->epoll_fd, EPOLL_CTL_DEL, fd, NULL) < 0)
		return -errno;
	c->in_epoll = false;
	__atomic_store_n(&c->phase, WRK_PHASE_PASSED, __ATOMIC_RELEASE);
	r = send_message(to, &m, fd);
	if (r < 0) {
		c->phase = WRK_PHASE_HEAD;
		return r;
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
	struct wrk_conn *c, born;
	ssize_t n = recvmsg(t->w->setup->pass_rx, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n <= 0)
		return;
	fd = received_fd(&m);
	if (fd < 0 || n < (ssize_t)sizeof(head) || head.bytes != (size_t)n - sizeof(head))
		return;
	born = (struct wrk_conn){
		.key = head.key,
		.consumed = head.consumed,
		.sent = head.sent,
		.endpoint = head.endpoint,
		.deadline_ms = weir_now_ms() + t->w->setup->pool->keepalive_ms,
		.since_ms = weir_now_ms(),
		/* its request is only here */
		.step = head.bytes > 0 ? WRK_STEP_TAKEN : WRK_STEP_NONE,
	};
	c = wrk_conn_open(&t->w->base->table, TAKE_FD(fd), t->number, &born);
	if (!c)
		return;
	weir_metrics_add(t->w->setup->metrics, received, 1);
	wrk_serve_received(t, c, head.bytes);
}

static void to_flow_side(const struct sockaddr_storage *a, struct weir_addr *ret_addr, __be16 *ret_port)
{
	if (a->ss_family == AF_INET6) {
		memcpy(ret_addr, &((const struct sockaddr_in6 *)a)->sin6_addr, sizeof(*ret_addr));
		*ret_port = ((const struct sockaddr_in6 *)a)->sin6_port;
	} else {
		*ret_addr = (struct weir_addr){
			{ 0, 0, htonl(0xffff), ((const struct sockaddr_in *)a)->sin_addr.s_addr }
		};
		*ret_port = ((const struct sockaddr_in *)a)->sin_port;
	}
}

int wrk_pass_new(int to, int fd, uint16_t endpoint)
{
	struct pass_head head = { .endpoint = endpoint };
	struct iovec iov[] = { { &head, sizeof(head) } };
	union control control = { .bytes = { 0 } };
	struct msghdr m = {
		.msg_iov = iov,
		.msg_iovlen = ARRAY_SIZE(iov),
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	struct sockaddr_storage client, server;
	socklen_t n = sizeof(client), k = sizeof(server);

	if (getpeername(fd, (struct sockaddr *)&client, &n) < 0 || getsockname(fd, (struct sockaddr *)&server, &k) < 0)
		return -errno;
	to_flow_side(&client, &head.key.client, &head.key.client_port);
	to_flow_side(&server, &head.key.server, &head.key.server_port);
	return send_message(to, &m, fd);
}

int wrk_pass_take(int from)
{
	struct pass_head head;
	struct iovec iov[] = { { &head, sizeof(head) } };
	union control control;
	struct msghdr m = {
		.msg_iov = iov,
		.msg_iovlen = ARRAY_SIZE(iov),
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};

	if (recvmsg(from, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < 0)
		return -errno;
	return received_fd(&m);
}
