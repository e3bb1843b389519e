/* SPDX-License-Identifier: GPL-2.0 */
/* Range requests, RFC 9110 14.1 and 14.2. */
#include "http/http.h"

#include <errno.h>

/* Saturates: a position past any file is as good as the largest. */
static int position(struct weir_str s, uint64_t *ret)
{
	uint64_t v = 0;
	size_t i;

	if (s.n == 0)
		return -EINVAL;
	for (i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return -EINVAL;
		if (v > (UINT64_MAX - 9) / 10)
			v = UINT64_MAX / 10 - 1;
		v = v * 10 + (uint64_t)(s.p[i] - '0');
	}
	*ret = v;
	return 0;
}

/* One range-spec. 1: *ret is set; 0: not satisfiable; -EINVAL. */
static int one_range(struct weir_str spec, uint64_t size, struct weir_range *ret)
{
	const char *dash = spec.n > 0 ? memchr(spec.p, '-', spec.n) : NULL;
	struct weir_str first, last;
	uint64_t from = 0, to = UINT64_MAX;

	if (!dash)
		return -EINVAL;
	first = (struct weir_str){ spec.p, (size_t)(dash - spec.p) };
	last = (struct weir_str){ dash + 1, spec.n - first.n - 1 };
	if (first.n == 0) {
		if (position(last, &to) < 0)
			return -EINVAL;
		if (to == 0 || size == 0)
			return 0;
		*ret = (struct weir_range){ to < size ? size - to : 0, size - 1 };
		return 1;
	}
	if (position(first, &from) < 0 || (last.n > 0 && position(last, &to) < 0) || to < from)
		return -EINVAL;
	if (from >= size)
		return 0;
	*ret = (struct weir_range){ from, to < size ? to : size - 1 };
	return 1;
}

/* RFC 9110 14.2: many small or overlapping ranges may be ignored. Two may overlap, as some readers ask. */
static bool is_abuse(const struct weir_range *r, int count)
{
	int i, j, overlaps = 0;

	for (i = 0; i < count; i++)
		for (j = i + 1; j < count; j++)
			overlaps += r[i].first <= r[j].last && r[j].first <= r[i].last;
	return overlaps > 1;
}

int weir_range_parse(struct weir_str value, uint64_t size, struct weir_range ret[WEIR_HTTP_RANGES_MAX])
{
	struct weir_str unit = { value.p, 6 }, item;
	int count = 0, specs = 0;

	if (value.n < 6 || !weir_str_caseeq(unit, WEIR_STR("bytes=")))
		return 0;
	value.p += 6;
	value.n -= 6;
	while (weir_str_next(&value, ',', &item)) {
		struct weir_range range;
		int r;

		item = weir_str_trim(item);
		if (item.n == 0)
			continue;
		specs++;
		r = one_range(item, size, &range);
		if (r < 0)
			return 0;
		if (r == 0)
			continue;
		if (count == WEIR_HTTP_RANGES_MAX)
			return 0;
		ret[count++] = range;
	}
	if (specs == 0 || is_abuse(ret, count))
		return 0;
	return count > 0 ? count : -ERANGE;
}
