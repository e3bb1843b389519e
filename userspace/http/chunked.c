/* SPDX-License-Identifier: GPL-2.0 */
/* Chunked transfer coding, RFC 9112 7.1: where data is, and where the body ends. llhttp would do it too,
 * but its state does not fit a connection table that outlives the process. */
#include "http/response.h"

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

/* The trailer section, once all of it is there; until then nothing is used. */
static enum weir_chunk_event read_trailers(struct weir_chunked *c, const char *bytes, size_t count, size_t *ret_used,
					   struct weir_str *ret_data)
{
	const char *end;

	*ret_used = 0;
	if (count >= 2 && bytes[0] == '\r' && bytes[1] == '\n') {
		*ret_used = 2;
		c->is_done = 1;
		return WEIR_CHUNK_END;
	}
	end = memmem(bytes, count, "\r\n\r\n", 4);
	if (!end)
		return count > EXTRA_MAX ? WEIR_CHUNK_BAD : WEIR_CHUNK_MORE;
	*ret_data = (struct weir_str){ bytes, (size_t)(end - bytes) + 2 };
	if (ret_data->n > EXTRA_MAX || weir_fields_check(*ret_data))
		return WEIR_CHUNK_BAD;
	*ret_used = ret_data->n + 2;
	c->is_done = 1;
	return WEIR_CHUNK_TRAILERS;
}

enum weir_chunk_event weir_chunked_read(struct weir_chunked *c, const char *bytes, size_t count, size_t *ret_used,
					struct weir_str *ret_data)
{
	size_t i = 0;

	*ret_used = 0;
	while (i < count && !c->is_done && c->state != TRAILER) {
		if (c->state == DATA) {
			size_t n = c->left < count - i ? (size_t)c->left : count - i;

			*ret_data = (struct weir_str){ bytes + i, n };
			*ret_used = i + n;
			c->left -= n;
			if (c->left == 0)
				c->state = DATA_CR;
			return WEIR_CHUNK_DATA;
		}
		if (framing_byte(c, bytes[i++]) < 0)
			return WEIR_CHUNK_BAD;
	}
	if (!c->is_done && c->state == TRAILER) {
		enum weir_chunk_event e = read_trailers(c, bytes + i, count - i, ret_used, ret_data);

		*ret_used += i;
		return e;
	}
	*ret_used = i;
	return c->is_done ? WEIR_CHUNK_END : WEIR_CHUNK_MORE;
}
