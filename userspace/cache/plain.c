/* SPDX-License-Identifier: GPL-2.0 */
/* The plain case: requests that the kernel answers if it can. Publishing for any other would be a waste, never
 * wrong: the kernel decides on its own what it looks up. */
#include "cache/cache.h"

/* Letters, digits, '.', '-', or an IPv6 literal in brackets, which the parser has checked. */
static bool is_plain_host(struct weir_str host)
{
	size_t i;

	if (host.n == 0 || host.n > WEIR_HOST_MAX)
		return false;
	for (i = 0; host.p[0] != '[' && i < host.n; i++) {
		char c = host.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.'))
			return false;
	}
	return true;
}

/* Unreserved and sub-delims of RFC 3986, with what a path and a query may have beside them. */
static bool is_plain_char(char c, bool in_query)
{
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
		return true;
	switch (c) {
	case '%':
	case '?':
		return in_query;
	case '-':
	case '.':
	case '_':
	case '~':
	case '!':
	case '$':
	case '&':
	case '\'':
	case '(':
	case ')':
	case '*':
	case '+':
	case ',':
	case ';':
	case '=':
	case ':':
	case '@':
	case '/':
		return true;
	default:
		return false;
	}
}

/* No escape, no empty segment, no segment that starts with a dot. */
static bool is_plain_target(struct weir_str target)
{
	bool in_query = false;
	size_t i;

	if (target.n == 0 || target.n > WEIR_TARGET_MAX || target.p[0] != '/')
		return false;
	for (i = 0; i < target.n; i++) {
		char c = target.p[i];

		if (c == '?' && !in_query) {
			in_query = true;
			continue;
		}
		if (!is_plain_char(c, in_query))
			return false;
		if (!in_query && i > 0 && target.p[i - 1] == '/' && (c == '/' || c == '.'))
			return false;
	}
	return true;
}

/* etagc, RFC 9110 8.8.3. */
static bool is_tag_char(char c)
{
	return (unsigned char)c > 0x20 && c != '"' && c != 0x7f;
}

bool weir_cache_one_tag(struct weir_str value, struct weir_str *ret_tag)
{
	size_t i;

	value = weir_str_trim(value);
	if (value.n > 2 && value.p[0] == 'W' && value.p[1] == '/') {
		value.p += 2;
		value.n -= 2;
	}
	if (value.n < 2 || value.n > WEIR_ETAG_BYTES || value.p[0] != '"' || value.p[value.n - 1] != '"')
		return false;
	for (i = 1; i + 1 < value.n; i++)
		if (!is_tag_char(value.p[i]))
			return false;
	*ret_tag = value;
	return true;
}

/* If-None-Match goes before If-Modified-Since, RFC 9110 13.1.3. */
static bool has_plain_conditions(const struct weir_request *r)
{
	struct weir_str tag;

	if (r->counts[WEIR_FIELD_IF_NONE_MATCH] > 1 || r->counts[WEIR_FIELD_IF_MODIFIED_SINCE] > 1)
		return false;
	if (r->counts[WEIR_FIELD_IF_NONE_MATCH] == 1)
		return weir_cache_one_tag(r->fields[WEIR_FIELD_IF_NONE_MATCH], &tag);
	return r->counts[WEIR_FIELD_IF_MODIFIED_SINCE] == 0 ||
	       weir_str_trim(r->fields[WEIR_FIELD_IF_MODIFIED_SINCE]).n == WEIR_DATE_BYTES;
}

bool weir_cache_is_plain(const struct weir_request *r, uint8_t *ret_encodings)
{
	static const enum weir_field deciding[] = {
		WEIR_FIELD_AUTHORIZATION,	WEIR_FIELD_RANGE,  WEIR_FIELD_IF_RANGE, WEIR_FIELD_IF_MATCH,
		WEIR_FIELD_IF_UNMODIFIED_SINCE, WEIR_FIELD_EXPECT, WEIR_FIELD_UPGRADE,	WEIR_FIELD_CONTENT_LENGTH,
		WEIR_FIELD_TRANSFER_ENCODING,
	};
	size_t i;

	if (r->method != WEIR_METHOD_GET || r->form != WEIR_TARGET_ORIGIN || r->counts[WEIR_FIELD_HOST] != 1 ||
	    r->counts[WEIR_FIELD_ACCEPT_ENCODING] > 1)
		return false;
	for (i = 0; i < sizeof(deciding) / sizeof(deciding[0]); i++)
		if (weir_request_has(r, deciding[i]))
			return false;
	return is_plain_host(r->host) && is_plain_target(r->target) && has_plain_conditions(r) &&
	       weir_encoding_classify(r->fields[WEIR_FIELD_ACCEPT_ENCODING], ret_encodings) == 0;
}
