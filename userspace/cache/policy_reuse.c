// SPDX-License-Identifier: GPL-2.0
/* When a stored response may answer a request: RFC 9111 4 and 5.2.1, RFC 5861. Pure. */
#include "cache/policy.h"

#include <string.h>

#include "common/macro.h"

/* Whether Cookie has a pair of this name. */
static bool has_cookie(struct weir_str cookie, struct weir_str name)
{
	struct weir_str pair, key;

	while (weir_str_next(&cookie, ';', &pair)) {
		pair = weir_str_trim(pair);
		if (weir_str_next(&pair, '=', &key) && weir_str_eq(weir_str_trim(key), name))
			return true;
	}
	return false;
}

static bool is_bypassing(struct weir_str names, struct weir_str fields)
{
	struct weir_str name, value, list, item;

	while (weir_fields_next(&fields, &name, &value)) {
		if (!weir_str_caseeq(name, WEIR_STR("Cookie")))
			continue;
		list = names;
		while (weir_str_next(&list, ' ', &item))
			if (item.n > 0 && (weir_str_eq(item, WEIR_STR("*")) || has_cookie(value, item)))
				return true;
	}
	return false;
}

/* Cache-Control of the request, and whether it has Pragma: no-cache instead. */
static struct weir_cc directives(struct weir_str fields, bool *ret_pragma)
{
	struct weir_cc cc = {};
	struct weir_str name, value;
	bool has_cc = false, has_pragma = false;

	while (weir_fields_next(&fields, &name, &value)) {
		if (weir_str_caseeq(name, WEIR_STR("Cache-Control"))) {
			weir_cc_add(&cc, value);
			has_cc = true;
		} else if (weir_str_caseeq(name, WEIR_STR("Pragma"))) {
			has_pragma |= weir_list_has(value, WEIR_STR("no-cache"));
		}
	}
	*ret_pragma = has_pragma && !has_cc;
	return cc;
}

uint64_t weir_policy_bypass(const struct weir_policy_conf *conf, const struct weir_policy_request *req)
{
	uint64_t found = 0;
	bool is_pragma;

	if (conf->bypass_cookies.n > 0 && is_bypassing(conf->bypass_cookies, req->fields))
		found |= WEIR_RULE_BIT(WEIR_RULE_COOKIE);
	if (!conf->ignore_request_directives) {
		struct weir_cc cc = directives(req->fields, &is_pragma);

		if (weir_cc_has(&cc, WEIR_CC_NO_STORE))
			found |= WEIR_RULE_BIT(WEIR_RULE_REQUEST_NO_STORE);
	}
	return found;
}

/* A response born at a clock's future (it cannot be) is new. */
static uint64_t age_ms(const struct weir_policy_stored *s, uint64_t now_ms)
{
	int64_t age = (int64_t)(now_ms - s->born_ms);

	return age > 0 ? (uint64_t)age : 0;
}

/* What the request asks for beyond freshness. */
static uint64_t check_request(const struct weir_cc *cc, bool is_pragma, uint64_t age, int64_t left_ms)
{
	uint64_t found = 0;

	if (weir_cc_has(cc, WEIR_CC_NO_CACHE))
		found |= WEIR_RULE_BIT(WEIR_RULE_REQUEST_NO_CACHE);
	if (is_pragma)
		found |= WEIR_RULE_BIT(WEIR_RULE_REQUEST_PRAGMA);
	/* what cannot be read is the strictest reading, 0 seconds */
	if (weir_cc_has(cc, WEIR_CC_MAX_AGE) && age > (uint64_t)cc->seconds[WEIR_CC_MAX_AGE] * 1000)
		found |= WEIR_RULE_BIT(WEIR_RULE_REQUEST_MAX_AGE);
	if (weir_cc_has(cc, WEIR_CC_MIN_FRESH) && left_ms < (int64_t)cc->seconds[WEIR_CC_MIN_FRESH] * 1000)
		found |= WEIR_RULE_BIT(WEIR_RULE_REQUEST_MIN_FRESH);
	return found;
}

static bool is_stale_allowed(const struct weir_policy_stored *s)
{
	return !(s->flags & (WEIR_STORED_MUST_REVALIDATE | WEIR_STORED_NO_CACHE));
}

/* For a response that is stale and that nothing else speaks against. */
static void decide_stale(const struct weir_policy_stored *s, const struct weir_cc *cc, int64_t left_ms,
			 struct weir_policy_reuse *ret)
{
	uint64_t stale_ms = (uint64_t)-left_ms;

	ret->rules |= WEIR_RULE_BIT(WEIR_RULE_STALE);
	if (!is_stale_allowed(s))
		ret->rules |= WEIR_RULE_BIT(WEIR_RULE_MUST_REVALIDATE);
	/* A client's word does not beat must-revalidate (5.2.2.2); the origin's own
	 * stale-while-revalidate is its word. */
	if (is_stale_allowed(s) && weir_cc_has(cc, WEIR_CC_MAX_STALE) &&
	    (cc->max_stale_is_any || stale_ms <= (uint64_t)cc->seconds[WEIR_CC_MAX_STALE] * 1000))
		ret->what = WEIR_REUSE_STALE;
	else if (s->swr_s > 0 && stale_ms < (uint64_t)s->swr_s * 1000)
		ret->what = WEIR_REUSE_WHILE_REVALIDATE;
}

void weir_policy_reuse(const struct weir_policy_conf *conf, const struct weir_policy_request *req,
		       const struct weir_policy_stored *s, uint64_t now_ms, struct weir_policy_reuse *ret)
{
	struct weir_cc cc = {};
	bool is_pragma = false;
	int64_t left_ms;
	uint64_t age;

	memset(ret, 0, sizeof(*ret));
	if (!conf->ignore_request_directives)
		cc = directives(req->fields, &is_pragma);
	ret->what = WEIR_REUSE_REVALIDATE;
	if (s) {
		age = age_ms(s, now_ms);
		left_ms = s->lifetime_s >= WEIR_POLICY_FOREVER ? INT64_MAX / 2
							       : (int64_t)s->lifetime_s * 1000 - (int64_t)age;
		ret->age_s = (uint32_t)MIN(age / 1000, (uint64_t)WEIR_POLICY_FOREVER);
		ret->ttl_s = left_ms >= 0 ? left_ms / 1000 : -((-left_ms + 999) / 1000);
		ret->rules = check_request(&cc, is_pragma, age, left_ms);
		/* RFC 8246 2.1: only no-cache asks for what cannot have changed. */
		if (s->flags & WEIR_STORED_IMMUTABLE && left_ms > 0)
			ret->rules &= ~WEIR_RULE_BIT(WEIR_RULE_REQUEST_MAX_AGE);
		if (s->flags & WEIR_STORED_NO_CACHE)
			ret->rules |= WEIR_RULE_BIT(WEIR_RULE_NO_CACHE);
		if (ret->rules == 0 && left_ms > 0)
			ret->what = WEIR_REUSE_FRESH;
		else if (left_ms <= 0 && ret->rules == 0)
			decide_stale(s, &cc, left_ms, ret);
		else if (left_ms <= 0)
			ret->rules |= WEIR_RULE_BIT(WEIR_RULE_STALE);
		/* RFC 5861 4: an age beyond freshness, whatever the request wants */
		ret->may_on_error =
			s->sie_s > 0 && !(s->flags & WEIR_STORED_NO_CACHE) && -left_ms < (int64_t)s->sie_s * 1000;
	}
	if (ret->what == WEIR_REUSE_REVALIDATE && weir_cc_has(&cc, WEIR_CC_ONLY_IF_CACHED)) {
		ret->rules |= WEIR_RULE_BIT(WEIR_RULE_REQUEST_ONLY_IF_CACHED);
		ret->what = WEIR_REUSE_REFUSE;
	}
}

bool weir_policy_is_error(unsigned status)
{
	return status == 0 || status == 500 || status == 502 || status == 503 || status == 504;
}

/* --- keys --- */

static void add_listed(struct weir_str names, struct weir_str query, struct weir_buf *out)
{
	struct weir_str name, rest, pair, key;
	char mark = '?';

	while (weir_str_next(&names, ' ', &name)) {
		rest = query;
		while (name.n > 0 && weir_str_next(&rest, '&', &pair)) {
			struct weir_str whole = pair;

			if (!weir_str_next(&pair, '=', &key) || !weir_str_eq(key, name))
				continue;
			weir_buf_put(out, &mark, 1);
			weir_buf_str(out, whole);
			mark = '&';
		}
	}
}

void weir_policy_key(enum weir_query_key rule, struct weir_str names, struct weir_str host, struct weir_str target,
		     struct weir_buf *out)
{
	const char *mark = target.n > 0 ? memchr(target.p, '?', target.n) : NULL;
	struct weir_str path = { target.p, mark ? (size_t)(mark - target.p) : target.n };

	weir_buf_str(out, host);
	if (rule == WEIR_QUERY_FULL) {
		weir_buf_str(out, target);
		return;
	}
	weir_buf_str(out, path);
	if (mark && rule == WEIR_QUERY_LISTED)
		add_listed(names, (struct weir_str){ mark + 1, target.n - path.n - 1 }, out);
}

/* Items of a list without the space around them; in lower case where case does not matter. */
static void add_normal(struct weir_str value, bool is_caseless, struct weir_buf *out)
{
	struct weir_str item;
	bool is_first = true;
	size_t i;

	while (weir_str_next(&value, ',', &item)) {
		item = weir_str_trim(item);
		if (item.n == 0)
			continue;
		if (!is_first)
			weir_buf_puts(out, ",");
		is_first = false;
		for (i = 0; i < item.n; i++) {
			char c = is_caseless ? weir_lower(item.p[i]) : item.p[i];

			if (!is_caseless || (c != ' ' && c != '\t'))
				weir_buf_put(out, &c, 1);
		}
	}
}

void weir_policy_vary(const char *vary, struct weir_str fields, struct weir_buf *out)
{
	struct weir_str names = { vary, strlen(vary) }, name, n, v, rest;

	while (names.n > 0 && weir_str_next(&names, ',', &name)) {
		bool is_caseless = weir_str_eq(name, WEIR_STR("accept-encoding")) ||
				   weir_str_eq(name, WEIR_STR("accept-language")) ||
				   weir_str_eq(name, WEIR_STR("accept"));

		weir_buf_str(out, name);
		rest = fields;
		while (weir_fields_next(&rest, &n, &v)) {
			if (!weir_str_caseeq(n, name))
				continue;
			weir_buf_puts(out, ":");
			add_normal(v, is_caseless, out);
		}
		weir_buf_puts(out, "\n");
	}
}
