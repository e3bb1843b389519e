/* SPDX-License-Identifier: GPL-2.0 */
/* What a pool's configuration says about caching what its handler answers: part of struct weir_conf_pool. Files have a
 * cache of their own, see handlers/static.h. */
#ifndef WEIR_CONFIG_CACHE_H
#define WEIR_CONFIG_CACHE_H

#include <stdbool.h>

enum weir_cache_mode {
	WEIR_CACHE_OFF,
	WEIR_CACHE_ON,		 /* as RFC 9111 says */
	WEIR_CACHE_TTL,		 /* the same; what says nothing about its lifetime is fresh for ttl_ms */
	WEIR_CACHE_UNTIL_CHANGE, /* the same; it is fresh until it is purged or changed by a request */
	WEIR_CACHE__MAX,
};

/* What of the query is part of a key. */
enum weir_query_key {
	WEIR_QUERY_FULL,
	WEIR_QUERY_NONE,
	WEIR_QUERY_LISTED,
};

struct weir_conf_cache {
	enum weir_cache_mode mode;
	unsigned ttl_ms;
	unsigned memory_kb; /* of the whole memory level, its bookkeeping included */
	unsigned max_object_kb;
	enum weir_query_key query;
	unsigned min_hits;    /* requests for a URL within the window before its response is stored */
	unsigned min_hits_ms; /* the window */
	bool ignore_request_directives;
	bool shows_tags;  /* Cache-Tag and Surrogate-Key reach clients */
	unsigned wait_ms; /* for another request's fetch of the same URL */
};

#endif
