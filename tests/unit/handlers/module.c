// SPDX-License-Identifier: GPL-2.0
/* The interface of modules: what a module sees of a request, and what becomes of its response. */
#include "module_unit.h"

TestSuite(module, .init = init, .fini = fini, .timeout = 20);

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
