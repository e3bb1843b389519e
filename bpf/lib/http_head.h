/* SPDX-License-Identifier: GPL-2.0 */
/* The strict request-head parser of XDP (DESIGN rule 2): takes a subset of RFC 9112 and names the first reason
 * why a request is not the plain case. A request that it refuses is no bad request, only a worker's.
 * It reads on after most reasons, so that Host and target can still choose the pool.
 *
 * One state machine over head[], driven by bpf_loop(): one step is one byte of a name, a target or a
 * list, or up to eight bytes of a value that decides nothing. All state is in struct weir_req. */
#ifndef WEIR_LIB_HTTP_HEAD_H
#define WEIR_LIB_HTTP_HEAD_H

#include "lib/base.h"
#include "lib/scratch.h"

#include "weir/cache.h"
#include "weir/verdict.h"

enum head_state {
	HEAD_METHOD,
	HEAD_TARGET,
	HEAD_LINE,
	HEAD_NAME,
	HEAD_VALUE,
	HEAD_HOST,
	HEAD_LIST,
	HEAD_DONE,
};

enum head_field {
	FIELD_PLAIN,
	FIELD_HOST = 1,
	FIELD_CONNECTION = 2,
	FIELD_ENCODING = 4,
};

enum head_list {
	LIST_START, /* before a token */
	LIST_TOKEN,
	LIST_SPACE, /* behind a token, only a comma may follow */
	LIST_BRACKET, /* Host: inside [IPv6] */
	LIST_TAIL,    /* Host: behind ']', only a port may follow */
};

#define CHAR_TOKEN 1  /* tchar, RFC 9110 5.6.2 */
#define CHAR_PATH 2   /* pchar without '%', and '/', RFC 3986 3.3 */
#define CHAR_QUERY 4  /* the same, with '%' and '?' */
#define CHAR_HOST 8   /* letters, digits, '.', '-': lower case is one OR with 0x20 */
#define CHAR_RUN 16   /* path bytes that mean nothing by themselves: all but '/' */

#define HEAD_MASK (WEIR_HEAD_MAX - 1)

#define ALNUM (CHAR_TOKEN | CHAR_PATH | CHAR_QUERY | CHAR_HOST | CHAR_RUN)
#define TPQ (CHAR_TOKEN | CHAR_PATH | CHAR_QUERY | CHAR_RUN)
#define PQ (CHAR_PATH | CHAR_QUERY | CHAR_RUN)

static const __u8 head_chars[256] = {
	['0' ... '9'] = ALNUM, ['A' ... 'Z'] = ALNUM, ['a' ... 'z'] = ALNUM,
	['-'] = ALNUM, ['.'] = ALNUM, ['_'] = TPQ, ['~'] = TPQ, ['!'] = TPQ, ['$'] = TPQ,
	['&'] = TPQ, ['\''] = TPQ, ['*'] = TPQ, ['+'] = TPQ, ['#'] = CHAR_TOKEN,
	['^'] = CHAR_TOKEN, ['`'] = CHAR_TOKEN, ['|'] = CHAR_TOKEN,
	['%'] = CHAR_TOKEN | CHAR_QUERY, ['('] = PQ, [')'] = PQ, [','] = PQ, [';'] = PQ,
	['='] = PQ, [':'] = PQ, ['@'] = PQ, ['/'] = CHAR_PATH | CHAR_QUERY, ['?'] = CHAR_QUERY,
};


static __always_inline __u64 head_word(const struct weir_scratch *s, __u32 at)
{
	opaque(at);
	return *(const __u64 *)(s->head + (at & HEAD_MASK));
}

/* How many of the eight bytes of `w`, from the lowest, are of class `flag`. */
static __always_inline __u32 head_run(__u64 w, __u8 flag)
{
	__u32 i;

#pragma clang loop unroll(full)
	for (i = 0; i < 8; i++)
		if (!(head_chars[(w >> (8 * i)) & 0xff] & flag))
			return i;
	return 8;
}

/* Keeps the first reason; those that make the rest meaningless also end the parser. */
static __always_inline void head_miss(struct weir_req *r, enum weir_miss miss)
{
	if (!r->miss)
		r->miss = (__u8)miss;
}

static __always_inline long head_stop(struct weir_req *r, enum weir_miss miss)
{
	head_miss(r, miss);
	return 1;
}

#define LOWER8 0x2020202020202020ULL
#define W(a, b, c, d, e, f, g, h)                                                                  \
	((__u64)(a) | (__u64)(b) << 8 | (__u64)(c) << 16 | (__u64)(d) << 24 | (__u64)(e) << 32 |   \
	 (__u64)(f) << 40 | (__u64)(g) << 48 | (__u64)(h) << 56)

/* Names the field whose name is head[name_at .. at) and says how its value is read. */
static __always_inline void head_field_name(struct weir_scratch *s, struct weir_req *r)
{
	__u32 bytes = r->at - r->name_at;
	__u64 first = head_word(s, r->name_at) | LOWER8;
	__u64 last = head_word(s, r->at - 8) | LOWER8;
	__u8 field = FIELD_PLAIN;

	switch (bytes) {
	case 4:
		if ((__u32)first == (__u32)W('h', 'o', 's', 't', 0, 0, 0, 0))
			field = FIELD_HOST;
		break;
	case 5:
		if ((first & 0xffffffffffULL) == W('r', 'a', 'n', 'g', 'e', 0, 0, 0))
			head_miss(r, WEIR_MISS_RANGE);
		break;
	case 6:
		if ((first & 0xffffffffffffULL) == W('e', 'x', 'p', 'e', 'c', 't', 0, 0))
			head_miss(r, WEIR_MISS_EXPECT);
		break;
	case 7:
		if ((first & 0xffffffffffffffULL) == W('u', 'p', 'g', 'r', 'a', 'd', 'e', 0))
			head_miss(r, WEIR_MISS_UPGRADE);
		break;
	case 8:
	case 13:
	case 17:
	case 19:
		if ((first & 0xffffff) == W('i', 'f', '-', 0, 0, 0, 0, 0))
			head_miss(r, WEIR_MISS_CONDITIONAL);
		else if (first == W('a', 'u', 't', 'h', 'o', 'r', 'i', 'z'))
			head_miss(r, WEIR_MISS_AUTHORIZATION);
		else if (first == W('t', 'r', 'a', 'n', 's', 'f', 'e', 'r'))
			head_miss(r, WEIR_MISS_BODY);
		break;
	case 10:
		if (first == W('c', 'o', 'n', 'n', 'e', 'c', 't', 'i') &&
		    last == W('n', 'n', 'e', 'c', 't', 'i', 'o', 'n'))
			field = FIELD_CONNECTION;
		break;
	case 14:
		if (first == W('c', 'o', 'n', 't', 'e', 'n', 't', '-') &&
		    last == W('t', '-', 'l', 'e', 'n', 'g', 't', 'h'))
			head_miss(r, WEIR_MISS_BODY);
		else if (first == W('h', 't', 't', 'p', '2', '-', 's', 'e'))
			head_miss(r, WEIR_MISS_UPGRADE);
		break;
	case 15:
		if (first == W('a', 'c', 'c', 'e', 'p', 't', '-', 'e') &&
		    last == W('e', 'n', 'c', 'o', 'd', 'i', 'n', 'g'))
			field = FIELD_ENCODING;
		break;
	}
	r->header = field;
	r->token = 0;
	r->token_bytes = 0;
	r->was = LIST_START;
	r->state = field == FIELD_PLAIN ? HEAD_VALUE :
		   field == FIELD_HOST	? HEAD_HOST :
					  HEAD_LIST;
	if (field & r->seen)
		head_miss(r, field == FIELD_HOST       ? WEIR_MISS_HOST :
			     field == FIELD_CONNECTION ? WEIR_MISS_CONNECTION :
							 WEIR_MISS_ENCODING);
	if (field == FIELD_HOST && (field & r->seen))
		r->state = HEAD_VALUE;
	r->seen |= field;
}

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

/* Is the CRLF of a line at `at`? Then the next line begins. */
static __always_inline bool head_line_end(struct weir_scratch *s, struct weir_req *r)
{
	if (r->at + 1 >= r->end || (head_word(s, r->at) & 0xffff) != W('\r', '\n', 0, 0, 0, 0, 0, 0))
		return false;
	r->at += 2;
	r->state = HEAD_LINE;
	return true;
}

static __always_inline bool head_is_digit(__u64 c)
{
	return c >= '0' && c <= '9';
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

/* Method: GET and HEAD are plain, any other token is a worker's. */
static __always_inline long head_method(struct weir_scratch *s, struct weir_req *r, __u32 start)
{
	__u64 w = head_word(s, start);

	if ((__u32)w == (__u32)W('G', 'E', 'T', ' ', 0, 0, 0, 0)) {
		r->at = start + 4;
	} else if ((w & 0xffffffffffULL) == W('H', 'E', 'A', 'D', ' ', 0, 0, 0)) {
		r->at = start + 5;
		r->is_head = 1;
	} else {
		__u8 c = s->head[r->at & HEAD_MASK];

		if (c == ' ' && r->at > start) {
			r->at++;
		} else if ((head_chars[c] & CHAR_TOKEN) && r->at < start + 32) {
			r->at++;
			return 0;
		} else {
			return head_stop(r, WEIR_MISS_GRAMMAR);
		}
		head_miss(r, WEIR_MISS_METHOD);
	}
	r->target_at = r->at;
	r->state = HEAD_TARGET;
	return 0;
}

/* The space behind the target: version and end of line must follow. */
static __always_inline long head_target_end(struct weir_scratch *s, struct weir_req *r)
{
	__u32 at = r->at, n = at - r->target_at;
	__u64 version;

	if (!n || n > WEIR_TARGET_MAX)
		return head_stop(r, WEIR_MISS_TARGET);
	r->target_bytes = n;
	if (!r->in_query)
		r->path_bytes = n;
	if (at + 11 > r->end)
		return head_stop(r, WEIR_MISS_INCOMPLETE);
	version = head_word(s, at + 1);
	if (version == W('H', 'T', 'T', 'P', '/', '1', '.', '0'))
		r->is_http10 = 1;
	else if (version != W('H', 'T', 'T', 'P', '/', '1', '.', '1'))
		return head_stop(r, WEIR_MISS_VERSION);
	if ((head_word(s, at + 9) & 0xffff) != W('\r', '\n', 0, 0, 0, 0, 0, 0))
		return head_stop(r, WEIR_MISS_GRAMMAR);
	r->at = at + 11;
	r->state = HEAD_LINE;
	return 0;
}

/* Some bytes of the target. Origin-form without '%' in the path, without empty and dot segments: what needs no
 * normalising, so that both parsers mean the same resource. */
static __always_inline long head_target(struct weir_scratch *s, struct weir_req *r)
{
	__u32 n = r->at - r->target_at, k;
	__u8 c = head_word(s, r->at) & 0xff;
	__u64 w;

	if (c == ' ')
		return head_target_end(s, r);
	if (c == '?' && n && !r->in_query) {
		r->in_query = 1;
		r->path_bytes = n;
		r->at++;
		return 0;
	}
	if (c == '/' && !r->in_query) {
		k = r->slashes;
		opaque(k);
		if (k <= WEIR_DEPTH_MAX)
			r->slash[k] = (__u16)n;
		r->slashes = k + 1;
		r->at++;
		w = head_word(s, r->at);
		if ((w & 0xff) == '/' || (w & 0xff) == '.')
			return head_stop(r, r->at < r->end ? WEIR_MISS_TARGET :
							     WEIR_MISS_INCOMPLETE);
		r->at += head_run(w, CHAR_RUN);
	} else {
		k = head_run(head_word(s, r->at), r->in_query ? CHAR_QUERY : CHAR_RUN);
		if (!k || !n)
			return head_stop(r, WEIR_MISS_TARGET);
		r->at += k;
	}
	if (r->at < r->end && (head_word(s, r->at) & 0xff) == ' ')
		return head_target_end(s, r);
	return 0;
}

/* First byte of a field name: most names are decided, or known to decide nothing, by few words. */
static __always_inline long head_name_start(struct weir_scratch *s, struct weir_req *r)
{
	__u64 w = head_word(s, r->at);

	r->name_at = r->at;
	if (((__u32)w | (__u32)LOWER8) == (__u32)W('h', 'o', 's', 't', 0, 0, 0, 0) &&
	    (w >> 32 & 0xff) == ':') {
		r->at += 4;
		head_field_name(s, r);
		r->at++;
		return 0;
	}
	r->state = HEAD_NAME;
	return 0;
}

struct head_ctx {
	struct weir_scratch *s;
	__u32 start;
};

/* CRLF ends the head; anything else begins a field name. */
static __always_inline long head_line(struct weir_scratch *s, struct weir_req *r)
{
	__u64 w = head_word(s, r->at);

	if ((w & 0xff) != '\r')
		return head_name_start(s, r);
	if (r->at + 2 > r->end)
		return head_stop(r, WEIR_MISS_INCOMPLETE);
	if ((w & 0xffff) != W('\r', '\n', 0, 0, 0, 0, 0, 0))
		return head_stop(r, WEIR_MISS_GRAMMAR);
	r->at += 2;
	r->state = HEAD_DONE;
	return 1;
}

static __always_inline long head_name(struct weir_scratch *s, struct weir_req *r)
{
	__u32 run = head_run(head_word(s, r->at), CHAR_TOKEN);

	r->at += run;
	if (run == 8)
		return 0;
	if (r->at >= r->end)
		return head_stop(r, WEIR_MISS_INCOMPLETE);
	if ((head_word(s, r->at) & 0xff) != ':' || r->at == r->name_at)
		return head_stop(r, WEIR_MISS_GRAMMAR);
	head_field_name(s, r);
	r->at++;
	return 0;
}

/* One step. States that usually follow each other are tried in that order, so that a short request takes
 * few steps. */
static long head_step(__u64 index, struct head_ctx *c)
{
	struct weir_scratch *s = c->s;
	struct weir_req *r = &s->req;
	long stop;

	(void)index;
	if (r->at >= r->end)
		return head_stop(r, WEIR_MISS_INCOMPLETE);
	if (r->state == HEAD_VALUE) {
		stop = head_value(s, r);
		if (stop || r->state != HEAD_LINE || r->at >= r->end)
			return stop;
	}
	if (r->state == HEAD_METHOD) {
		stop = head_method(s, r, c->start);
		if (stop || r->state != HEAD_TARGET || r->at >= r->end)
			return stop;
	}
	if (r->state == HEAD_TARGET) {
		stop = head_target(s, r);
		if (stop || r->state != HEAD_LINE || r->at >= r->end)
			return stop;
	}
	if (r->state == HEAD_LINE) {
		stop = head_line(s, r);
		if (stop || r->at >= r->end)
			return stop;
	}
	if (r->state == HEAD_NAME)
		return head_name(s, r);
	if (r->state == HEAD_HOST)
		stop = head_host(s, r);
	else if (r->state == HEAD_LIST)
		return head_list(r, s->head[r->at & HEAD_MASK]);
	else
		return 0;
	if (stop || r->state != HEAD_LINE || r->at >= r->end)
		return stop;
	return head_line(s, r);
}

/* Parses the payload behind the TCP header in head[]. r->miss is WEIR_MISS_NONE if it is the plain case.
 * Whatever it is, host and target may be known: r->has_host, r->target_bytes. */
static __always_inline void weir_head_parse(struct weir_scratch *s)
{
	struct head_ctx c = { .s = s, .start = s->pkt.header_bytes & 0x3f };
	struct weir_req *r = &s->req;

	__builtin_memset(r, 0, __builtin_offsetof(struct weir_req, slash));
	r->at = c.start;
	r->end = s->pkt.l4_bytes;
	if (r->end > WEIR_HEAD_MAX) {
		r->miss = WEIR_MISS_HEAD_SIZE;
		return;
	}
	bpf_loop(WEIR_HEAD_MAX, head_step, &c, 0);
	if (r->state != HEAD_DONE) {
		head_miss(r, WEIR_MISS_INCOMPLETE);
		return;
	}
	if (r->at != r->end)
		head_miss(r, WEIR_MISS_BEHIND);
	if (!r->has_host)
		head_miss(r, WEIR_MISS_HOST);
	if (r->is_http10 && !r->wants_keepalive)
		r->wants_close = 1;
}

#endif
