/* SPDX-License-Identifier: GPL-2.0 */
/* How an exchange begins, on the serving thread that has read the request: the head is written for
 * the upstream and sent at once, on a connection that is open already where there is one. */
#include "worker/relay.h"

#include <string.h>

#include "common/clock.h"

/* What is behind the head goes where the relay, and afterwards the next serving thread, look for
 * it. */
static void keep_input(struct wrk_thread *t, struct wrk_conn *c, struct weir_str rest, size_t head_bytes)
{
	size_t n = rest.n - head_bytes;

	if (n > 0) {
		memmove(wrk_conn_slot(&t->w->base->table, c), rest.p + head_bytes, n);
		c->was_used = true;
	}
	c->in_bytes = (uint32_t)n;
}

static bool is_idempotent(const struct weir_request *req)
{
	static const char *const safe[] = { "TRACE", "PUT", "DELETE", "PROPFIND", "REPORT", "SEARCH" };
	size_t i;

	if (req->method != WEIR_METHOD_OTHER)
		return true;
	for (i = 0; i < ARRAY_SIZE(safe); i++)
		if (weir_str_eq(req->method_text, (struct weir_str){ safe[i], strlen(safe[i]) }))
			return true;
	return false;
}

/* What the request is balanced by. */
static uint64_t hash_of(const struct weir_codec_call *call)
{
	const struct weir_conf_proxy *conf = &call->pool->proxy;
	const struct weir_str client = { (const char *)&call->flow->client, sizeof(call->flow->client) };
	struct weir_str value = { "", 0 }, fields;

	switch (conf->balance) {
	case WEIR_BALANCE_HASH_URI:
		return weir_up_hash(call->req->target);
	case WEIR_BALANCE_HASH_CLIENT:
		return weir_up_hash(client);
	case WEIR_BALANCE_HASH_HEADER:
		/* behind " HTTP/1.x" and its CRLF */
		fields.p = call->req->target.p + call->req->target.n + 11;
		fields.n = (size_t)(call->head.p + call->head.n - fields.p);
		(void)weir_fields_find(fields, (struct weir_str){ conf->hash_header, strlen(conf->hash_header) },
				       &value);
		return weir_up_hash(value);
	default:
		return 0;
	}
}

static void init(struct wrk_exchange *x, const struct wrk_thread *t, struct wrk_conn *c, struct weir_str rest)
{
	const struct weir_request *req = &t->req;
	const struct weir_conf_proxy *conf = &t->w->setup->pool->proxy;
	const char *slot = wrk_conn_slot(&t->w->base->table, c), *end = rest.p + rest.n;

	x->conn = c;
	x->codec = t->w->relay.codec;
	x->what = c->what;
	x->began_ms = weir_now_ms();
	x->is_head = req->method == WEIR_METHOD_HEAD;
	x->is_http10 = req->minor == 0;
	x->is_idempotent = is_idempotent(req);
	x->is_keep_alive = req->is_keep_alive && !__atomic_load_n(&t->w->is_ending, __ATOMIC_RELAXED);
	x->retries = conf->retries;
	x->is_body_chunked = req->is_chunked;
	x->body_left = req->body_bytes;
	x->had_body = req->is_chunked || req->body_bytes > 0;
	x->is_body_done = !x->had_body;
	x->wants_continue = req->expects_continue && rest.n == req->head_bytes;
	x->is_up_whole = true;
	/* a full read, or an end that was announced: nothing will be announced again */
	x->must_look = t->saw_end || end == t->in + WRK_IN_BYTES || end == slot + WRK_IN_BYTES;
	x->client_reads = x->had_body;
}

unsigned wrk_relay_begin(struct wrk_thread *t, struct wrk_conn *c, const struct weir_route_found *prefix,
			 struct weir_str rest, const char **ret_why)
{
	const struct weir_codec_call call = {
		.req = &t->req,
		.head = { rest.p, t->req.head_bytes },
		.prefix = { prefix->path, strlen(prefix->path) },
		.pool = t->w->setup->pool,
		.flow = &c->key,
	};
	const struct weir_codec *codec = t->w->relay.codec;
	uint64_t body_max = (uint64_t)call.pool->module.request_body_max_kb << 10;
	struct wrk_exchange *x;
	struct weir_buf head;
	unsigned status;

	*ret_why = NULL;
	if (body_max && t->req.body_bytes > body_max) {
		*ret_why = "The request's body is larger than this server takes.";
		return 413;
	}
	if (codec->needs_length && t->req.is_chunked)
		return 411;
	x = relay_new(t->w);
	if (!x || !relay_buf_need(t->w, &x->up_buf)) {
		if (x)
			relay_free(x);
		*ret_why = "Too many requests are passed on at the moment.";
		return 503;
	}
	init(x, t, c, rest);
	head = relay_buf_writer(&x->up_buf);
	head.cap = WEIR_CODEC_HEAD_BYTES;
	status = (unsigned)codec->begin(x->codec_state, &call, &head);
	if (status) {
		relay_free(x);
		return status;
	}
	x->up_buf.n = (uint32_t)head.n;
	x->hash = hash_of(&call);
	if (t->w->relay.tap && t->w->relay.tap->begin(t->w, &call, &x->tap_arg))
		x->tap = t->w->relay.tap;
	keep_input(t, c, rest, t->req.head_bytes);
	wrk_conn_hand(c, t->number, t->w->relay.number);
	relay_run(x);
	return 0;
}
