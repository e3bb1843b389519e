/* SPDX-License-Identifier: GPL-2.0 */
/* Accept-Encoding: as part of the cache key, with the same answer as bpf/lib gives, or a published response would never
 * be found; and as the weights of codings, for the choice between representations. */
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

const char *const weir_coding_names[WEIR_CODING__MAX] = { "br", "zstd", "gzip", "identity" };

#define NOT_NAMED UINT16_MAX

/* qvalue of RFC 9110 12.4.2, in thousandths, or -EINVAL. */
static int weight_of(struct weir_str s)
{
	int value, scale = 100;
	size_t i;

	if (s.n == 0 || s.n > 5 || (s.p[0] != '0' && s.p[0] != '1') || (s.n > 1 && s.p[1] != '.'))
		return -EINVAL;
	value = (s.p[0] - '0') * 1000;
	for (i = 2; i < s.n; i++, scale /= 10) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return -EINVAL;
		value += (s.p[i] - '0') * scale;
	}
	return value <= 1000 ? value : -EINVAL;
}

/* "coding [; q=weight]". The weight, or -EINVAL. */
static int weight_of_item(struct weir_str item, struct weir_str *ret_name)
{
	struct weir_str rest = item, name, weight;

	if (!weir_str_next(&rest, ';', &name))
		return -EINVAL;
	*ret_name = weir_str_trim(name);
	if (!rest.p)
		return 1000;
	weight = weir_str_trim(rest);
	if (weight.n < 2 || weir_lower(weight.p[0]) != 'q' || weight.p[1] != '=')
		return -EINVAL;
	return weight_of((struct weir_str){ weight.p + 2, weight.n - 2 });
}

static enum weir_coding coding_of(struct weir_str name)
{
	unsigned c;

	/* RFC 9110 8.4.1.3 */
	if (weir_str_caseeq(name, WEIR_STR("x-gzip")))
		return WEIR_CODING_GZIP;
	for (c = 0; c < WEIR_CODING__MAX; c++)
		if (weir_str_caseeq(name, (struct weir_str){ weir_coding_names[c], strlen(weir_coding_names[c]) }))
			break;
	return (enum weir_coding)c;
}

void weir_encoding_weigh(struct weir_str value, uint16_t ret[WEIR_CODING__MAX])
{
	uint16_t any = NOT_NAMED;
	struct weir_str item, name;
	unsigned c;

	for (c = 0; c < WEIR_CODING__MAX; c++)
		ret[c] = NOT_NAMED;
	while (weir_str_next(&value, ',', &item)) {
		int weight = weight_of_item(weir_str_trim(item), &name);
		uint16_t *place;

		if (weight < 0 || name.n == 0)
			continue;
		c = coding_of(name);
		if (c < WEIR_CODING__MAX)
			place = &ret[c];
		else if (weir_str_eq(name, WEIR_STR("*")))
			place = &any;
		else
			continue;
		if (*place == NOT_NAMED)
			*place = (uint16_t)weight;
	}
	for (c = 0; c < WEIR_CODING__MAX; c++) {
		if (ret[c] != NOT_NAMED)
			continue;
		ret[c] = any != NOT_NAMED ? any : c == WEIR_CODING_IDENTITY ? 1 : 0;
	}
}
