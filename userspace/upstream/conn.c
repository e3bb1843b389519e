/* SPDX-License-Identifier: GPL-2.0 */
/* Connections to upstreams: opened without waiting, kept while idle, closed. */
#include "upstream/upstream.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

static struct weir_up_conn *get_spare(struct weir_up_set *s)
{
	struct weir_up_conn *c;

	pthread_mutex_lock(&s->lock);
	c = s->spare;
	if (c)
		s->spare = c->next;
	pthread_mutex_unlock(&s->lock);
	return c ? c : calloc(1, sizeof(*c));
}

/* Under lock. */
static void put_spare(struct weir_up_set *s, struct weir_up_conn *c)
{
	c->fd = -1;
	c->is_idle = false;
	c->prev = NULL;
	c->next = s->spare;
	s->spare = c;
	__atomic_store_n(&c->user, NULL, __ATOMIC_RELEASE);
}

/* Under lock. */
static void unlink_idle(struct weir_up_conn *c)
{
	*(c->prev ? &c->prev->next : &c->server->idle) = c->next;
	if (c->next)
		c->next->prev = c->prev;
	c->next = c->prev = NULL;
	c->is_idle = false;
	c->server->idle_count--;
}

struct weir_up_conn *weir_up_conn_take(struct weir_up_set *s, struct weir_up_server *server, void *user)
{
	struct weir_up_conn *c;

	pthread_mutex_lock(&s->lock);
	c = server->idle;
	if (c) {
		unlink_idle(c);
		/* release: with the user's name comes what it is */
		__atomic_store_n(&c->user, user, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&s->lock);
	return c;
}

int weir_up_conn_open(struct weir_up_set *s, struct weir_up_server *server, void *user, struct weir_up_conn **ret)
{
	const struct weir_conf_upstream *conf = server->conf;
	_cleanup_close_ int fd = socket(conf->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct weir_up_conn *c;
	int r = 0, on = 1;

	if (fd < 0)
		return -errno;
	if (conf->addr.ss_family != AF_UNIX)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, (const struct sockaddr *)&conf->addr, conf->addr_bytes) < 0) {
		r = -errno;
		if (r != -EINPROGRESS)
			return r;
	}
	c = get_spare(s);
	if (!c)
		return -ENOMEM;
	c->fd = TAKE_FD(fd);
	c->server = server;
	c->was_used = false;
	c->is_idle = false;
	c->next = c->prev = NULL;
	__atomic_store_n(&c->user, user, __ATOMIC_RELEASE);
	*ret = c;
	return r;
}

int weir_up_conn_error(const struct weir_up_conn *c)
{
	int error = 0;
	socklen_t n = sizeof(error);

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
		return -errno;
	return -error;
}

void weir_up_conn_close(struct weir_up_set *s, struct weir_up_conn *c)
{
	int fd = c->fd;

	pthread_mutex_lock(&s->lock);
	put_spare(s, c);
	pthread_mutex_unlock(&s->lock);
	close(fd);
}

void weir_up_conn_keep(struct weir_up_set *s, struct weir_up_conn *c, uint64_t now_ms)
{
	struct weir_up_server *server = c->server;

	pthread_mutex_lock(&s->lock);
	if (server->idle_count >= s->conf->keepalive) {
		pthread_mutex_unlock(&s->lock);
		weir_up_conn_close(s, c);
		return;
	}
	c->was_used = true;
	c->is_idle = true;
	c->idle_since_ms = now_ms;
	c->prev = NULL;
	c->next = server->idle;
	if (c->next)
		c->next->prev = c;
	server->idle = c;
	server->idle_count++;
	__atomic_store_n(&c->user, NULL, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&s->lock);
}

void *weir_up_conn_stray(struct weir_up_set *s, struct weir_up_conn *c)
{
	void *user;
	int fd = -1;

	pthread_mutex_lock(&s->lock);
	user = __atomic_load_n(&c->user, __ATOMIC_ACQUIRE);
	if (!user && c->is_idle) {
		fd = c->fd;
		unlink_idle(c);
		put_spare(s, c);
	}
	pthread_mutex_unlock(&s->lock);
	if (fd >= 0)
		close(fd);
	return user;
}

void weir_up_expire(struct weir_up_set *s, uint64_t now_ms, bool is_all)
{
	struct weir_up_conn *old = NULL, *c, *next;
	size_t i;

	pthread_mutex_lock(&s->lock);
	for (i = 0; i < s->count; i++) {
		for (c = s->servers[i].idle; c; c = next) {
			next = c->next;
			if (!is_all && now_ms < c->idle_since_ms + s->conf->keepalive_idle_ms)
				continue;
			unlink_idle(c);
			c->next = old;
			old = c;
		}
	}
	pthread_mutex_unlock(&s->lock);
	for (c = old; c; c = next) {
		next = c->next;
		weir_up_conn_close(s, c);
	}
}
