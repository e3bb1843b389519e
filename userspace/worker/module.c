/* SPDX-License-Identifier: GPL-2.0 */
/* Module pools: the module is loaded after the system call filter is in place, so that none of its code runs without
 * it; and a request is handed to it together with the connection, which it keeps waiting as long as it likes. */
#include "worker/stream.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/macro.h"

static const struct weir_str none = { NULL, 0 };

static enum weir_module_company company(void *arg)
{
	const struct wrk_worker *w = arg;

	if (__atomic_load_n(&w->is_draining, __ATOMIC_RELAXED))
		return WEIR_MODULE_LEAVING;
	return w->setup->pool->slots > 1 || wrk_table_has_others(&w->base->table, w->base->generation)
		       ? WEIR_MODULE_SIBLINGS
		       : WEIR_MODULE_ALONE;
}

int wrk_module_init(struct wrk_worker *w)
{
	const struct weir_conf_pool *pool = w->setup->pool;

	if (pool->handler != WEIR_HANDLER_MODULE)
		return 0;
	if (pool->root && chdir(pool->root) < 0)
		return weir_err(-errno, "pool '%s': cannot make '%s' the module's working directory", pool->name,
				pool->root);
	w->module_conf = (struct weir_module_conf){
		.pool = pool->name,
		.file = pool->module.file,
		.options = (const char *const *)pool->module.options.items,
		.options_count = pool->module.options.count,
		.urls_max = (size_t)pool->entries[0] + pool->entries[1] + pool->entries[2],
		.company = company,
		.arg = w,
	};
	return weir_module_load(&w->module_conf, &w->cache, &w->module);
}

static bool is_too_large(const struct wrk_thread *t)
{
	uint64_t max = (uint64_t)t->w->setup->pool->module.request_body_max_kb << 10;

	return max && t->req.body_bytes > max;
}

/* What is left of the body is read, and thrown away, as the connection's next bytes. */
static void leave_body(struct wrk_conn *c, const struct wrk_stream *s)
{
	c->phase = WRK_PHASE_BODY;
	c->is_chunked = s->is_chunked;
	c->body_left = s->left;
	c->body_eaten = 0;
	c->chunked = s->chunked;
}

enum wrk_next wrk_module_handle(struct wrk_thread *t, struct wrk_conn *c, const struct weir_route_found *prefix,
				struct weir_str rest)
{
	const struct weir_call call = {
		.req = &t->req,
		.prefix = { prefix->path, prefix->path_bytes },
		.head = { rest.p, t->req.head_bytes },
		.endpoint = c->endpoint,
		.flow = &c->key,
	};
	struct weir_str behind = { rest.p + t->req.head_bytes, rest.n - t->req.head_bytes };
	bool is_keep_alive, has_more;
	enum weir_module_end end;
	struct wrk_stream s;
	enum wrk_next next;

	if (is_too_large(t)) {
		weir_response_error(&t->resp, &t->req, 413, NULL, NULL, none);
		return wrk_request_finish(t, c, false, true);
	}
	wrk_stream_init(&s, t, c, behind);
	end = weir_module_serve(t->w->module, &t->module, &call, &s.base, &t->resp);
	t->body_taken = behind.n - s.rest.n;
	has_more = !wrk_stream_is_done(&s) || s.rest.n > 0;
	is_keep_alive = wrk_stream_can_go_on(&s, t->resp.must_close) && (end != WEIR_MODULE_SENT || s.is_keep_alive);
	switch (end) {
	case WEIR_MODULE_WHOLE:
		if (is_keep_alive && !has_more)
			wrk_ticket_offer(t->w, c, weir_response_bytes(&t->resp));
		next = wrk_request_finish(t, c, is_keep_alive, has_more);
		break;
	case WEIR_MODULE_SENT:
		next = wrk_request_sent(t, c, is_keep_alive, has_more);
		break;
	default:
		weir_response_reset(&t->resp);
		weir_metrics_add(t->w->setup->metrics, requests, 1);
		wrk_conn_reset(t->w, c);
		return WRK_NEXT_GONE;
	}
	if ((next == WRK_NEXT_IDLE || next == WRK_NEXT_PENDING) && is_keep_alive && !wrk_stream_is_done(&s))
		leave_body(c, &s);
	return next;
}
