/* SPDX-License-Identifier: GPL-2.0 */
/* Conditional requests, RFC 9110 13: which ones XDP evaluates, and what with. The values were read as any other value; once
 * the whole head is known to be the plain case they are looked at again. */
#ifndef WEIR_LIB_HTTP_COND_H
#define WEIR_LIB_HTTP_COND_H

#include "lib/http_chars.h"
#include "lib/http_value.h"

/* If-None-Match or If-Modified-Since: the value begins behind the colon under the cursor. */
static __always_inline void head_condition(struct weir_req *r, __u8 field)
{
	if (field == FIELD_TAG) {
		r->asks |= WEIR_ASK_TAG;
		r->tag_at = r->at + 1;
	} else {
		r->asks |= WEIR_ASK_SINCE;
		r->since_at = r->at + 1;
	}
}

/* Eight bytes of an opaque-tag, up to the quote that ends it. */
static long head_tag_step(__u64 index, struct head_ctx *c)
{
	struct weir_scratch *s = c->s;
	struct weir_req *r = &s->req;
	__u64 w = head_word(s, r->tag_at + r->tag_bytes);
	__u64 quote = w ^ BYTES('"'), space = w ^ BYTES(' '), end = head_controls(w);

	(void)index;
	end |= (((quote - BYTES(1)) & ~quote) | ((space - BYTES(1)) & ~space)) & HIGHS;
	r->tag_bytes += head_first(end);
	if (!end)
		return 0;
	return 1;
}

/* One entity-tag, which is the whole value. */
static __always_inline void head_tag(struct head_ctx *c)
{
	struct weir_scratch *s = c->s;
	struct weir_req *r = &s->req;
	__u32 at = r->tag_at;
	__u64 w = head_word(s, at);

	if ((w & 0xff) == ' ')
		w = head_word(s, ++at);
	if ((w & 0xffff) == W('W', '/', 0, 0, 0, 0, 0, 0)) {
		at += 2;
		w = head_word(s, at);
	}
	r->tag_at = at;
	r->tag_bytes = 1;
	if ((w & 0xff) != '"') {
		head_miss(r, WEIR_MISS_CONDITIONAL);
		return;
	}
	bpf_loop(WEIR_ETAG_BYTES / 8, head_tag_step, c, 0);
	if ((head_word(s, at + r->tag_bytes) & 0xffffff) != W('"', '\r', '\n', 0, 0, 0, 0, 0))
		head_miss(r, WEIR_MISS_CONDITIONAL);
	if (++r->tag_bytes > WEIR_ETAG_BYTES)
		head_miss(r, WEIR_MISS_CONDITIONAL);
}

/* As long as an IMF-fixdate: whether it is one shows when it is the entry's. */
static __always_inline void head_since(struct head_ctx *c)
{
	struct weir_scratch *s = c->s;
	struct weir_req *r = &s->req;

	__u64 line_ends = 0;
	__u32 i;

	if ((head_word(s, r->since_at) & 0xff) == ' ')
		r->since_at++;
#pragma clang loop unroll(full)
	for (i = 0; i < WEIR_DATE_BYTES / 8; i++)
		line_ends |= head_controls(head_word(s, r->since_at + 8 * i));
	line_ends |= head_controls(head_word(s, r->since_at + WEIR_DATE_BYTES - 8));
	if (line_ends || (head_word(s, r->since_at) & 0xff) == ' ' ||
	    (head_word(s, r->since_at + WEIR_DATE_BYTES - 1) & 0xff) == ' ' ||
	    (head_word(s, r->since_at + WEIR_DATE_BYTES) & 0xffff) != W('\r', '\n', 0, 0, 0, 0, 0, 0))
		head_miss(r, WEIR_MISS_CONDITIONAL);
}

/* If-None-Match goes before If-Modified-Since, RFC 9110 13.1.3. */
static __always_inline void head_conditions(struct head_ctx *c)
{
	if (c->s->req.asks & WEIR_ASK_TAG)
		head_tag(c);
	else
		head_since(c);
}

#endif
