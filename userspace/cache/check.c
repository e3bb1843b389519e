/* SPDX-License-Identifier: GPL-2.0 */
/* Which responses may be in the kernel cache at all, whatever their handler thinks: the last look at a head before it is
 * sent to everybody. Pure. */
#include "cache/cache.h"

#include <errno.h>
#include <string.h>

/* The next field line. False at the empty line, or at the end of a head that has none. */
static bool next_field(struct weir_str *head, struct weir_str *ret_name, struct weir_str *ret_value)
{
	const char *end = memchr(head->p, '\n', head->n), *colon;
	size_t bytes;

	if (!end || end == head->p || end[-1] != '\r' || end - 1 == head->p)
		return false;
	bytes = (size_t)(end - 1 - head->p);
	colon = memchr(head->p, ':', bytes);
	if (!colon)
		return false;
	*ret_name = (struct weir_str){ head->p, (size_t)(colon - head->p) };
	*ret_value = weir_str_trim((struct weir_str){ colon + 1, (size_t)(end - 1 - (colon + 1)) });
	head->n -= (size_t)(end + 1 - head->p);
	head->p = end + 1;
	return true;
}

/* Only Accept-Encoding is part of the key. */
static bool varies_otherwise(struct weir_str value)
{
	struct weir_str item;

	while (weir_str_next(&value, ',', &item)) {
		item = weir_str_trim(item);
		if (item.n > 0 && !weir_str_caseeq(item, WEIR_STR("Accept-Encoding")))
			return true;
	}
	return false;
}

/* Every coding must be one that all clients of this key accept. */
static bool is_coded_otherwise(struct weir_str value, uint8_t encodings)
{
	struct weir_str item;
	uint8_t bit;

	while (weir_str_next(&value, ',', &item)) {
		item = weir_str_trim(item);
		if (item.n == 0 || weir_str_caseeq(item, WEIR_STR("identity")))
			continue;
		bit = weir_encoding_bit(item);
		if (!bit || !(encodings & bit))
			return true;
	}
	return false;
}

static bool is_value(const struct weir_cache_head *h, uint16_t off, size_t bytes, const char *expected)
{
	return !off || ((size_t)off + bytes + 4 <= h->bytes && !memcmp(h->p + off, expected, bytes));
}

/* The values that XDP writes are where the head says they are. */
static int check_head(const struct weir_cache_head *h, uint8_t encodings)
{
	static const char zeros[WEIR_DATE_BYTES];
	struct weir_str rest = { h->p, h->bytes }, name, value;
	const char *line = h->bytes > 0 ? memchr(h->p, '\n', h->bytes) : NULL;

	if (!line || !h->conn_off || !is_value(h, h->conn_off, WEIR_CONN_BYTES, "keep-alive") ||
	    !is_value(h, h->date_off, WEIR_DATE_BYTES, zeros) || !is_value(h, h->age_off, WEIR_AGE_BYTES, zeros))
		return -EINVAL;
	rest.n -= (size_t)(line + 1 - rest.p);
	rest.p = line + 1;
	while (next_field(&rest, &name, &value))
		if (weir_str_caseeq(name, WEIR_STR("Set-Cookie")) ||
		    (weir_str_caseeq(name, WEIR_STR("Vary")) && varies_otherwise(value)) ||
		    (weir_str_caseeq(name, WEIR_STR("Content-Encoding")) && is_coded_otherwise(value, encodings)))
			return -EPERM;
	return rest.n == 2 && !memcmp(rest.p, "\r\n", 2) ? 0 : -EINVAL;
}

int weir_cache_check(const struct weir_cache_image *image, uint8_t encodings)
{
	int r = check_head(&image->head, encodings);

	if (r == 0 && image->not_modified.bytes > 0)
		r = check_head(&image->not_modified, encodings);
	return r;
}
