/* SPDX-License-Identifier: GPL-2.0 */
/* New connections. One a call: while a thread serves it, the next one stays in the queue for another thread. */
#include "worker/wrk_priv.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include "common/clock.h"
#include "common/macro.h"

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static void to_mapped(const union address *a, struct weir_addr *ret_addr, __be16 *ret_port)
{
	if (a->any.sa_family == AF_INET6) {
		memcpy(ret_addr, &a->v6.sin6_addr, sizeof(*ret_addr));
		*ret_port = a->v6.sin6_port;
	} else {
		*ret_addr = (struct weir_addr){ { 0, 0, htonl(0xffff), a->v4.sin_addr.s_addr } };
		*ret_port = a->v4.sin_port;
	}
}

static bool is_any(const struct weir_addr *a)
{
	return !a->word[0] && !a->word[1] && (!a->word[2] || a->word[2] == htonl(0xffff)) && !a->word[3];
}

static bool is_mapped(const struct weir_addr *a)
{
	return !a->word[0] && !a->word[1] && a->word[2] == htonl(0xffff);
}

int wrk_locals_init(struct wrk_worker *w)
{
	size_t i;

	w->locals = calloc(w->setup->listeners_count + 1, sizeof(*w->locals));
	if (!w->locals)
		return -ENOMEM;
	for (i = 0; i < w->setup->listeners_count; i++) {
		int fd = w->setup->listeners[i].fd, on = 1;
		union address a;
		socklen_t n = sizeof(a);
		__be16 port;

		/* the pool has no prefix for that endpoint */
		if (fd < 0)
			continue;
		/* inherited by what is accepted, also by what XDP hands over */
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		if (getsockname(fd, &a.any, &n) < 0)
			return -errno;
		to_mapped(&a, &w->locals[i], &port);
	}
	return 0;
}

/* The listener to which a socket's own address belongs: that with this very address, else a wildcard's. */
static const struct wrk_listener *listener_of(const struct wrk_worker *w, const struct weir_addr *own, __be16 port)
{
	const struct wrk_listener *best = NULL;
	size_t i;

	for (i = 0; i < w->setup->listeners_count; i++) {
		const struct wrk_listener *l = &w->setup->listeners[i];

		if (htons(l->port) != port)
			continue;
		if (memcmp(&w->locals[i], own, sizeof(*own)) == 0)
			return l;
		/* wildcards are of one family each */
		if (is_any(&w->locals[i]) && is_mapped(&w->locals[i]) == is_mapped(own))
			best = l;
	}
	return best;
}

bool wrk_conn_describe(const struct wrk_worker *w, int fd, struct wrk_conn *ret_born)
{
	const struct wrk_listener *l;
	struct wrk_conn born = { 0 };
	int protocol = 0, is_listening = 1;
	socklen_t n = sizeof(protocol);
	union address a;

	if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &n) < 0 || protocol != IPPROTO_TCP ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &n) < 0 || is_listening)
		return false;
	n = sizeof(a);
	if (getsockname(fd, &a.any, &n) < 0)
		return false;
	to_mapped(&a, &born.key.server, &born.key.server_port);
	l = listener_of(w, &born.key.server, born.key.server_port);
	if (!l)
		return false;
	born.endpoint = l->endpoint;
	n = sizeof(a);
	/* one that was reset meanwhile has no peer any more: whoever reads from it sees that */
	if (getpeername(fd, &a.any, &n) == 0)
		to_mapped(&a, &born.key.client, &born.key.client_port);
	else if (errno != ENOTCONN)
		return false;
	*ret_born = born;
	return true;
}

void wrk_accept(struct wrk_thread *t, size_t listener)
{
	const struct wrk_listener *l = &t->w->setup->listeners[listener];
	const struct timespec pause = { .tv_nsec = 10000000 };
	struct wrk_conn born = {
		.endpoint = l->endpoint,
		.is_counted = t->w->queue != NULL,
		.key = { .server = t->w->locals[listener], .server_port = htons(l->port) },
	};
	union address a;
	socklen_t n = sizeof(a);
	struct wrk_conn *c;
	int fd;

	fd = accept4(l->fd, &a.any, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		/* Out of descriptors: the event stays, and a thread that asks again at once would only burn. */
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
			(void)nanosleep(&pause, NULL);
		return;
	}
	to_mapped(&a, &born.key.client, &born.key.client_port);
	n = sizeof(a);
	if (is_any(&born.key.server) && getsockname(fd, &a.any, &n) == 0)
		to_mapped(&a, &born.key.server, &born.key.server_port);
	born.deadline_ms = weir_now_ms() + t->w->setup->pool->keepalive_ms;
	c = wrk_conn_open(&t->w->base->table, fd, t->number, &born);
	if (!c)
		return;
	weir_metrics_add(t->w->setup->metrics, accepted, 1);
	wrk_serve(t, c, 0);
}
