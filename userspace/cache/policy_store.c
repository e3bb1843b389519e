// SPDX-License-Identifier: GPL-2.0
/* What may be stored and for how long: RFC 9111 3 and 4.2. Pure. */
#include "cache/policy.h"

#include <string.h>

#include "common/macro.h"
#include "http/http.h"

static const struct {
	const char *section;
	const char *text;
} rules[WEIR_RULE__MAX] = {
#define WEIR_ROW(name, section_, text_) { section_, text_ },
#include "cache/policy_rules.def"
#undef WEIR_ROW
};

const char *weir_rule_section(enum weir_rule r)
{
	return rules[r].section;
}

const char *weir_rule_text(enum weir_rule r)
{
	return rules[r].text;
}

const char *weir_lifetime_name(enum weir_lifetime l)
{
	static const char *const names[WEIR_LIFETIME__MAX] = {
		"nothing", "CDN-Cache-Control",		 "s-maxage",  "max-age",
		"Expires", "a guess from Last-Modified", "cache_ttl",
	};

	return names[l];
}

/* What one pass over the fields finds. */
struct seen {
	struct weir_cc cc;
	struct weir_str targeted; /* the first line; NULL: none */
	bool is_targeted_doubled;
	struct weir_str expires;
	bool is_expires_doubled;
	int64_t date_s; /* -1: none that can be read */
	int64_t modified_s;
	uint32_t age_s;
	bool has_age, has_etag, has_cookie, has_content_range;
	bool is_vary_any, is_vary_long;
};

/* The first member of a list, RFC 9111 5.1. False: no number. */
static bool parse_age(struct weir_str s, uint32_t *ret)
{
	struct weir_str first;
	uint64_t n = 0;
	size_t i;

	if (!weir_str_next(&s, ',', &first))
		return false;
	first = weir_str_trim(first);
	for (i = 0; i < first.n; i++) {
		if (first.p[i] < '0' || first.p[i] > '9')
			return false;
		n = MIN(n * 10 + (uint64_t)(first.p[i] - '0'), (uint64_t)WEIR_POLICY_FOREVER);
	}
	*ret = (uint32_t)n;
	return first.n > 0;
}

static bool vary_has(const char *vary, struct weir_str name)
{
	return weir_list_has((struct weir_str){ vary, strlen(vary) }, name);
}

/* Adds the names of one line to the list, in lower case, each once. */
static void add_vary(struct seen *s, char *vary, struct weir_str value)
{
	struct weir_str item;
	size_t n = strlen(vary), i;

	while (weir_str_next(&value, ',', &item)) {
		item = weir_str_trim(item);
		if (item.n == 0 || vary_has(vary, item))
			continue;
		s->is_vary_any |= item.n == 1 && *item.p == '*';
		if (n + 1 + item.n + 1 > WEIR_POLICY_VARY_BYTES) {
			s->is_vary_long = true;
			return;
		}
		if (n > 0)
			vary[n++] = ',';
		for (i = 0; i < item.n; i++)
			vary[n++] = weir_lower(item.p[i]);
		vary[n] = '\0';
	}
}

static void see(struct seen *s, char *vary, struct weir_str name, struct weir_str value, int64_t now_s)
{
	if (weir_str_caseeq(name, WEIR_STR("Cache-Control"))) {
		weir_cc_add(&s->cc, value);
	} else if (weir_str_caseeq(name, WEIR_STR("CDN-Cache-Control"))) {
		s->is_targeted_doubled |= s->targeted.p != NULL;
		s->targeted = s->targeted.p ? s->targeted : value;
	} else if (weir_str_caseeq(name, WEIR_STR("Expires"))) {
		s->is_expires_doubled |= s->expires.p && !weir_str_eq(s->expires, value);
		s->expires = s->expires.p ? s->expires : value;
	} else if (weir_str_caseeq(name, WEIR_STR("Age"))) {
		if (!s->has_age)
			(void)parse_age(value, &s->age_s);
		s->has_age = true;
	} else if (weir_str_caseeq(name, WEIR_STR("Date"))) {
		if (s->date_s < 0)
			(void)weir_date_parse(value, now_s, &s->date_s);
	} else if (weir_str_caseeq(name, WEIR_STR("Last-Modified"))) {
		if (s->modified_s < 0)
			(void)weir_date_parse(value, now_s, &s->modified_s);
	} else if (weir_str_caseeq(name, WEIR_STR("Vary"))) {
		add_vary(s, vary, value);
	}
	s->has_etag |= weir_str_caseeq(name, WEIR_STR("ETag"));
	s->has_cookie |= weir_str_caseeq(name, WEIR_STR("Set-Cookie"));
	s->has_content_range |= weir_str_caseeq(name, WEIR_STR("Content-Range"));
}

/* RFC 9110 15.1: these may be cached without being asked to. 206 is not stored here. */
static bool is_heuristic(unsigned status)
{
	static const uint16_t statuses[] = { 200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(statuses); i++)
		if (statuses[i] == status)
			return true;
	return false;
}

static bool is_understood(unsigned status)
{
	return is_heuristic(status) || status == 302 || status == 303 || status == 307 ||
	       (status >= 400 && status <= 417) || (status >= 500 && status <= 505) || status == 201 || status == 202 ||
	       status == 205;
}

/* RFC 9111 4.2.1. What cannot be read, or contradicts itself, is a lifetime of 0. */
static uint32_t lifetime(const struct weir_policy_conf *conf, const struct weir_policy_request *req, unsigned status,
			 const struct seen *s, const struct weir_cc *cc, bool is_targeted, int64_t date_s,
			 enum weir_lifetime *ret_why)
{
	int64_t expires_s;

	*ret_why = is_targeted			       ? WEIR_LIFETIME_TARGETED
		   : weir_cc_has(cc, WEIR_CC_S_MAXAGE) ? WEIR_LIFETIME_S_MAXAGE
						       : WEIR_LIFETIME_MAX_AGE;
	if (weir_cc_has(cc, WEIR_CC_S_MAXAGE))
		return cc->seconds[WEIR_CC_S_MAXAGE];
	if (weir_cc_has(cc, WEIR_CC_MAX_AGE))
		return cc->seconds[WEIR_CC_MAX_AGE];
	/* A targeted field hides Expires, too: RFC 9213 2.2. */
	if (s->expires.p && !is_targeted) {
		*ret_why = WEIR_LIFETIME_EXPIRES;
		if (s->is_expires_doubled || weir_date_parse(s->expires, date_s, &expires_s) < 0 || expires_s <= date_s)
			return 0;
		return (uint32_t)MIN(expires_s - date_s, (int64_t)WEIR_POLICY_FOREVER);
	}
	*ret_why = WEIR_LIFETIME_CONFIGURED;
	if (conf->mode == WEIR_CACHE_TTL && (is_heuristic(status) || status == 302 || status == 307))
		return conf->ttl_s;
	if (conf->mode == WEIR_CACHE_UNTIL_CHANGE && is_heuristic(status))
		return WEIR_POLICY_FOREVER;
	*ret_why = WEIR_LIFETIME_HEURISTIC;
	/* A tenth of the time it did not change, RFC 9111 4.2.2. Not for queries: applications
	 * rarely mean that. */
	if ((is_heuristic(status) || weir_cc_has(cc, WEIR_CC_PUBLIC)) && !req->has_query && s->modified_s >= 0 &&
	    s->modified_s < date_s)
		return (uint32_t)MIN((date_s - s->modified_s) / 10, (int64_t)WEIR_POLICY_HEURISTIC_MAX);
	*ret_why = WEIR_LIFETIME_NONE;
	return 0;
}

/* RFC 9111 4.2.3, in milliseconds of the monotonic clock. */
static uint64_t born_ms(const struct weir_policy_response *r, const struct seen *s, int64_t date_s)
{
	int64_t apparent_s = MAX(r->received_s - date_s, (int64_t)0);
	uint64_t delay_ms = r->received_ms - MIN(r->sent_ms, r->received_ms);
	uint64_t corrected_ms = (uint64_t)s->age_s * 1000 + delay_ms;

	return r->received_ms - MAX((uint64_t)apparent_s * 1000, corrected_ms);
}

static uint64_t check_response(const struct weir_policy_response *r, const struct seen *s, const struct weir_cc *cc)
{
	bool understands = weir_cc_has(cc, WEIR_CC_MUST_UNDERSTAND) && is_understood(r->status);
	uint64_t found = 0;

	if (r->status < 200 || r->status == 206 || r->status == 304 || r->status > 599 || s->has_content_range)
		found |= WEIR_RULE_BIT(WEIR_RULE_STATUS);
	if (weir_cc_has(cc, WEIR_CC_MUST_UNDERSTAND) && !understands)
		found |= WEIR_RULE_BIT(WEIR_RULE_MUST_UNDERSTAND);
	if (weir_cc_has(cc, WEIR_CC_NO_STORE) && !understands)
		found |= WEIR_RULE_BIT(WEIR_RULE_NO_STORE);
	if (weir_cc_has(cc, WEIR_CC_PRIVATE) && !cc->private_fields.p)
		found |= WEIR_RULE_BIT(WEIR_RULE_PRIVATE);
	if (s->is_vary_any)
		found |= WEIR_RULE_BIT(WEIR_RULE_VARY_ANY);
	if (s->is_vary_long)
		found |= WEIR_RULE_BIT(WEIR_RULE_VARY_LONG);
	return found;
}

/* Set-Cookie may be stored by RFC 9111 7.3, but whoever sends it without saying that others may
 * have it forgot to. */
static bool is_cookie_free(const struct seen *s, const struct weir_cc *cc, bool is_targeted)
{
	const struct weir_str name = WEIR_STR("Set-Cookie");

	return !s->has_cookie || is_targeted || weir_cc_has(cc, WEIR_CC_PUBLIC) || weir_cc_has(cc, WEIR_CC_S_MAXAGE) ||
	       weir_list_has(cc->private_fields, name) || weir_list_has(cc->no_cache_fields, name);
}

static uint64_t check_request(const struct weir_policy_conf *conf, const struct weir_policy_request *req,
			      const struct weir_cc *cc)
{
	uint64_t found = 0;
	struct weir_str v;

	if (!weir_str_eq(req->method, WEIR_STR("GET")))
		found |= WEIR_RULE_BIT(WEIR_RULE_METHOD);
	if (weir_fields_find(req->fields, WEIR_STR("Authorization"), &v) && !weir_cc_has(cc, WEIR_CC_PUBLIC) &&
	    !weir_cc_has(cc, WEIR_CC_S_MAXAGE) && !weir_cc_has(cc, WEIR_CC_MUST_REVALIDATE))
		found |= WEIR_RULE_BIT(WEIR_RULE_AUTHORIZATION);
	return found | weir_policy_bypass(conf, req);
}

static void fill_stored(struct weir_policy_stored *st, const struct weir_policy_response *r, const struct seen *s,
			const struct weir_cc *cc, int64_t date_s)
{
	uint32_t must = 1u << WEIR_CC_MUST_REVALIDATE | 1u << WEIR_CC_PROXY_REVALIDATE | 1u << WEIR_CC_S_MAXAGE;

	st->status = (uint16_t)r->status;
	st->date_s = date_s;
	st->modified_s = s->modified_s;
	st->born_ms = born_ms(r, s, date_s);
	st->fresh_ms = st->born_ms + (uint64_t)st->lifetime_s * 1000;
	st->swr_s = cc->seconds[WEIR_CC_STALE_WHILE_REVALIDATE];
	st->sie_s = cc->seconds[WEIR_CC_STALE_IF_ERROR];
	st->flags = (uint8_t)((s->has_etag ? WEIR_STORED_HAS_ETAG : 0) |
			      (cc->present & must ? WEIR_STORED_MUST_REVALIDATE : 0) |
			      (weir_cc_has(cc, WEIR_CC_IMMUTABLE) ? WEIR_STORED_IMMUTABLE : 0));
	if (weir_cc_has(cc, WEIR_CC_NO_CACHE) && !cc->no_cache_fields.p)
		st->flags |= WEIR_STORED_NO_CACHE;
	/* RFC 9111 5.2.2.2 and 5.2.2.8 forbid what RFC 5861 would allow. s-maxage alone only has
	 * the sense of proxy-revalidate (5.2.2.10): beside it the origin's stale-* is what it says
	 * of this very cache. */
	if (st->flags & WEIR_STORED_NO_CACHE || weir_cc_has(cc, WEIR_CC_MUST_REVALIDATE) ||
	    weir_cc_has(cc, WEIR_CC_PROXY_REVALIDATE))
		st->swr_s = st->sie_s = 0;
}

/* Whether anything allows storing, RFC 9111 3, and whether it is of any use. */
static uint64_t check_lifetime(const struct weir_policy_stored *st, const struct seen *s, const struct weir_cc *cc,
			       bool is_targeted)
{
	uint32_t explicit = 1u << WEIR_CC_PUBLIC | 1u << WEIR_CC_MAX_AGE | 1u << WEIR_CC_S_MAXAGE;
	bool has_validator = (st->flags & WEIR_STORED_HAS_ETAG) || st->modified_s >= 0;

	if (!(cc->present & explicit) && !(s->expires.p && !is_targeted) && !is_heuristic(st->status) &&
	    st->why != WEIR_LIFETIME_CONFIGURED)
		return WEIR_RULE_BIT(WEIR_RULE_NO_LIFETIME);
	if (st->why == WEIR_LIFETIME_NONE && !has_validator)
		return WEIR_RULE_BIT(WEIR_RULE_NO_LIFETIME);
	if ((st->lifetime_s == 0 || (st->flags & WEIR_STORED_NO_CACHE)) && !has_validator && st->swr_s == 0 &&
	    st->sie_s == 0)
		return WEIR_RULE_BIT(WEIR_RULE_USELESS);
	return 0;
}

void weir_policy_store(const struct weir_policy_conf *conf, const struct weir_policy_request *req,
		       const struct weir_policy_response *resp, struct weir_policy_store *ret)
{
	struct seen s = { .date_s = -1, .modified_s = -1 };
	struct weir_str rest = resp->fields, name, value;
	struct weir_cc targeted;
	bool is_targeted;
	int64_t date_s;

	memset(ret, 0, sizeof(*ret));
	while (weir_fields_next(&rest, &name, &value))
		see(&s, ret->vary, name, value, resp->received_s);
	is_targeted = s.targeted.p && !s.is_targeted_doubled && weir_cc_targeted(&targeted, s.targeted) == 0;
	ret->cc = is_targeted ? targeted : s.cc;
	date_s = s.date_s >= 0 ? s.date_s : resp->received_s;
	if (conf->mode == WEIR_CACHE_OFF)
		ret->rules |= WEIR_RULE_BIT(WEIR_RULE_OFF);
	ret->rules |= check_request(conf, req, &ret->cc) | check_response(resp, &s, &ret->cc);
	if (!is_cookie_free(&s, &ret->cc, is_targeted))
		ret->rules |= WEIR_RULE_BIT(WEIR_RULE_SET_COOKIE);

	enum weir_lifetime why;

	ret->stored.lifetime_s = lifetime(conf, req, resp->status, &s, &ret->cc, is_targeted, date_s, &why);
	ret->stored.why = (uint8_t)why;
	fill_stored(&ret->stored, resp, &s, &ret->cc, date_s);
	if (!ret->rules)
		ret->rules |= check_lifetime(&ret->stored, &s, &ret->cc, is_targeted);
	ret->is_storable = ret->rules == 0;
}

bool weir_policy_is_dropped(const struct weir_cc *cc, struct weir_str connection, struct weir_str name)
{
	static const struct weir_str hop[] = {
		{ "Connection", 10 },
		{ "Keep-Alive", 10 },
		{ "Proxy-Connection", 16 },
		{ "TE", 2 },
		{ "Trailer", 7 },
		{ "Transfer-Encoding", 17 },
		{ "Upgrade", 7 },
		{ "Proxy-Authenticate", 18 },
		{ "Proxy-Authentication-Info", 25 },
		{ "Proxy-Authorization", 19 },
		{ "Age", 3 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(hop); i++)
		if (weir_str_caseeq(name, hop[i]))
			return true;
	return weir_list_has(connection, name) || weir_list_has(cc->private_fields, name) ||
	       weir_list_has(cc->no_cache_fields, name);
}
