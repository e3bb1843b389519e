/* SPDX-License-Identifier: GPL-2.0 */
/* Responses that a client is slow to take. They hold a socket and a little memory, never a serving thread: one thread
 * of the worker, which lives while there are any, sends what each socket takes. The connection stays in flight, the
 * pump being its owner; when the worker dies meanwhile, it is reset. The pump's epoll set is this worker's alone,
 * because a successor could not go on with what is in our memory. Enforces min_send_rate as HTTP.sys does: only when
 * the time that the whole response may take is over. */
#include "worker/wrk_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "common/clock.h"
#include "common/macro.h"

#define PUMP (WRK_THREADS_MAX + 3) /* as the index of a thread */
#define EVENTS 64
#define LOOK_MS 100
#define DRAIN_MS 10
#define REST_MS 2000		   /* without a response, then the thread ends */
#define MIN_SEND_MS 1000	   /* for the smallest response */
#define STACK_BYTES (256u << 10)

int wrk_pump_init(struct wrk_worker *w)
{
	w->pump.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	w->pump.number = wrk_thread_number(w->base, PUMP);
	pthread_mutex_init(&w->pump.lock, NULL);
	return w->pump.epoll_fd < 0 ? -errno : 0;
}

static void free_pending(struct wrk_worker *w, struct wrk_pending *p)
{
	if (p->release)
		p->release(p->owner);
	__atomic_sub_fetch(&w->pump.bytes, p->bytes, __ATOMIC_RELAXED);
	free(p);
}

static bool is_inside(const void *p, const struct wrk_thread *t)
{
	return (const char *)p >= (const char *)t && (const char *)p < (const char *)(t + 1);
}

/* Memory that the thread will use again, from piece `i` on. */
static size_t own_bytes(const struct wrk_thread *t)
{
	size_t bytes = 0;
	unsigned i;

	for (i = t->todo.at; i < t->todo.count; i++)
		if (t->todo.parts[i].mem && is_inside(t->todo.parts[i].mem, t))
			bytes += t->todo.parts[i].bytes;
	return bytes;
}

static uint64_t deadline(const struct wrk_worker *w, uint64_t bytes)
{
	unsigned rate = w->setup->pool->min_send_rate;
	uint64_t ms = rate > 0 ? bytes * 1000 / rate : 0;

	return rate > 0 ? weir_now_ms() + MAX(ms, (uint64_t)MIN_SEND_MS) : 0;
}

int wrk_pending_new(struct wrk_thread *t, struct wrk_conn *c, uint64_t bytes, bool is_keep_alive, bool has_more)
{
	struct wrk_pump *pump = &t->w->pump;
	size_t size = sizeof(struct wrk_pending) + own_bytes(t), used = 0;
	struct wrk_pending *p;
	unsigned i;

	if (__atomic_add_fetch(&pump->bytes, size, __ATOMIC_RELAXED) > WRK_PENDING_BYTES_MAX) {
		__atomic_sub_fetch(&pump->bytes, size, __ATOMIC_RELAXED);
		return -ENOBUFS;
	}
	p = malloc(size);
	if (!p) {
		__atomic_sub_fetch(&pump->bytes, size, __ATOMIC_RELAXED);
		return -ENOMEM;
	}
	memset(p, 0, sizeof(*p));
	p->conn = c;
	p->bytes = size;
	p->is_keep_alive = is_keep_alive;
	p->has_more = has_more;
	p->deadline_ms = deadline(t->w, bytes);
	for (i = t->todo.at; i < t->todo.count; i++) {
		struct weir_part *part = &p->out.parts[p->out.count++];

		*part = t->todo.parts[i];
		if (!part->mem || !is_inside(part->mem, t))
			continue;
		memcpy(p->copy + used, part->mem, part->bytes);
		part->mem = p->copy + used;
		used += part->bytes;
	}
	p->status = t->resp.status;
	p->log = wrk_log_keep(t, c);
	p->owner = t->resp.owner;
	p->release = t->resp.release;
	t->resp.owner = NULL;
	t->resp.release = NULL;
	t->pending = p;
	return 0;
}

/* Out of the list and the pump's epoll set, before the connection is anybody else's. Pump's thread. */
static void drop(struct wrk_worker *w, struct wrk_pending *p)
{
	struct wrk_pump *pump = &w->pump;

	pthread_mutex_lock(&pump->lock);
	*(p->prev ? &p->prev->next : &pump->first) = p->next;
	if (p->next)
		p->next->prev = p->prev;
	pthread_mutex_unlock(&pump->lock);
	(void)epoll_ctl(pump->epoll_fd, EPOLL_CTL_DEL, wrk_conn_fd(&w->base->table, p->conn), NULL);
}

/* The whole response is with the socket. */
static void complete(struct wrk_worker *w, struct wrk_pending *p)
{
	const struct weir_conf_pool *pool = w->setup->pool;
	struct wrk_conn *c = p->conn;
	unsigned ms = c->phase == WRK_PHASE_BODY ? pool->body_ms : c->in_bytes > 0 ? pool->header_ms : pool->keepalive_ms;

	drop(w, p);
	wrk_log_kept(w, c, TAKE_PTR(p->log), p->status, WEIR_LOG_REASON_NONE);
	if (!p->is_keep_alive && !p->has_more) {
		wrk_conn_close(w, c);
	} else if (!p->is_keep_alive) {
		if (wrk_conn_linger(w, c) == WRK_NEXT_IDLE)
			wrk_conn_give_back(w, c, w->pump.number);
	} else {
		__atomic_store_n(&c->step, WRK_STEP_NONE, __ATOMIC_RELEASE);
		__atomic_store_n(&c->deadline_ms, weir_now_ms() + ms, __ATOMIC_RELAXED);
		c->has_input = c->in_bytes > 0;
		wrk_conn_give_back(w, c, w->pump.number);
	}
	free_pending(w, p);
}

static void give_up(struct wrk_worker *w, struct wrk_pending *p, enum weir_log_reason reason)
{
	drop(w, p);
	wrk_log_kept(w, p->conn, TAKE_PTR(p->log), p->status, reason);
	wrk_conn_reset(w, p->conn);
	free_pending(w, p);
}

static void go_on(struct wrk_worker *w, struct wrk_pending *p)
{
	int r = wrk_out_send(w, p->conn, &p->out);

	if (r == 0)
		complete(w, p);
	else if (r != -EAGAIN)
		give_up(w, p, WEIR_LOG_REASON_DROPPED);
}

static void end_slow(struct wrk_worker *w, uint64_t now_ms)
{
	struct wrk_pending *p, *next;

	/* only this thread takes out, others put in front of the first */
	pthread_mutex_lock(&w->pump.lock);
	p = w->pump.first;
	pthread_mutex_unlock(&w->pump.lock);
	for (; p; p = next) {
		pthread_mutex_lock(&w->pump.lock);
		next = p->next;
		pthread_mutex_unlock(&w->pump.lock);
		if (!p->deadline_ms || now_ms < p->deadline_ms)
			continue;
		wrk_limit_note(w, WRK_LIMIT_MIN_BYTES_PER_SECOND);
		give_up(w, p, WEIR_LOG_REASON_MIN_BYTES);
	}
}

/* Under lock it is decided that this thread ends: who comes later starts another. */
static bool rests(struct wrk_worker *w, uint64_t now_ms, uint64_t *busy_ms)
{
	struct wrk_pump *pump = &w->pump;
	bool is_over;

	pthread_mutex_lock(&pump->lock);
	if (pump->first)
		*busy_ms = now_ms;
	is_over = !pump->first &&
		  (now_ms >= *busy_ms + REST_MS || __atomic_load_n(&w->is_draining, __ATOMIC_RELAXED));
	if (is_over)
		pump->is_running = false;
	pthread_mutex_unlock(&pump->lock);
	return is_over;
}

static void *pump_thread(void *arg)
{
	struct wrk_worker *w = arg;
	struct epoll_event events[EVENTS];
	uint64_t now = weir_now_ms(), busy_ms = now, looked_ms = now;
	int i, n;

	do {
		/* a descriptor's number belongs to the next worker soon: nothing may wait for it when we end */
		n = epoll_wait(w->pump.epoll_fd, events, EVENTS,
			       __atomic_load_n(&w->is_draining, __ATOMIC_RELAXED) ? DRAIN_MS : LOOK_MS);
		for (i = 0; i < n; i++)
			go_on(w, events[i].data.ptr);
		now = weir_now_ms();
		if (now >= looked_ms + LOOK_MS) {
			end_slow(w, now);
			looked_ms = now;
		}
	} while (!rests(w, now, &busy_ms));
	return NULL;
}

/* Under lock. */
static int start(struct wrk_worker *w)
{
	pthread_attr_t attr;
	pthread_t id;
	int r;

	if (w->pump.is_running)
		return 0;
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&attr, STACK_BYTES);
	r = pthread_create(&id, &attr, pump_thread, w);
	(void)pthread_attr_destroy(&attr);
	w->pump.is_running = r == 0;
	return -r;
}

void wrk_pump_take(struct wrk_thread *t, struct wrk_conn *c)
{
	struct wrk_worker *w = t->w;
	struct wrk_pump *pump = &w->pump;
	struct wrk_pending *p = TAKE_PTR(t->pending);
	struct epoll_event e = { .events = EPOLLOUT | EPOLLET, .data.ptr = p };
	int r;

	pthread_mutex_lock(&pump->lock);
	r = start(w);
	if (r == 0) {
		wrk_conn_hand(c, t->number, pump->number);
		p->next = pump->first;
		if (p->next)
			p->next->prev = p;
		pump->first = p;
		/* Reports at once if there is room already. Should it fail, the deadline ends it. */
		(void)epoll_ctl(pump->epoll_fd, EPOLL_CTL_ADD, wrk_conn_fd(&w->base->table, c), &e);
	}
	pthread_mutex_unlock(&pump->lock);
	if (r < 0) {
		wrk_log_kept(w, c, TAKE_PTR(p->log), p->status, WEIR_LOG_REASON_INTERNAL);
		wrk_conn_reset(w, c);
		free_pending(w, p);
	}
}

bool wrk_pump_is_running(struct wrk_worker *w)
{
	bool is_running;

	pthread_mutex_lock(&w->pump.lock);
	is_running = w->pump.is_running;
	pthread_mutex_unlock(&w->pump.lock);
	return is_running;
}
