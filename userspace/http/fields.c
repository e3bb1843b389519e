/* SPDX-License-Identifier: GPL-2.0 */
/* Field lines of requests and responses alike: their syntax, walking through them, and which of
 * them end at this connection. */
#include "http/response.h"

#include <errno.h>

/* RFC 9110 5.6.2 */
static const bool token[256] = {
	['!'] = 1, ['#'] = 1, ['$'] = 1, ['%'] = 1,	    ['&'] = 1,	       ['\''] = 1,
	['*'] = 1, ['+'] = 1, ['-'] = 1, ['.'] = 1,	    ['0' ... '9'] = 1, ['A' ... 'Z'] = 1,
	['^'] = 1, ['_'] = 1, ['`'] = 1, ['a' ... 'z'] = 1, ['|'] = 1,	       ['~'] = 1,
};

/* In the order of their lengths, see is_listed(). */
static const struct weir_str hops_known[] = {
	{ "te", 2 },	      { "trailer", 7 },		{ "upgrade", 7 },	    { "connection", 10 },
	{ "keep-alive", 10 }, { "content-length", 14 }, { "proxy-connection", 16 }, { "transfer-encoding", 17 },
};

/* Beside those: what no trailer may change. */
static const struct weir_str no_trailers[] = {
	{ "age", 3 },
	{ "date", 4 },
	{ "host", 4 },
	{ "vary", 4 },
	{ "range", 5 },
	{ "cookie", 6 },
	{ "expect", 6 },
	{ "expires", 7 },
	{ "location", 8 },
	{ "set-cookie", 10 },
	{ "retry-after", 11 },
	{ "content-type", 12 },
	{ "max-forwards", 12 },
	{ "authorization", 13 },
	{ "cache-control", 13 },
	{ "content-range", 13 },
	{ "content-encoding", 16 },
	{ "www-authenticate", 16 },
	{ "proxy-authenticate", 18 },
	{ "proxy-authorization", 19 },
};

bool weir_is_token(struct weir_str s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (!token[(uint8_t)s.p[i]])
			return false;
	return s.n > 0;
}

const char *weir_fields_check(struct weir_str fields)
{
	struct weir_str line;

	while (weir_str_next(&fields, '\n', &line) && line.n > 1) {
		const char *colon;
		size_t i;

		if (line.p[--line.n] != '\r')
			return "line feed without carriage return";
		if (line.p[0] == ' ' || line.p[0] == '\t')
			return "field continues on a second line";
		colon = memchr(line.p, ':', line.n);
		if (!colon || !weir_is_token((struct weir_str){ line.p, (size_t)(colon - line.p) }))
			return "field name is not a token";
		for (i = (size_t)(colon - line.p) + 1; i < line.n; i++)
			if (((uint8_t)line.p[i] < 0x20 && line.p[i] != '\t') || line.p[i] == 0x7f)
				return "control character in a field";
	}
	return NULL;
}

bool weir_fields_next(struct weir_str *rest, struct weir_str *ret_name, struct weir_str *ret_value)
{
	struct weir_str line;
	const char *colon;

	if (!weir_str_next(rest, '\n', &line) || line.n < 2)
		return false;
	line.n--;
	colon = memchr(line.p, ':', line.n);
	if (!colon)
		return false;
	*ret_name = (struct weir_str){ line.p, (size_t)(colon - line.p) };
	*ret_value = weir_str_trim((struct weir_str){ colon + 1, line.n - ret_name->n - 1 });
	return true;
}

bool weir_fields_find(struct weir_str fields, struct weir_str name, struct weir_str *ret_value)
{
	struct weir_str n, v;

	while (weir_fields_next(&fields, &n, &v)) {
		if (!weir_str_caseeq(n, name))
			continue;
		*ret_value = v;
		return true;
	}
	return false;
}

bool weir_list_has(struct weir_str list, struct weir_str word)
{
	struct weir_str item;

	while (weir_str_next(&list, ',', &item))
		if (weir_str_caseeq(weir_str_trim(item), word))
			return true;
	return false;
}

int weir_hops_collect(struct weir_str fields, struct weir_hops *ret)
{
	struct weir_str name, value;

	*ret = (struct weir_hops){ .count = 0 };
	while (weir_fields_next(&fields, &name, &value)) {
		if (!weir_str_caseeq(name, WEIR_STR("connection")))
			continue;
		if (ret->count == WEIR_HTTP_HOPS_MAX)
			return -E2BIG;
		ret->values[ret->count++] = value;
		ret->has_upgrade |= weir_list_has(value, WEIR_STR("upgrade"));
		ret->has_close |= weir_list_has(value, WEIR_STR("close"));
		ret->has_keep_alive |= weir_list_has(value, WEIR_STR("keep-alive"));
	}
	return 0;
}

static bool is_listed(const struct weir_str *names, size_t count, struct weir_str name)
{
	size_t i;

	for (i = 0; i < count && names[i].n <= name.n; i++)
		if (names[i].n == name.n && weir_str_caseeq(names[i], name))
			return true;
	return false;
}

bool weir_is_hop(const struct weir_hops *hops, struct weir_str name)
{
	unsigned i;

	if (is_listed(hops_known, sizeof(hops_known) / sizeof(hops_known[0]), name))
		return true;
	for (i = 0; i < hops->count; i++)
		if (weir_list_has(hops->values[i], name))
			return true;
	return false;
}

bool weir_is_trailer(const struct weir_hops *hops, struct weir_str name)
{
	return !weir_is_hop(hops, name) && !is_listed(no_trailers, sizeof(no_trailers) / sizeof(no_trailers[0]), name);
}
