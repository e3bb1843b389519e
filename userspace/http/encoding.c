/* SPDX-License-Identifier: GPL-2.0 */
/* Accept-Encoding as part of the cache key. The same answer as bpf/lib gives, or a published response would never
 * be found. */
#include "http/http.h"

#include <errno.h>

#include "weir/cache.h"

int weir_encoding_classify(struct weir_str value, uint8_t *ret_set)
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
	struct weir_str item;
	uint8_t set = 0;
	size_t i;

	value = weir_str_trim(value);
	if (value.n == 0) {
		*ret_set = 0;
		return 0;
	}
	while (weir_str_next(&value, ',', &item)) {
		item = weir_str_trim(item);
		if (item.n == 0)
			continue;
		for (i = 0; i < sizeof(codings) / sizeof(codings[0]); i++)
			if (weir_str_caseeq(item, codings[i].name))
				break;
		if (i == sizeof(codings) / sizeof(codings[0]))
			return -EINVAL;
		set |= codings[i].bit;
	}
	*ret_set = set;
	return 0;
}
