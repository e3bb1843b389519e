/* SPDX-License-Identifier: GPL-2.0 */
/* The strict request-head parser of XDP (DESIGN rule 2): takes a subset of RFC 9112 and names the first reason
 * why a request is not the plain case. A request that it refuses is no bad request, only a worker's.
 * It reads on after most reasons, so that Host and target can still choose the pool.
 *
 * One state machine over head[], driven by bpf_loop(): one step is one byte of a name, a target or a
 * list, or up to eight bytes of a value that decides nothing. All state is in struct weir_req. */
#ifndef WEIR_LIB_HTTP_HEAD_H
#define WEIR_LIB_HTTP_HEAD_H

#include "lib/http_chars.h"
#include "lib/http_cond.h"
#include "lib/http_value.h"

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
		else if ((first & 0xffffffffffffULL) == W('p', 'r', 'a', 'g', 'm', 'a', 0, 0))
			r->asks |= WEIR_ASK_DIRECTIVES;
		break;
	case 7:
		if ((first & 0xffffffffffffffULL) == W('u', 'p', 'g', 'r', 'a', 'd', 'e', 0))
			head_miss(r, WEIR_MISS_UPGRADE);
		break;
	case 8:
	case 13:
	case 17:
	case 19:
		if (bytes == 13 && first == W('i', 'f', '-', 'n', 'o', 'n', 'e', '-') &&
		    last == W('n', 'e', '-', 'm', 'a', 't', 'c', 'h'))
			field = FIELD_TAG;
		else if (bytes == 17 && first == W('i', 'f', '-', 'm', 'o', 'd', 'i', 'f') &&
			 ((head_word(s, r->name_at + 8) | 0x20) & 0xff) == 'i' &&
			 last == W('e', 'd', '-', 's', 'i', 'n', 'c', 'e'))
			field = FIELD_SINCE;
		else if ((first & 0xffffff) == W('i', 'f', '-', 0, 0, 0, 0, 0))
			head_miss(r, WEIR_MISS_CONDITIONAL);
		else if (bytes == 13 && first == W('c', 'a', 'c', 'h', 'e', '-', 'c', 'o') &&
			 last == W('-', 'c', 'o', 'n', 't', 'r', 'o', 'l'))
			r->asks |= WEIR_ASK_DIRECTIVES;
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
	r->state = HEAD_VALUE;
	if (field == FIELD_PLAIN)
		return;
	if (field & (FIELD_TAG | FIELD_SINCE))
		head_condition(r, field);
	else
		r->state = field == FIELD_HOST ? HEAD_HOST : HEAD_LIST;
	if (field & r->seen)
		head_miss(r, field == FIELD_HOST	 ? WEIR_MISS_HOST
			     : field == FIELD_CONNECTION ? WEIR_MISS_CONNECTION
			     : field == FIELD_ENCODING	 ? WEIR_MISS_ENCODING
							 : WEIR_MISS_CONDITIONAL);
	if (field == FIELD_HOST && (field & r->seen))
		r->state = HEAD_VALUE;
	r->seen |= field;
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
		r->at += head_run_to(w, CHAR_RUN, ' ', '/');
	} else {
		k = head_run_to(head_word(s, r->at), r->in_query ? CHAR_QUERY : CHAR_RUN, ' ', r->in_query ? ' ' : '/');
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
	__u32 run, i;

#pragma clang loop unroll(full)
	for (i = 0; i < 3; i++) {
		run = head_run_to(head_word(s, r->at), CHAR_TOKEN, ':', ':');
		r->at += run;
		if (run < 8)
			break;
	}
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

/* One step, mostly one line: its name, the beginning of its value, and what begins behind it. */
static long head_step(__u64 index, struct head_ctx *c)
{
	struct weir_scratch *s = c->s;
	struct weir_req *r = &s->req;
	long stop = 0;

	(void)index;
	if (r->at >= r->end)
		return head_stop(r, WEIR_MISS_INCOMPLETE);
	if (r->state == HEAD_METHOD) {
		stop = head_method(s, r, c->start);
		if (stop || r->at >= r->end)
			return stop;
	}
	if (r->state == HEAD_TARGET)
		stop = head_target(s, r);
	else if (r->state == HEAD_NAME)
		stop = head_name(s, r);
	if (stop || r->at >= r->end)
		return stop;
	if (r->state == HEAD_VALUE)
		stop = head_value(s, r);
	else if (r->state == HEAD_HOST)
		stop = head_host(s, r);
	else if (r->state == HEAD_LIST)
		stop = head_list(s, r);
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
	if (r->seen & FIELD_ENCODING)
		head_codings_end(r);
	if (unlikely(r->asks & WEIR_ASK_CONDITIONS) && !r->miss)
		head_conditions(&c);
}

#endif
