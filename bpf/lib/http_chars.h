/* SPDX-License-Identifier: GPL-2.0 */
/* What the request-head parser is made of: its states, character classes, whole-word reads of head[], and how it says
 * why a request is not the plain case. */
#ifndef WEIR_LIB_HTTP_CHARS_H
#define WEIR_LIB_HTTP_CHARS_H

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
	FIELD_TAG = 8,
	FIELD_SINCE = 16,
};

enum head_list {
	LIST_START, /* before a token */
	LIST_TOKEN,
	LIST_SPACE,   /* behind a token, only a comma may follow */
	LIST_BRACKET, /* Host: inside [IPv6] */
	LIST_TAIL,    /* Host: behind ']', only a port may follow; else behind a weight */
	LIST_WEIGHT,  /* behind ';' */
};

#define CHAR_TOKEN 1  /* tchar, RFC 9110 5.6.2 */
#define CHAR_PATH 2   /* pchar without '%', and '/', RFC 3986 3.3 */
#define CHAR_QUERY 4  /* the same, with '%' and '?' */
#define CHAR_HOST 8   /* letters, digits, '.', '-': lower case is one OR with 0x20 */
#define CHAR_RUN 16   /* path bytes that mean nothing by themselves: all but '/' */

struct head_ctx {
	struct weir_scratch *s;
	__u32 start;
};

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

#define LOWER8 0x2020202020202020ULL
#define BYTES(x) (0x0101010101010101ULL * (x))
#define HIGHS BYTES(0x80)

/* Index of the lowest byte that is flagged by its highest bit; 8 if none is. */
static __always_inline __u32 head_first(__u64 flags)
{
	/* the product's highest byte is 7 - (7 - index) of the factor's bytes */
	return flags ? (__u32)((((flags & -flags) >> 7) * 0x0001020304050607ULL) >> 56) : 8;
}

/* How many of the eight bytes, from the lowest, are letters, digits, '-' or '.', which are in every class. All at once, where
 * head_run() looks at one after the other: what stands behind tells whether that one is needed. */
static __always_inline __u32 head_run_plain(__u64 w)
{
	__u64 low = w & BYTES(0x7f), lower = low | LOWER8, letters, digits, slash;

	/* each byte below 0x80, so that sums do not carry: the highest bit says "at least" */
	letters = (lower + BYTES(0x80 - 'a')) & ~(lower + BYTES(0x80 - 'z' - 1));
	digits = (low + BYTES(0x80 - '-')) & ~(low + BYTES(0x80 - '9' - 1));
	slash = ~((low ^ BYTES('/')) + BYTES(0x7f));
	return head_first(((letters | (digits & ~slash)) & ~w & HIGHS) ^ HIGHS);
}

/* The same as head_run(), quicker if the run ends as most do. */
static __always_inline __u32 head_run_to(__u64 w, __u8 flag, __u8 end, __u8 or_end)
{
	__u32 run = head_run_plain(w);
	__u8 c = run < 8 ? w >> (8 * run) & 0xff : end;

	return likely(c == end || c == or_end) ? run : head_run(w, flag);
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

#define W(a, b, c, d, e, f, g, h)                                                                  \
	((__u64)(a) | (__u64)(b) << 8 | (__u64)(c) << 16 | (__u64)(d) << 24 | (__u64)(e) << 32 |   \
	 (__u64)(f) << 40 | (__u64)(g) << 48 | (__u64)(h) << 56)

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

#endif
