/* SPDX-License-Identifier: GPL-2.0 */
/* Values of the fields that decide: Host, Connection, Accept-Encoding; and how all others are skipped. */
#ifndef WEIR_LIB_HTTP_VALUE_H
#define WEIR_LIB_HTTP_VALUE_H

#include "lib/http_chars.h"

#include "weir/key.h"

#define VALUE_WORDS 4 /* a step */

/* Flags the control characters of eight bytes; the lowest flag is exact. */
static __always_inline __u64 head_controls(__u64 w)
{
	__u64 del = w ^ BYTES(0x7f);

	return (((w - BYTES(0x20)) & ~w) | ((del - BYTES(1)) & ~del)) & HIGHS;
}

/* Value bytes that decide nothing, until a control character. */
static __always_inline long head_value(struct weir_scratch *s, struct weir_req *r)
{
	__u32 at = r->at, i;
	__u64 bad = 0;

#pragma clang loop unroll(full)
	for (i = 0; i < VALUE_WORDS; i++) {
		bad = head_controls(head_word(s, at));
		if (bad)
			break;
		at += 8;
	}
	if (bad)
		at += head_first(bad);
	r->at = at;
	if (!bad)
		return 0;
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
	__u32 n = r->host_bytes, run = head_run_to(w, CHAR_HOST, ':', '\r');

	if (!run || n + run > WEIR_HOST_MAX)
		return 0;
	r->at += run;
	r->host_bytes = n + run;
	opaque(n);
	*(__u64 *)(r->host + (n & (WEIR_HOST_MAX - 1))) = w | LOWER8;
	return run;
}

/* The colon and the port behind it, which ends the field. */
static __always_inline long head_port(struct weir_scratch *s, struct weir_req *r)
{
	__u64 w = head_word(s, r->at + 1);
	__u32 port = 0, digits = 0, i;

#pragma clang loop unroll(full)
	for (i = 0; i < 5; i++) {
		if (!head_is_digit(w & 0xff))
			break;
		port = port * 10 + (w & 0xff) - '0';
		w >>= 8;
		digits++;
	}
	r->at += 1 + digits;
	if (r->at < r->end && (!digits || port > 65535))
		return head_stop(r, WEIR_MISS_HOST);
	if (head_line_end(s, r)) {
		r->has_host = 1;
		return 0;
	}
	return head_stop(r, r->at + 1 >= r->end ? WEIR_MISS_INCOMPLETE : WEIR_MISS_HOST);
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
	if (c == ':' && n && r->was != LIST_BRACKET)
		return head_port(s, r);
	if (r->was == LIST_BRACKET || (c == '[' && !n))
		return head_literal(r, c);
	return head_stop(r, WEIR_MISS_HOST);
}

/* Takes note of a coding of Accept-Encoding. One that is named twice must have the same weight. */
static __always_inline void head_coding(struct weir_req *r, __u64 t, __u32 n, __u16 weight)
{
	__u32 place = 4;
	__u8 bit;

	if (n == 2 && t == W('b', 'r', 0, 0, 0, 0, 0, 0)) {
		bit = WEIR_ENCODING_BR;
		place = 0;
	} else if (n == 4 && t == W('z', 's', 't', 'd', 0, 0, 0, 0)) {
		bit = WEIR_ENCODING_ZSTD;
		place = 1;
	} else if ((n == 4 && t == W('g', 'z', 'i', 'p', 0, 0, 0, 0)) ||
		   (n == 6 && t == W('x', '-', 'g', 'z', 'i', 'p', 0, 0))) { /* RFC 9110 8.4.1.3 */
		bit = WEIR_ENCODING_GZIP;
		place = 2;
	} else if (n == 7 && t == W('d', 'e', 'f', 'l', 'a', 't', 'e', 0)) {
		bit = WEIR_ENCODING_DEFLATE;
		place = 3;
	} else if (n == 1 && t == '*') {
		bit = WEIR_ENCODING_ANY;
	} else if (n == 8 && t == W('i', 'd', 'e', 'n', 't', 'i', 't', 'y')) {
		bit = 0;
	} else {
		return; /* nothing that a pool offers */
	}
	if (place == 4) {
		if (!weight) /* what has no coding is refused */
			head_miss(r, WEIR_MISS_ENCODING);
		if (r->weights[4] < weight + 1)
			r->weights[4] = weight + 1;
		r->named |= bit;
		return;
	}
	if (r->named & bit && r->weights[place] != weight + 1)
		head_miss(r, WEIR_MISS_ENCODING);
	r->weights[place] = weight + 1;
	r->named |= bit;
	if (weight)
		r->encodings |= bit;
}

/* Weights are plain if they prefer nothing against our own order, or a set of codings would not say what is chosen. */
static __always_inline void head_codings_end(struct weir_req *r)
{
	__u32 least = 1001, i;

	if (r->named & WEIR_ENCODING_ANY)
		r->encodings |= (__u8)(((WEIR_ENCODING__COUNT - 1) & ~r->named) * WEIR_ENCODING_ANY);
	if (!r->has_weights)
		return;
#pragma clang loop unroll(full)
	for (i = 0; i < 5; i++) {
		if (r->weights[i] <= 1)
			continue;
		if (r->weights[i] > least)
			head_miss(r, WEIR_MISS_ENCODING);
		least = r->weights[i];
	}
}

static __always_inline void head_token_end(struct weir_req *r, __u16 weight)
{
	__u32 n = r->token_bytes;
	__u64 t = r->token;

	if (!n)
		return;
	r->token_bytes = 0;
	if (r->header == FIELD_ENCODING) {
		head_coding(r, t, n, weight);
		return;
	}
	if (n == 5 && t == W('c', 'l', 'o', 's', 'e', 0, 0, 0))
		r->wants_close = 1;
	else if (n == 10 && t == W('k', 'e', 'e', 'p', '-', 'a', 'l', 'i') &&
		 r->token_rest == W('v', 'e', 0, 0, 0, 0, 0, 0))
		r->wants_keepalive = 1;
	else
		head_miss(r, WEIR_MISS_CONNECTION);
}

/* A list that is not read on. */
static __always_inline long head_list_bad(struct weir_req *r)
{
	head_miss(r, r->header == FIELD_CONNECTION ? WEIR_MISS_CONNECTION : WEIR_MISS_ENCODING);
	r->state = HEAD_VALUE;
	return 0;
}

/* "q=" and a qvalue, RFC 9110 12.4.2. */
static __always_inline long head_weight(struct weir_req *r, __u64 w)
{
	__u32 n = 3, scale = 100, weight, i;
	__u8 first = w >> 16 & 0xff;

	if ((w & 0xff) == ' ') {
		r->at++;
		return 0;
	}
	if (((w | 0x20) & 0xffff) != W('q', '=', 0, 0, 0, 0, 0, 0) || (first != '0' && first != '1'))
		return head_list_bad(r);
	weight = first == '1' ? 1000 : 0;
	if ((w >> 24 & 0xff) == '.') {
		n = 4;
#pragma clang loop unroll(full)
		for (i = 4; i < 7; i++) {
			__u8 c = w >> (8 * i) & 0xff;

			if (!head_is_digit(c))
				break;
			weight += (c - '0') * scale;
			scale /= 10;
			n++;
		}
	}
	if (weight > 1000)
		return head_list_bad(r);
	r->at += n;
	r->was = LIST_TAIL;
	r->has_weights = 1;
	head_token_end(r, (__u16)weight);
	return 0;
}

/* Up to eight bytes of a token; then what is behind it. */
static __always_inline long head_list(struct weir_scratch *s, struct weir_req *r)
{
	__u64 w = head_word(s, r->at);
	__u32 run;
	__u8 c;

	if (r->was == LIST_WEIGHT)
		return head_weight(r, w);
	if (r->was == LIST_START || r->was == LIST_TOKEN) {
		run = head_run_to(w, CHAR_TOKEN, ',', '\r');
		if (run) {
			w = weir_key_mask(w | LOWER8, run);
			if (!r->token_bytes)
				r->token = w;
			else if (r->token_bytes == 8)
				r->token_rest = (__u16)w;
			r->token_bytes += run;
			r->was = LIST_TOKEN;
			r->at += run;
			if (run == 8)
				return 0;
		}
	}
	if (r->at >= r->end)
		return head_stop(r, WEIR_MISS_INCOMPLETE);
	w = head_word(s, r->at);
	c = w & 0xff;
	if (c == '\r') {
		head_token_end(r, 1000);
		if (head_line_end(s, r))
			return 0;
		return head_stop(r, r->at + 1 >= r->end ? WEIR_MISS_INCOMPLETE : WEIR_MISS_GRAMMAR);
	}
	if (c == ',') {
		head_token_end(r, 1000);
		r->was = LIST_START;
		r->at += (w >> 8 & 0xff) == ' ' ? 2 : 1;
		return 0;
	}
	if (c == ' ') {
		if (r->was == LIST_TOKEN)
			r->was = LIST_SPACE;
		r->at++;
		return 0;
	}
	if (c == ';' && r->header == FIELD_ENCODING && r->token_bytes) {
		r->was = LIST_WEIGHT;
		r->at++;
		return 0;
	}
	return head_list_bad(r);
}

#endif
