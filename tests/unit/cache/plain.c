/* SPDX-License-Identifier: GPL-2.0 */
/* Which requests may fill the kernel cache. */
#include <criterion/criterion.h>

#include "cache/cache.h"

static const struct {
	const char *text;
	bool is_plain;
} cases[] = {
	{ "GET / HTTP/1.1\r\nHost: a\r\n\r\n", true },
	{ "GET / HTTP/1.0\r\nHost: a\r\n\r\n", true },
	{ "GET /a/b.c-d_e~f!$&'()*+,;=:@ HTTP/1.1\r\nHost: a-b.c9:80\r\n\r\n", true },
	{ "GET /a?b=%20&c=/./../?x HTTP/1.1\r\nHost: a\r\n\r\n", true },
	{ "GET / HTTP/1.1\r\nHost: a\r\nCache-Control: no-cache\r\nCookie: x\r\nAccept-Encoding: gzip, br\r\n\r\n",
	  true },
	{ "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", true },
	{ "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", false },
	{ "GET / HTTP/1.0\r\n\r\n", false },
	{ "GET / HTTP/1.1\r\nHost:\r\n\r\n", false },
	{ "GET / HTTP/1.1\r\nHost: a_b\r\n\r\n", false },
	{ "GET / HTTP/1.1\r\nHost: a%20b\r\n\r\n", false },
	{ "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", false },
	{ "GET //a HTTP/1.1\r\nHost: a\r\n\r\n", false },
	{ "GET /a//b HTTP/1.1\r\nHost: a\r\n\r\n", false },
	{ "GET /./a HTTP/1.1\r\nHost: a\r\n\r\n", false },
	{ "GET /a/.b HTTP/1.1\r\nHost: a\r\n\r\n", false },
	{ "GET /a%62 HTTP/1.1\r\nHost: a\r\n\r\n", false },
	{ "GET /a|b HTTP/1.1\r\nHost: a\r\n\r\n", false },
	{ "GET /?a|b HTTP/1.1\r\nHost: a\r\n\r\n", false },
	{ "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: x\r\n\r\n", false },
	{ "GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=0-\r\n\r\n", false },
	{ "GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: *\r\n\r\n", false },
	{ "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", false },
	{ "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\n\r\n", false },
	{ "GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip;q=0\r\n\r\n", true },
	{ "GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: *;q=0\r\n\r\n", false },
	{ "GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: W/\"a,b\"\r\n\r\n", true },
	{ "GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"a\", \"b\"\r\n\r\n", false },
	{ "GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"a b\"\r\n\r\n", false },
	{ "GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: a\r\n\r\n", false },
	{ "GET / HTTP/1.1\r\nHost: a\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n", true },
	{ "GET / HTTP/1.1\r\nHost: a\r\nIf-Modified-Since: x\r\n\r\n", false },
	{ "GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"a\"\r\nIf-Modified-Since: x\r\n\r\n", true },
	{ "GET / HTTP/1.1\r\nHost: a\r\nIf-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n", false },
	{ "GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\nAccept-Encoding: br\r\n\r\n", false },
};

Test(plain, only_what_the_kernel_would_look_up)
{
	static struct weir_request req;
	uint8_t encodings;
	size_t i, scanned;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		scanned = 0;
		cr_assert_eq(weir_request_parse(cases[i].text, strlen(cases[i].text), &scanned, &req), 0, "%s",
			     cases[i].text);
		cr_expect_eq(weir_cache_is_plain(&req, &encodings), cases[i].is_plain, "%s", cases[i].text);
	}
}
