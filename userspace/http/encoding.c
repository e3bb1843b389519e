/* SPDX-License-Identifier: GPL-2.0 */
/* Accept-Encoding as part of the cache key. The same answer as bpf/lib gives, or a published response would never
 * be found. */
#include "http/http.h"

#include <errno.h>

#include "weir/cache.h"

uint8_t weir_encoding_bit(struct weir_str name)
{
	static const struct {
		struct weir_str name;
		uint8_t bit;
	} codings[] = {
		{ { "gzip", 4 }, WEIR_ENCODING_GZIP },
		{ { "br", 2 }, WEIR_ENCODING_BR },
		{ { "zstd", 4 }, WEIR_ENCODING_ZSTD },
		{ { "deflate", 7 }, WEIR_ENCODING_DEFLATE },
	};
	size_t i;

	for (i = 0; i < sizeof(codings) / sizeof(codings[0]); i++)
		if (weir_str_caseeq(name, codings[i].name))
			return codings[i].bit;
	return 0;
}

static bool is_token(struct weir_str s)
{
	size_t i;

	for (i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
		      (c && strchr("!#$%&'*+-.^_`|~", c))))
			return false;
	}
	return s.n > 0;
}

/* qvalue, RFC 9110 12.4.2. */
static bool parse_weight(struct weir_str s, bool *ret_is_zero)
{
	size_t i;

	s = weir_str_trim(s);
	if (s.n < 3 || s.n > 7 || (s.p[0] | 0x20) != 'q' || s.p[1] != '=' || (s.p[2] != '0' && s.p[2] != '1') ||
	    (s.n > 3 && s.p[3] != '.'))
		return false;
	*ret_is_zero = s.p[2] == '0';
	for (i = 4; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > (s.p[2] == '1' ? '0' : '9'))
			return false;
		if (s.p[i] != '0')
			*ret_is_zero = false;
	}
	return true;
}

int weir_encoding_classify(struct weir_str value, uint8_t *ret_set)
{
	uint8_t set = 0, refused = 0, bit;
	struct weir_str item, name;
	const char *semicolon;
	bool is_zero;

	value = weir_str_trim(value);
	while (weir_str_next(&value, ',', &item)) {
		item = weir_str_trim(item);
		if (item.n == 0)
			continue;
		semicolon = memchr(item.p, ';', item.n);
		name = weir_str_trim((struct weir_str){ item.p, semicolon ? (size_t)(semicolon - item.p) : item.n });
		is_zero = false;
		if (!is_token(name) ||
		    (semicolon && !parse_weight((struct weir_str){ semicolon + 1,
								   (size_t)(item.p + item.n - (semicolon + 1)) },
						&is_zero)))
			return -EINVAL;
		bit = weir_encoding_bit(name);
		if (is_zero && (weir_str_eq(name, WEIR_STR("*")) || weir_str_caseeq(name, WEIR_STR("identity"))))
			return -EINVAL;
		if (is_zero)
			refused |= bit;
		else
			set |= bit;
	}
	*ret_set = set & (uint8_t)~refused;
	return 0;
}
