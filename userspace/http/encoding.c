/* SPDX-License-Identifier: GPL-2.0 */
/* Accept-Encoding: as part of the cache key, with the same answer as bpf/lib gives, or a published response would never
 * be found; and as the weights of codings, for the choice between representations. */
#include "http/http.h"

#include <errno.h>

#include "weir/cache.h"

/* In our own order: what comes first is chosen if a client does not mind. */
static const struct {
	struct weir_str name;
	uint8_t bit;
} codings[] = {
	{ { "br", 2 }, WEIR_ENCODING_BR },
	{ { "zstd", 4 }, WEIR_ENCODING_ZSTD },
	{ { "gzip", 4 }, WEIR_ENCODING_GZIP },
	{ { "deflate", 7 }, WEIR_ENCODING_DEFLATE },
};
#define NO_CODING (sizeof(codings) / sizeof(codings[0])) /* the place behind */

static size_t find_coding(struct weir_str name)
{
	size_t i;

	if (weir_str_caseeq(name, WEIR_STR("x-gzip"))) /* RFC 9110 8.4.1.3 */
		name = codings[2].name;
	for (i = 0; i < NO_CODING; i++)
		if (weir_str_caseeq(name, codings[i].name))
			break;
	return i;
}

uint8_t weir_encoding_bit(struct weir_str name)
{
	size_t place = find_coding(name);

	return place < NO_CODING ? codings[place].bit : 0;
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

/* "q=" and a qvalue, RFC 9110 12.4.2, in thousandths; -EINVAL. */
static int parse_weight(struct weir_str s)
{
	int weight, scale = 100;
	size_t i;

	s = weir_str_trim(s);
	if (s.n < 3 || s.n > 7 || (s.p[0] | 0x20) != 'q' || s.p[1] != '=' || (s.p[2] != '0' && s.p[2] != '1') ||
	    (s.n > 3 && s.p[3] != '.'))
		return -EINVAL;
	weight = (s.p[2] - '0') * 1000;
	for (i = 4; i < s.n; i++, scale /= 10) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return -EINVAL;
		weight += (s.p[i] - '0') * scale;
	}
	return weight <= 1000 ? weight : -EINVAL;
}

/* "coding [; q=weight]". The weight, or -EINVAL. */
static int parse_item(struct weir_str item, struct weir_str *ret_name)
{
	const char *semicolon = memchr(item.p, ';', item.n);

	*ret_name = weir_str_trim((struct weir_str){ item.p, semicolon ? (size_t)(semicolon - item.p) : item.n });
	if (!is_token(*ret_name))
		return -EINVAL;
	if (!semicolon)
		return 1000;
	return parse_weight((struct weir_str){ semicolon + 1, (size_t)(item.p + item.n - (semicolon + 1)) });
}

/* Whether the weights prefer nothing against our own order; -1: not named. */
static bool is_in_order(const int weights[NO_CODING + 1])
{
	int least = 1000;
	size_t i;

	for (i = 0; i <= NO_CODING; i++) {
		if (weights[i] <= 0)
			continue;
		if (weights[i] > least)
			return false;
		least = weights[i];
	}
	return true;
}

int weir_encoding_classify(struct weir_str value, uint8_t *ret_set)
{
	int weights[NO_CODING + 1], weight;
	struct weir_str item, name;
	uint8_t set = 0, named = 0;
	bool has_any = false;
	size_t i;

	for (i = 0; i <= NO_CODING; i++)
		weights[i] = -1;
	value = weir_str_trim(value);
	while (weir_str_next(&value, ',', &item)) {
		item = weir_str_trim(item);
		if (item.n == 0)
			continue;
		weight = parse_item(item, &name);
		if (weight < 0)
			return -EINVAL;
		i = find_coding(name);
		if (i < NO_CODING) {
			if (weights[i] >= 0 && weights[i] != weight)
				return -EINVAL;
			weights[i] = weight;
			named |= codings[i].bit;
			set |= weight > 0 ? codings[i].bit : 0;
		} else if (weir_str_eq(name, WEIR_STR("*")) || weir_str_caseeq(name, WEIR_STR("identity"))) {
			if (weight == 0)
				return -EINVAL;
			has_any = has_any || name.p[0] == '*';
			weights[i] = weight > weights[i] ? weight : weights[i];
		}
	}
	if (!is_in_order(weights))
		return -EINVAL;
	if (has_any)
		set |= (uint8_t)((WEIR_ENCODING__COUNT - 1) & ~named) * WEIR_ENCODING_ANY;
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
