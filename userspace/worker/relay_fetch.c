// SPDX-License-Identifier: GPL-2.0
/* Requests of our own: what a cache asks an origin to refresh or to fill what it stores. They are the client's request
 * without what is about that client alone, with the validators of what is stored; the tap gets the response, nobody
 * else. Serving threads. */
#include "worker/relay.h"

#include <errno.h>
#include <string.h>

#include "common/clock.h"

/* Conditions, ranges and directives are the client's (RFC 9111 4.3.1); framing and persistence concern its connection. */
static bool is_left_out(struct weir_str name)
{
	static const struct weir_str fields[] = {
		{ "If-None-Match", 13 }, { "If-Modified-Since", 17 },
		{ "If-Match", 8 },	 { "If-Range", 8 },
		{ "Range", 5 },		 { "Cache-Control", 13 },
		{ "Pragma", 6 },	 { "Expect", 6 },
		{ "Upgrade", 7 },	 { "Content-Length", 14 },
		{ "Connection", 10 },	 { "If-Unmodified-Since", 19 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fields); i++)
		if (weir_str_caseeq(name, fields[i]))
			return true;
	return false;
}

static void put_field(struct weir_buf *b, const char *name, struct weir_str value)
{
	weir_buf_puts(b, name);
	weir_buf_puts(b, ": ");
	weir_buf_str(b, value);
	weir_buf_puts(b, "\r\n");
}

static void put_request(struct weir_buf *b, const struct weir_request *req, struct weir_str head,
			const struct weir_object_view *about)
{
	struct weir_str fields = weir_fields_of(head), name, value, line;

	weir_buf_puts(b, "GET ");
	weir_buf_str(b, req->target);
	weir_buf_puts(b, " HTTP/1.1\r\n");
	while (weir_fields_next(&fields, &name, &value)) {
		if (is_left_out(name))
			continue;
		line = (struct weir_str){ name.p, (size_t)(value.p + value.n - name.p) };
		weir_buf_str(b, line);
		weir_buf_puts(b, "\r\n");
	}
	if (about && weir_fields_find(weir_fields_of(about->head), WEIR_STR("ETag"), &value))
		put_field(b, "If-None-Match", value);
	if (about && weir_fields_find(weir_fields_of(about->head), WEIR_STR("Last-Modified"), &value))
		put_field(b, "If-Modified-Since", value);
	weir_buf_puts(b, "\r\n");
}

static int begin(struct wrk_thread *t, const struct weir_codec_call *call, struct weir_fetch *f)
{
	const struct weir_codec *codec = t->w->relay.codec;
	struct wrk_exchange *x = relay_new(t->w);
	struct weir_buf head;

	if (!x)
		return -ENOBUFS;
	if (!relay_buf_need(t->w, &x->up_buf)) {
		relay_free(x);
		return -ENOMEM;
	}
	x->codec = codec;
	x->what = x->what_text;
	snprintf(x->what_text, sizeof(x->what_text), "cache: GET %.*s", (int)MIN(call->req->target.n, (size_t)80),
		 call->req->target.p);
	x->began_ms = weir_now_ms();
	x->is_idempotent = x->is_body_done = x->is_up_whole = true;
	x->retries = call->pool->proxy.retries;
	/* nobody is there to be watched */
	x->is_client_watched = true;
	head = relay_buf_writer(&x->up_buf);
	head.cap = WEIR_CODEC_HEAD_BYTES;
	if (codec->begin(x->codec_state, call, &head)) {
		relay_free(x);
		return -EINVAL;
	}
	x->up_buf.n = (uint32_t)head.n;
	x->hash = relay_hash(call);
	x->tap = &wrk_cached_tap;
	x->tap_arg = f;
	relay_run(x);
	return 0;
}

int wrk_relay_fetch(struct wrk_thread *t, struct wrk_conn *c, const struct weir_route_found *prefix,
		    struct weir_str rest, const struct weir_object_view *about, struct weir_fetch *f)
{
	_cleanup_free_ struct weir_request *req = malloc(sizeof(*req));
	_cleanup_free_ char *text = malloc(WEIR_HTTP_HEAD_MAX);
	struct weir_buf b = { .p = text, .cap = WEIR_HTTP_HEAD_MAX };
	size_t scanned = 0;

	if (!req || !text)
		return -ENOMEM;
	put_request(&b, &t->req, (struct weir_str){ rest.p, t->req.head_bytes }, about);
	if (b.is_full || weir_request_parse(text, b.n, &scanned, req) != 0)
		return -EINVAL;

	const struct weir_codec_call call = {
		.req = req,
		.head = { text, b.n },
		.prefix = { prefix->path, strlen(prefix->path) },
		.pool = t->w->setup->pool,
		.flow = &c->key,
		.script = t->w->fastcgi ? &t->script : NULL,
	};

	return begin(t, &call, f);
}
