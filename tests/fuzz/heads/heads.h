/* SPDX-License-Identifier: GPL-2.0 */
/* Makes request heads, most of them nearly right: from a grammar of what parsers trip over, from heads of real
 * clients, and by mutating both. Deterministic: the same seed gives the same heads. One thread. */
#ifndef WEIR_FUZZ_HEADS_H
#define WEIR_FUZZ_HEADS_H

#include <ctype.h>
#include <stdint.h>
#include <string.h>

#include "common/macro.h"
#include "harness/prog_heads.h"

#define HEADS_BYTES_MAX 3400 /* what a test run of an XDP program can take in one piece */

struct heads {
	uint64_t state; /* of the generator; not 0 */
	size_t bytes;
	char text[HEADS_BYTES_MAX];
};

/* xorshift64* */
static inline uint32_t heads_random(struct heads *h, uint32_t below)
{
	h->state ^= h->state >> 12;
	h->state ^= h->state << 25;
	h->state ^= h->state >> 27;
	return (uint32_t)((h->state * 0x2545f4914f6cdd1dULL) >> 32) % below;
}

static inline bool heads_one_in(struct heads *h, uint32_t n)
{
	return heads_random(h, n) == 0;
}

static inline void heads_add(struct heads *h, const char *text, size_t bytes)
{
	bytes = MIN(bytes, HEADS_BYTES_MAX - h->bytes);
	memcpy(h->text + h->bytes, text, bytes);
	h->bytes += bytes;
}

#define HEADS_PICK(h, rows) heads_add_text(h, rows[heads_random(h, ARRAY_SIZE(rows))])

static inline void heads_add_text(struct heads *h, const char *text)
{
	heads_add(h, text, strlen(text));
}

static inline void heads_add_target(struct heads *h)
{
	static const char *const whole[] = { "/", "*", "/?", "http://a.example/", "", "//", "/..", "/.", "a" };
	static const char *const pieces[] = {
		"/", "/a", "/index.html", "?", "?a=b", "&c", "%20", "%2f", "%", "..", "/../", ".", "/./", "//", ";x",
		"#f", "~", "$", "[", "]", "\\", "\"", "'", "(", ")", "|", "{", "\xc3\xa4", "0123456789", ":", "@", "+",
		"=", "!", ",", "*", "_", "-", "^", "`", "<", ">", "\t", "\x7f", "%41",
	};
	uint32_t n;

	if (heads_one_in(h, 6)) {
		HEADS_PICK(h, whole);
		return;
	}
	heads_add_text(h, "/");
	for (n = heads_random(h, 5); n > 0; n--)
		heads_add(h, pieces[heads_random(h, heads_one_in(h, 3) ? ARRAY_SIZE(pieces) : 5)], 10);
}

static inline void heads_add_request_line(struct heads *h)
{
	static const char *const methods[] = {
		"GET ", "HEAD ", "POST ", "get ", "GET  ", "OPTIONS ", " GET ", "G\tT ", "GETT ",
	};
	static const char *const versions[] = {
		" HTTP/1.1\r\n", " HTTP/1.0\r\n", " HTTP/1.2\r\n", " HTTP/1.1\n", " HTTP/2.0\r\n", "\r\n",
		" HTTP/1.1 \r\n", " http/1.1\r\n", "  HTTP/1.1\r\n", " HTTP/01.1\r\n",
	};

	if (heads_one_in(h, 50))
		heads_add_text(h, "\r\n");
	heads_add_text(h, methods[heads_random(h, heads_one_in(h, 10) ? ARRAY_SIZE(methods) : 2)]);
	heads_add_target(h);
	heads_add_text(h, versions[heads_random(h, heads_one_in(h, 10) ? ARRAY_SIZE(versions) : 2)]);
}

static inline void heads_add_host(struct heads *h)
{
	static const char *const hosts[] = {
		"a.example", "A.Example:80", "127.0.0.1:8080", "[::1]", "[::1]:80", "[2001:DB8::1]",
		"[::ffff:192.0.2.1]", "localhost", "a", "-", ".", "..", "a.", ".a", "a..b", "1", "a:0", "a:00080",
		"a:65535", "a:65536", "a:99999", "a:123456789012345678901234567890", "a:", ":80", "", "a b", "a,b",
		"a_b", "a/b", "u@a", "[]", "[:]", "[::]", "[:::]", "[::1", "::1", "[::g]", "[1]", "[.]", "[1.2.3.4]",
		"[::1.2.3]", "[::1.2.3.4.5]", "[::256.1.1.1]", "[1:2:3:4:5:6:7:8]", "[1:2:3:4:5:6:7:8:9]",
		"[1:2:3:4:5:6:7::8]", "[12345::]", "[1::2::3]", "[::1]a", "[::01.2.3.4]", "[fe80::1%25eth0]", "[v1.a]",
		"xn--4ca", "a%41", "\xc3\xa4", "999.999.999.999", "1.2.3", "0x7f.1",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example",
	};

	HEADS_PICK(h, hosts);
}

/* A field name, now and then in odd case. */
static inline void heads_add_name(struct heads *h, const char *name)
{
	size_t from = h->bytes;

	heads_add_text(h, name);
	for (; heads_one_in(h, 3) && from < h->bytes; from++)
		h->text[from] = (char)(heads_one_in(h, 2) ? toupper((unsigned char)h->text[from]) :
							    tolower((unsigned char)h->text[from]));
}

static inline void heads_add_list(struct heads *h, const char *const *tokens, size_t count)
{
	static const char *const between[] = { ", ", ",", " , ", " ", ",,", ", ,", "\t,", ",\t", ";" };
	uint32_t n;

	for (n = heads_random(h, 4); n > 0; n--) {
		heads_add_name(h, tokens[heads_random(h, (uint32_t)count)]);
		if (n > 1 || heads_one_in(h, 8))
			heads_add_text(h, between[heads_random(h, heads_one_in(h, 4) ? ARRAY_SIZE(between) : 2)]);
	}
}

static inline void heads_add_field(struct heads *h)
{
	static const char *const connection[] = {
		"close", "keep-alive", "upgrade", "TE", "xxep-alive", "closed", "xclose",
	};
	static const char *const codings[] = {
		"gzip",
		"br",
		"zstd",
		"deflate",
		"identity",
		"*",
		"x-gzip",
		"gzip;q=0",
		"gzip;q=1",
		"compress",
		"xzstd",
		"br;q=0.5",
		"*;q=0.1",
		"*;q=0",
		"identity;q=0.000",
		"gzip; Q=1.000",
		"br ;q=0.",
		"zstd;q=1.001",
		"deflate;q=0.0001",
		"gzip;q=1;q=1",
		"br;x=1",
		"zstd;q=",
		";q=1",
		"gzip;q=0.999", "br;q=0.25", "identity;q=0.3", "gzip;",
		"deflate;q=0.000",
	};
	static const char *const conditions[] = {
		"If-None-Match: \"a\"",
		"If-None-Match: W/\"a,b\"",
		"If-None-Match: *",
		"If-None-Match: \"a\", \"b\"",
		"If-None-Match: \"a b\"",
		"If-None-Match: \"",
		"If-None-Match: w/\"a\"",
		"If-None-Match: a",
		"If-None-Match: \"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ\"",
		"If-None-Match: \"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.\"",
		"If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT",
		"If-Modified-Since: Sun Nov  6 08:49:37 1994",
		"If-Modified-Since: x",
		"If-Modified-Since: \"34567890123456789012345678\"",
	};
	static const char *const others[] = {
		"Accept: */*", "User-Agent: x", "Cookie: a=b; c=d", "Content-Length: 0", "Content-Length: 5",
		"Content-Length: +0", "Transfer-Encoding: chunked", "Transfer-Encoding: identity",
		"Authorization: Basic eDp5", "Range: bytes=0-1", "If-None-Match: \"a\"", "If-Modified-Since: x",
		"If-Match: *", "If-Range: x", "If-Unmodified-Since: x", "Expect: 100-continue", "Upgrade: h2c",
		"HTTP2-Settings: AAMAAABk", "Keep-Alive: timeout=5", "TE: trailers", "Proxy-Connection: close",
		"X-Empty:", "X:y", "X: \xc3\xa4", "X: a\tb", "X : y", " X: y", "X", ": y", "\tfold", "X: \x01",
		"X: \x7f", "Trailer: X", "Via: 1.1 a", "Cache-Control: no-cache", "Pragma: no-cache", "Hosts: a",
		"Hos: a", "X-Forwarded-Host: b", "(X): y", "X\x1ay", "Host\x1a a", "Content-Length\x1a 5", "X: y\rZ: z",
		"X: y\nZ: z",
	};
	static const char *const spaces[] = { ": ", ":", ":  ", ":\t", " : ", ": \t " };
	static const char *const ends[] = { "\r\n", "\n", " \r\n", "\t\r\n", "\r\r\n", "\r\n ", "\r" };
	uint32_t kind = heads_random(h, 9);

	if (kind < 4) {
		heads_add_name(h, kind < 1 ? "Host" : kind < 2 ? "Connection" : "Accept-Encoding");
		heads_add_text(h, spaces[heads_random(h, heads_one_in(h, 6) ? ARRAY_SIZE(spaces) : 2)]);
	}
	if (kind < 1)
		heads_add_host(h);
	else if (kind < 2)
		heads_add_list(h, connection, heads_one_in(h, 3) ? ARRAY_SIZE(connection) : 2);
	else if (kind < 4)
		heads_add_list(h, codings, heads_one_in(h, 3) ? ARRAY_SIZE(codings) : 4);
	else if (kind < 5)
		heads_add_name(h, conditions[heads_random(h, ARRAY_SIZE(conditions))]);
	else
		heads_add_name(h, others[heads_random(h, heads_one_in(h, 3) ? ARRAY_SIZE(others) : 3)]);
	heads_add_text(h, ends[heads_random(h, heads_one_in(h, 20) ? ARRAY_SIZE(ends) : 1)]);
}

static inline void heads_from_grammar(struct heads *h)
{
	uint32_t n;

	heads_add_request_line(h);
	if (!heads_one_in(h, 10)) {
		heads_add_text(h, "Host: ");
		heads_add_host(h);
		heads_add_text(h, "\r\n");
	}
	for (n = heads_random(h, 5); n > 0; n--)
		heads_add_field(h);
	heads_add_text(h, "\r\n");
}

/* Replaces `cut` bytes at `at` by `bytes` of `with`. */
static inline void heads_splice(struct heads *h, size_t at, size_t cut, const char *with, size_t bytes)
{
	char copy[HEADS_BYTES_MAX];
	size_t rest;

	at = MIN(at, h->bytes);
	cut = MIN(cut, h->bytes - at);
	rest = h->bytes - at - cut;
	memcpy(copy, h->text + at + cut, rest);
	h->bytes = at;
	heads_add(h, with, bytes);
	heads_add(h, copy, rest);
}

static inline void heads_mutate(struct heads *h)
{
	static const char *const words[] = {
		"\r\n", "\r", "\n", " ", "\t", ":", ",", "\r\n ", "\r\n\r\n", "Host: b\r\n", "%00", "/", "//", "/./",
		"?", "#", "close", "gzip", ";q=0", "HTTP/1.0", "GET ", "\x1a", "\x0d", "[", "]",
	};
	size_t at = heads_random(h, (uint32_t)h->bytes + 1), n = heads_random(h, 12);
	char copy[HEADS_BYTES_MAX], byte = (char)heads_random(h, 256);
	const char *word = words[heads_random(h, ARRAY_SIZE(words))];

	switch (heads_random(h, 7)) {
	case 0:
		heads_splice(h, at, 1, &byte, 1);
		break;
	case 1:
		heads_splice(h, at, 0, &byte, 1);
		break;
	case 2:
		heads_splice(h, at, n, "", 0);
		break;
	case 3:
		heads_splice(h, at, 0, word, strlen(word));
		break;
	case 4:
		memcpy(copy, h->text, h->bytes);
		heads_splice(h, at, 0, copy, MIN(n * 8, h->bytes));
		break;
	case 5:
		if (at < h->bytes)
			h->text[at] = (char)(h->text[at] ^ 1 << heads_random(h, 8));
		break;
	default:
		if (heads_one_in(h, 8))
			h->bytes = at;
	}
}

/* The next head, 1 to HEADS_BYTES_MAX bytes. */
static inline void heads_next(struct heads *h)
{
	uint32_t n;

	do {
		h->bytes = 0;
		if (heads_one_in(h, 8))
			HEADS_PICK(h, prog_heads);
		else
			heads_from_grammar(h);
		for (n = heads_random(h, 4); n > 1; n--)
			heads_mutate(h);
	} while (!h->bytes);
}

#endif
