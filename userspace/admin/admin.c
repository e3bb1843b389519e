/* SPDX-License-Identifier: GPL-2.0 */
/* The admin process: identity, and the loop over a handful of clients. */
#include "admin/adm_priv.h"

#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/fds.h"
#include "common/log.h"
#include "common/macro.h"

struct client {
	int fd; /* -1: free */
	uint64_t seen_ms;
	size_t filled, scanned;
	struct adm_answer out; /* bytes NULL: none under way */
	size_t sent;
	bool is_last;
	char in[ADM_HEAD_MAX];
};

static struct client clients[ADM_CLIENTS_MAX];
static struct weir_request request;

static void drop(struct client *c)
{
	close(c->fd);
	free(c->out.bytes);
	*c = (struct client){ .fd = -1 };
}

/* False: gone. */
static bool send_some(struct client *c)
{
	while (c->out.bytes && c->sent < c->out.count) {
		ssize_t n = send(c->fd, c->out.bytes + c->sent, c->out.count - c->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN;
		c->sent += (size_t)n;
	}
	free(c->out.bytes);
	c->out = (struct adm_answer){};
	c->sent = 0;
	return !c->is_last;
}

/* Answers what is complete in the input, as long as each answer goes out at once. False: gone. */
static bool process(struct client *c)
{
	while (!c->out.bytes && c->filled > 0) {
		int r = weir_request_parse(c->in, c->filled, &c->scanned, &request);

		if (r == -EAGAIN && c->filled < sizeof(c->in))
			return true;
		if (r == -EAGAIN)
			r = 431;
		/* a body would be the next request's bytes */
		if (r == 0 && (request.body_bytes || request.is_chunked))
			r = 400;
		c->is_last = r > 0 || !request.is_keep_alive;
		if (adm_answer_make(&request, r > 0 ? (unsigned)r : 0, &c->out) < 0)
			return false;
		if (r == 0) {
			c->filled -= request.head_bytes;
			memmove(c->in, c->in + request.head_bytes, c->filled);
		}
		if (!send_some(c))
			return false;
	}
	return true;
}

static bool receive(struct client *c)
{
	ssize_t n = recv(c->fd, c->in + c->filled, sizeof(c->in) - c->filled, MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN;
	if (n == 0)
		return false;
	c->filled += (size_t)n;
	return process(c);
}

static void accept_some(int listener)
{
	size_t i;

	for (i = 0; i < ADM_CLIENTS_MAX; i++) {
		if (clients[i].fd >= 0)
			continue;
		clients[i].fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		clients[i].seen_ms = weir_now_ms();
		if (clients[i].fd < 0)
			return;
	}
}

static bool is_full(void)
{
	size_t i;

	for (i = 0; i < ADM_CLIENTS_MAX; i++)
		if (clients[i].fd < 0)
			return false;
	return true;
}

static void turn(const struct adm_setup *setup)
{
	struct pollfd p[1 + 64 + ADM_CLIENTS_MAX] = { { .fd = setup->channel, .events = POLLIN } };
	size_t i, listeners = MIN(setup->listeners_count, (size_t)64), n = 1;
	uint64_t now;

	for (i = 0; i < listeners; i++)
		p[n++] = (struct pollfd){ .fd = is_full() ? -1 : setup->listeners[i], .events = POLLIN };
	for (i = 0; i < ADM_CLIENTS_MAX; i++)
		p[n++] = (struct pollfd){ .fd = clients[i].fd, .events = clients[i].out.bytes ? POLLOUT : POLLIN };
	(void)poll(p, n, 1000);
	now = weir_now_ms();
	for (i = 0; i < ADM_CLIENTS_MAX; i++) {
		struct client *c = &clients[i];
		short events = c->fd < 0 ? 0 : p[1 + listeners + i].revents;

		if (events) {
			c->seen_ms = now;
			if (!(c->out.bytes ? send_some(c) && process(c) : receive(c)))
				drop(c);
		} else if (c->fd >= 0 && now - c->seen_ms > ADM_CLIENT_MS) {
			drop(c);
		}
	}
	for (i = 0; i < listeners; i++)
		if (p[1 + i].revents)
			accept_some(setup->listeners[i]);
}

static int give_up_rights(const struct adm_setup *setup)
{
	static const int allowed[] = {
		SCMP_SYS(poll),		SCMP_SYS(accept4),	 SCMP_SYS(recvfrom),	 SCMP_SYS(sendto),
		SCMP_SYS(close),	SCMP_SYS(mmap),		 SCMP_SYS(munmap),	 SCMP_SYS(mremap),
		SCMP_SYS(madvise),	SCMP_SYS(brk),		 SCMP_SYS(write),	 SCMP_SYS(exit_group),
		SCMP_SYS(rt_sigreturn), SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(time),
		SCMP_SYS(getrandom),	SCMP_SYS(futex),	 SCMP_SYS(openat),	 SCMP_SYS(read),
		SCMP_SYS(newfstatat),	SCMP_SYS(fstat),	 SCMP_SYS(lseek),
	};
	scmp_filter_ctx f;
	size_t i;
	int r = 0;

	if (getuid() == 0 && (setgroups(1, &setup->gid) < 0 || setresgid(setup->gid, setup->gid, setup->gid) < 0 ||
			      setresuid(setup->uid, setup->uid, setup->uid) < 0))
		return -errno;
	capng_clear(CAPNG_SELECT_BOTH);
	if (capng_apply(CAPNG_SELECT_CAPS) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -EPERM;
	f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!f)
		return -ENOMEM;
	for (i = 0; r == 0 && i < ARRAY_SIZE(allowed); i++)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, allowed[i], 0);
	if (r == 0)
		r = seccomp_load(f);
	seccomp_release(f);
	return r;
}

void adm_main(const struct adm_setup *setup)
{
	int keep[1 + 64] = { setup->channel };
	size_t i, count = MIN(setup->listeners_count, (size_t)64);
	int r;

	for (i = 0; i < count; i++)
		keep[1 + i] = setup->listeners[i];
	weir_fds_close_except(keep, 1 + count);
	(void)prctl(PR_SET_NAME, "weir-admin", 0, 0, 0);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	r = give_up_rights(setup);
	if (r < 0) {
		weir_err(r, "admin endpoint: cannot give up rights, so it does not serve");
		exit(1);
	}
	adm_channel_init(setup->channel);
	for (i = 0; i < ADM_CLIENTS_MAX; i++)
		clients[i].fd = -1;
	while (!adm_channel_is_over())
		turn(setup);
	exit(0);
}
