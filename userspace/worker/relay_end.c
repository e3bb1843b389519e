/* SPDX-License-Identifier: GPL-2.0 */
/* The ends of an exchange: complete, refused, broken, too slow. The connection goes back to where
 * serving threads find it, or is closed so that the client sees what happened. */
#include "worker/relay.h"

#include <string.h>
#include <sys/epoll.h>

#include "common/clock.h"
#include "common/log.h"

#define SAY_MAX 10	 /* messages a second */
#define MIN_SEND_MS 1000 /* for the smallest piece of a response */

void relay_log(const struct wrk_exchange *x, const char *why)
{
	struct wrk_relay *r = &x->w->relay;
	uint64_t second = weir_now_ms() / 1000;
	unsigned said, before = 0;

	pthread_mutex_lock(&r->lock);
	if (r->said_ms != second) {
		before = r->said > SAY_MAX ? r->said - SAY_MAX : 0;
		r->said_ms = second;
		r->said = 0;
	}
	said = r->said++;
	pthread_mutex_unlock(&r->lock);
	if (before > 0)
		weir_warn("pool '%s': %u more requests failed", x->w->setup->pool->name, before);
	if (said < SAY_MAX)
		weir_warn("pool '%s': upstream %s: %s (%s)", x->w->setup->pool->name,
			  x->server ? x->server->conf->text : "-", why, x->what);
}

/* The upstream's connection goes on only when nothing is left on it that could be taken for the
 * next response. */
static void leave_up(struct wrk_exchange *x)
{
	bool is_clean = x->up && !x->is_tunnel && relay_buf_left(&x->in_buf) == 0;

	if (x->up && !x->is_tunnel && !is_clean)
		relay_log(x, "it sends more than its response");
	relay_leave(x, x->up && !x->is_tunnel && !is_clean,
		    is_clean && x->is_sent && relay_buf_left(&x->up_buf) == 0 && !x->is_up_broken && !x->up_ended &&
			    x->codec->is_reusable(x->codec_state));
}

/* Out of the relay's set, before it is anybody else's. */
static void unwatch(struct wrk_exchange *x)
{
	if (x->is_client_watched)
		(void)epoll_ctl(x->w->relay.epoll_fd, EPOLL_CTL_DEL, wrk_conn_fd(&x->w->base->table, x->conn), NULL);
	x->is_client_watched = false;
}

static void give_back(struct wrk_worker *w, struct wrk_conn *c, bool must_look)
{
	const struct weir_conf_pool *pool = w->setup->pool;
	struct wrk_thread *t = relay_thread;

	c->has_input = c->in_bytes > 0;
	__atomic_store_n(&c->deadline_ms, weir_now_ms() + (c->has_input ? pool->header_ms : pool->keepalive_ms),
			 __ATOMIC_RELAXED);
	__atomic_store_n(&c->step, WRK_STEP_NONE, __ATOMIC_RELEASE);
	/* Nothing came, and nothing waits: no call is needed to say so. */
	if (c->in_epoll && !c->has_input && !must_look && wrk_conn_release(c, w->relay.number))
		return;
	if (c->in_epoll && t && !t->again && !__atomic_load_n(&w->is_draining, __ATOMIC_RELAXED)) {
		wrk_conn_hand(c, w->relay.number, t->number);
		t->again_events = must_look ? EPOLLRDHUP : 0;
		t->again = c;
		return;
	}
	wrk_conn_give_back(w, c, w->relay.number);
}

bool relay_complete(struct wrk_exchange *x)
{
	struct wrk_worker *w = x->w;
	struct wrk_conn *c = x->conn;
	bool goes_on = x->is_keep_alive && x->is_body_done && !x->is_tunnel;
	bool lingers = !x->is_tunnel && (x->had_body || c->in_bytes > 0), must_look = x->must_look;

	if (!x->is_tunnel)
		wrk_count_answer(w->setup->metrics, c, x->status);
	leave_up(x);
	must_look |= x->is_client_watched;
	unwatch(x);
	relay_free(x);
	if (goes_on)
		give_back(w, c, must_look);
	else if (!lingers)
		wrk_conn_close(w, c);
	else if (wrk_conn_linger(w, c) == WRK_NEXT_IDLE)
		wrk_conn_give_back(w, c, w->relay.number);
	return false;
}

bool relay_abort(struct wrk_exchange *x, bool is_reset)
{
	struct wrk_worker *w = x->w;
	struct wrk_conn *c = x->conn;

	if (x->has_begun && !x->is_tunnel)
		wrk_count_answer(w->setup->metrics, c, x->status);
	relay_leave(x, false, false);
	unwatch(x);
	relay_free(x);
	if (is_reset)
		wrk_conn_reset(w, c);
	else
		wrk_conn_close(w, c);
	return false;
}

static void put_page(struct wrk_exchange *x, unsigned status, const char *why)
{
	struct weir_buf out = relay_buf_writer(&x->out_buf);
	struct weir_head_marks marks;
	char text[256];
	int n = snprintf(text, sizeof(text), "%u %s\n%s%s", status, weir_status_reason(status), why ? why : "",
			 why ? "\n" : "");

	weir_head_begin(&out, status, &marks);
	weir_date_format(weir_realtime_s(), out.p + marks.date_off);
	if (status == 503)
		weir_head_field(&out, "Retry-After", WEIR_STR("1"));
	weir_head_field(&out, "Content-Type", WEIR_STR("text/plain; charset=utf-8"));
	weir_head_length(&out, (uint64_t)n);
	weir_buf_puts(&out, x->is_keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n");
	if (!x->is_head)
		weir_buf_put(&out, text, (size_t)n);
	x->out_buf.n = (uint32_t)out.n;
}

/* What people outside may read: where the trouble is, not what the servers are called. */
static const char *public_text(unsigned status, const char *why)
{
	switch (status) {
	case 502:
		return "The server behind this one did not give a usable answer.";
	case 504:
		return "The server behind this one did not answer in time.";
	default:
		return why;
	}
}

bool relay_refuse(struct wrk_exchange *x, unsigned status, const char *why)
{
	/* an interim response that has left in part cannot be taken back */
	if (x->has_begun || x->is_tunnel || (x->out_buf.at > 0 && relay_buf_left(&x->out_buf) > 0))
		return relay_abort(x, true);
	relay_leave(x, false, false);
	if (x->tap)
		x->tap->end(x->tap_arg, false);
	x->tap = NULL;
	relay_buf_drop(x->w, &x->up_buf);
	relay_buf_drop(x->w, &x->in_buf);
	if (!relay_buf_need(x->w, &x->out_buf))
		return relay_abort(x, true);
	x->out_buf.at = x->out_buf.n = 0;
	if (!x->is_body_done || __atomic_load_n(&x->w->is_ending, __ATOMIC_RELAXED))
		x->is_keep_alive = false;
	x->status = status;
	x->has_head = x->is_reply_done = x->is_sent = true;
	put_page(x, status, public_text(status, why));
	return true;
}

/* --- time --- */

static enum relay_wait wait_of(const struct wrk_exchange *x)
{
	if (!x->is_reply_done && (!x->up || x->is_connecting))
		return RELAY_WAIT_CONNECT;
	if (x->is_tunnel)
		return RELAY_WAIT_TUNNEL;
	if (relay_buf_left(&x->out_buf) > 0)
		return RELAY_WAIT_CLIENT;
	if (relay_buf_left(&x->up_buf) > 0 && !x->is_up_broken)
		return RELAY_WAIT_TAKE;
	if (!x->is_body_done && !x->wants_continue && !x->is_up_broken)
		return RELAY_WAIT_BODY;
	return RELAY_WAIT_REPLY;
}

/* Milliseconds; 0: any time. */
static uint64_t limit_of(const struct wrk_exchange *x, enum relay_wait wait)
{
	const struct weir_conf_pool *pool = x->w->setup->pool;

	switch (wait) {
	case RELAY_WAIT_CONNECT:
		return pool->proxy.connect_ms;
	case RELAY_WAIT_TAKE:
	case RELAY_WAIT_REPLY:
		return pool->proxy.upstream_ms;
	case RELAY_WAIT_BODY:
		return pool->body_ms;
	case RELAY_WAIT_CLIENT:
		if (pool->min_send_rate == 0)
			return 0;
		return MAX((uint64_t)relay_buf_left(&x->out_buf) * 1000 / pool->min_send_rate, (uint64_t)MIN_SEND_MS);
	case RELAY_WAIT_TUNNEL:
		return pool->proxy.tunnel_ms;
	case RELAY_WAIT_NONE:
		break;
	}
	return 0;
}

static void begin_wait(struct wrk_exchange *x, enum relay_wait wait, uint64_t now_ms)
{
	x->wait = wait;
	x->window_ms = limit_of(x, wait);
	x->window_sent = x->conn->sent;
	x->deadline_ms = x->window_ms ? now_ms + x->window_ms : 0;
}

void relay_settle(struct wrk_exchange *x, uint64_t now_ms)
{
	enum relay_wait wait = wait_of(x);
	uint64_t wake;

	/* a client buys no time with a byte now and then */
	if (wait != x->wait || (x->has_moved && wait != RELAY_WAIT_CLIENT))
		begin_wait(x, wait, now_ms);
	x->has_moved = false;
	wake = x->deadline_ms;
	if (!x->is_client_watched && (!wake || wake > x->began_ms + RELAY_WATCH_MS))
		wake = x->began_ms + RELAY_WATCH_MS;
	if (x->is_connecting && !x->up)
		wake = now_ms + RELAY_AGAIN_MS;
	if (__atomic_load_n(&x->wake_ms, __ATOMIC_RELAXED) != wake)
		__atomic_store_n(&x->wake_ms, wake, __ATOMIC_RELAXED);
}

bool relay_is_due(const struct wrk_exchange *x, uint64_t now_ms)
{
	return x->deadline_ms && now_ms >= x->deadline_ms && wait_of(x) == x->wait &&
	       (!x->has_moved || x->wait == RELAY_WAIT_CLIENT);
}

/* Whether the client has taken enough in the time that was measured. */
static bool is_fast_enough(const struct wrk_exchange *x)
{
	uint64_t sent = (uint32_t)(x->conn->sent - x->window_sent);

	return sent * 1000 >= (uint64_t)x->w->setup->pool->min_send_rate * x->window_ms;
}

bool relay_expire(struct wrk_exchange *x, uint64_t now_ms)
{
	switch (x->wait) {
	case RELAY_WAIT_CONNECT:
		return relay_fail(x, 504, "it was not connected to within connect_timeout");
	case RELAY_WAIT_TAKE:
		return relay_fail(x, 504, "it took nothing of the request within upstream_timeout");
	case RELAY_WAIT_REPLY:
		return relay_fail(x, 504,
				  x->has_reply ? "it went silent for upstream_timeout inside its response"
					       : "it did not answer within upstream_timeout");
	case RELAY_WAIT_BODY:
		wrk_limit_note(x->w, WRK_LIMIT_ENTITY_BODY);
		return relay_abort(x, x->has_begun);
	case RELAY_WAIT_CLIENT:
		if (is_fast_enough(x)) {
			begin_wait(x, RELAY_WAIT_CLIENT, now_ms);
			return true;
		}
		wrk_limit_note(x->w, WRK_LIMIT_MIN_BYTES_PER_SECOND);
		return relay_abort(x, true);
	case RELAY_WAIT_TUNNEL:
	case RELAY_WAIT_NONE:
		break;
	}
	return relay_abort(x, false);
}
