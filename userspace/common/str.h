/* SPDX-License-Identifier: GPL-2.0 */
/* A slice: bytes that somebody else owns, not terminated. Passed by value, from any thread. Comparisons without
 * case fold ASCII letters only, as HTTP does. */
#ifndef WEIR_COMMON_STR_H
#define WEIR_COMMON_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct weir_str {
	const char *p;
	size_t n;
};

#define WEIR_STR(literal) ((struct weir_str){ (literal), sizeof(literal) - 1 })

static inline char weir_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static inline bool weir_str_eq(struct weir_str a, struct weir_str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool weir_str_caseeq(struct weir_str a, struct weir_str b)
{
	size_t i;

	if (a.n != b.n)
		return false;
	for (i = 0; i < a.n; i++)
		if (weir_lower(a.p[i]) != weir_lower(b.p[i]))
			return false;
	return true;
}

/* Without spaces and tabs at both ends (OWS, RFC 9110 5.6.3). */
static inline struct weir_str weir_str_trim(struct weir_str s)
{
	while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t')) {
		s.p++;
		s.n--;
	}
	while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

/* Cuts the part before the next `separator` (or all) off *rest into *ret_item. False when *rest was used up. An
 * empty slice with a NULL pointer is used up; one with a pointer yields one empty item. */
static inline bool weir_str_next(struct weir_str *rest, char separator, struct weir_str *ret_item)
{
	const char *end;

	if (!rest->p)
		return false;
	end = rest->n > 0 ? memchr(rest->p, separator, rest->n) : NULL;
	if (!end) {
		*ret_item = *rest;
		*rest = (struct weir_str){ NULL, 0 };
		return true;
	}
	*ret_item = (struct weir_str){ rest->p, (size_t)(end - rest->p) };
	rest->n -= (size_t)(end + 1 - rest->p);
	rest->p = end + 1;
	return true;
}

#endif
