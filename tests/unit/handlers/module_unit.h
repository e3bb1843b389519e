/* SPDX-License-Identifier: GPL-2.0 */
/* Modules without a worker around them: a module made of one function, a client made of memory. */
#ifndef TEST_MODULE_UNIT_H
#define TEST_MODULE_UNIT_H

#include <criterion/criterion.h>

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "handlers/module.h"

#include "common/macro.h"

static const struct weir_api *api;
static struct weir_worker *worker;
static int (*script)(struct weir_exchange *x); /* the module's handle() */
static struct weir_module_thread thread;
static enum weir_module_company company = WEIR_MODULE_ALONE;
static unsigned fini_calls, thread_fini_calls;

static struct weir_cache cache = { .fds = { -1, -1, -1 } };
static struct weir_metrics_slot metrics;
static struct weir_request req;
static struct weir_response resp;
static char head[16384];

/* --- the client --- */

static const char *body; /* what is left of the request's */
static int body_error;	 /* behind it; 0: its end */
static char sent[1 << 20];
static size_t sent_bytes;
static int send_error;
static bool is_complete;

static ptrdiff_t client_read(struct weir_stream *s, void *buf, size_t bytes)
{
	size_t n = MIN(strlen(body), bytes);

	(void)s;
	if (n == 0)
		return body_error;
	memcpy(buf, body, n);
	body += n;
	return (ptrdiff_t)n;
}

static void put(const void *data, size_t bytes)
{
	cr_assert_leq(sent_bytes + bytes, sizeof(sent));
	memcpy(sent + sent_bytes, data, bytes);
	sent_bytes += bytes;
}

static int client_begin(struct weir_stream *s, struct weir_response *r)
{
	(void)s;
	cr_assert_eq(sent_bytes, 0, "one head");
	put(r->head, r->head_bytes);
	return send_error;
}

static int client_send(struct weir_stream *s, const struct weir_part *parts, unsigned count, bool is_last)
{
	unsigned i;

	(void)s;
	cr_assert_not(is_complete);
	for (i = 0; i < count; i++)
		put(parts[i].mem, parts[i].bytes);
	is_complete = is_last;
	return send_error;
}

static const struct weir_stream_ops ops = { client_read, client_begin, client_send };

/* --- the module --- */

static int start(const struct weir_api *server, struct weir_worker *w, void **ret_state)
{
	(void)w;
	api = server;
	*ret_state = &worker;
	return 0;
}

static void stop(void *state)
{
	cr_assert_eq(state, &worker);
	fini_calls++;
}

static int start_thread(void *state, void **ret_thread)
{
	cr_assert_eq(state, &worker);
	*ret_thread = &thread;
	return 0;
}

static void stop_thread(void *state, void *t)
{
	cr_assert(state == &worker && t == &thread);
	thread_fini_calls++;
}

static int handle(struct weir_exchange *x, void *state, void *t)
{
	cr_assert(state == &worker && t == &thread);
	return script(x);
}

static const struct weir_module whole = {
	.abi_version = WEIR_MODULE_ABI,
	.size = sizeof(whole),
	.name = "unit",
	.worker_init = start,
	.worker_fini = stop,
	.thread_init = start_thread,
	.thread_fini = stop_thread,
	.handle = handle,
};

static enum weir_module_company get_company(void *arg)
{
	return *(enum weir_module_company *)arg;
}

static const char *const options[] = { "key=value=1", "flag", "key=second", "keyword=x" };
static const struct weir_module_conf conf = {
	.pool = "p",
	.file = "unit.so",
	.options = options,
	.options_count = ARRAY_SIZE(options),
	.urls_max = 4,
	.company = get_company,
	.arg = &company,
};

static inline void init(void)
{
	cache.metrics = &metrics;
	cr_assert_eq(weir_module_new(&conf, &cache, &whole, &worker), 0);
}

static inline void fini(void)
{
	weir_response_reset(&resp);
	if (worker) {
		weir_module_thread_fini(worker, &thread);
		worker = weir_module_free(worker);
	}
}

static inline enum weir_module_end ask(const char *text, int (*s)(struct weir_exchange *x))
{
	struct weir_stream stream = { &ops };
	struct weir_flow_key flow = { .client = { { 0, 0, htonl(0xffff), htonl(0xc0000201) } },
				      .client_port = htons(4711) };
	struct weir_call call = { .req = &req, .prefix = { "/", 1 }, .endpoint = 1, .flow = &flow };
	size_t scanned = 0;

	cr_assert_lt(strlen(text), sizeof(head));
	memcpy(head, text, strlen(text) + 1);
	cr_assert_eq(weir_request_parse(head, strlen(head), &scanned, &req), 0, "%s", text);
	call.head = (struct weir_str){ head, req.head_bytes };
	body = head + req.head_bytes;
	sent_bytes = 0;
	is_complete = false;
	script = s;
	weir_response_reset(&resp);
	return weir_module_serve(worker, &thread, &call, &stream, &resp);
}

#define GET "GET /a HTTP/1.1\r\nHost: a.test\r\n\r\n"

static inline bool head_has(const char *text)
{
	return memmem(resp.head, resp.head_bytes, text, strlen(text)) != NULL;
}

#endif
