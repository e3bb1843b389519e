/* SPDX-License-Identifier: GPL-2.0 */
/* One request: which pool, which handler, and whether the connection goes on after it. */
#include "worker/wrk_priv.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "common/clock.h"
#include "common/macro.h"

static const struct weir_str none = { NULL, 0 };

void wrk_count_answer(struct weir_metrics_slot *m, struct wrk_conn *c, unsigned status)
{
	if (c->begun_ns)
		weir_latency_add(&m->latency, (weir_now_ns() - c->begun_ns) / 1000);
	c->begun_ns = 0;
	weir_metrics_add(m, requests, 1);
	if (status < 300)
		weir_metrics_add(m, responses_2xx, 1);
	else if (status < 400)
		weir_metrics_add(m, responses_3xx, 1);
	else if (status < 500)
		weir_metrics_add(m, responses_4xx, 1);
	else
		weir_metrics_add(m, responses_5xx, 1);
}

enum wrk_next wrk_request_sent(struct wrk_thread *t, struct wrk_conn *c, bool is_keep_alive, bool has_more)
{
	wrk_count_answer(t->w->setup->metrics, c, t->resp.status);
	weir_response_reset(&t->resp);
	if (!is_keep_alive && !has_more) {
		wrk_conn_close(t->w, c);
		return WRK_NEXT_GONE;
	}
	return is_keep_alive ? WRK_NEXT_IDLE : wrk_conn_linger(t->w, c);
}

enum wrk_next wrk_request_finish(struct wrk_thread *t, struct wrk_conn *c, bool is_keep_alive, bool has_more)
{
	int r = wrk_send_response(t, c, is_keep_alive, is_keep_alive && !has_more);

	if (r == -EAGAIN) {
		wrk_count_answer(t->w->setup->metrics, c, t->resp.status);
		r = wrk_pending_new(t, c, weir_response_bytes(&t->resp), is_keep_alive, has_more);
		weir_response_reset(&t->resp);
		if (r == 0)
			return WRK_NEXT_PENDING;
		wrk_conn_reset(t->w, c);
		return WRK_NEXT_GONE;
	}
	/* a connection that failed is closed */
	return wrk_request_sent(t, c, r == 0 && is_keep_alive, r == 0 && has_more);
}

enum wrk_next wrk_request_refuse(struct wrk_thread *t, struct wrk_conn *c, unsigned status)
{
	weir_metrics_add(t->w->setup->metrics, bad_requests, 1);
	weir_response_error(&t->resp, &t->req, status, t->req.why, NULL, none);
	return wrk_request_finish(t, c, false, true);
}

/* RFC 9110 10.1.1. False: the answer will be final, and whether the client sends the body then is anybody's guess. */
static bool settle_expectation(struct wrk_thread *t, struct wrk_conn *c, bool has_begun)
{
	const struct weir_request *req = &t->req;

	if (!req->expects_continue || has_begun)
		return true;
	if (req->method == WEIR_METHOD_OTHER)
		return false;
	return wrk_send_text(t, c, WEIR_STR("HTTP/1.1 100 Continue\r\n\r\n")) == 0;
}

/* Fills t->resp. */
static void answer(struct wrk_thread *t, struct wrk_conn *c, const struct weir_route_found *prefix,
		   struct weir_str rest)
{
	const struct weir_call call = {
		.req = &t->req,
		.prefix = { prefix->path, prefix->path_bytes },
		.head = { rest.p, t->req.head_bytes },
		.endpoint = c->endpoint,
		.flow = &c->key,
	};

	if (t->w->is_debug)
		weir_debug_serve(&call, &t->resp);
	else if (!t->w->files)
		weir_response_error(&t->resp, &t->req, 500, "The pool's root cannot be opened.", NULL, none);
	else
		weir_static_serve(t->w->files, &call, &t->resp);
}

/* Where the request belongs, when that is not here. */
static enum wrk_next hand_on(struct wrk_thread *t, struct wrk_conn *c, const struct weir_route_found *prefix,
			     struct weir_str rest)
{
	if (prefix && prefix->pool > 0) {
		if (wrk_pass_on(t, c, prefix->pool, rest) == 0)
			return WRK_NEXT_GONE;
		weir_response_error(&t->resp, &t->req, 503, "The pool does not take requests now.", "Retry-After",
				    WEIR_STR("1"));
	} else {
		weir_response_error(&t->resp, &t->req, 400,
				    prefix ? "The URL prefix is reserved: no pool has it."
					   : "No URL prefix matches.",
				    NULL, none);
	}
	return wrk_request_finish(t, c, false, true);
}

/* For the keeper, should this request end us. */
static void note_what(const struct weir_request *req, struct wrk_conn *c)
{
	size_t method = MIN(req->method_text.n, (size_t)16), target = MIN(req->target.n, WRK_WHAT_BYTES - method - 2);

	memcpy(c->what, req->method_text.p, method);
	c->what[method] = ' ';
	memcpy(c->what + method + 1, req->target.p, target);
	c->what[method + 1 + target] = '\0';
}

enum wrk_next wrk_request_handle(struct wrk_thread *t, struct wrk_conn *c, struct weir_str rest)
{
	const struct wrk_setup *setup = t->w->setup;
	struct weir_request *req = &t->req;
	const struct weir_route_found *prefix = NULL;
	bool has_body = req->is_chunked || req->body_bytes > 0, is_keep_alive, is_last = rest.n == req->head_bytes;
	enum wrk_next next;
	const char *why;
	unsigned status;

	weir_response_reset(&t->resp);
	c->begun_ns = weir_now_ns();
	note_what(req, c);
	if (__atomic_load_n(&t->w->is_pressed, __ATOMIC_RELAXED) && wrk_request_is_stale(t->w, c)) {
		wrk_limit_note(t->w, WRK_LIMIT_APP_POOL);
		weir_response_error(&t->resp, req, 503, "AppPoolTimer", "Retry-After", WEIR_STR("1"));
		return wrk_request_finish(t, c, false, true);
	}
	status = weir_request_over(req, (struct weir_str){ rest.p, req->head_bytes }, &t->w->limits, &why);
	if (status) {
		weir_metrics_add(setup->metrics, bad_requests, 1);
		weir_response_error(&t->resp, req, status, why, NULL, none);
		return wrk_request_finish(t, c, false, true);
	}
	if (req->form == WEIR_TARGET_ASTERISK) {
		struct weir_head_marks marks;

		weir_response_begin(&t->resp, 204, &marks);
		weir_head_field(&t->resp.buf, "Allow", WEIR_STR("GET, HEAD, OPTIONS"));
		weir_response_end(&t->resp, &marks);
	} else {
		if (weir_route_ask(setup->routes, ntohs(c->key.server_port), &c->key.server, req->host.p, req->host.n,
				   req->path.p, req->path.n, &t->found))
			prefix = &t->found;
		if (!prefix || prefix->pool != setup->pool->id)
			return hand_on(t, c, prefix, rest);
		if (t->w->module)
			return wrk_module_handle(t, c, prefix, rest);
		if (t->w->relay.codec) {
			status = wrk_relay_begin(t, c, prefix, rest, &why);

			if (status == 0)
				return WRK_NEXT_GONE;
			weir_response_error(&t->resp, req, status, why, NULL, none);
		} else {
			answer(t, c, prefix, rest);
		}
	}
	is_keep_alive = req->is_keep_alive && !t->resp.must_close && req->body_bytes <= WRK_BODY_MAX &&
			!__atomic_load_n(&t->w->is_ending, __ATOMIC_RELAXED);
	if (has_body && !settle_expectation(t, c, !is_last))
		is_keep_alive = false;
	if (is_keep_alive && is_last && !has_body)
		wrk_ticket_offer(t->w, c, weir_response_bytes(&t->resp));
	next = wrk_request_finish(t, c, is_keep_alive, has_body || !is_last);
	if ((next != WRK_NEXT_IDLE && next != WRK_NEXT_PENDING) || !is_keep_alive || !has_body)
		return next;
	c->phase = WRK_PHASE_BODY;
	c->is_chunked = req->is_chunked;
	c->body_left = req->body_bytes;
	c->body_eaten = 0;
	c->chunked = (struct weir_chunked){ 0 };
	return next;
}
