/* SPDX-License-Identifier: GPL-2.0 */
/* The diagnostic handler: what it answers, as far as it comes back. */
#include <criterion/criterion.h>

#include <signal.h>
#include <string.h>

#include "common/clock.h"
#include "handlers/debug.h"

static struct weir_request req;
static struct weir_response resp;
static const struct weir_str head = { "GET /x HTTP/1.1\r\nHost: a\r\n\r\n", 29 };

static unsigned ask(const char *path)
{
	struct weir_call call = { .req = &req, .prefix = { "/", 1 }, .head = head };

	req.path = (struct weir_str){ path, strlen(path) };
	weir_response_reset(&resp);
	weir_debug_serve(&call, &resp);
	return resp.status;
}

static bool has(const char *text)
{
	return memmem(resp.head, resp.head_bytes, text, strlen(text)) != NULL;
}

static void fini(void)
{
	weir_response_reset(&resp);
}

TestSuite(debug, .fini = fini, .timeout = 20);

Test(debug, status_is_the_one_asked_for)
{
	cr_assert_eq(ask("/status/200"), 200);
	cr_assert_eq(ask("/any/prefix/status/503"), 503);
	cr_assert(has("\r\nCache-Control: no-store\r\n"));
	cr_assert_eq(ask("/status/204"), 204);
	cr_assert_eq(resp.parts_count, 0);
	cr_assert_not(has("Content-Length"));
	cr_assert_eq(ask("/status/100"), 404);
	cr_assert_eq(ask("/status/600"), 404);
}

Test(debug, bytes_repeat_without_being_there)
{
	cr_assert_eq(ask("/bytes/5000000000"), 200);
	cr_assert(has("\r\nContent-Length: 5000000000\r\n"));
	cr_assert_eq(resp.parts_count, 1);
	cr_assert_eq(resp.parts[0].bytes, 5000000000);
	cr_assert_gt(resp.parts[0].period, 0);
	cr_assert_eq(resp.parts[0].period % 64, 0);
	cr_assert_eq(ask("/bytes/0"), 200);
	cr_assert_eq(resp.parts_count, 0);
}

Test(debug, echo_is_the_head_as_it_came)
{
	cr_assert_eq(ask("/echo"), 200);
	cr_assert_eq(resp.parts[0].bytes, head.n);
	cr_assert_eq(memcmp(resp.parts[0].mem, head.p, head.n), 0);
	req.method = WEIR_METHOD_HEAD;
	cr_assert_eq(ask("/echo"), 200);
	cr_assert_eq(resp.parts_count, 0);
}

Test(debug, sleep_and_cpu_take_their_time)
{
	uint64_t began = weir_now_ns();

	cr_assert_eq(ask("/sleep/30"), 200);
	cr_assert_eq(ask("/cpu/30"), 200);
	cr_assert_geq(weir_now_ns() - began, 60000000);
}

Test(debug, memory_is_kept)
{
	cr_assert_eq(ask("/memory/3"), 200);
	cr_assert_eq(ask("/memory/0"), 200);
}

Test(debug, anything_else_is_not_found)
{
	static const char *const paths[] = { "/", "/status", "/status/", "/status/abc", "/sleep/-1", "/sleep/99999999999",
					     "/bytes/99999999999999999999", "/x/5", "/crash/x", "" };
	size_t i;

	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		cr_assert_eq(ask(paths[i]), 404, "%s", paths[i]);
}

Test(debug, crash_is_one, .signal = SIGSEGV)
{
	(void)signal(SIGSEGV, SIG_DFL); /* a sanitizer would report it */
	(void)ask("/crash");
}
