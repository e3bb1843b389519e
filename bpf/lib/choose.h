/* SPDX-License-Identifier: GPL-2.0 */
/* What a request asks of a cache entry before it gets it: conditions (RFC 9110 13) and cache directives (RFC 9111 5.2.1).
 * Off the path of requests that ask nothing. */
#ifndef WEIR_LIB_CHOOSE_H
#define WEIR_LIB_CHOOSE_H

#include "lib/answer.h"
#include "lib/base.h"
#include "lib/http_chars.h"
#include "lib/scratch.h"

#include "weir/key.h"

/* Weak comparison, RFC 9110 8.8.3.2: the opaque-tags alone. */
static __always_inline bool choose_tag_is(const struct weir_scratch *s, const struct weir_entry *e)
{
	const __u64 *etag = (const __u64 *)e->etag;
	__u32 bytes = s->req.tag_bytes, i;
	__u64 differ = 0;

	if (bytes != e->etag_bytes)
		return false;
#pragma clang loop unroll(full)
	for (i = 0; i < WEIR_ETAG_BYTES / 8; i++)
		if (i * 8 < bytes)
			differ |= etag[i] ^ weir_key_mask(head_word(s, s->req.tag_at + i * 8), bytes - i * 8);
	return !differ;
}

/* The very text of Last-Modified: RFC 9110 13.1.3 wants a comparison of times, which is a worker's where texts differ. */
static __always_inline bool choose_date_is(const struct weir_scratch *s, const struct weir_entry *e)
{
	const __u64 *modified = (const __u64 *)e->modified;
	__u32 at = s->req.since_at;

	return modified[0] && modified[0] == head_word(s, at) && modified[1] == head_word(s, at + 8) &&
	       modified[2] == head_word(s, at + 16) &&
	       modified[3] == weir_key_mask(head_word(s, at + 24), WEIR_DATE_BYTES - 24);
}

/* Conditions are for what would be a 200 without them, RFC 9110 13.2.1. */
static __always_inline enum weir_miss choose(const struct weir_scratch *s, const struct weir_entry *e,
					     struct weir_answer *a)
{
	if (a->asks & WEIR_ASK_DIRECTIVES && !(e->flags & WEIR_ENTRY_IGNORE_REQUEST))
		return WEIR_MISS_DIRECTIVES;
	if (!(a->asks & WEIR_ASK_CONDITIONS) || e->status >= 300)
		return WEIR_MISS_NONE;
	if (e->status != 200 || !e->cond.bytes)
		return WEIR_MISS_CONDITIONAL;
	if (a->asks & WEIR_ASK_TAG) {
		if (choose_tag_is(s, e))
			a->form = WEIR_FORM_NOT_MODIFIED;
		return WEIR_MISS_NONE;
	}
	if (!choose_date_is(s, e))
		return WEIR_MISS_CONDITIONAL;
	a->form = WEIR_FORM_NOT_MODIFIED;
	return WEIR_MISS_NONE;
}

#endif
