/* SPDX-License-Identifier: GPL-2.0 */
/* What a shared cache may do: store a response and for how long, use it again for a request, merge
 * a 304, forget. RFC 9111 (caching), 5861 (stale-*), 8246 (immutable), 9213 (targeted fields).
 * Pure: bytes and times in, a struct out; no clock, descriptor, lock or memory of its own. Called
 * by the fill and the look-up on any thread, by `weir why`, and by one table of tests. Times are
 * milliseconds; `mono` is CLOCK_MONOTONIC, lifetimes are seconds. */
#ifndef WEIR_CACHE_POLICY_H
#define WEIR_CACHE_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/str.h"
#include "config/cache.h"
#include "http/response.h"

#define WEIR_POLICY_FOREVER 2147483648u /* seconds: what overflows means this, RFC 9111 1.2.2 */
#define WEIR_POLICY_VARY_BYTES 128	/* of field names that Vary may list */
#define WEIR_POLICY_HEURISTIC_MAX 86400 /* seconds: the longest lifetime that is only guessed */

/* Why not. Several may hold: WEIR_RULE_BIT(). */
enum weir_rule {
#define WEIR_ROW(name, section, text) WEIR_RULE_##name,
#include "cache/policy_rules.def"
#undef WEIR_ROW
	WEIR_RULE__MAX,
};
#define WEIR_RULE_BIT(rule) (1ull << (rule))
_Static_assert(WEIR_RULE__MAX <= 64, "rules are kept as bits");
/* "RFC 9111 5.2.2.5" or the name of a parameter; the sentence. */
const char *weir_rule_section(enum weir_rule r);
const char *weir_rule_text(enum weir_rule r);

/* --- fields --- */

/* The fields of a head with its start line. */
struct weir_str weir_fields_of(struct weir_str head);

enum weir_directive {
	WEIR_CC_NO_STORE,
	WEIR_CC_NO_CACHE,
	WEIR_CC_PRIVATE,
	WEIR_CC_PUBLIC,
	WEIR_CC_MUST_REVALIDATE,
	WEIR_CC_PROXY_REVALIDATE,
	WEIR_CC_MUST_UNDERSTAND,
	WEIR_CC_IMMUTABLE,
	WEIR_CC_NO_TRANSFORM,
	WEIR_CC_ONLY_IF_CACHED,
	WEIR_CC_MAX_AGE, /* from here on with seconds */
	WEIR_CC_S_MAXAGE,
	WEIR_CC_MIN_FRESH,
	WEIR_CC_MAX_STALE,
	WEIR_CC_STALE_WHILE_REVALIDATE,
	WEIR_CC_STALE_IF_ERROR,
	WEIR_CC__MAX,
};

/* Cache-Control, all its lines together. Zero-initialised. */
struct weir_cc {
	uint32_t present;		/* 1 << enum weir_directive */
	uint32_t invalid;		/* likewise: an argument that is no number, or two that differ */
	uint32_t seconds[WEIR_CC__MAX]; /* up to WEIR_POLICY_FOREVER */
	bool max_stale_is_any;		/* max-stale without an argument */
	struct weir_str private_fields; /* private="a, b"; p is NULL without an argument */
	struct weir_str no_cache_fields;
};
static inline bool weir_cc_has(const struct weir_cc *cc, enum weir_directive d)
{
	return cc->present >> d & 1;
}
/* Adds one line of Cache-Control. Unknown directives are skipped, RFC 9111 5.2.3. */
void weir_cc_add(struct weir_cc *cc, struct weir_str value);
/* A targeted field (RFC 9213 2.1): a dictionary of structured fields, all its lines. -EINVAL: it is
 * none, and counts as absent. -ENOENT: empty. */
int weir_cc_targeted(struct weir_cc *cc, struct weir_str value);

/* --- configuration --- */

struct weir_policy_conf {
	enum weir_cache_mode mode;
	uint32_t ttl_s;
	bool ignore_request_directives;
	uint64_t max_object;		/* bytes of head and body */
	struct weir_str bypass_cookies; /* names, separated by spaces; "*": any cookie */
};

/* --- store --- */

/* What matters of a request. */
struct weir_policy_request {
	struct weir_str method;
	struct weir_str fields; /* as weir_fields_of() gives them */
	bool has_query;
};

/* A response that has just come. */
struct weir_policy_response {
	unsigned status;
	struct weir_str fields;
	uint64_t sent_ms;     /* mono, when the request was sent */
	uint64_t received_ms; /* mono, when the head had come */
	int64_t received_s;   /* CLOCK_REALTIME seconds, likewise */
};

/* What is remembered of a response beside its bytes. Plain data: it lies in shared memory. */
struct weir_policy_stored {
	uint64_t born_ms;  /* mono: age is now - this; may lie before boot, then modulo 2^64 */
	uint64_t fresh_ms; /* mono: fresh before this */
	uint32_t lifetime_s;
	uint32_t swr_s; /* stale-while-revalidate behind fresh_ms */
	uint32_t sie_s; /* stale-if-error, likewise */
	uint16_t status;
	uint8_t flags;	    /* WEIR_STORED_* */
	uint8_t why;	    /* enum weir_lifetime */
	int64_t date_s;	    /* Date, or when it came */
	int64_t modified_s; /* Last-Modified; -1: none */
};
#define WEIR_STORED_NO_CACHE 1	      /* validate before each use */
#define WEIR_STORED_MUST_REVALIDATE 2 /* never stale */
#define WEIR_STORED_HAS_ETAG 4
#define WEIR_STORED_IMMUTABLE 8 /* RFC 8246 */

/* Where a lifetime comes from. */
enum weir_lifetime {
	WEIR_LIFETIME_NONE,
	WEIR_LIFETIME_TARGETED, /* CDN-Cache-Control */
	WEIR_LIFETIME_S_MAXAGE,
	WEIR_LIFETIME_MAX_AGE,
	WEIR_LIFETIME_EXPIRES,
	WEIR_LIFETIME_HEURISTIC,
	WEIR_LIFETIME_CONFIGURED,
	WEIR_LIFETIME__MAX,
};
const char *weir_lifetime_name(enum weir_lifetime l);

struct weir_policy_store {
	bool is_storable;
	uint64_t rules; /* those that stopped it: WEIR_RULE_BIT() */
	struct weir_policy_stored stored;
	char vary[WEIR_POLICY_VARY_BYTES]; /* names in lower case, "a,b", terminated; "": none */
	struct weir_cc cc;		   /* in force: targeted or Cache-Control */
};

/* Whether the response to the request may be stored, RFC 9111 3, and the arithmetic of 4.2.1
 * to 4.2.3. */
void weir_policy_store(const struct weir_policy_conf *conf, const struct weir_policy_request *req,
		       const struct weir_policy_response *resp, struct weir_policy_store *ret);
/* Whether a field of the response stays out of the cache, RFC 9111 3.1 and 5.2.2.4, 5.2.2.7.
 * `connection`: value of the response's Connection. */
bool weir_policy_is_dropped(const struct weir_cc *cc, struct weir_str connection, struct weir_str name);

/* --- use again --- */

enum weir_reuse_what {
	WEIR_REUSE_FRESH,
	WEIR_REUSE_STALE,	     /* the client accepts it: max-stale */
	WEIR_REUSE_WHILE_REVALIDATE, /* send it, and one refreshes it */
	WEIR_REUSE_REVALIDATE,	     /* ask the origin first */
	WEIR_REUSE_REFUSE,	     /* only-if-cached: 504 */
};

struct weir_policy_reuse {
	enum weir_reuse_what what;
	uint64_t rules;	   /* why it is not simply fresh */
	uint32_t age_s;	   /* value of Age */
	int64_t ttl_s;	   /* rest of its lifetime, negative when stale */
	bool may_on_error; /* REVALIDATE: when the origin fails, the stale response may be sent, RFC
			      5861 4 */
};

/* Whether the cache is to be asked at all for this request. Returns the rules against it. */
uint64_t weir_policy_bypass(const struct weir_policy_conf *conf, const struct weir_policy_request *req);
/* RFC 9111 4.2, 5.2.1 and RFC 5861. `s` NULL: nothing is stored. */
void weir_policy_reuse(const struct weir_policy_conf *conf, const struct weir_policy_request *req,
		       const struct weir_policy_stored *s, uint64_t now_ms, struct weir_policy_reuse *ret);
/* Whether a status from the origin, or its silence (0), lets stale-if-error apply. RFC 5861 4. */
bool weir_policy_is_error(unsigned status);

/* --- keys --- */

/* Appends the text of a key: host, target with the query as the rule says; listed parameters
 * in the order of the list. `names`: separated by spaces. */
void weir_policy_key(enum weir_query_key rule, struct weir_str names, struct weir_str host, struct weir_str target,
		     struct weir_buf *out);
/* Appends what the request says about the fields of a stored response's Vary, in a form in which
 * different spellings of the same agree, RFC 9111 4.1. A field that is absent differs from an empty
 * one. */
void weir_policy_vary(const char *vary, struct weir_str fields, struct weir_buf *out);

/* --- change --- */

/* Writes to `out` the fields of a stored response after a 304 has freshened it, RFC 9111 3.2
 * and 4.3.4: those of the 304 replace those of the same name; Content-Length, Content-Encoding,
 * Content-Type, Content-Range and Transfer-Encoding stay. Without an empty line. */
void weir_policy_merge(struct weir_str stored, struct weir_str fresh, struct weir_buf *out);
/* Whether a 304 is about this stored response, RFC 9111 4.3.4: its validator, when it has one, is
 * the stored one. */
bool weir_policy_is_same(struct weir_str stored, struct weir_str fresh);
/* Whether a response to HEAD contradicts a stored GET, which must then be forgotten, RFC
 * 9111 4.3.5. */
bool weir_policy_head_differs(struct weir_str stored, uint64_t body_bytes, struct weir_str head);
/* Whether the method is safe, RFC 9110 9.2.1; an unknown one is not. */
bool weir_method_is_safe(struct weir_str method);
/* Whether what is stored for the target must be forgotten, RFC 9111 4.4. */
bool weir_policy_invalidates(struct weir_str method, unsigned status);

#endif
