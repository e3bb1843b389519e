/* SPDX-License-Identifier: GPL-2.0 */
/* Active health checks: now and then one worker of the pool asks each server for health_path on a connection of its
 * own, in steps that never wait. Who moves check_at_ms on does the check, so that one worker at a time does. */
#include "upstream/upstream_priv.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/buf.h"
#include "http/response.h"

bool weir_up_note_check(const struct weir_conf_proxy *conf, struct weir_up_shared *s, bool is_ok)
{
	uint64_t was_down = __atomic_load_n(&s->is_down, __ATOMIC_RELAXED), n;

	n = __atomic_add_fetch(is_ok ? &s->checks_ok : &s->checks_failed, 1, __ATOMIC_RELAXED);
	__atomic_store_n(is_ok ? &s->checks_failed : &s->checks_ok, 0, __ATOMIC_RELAXED);
	if (is_ok == !was_down || n < (is_ok ? conf->health_rise : conf->health_fall))
		return false;
	__atomic_store_n(&s->is_down, !is_ok, __ATOMIC_RELAXED);
	return true;
}

static bool is_due(const struct weir_up_set *set, struct weir_up_server *server, uint64_t now_ms)
{
	uint64_t at = __atomic_load_n(&server->shared->check_at_ms, __ATOMIC_RELAXED);

	return now_ms >= at &&
	       __atomic_compare_exchange_n(&server->shared->check_at_ms, &at, now_ms + set->conf->health_interval_ms,
					   false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

/* The result is in: NULL is a good one. */
static void finish(struct weir_up_set *set, struct weir_up_server *server, const char *why)
{
	struct weir_up_check *c = &server->check;

	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->is_running = false;
	if (weir_up_note_check(set->conf, server->shared, !why) && set->on_change)
		set->on_change(set->on_change_arg, server, why);
}

static void start(struct weir_up_set *set, struct weir_up_server *server, uint64_t now_ms)
{
	const struct weir_conf_upstream *u = server->conf;
	struct weir_up_check *c = &server->check;

	c->is_running = true;
	c->is_sent = false;
	c->n = c->scanned = 0;
	c->deadline_ms = now_ms + set->conf->health_timeout_ms;
	c->fd = socket(u->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || (connect(c->fd, (const struct sockaddr *)&u->addr, u->addr_bytes) < 0 && errno != EINPROGRESS))
		finish(set, server, "it cannot be connected to");
}

static void send_request(struct weir_up_set *set, struct weir_up_server *server)
{
	const char *host = set->conf->host			     ? set->conf->host
			   : server->conf->addr.ss_family == AF_UNIX ? "localhost"
								     : server->conf->text;
	struct weir_up_check *c = &server->check;
	struct weir_buf b = { .p = c->bytes, .cap = sizeof(c->bytes) };
	ssize_t n;

	weir_buf_puts(&b, "GET ");
	weir_buf_puts(&b, set->conf->health_path);
	weir_buf_puts(&b, " HTTP/1.1\r\nHost: ");
	weir_buf_puts(&b, host);
	weir_buf_puts(&b, "\r\nUser-Agent: weir-health\r\nConnection: close\r\n\r\n");
	n = send(c->fd, b.p, b.n, MSG_NOSIGNAL);
	if (n == (ssize_t)b.n)
		c->is_sent = true;
	else if (n >= 0 || (errno != EAGAIN && errno != ENOTCONN))
		finish(set, server, "it cannot be connected to");
}

static bool is_expected(const struct weir_conf_proxy *conf, unsigned status)
{
	return conf->health_status ? status == conf->health_status : status >= 200 && status < 400;
}

static void read_answer(struct weir_up_set *set, struct weir_up_server *server)
{
	struct weir_up_check *c = &server->check;
	struct weir_reply reply;
	ssize_t n = recv(c->fd, c->bytes + c->n, sizeof(c->bytes) - c->n, 0);
	int r;

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		finish(set, server, "it closed the connection before its response");
		return;
	}
	c->n += (size_t)n;
	r = weir_reply_parse(c->bytes, c->n, sizeof(c->bytes), &c->scanned, &reply);
	if (r == 0)
		finish(set, server, is_expected(set->conf, reply.status) ? NULL : "its status is not the expected one");
	else if (r != -EAGAIN)
		finish(set, server, reply.why);
}

static void step(struct weir_up_set *set, struct weir_up_server *server, uint64_t now_ms)
{
	struct weir_up_check *c = &server->check;

	if (!c->is_sent)
		send_request(set, server);
	else
		read_answer(set, server);
	if (c->is_running && now_ms >= c->deadline_ms)
		finish(set, server, "it did not answer within health_timeout");
}

void weir_up_check(struct weir_up_set *set, uint64_t now_ms)
{
	size_t i;

	if (!set->conf->health_path)
		return;
	for (i = 0; i < set->count; i++) {
		struct weir_up_server *server = &set->servers[i];

		if (server->check.is_running)
			step(set, server, now_ms);
		else if (is_due(set, server, now_ms))
			start(set, server, now_ms);
	}
}

void weir_up_check_end(struct weir_up_set *set)
{
	size_t i;

	for (i = 0; i < set->count; i++) {
		struct weir_up_check *c = &set->servers[i].check;

		if (c->is_running && c->fd >= 0)
			close(c->fd);
		c->is_running = false;
	}
}
