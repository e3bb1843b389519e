/* SPDX-License-Identifier: GPL-2.0 */
/* Under systemd: tells the service manager what the instance does (sd_notify(3)), feeds its
 * watchdog from the second's tick, and takes listening sockets that it opened before
 * (sd_listen_fds(3)). Without systemd each call does nothing.
 *
 * An activated socket stays in the endpoint's SO_REUSEPORT group as long as the manager holds it.
 * The slots' own sockets join the group; what was queued before them, and, without XDP, what the
 * kernel still puts there, is passed to a worker by refuse.c. */
#include "supervisor/supervisor_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include "common/log.h"

void sup_service_ready(const struct sup *s)
{
	(void)sd_notifyf(0, "READY=1\nMAINPID=%d\nSTATUS=Serving %zu pools on %zu endpoints, XDP %s", (int)getpid(),
			 s->config->pools_count, s->config->listens_count, s->dp ? "attached" : "not attached");
}

void sup_service_stopping(void)
{
	(void)sd_notify(0, "STOPPING=1\nSTATUS=Finishing requests");
}

void sup_service_tick(void)
{
	if (sd_watchdog_enabled(0, NULL) > 0)
		(void)sd_notify(0, "WATCHDOG=1");
}

/* The endpoint that a socket listens for. */
static const struct weir_conf_listen *find_endpoint(const struct weir_config *c, int fd)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} a = {};
	socklen_t bytes = sizeof(a);
	struct weir_addr addr = {};
	uint16_t port;
	size_t i;

	if (getsockname(fd, &a.any, &bytes) < 0)
		return NULL;
	if (a.any.sa_family == AF_INET) {
		addr.word[2] = htonl(0xffff);
		addr.word[3] = a.v4.sin_addr.s_addr;
		port = ntohs(a.v4.sin_port);
	} else if (a.any.sa_family == AF_INET6) {
		memcpy(&addr, &a.v6.sin6_addr, sizeof(addr));
		port = ntohs(a.v6.sin6_port);
	} else {
		return NULL;
	}
	for (i = 0; i < c->listens_count; i++) {
		const struct weir_conf_listen *l = &c->listens[i];

		if (l->port == port && l->is_v6 == (a.any.sa_family == AF_INET6) &&
		    !memcmp(&l->addr, &addr, sizeof(addr)))
			return l;
	}
	return NULL;
}

static int take(struct sup *s, int fd, const char *name)
{
	const struct weir_conf_listen *l = find_endpoint(s->config, fd);
	int is_shared = 0;
	socklen_t bytes = sizeof(is_shared);

	if (!l || sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) <= 0) {
		weir_warn("socket activation: '%s' is no listening socket of an endpoint of the "
			  "configuration; not used",
			  name);
		close(fd);
		return 0;
	}
	(void)getsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &is_shared, &bytes);
	if (!is_shared) {
		close(fd);
		return weir_err(0,
				"socket activation: the socket for %s was opened without "
				"ReusePort=yes: add it to the "
				"[Socket] section of the unit",
				l->text);
	}
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0) {
		int r = -errno;

		close(fd);
		return weir_err(r, "socket activation: the socket for %s cannot be used", l->text);
	}
	s->activated[l->id] = fd;
	return 0;
}

void sup_service_pass_on(const struct sup *s, bool is_on)
{
	int highest = SD_LISTEN_FDS_START - 1, n = 0;
	char text[16];
	size_t i;

	for (i = 0; i < WEIR_ENDPOINTS_MAX; i++) {
		n += s->activated[i] >= 0;
		highest = MAX(highest, s->activated[i]);
	}
	/* they have the numbers that they came with; one that was closed has left a gap, and the list must not have any */
	if (is_on && highest + 1 - SD_LISTEN_FDS_START != n) {
		weir_warn("the sockets of the service manager are not taken on: restart the service to use them again");
		is_on = false;
	}
	for (i = 0; i < WEIR_ENDPOINTS_MAX; i++)
		if (s->activated[i] >= 0)
			(void)fcntl(s->activated[i], F_SETFD, is_on ? 0 : FD_CLOEXEC);
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_PID");
	if (!is_on || !n)
		return;
	snprintf(text, sizeof(text), "%d", n);
	(void)setenv("LISTEN_FDS", text, 1);
	snprintf(text, sizeof(text), "%d", (int)getpid());
	(void)setenv("LISTEN_PID", text, 1);
}

int sup_service_inherit(struct sup *s)
{
	char **names = NULL;
	int i, n = sd_listen_fds_with_names(1, &names), r = 0;

	for (i = 0; i < n; i++) {
		int error = take(s, SD_LISTEN_FDS_START + i, names[i]);

		r = r < 0 ? r : error;
	}
	for (i = 0; i < n; i++)
		free(names[i]);
	free(names);
	return r;
}
