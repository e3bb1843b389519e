/* SPDX-License-Identifier: GPL-2.0 */
/* FastCGI as the relay sees it: responses taken apart in the relay's buffer, however they come; parameters. */
#include <criterion/criterion.h>

#include <arpa/inet.h>
#include <errno.h>

#include "handlers/fastcgi.h"
#include "http/fcgi.h"

#define HEADER(type, bytes, padding) 1, type, 0, 1, (bytes) >> 8, (bytes)&255, padding, 0
#define OUT(bytes) HEADER(6, bytes, 0)
#define END HEADER(3, 8, 0), 0, 0, 0, 0, 0, 0, 0, 0

static struct weir_conf_pool pool = { .root = (char *)"/srv/site", .proxy = { .response_head_max_kb = 1 } };
static struct weir_flow_key flow;
static struct weir_request request;

/* --- responses --- */

struct seen {
	unsigned status;
	char fields[512], body[512], notes[128];
	enum weir_codec_event last;
	const char *why;
	size_t left;
	bool is_reusable, has_length;
	uint64_t length;
};

static void append(char *to, size_t room, struct weir_str s)
{
	size_t n = strlen(to);

	cr_assert_lt(n + s.n, room);
	memcpy(to + n, s.p, s.n);
	to[n + s.n] = '\0';
}

static void begin(void *state, const char *method)
{
	static char text[WEIR_CODEC_HEAD_BYTES], head[256];
	struct weir_buf out = { .p = text, .cap = sizeof(text) };
	const struct weir_script script = { .file = WEIR_STR("a.php") };
	size_t scanned = 0;

	snprintf(head, sizeof(head), "%s /a.php HTTP/1.1\r\nHost: h\r\n\r\n", method);
	cr_assert_eq(weir_request_parse(head, strlen(head), &scanned, &request), 0);
	const struct weir_codec_call call = {
		.req = &request,
		.head = { head, strlen(head) },
		.prefix = WEIR_STR("/"),
		.pool = &pool,
		.flow = &flow,
		.script = &script,
	};
	cr_assert_eq(weir_fastcgi_codec.begin(state, &call, &out), 0);
}

/* The relay's buffer, `step` more bytes at a time. */
static struct seen feed_for(const char *method, const void *bytes, size_t count, size_t step)
{
	static uint64_t state[WEIR_CODEC_STATE_BYTES / 8];
	struct seen s = { .last = WEIR_CODEC_MORE };
	const struct weir_codec *c = &weir_fastcgi_codec;
	size_t at = 0, have = 0, used;
	char room[2048];

	begin(state, method);
	cr_assert_eq(c->read(state, NULL, 0, sizeof(room), &used, &(struct weir_codec_piece){}), WEIR_CODEC_MORE);
	while (at < count && s.last == WEIR_CODEC_MORE) {
		size_t n = MIN(step, count - at);

		memcpy(room + have, (const char *)bytes + at, n);
		have += n;
		at += n;
		do {
			struct weir_codec_piece piece = {};

			s.last = c->read(state, room, have, sizeof(room), &used, &piece);
			cr_assert_leq(used, have);
			if (s.last == WEIR_CODEC_HEAD) {
				cr_assert_eq(s.status, 0, "one head");
				s.status = piece.reply.status;
				append(s.fields, sizeof(s.fields), piece.reply.fields);
				s.has_length = c->has_length(state, &s.length);
			} else if (s.last == WEIR_CODEC_BODY) {
				cr_assert_gt(piece.data.n, 0);
				append(s.body, sizeof(s.body), piece.data);
			} else if (s.last == WEIR_CODEC_NOTE) {
				append(s.notes, sizeof(s.notes), piece.data);
			} else if (s.last == WEIR_CODEC_BAD) {
				s.why = piece.why;
			}
			have -= used;
			memmove(room, room + used, have);
		} while (s.last != WEIR_CODEC_MORE && s.last != WEIR_CODEC_END && s.last != WEIR_CODEC_BAD);
	}
	if (s.last == WEIR_CODEC_MORE) {
		struct weir_codec_piece piece = {};

		s.last = c->eof(state, &piece);
		s.why = piece.why;
	}
	s.left = have + count - at;
	s.is_reusable = c->is_reusable(state);
	return s;
}

static struct seen feed(const void *bytes, size_t count)
{
	return feed_for("GET", bytes, count, count);
}

static const uint8_t scattered[] = {
	OUT(9),
	'S',
	't',
	'a',
	't',
	'u',
	's',
	':',
	' ',
	'4',
	HEADER(7, 4, 3),
	'o',
	'o',
	'p',
	's',
	0,
	0,
	0,
	OUT(7),
	'0',
	'4',
	'\n',
	'X',
	'-',
	'A',
	':',
	HEADER(7, 1, 0),
	'!',
	OUT(1),
	' ',
	HEADER(6, 6, 2),
	'1',
	'\r',
	'\n',
	'\n',
	'b',
	'o',
	0,
	0,
	OUT(2),
	'd',
	'y',
	HEADER(7, 2, 0),
	'.',
	'.',
	OUT(1),
	'?',
	OUT(0),
	END,
};

Test(fastcgi, response_is_found_however_it_is_scattered)
{
	size_t step;

	for (step = 1; step <= sizeof(scattered); step++) {
		struct seen s = feed_for("GET", scattered, sizeof(scattered), step);

		cr_assert_eq(s.last, WEIR_CODEC_END, "step %zu: %d %s", step, s.last, s.why ? s.why : "");
		cr_assert_eq(s.status, 404);
		cr_assert_str_eq(s.fields, "X-A: 1\r\n");
		cr_assert_str_eq(s.body, "body?");
		cr_assert_str_eq(s.notes, "oops!..");
		cr_assert_eq(s.left, 0);
		cr_assert(!s.is_reusable && !s.has_length);
	}
}

Test(fastcgi, connection_is_kept_if_the_pool_says_so)
{
	pool.fastcgi.keep_conn = true;
	cr_expect(feed(scattered, sizeof(scattered)).is_reusable);
	cr_expect(!feed(scattered, sizeof(scattered) - 1).is_reusable);
}

Test(fastcgi, body_without_a_place_is_left_out)
{
	static const uint8_t not_modified[] = { OUT(13), 'S', 't', 'a',	 't',  'u', 's', ':',
						'3',	 '0', '4', '\n', '\n', 'x', END };
	struct seen s = feed_for("HEAD", scattered, sizeof(scattered), 7);

	cr_expect(s.last == WEIR_CODEC_END && s.status == 404);
	cr_expect_str_eq(s.body, "");
	s = feed(not_modified, sizeof(not_modified));
	cr_expect(s.last == WEIR_CODEC_END && s.status == 304);
	cr_expect_str_eq(s.body, "");
}

static size_t put(uint8_t *to, int type, const char *text)
{
	size_t n = strlen(text);
	const uint8_t header[] = { HEADER(0, n, 0) };

	memcpy(to, header, sizeof(header));
	to[1] = (uint8_t)type;
	memcpy(to + sizeof(header), text, n);
	return n + sizeof(header);
}

/* A response of one STDOUT record, then END. */
static struct seen answer(const char *text)
{
	static const uint8_t end[] = { END };
	uint8_t bytes[1024];
	size_t n = put(bytes, 6, text);

	memcpy(bytes + n, end, sizeof(end));
	return feed(bytes, n + sizeof(end));
}

Test(fastcgi, length_is_kept_to)
{
	struct seen s = answer("Content-Length: 3\n\nabc");

	cr_expect(s.last == WEIR_CODEC_END && s.has_length && s.length == 3);
	cr_expect_str_eq(s.body, "abc");
	s = answer("Content-Length: 3\n\nab");
	cr_expect(s.last == WEIR_CODEC_BAD && strstr(s.why, "shorter"));
	s = answer("Content-Length: 3\n\nabcd");
	cr_expect(s.last == WEIR_CODEC_BAD && strstr(s.why, "longer"));
	s = answer("Content-Length: 3\nContent-Length: 4\n\nabc");
	cr_expect_eq(s.last, WEIR_CODEC_BAD);
}

Test(fastcgi, what_is_no_response_is_said)
{
	static const uint8_t overloaded[] = { HEADER(3, 8, 0), 0, 0, 0, 0, 2, 0, 0, 0 };
	static const uint8_t failed[] = { HEADER(3, 8, 0), 0, 0, 0, 9, 0, 0, 0, 0 };
	static char large[16 + 1100] = { 1, 6, 0, 1, 16, 0, 0, 0, 'X', ':' };
	struct seen s;

	s = feed(overloaded, sizeof(overloaded));
	cr_expect(s.last == WEIR_CODEC_BAD && strstr(s.why, "overloaded"));
	s = feed(failed, sizeof(failed));
	cr_expect(s.last == WEIR_CODEC_BAD && strstr(s.why, "failed without a response"));
	s = feed("HTTP/1.1 200 OK\r\n\r\n", 19);
	cr_expect(s.last == WEIR_CODEC_BAD && strstr(s.why, "does not speak FastCGI"));
	s = answer("no field\n\n");
	cr_expect(s.last == WEIR_CODEC_BAD && strstr(s.why, "no field"));
	s = feed(scattered, 40);
	cr_expect(s.last == WEIR_CODEC_BAD && strstr(s.why, "before it had answered"));
	s = feed(scattered, sizeof(scattered) - 10);
	cr_expect(s.last == WEIR_CODEC_BAD && strstr(s.why, "before the response was complete"));
	memset(large + 10, 'x', sizeof(large) - 10);
	s = feed_for("GET", large, 1100 + 8, 8);
	cr_expect(s.last == WEIR_CODEC_BAD && strstr(s.why, "response_head_max"), "%d %s", s.last, s.why);
}

/* --- requests --- */

static char params[WEIR_CODEC_HEAD_BYTES];

/* The value of a parameter, or NULL. */
static const char *param(size_t bytes, const char *name)
{
	static char value[8192];
	const uint8_t *at = (const uint8_t *)params + 16 + 8, *end = (const uint8_t *)params + bytes;

	while (at < end - 8) {
		size_t length[2];
		int i;

		for (i = 0; i < 2; i++) {
			length[i] = *at & 0x80 ? (size_t)(at[0] & 0x7f) << 24 | (size_t)at[1] << 16 |
							 (size_t)at[2] << 8 | at[3]
					       : *at;
			at += *at & 0x80 ? 4 : 1;
		}
		if (length[0] == strlen(name) && !memcmp(at, name, length[0])) {
			memcpy(value, at + length[0], length[1]);
			value[length[1]] = '\0';
			return value;
		}
		at += length[0] + length[1];
	}
	return NULL;
}

static int begin_request(const char *head, const char *prefix, const struct weir_script *script, size_t *ret_bytes)
{
	static uint64_t state[WEIR_CODEC_STATE_BYTES / 8];
	struct weir_buf out = { .p = params, .cap = sizeof(params) };
	size_t scanned = 0;
	int r;

	cr_assert_eq(weir_request_parse(head, strlen(head), &scanned, &request), 0);
	flow.client.word[2] = flow.server.word[2] = htonl(0xffff);
	flow.client.word[3] = htonl(0x0a000001);
	flow.server.word[3] = htonl(0x0a000002);
	flow.client_port = htons(1234);
	flow.server_port = htons(80);
	const struct weir_codec_call call = {
		.req = &request,
		.head = { head, strlen(head) },
		.prefix = { prefix, strlen(prefix) },
		.pool = &pool,
		.flow = &flow,
		.script = script,
	};
	r = weir_fastcgi_codec.begin(state, &call, &out);
	*ret_bytes = out.n;
	return r;
}

#define IS(name, expected)                                                                                             \
	do {                                                                                                           \
		const char *_value = param(n, name);                                                                   \
		cr_expect(_value && !strcmp(_value, expected), "%s is '%s'", name, _value ? _value : "(none)");        \
	} while (0)

Test(fastcgi, parameters_are_those_that_php_expects)
{
	static char *extra[] = { (char *)"APP_ENV=test=1", (char *)"HTTPS=on" };
	const struct weir_script script = { .file = WEIR_STR("sub/a.php"), .path_info = WEIR_STR("/x y") };
	size_t n;

	pool.fastcgi.params = (struct weir_conf_words){ extra, 2 };
	cr_assert_eq(begin_request("POST /app/sub/a.php/x%20y?q=1&r HTTP/1.1\r\nHost: Example.test:80\r\n"
				   "Content-Type: text/x\r\nContent-Length: 7\r\nAccept: a\r\nProxy: http://evil/\r\n"
				   "Cookie: a=1\r\naccept: b\r\nCookie: b=2\r\nX_Y: 1\r\nX-Hop: 1\r\n"
				   "Connection: keep-alive, x-hop\r\nAuthorization: Basic eA==\r\n\r\n",
				   "/app/", &script, &n),
		     0);
	IS("REQUEST_METHOD", "POST");
	IS("REQUEST_URI", "/app/sub/a.php/x%20y?q=1&r");
	IS("QUERY_STRING", "q=1&r");
	IS("SCRIPT_NAME", "/app/sub/a.php");
	IS("SCRIPT_FILENAME", "/srv/site/sub/a.php");
	IS("PATH_INFO", "/x y");
	IS("PATH_TRANSLATED", "/srv/site/x y");
	IS("DOCUMENT_URI", "/app/sub/a.php/x y");
	IS("DOCUMENT_ROOT", "/srv/site");
	IS("CONTENT_TYPE", "text/x");
	IS("CONTENT_LENGTH", "7");
	IS("SERVER_PROTOCOL", "HTTP/1.1");
	IS("GATEWAY_INTERFACE", "CGI/1.1");
	IS("SERVER_NAME", "example.test");
	IS("SERVER_ADDR", "10.0.0.2");
	IS("SERVER_PORT", "80");
	IS("REMOTE_ADDR", "10.0.0.1");
	IS("REMOTE_PORT", "1234");
	IS("REDIRECT_STATUS", "200");
	IS("HTTP_HOST", "Example.test:80");
	IS("HTTP_ACCEPT", "a, b");
	IS("HTTP_COOKIE", "a=1; b=2");
	IS("HTTP_AUTHORIZATION", "Basic eA==");
	IS("APP_ENV", "test=1");
	IS("HTTPS", "on");
	cr_expect_null(param(n, "HTTP_PROXY"), "httpoxy");
	cr_expect_null(param(n, "HTTP_X_Y"));
	cr_expect_null(param(n, "HTTP_X_HOP"));
	cr_expect_null(param(n, "HTTP_CONNECTION"));
	cr_expect_null(param(n, "HTTP_CONTENT_LENGTH"));
}

Test(fastcgi, index_and_front_controller_have_no_path_info)
{
	const struct weir_script script = { .file = WEIR_STR("sub/"), .index = WEIR_STR("index.php") };
	size_t n;

	cr_assert_eq(begin_request("GET http://h/sub/?x HTTP/1.1\r\nHost: h\r\n\r\n", "/", &script, &n), 0);
	IS("SCRIPT_NAME", "/sub/index.php");
	IS("SCRIPT_FILENAME", "/srv/site/sub/index.php");
	IS("REQUEST_URI", "/sub/?x");
	IS("CONTENT_LENGTH", "");
	cr_expect_null(param(n, "PATH_INFO"));
}

Test(fastcgi, application_that_takes_all_gets_the_path)
{
	const struct weir_script script = { .path_info = WEIR_STR("/x/y") };
	size_t n;

	cr_assert_eq(begin_request("GET /app/x/y HTTP/1.0\r\n\r\n", "/app/", &script, &n), 0);
	IS("SCRIPT_NAME", "/app");
	IS("PATH_INFO", "/x/y");
	IS("SERVER_NAME", "10.0.0.2");
	IS("SERVER_PROTOCOL", "HTTP/1.0");
	IS("QUERY_STRING", "");
}

Test(fastcgi, request_that_does_not_fit_is_refused)
{
	static char head[16000];
	const struct weir_script script = { .file = WEIR_STR("a.php"), .path_info = { head + 10, 8000 } };
	size_t n;

	memset(head, 'x', sizeof(head));
	memcpy(head, "GET /a.php/", 11);
	memcpy(head + 8100, " HTTP/1.1\r\nHost: h\r\nX: ", 23);
	memcpy(head + sizeof(head) - 5, "\r\n\r\n", 5);
	cr_expect_eq(begin_request(head, "/", &script, &n), 431);
}

Test(fastcgi, body_is_put_into_records)
{
	static char data[70000], text[71000];
	struct weir_buf out = { .p = text, .cap = sizeof(text) };
	uint64_t state[WEIR_CODEC_STATE_BYTES / 8];

	begin(state, "POST");
	weir_fastcgi_codec.body(state, (struct weir_str){ data, sizeof(data) }, &out);
	cr_assert(!out.is_full);
	cr_expect_eq(out.n, sizeof(data) + 2 * WEIR_FCGI_HEADER_BYTES);
	weir_fastcgi_codec.body_end(state, WEIR_STR(""), &out);
	cr_expect_eq(out.n, sizeof(data) + 3 * WEIR_FCGI_HEADER_BYTES);
	cr_expect(text[out.n - 7] == 5 && text[out.n - 4] == 0 && text[out.n - 3] == 0);
	cr_expect_leq(WEIR_FCGI_HEADER_BYTES * 2, WEIR_CODEC_FRAME_BYTES);
}
