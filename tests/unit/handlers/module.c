// SPDX-License-Identifier: GPL-2.0
/* The interface of modules without a worker around it: a module made of one function, a client made of memory. What it
 * offers to the kernel cache needs root, for the maps. */
#include <criterion/criterion.h>

#include <errno.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/syscall.h>

#include "handlers/module.h"

#include "common/bpf_map.h"
#include "common/clock.h"

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

static void init(void)
{
	cache.metrics = &metrics;
	cr_assert_eq(weir_module_new(&conf, &cache, &whole, &worker), 0);
}

static void fini(void)
{
	weir_response_reset(&resp);
	if (worker) {
		weir_module_thread_fini(worker, &thread);
		worker = weir_module_free(worker);
	}
}

TestSuite(module, .init = init, .fini = fini, .timeout = 20);

static enum weir_module_end ask(const char *text, int (*s)(struct weir_exchange *x))
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

static bool head_has(const char *text)
{
	return memmem(resp.head, resp.head_bytes, text, strlen(text)) != NULL;
}

/* --- life --- */

Test(module, threads_and_worker_are_started_and_ended_once)
{
	cr_assert_not(thread.is_ready);
	fini();
	cr_assert_eq(fini_calls, 1);
	cr_assert_eq(thread_fini_calls, 0, "a thread without a request had no state");
}

static int say_ok(struct weir_exchange *x)
{
	(void)api->begin(x, 200);
	(void)api->write(x, "ok\n", 3);
	return api->end(x);
}

Test(module, thread_state_is_made_with_the_first_request)
{
	cr_assert_eq(ask(GET, say_ok), WEIR_MODULE_WHOLE);
	cr_assert(thread.is_ready);
	cr_assert_eq(ask(GET, say_ok), WEIR_MODULE_WHOLE);
	fini();
	cr_assert_eq(thread_fini_calls, 1);
}

Test(module, other_versions_are_refused)
{
	struct weir_module m = whole;
	struct weir_worker *w = NULL;

	m.abi_version++;
	cr_assert_eq(weir_module_new(&conf, &cache, &m, &w), -EINVAL);
	m = whole;
	m.handle = NULL;
	cr_assert_eq(weir_module_new(&conf, &cache, &m, &w), -EINVAL);
	cr_assert_null(w);
}

Test(module, larger_and_smaller_structs_of_the_version_are_taken)
{
	struct {
		struct weir_module m;
		void *added[4];
	} later = { .m = whole };
	struct weir_module earlier = whole;
	struct weir_worker *w = NULL;

	later.m.size = sizeof(later);
	cr_assert_eq(weir_module_new(&conf, &cache, &later.m, &w), 0);
	w = weir_module_free(w);
	earlier.size = offsetof(struct weir_module, handle);
	cr_assert_eq(weir_module_new(&conf, &cache, &earlier, &w), -EINVAL, "what it does not have is no handle()");
	cr_assert(WEIR_API_HAS(api, pool));
	cr_assert_eq(api->size, sizeof(*api));
}

static int refuse(const struct weir_api *server, struct weir_worker *w, void **ret_state)
{
	(void)server;
	(void)w;
	(void)ret_state;
	return -1;
}

Test(module, one_that_does_not_want_to_start_is_not_there)
{
	struct weir_module m = whole;
	struct weir_worker *w = NULL;

	m.worker_init = refuse;
	cr_assert_eq(weir_module_new(&conf, &cache, &m, &w), -ECANCELED);
	cr_assert_eq(fini_calls, 0);
}

Test(module, options_are_found_by_key_and_by_number)
{
	cr_assert_str_eq(api->option(worker, "key"), "value=1");
	cr_assert_str_eq(api->option(worker, "flag"), "");
	cr_assert_str_eq(api->option(worker, "keyword"), "x");
	cr_assert_null(api->option(worker, "ke"));
	cr_assert_null(api->option(worker, ""));
	cr_assert_null(api->option(worker, NULL));
	cr_assert_str_eq(api->option_at(worker, 2), "key=second");
	cr_assert_null(api->option_at(worker, 4));
	cr_assert_str_eq(api->pool(worker), "p");
}

/* --- requests --- */

static int look(struct weir_exchange *x)
{
	struct weir_text name, value = { NULL, 0 };

	cr_expect(api->method(x).n == 4 && !memcmp(api->method(x).p, "POST", 4));
	cr_expect(api->target(x).n == 9 && !memcmp(api->target(x).p, "/a%62?q=%", 9));
	cr_expect(api->path(x).n == 3 && !memcmp(api->path(x).p, "/ab", 3));
	cr_expect(api->query(x).n == 3 && !memcmp(api->query(x).p, "q=%", 3));
	cr_expect(api->host(x).n == 6 && !memcmp(api->host(x).p, "a.test", 6));
	cr_expect_str_eq(api->client_address(x).p, "192.0.2.1");
	cr_expect_eq(api->client_port(x), 4711);
	cr_expect_eq(api->http_minor(x), 1);
	cr_expect_eq(api->body_bytes(x), 5);
	cr_expect_eq(api->field_at(x, 2, &name, &value), 0);
	cr_expect(name.n == 5 && !memcmp(name.p, "X-Two", 5));
	cr_expect(value.n == 1 && *value.p == '2');
	cr_expect_eq(api->field_at(x, 4, &name, &value), -ENOENT);
	cr_expect_eq(api->field(x, "x-two", 1).n, 1);
	cr_expect_null(api->field(x, "x-two", 2).p);
	cr_expect_not_null(api->field(x, "CONTENT-length", 0).p);
	cr_expect_null(api->field(x, "", 0).p);
	cr_expect_null(api->field(x, NULL, 0).p);
	return say_ok(x);
}

Test(module, request_is_shown_as_it_is)
{
	cr_assert_eq(ask("\r\nPOST /a%62?q=% HTTP/1.1\r\nHost: A.test:80\r\nContent-Length: 5\r\nX-Two: "
			 "2\r\nx-two:3\r\n\r\nhello",
			 look),
		     WEIR_MODULE_WHOLE);
	cr_assert_eq(resp.status, 200);
}

static int read_all(struct weir_exchange *x)
{
	char piece[3];

	while (api->read(x, piece, sizeof(piece)) > 0)
		;
	return 0;
}

Test(module, body_that_cannot_be_read_is_answered_by_the_server)
{
	static const struct {
		int error;
		unsigned status;
	} cases[] = { { -ETIMEDOUT, 408 }, { -EFBIG, 413 }, { -EBADMSG, 400 } };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		body_error = cases[i].error;
		cr_assert_eq(ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc", read_all),
			     WEIR_MODULE_WHOLE);
		cr_assert_eq(resp.status, cases[i].status);
		cr_assert(resp.must_close);
	}
	body_error = -ECONNRESET;
	cr_assert_eq(ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc", read_all), WEIR_MODULE_CUT);
}

/* --- responses --- */

Test(module, small_response_is_whole_and_has_a_length)
{
	cr_assert_eq(ask(GET, say_ok), WEIR_MODULE_WHOLE);
	cr_assert(head_has("HTTP/1.1 200 OK\r\n") && head_has("\r\nContent-Length: 3\r\n"));
	cr_assert_eq(resp.parts_count, 1);
	cr_assert_eq(memcmp(resp.parts[0].mem, "ok\n", 3), 0);
	cr_assert_eq(sent_bytes, 0);
	cr_assert_eq(ask("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", say_ok), WEIR_MODULE_WHOLE);
	cr_assert(head_has("\r\nContent-Length: 3\r\n"));
	cr_assert_eq(resp.parts_count, 0);
}

static int say_nothing(struct weir_exchange *x)
{
	return api->begin(x, 200);
}

Test(module, head_without_a_body_to_count_has_no_length)
{
	cr_assert_eq(ask(GET, say_nothing), WEIR_MODULE_WHOLE);
	cr_assert(head_has("\r\nContent-Length: 0\r\n"));
	cr_assert_eq(ask("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", say_nothing), WEIR_MODULE_WHOLE);
	cr_assert_not(head_has("Content-Length"));
}

static int say_pieces(struct weir_exchange *x)
{
	(void)api->begin(x, 200);
	(void)api->write(x, "ab", 2);
	(void)api->write(x, "cd", 2);
	(void)api->flush(x);
	(void)api->flush(x);
	(void)api->write(x, "efg", 3);
	return 0;
}

static bool sent_is(const char *after_head)
{
	const char *end = memmem(sent, sent_bytes, "\r\n\r\n", 4);
	size_t n = strlen(after_head);

	return end && (size_t)(sent + sent_bytes - end - 4) == n && !memcmp(end + 4, after_head, n);
}

Test(module, flushed_response_is_chunked_or_ends_with_the_connection)
{
	cr_assert_eq(ask(GET, say_pieces), WEIR_MODULE_SENT);
	cr_assert(sent_is("4\r\nabcd\r\n3\r\nefg\r\n0\r\n\r\n"), "%.*s", (int)sent_bytes, sent);
	cr_assert(is_complete);
	cr_assert_eq(ask("GET / HTTP/1.0\r\n\r\n", say_pieces), WEIR_MODULE_SENT);
	cr_assert(sent_is("abcdefg"), "%.*s", (int)sent_bytes, sent);
	cr_assert(resp.must_close);
	cr_assert_eq(ask("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", say_pieces), WEIR_MODULE_WHOLE);
	cr_assert(head_has("Content-Length: 7\r\n"));
}

static size_t piece_bytes;

static int say_much(struct weir_exchange *x)
{
	static char piece[300000];
	size_t left = 300000, n;

	(void)api->begin(x, 200);
	(void)api->add_field(x, "content-LENGTH", "300000", 6);
	for (; left > 0; left -= n) {
		n = MIN(left, piece_bytes);
		if (api->write(x, piece, n) < 0)
			return 0;
	}
	return api->end(x);
}

Test(module, large_response_with_a_length_is_not_chunked)
{
	static const size_t sizes[] = { 1, 1000, 65536, 65537, 300000 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		piece_bytes = sizes[i];
		cr_assert_eq(ask(GET, say_much), WEIR_MODULE_SENT);
		cr_assert_not(head_has("chunked"));
		cr_assert_eq(sent_bytes, resp.head_bytes + 300000u, "pieces of %zu", sizes[i]);
	}
	send_error = -EPIPE;
	cr_assert_eq(ask(GET, say_much), WEIR_MODULE_CUT);
}

static int say_reserved(struct weir_exchange *x)
{
	(void)api->begin(x, 200);
	cr_expect_eq(api->add_field(x, head + sizeof(head) / 2, "x", 1), -EINVAL);
	cr_expect_eq(api->write(x, "x", 1), -EINVAL, "after misuse every call fails");
	cr_expect_eq(api->end(x), -EINVAL);
	return 0;
}

Test(module, fields_of_the_server_and_bad_names_are_refused)
{
	static const char *const names[] = { "Date",
					     "SERVER",
					     "Transfer-Encoding",
					     "Keep-Alive",
					     "Trailer",
					     "Upgrade",
					     "Connection",
					     "Content-Length",
					     "",
					     "a b",
					     "a:",
					     "\xc3\xa4",
					     "a\r\nb" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		strcpy(head + sizeof(head) / 2, names[i]);
		cr_assert_eq(ask(GET, say_reserved), WEIR_MODULE_WHOLE);
		cr_assert_eq(resp.status, 500, "%s", names[i]);
		cr_assert_not(resp.must_close);
	}
}

static int say_text(struct weir_exchange *x)
{
	(void)api->begin(x, 200);
	(void)api->add_field(x, "X-Text", " \ta\tb \xc3\xa4 ", 9);
	(void)api->add_field(x, "X-Empty", NULL, 0);
	(void)api->add_field(x, "Connection", "Close", 5);
	return 0;
}

Test(module, values_are_trimmed_and_sent)
{
	cr_assert_eq(ask(GET, say_text), WEIR_MODULE_WHOLE);
	cr_assert(head_has("\r\nX-Text: a\tb \xc3\xa4\r\nX-Empty: \r\n"));
	cr_assert(resp.must_close);
}

/* --- the cache --- */

static int make_map(size_t value_bytes)
{
	union bpf_attr attr = { .map_type = BPF_MAP_TYPE_LRU_HASH, .key_size = 16, .max_entries = 64 };

	attr.value_size = (uint32_t)value_bytes;
	return (int)syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));
}

static void init_cache(void)
{
	cache.fds[WEIR_CLASS_S] = make_map(sizeof(struct weir_entry_s));
	cache.fds[WEIR_CLASS_M] = make_map(sizeof(struct weir_entry_m));
	cache.fds[WEIR_CLASS_L] = make_map(sizeof(struct weir_entry_l));
	if (cache.fds[WEIR_CLASS_S] < 0)
		cr_skip("maps can be made by root only");
	init();
}

TestSuite(module_cache, .init = init_cache, .fini = fini, .timeout = 20);

/* Entries in the kernel cache; the last one's expiry. */
static unsigned count_entries(uint64_t *ret_expires_ns)
{
	static struct weir_entry_s entry;
	struct weir_cache_key key;
	unsigned n = 0;
	int r = weir_bpf_map_next_key(cache.fds[WEIR_CLASS_S], NULL, &key);

	for (; r == 0; r = weir_bpf_map_next_key(cache.fds[WEIR_CLASS_S], &key, &key), n++)
		if (weir_bpf_map_lookup(cache.fds[WEIR_CLASS_S], &key, &entry) == 0 && ret_expires_ns)
			*ret_expires_ns = entry.head.expires_ns;
	return n;
}

static int policy;
static const char *field, *tag;
static bool purges;

static int say_cached(struct weir_exchange *x)
{
	(void)api->begin(x, 200);
	(void)api->cache(x, policy, 60);
	if (tag)
		(void)api->tag(x, tag);
	if (field)
		(void)api->add_field(x, "Cache-Control", field, strlen(field));
	(void)api->write(x, "ok\n", 3);
	if (purges)
		(void)api->purge_tag(worker, "none");
	return api->end(x);
}

Test(module_cache, policy_decides)
{
	uint64_t expires_ns = 0, now = weir_now_ns();

	policy = WEIR_MODULE_CACHE_NONE;
	(void)ask(GET, say_cached);
	cr_assert_eq(count_entries(NULL), 0);
	policy = WEIR_MODULE_CACHE_TTL;
	(void)ask(GET, say_cached);
	cr_assert_eq(count_entries(&expires_ns), 1);
	cr_assert(expires_ns >= now + 59000000000 && expires_ns <= weir_now_ns() + 60000000000);
	policy = WEIR_MODULE_CACHE_UNTIL_PURGED;
	(void)ask(GET, say_cached);
	cr_assert_eq(count_entries(&expires_ns), 1, "another policy takes the place of the old one");
	cr_assert_eq(expires_ns, UINT64_MAX);
	policy = 7;
	(void)ask(GET, say_cached);
	cr_assert_eq(resp.status, 500);
}

Test(module_cache, fields_that_forbid_it_win)
{
	static const char *const values[] = { "private", "max-age=1, No-Store", "no-cache=\"x\"" };
	size_t i;

	policy = WEIR_MODULE_CACHE_UNTIL_PURGED;
	for (i = 0; i < ARRAY_SIZE(values); i++) {
		field = values[i];
		(void)ask(GET, say_cached);
		cr_assert_eq(resp.status, 200);
		cr_assert_eq(count_entries(NULL), 0, "%s", field);
	}
	field = "max-age=5";
	(void)ask("GET /a HTTP/1.1\r\nHost: a.test\r\nAuthorization: x\r\n\r\n", say_cached);
	(void)ask("GET /a HTTP/1.1\r\nHost: a.test\r\nRange: bytes=0-1\r\n\r\n", say_cached);
	(void)ask("HEAD /a HTTP/1.1\r\nHost: a.test\r\n\r\n", say_cached);
	cr_assert_eq(count_entries(NULL), 0);
	(void)ask(GET, say_cached);
	cr_assert_eq(count_entries(NULL), 1);
}

Test(module_cache, purge_takes_what_is_named)
{
	policy = WEIR_MODULE_CACHE_UNTIL_PURGED;
	tag = "x";
	(void)ask(GET, say_cached);
	(void)ask("GET /a HTTP/1.1\r\nHost: b.test\r\n\r\n", say_cached);
	tag = "y";
	(void)ask("GET /b HTTP/1.1\r\nHost: a.test\r\nAccept-Encoding: gzip\r\n\r\n", say_cached);
	(void)ask("GET /b HTTP/1.1\r\nHost: a.test\r\nAccept-Encoding: br\r\n\r\n", say_cached);
	cr_assert_eq(count_entries(NULL), 4);
	cr_assert_eq(api->purge_url(worker, "http://B.test:8080/a"), 1);
	cr_assert_eq(count_entries(NULL), 3);
	cr_assert_eq(api->purge_tag(worker, "y"), 1);
	cr_assert_eq(count_entries(NULL), 1);
	cr_assert_eq(api->purge_url(worker, "/c"), 0);
	cr_assert_eq(api->purge_url(worker, "http://"), -EINVAL);
	cr_assert_eq(api->purge_url(worker, "x"), -EINVAL);
	cr_assert_eq(api->purge_url(worker, NULL), -EINVAL);
	cr_assert_eq(api->purge_tag(worker, NULL), 1);
	cr_assert_eq(count_entries(NULL), 0);
}

Test(module_cache, response_that_began_before_a_purge_is_not_kept)
{
	policy = WEIR_MODULE_CACHE_UNTIL_PURGED;
	purges = true;
	(void)ask(GET, say_cached);
	cr_assert_eq(resp.status, 200);
	cr_assert_eq(count_entries(NULL), 0);
	purges = false;
	(void)ask(GET, say_cached);
	cr_assert_eq(count_entries(NULL), 1);
}

Test(module_cache, purge_beside_other_workers_takes_everything)
{
	struct weir_cache_key key = { { 1, 2 } };
	static struct weir_entry_s entry;

	policy = WEIR_MODULE_CACHE_UNTIL_PURGED;
	cr_assert_eq(weir_bpf_map_insert(cache.fds[WEIR_CLASS_S], &key, &entry), 0); /* another worker's */
	(void)ask(GET, say_cached);
	cr_assert_eq(api->purge_tag(worker, "other"), 0);
	cr_assert_eq(count_entries(NULL), 2);
	company = WEIR_MODULE_SIBLINGS;
	cr_assert_eq(api->purge_tag(worker, "other"), 1);
	cr_assert_eq(count_entries(NULL), 0);
	company = WEIR_MODULE_LEAVING;
	(void)ask(GET, say_cached);
	cr_assert_eq(count_entries(NULL), 0, "nobody would purge it");
}

Test(module_cache, table_is_bounded_and_its_end_withdraws)
{
	char text[64];
	int i;

	policy = WEIR_MODULE_CACHE_UNTIL_PURGED;
	for (i = 0; i < 9; i++) {
		snprintf(text, sizeof(text), "GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", i);
		(void)ask(text, say_cached);
	}
	cr_assert_eq(count_entries(NULL), 4);
	fini();
	cr_assert_eq(count_entries(NULL), 0);
}
