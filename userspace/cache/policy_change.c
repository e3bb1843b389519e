// SPDX-License-Identifier: GPL-2.0
/* What changes a stored response: a 304 that freshens it (RFC 9111 3.2, 4.3.4), a HEAD that
 * contradicts it (4.3.5), an unsafe request that makes it obsolete (4.4). Pure. */
#include "cache/policy.h"

#include "common/macro.h"

/* These describe the stored body, not the 304. */
static bool is_kept(struct weir_str name)
{
	static const struct weir_str kept[] = {
		{ "Content-Length", 14 }, { "Content-Encoding", 16 },  { "Content-Type", 12 },
		{ "Content-Range", 13 },  { "Transfer-Encoding", 17 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kept); i++)
		if (weir_str_caseeq(name, kept[i]))
			return true;
	return false;
}

static void put_field(struct weir_buf *out, struct weir_str name, struct weir_str value)
{
	weir_buf_str(out, name);
	weir_buf_puts(out, ": ");
	weir_buf_str(out, value);
	weir_buf_puts(out, "\r\n");
}

void weir_policy_merge(struct weir_str stored, struct weir_str fresh, struct weir_buf *out)
{
	struct weir_str rest = stored, name, value, ignored, connection = { NULL, 0 };
	const struct weir_cc none = {};

	while (weir_fields_next(&rest, &name, &value))
		if (is_kept(name) || !weir_fields_find(fresh, name, &ignored))
			put_field(out, name, value);
	(void)weir_fields_find(fresh, WEIR_STR("Connection"), &connection);
	rest = fresh;
	while (weir_fields_next(&rest, &name, &value))
		if (!is_kept(name) && !weir_policy_is_dropped(&none, connection, name))
			put_field(out, name, value);
}

static struct weir_str opaque(struct weir_str etag)
{
	return etag.n > 2 && etag.p[0] == 'W' && etag.p[1] == '/' ? (struct weir_str){ etag.p + 2, etag.n - 2 } : etag;
}

bool weir_policy_is_same(struct weir_str stored, struct weir_str fresh)
{
	struct weir_str a, b;

	if (weir_fields_find(fresh, WEIR_STR("ETag"), &b))
		return weir_fields_find(stored, WEIR_STR("ETag"), &a) && weir_str_eq(opaque(a), opaque(b));
	if (weir_fields_find(fresh, WEIR_STR("Last-Modified"), &b))
		return weir_fields_find(stored, WEIR_STR("Last-Modified"), &a) && weir_str_eq(a, b);
	/* no validator at all: there was one candidate, and it was asked about */
	return true;
}

bool weir_policy_head_differs(struct weir_str stored, uint64_t body_bytes, struct weir_str head)
{
	struct weir_str value;
	uint64_t n = 0;
	size_t i;

	if (!weir_policy_is_same(stored, head))
		return true;
	if (!weir_fields_find(head, WEIR_STR("Content-Length"), &value))
		return false;
	for (i = 0; i < value.n && value.p[i] >= '0' && value.p[i] <= '9'; i++)
		if (__builtin_mul_overflow(n, 10u, &n) || __builtin_add_overflow(n, (uint64_t)(value.p[i] - '0'), &n))
			return true;
	return i < value.n || n != body_bytes;
}

bool weir_method_is_safe(struct weir_str method)
{
	/* RFC 9110 9.2.1, RFC 4918 9.1, RFC 3253 3.6, RFC 5323 2 */
	static const struct weir_str safe[] = {
		{ "GET", 3 },	   { "HEAD", 4 },   { "OPTIONS", 7 }, { "TRACE", 5 },
		{ "PROPFIND", 8 }, { "REPORT", 6 }, { "SEARCH", 6 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(safe); i++)
		if (weir_str_eq(method, safe[i]))
			return true;
	return false;
}

bool weir_policy_invalidates(struct weir_str method, unsigned status)
{
	return !weir_method_is_safe(method) && status >= 200 && status < 400;
}
