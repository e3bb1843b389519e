/* SPDX-License-Identifier: GPL-2.0 */
/* Chunked transfer coding of requests, RFC 9112 7.1: where data is, and where the body ends. llhttp would do it too,
 * but its state does not fit a connection table that outlives the process. */
#include "http/http.h"

#include <errno.h>

#define EXTRA_MAX 8192 /* bytes of chunk extensions and trailers that one body may have */

enum state {
	SIZE,
	EXTENSION,
	SIZE_LF,
	DATA,
	DATA_CR,
	DATA_LF,
	TRAILER,      /* at the start of a trailer line */
	TRAILER_LINE, /* inside one */
	TRAILER_LF,
	LAST_LF,
};

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = weir_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int size_byte(struct weir_chunked *c, char byte)
{
	int digit = hex(byte);

	if (digit >= 0) {
		if (++c->digits > 15)
			return -EBADMSG;
		c->left = c->left << 4 | (uint64_t)digit;
		return 0;
	}
	if (c->digits == 0)
		return -EBADMSG;
	if (byte == '\r')
		c->state = SIZE_LF;
	else if (byte == ';' || byte == ' ' || byte == '\t')
		c->state = EXTENSION;
	else
		return -EBADMSG;
	return 0;
}

/* Any byte outside chunk data. */
static int framing_byte(struct weir_chunked *c, char byte)
{
	switch (c->state) {
	case SIZE:
		return size_byte(c, byte);
	case EXTENSION:
	case TRAILER_LINE:
		if (++c->extra > EXTRA_MAX || byte == '\n')
			return -EBADMSG;
		if (byte == '\r')
			c->state = c->state == EXTENSION ? SIZE_LF : TRAILER_LF;
		return 0;
	case DATA_CR:
		c->state = DATA_LF;
		return byte == '\r' ? 0 : -EBADMSG;
	case TRAILER:
		if (++c->extra > EXTRA_MAX || byte == '\n')
			return -EBADMSG;
		c->state = byte == '\r' ? LAST_LF : TRAILER_LINE;
		return 0;
	default:
		break;
	}
	if (byte != '\n')
		return -EBADMSG;
	if (c->state == LAST_LF)
		c->is_done = 1;
	else if (c->state == SIZE_LF)
		c->state = c->left > 0 ? DATA : TRAILER;
	else if (c->state == TRAILER_LF)
		c->state = TRAILER;
	else
		c->state = SIZE;
	c->digits = 0;
	return 0;
}

ptrdiff_t weir_chunked_next(struct weir_chunked *c, const char *bytes, size_t count, struct weir_str *ret_data)
{
	size_t i = 0;

	*ret_data = (struct weir_str){ NULL, 0 };
	while (i < count && !c->is_done) {
		if (c->state == DATA) {
			size_t n = c->left < count - i ? (size_t)c->left : count - i;

			*ret_data = (struct weir_str){ bytes + i, n };
			c->left -= n;
			if (c->left == 0)
				c->state = DATA_CR;
			return (ptrdiff_t)(i + n);
		}
		if (framing_byte(c, bytes[i]) < 0)
			return -EBADMSG;
		i++;
	}
	return (ptrdiff_t)i;
}

ptrdiff_t weir_chunked_eat(struct weir_chunked *c, const char *bytes, size_t count)
{
	struct weir_str data;
	size_t i = 0;

	while (i < count && !c->is_done) {
		ptrdiff_t n = weir_chunked_next(c, bytes + i, count - i, &data);

		if (n < 0)
			return n;
		i += (size_t)n;
	}
	return (ptrdiff_t)i;
}
