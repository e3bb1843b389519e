/* SPDX-License-Identifier: GPL-2.0 */
/* The relay's epoll set, what its events lead to, and the memory of exchanges; see relay.h for the whole. */
#include "worker/relay.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "common/clock.h"
#include "common/log.h"

#define EVENTS 16 /* that a thread takes at a time */
#define END_MS 10
#define FREE_BUFS_MAX 256 /* buffers that are kept for the next exchange */

__thread struct wrk_thread *relay_thread;

/* A health check has changed a server's state. */
static void on_health(void *arg, const struct weir_up_server *server, const char *why)
{
	const struct wrk_worker *w = arg;

	if (why)
		weir_warn("pool '%s': upstream %s is down: %u health checks in a row failed, at last %s",
			  w->setup->pool->name, server->conf->text, w->setup->pool->proxy.health_fall, why);
	else
		weir_info("pool '%s': upstream %s is ready again", w->setup->pool->name, server->conf->text);
}

int wrk_relay_init(struct wrk_worker *w)
{
	struct wrk_relay *r = &w->relay;
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = NULL };
	int error;

	r->epoll_fd = -1;
	if (w->setup->pool->handler != WEIR_HANDLER_PROXY)
		return 0;
	pthread_mutex_init(&r->lock, NULL);
	r->number = wrk_thread_number(w->base, RELAY);
	r->all = calloc(WRK_EXCHANGES_MAX, sizeof(struct wrk_exchange *));
	if (!r->all)
		return -ENOMEM;
	error = weir_up_set_new(&w->setup->pool->proxy, w->setup->upstreams, &r->upstreams);
	if (error < 0)
		return error;
	r->upstreams->on_change = on_health;
	r->upstreams->on_change_arg = w;
	r->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (r->epoll_fd < 0 || epoll_ctl(r->epoll_fd, EPOLL_CTL_ADD, w->base->epoll_fd, &e) < 0)
		return -errno;
	r->codec = &weir_proxy_codec;
	return 0;
}

void wrk_relay_fini(struct wrk_worker *w)
{
	struct wrk_relay *r = &w->relay;

	r->upstreams = weir_up_set_free(r->upstreams);
	if (r->epoll_fd >= 0)
		close(r->epoll_fd);
	r->epoll_fd = -1;
}

/* --- memory --- */

bool relay_buf_need(struct wrk_worker *w, struct relay_buf *b)
{
	struct wrk_relay *r = &w->relay;

	if (b->p)
		return true;
	pthread_mutex_lock(&r->lock);
	b->p = r->free_bufs;
	if (b->p) {
		memcpy(&r->free_bufs, b->p, sizeof(r->free_bufs));
		r->free_bufs_count--;
	}
	pthread_mutex_unlock(&r->lock);
	if (!b->p)
		b->p = malloc(RELAY_BUF_BYTES);
	b->at = b->n = 0;
	return b->p != NULL;
}

void relay_buf_drop(struct wrk_worker *w, struct relay_buf *b)
{
	struct wrk_relay *r = &w->relay;
	char *p = TAKE_PTR(b->p);

	b->at = b->n = 0;
	if (!p)
		return;
	pthread_mutex_lock(&r->lock);
	if (r->free_bufs_count < FREE_BUFS_MAX) {
		memcpy(p, &r->free_bufs, sizeof(r->free_bufs));
		r->free_bufs = p;
		r->free_bufs_count++;
		p = NULL;
	}
	pthread_mutex_unlock(&r->lock);
	free(p);
}

void relay_buf_pack(struct relay_buf *b)
{
	if (b->at == 0)
		return;
	memmove(b->p, b->p + b->at, b->n - b->at);
	b->n -= b->at;
	b->at = 0;
}

static struct wrk_exchange *more(struct wrk_relay *r)
{
	unsigned n = __atomic_load_n(&r->count, __ATOMIC_RELAXED);
	struct wrk_exchange *x = n < WRK_EXCHANGES_MAX ? calloc(1, sizeof(*x)) : NULL;

	if (!x)
		return NULL;
	r->all[n] = x;
	/* release: pairs with the acquire in wrk_relay_sweep() */
	__atomic_store_n(&r->count, n + 1, __ATOMIC_RELEASE);
	return x;
}

struct wrk_exchange *relay_new(struct wrk_worker *w)
{
	struct wrk_relay *r = &w->relay;
	struct wrk_exchange *x;

	pthread_mutex_lock(&r->lock);
	x = r->free;
	if (x)
		r->free = x->next_free;
	else
		x = more(r);
	pthread_mutex_unlock(&r->lock);
	if (!x)
		return NULL;
	__atomic_store_n(&x->events, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&x->wake_ms, 0, __ATOMIC_RELAXED);
	memset((char *)x + offsetof(struct wrk_exchange, next_free), 0,
	       offsetof(struct wrk_exchange, codec_state) - offsetof(struct wrk_exchange, next_free));
	x->w = w;
	__atomic_add_fetch(&r->active, 1, __ATOMIC_RELAXED);
	/* release: whoever kicks it sees it empty */
	__atomic_store_n(&x->state, RELAY_BUSY, __ATOMIC_RELEASE);
	return x;
}

void relay_free(struct wrk_exchange *x)
{
	struct wrk_worker *w = x->w;
	struct wrk_relay *r = &w->relay;

	if (x->tap)
		x->tap->end(x->tap_arg, false);
	relay_buf_drop(w, &x->up_buf);
	relay_buf_drop(w, &x->in_buf);
	relay_buf_drop(w, &x->out_buf);
	__atomic_store_n(&x->wake_ms, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&x->state, RELAY_FREE, __ATOMIC_RELEASE);
	pthread_mutex_lock(&r->lock);
	x->next_free = r->free;
	r->free = x;
	pthread_mutex_unlock(&r->lock);
	/* release: pairs with the acquire in wrk_relay_active() */
	__atomic_sub_fetch(&r->active, 1, __ATOMIC_RELEASE);
}

/* --- who has it --- */

/* Tunnels have no end of their own: a worker that drains ends them before it would be killed. */
static bool is_time_to_leave(const struct wrk_worker *w, uint64_t now_ms)
{
	uint64_t limit = w->setup->pool->shutdown_ms;

	return __atomic_load_n(&w->is_draining, __ATOMIC_ACQUIRE) &&
	       now_ms >= w->drain_ms + limit - limit / RELAY_TUNNEL_PART;
}

/* Everything that can be done now. False: it has ended. */
static bool move(struct wrk_exchange *x)
{
	bool has_moved;

	do {
		has_moved = false;
		if (!relay_connect(x, &has_moved) || !relay_pull_client(x, &has_moved) ||
		    !relay_push_up(x, &has_moved) || !relay_pull_up(x, &has_moved) || !relay_push_client(x, &has_moved))
			return false;
		x->has_moved |= has_moved;
	} while (has_moved);
	return true;
}

/* False: it has ended. */
static bool step(struct wrk_exchange *x)
{
	uint32_t events = __atomic_exchange_n(&x->events, 0, __ATOMIC_ACQUIRE);
	uint64_t now = weir_now_ms();

	if (events & (RELAY_UP_IN | RELAY_UP_END))
		x->up_reads = true;
	if (events & RELAY_UP_END)
		x->up_ended = true;
	if (events & (RELAY_CLIENT_IN | RELAY_CLIENT_END))
		x->client_reads = true;
	if (events & RELAY_CLIENT_END)
		x->client_ended = true;
	if ((events & RELAY_CLIENT_END) && !relay_look_for_client(x))
		return false;
	if ((events & RELAY_TICK) && x->is_tunnel && is_time_to_leave(x->w, now))
		return relay_abort(x, false);
	if (!move(x))
		return false;
	if ((events & RELAY_TICK) && !x->is_client_watched && now >= x->began_ms + RELAY_WATCH_MS)
		relay_watch_client(x);
	/* what was done about it is to be sent, too */
	if ((events & RELAY_TICK) && relay_is_due(x, now) && (!relay_expire(x, now) || !move(x)))
		return false;
	relay_settle(x, now);
	return true;
}

void relay_run(struct wrk_exchange *x)
{
	uint32_t old;

	do {
		if (!step(x))
			return;
		old = RELAY_BUSY;
		/* release: pairs with the acquire in relay_kick(). Who came meanwhile has left its
		 * events: again. */
		if (__atomic_compare_exchange_n(&x->state, &old, RELAY_WAITS, false, __ATOMIC_ACQ_REL,
						__ATOMIC_ACQUIRE))
			return;
		__atomic_store_n(&x->state, RELAY_BUSY, __ATOMIC_RELEASE);
	} while (true);
}

void relay_kick(struct wrk_exchange *x, uint32_t events)
{
	uint32_t old = __atomic_load_n(&x->state, __ATOMIC_ACQUIRE), new;

	if (old == RELAY_FREE)
		return;
	__atomic_or_fetch(&x->events, events, __ATOMIC_RELEASE);
	do {
		if (old == RELAY_FREE || old == RELAY_AGAIN)
			return;
		new = old == RELAY_WAITS ? RELAY_BUSY : RELAY_AGAIN;
	} while (!__atomic_compare_exchange_n(&x->state, &old, new, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
	if (new == RELAY_BUSY)
		relay_run(x);
}

/* --- threads --- */

static uint32_t translate(uint32_t events, uint32_t in, uint32_t out, uint32_t end)
{
	return (events & EPOLLIN ? in : 0) | (events & EPOLLOUT ? out : 0) |
	       (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR) ? end | in | out : 0);
}

/* A client's event is marked in the pointer's lowest bit. */
static void dispatch(struct wrk_worker *w, const struct epoll_event *e)
{
	uintptr_t at = (uintptr_t)e->data.ptr;
	struct weir_up_conn *c = e->data.ptr;
	struct wrk_exchange *x;

	if (at & 1) {
		relay_kick((struct wrk_exchange *)(at & ~(uintptr_t)1),
			   translate(e->events, RELAY_CLIENT_IN, RELAY_CLIENT_OUT, RELAY_CLIENT_END));
		return;
	}
	/* acquire: pairs with the release where it was taken */
	x = __atomic_load_n(&c->user, __ATOMIC_ACQUIRE);
	if (!x && (e->events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
		x = weir_up_conn_stray(w->relay.upstreams, c);
	if (x)
		relay_kick(x, translate(e->events, RELAY_UP_IN, RELAY_UP_OUT, RELAY_UP_END));
}

/* A request came while the last response was on its way out: it is served here, without another round through the
 * epoll set. */
static void serve_again(struct wrk_thread *t)
{
	struct wrk_conn *c;

	while ((c = TAKE_PTR(t->again)))
		wrk_serve(t, c, t->again_events);
}

/* New connections and requests: what the set that all workers of the slot share has to say. */
static void take_requests(struct wrk_thread *t)
{
	struct epoll_event events[EVENTS];
	int i, n = epoll_wait(t->w->base->epoll_fd, events, EVENTS, 0);

	for (i = 0; i < n; i++) {
		wrk_dispatch(t, events[i].data.u64, events[i].events);
		serve_again(t);
	}
}

int wrk_relay_wait(struct wrk_thread *t, int timeout_ms)
{
	struct epoll_event events[EVENTS];
	int i, n = epoll_wait(t->w->relay.epoll_fd, events, EVENTS, timeout_ms);

	if (n <= 0)
		return n;
	__atomic_store_n(&t->busy_ms, weir_now_ms(), __ATOMIC_RELAXED);
	relay_thread = t;
	for (i = 0; i < n; i++) {
		if (!events[i].data.ptr)
			take_requests(t);
		else
			dispatch(t->w, &events[i]);
		serve_again(t);
	}
	relay_thread = NULL;
	__atomic_store_n(&t->busy_ms, 0, __ATOMIC_RELAXED);
	return n;
}

void wrk_relay_leave_requests(struct wrk_worker *w)
{
	if (w->relay.codec)
		(void)epoll_ctl(w->relay.epoll_fd, EPOLL_CTL_DEL, w->base->epoll_fd, NULL);
}

void wrk_relay_sweep(struct wrk_worker *w, uint64_t now_ms)
{
	struct wrk_relay *r = &w->relay;
	/* acquire: pairs with the release in more() */
	unsigned i, count = __atomic_load_n(&r->count, __ATOMIC_ACQUIRE);
	bool is_last = is_time_to_leave(w, now_ms);

	if (!r->codec)
		return;
	for (i = 0; i < count; i++) {
		uint64_t wake_ms = __atomic_load_n(&r->all[i]->wake_ms, __ATOMIC_RELAXED);

		if ((wake_ms && now_ms >= wake_ms) || is_last)
			relay_kick(r->all[i], RELAY_TICK);
	}
	weir_up_expire(r->upstreams, now_ms, false);
	if (!__atomic_load_n(&w->is_draining, __ATOMIC_RELAXED))
		weir_up_check(r->upstreams, now_ms);
	if (__atomic_load_n(&r->active, __ATOMIC_RELAXED) > 0)
		weir_metrics_set(w->setup->metrics, last_request_ms, now_ms);
}

unsigned wrk_relay_active(struct wrk_worker *w)
{
	return __atomic_load_n(&w->relay.active, __ATOMIC_ACQUIRE);
}

void wrk_relay_end(struct wrk_worker *w)
{
	struct epoll_event events[EVENTS];
	int i, n;

	while (wrk_relay_active(w) > 0) {
		n = epoll_wait(w->relay.epoll_fd, events, EVENTS, END_MS);
		for (i = 0; i < n; i++)
			dispatch(w, &events[i]);
		wrk_relay_sweep(w, weir_now_ms());
	}
}
