/* SPDX-License-Identifier: GPL-2.0 */
/* What a supervisor gives to a keeper that runs already: the way to the workers of another pool, which came with a changed
 * configuration. A socket of the slot's own carries it. Workers have that socket too (they share the file table), so the
 * keeper believes a message only if the kernel says that root sent it. */
#include "worker/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define ANSWER_MS 2000

struct gift {
	uint32_t pool;
};

union control {
	struct cmsghdr head;
	char bytes[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
};

int wrk_order_pair(int ret[2])
{
	int on = 1, pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return -errno;
	if (setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0) {
		int r = -errno;

		close(pair[0]);
		close(pair[1]);
		return r;
	}
	ret[0] = pair[0];
	ret[1] = pair[1];
	return 0;
}

int wrk_keeper_give(int order_tx, uint16_t pool, int fd)
{
	struct gift gift = { .pool = pool }, answer;
	struct iovec iov = { &gift, sizeof(gift) };
	union control control = { .bytes = { 0 } };
	struct msghdr m = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = CMSG_SPACE(sizeof(int)),
	};
	struct pollfd p = { .fd = order_tx, .events = POLLIN };
	struct cmsghdr *cm = CMSG_FIRSTHDR(&m);

	cm->cmsg_level = SOL_SOCKET;
	cm->cmsg_type = SCM_RIGHTS;
	cm->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cm), &fd, sizeof(fd));
	/* what an earlier supervisor did not wait for */
	while (recv(order_tx, &answer, sizeof(answer), MSG_DONTWAIT) > 0)
		;
	if (sendmsg(order_tx, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return -errno;
	do {
		if (poll(&p, 1, ANSWER_MS) != 1)
			return -ETIMEDOUT;
		if (recv(order_tx, &answer, sizeof(answer), MSG_DONTWAIT) != sizeof(answer))
			return -EPIPE;
	} while (answer.pool != gift.pool);
	return 0;
}

/* The descriptor and the sender in a message; the descriptor is the caller's to close. */
static int look_into(struct msghdr *m, bool *ret_is_root)
{
	struct cmsghdr *cm;
	struct ucred who;
	int fd = -1;

	*ret_is_root = false;
	for (cm = CMSG_FIRSTHDR(m); cm; cm = CMSG_NXTHDR(m, cm)) {
		if (cm->cmsg_level != SOL_SOCKET)
			continue;
		if (cm->cmsg_type == SCM_RIGHTS && cm->cmsg_len == CMSG_LEN(sizeof(fd)))
			memcpy(&fd, CMSG_DATA(cm), sizeof(fd));
		if (cm->cmsg_type == SCM_CREDENTIALS && cm->cmsg_len == CMSG_LEN(sizeof(who))) {
			memcpy(&who, CMSG_DATA(cm), sizeof(who));
			*ret_is_root = who.uid == 0;
		}
	}
	return fd;
}

void keeper_take_gift(struct keeper *k)
{
	int *pass_tx = k->base.setup->pass_tx, from = k->base.setup->order_rx;
	_cleanup_close_ int fd = -1;
	struct gift gift = { 0 };
	struct iovec iov = { &gift, sizeof(gift) };
	union control control;
	struct msghdr m = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	bool is_root;

	if (recvmsg(from, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != sizeof(gift))
		return;
	fd = look_into(&m, &is_root);
	if (!is_root || fd < 0 || gift.pool >= WEIR_POOLS_MAX)
		return;
	/* The same number stands for the new socket: a worker that is about to send sends there. */
	if (pass_tx[gift.pool] >= 0 && dup3(fd, pass_tx[gift.pool], O_CLOEXEC) < 0)
		return;
	/* release: the worker that sees the number finds the descriptor in the table that it shares with us */
	if (pass_tx[gift.pool] < 0)
		__atomic_store_n(&pass_tx[gift.pool], TAKE_FD(fd), __ATOMIC_RELEASE);
	(void)send(from, &gift, sizeof(gift), MSG_DONTWAIT | MSG_NOSIGNAL);
}
