/* SPDX-License-Identifier: GPL-2.0 */
/* Text built in memory that the caller owns. What does not fit is left out and `is_full` says so; nothing is
 * ever written past `cap`, and nothing is terminated. One thread. */
#ifndef WEIR_COMMON_BUF_H
#define WEIR_COMMON_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/str.h"

struct weir_buf {
	char *p;
	size_t n;
	size_t cap;
	bool is_full;
};

static inline void weir_buf_put(struct weir_buf *b, const void *data, size_t bytes)
{
	if (bytes > b->cap - b->n) {
		b->is_full = true;
		return;
	}
	memcpy(b->p + b->n, data, bytes);
	b->n += bytes;
}

static inline void weir_buf_str(struct weir_buf *b, struct weir_str s)
{
	if (s.n > 0)
		weir_buf_put(b, s.p, s.n);
}

static inline void weir_buf_puts(struct weir_buf *b, const char *text)
{
	weir_buf_put(b, text, strlen(text));
}

static inline void weir_buf_u64(struct weir_buf *b, uint64_t value)
{
	char digits[20];
	size_t i = sizeof(digits);

	do {
		digits[--i] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	weir_buf_put(b, digits + i, sizeof(digits) - i);
}

static inline void weir_buf_hex(struct weir_buf *b, uint64_t value)
{
	char digits[16];
	size_t i = sizeof(digits);

	do {
		digits[--i] = "0123456789abcdef"[value & 15];
		value >>= 4;
	} while (value > 0);
	weir_buf_put(b, digits + i, sizeof(digits) - i);
}

#endif
