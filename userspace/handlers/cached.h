/* SPDX-License-Identifier: GPL-2.0 */
/* Answers from a pool's memory: what a stored response becomes for one request (RFC 9111 4.3.2: 200, 206, 304, 416, HEAD),
 * and the same for the kernel. */
#ifndef WEIR_CACHED_H
#define WEIR_CACHED_H

#include "cache/fetch.h"
#include "handlers/handler.h"

/* Fills `resp` from the held object, which it takes over: *h is empty afterwards. -ENOMEM: `resp` is untouched, and so is
 * *h. */
int weir_cached_answer(const struct weir_pool_cache *pc, struct weir_hold *h, const struct weir_request *req,
		       const struct weir_policy_reuse *reuse, struct weir_response *resp);

/* Puts the object into the kernel, where that would look this request up and may answer it. */
void weir_cached_publish(const struct weir_pool_cache *pc, const struct weir_hold *h, const struct weir_request *req,
			 uint16_t endpoint);

/* Whether the cache can say anything to a request with these preconditions (RFC 9111 4.3.2: If-Match and
 * If-Unmodified-Since are for the origin). */
bool weir_cached_is_for(const struct weir_request *req);

/* Appends a line of Cache-Status (RFC 9211), for a request that went to the origin: "miss", "stale", "bypass". */
void weir_cached_put_forwarded(struct weir_buf *b, const char *why, bool is_stored, bool is_collapsed);

#endif
