// SPDX-License-Identifier: GPL-2.0
/* HTTP as a protocol to upstreams: what is written for them, and their bytes taken apart into events. */
#include "handlers/proxy.h"

#include <criterion/criterion.h>
#include <arpa/inet.h>

static struct weir_conf_pool pool;
static struct weir_request req;
static struct weir_flow_key flow;
static uint64_t state[WEIR_CODEC_STATE_BYTES / 8];
static char out[WEIR_CODEC_HEAD_BYTES];
static struct weir_buf buf;
static const struct weir_codec *const http = &weir_proxy_codec;

/* Writes the request for an upstream; what came out is in out[], terminated. Returns what begin() did. */
static int begin(const char *text)
{
	struct weir_codec_call call = { .req = &req, .prefix = WEIR_STR("/app/"), .pool = &pool, .flow = &flow };
	size_t scanned = 0;
	int r;

	flow.client = (struct weir_addr){ { 0, 0, htonl(0xffff), htonl(0xc0000207) } };
	pool.proxy.response_head_max_kb = 16;
	cr_assert_eq(weir_request_parse(text, strlen(text), &scanned, &req), 0, "%s", text);
	call.head = (struct weir_str){ text, req.head_bytes };
	buf = (struct weir_buf){ .p = out, .cap = sizeof(out) - 1 };
	r = http->begin(state, &call, &buf);
	out[buf.n] = '\0';
	return r;
}

#define GET "GET / HTTP/1.1\r\nHost: a\r\n"

static bool has(const char *line)
{
	char whole[256];

	snprintf(whole, sizeof(whole), "\r\n%s\r\n", line);
	return strstr(out, whole) != NULL;
}

Test(proxy, request_is_written)
{
	cr_assert_eq(begin("GET /x?y HTTP/1.1\r\nhost: A.test:80\r\nAccept: */*\r\n\r\n"), 0);
	cr_assert_str_eq(out, "GET /x?y HTTP/1.1\r\nHost: A.test:80\r\nAccept: */*\r\nX-Forwarded-For: 192.0.2.7\r\n"
			      "X-Forwarded-Proto: http\r\nX-Forwarded-Host: A.test:80\r\n"
			      "Forwarded: for=192.0.2.7;host=\"A.test:80\";proto=http\r\nVia: 1.1 weir\r\n\r\n");
}

Test(proxy, ipv6_clients_are_quoted_in_forwarded)
{
	struct weir_codec_call call = { .req = &req, .pool = &pool, .flow = &flow };
	const char *text = GET "\r\n";
	size_t scanned = 0;

	cr_assert_eq(weir_request_parse(text, strlen(text), &scanned, &req), 0);
	call.head = (struct weir_str){ text, req.head_bytes };
	flow.client = (struct weir_addr){ { htonl(0x20010db8), 0, 0, htonl(1) } };
	buf = (struct weir_buf){ .p = out, .cap = sizeof(out) - 1 };
	cr_assert_eq(weir_proxy_fields(&call, false, &buf), 0);
	out[buf.n] = '\0';
	cr_assert(has("X-Forwarded-For: 2001:db8::1"));
	cr_assert(has("Forwarded: for=\"[2001:db8::1]\";host=\"a\";proto=http"));
}

Test(proxy, host_with_a_quote_is_not_put_into_forwarded)
{
	pool.proxy.host = (char *)"inner";
	cr_assert_eq(begin(GET "\r\n"), 0);
	cr_assert(has("Host: inner") && has("X-Forwarded-Host: a"));
	pool.proxy.host = NULL;
}

Test(proxy, framing_of_the_request_is_ours)
{
	cr_assert_eq(begin("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 007\r\n\r\n"), 0);
	cr_assert(has("Content-Length: 7") && !strstr(out, "007"));
	cr_assert_eq(begin("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"), 0);
	cr_assert(has("Content-Length: 0"));
	cr_assert_eq(begin("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n"), 0);
	cr_assert(has("Transfer-Encoding: chunked") && !strstr(out, "Trailer"));
	buf.n = 0;
	http->body(state, WEIR_STR("0123456789abcdef"), &buf);
	http->body(state, WEIR_STR(""), &buf);
	http->body_end(state, WEIR_STR("X-Sum: 1\r\nContent-Length: 5\r\nHost: b\r\n"), &buf);
	out[buf.n] = '\0';
	cr_assert_str_eq(out, "10\r\n0123456789abcdef\r\n0\r\nX-Sum: 1\r\n\r\n");
}

Test(proxy, upgrade_only_where_it_can_be)
{
	cr_assert_eq(begin(GET "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"), 0);
	cr_assert(has("Connection: upgrade") && has("Upgrade: websocket"));
	cr_assert_eq(begin(GET "Upgrade: websocket\r\n\r\n"), 0);
	cr_assert(!strstr(out, "Upgrade"), "Connection does not name it");
	cr_assert_eq(
		begin("POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\nContent-Length: 1\r\n\r\n"),
		0);
	cr_assert(!strstr(out, "Upgrade"), "a body is behind it");
	cr_assert_eq(begin("GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"), 0);
	cr_assert(!strstr(out, "Upgrade"), "HTTP/1.0 has none");
}

Test(proxy, too_many_connection_fields_are_refused)
{
	char text[512] = GET;

	for (int i = 0; i <= WEIR_HTTP_HOPS_MAX; i++)
		strcat(text, "Connection: x\r\n");
	strcat(text, "\r\n");
	cr_assert_eq(begin(text), 400);
}

Test(proxy, longest_head_fits)
{
	static char text[WEIR_HTTP_HEAD_MAX + 1];
	size_t n = (size_t)snprintf(text, sizeof(text), "GET /");

	pool.proxy.strip_prefix = false;
	/* dots make the path be written anew, each byte as three */
	n += (size_t)snprintf(text + n, sizeof(text) - n, "../");
	memset(text + n, '"', 8000);
	n += 8000;
	n += (size_t)snprintf(text + n, sizeof(text) - n, " HTTP/1.1\r\nHost: a\r\nX: ");
	memset(text + n, 'x', WEIR_HTTP_HEAD_MAX - n - 4);
	strcpy(text + WEIR_HTTP_HEAD_MAX - 4, "\r\n\r\n");
	/* that is longer than there is room for; the answer is a status, not a cut head */
	cr_assert(begin(text) == 0 || begin(text) == 431);
}

/* Feeds bytes with `step` more at a time and writes the events down: H head, I interim, B:data, T:trailers, E, X. */
static void events(const char *text, size_t step, bool has_end, char *log)
{
	static char bytes[65536];
	size_t have = 0, at = 0, used, n = strlen(text);
	struct weir_codec_piece p;
	bool was_body = false;

	strcpy(bytes, text);
	*log = '\0';
	http->restart(state);
	for (;;) {
		enum weir_codec_event e = http->read(state, bytes + at, have - at, sizeof(bytes), &used, &p);

		cr_assert_leq(used, have - at);
		at += used;
		if (e == WEIR_CODEC_MORE && have < n) {
			have = have + step < n ? have + step : n;
			continue;
		}
		if (e == WEIR_CODEC_MORE && has_end)
			e = http->eof(state, &p);
		if (e == WEIR_CODEC_BODY) {
			sprintf(log + strlen(log), "%s%.*s", was_body ? "" : "B:", (int)p.data.n, p.data.p);
			was_body = true;
			continue;
		}
		was_body = false;
		strcat(log, e == WEIR_CODEC_HEAD      ? "H"
			    : e == WEIR_CODEC_INTERIM ? "I"
			    : e == WEIR_CODEC_END     ? "E"
			    : e == WEIR_CODEC_BAD     ? "X"
						      : "");
		if (e == WEIR_CODEC_TRAILERS)
			sprintf(log + strlen(log), "T:%.*s", (int)p.data.n, p.data.p);
		if (e == WEIR_CODEC_HEAD && p.reply.status == 101)
			return;
		if (e == WEIR_CODEC_MORE || e == WEIR_CODEC_END || e == WEIR_CODEC_BAD)
			return;
	}
}

#define OK "HTTP/1.1 200 OK\r\n"

Test(proxy, responses_are_the_same_however_they_are_cut)
{
	static const struct {
		const char *text, *log;
		bool is_reusable;
	} cases[] = {
		{ OK "Content-Length: 5\r\n\r\nhelloEXTRA", "HB:helloE", true },
		{ OK "Content-Length: 5\r\n\r\nhel", "HB:helX", false },
		{ OK "Content-Length: 0\r\nConnection: close\r\n\r\n", "HE", false },
		{ OK "\r\nto the end", "HB:to the endE", false },
		{ OK "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX: 1\r\n\r\n",
		  "HB:abcdeT:X: 1\r\nE", true },
		{ OK "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "HB:abcX", false },
		{ OK "Transfer-Encoding: chunked\r\n\r\n3\r\nabcX", "HB:abcX", false },
		{ "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nA: 1\r\n\r\nHTTP/1.1 204 No\r\n\r\n", "IIHE",
		  true },
		{ "HTTP/1.1 304 Not\r\nContent-Length: 9\r\n\r\n", "HE", true },
		{ "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", "X", false },
		{ "", "X", false },
		{ "HTTP/1.1 20", "X", false },
	};
	char log[256];
	size_t i, step;

	cr_assert_eq(begin(GET "\r\n"), 0);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (step = 1; step <= strlen(cases[i].text) + 1; step++) {
			events(cases[i].text, step, true, log);
			cr_assert_str_eq(log, cases[i].log, "%s by %zu", cases[i].text, step);
			cr_assert_eq(http->is_reusable(state), cases[i].is_reusable, "%s", cases[i].text);
		}
	}
}

Test(proxy, head_request_has_no_body)
{
	char log[64];

	cr_assert_eq(begin("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
	events(OK "Content-Length: 5\r\n\r\n", 1000, true, log);
	cr_assert_str_eq(log, "HE");
	cr_assert(http->is_reusable(state));
}

Test(proxy, protocol_is_switched_when_asked_for)
{
	char log[64];

	cr_assert_eq(begin(GET "Connection: upgrade\r\nUpgrade: x\r\n\r\n"), 0);
	events("HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\nraw", 1000, true, log);
	cr_assert_str_eq(log, "H");
}

static const char *gateway(const char *head, struct weir_gateway_reply g)
{
	static struct weir_reply reply;
	size_t scanned = 0;

	cr_assert_eq(weir_reply_parse(head, strlen(head), 16384, &scanned, &reply), 0);
	g.reply = &reply;
	g.date = "Thu, 01 Jan 1970 00:00:00 GMT";
	buf = (struct weir_buf){ .p = out, .cap = sizeof(out) - 1 };
	weir_gateway_head(&buf, &g);
	out[buf.n] = '\0';
	return out;
}

Test(gateway, response_head_is_the_upstreams_but_for_the_hop)
{
	cr_assert_str_eq(gateway(OK "Server: s\r\nDate: d\r\nConnection: x\r\nX: 1\r\nContent-Length: 3\r\n\r\n",
				 (struct weir_gateway_reply){ .framing = WEIR_FRAMING_LENGTH, .is_http = true }),
			 "HTTP/1.1 200 OK\r\nServer: s\r\nDate: d\r\nVia: 1.1 weir\r\nContent-Length: 3\r\n"
			 "Connection: close\r\n\r\n");
	cr_assert_str_eq(gateway("HTTP/1.0 404\r\n\r\n",
				 (struct weir_gateway_reply){ .framing = WEIR_FRAMING_CHUNKED, .is_keep_alive = true }),
			 "HTTP/1.1 404 Not Found\r\nServer: weir\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
			 "Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n");
}

Test(gateway, length_without_a_body_is_for_head_and_304_only)
{
	const struct weir_gateway_reply none = { .framing = WEIR_FRAMING_NONE }, head = { .is_head = true };

	cr_assert(!strstr(gateway("HTTP/1.1 204 No\r\nContent-Length: 3\r\n\r\n", none), "Content-Length"));
	cr_assert(strstr(gateway("HTTP/1.1 304 No\r\nContent-Length: 3\r\n\r\n", none), "Content-Length: 3\r\n"));
	cr_assert(strstr(gateway(OK "Content-Length: 3\r\n\r\n", head), "Content-Length: 3\r\n"));
}
