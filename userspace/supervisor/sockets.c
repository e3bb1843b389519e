/* SPDX-License-Identifier: GPL-2.0 */
/* Listening sockets: for each endpoint one in each slot of the pools that have a prefix for it, all of an endpoint in one SO_REUSEPORT group. They
 * stay open here as long as the instance serves, so that a slot that is started again finds its queue as it was. */
#include "supervisor/supervisor_priv.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "common/clock.h"
#include "common/log.h"

#define BACKLOG 4096
#define TAKEOVER_MS 3000 /* how long the workers of a killed instance may take to let go of their ports */

int sup_socket_bind(const struct weir_conf_listen *l, bool is_shared, int *ret_fd)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(l->port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(l->port) };
	_cleanup_close_ int fd = -1;
	int on = 1, r;

	v4.sin_addr.s_addr = l->addr.word[3];
	memcpy(&v6.sin6_addr, &l->addr, sizeof(v6.sin6_addr));
	fd = socket(l->is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    (is_shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0) ||
	    (l->is_v6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0))
		return -errno;
	if (l->is_v6)
		r = bind(fd, (struct sockaddr *)&v6, sizeof(v6));
	else
		r = bind(fd, (struct sockaddr *)&v4, sizeof(v4));
	if (r < 0)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int sup_socket_error(const struct weir_conf_listen *l, int r)
{
	char holder[96];

	if (r == -EADDRINUSE && weir_port_holder(l, holder, sizeof(holder)))
		return weir_err(r, "cannot listen on %s: %s has the port; stop it, or listen elsewhere", l->text,
				holder);
	if (r == -EADDRNOTAVAIL)
		return weir_err(r, "cannot listen on %s: no interface has this address (`ip address` lists them)",
				l->text);
	return weir_err(r, "cannot listen on %s", l->text);
}

/* Binds once without SO_REUSEPORT: with it, we would share the port with a stranger who also has it set. What the
 * workers of a killed instance hold is free in a moment. */
int sup_socket_check(const struct weir_conf_listen *l)
{
	uint64_t until_ms = weir_now_ms() + TAKEOVER_MS;
	const struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };

	for (;;) {
		_cleanup_close_ int fd = -1;
		char holder[96];
		int r = sup_socket_bind(l, false, &fd);

		if (r == 0)
			return 0;
		if (r != -EADDRINUSE || weir_now_ms() > until_ms)
			return sup_socket_error(l, r);
		if (weir_port_holder(l, holder, sizeof(holder)) && strncmp(holder, "weir", 4))
			return sup_socket_error(l, r);
		(void)nanosleep(&pause, NULL);
	}
}

int sup_sockets_open(struct sup *s)
{
	size_t i, j;
	int r;

	/* where an earlier supervisor's workers listen, we join their group */
	for (i = 0; i < s->config->listens_count; i++) {
		if (!s->is_new_endpoint[i] || s->activated[s->config->listens[i].id] >= 0)
			continue;
		r = sup_socket_check(&s->config->listens[i]);
		if (r < 0)
			return r;
	}
	for (i = 0; i < s->config->listens_count; i++) {
		const struct weir_conf_listen *l = &s->config->listens[i];

		for (j = 0; j < s->slots_count; j++) {
			struct wrk_listener *w = s->slots[j].pool ? &s->slots[j].listeners[i] : NULL;

			if (!w || w->fd >= 0 || !(s->listens_of[s->slots[j].pool->id] & 1ULL << i))
				continue;
			w->endpoint = l->id;
			w->port = l->port;
			r = sup_socket_bind(l, true, &w->fd);
			if (r < 0)
				return sup_socket_error(l, r);
		}
	}
	return 0;
}

int sup_sockets_listen(struct sup *s)
{
	size_t i, j;

	for (i = 0; i < s->config->listens_count; i++)
		for (j = 0; j < s->slots_count; j++)
			if (s->slots[j].pool && s->slots[j].listeners[i].fd >= 0 &&
			    listen(s->slots[j].listeners[i].fd, BACKLOG) < 0)
				return sup_socket_error(&s->config->listens[i], -errno);
	return 0;
}

void sup_sockets_close(struct sup *s)
{
	size_t i, j;

	sup_refuser_watch_activated(s, false);
	for (j = 0; j < s->slots_count; j++) {
		for (i = 0; s->slots[j].listeners && i < s->config->listens_count; i++) {
			int fd = TAKE_FD(s->slots[j].listeners[i].fd);

			if (fd >= 0)
				close(fd);
		}
	}
}

uint64_t sup_sockets_queued(const struct sup *s, const struct sup_slot *slot)
{
	uint64_t queued = 0;
	size_t i;

	for (i = 0; i < s->config->listens_count; i++) {
		struct tcp_info info;
		socklen_t bytes = sizeof(info);

		/* of a listening socket, tcpi_unacked is the length of the accept queue */
		if (slot->listeners[i].fd >= 0 &&
		    getsockopt(slot->listeners[i].fd, IPPROTO_TCP, TCP_INFO, &info, &bytes) == 0)
			queued += info.tcpi_unacked;
	}
	return queued;
}
