// SPDX-License-Identifier: GPL-2.0
/* Which request heads are the plain case, and the reason why each other is not: bpf/lib/http_head.h, DESIGN rule 2.
 * Nothing is cached, so a plain request ends as NOT_CACHED. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/macro.h"
#include "harness/prog_cache.h"
#include "harness/prog_heads.h"

PROG_TESTS(xdp_head);

#define PLAIN WEIR_MISS_NOT_CACHED
#define LINE "GET / HTTP/1.1\r\n"
#define H "Host: a.example\r\n"
#define TAG62 "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define END "\r\n"

static struct packet client;

/* For messages: what a report can hold. */
static const char *printable(const char *text, size_t bytes)
{
	static char out[WEIR_HEAD_MAX];
	size_t i;

	for (i = 0; i < bytes; i++)
		out[i] = (char)(isprint((unsigned char)text[i]) || text[i] == '\n' ? text[i] : '?');
	out[bytes] = '\0';
	return out;
}

static void expect(const char *text, size_t bytes, enum weir_miss miss)
{
	struct packet p = client;
	struct prog_result r;

	p.flags = ACK | PSH;
	p.payload = text;
	p.payload_bytes = bytes;
	prog_run(&p, &r);
	assert_verdict(&r, WEIR_VERDICT_HANDOVER);
	cr_assert_eq(r.miss, miss, "%s instead of %s for:\n%s", weir_miss_name(r.miss), weir_miss_name(miss),
		     printable(text, bytes));
}

/* A literal, which may hold zero bytes. */
struct row {
	const char *text;
	size_t bytes;
	enum weir_miss miss;
};
/* clang-format off */
#define ROW(literal, name) { literal, sizeof(literal) - 1, WEIR_MISS_##name }
/* clang-format on */
#define PLAIN_ROW(literal) ROW(literal, NOT_CACHED)

static void expect_rows(const struct row *rows, size_t count)
{
	size_t i;

	client = prog_connect(0, 1460);
	for (i = 0; i < count; i++)
		expect(rows[i].text, rows[i].bytes, rows[i].miss);
}

/* clang-format off */

Test(xdp_head, each_request_line_is_plain_or_has_its_reason)
{
	static const struct row rows[] = {
		PLAIN_ROW("GET / HTTP/1.1\r\n" H END),
		PLAIN_ROW("HEAD / HTTP/1.1\r\n" H END),
		PLAIN_ROW("GET / HTTP/1.0\r\n" H END),
		ROW("POST / HTTP/1.1\r\n" H END, METHOD),
		ROW("PUT / HTTP/1.1\r\n" H END, METHOD),
		ROW("OPTIONS / HTTP/1.1\r\n" H END, METHOD),
		ROW("CONNECT / HTTP/1.1\r\n" H END, METHOD),
		ROW("PROPFIND / HTTP/1.1\r\n" H END, METHOD),
		ROW("get / HTTP/1.1\r\n" H END, METHOD),
		ROW("GETX / HTTP/1.1\r\n" H END, METHOD),
		ROW("GE / HTTP/1.1\r\n" H END, METHOD),
		ROW("HEADER / HTTP/1.1\r\n" H END, METHOD),
		ROW("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKL / HTTP/1.1\r\n" H END, GRAMMAR),
		ROW(" GET / HTTP/1.1\r\n" H END, GRAMMAR),
		ROW("\r\nGET / HTTP/1.1\r\n" H END, GRAMMAR),
		ROW("\nGET / HTTP/1.1\r\n" H END, GRAMMAR),
		ROW("GET\t/ HTTP/1.1\r\n" H END, GRAMMAR),
		ROW("G{T / HTTP/1.1\r\n" H END, GRAMMAR),
		ROW("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", GRAMMAR),
		ROW("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", METHOD),
		ROW("GET / HTTP/1.2\r\n" H END, VERSION),
		ROW("GET / HTTP/2.0\r\n" H END, VERSION),
		ROW("GET / HTTP/0.9\r\n" H END, VERSION),
		ROW("GET / http/1.1\r\n" H END, VERSION),
		ROW("GET / HTTP/1,1\r\n" H END, VERSION),
		ROW("GET /  HTTP/1.1\r\n" H END, VERSION),
		ROW("GET / HTTP/1.1 \r\n" H END, GRAMMAR),
		ROW("GET / HTTP/1.10\r\n" H END, GRAMMAR),
		ROW("GET / HTTP/1.1\n" H END, GRAMMAR),
		ROW("GET / HTTP/1.1\r" H END, GRAMMAR),
		ROW("GET / HTTP/1.1\rX" H END, GRAMMAR),
	};

	expect_rows(rows, ARRAY_SIZE(rows));
}

#define T(target) "GET " target " HTTP/1.1\r\n" H END

Test(xdp_head, each_target_is_plain_or_not)
{
	static const struct row rows[] = {
		PLAIN_ROW(T("/")), PLAIN_ROW(T("/a")), PLAIN_ROW(T("/a/b/c.html")), PLAIN_ROW(T("/a/")),
		PLAIN_ROW(T("/-._~!$&'()*+,;=:@")), PLAIN_ROW(T("/a..b")), PLAIN_ROW(T("/a.")),
		PLAIN_ROW(T("/?")), PLAIN_ROW(T("/?a=b&c=d")), PLAIN_ROW(T("/?%20%zz%")),
		PLAIN_ROW(T("/?a?b/c//d/../e")),
		PLAIN_ROW(T("/a?/../")), PLAIN_ROW(T("/1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/7/8/9")),
		ROW(T("/a%20b"), TARGET), ROW(T("/%2e%2e/"), TARGET), ROW(T("/a%"), TARGET),
		ROW(T("//"), TARGET), ROW(T("//a"), TARGET), ROW(T("/a//b"), TARGET), ROW(T("/a//"), TARGET),
		ROW(T("/./a"), TARGET), ROW(T("/../a"), TARGET), ROW(T("/a/.."), TARGET), ROW(T("/a/."), TARGET),
		ROW(T("/.git/config"), TARGET), ROW(T("/a/.b"), TARGET),
		ROW(T("*"), TARGET), ROW(T("a"), TARGET), ROW(T("?a"), TARGET), ROW(T(""), TARGET),
		ROW(T("http://a.example/"), TARGET), ROW(T("a.example:80"), TARGET),
		ROW(T("/a#b"), TARGET), ROW(T("/?a#b"), TARGET), ROW(T("/a\\b"), TARGET), ROW(T("/a\"b"), TARGET),
		ROW(T("/a<b>"), TARGET), ROW(T("/a[b]"), TARGET), ROW(T("/?a[b]"), TARGET), ROW(T("/a{b}"), TARGET),
		ROW(T("/a|b"), TARGET), ROW(T("/a^b"), TARGET), ROW(T("/a`b"), TARGET), ROW(T("/a\tb"), TARGET),
		ROW(T("/a\x00" "b"), TARGET), ROW(T("/a\x7f"), TARGET), ROW(T("/\xc3\xa4"), TARGET),
		ROW(T("/?\xc3\xa4"), TARGET), ROW(T("/a\r\nb"), TARGET), ROW(T("/a b"), VERSION),
	};

	expect_rows(rows, ARRAY_SIZE(rows));
}

Test(xdp_head, each_host_is_plain_or_not)
{
	static const struct row rows[] = {
		PLAIN_ROW(LINE "Host: a\r\n" END), PLAIN_ROW(LINE "Host:a\r\n" END),
		PLAIN_ROW(LINE "HOST: A-1.b\r\n" END),
		PLAIN_ROW(LINE "host: 127.0.0.1:8080\r\n" END), PLAIN_ROW(LINE "hOsT: localhost:80\r\n" END),
		PLAIN_ROW(LINE "Host: [::1]\r\n" END), PLAIN_ROW(LINE "Host: [2001:DB8::1]:80\r\n" END),
		PLAIN_ROW(LINE "Host: [::ffff:192.0.2.1]\r\n" END),
		PLAIN_ROW(LINE "X: y\r\nHost: a\r\nZ: z\r\n" END),
		ROW(LINE END, HOST), ROW("GET / HTTP/1.0\r\n" END, HOST), ROW(LINE "Host: \r\n" END, HOST),
		ROW(LINE "Host:\r\n" END, HOST), ROW(LINE "X-Host: a\r\n" END, HOST),
		ROW(LINE "Host: a\r\nHost: a\r\n" END, HOST), ROW(LINE "Host: a\r\nhost: b\r\n" END, HOST),
		ROW(LINE "Host: a \r\n" END, HOST), PLAIN_ROW(LINE "Host:  a\r\n" END),
		ROW(LINE "Host:\ta\r\n" END, HOST),
		ROW(LINE "Host: a b\r\n" END, HOST), ROW(LINE "Host: a,b\r\n" END, HOST),
		ROW(LINE "Host: a/b\r\n" END, HOST),
		ROW(LINE "Host: u@a\r\n" END, HOST), ROW(LINE "Host: a_b\r\n" END, HOST),
		ROW(LINE "Host: a%41\r\n" END, HOST),
		ROW(LINE "Host: a:\r\n" END, HOST), ROW(LINE "Host: a:x\r\n" END, HOST),
		ROW(LINE "Host: a:80:80\r\n" END, HOST),
		PLAIN_ROW(LINE "Host: a:65535\r\n" END), PLAIN_ROW(LINE "Host: a:00080\r\n" END),
		ROW(LINE "Host: a:000080\r\n" END, HOST), ROW(LINE "Host: a:65536\r\n" END, HOST),
		ROW(LINE "Host: a:123456789012345678901234567890\r\n" END, HOST),
		ROW(LINE "Host: :80\r\n" END, HOST), ROW(LINE "Host: a:8 0\r\n" END, HOST),
		ROW(LINE "Host: [::1\r\n" END, HOST), ROW(LINE "Host: []\r\n" END, HOST),
		ROW(LINE "Host: [::1]a\r\n" END, HOST),
		ROW(LINE "Host: [::g]\r\n" END, HOST), ROW(LINE "Host: a[::1]\r\n" END, HOST),
		ROW(LINE "Host: ::1\r\n" END, HOST),
		ROW(LINE "Host: [fe80::1%25eth0]\r\n" END, HOST), ROW(LINE "Host: [v1.a]\r\n" END, HOST),
		ROW(LINE "Host: a\x7f\r\n" END, HOST), ROW(LINE "Host: \xc3\xa4\r\n" END, HOST),
	};

	expect_rows(rows, ARRAY_SIZE(rows));
}

Test(xdp_head, each_deviation_from_the_grammar_is_noticed)
{
	static const struct row rows[] = {
		PLAIN_ROW(LINE H "X:\r\n" END), PLAIN_ROW(LINE H "X:y\r\n" END),
		PLAIN_ROW(LINE H "X:   y   z  \r\n" END),
		PLAIN_ROW(LINE H "X: \xc3\xa4\xff\x80\r\n" END), PLAIN_ROW(LINE H "!#$%&'*+-.^_`|~09AZaz: y\r\n" END),
		PLAIN_ROW(LINE H "X: a:b\"c\\\r\n" END),
		ROW(LINE H " folded: y\r\n" END, GRAMMAR), ROW(LINE H "X: y\r\n z\r\n" END, GRAMMAR),
		ROW(LINE H "X: y\r\n\tz\r\n" END, GRAMMAR), ROW(LINE " " H END, GRAMMAR),
		ROW(LINE H "X : y\r\n" END, GRAMMAR), ROW(LINE "Host : a\r\n" END, GRAMMAR),
		ROW(LINE H ": y\r\n" END, GRAMMAR),
		ROW(LINE H "X\r\n" END, GRAMMAR), ROW(LINE H "X\x00Y: z\r\n" END, GRAMMAR),
		ROW(LINE H "(X): z\r\n" END, GRAMMAR),
		ROW(LINE H "X\xc3: z\r\n" END, GRAMMAR), ROW(LINE H "X: y\n" END, GRAMMAR),
		ROW(LINE H "X: y\rZ: z\r\n" END, GRAMMAR),
		ROW(LINE H "X: \x00\r\n" END, GRAMMAR), ROW(LINE H "X: \x7f\r\n" END, GRAMMAR),
		ROW(LINE H "X: a\tb\r\n" END, GRAMMAR),
		ROW(LINE H "X: \x1f\r\n" END, GRAMMAR), ROW(LINE H "X: y\n\r\n" END, GRAMMAR),
		ROW(LINE H "\n", GRAMMAR),
		ROW(LINE "Host: a\n\r\n", HOST), ROW(LINE "Host: a\rX: y\r\n" END, HOST),
		ROW(LINE H "\rX\r\n", GRAMMAR), ROW(LINE H "Connection: close\n" END, CONNECTION),
		ROW(LINE H "Connection: close\rX\r\n" END, GRAMMAR),
		/* characters that become a colon or a letter when bit 5 is set */
		ROW(LINE "Host\x1a a.example\r\n" H END, GRAMMAR), ROW(LINE "Host\x1a a.example\r\n" END, GRAMMAR),
		ROW(LINE H "X\x1a y\r\n" END, GRAMMAR), ROW(LINE "\x08ost: a\r\n" END, GRAMMAR),
	};

	expect_rows(rows, ARRAY_SIZE(rows));
}

/* clang-format on */

/* As it is, all large, all small, every second one large. */
static int in_style(int c, unsigned style, size_t at)
{
	switch (style) {
	case 1:
		return toupper(c);
	case 2:
		return tolower(c);
	case 3:
		return at & 1 ? toupper(c) : tolower(c);
	default:
		return c;
	}
}

Test(xdp_head, each_deciding_field_counts_in_any_case)
{
	static const struct {
		const char *field;
		enum weir_miss miss;
	} rows[] = {
		{ "Content-Length: 0", WEIR_MISS_BODY },
		{ "Transfer-Encoding: chunked", WEIR_MISS_BODY },
		{ "Authorization: Basic eDp5", WEIR_MISS_AUTHORIZATION },
		{ "Range: bytes=0-1", WEIR_MISS_RANGE },
		{ "If-Match: *", WEIR_MISS_CONDITIONAL },
		{ "If-None-Match: *", WEIR_MISS_CONDITIONAL },
		{ "If-Modified-Since: yesterday", WEIR_MISS_CONDITIONAL },
		{ "If-Unmodified-Since: " DATE, WEIR_MISS_CONDITIONAL },
		{ "If-Range: \"a\"", WEIR_MISS_CONDITIONAL },
		{ "Expect: 100-continue", WEIR_MISS_EXPECT },
		{ "Upgrade: websocket", WEIR_MISS_UPGRADE },
		{ "HTTP2-Settings: AAMAAABk", WEIR_MISS_UPGRADE },
		{ "Connection: upgrade", WEIR_MISS_CONNECTION },
		{ "Accept-Encoding: identity;q=0", WEIR_MISS_ENCODING },
	};
	char text[256], field[128];
	unsigned style;
	size_t i, at;

	client = prog_connect(0, 1460);
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		for (style = 0; style < 4; style++) {
			strcpy(field, rows[i].field);
			for (at = 0; field[at] != ':'; at++)
				field[at] = (char)in_style(field[at], style, at);
			expect(text, (size_t)sprintf(text, LINE "%s\r\n" H END, field), rows[i].miss);
			expect(text, (size_t)sprintf(text, LINE H "A: b\r\n%s\r\n" END, field), rows[i].miss);
			expect(text, (size_t)sprintf(text, LINE H "X-%s\r\n" END, field), PLAIN);
			strcpy(strchr(field, ':'), "x: y");
			expect(text, (size_t)sprintf(text, LINE H "%s\r\n" END, field), PLAIN);
		}
}

/* clang-format off */

Test(xdp_head, connection_is_close_or_keep_alive_or_a_workers)
{
	static const struct row rows[] = {
		PLAIN_ROW(LINE H "Connection: close\r\n" END), PLAIN_ROW(LINE H "Connection: keep-alive\r\n" END),
		PLAIN_ROW(LINE H "connection:KEEP-Alive,Close\r\n" END),
		PLAIN_ROW(LINE H "Connection: close , keep-alive \r\n" END),
		PLAIN_ROW(LINE H "Connection: ,, close,\r\n" END), PLAIN_ROW(LINE H "Connection:\r\n" END),
		ROW(LINE H "Connection: Upgrade\r\n" END, CONNECTION), ROW(LINE H "Connection: TE\r\n" END, CONNECTION),
		ROW(LINE H "Connection: close keep-alive\r\n" END, CONNECTION),
		ROW(LINE H "Connection: closed\r\n" END, CONNECTION),
		ROW(LINE H "Connection: clos\r\n" END, CONNECTION),
		ROW(LINE H "Connection: \"close\"\r\n" END, CONNECTION),
		ROW(LINE H "Connection: close;q=1\r\n" END, CONNECTION),
		ROW(LINE H "Connection:\tclose\r\n" END, CONNECTION),
		ROW(LINE H "Connection: close\r\nConnection: close\r\n" END, CONNECTION),
		ROW(LINE H "Connection: xxep-alive\r\n" END, CONNECTION),
		ROW(LINE H "Connection: xkeep-alive\r\n" END, CONNECTION),
		ROW(LINE H "Connection: aaaaaaaaaaaaaaaaclose\r\n" END, CONNECTION),
	};

	expect_rows(rows, ARRAY_SIZE(rows));
}

Test(xdp_head, condition_is_one_entity_tag_or_one_date_or_a_workers)
{
	static const struct row rows[] = {
		PLAIN_ROW(LINE H "If-None-Match: \"a\"\r\n" END), PLAIN_ROW(LINE H "if-none-match:W/\"\"\r\n" END),
		PLAIN_ROW(LINE H "If-None-Match: \"!#,;\xc3\xa4~\"\r\n" END),
		PLAIN_ROW(LINE "If-None-Match: \"" TAG62 "\"\r\n" H END),
		PLAIN_ROW(LINE H "If-Modified-Since: " DATE "\r\n" END),
		PLAIN_ROW(LINE H "If-Modified-Since:" DATE "\r\n" END),
		PLAIN_ROW(LINE H "If-Modified-Since: x\r\nIf-None-Match: \"a\"\r\n" END),
		PLAIN_ROW(LINE H "Cache-Control: max-age=0\r\nPragma: no-cache\r\n" END),
		ROW(LINE H "If-None-Match: \"a\", \"b\"\r\n" END, CONDITIONAL),
		/* no conditions at all, but their names begin like those of some */
		ROW(LINE H "If-Modifyed-Since: " DATE "\r\n" END, CONDITIONAL),
		ROW(LINE H "If-None-ane-Match: \"a\"\r\n" END, CONDITIONAL),
		ROW(LINE H "If-None-Match: \"a\",\r\n" END, CONDITIONAL),
		ROW(LINE H "If-None-Match: \"a\" \r\n" END, CONDITIONAL),
		ROW(LINE H "If-None-Match: \"a b\"\r\n" END, CONDITIONAL),
		ROW(LINE H "If-None-Match: \"a\r\n" END, CONDITIONAL),
		ROW(LINE H "If-None-Match: a\"\r\n" END, CONDITIONAL),
		ROW(LINE H "If-None-Match: \"\r\n" END, CONDITIONAL),
		ROW(LINE H "If-None-Match: w/\"a\"\r\n" END, CONDITIONAL),
		ROW(LINE H "If-None-Match: W/a\r\n" END, CONDITIONAL),
		ROW(LINE H "If-None-Match:\r\n" END, CONDITIONAL), ROW(LINE H "If-None-Match: *\r\n" END, CONDITIONAL),
		ROW(LINE H "If-None-Match: \"" TAG62 "x\"\r\n" END, CONDITIONAL),
		ROW(LINE H "If-None-Match: \"" TAG62 TAG62 "\"\r\n" END, CONDITIONAL),
		ROW(LINE H "If-None-Match: \"a\"\r\nIf-None-Match: \"a\"\r\n" END, CONDITIONAL),
		ROW(LINE H "If-Modified-Since: " DATE " \r\n" END, CONDITIONAL),
		ROW(LINE H "If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT\r\n" END, CONDITIONAL),
		ROW(LINE H "If-Modified-Since: Sun Nov  6 08:49:37 1994\r\n" END, CONDITIONAL),
		ROW(LINE H "If-Modified-Since: x\r\nA: 7890123456789012345678\r\n" END, CONDITIONAL),
		ROW(LINE H "If-Modified-Since: " DATE "\r\nIf-Modified-Since: " DATE "\r\n" END, CONDITIONAL),
	};

	expect_rows(rows, ARRAY_SIZE(rows));
}

Test(xdp_head, accept_encoding_is_a_list_with_weights_or_a_workers)
{
	static const struct row rows[] = {
		PLAIN_ROW(LINE H "Accept-Encoding: gzip, deflate, br, zstd\r\n" END),
		PLAIN_ROW(LINE H "Accept-Encoding:\r\n" END),
		PLAIN_ROW(LINE H "Accept-Encoding: GZip,BR\r\n" END),
		PLAIN_ROW(LINE H "accept-encoding:gzip,gzip\r\n" END),
		PLAIN_ROW(LINE H "Accept-Encoding: gzip;q=1.0\r\n" END),
		PLAIN_ROW(LINE H "Accept-Encoding: gzip;q=0\r\n" END),
		PLAIN_ROW(LINE H "Accept-Encoding: gzip, zstd, br, deflate, *;q=0.001\r\n" END),
		ROW(LINE H "Accept-Encoding: *\r\n" END, ENCODING),
		ROW(LINE H "Accept-Encoding: gzip, br;q=0.9\r\n" END, ENCODING),
		ROW(LINE H "Accept-Encoding: gzip, gzip;q=0.9\r\n" END, ENCODING),
		ROW(LINE H "Accept-Encoding: gzip;q=0.9, identity\r\n" END, ENCODING),
		PLAIN_ROW(LINE H "Accept-Encoding: identity\r\n" END),
		PLAIN_ROW(LINE H "Accept-Encoding: x-gzip, compress, b, xxdeflate, aaaaaaaaaaaaaaaaaaaaa\r\n" END),
		ROW(LINE H "Accept-Encoding: gzip;q=1.0, *;q=0.5\r\n" END, ENCODING),
		PLAIN_ROW(LINE H "Accept-Encoding: gzip;q=1.0,deflate;q=0.6,identity;q=0.3\r\n" END),
		PLAIN_ROW(LINE H "Accept-Encoding: br ; Q=0. , gzip; q=1.000 ,identity;q=0.001\r\n" END),
		ROW(LINE H "Accept-Encoding: gzip br\r\n" END, ENCODING),
		ROW(LINE H "Accept-Encoding: *;q=0\r\n" END, ENCODING),
		ROW(LINE H "Accept-Encoding: gzip, identity;q=0.000\r\n" END, ENCODING),
		ROW(LINE H "Accept-Encoding: gzip;q=1.001\r\n" END, ENCODING),
		ROW(LINE H "Accept-Encoding: gzip;q=0.0001\r\n" END, ENCODING),
		ROW(LINE H "Accept-Encoding: gzip;q=2\r\n" END, ENCODING),
		ROW(LINE H "Accept-Encoding: gzip;q=\r\n" END, ENCODING),
		ROW(LINE H "Accept-Encoding: gzip;q= 1\r\n" END, ENCODING),
		ROW(LINE H "Accept-Encoding: gzip;x=1\r\n" END, ENCODING),
		ROW(LINE H "Accept-Encoding: gzip;q=1;q=1\r\n" END, ENCODING),
		ROW(LINE H "Accept-Encoding: gzip;q=1 br\r\n" END, ENCODING),
		ROW(LINE H "Accept-Encoding: gzip;\r\n" END, ENCODING),
		ROW(LINE H "Accept-Encoding: ;q=1\r\n" END, ENCODING),
		ROW(LINE H "Accept-Encoding: \"gzip\"\r\n" END, ENCODING),
		ROW(LINE H "Accept-Encoding: br\r\nAccept-Encoding: gzip\r\n" END, ENCODING),
	};

	expect_rows(rows, ARRAY_SIZE(rows));
}

Test(xdp_head, whatever_follows_the_head_is_a_workers)
{
	static const struct row rows[] = {
		ROW(LINE H END "x", BEHIND), ROW(LINE H END "\r\n", BEHIND), ROW(LINE H END LINE H END, BEHIND),
		ROW(LINE H END "\x00", BEHIND),
	};

	expect_rows(rows, ARRAY_SIZE(rows));
}

/* clang-format on */

Test(xdp_head, every_split_is_incomplete)
{
	static const char text[] =
		"GET /a/b?c=d HTTP/1.1\r\nHost: a.example\r\nAccept: */*\r\nConnection: close, keep-alive\r\n"
		"Accept-Encoding: gzip, br\r\nX-Long-Field-Name: 12345678901234567890\r\n\r\n";
	size_t n;

	client = prog_connect(0, 1460);
	for (n = 1; n < sizeof(text) - 1; n++)
		expect(text, n, WEIR_MISS_INCOMPLETE);
	expect(text, n, PLAIN);
}

Test(xdp_head, real_browsers_and_tools_are_plain)
{
	size_t i;

	client = prog_connect(WITH_ALL, 1460);
	for (i = 0; i < ARRAY_SIZE(prog_heads); i++)
		expect(prog_heads[i], strlen(prog_heads[i]), PLAIN);
}

Test(xdp_head, lengths_up_to_the_limits_are_plain)
{
	char text[3000], fill[1200];
	size_t n;

	client = prog_connect(0, 1460);
	memset(fill, 'a', sizeof(fill));
	for (n = WEIR_TARGET_MAX - 10; n <= WEIR_TARGET_MAX + 9; n++)
		expect(text, (size_t)sprintf(text, "GET /%.*s HTTP/1.1\r\n" H END, (int)n - 1, fill),
		       n <= WEIR_TARGET_MAX ? PLAIN : WEIR_MISS_TARGET);
	for (n = WEIR_TARGET_MAX - 10; n <= WEIR_TARGET_MAX + 9; n++)
		expect(text, (size_t)sprintf(text, "GET /?%.*s HTTP/1.1\r\n" H END, (int)n - 2, fill),
		       n <= WEIR_TARGET_MAX ? PLAIN : WEIR_MISS_TARGET);
	for (n = 1; n <= WEIR_HOST_MAX + 9; n++)
		expect(text, (size_t)sprintf(text, LINE "Host: %.*s:1\r\n" END, (int)n, fill),
		       n <= WEIR_HOST_MAX ? PLAIN : WEIR_MISS_HOST);
	for (n = 0; n < 1200; n++)
		expect(text, (size_t)sprintf(text, LINE "%.*s: %.*s\r\n" H END, (int)n + 1, fill, (int)n, fill), PLAIN);
}
