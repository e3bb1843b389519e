// SPDX-License-Identifier: GPL-2.0
/* Fields and directives: header lines, Cache-Control (RFC 9111 5.2), targeted fields (RFC 9213).
 * Pure; what cannot be read is never an error but a rule: invalid freshness means stale, RFC
 * 9111 4.2.1. */
#include "cache/policy.h"

#include <errno.h>

#include "common/macro.h"

static const struct {
	struct weir_str name;
	enum weir_directive id;
} directives[] = {
	{ { "max-age", 7 }, WEIR_CC_MAX_AGE },
	{ { "s-maxage", 8 }, WEIR_CC_S_MAXAGE },
	{ { "no-store", 8 }, WEIR_CC_NO_STORE },
	{ { "no-cache", 8 }, WEIR_CC_NO_CACHE },
	{ { "private", 7 }, WEIR_CC_PRIVATE },
	{ { "public", 6 }, WEIR_CC_PUBLIC },
	{ { "must-revalidate", 15 }, WEIR_CC_MUST_REVALIDATE },
	{ { "proxy-revalidate", 16 }, WEIR_CC_PROXY_REVALIDATE },
	{ { "must-understand", 15 }, WEIR_CC_MUST_UNDERSTAND },
	{ { "immutable", 9 }, WEIR_CC_IMMUTABLE },
	{ { "no-transform", 12 }, WEIR_CC_NO_TRANSFORM },
	{ { "only-if-cached", 14 }, WEIR_CC_ONLY_IF_CACHED },
	{ { "min-fresh", 9 }, WEIR_CC_MIN_FRESH },
	{ { "max-stale", 9 }, WEIR_CC_MAX_STALE },
	{ { "stale-while-revalidate", 22 }, WEIR_CC_STALE_WHILE_REVALIDATE },
	{ { "stale-if-error", 14 }, WEIR_CC_STALE_IF_ERROR },
};

struct weir_str weir_fields_of(struct weir_str head)
{
	const char *end = head.n > 0 ? memchr(head.p, '\n', head.n) : NULL;

	if (!end)
		return (struct weir_str){ head.p, 0 };
	return (struct weir_str){ end + 1, (size_t)(head.p + head.n - end - 1) };
}

/* delta-seconds, RFC 9111 1.2.2. -EINVAL: not digits alone. */
static int parse_seconds(struct weir_str s, uint32_t *ret)
{
	uint64_t n = 0;
	size_t i;

	if (s.n == 0)
		return -EINVAL;
	for (i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return -EINVAL;
		n = MIN(n * 10 + (uint64_t)(s.p[i] - '0'), (uint64_t)WEIR_POLICY_FOREVER);
	}
	*ret = (uint32_t)n;
	return 0;
}

/* One directive. Two that differ are as bad as none that can be read: RFC 9111 4.2.1 lets them mean
 * stale. */
static void set(struct weir_cc *cc, enum weir_directive d, bool has_argument, struct weir_str argument)
{
	bool was_there = weir_cc_has(cc, d);
	uint32_t seconds = 0;

	cc->present |= 1u << d;
	if (d == WEIR_CC_PRIVATE || d == WEIR_CC_NO_CACHE) {
		struct weir_str *fields = d == WEIR_CC_PRIVATE ? &cc->private_fields : &cc->no_cache_fields;

		/* the whole response beats some of its fields; of two lists none is followed, which
		 * is the whole, too */
		*fields = has_argument && argument.n > 0 && !was_there ? argument : (struct weir_str){ NULL, 0 };
		return;
	}
	if (d < WEIR_CC_MAX_AGE)
		return;
	if (d == WEIR_CC_MAX_STALE && !has_argument) {
		cc->max_stale_is_any = true;
		return;
	}
	if (parse_seconds(argument, &seconds) < 0 || (was_there && seconds != cc->seconds[d])) {
		cc->invalid |= 1u << d;
		seconds = 0;
	}
	cc->seconds[d] = seconds;
}

static void set_named(struct weir_cc *cc, struct weir_str name, bool has_argument, struct weir_str argument)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(directives); i++)
		if (weir_str_caseeq(name, directives[i].name))
			set(cc, directives[i].id, has_argument, argument);
}

/* Cuts a quoted-string off *rest, without quotes; what is escaped in it is of no directive we read.
 * False: its end is missing. */
static bool take_quoted(struct weir_str *rest, struct weir_str *ret)
{
	bool is_closed;
	size_t i = 1;

	while (i < rest->n && rest->p[i] != '"')
		i += rest->p[i] == '\\' ? 2 : 1;
	i = MIN(i, rest->n);
	is_closed = i < rest->n;
	*ret = (struct weir_str){ rest->p + 1, i - 1 };
	i += is_closed;
	*rest = (struct weir_str){ rest->p + i, rest->n - i };
	return is_closed;
}

static struct weir_str take_until(struct weir_str *rest, const char *stops)
{
	size_t i = 0;
	struct weir_str part;

	while (i < rest->n && !strchr(stops, rest->p[i] ? rest->p[i] : 1))
		i++;
	part = (struct weir_str){ rest->p, i };
	*rest = (struct weir_str){ rest->p + i, rest->n - i };
	return part;
}

void weir_cc_add(struct weir_cc *cc, struct weir_str rest)
{
	while (rest.n > 0) {
		struct weir_str name = weir_str_trim(take_until(&rest, ",=")), argument = { "", 0 };
		bool has_argument = rest.n > 0 && rest.p[0] == '=';

		if (has_argument) {
			rest.p++;
			rest.n--;
			while (rest.n > 0 && (*rest.p == ' ' || *rest.p == '\t')) {
				rest.p++;
				rest.n--;
			}
			if (rest.n > 0 && rest.p[0] == '"')
				(void)take_quoted(&rest, &argument);
			else
				argument = take_until(&rest, ",");
			argument = weir_str_trim(argument);
			/* rubbish behind a closing quote */
			(void)take_until(&rest, ",");
		}
		set_named(cc, name, has_argument, argument);
		if (rest.n > 0) {
			rest.p++;
			rest.n--;
		}
	}
}

/* --- structured fields, as much as a targeted field needs: RFC 8941 3.2 --- */

static bool is_key_char(char c, bool is_first)
{
	if ((c >= 'a' && c <= 'z') || c == '*')
		return true;
	return !is_first && ((c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.');
}

static bool take_key(struct weir_str *rest, struct weir_str *ret)
{
	size_t i = 0;

	while (i < rest->n && is_key_char(rest->p[i], i == 0))
		i++;
	*ret = (struct weir_str){ rest->p, i };
	*rest = (struct weir_str){ rest->p + i, rest->n - i };
	return i > 0;
}

static bool is_token_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       strchr("!#$%&'*+-.^_`|~:/", c);
}

/* A bare item. Strings lose their quotes; a boolean false empties *ret_value and sets
 * *ret_is_false. */
static bool take_item(struct weir_str *rest, struct weir_str *ret_value, bool *ret_is_false)
{
	size_t i = 0;

	*ret_is_false = false;
	if (rest->n == 0)
		return false;
	if (rest->p[0] == '"')
		return take_quoted(rest, ret_value);
	if (rest->p[0] == '?') {
		if (rest->n < 2 || (rest->p[1] != '0' && rest->p[1] != '1'))
			return false;
		*ret_is_false = rest->p[1] == '0';
		*ret_value = (struct weir_str){ "", 0 };
		*rest = (struct weir_str){ rest->p + 2, rest->n - 2 };
		return true;
	}
	while (i < rest->n && rest->p[i] && is_token_char(rest->p[i]))
		i++;
	*ret_value = (struct weir_str){ rest->p, i };
	*rest = (struct weir_str){ rest->p + i, rest->n - i };
	return i > 0;
}

static void skip_space(struct weir_str *rest)
{
	while (rest->n > 0 && (*rest->p == ' ' || *rest->p == '\t')) {
		rest->p++;
		rest->n--;
	}
}

static bool take_char(struct weir_str *rest, char c)
{
	if (rest->n == 0 || *rest->p != c)
		return false;
	rest->p++;
	rest->n--;
	return true;
}

/* ";key=item" behind a member: read over. */
static bool skip_parameters(struct weir_str *rest)
{
	struct weir_str key, value;
	bool is_false;

	while (take_char(rest, ';')) {
		skip_space(rest);
		if (!take_key(rest, &key) || (take_char(rest, '=') && !take_item(rest, &value, &is_false)))
			return false;
	}
	return true;
}

int weir_cc_targeted(struct weir_cc *cc, struct weir_str rest)
{
	struct weir_cc got = {};

	rest = weir_str_trim(rest);
	if (rest.n == 0)
		return -ENOENT;
	do {
		struct weir_str key, value = { "", 0 };
		bool has_value, is_false = false;

		skip_space(&rest);
		if (!take_key(&rest, &key))
			return -EINVAL;
		has_value = take_char(&rest, '=');
		if ((has_value && !take_item(&rest, &value, &is_false)) || !skip_parameters(&rest))
			return -EINVAL;
		skip_space(&rest);
		if (rest.n > 0 && *rest.p != ',')
			return -EINVAL;
		/* the last of a key counts in a dictionary, RFC 8941 3.2 */
		if (!is_false) {
			size_t i;

			for (i = 0; i < ARRAY_SIZE(directives); i++) {
				if (!weir_str_eq(key, directives[i].name))
					continue;
				got.present &= ~(1u << directives[i].id);
				got.invalid &= ~(1u << directives[i].id);
			}
			set_named(&got, key, has_value && value.n > 0, value);
		}
	} while (take_char(&rest, ','));
	*cc = got;
	return 0;
}
