/* SPDX-License-Identifier: GPL-2.0 */
/* The upstream's side of an exchange: a server is chosen, a connection taken or made, another
 * server tried when that can do no harm. */
#include "worker/relay.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/log.h"

bool relay_watch_up(struct wrk_exchange *x, bool for_writing)
{
	struct epoll_event e = {
		.events = EPOLLIN | EPOLLRDHUP | EPOLLET | (for_writing ? EPOLLOUT : 0u),
		.data.ptr = x->up,
	};

	if (for_writing && x->is_up_watched)
		return true;
	x->is_up_watched = for_writing;
	if (epoll_ctl(x->w->relay.epoll_fd, EPOLL_CTL_MOD, x->up->fd, &e) < 0 &&
	    epoll_ctl(x->w->relay.epoll_fd, EPOLL_CTL_ADD, x->up->fd, &e) < 0)
		return relay_fail(x, 502, "out of memory");
	return true;
}

void relay_leave(struct wrk_exchange *x, bool has_failed, bool keeps)
{
	struct weir_up_set *set = x->w->relay.upstreams;
	uint64_t now = weir_now_ms();

	if (x->up && keeps)
		weir_up_conn_keep(set, x->up, now);
	else if (x->up)
		weir_up_conn_close(set, x->up);
	x->up = NULL;
	if (x->server && weir_up_done(set, x->server, has_failed, now))
		weir_warn("pool '%s': upstream %s has failed %u times and rests for %u ms", x->w->setup->pool->name,
			  x->server->conf->text, set->conf->max_fails, set->conf->fail_ms);
	x->server = NULL;
	x->is_connecting = x->is_up_watched = x->is_up_broken = false;
	x->up_reads = x->up_ended = false;
}

/* Asked where a request could not be sent again: nobody could tell whether it was executed, or its body is gone. */
static bool is_open(const struct weir_up_conn *c)
{
	char byte;

	return recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static bool take_idle(struct wrk_exchange *x)
{
	struct weir_up_set *set = x->w->relay.upstreams;

	while ((x->up = weir_up_conn_take(set, x->server, x))) {
		if ((x->is_idempotent && !x->had_body) || is_open(x->up))
			return true;
		weir_up_conn_close(set, x->up);
	}
	return false;
}

static const char *explain(int error)
{
	switch (error) {
	case -ECONNREFUSED:
		return "it refuses connections";
	case -ENOENT:
		return "its socket does not exist";
	case -EACCES:
	case -EPERM:
		return "the pool's user may not connect to it";
	case -EMFILE:
	case -ENFILE:
		return "no descriptor is left for a connection";
	case -EHOSTUNREACH:
	case -ENETUNREACH:
		return "there is no way to its host";
	case -ETIMEDOUT:
		return "its host does not answer";
	default:
		return "it cannot be connected to";
	}
}

/* x->server is set, x->up is not. */
static bool open_connection(struct wrk_exchange *x)
{
	int r = weir_up_conn_open(x->w->relay.upstreams, x->server, x, &x->up);

	if (r == -EAGAIN) {
		/* the queue of a Unix socket is full: the deadline of the attempt goes on */
		x->is_connecting = true;
		return true;
	}
	if (r < 0 && r != -EINPROGRESS)
		return relay_fail(x, 502, explain(r));
	x->is_connecting = r == -EINPROGRESS;
	return relay_watch_up(x, x->is_connecting);
}

/* `status` and `why`: of the last server that was tried. */
static bool choose(struct wrk_exchange *x, unsigned status, const char *why)
{
	bool is_busy;

	x->server = weir_up_pick(x->w->relay.upstreams, x->hash, x->tried, weir_now_ms(), &is_busy);
	if (!x->server && x->tried == 0 && is_busy)
		return relay_refuse(x, 503, "Every upstream has as many requests as it may.");
	if (!x->server)
		return relay_refuse(x, status, why);
	x->tried |= 1ull << x->server->index;
	/* its events go to the relay already, and nothing can have come yet */
	if (take_idle(x))
		return true;
	return open_connection(x);
}

/* Whether a connection that was begun has come about. */
static bool has_peer(const struct weir_up_conn *c)
{
	struct sockaddr_storage peer;
	socklen_t n = sizeof(peer);

	return getpeername(c->fd, (struct sockaddr *)&peer, &n) == 0;
}

bool relay_connect(struct wrk_exchange *x, bool *ret_moved)
{
	int r;

	if ((x->up && !x->is_connecting) || x->is_reply_done)
		return true;
	*ret_moved = !x->server;
	if (!x->server)
		return choose(x, 502, "No upstream answers.");
	if (!x->up)
		return open_connection(x);
	r = weir_up_conn_error(x->up);
	if (r < 0)
		return relay_fail(x, 502, explain(r));
	if (!has_peer(x->up))
		return true;
	x->is_connecting = false;
	*ret_moved = true;
	return true;
}

/* RFC 9110 9.2.2: again only what cannot happen twice: nothing reached a server, or repeating it
 * changes nothing. */
static bool may_retry(const struct wrk_exchange *x)
{
	bool was_stale = x->up && x->up->was_used && !x->has_reply;

	if (!x->is_up_whole || x->has_reply || x->is_reply_done || !x->up_buf.p)
		return false;
	if (x->retries == 0 && !was_stale)
		return false;
	return x->is_idempotent || x->up_buf.at == 0;
}

bool relay_fail(struct wrk_exchange *x, unsigned status, const char *why)
{
	bool retries = may_retry(x), was_stale = x->up && x->up->was_used && !x->has_reply;

	/* A kept connection that its server has closed meanwhile is nobody's failure. */
	if (!(was_stale && retries))
		relay_log(x, why);
	if (retries && was_stale) {
		x->tried &= ~(1ull << x->server->index);
		weir_up_conn_close(x->w->relay.upstreams, TAKE_PTR(x->up));
	} else if (retries) {
		x->retries--;
	}
	relay_leave(x, !(was_stale && retries), false);
	if (!retries)
		return relay_refuse(x, status, why);
	x->up_buf.at = 0;
	relay_buf_drop(x->w, &x->in_buf);
	x->codec->restart(x->codec_state);
	x->has_moved = true;
	return choose(x, status, why);
}
