// SPDX-License-Identifier: GPL-2.0
/* Response heads of upstreams, the fields of one hop, and chunked bodies taken apart. */
#include "http/response.h"

#include <criterion/criterion.h>
#include <errno.h>

static struct weir_reply reply;

static int parse(const char *text)
{
	size_t scanned = 0;

	return weir_reply_parse(text, strlen(text), 16384, &scanned, &reply);
}

static bool is(struct weir_str s, const char *text)
{
	return weir_str_eq(s, (struct weir_str){ text, strlen(text) });
}

Test(response, head_is_taken_apart)
{
	const char *text = "HTTP/1.1 404 Not Found\r\nA: 1\r\nContent-Length: 12\r\nB:2\r\n\r\nbody";
	struct weir_str value;

	cr_assert_eq(parse(text), 0);
	cr_assert_eq(reply.status, 404);
	cr_assert_eq(reply.minor, 1);
	cr_assert(is(reply.reason, "Not Found"));
	cr_assert(is(reply.fields, "A: 1\r\nContent-Length: 12\r\nB:2\r\n"));
	cr_assert_eq(reply.fields_count, 3);
	cr_assert_eq(reply.body_bytes, 12);
	cr_assert_eq(reply.head_bytes, strlen(text) - 4);
	cr_assert(reply.has_length && reply.is_keep_alive && !reply.is_chunked);
	cr_assert(weir_fields_find(reply.fields, WEIR_STR("b"), &value) && is(value, "2"));
}

Test(response, head_without_fields_or_reason)
{
	cr_assert_eq(parse("HTTP/1.0 200\r\n\r\n"), 0);
	cr_assert_eq(reply.reason.n, 0);
	cr_assert_eq(reply.fields.n, 0);
	cr_assert(!reply.is_keep_alive, "HTTP/1.0 ends the connection");
	cr_assert_eq(parse("HTTP/1.1 200 \r\n\r\n"), 0);
}

Test(response, incomplete_head_needs_more)
{
	const char *text = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n";
	size_t scanned = 0, n, bytes = strlen(text);

	for (n = 0; n < bytes; n++)
		cr_assert_eq(weir_reply_parse(text, n, 16384, &scanned, &reply), -EAGAIN, "%zu bytes", n);
	cr_assert_eq(weir_reply_parse(text, n, 16384, &scanned, &reply), 0);
	cr_assert_eq(scanned, 0);
}

Test(response, what_two_readers_could_take_differently_is_refused)
{
	static const char *const wrong[] = {
		"HTTP/1.1 200 OK\nA: 1\n\n",
		"HTTP/1.1 200 OK\r\nA: 1\rB: 2\r\n\r\n",
		"HTTP/1.1 200 OK\r\nA: 1\r\n B\r\n\r\n",
		"HTTP/1.1 200 OK\r\nA : 1\r\n\r\n",
		"HTTP/1.1 200 OK\r\n: 1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nA\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/2.0 200 OK\r\n\r\n",
		"HTTP/1.1  200 OK\r\n\r\n",
		"HTTP/1.1 20 OK\r\n\r\n",
		"HTTP/1.1 2000 OK\r\n\r\n",
		"HTTP/1.1 099 OK\r\n\r\n",
		"HTTP/1.1 600 OK\r\n\r\n",
		"HTTP/1.1 200 O\x01K\r\n\r\n",
		"200 OK\r\n\r\n",
		"\r\nHTTP/1.1 200 OK\r\n\r\n",
	};
	size_t i;

	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		cr_expect_eq(parse(wrong[i]), -EBADMSG, "%s", wrong[i]);
		cr_expect(reply.why && *reply.why, "%s: no reason", wrong[i]);
	}
}

Test(response, limits)
{
	static char text[20000] = "HTTP/1.1 200 OK\r\nA: ";
	size_t scanned = 0;

	memset(text + 20, 'a', sizeof(text) - 20);
	cr_assert_eq(weir_reply_parse(text, 16383, 16384, &scanned, &reply), -EAGAIN);
	cr_assert_eq(weir_reply_parse(text, 16384, 16384, &scanned, &reply), -EMSGSIZE);
	strcpy(text, "HTTP/1.1 200 OK\r\n");
	for (int i = 0; i <= WEIR_HTTP_FIELDS_MAX; i++)
		strcat(text, "A: 1\r\n");
	strcat(text, "\r\n");
	cr_assert_eq(parse(text), -EMSGSIZE);
}

Test(response, framing_follows_rfc_9112_6_3)
{
	static const struct {
		const char *text;
		bool is_head;
		enum weir_framing framing;
	} cases[] = {
		{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false, WEIR_FRAMING_LENGTH },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true, WEIR_FRAMING_NONE },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n", false, WEIR_FRAMING_CHUNKED },
		{ "HTTP/1.1 200 OK\r\n\r\n", false, WEIR_FRAMING_CLOSE },
		{ "HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n", false, WEIR_FRAMING_NONE },
		{ "HTTP/1.1 304 No\r\nTransfer-Encoding: chunked\r\n\r\n", false, WEIR_FRAMING_NONE },
		{ "HTTP/1.1 103 No\r\n\r\n", false, WEIR_FRAMING_NONE },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_assert_eq(parse(cases[i].text), 0);
		cr_expect_eq(weir_reply_framing(&reply, cases[i].is_head), cases[i].framing, "%s", cases[i].text);
	}
}

Test(response, persistence)
{
	cr_assert_eq(parse("HTTP/1.1 200 OK\r\nConnection: a, Close\r\n\r\n"), 0);
	cr_assert(!reply.is_keep_alive);
	cr_assert_eq(parse("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n\r\n"), 0);
	cr_assert(reply.is_keep_alive);
	cr_assert_eq(parse("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n"), 0);
	cr_assert(!reply.is_keep_alive);
}

Test(fields, hops_are_the_known_and_the_listed)
{
	static const char *const hop[] = {
		"Connection",	  "KEEP-ALIVE",	      "te",  "Upgrade", "Trailer", "Transfer-Encoding",
		"content-length", "Proxy-Connection", "x-a", "X-B",	"x-c"
	};
	static const char *const end_to_end[] = { "Host", "x-d", "Date", "Content-Type", "Proxy-Authenticate", "x" };
	struct weir_str fields = WEIR_STR("Connection: X-A, x-b\r\nHost: a\r\nconnection: X-C, upgrade\r\n");
	struct weir_hops hops;
	size_t i;

	cr_assert_eq(weir_hops_collect(fields, &hops), 0);
	cr_assert(hops.has_upgrade && !hops.has_close);
	for (i = 0; i < sizeof(hop) / sizeof(hop[0]); i++)
		cr_expect(weir_is_hop(&hops, (struct weir_str){ hop[i], strlen(hop[i]) }), "%s", hop[i]);
	for (i = 0; i < sizeof(end_to_end) / sizeof(end_to_end[0]); i++)
		cr_expect(!weir_is_hop(&hops, (struct weir_str){ end_to_end[i], strlen(end_to_end[i]) }), "%s",
			  end_to_end[i]);
	cr_expect(!weir_is_trailer(&hops, WEIR_STR("Set-Cookie")) && !weir_is_trailer(&hops, WEIR_STR("host")));
	cr_expect(weir_is_trailer(&hops, WEIR_STR("Server-Timing")));
}

Test(fields, more_connection_fields_than_fit_are_refused)
{
	char text[512] = "";
	struct weir_hops hops;

	for (int i = 0; i <= WEIR_HTTP_HOPS_MAX; i++)
		strcat(text, "Connection: a\r\n");
	cr_assert_eq(weir_hops_collect((struct weir_str){ text, strlen(text) }, &hops), -E2BIG);
}

/* Reads `text` with at most `step` bytes more at a time, as a relay does. Returns the last event. */
static enum weir_chunk_event read_all(const char *text, size_t step, char *data, char *trailers)
{
	struct weir_chunked c = { 0 };
	size_t at = 0, have = 0, bytes = strlen(text), used;
	enum weir_chunk_event e;
	struct weir_str s;

	*data = *trailers = '\0';
	for (;;) {
		e = weir_chunked_read(&c, text + at, have - at, &used, &s);
		cr_assert_leq(used, have - at);
		at += used;
		if (e == WEIR_CHUNK_DATA)
			strncat(data, s.p, s.n);
		else if (e == WEIR_CHUNK_TRAILERS)
			strncat(trailers, s.p, s.n);
		else if (e != WEIR_CHUNK_MORE || have == bytes)
			return e;
		else
			have = have + step < bytes ? have + step : bytes;
	}
}

Test(chunks, body_and_trailers_come_out_however_they_are_cut)
{
	const char *text = "5\r\nhello\r\n06;ext=\"x\"\r\n world\r\n0\r\nX-A: 1\r\nX-B: 2\r\n\r\nGET";
	char data[64], trailers[64];
	size_t step;

	for (step = 1; step < strlen(text); step++) {
		cr_assert_eq(read_all(text, step, data, trailers), WEIR_CHUNK_END, "step %zu", step);
		cr_assert_str_eq(data, "hello world");
		cr_assert_str_eq(trailers, "X-A: 1\r\nX-B: 2\r\n");
	}
	cr_assert_eq(read_all("1\r\na\r\n0\r\n\r\n", 100, data, trailers), WEIR_CHUNK_END);
	cr_assert_str_empty(trailers);
}

Test(chunks, bad_framing_is_seen)
{
	static const char *const wrong[] = { "g\r\n",
					     "\r\n",
					     "5\nhello",
					     "3\r\nabcd",
					     "1\r\na\n",
					     "-1\r\n",
					     "0\r\nno colon\r\n\r\n",
					     "0\r\n: x\r\n\r\n",
					     "0\r\nA: b\rc\r\n\r\n",
					     "0\r\nA: 1\r\n B\r\n\r\n",
					     "11111111111111111\r\n" };
	char data[64], trailers[64];
	size_t i;

	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		cr_expect_eq(read_all(wrong[i], 100, data, trailers), WEIR_CHUNK_BAD, "%s", wrong[i]);
		cr_expect_eq(read_all(wrong[i], 1, data, trailers), WEIR_CHUNK_BAD, "%s, bytewise", wrong[i]);
	}
}

Test(chunks, trailer_section_has_a_limit)
{
	static char text[10000] = "0\r\nA: ";
	struct weir_chunked c = { 0 };
	struct weir_str s;
	size_t used;

	memset(text + 6, 'a', sizeof(text) - 6);
	cr_assert_eq(weir_chunked_read(&c, text, 8000, &used, &s), WEIR_CHUNK_MORE);
	cr_assert_eq(weir_chunked_read(&c, text + used, 9000, &used, &s), WEIR_CHUNK_BAD);
}
