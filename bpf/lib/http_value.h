/* SPDX-License-Identifier: GPL-2.0 */
/* Values of the fields that decide: Host, Connection, Accept-Encoding; and how all others are skipped. */
#ifndef WEIR_LIB_HTTP_VALUE_H
#define WEIR_LIB_HTTP_VALUE_H

#include "lib/http_chars.h"

/* Value bytes that decide nothing: eight at a time until a control character. */
static __always_inline long head_value(struct weir_scratch *s, struct weir_req *r)
{
	const __u64 ones = 0x0101010101010101ULL, highs = 0x8080808080808080ULL;
	__u64 w = head_word(s, r->at);
	__u64 del = w ^ 0x7f7f7f7f7f7f7f7fULL;
	__u64 bad = (w - ones * 0x20) & ~w & highs;
	__u32 at;

	bad |= (del - ones) & ~del & highs;
	if (!bad) {
		r->at += 8;
		return 0;
	}
	/* The lowest flagged byte is exact; its index is 7 - the byte of the product's factor. */
	bad = (bad & -bad) >> 7;
	at = r->at + (__u32)((bad * 0x0001020304050607ULL) >> 56);
	r->at = at;
	if (at + 1 >= r->end)
		return head_stop(r, WEIR_MISS_INCOMPLETE);
	if ((head_word(s, at) & 0xffff) != W('\r', '\n', 0, 0, 0, 0, 0, 0))
		return head_stop(r, WEIR_MISS_GRAMMAR);
	r->at = at + 2;
	r->state = HEAD_LINE;
	return 0;
}

/* One byte of an IPv6 literal, RFC 3986 3.2.2; kept with its brackets. */
static __always_inline long head_literal(struct weir_req *r, __u8 c)
{
	__u32 n = r->host_bytes;
	__u8 lower = c | 0x20;

	if (c == ']') {
		r->was = LIST_TAIL;
	} else if (c == '[' && !n) {
		r->was = LIST_BRACKET;
	} else if (c != ':' && c != '.' && !head_is_digit(c)) {
		if (lower < 'a' || lower > 'f')
			return head_stop(r, WEIR_MISS_HOST);
		c = lower;
	}
	if (n >= WEIR_HOST_MAX || (c == ']' && n < 3))
		return head_stop(r, WEIR_MISS_HOST);
	opaque(n);
	r->host[n & (WEIR_HOST_MAX - 1)] = (char)c;
	r->host_bytes = n + 1;
	r->at++;
	return 0;
}

/* Stores a run of host bytes in lower case; 0 when there is none or it is too long. */
static __always_inline __u32 head_host_run(struct weir_scratch *s, struct weir_req *r)
{
	__u64 w = head_word(s, r->at);
	__u32 n = r->host_bytes, run = head_run(w, CHAR_HOST);

	if (!run || n + run > WEIR_HOST_MAX)
		return 0;
	r->at += run;
	r->host_bytes = n + run;
	opaque(n);
	*(__u64 *)(r->host + (n & (WEIR_HOST_MAX - 1))) = w | LOWER8;
	return run;
}

/* Some bytes of Host: name[:port], stored in lower case; the port is the endpoint's affair. */
static __always_inline long head_host(struct weir_scratch *s, struct weir_req *r)
{
	__u8 c = head_word(s, r->at) & 0xff;
	__u32 n = r->host_bytes, run;

	if (c == ' ' && !n) {
		r->at++;
		c = head_word(s, r->at) & 0xff;
		if (c == ' ' || r->at >= r->end)
			return 0;
	}
	if (r->was == LIST_START && (head_chars[c] & CHAR_HOST)) {
		run = head_host_run(s, r);
		if (run == 8)
			run = head_host_run(s, r);
		c = head_word(s, r->at) & 0xff;
		if (run && (head_chars[c] & CHAR_HOST))
			return r->at < r->end ? 0 : head_stop(r, WEIR_MISS_INCOMPLETE);
		if (c != '\r')
			n = r->host_bytes;
	}
	if (c == '\r') {
		if (!r->host_bytes || r->was == LIST_BRACKET || !head_line_end(s, r))
			return head_stop(r, r->at + 1 >= r->end ? WEIR_MISS_INCOMPLETE :
								 WEIR_MISS_HOST);
		r->has_host = 1;
		return 0;
	}
	if (r->at >= r->end)
		return head_stop(r, WEIR_MISS_INCOMPLETE);
	if (c == ':' && n && r->was != LIST_SPACE && r->was != LIST_BRACKET) {
		r->at++;
		r->was = LIST_SPACE; /* digits of the port follow, one at least */
		if (r->at >= r->end)
			return head_stop(r, WEIR_MISS_INCOMPLETE);
		return head_is_digit(head_word(s, r->at) & 0xff) ? 0 :
								   head_stop(r, WEIR_MISS_HOST);
	}
	if (r->was == LIST_SPACE) {
		r->at++;
		r->token = r->token * 10 + (c - '0');
		r->token_bytes++;
		return head_is_digit(c) && r->token_bytes <= 5 && r->token <= 65535 ?
			       0 :
			       head_stop(r, WEIR_MISS_HOST);
	}
	if (r->was == LIST_BRACKET || (c == '[' && !n))
		return head_literal(r, c);
	return head_stop(r, WEIR_MISS_HOST);
}

static __always_inline void head_token_end(struct weir_req *r)
{
	__u32 n = r->token_bytes;
	__u64 t = r->token;

	if (!n)
		return;
	r->token = 0;
	r->token_bytes = 0;
	if (r->header == FIELD_CONNECTION) {
		if (n == 5 && t == 0x636c6f7365ULL) /* close */
			r->wants_close = 1;
		else if (n == 10 && t == 0x6b6565702d616c69ULL && r->token_rest == 0x7665) /* keep-alive */
			r->wants_keepalive = 1;
		else
			head_miss(r, WEIR_MISS_CONNECTION);
		return;
	}
	if (n == 4 && t == 0x677a6970ULL)
		r->encodings |= WEIR_ENCODING_GZIP;
	else if (n == 2 && t == 0x6272ULL)
		r->encodings |= WEIR_ENCODING_BR;
	else if (n == 4 && t == 0x7a737464ULL)
		r->encodings |= WEIR_ENCODING_ZSTD;
	else if (n == 7 && t == 0x6465666c617465ULL)
		r->encodings |= WEIR_ENCODING_DEFLATE;
	else
		head_miss(r, WEIR_MISS_ENCODING);
}

/* One byte of a list of tokens: Connection, Accept-Encoding. */
static __always_inline long head_list(struct weir_req *r, __u8 c)
{
	if (c == '\r') {
		head_token_end(r);
		r->state = HEAD_VALUE;
		return 0;
	}
	r->at++;
	if (c == ',' || c == ' ') {
		head_token_end(r);
		if (c == ',')
			r->was = LIST_START;
		else if (r->was == LIST_TOKEN)
			r->was = LIST_SPACE;
		return 0;
	}
	if (!(head_chars[c] & CHAR_TOKEN) || r->was == LIST_SPACE) {
		head_miss(r, r->header == FIELD_CONNECTION ? WEIR_MISS_CONNECTION :
							     WEIR_MISS_ENCODING);
		r->state = HEAD_VALUE;
		return 0;
	}
	if (c >= 'A' && c <= 'Z')
		c += 'a' - 'A';
	r->was = LIST_TOKEN;
	if (r->token_bytes < 8)
		r->token = r->token << 8 | c;
	else
		r->token_rest = (__u16)(r->token_rest << 8 | c);
	r->token_bytes++;
	return 0;
}

#endif
