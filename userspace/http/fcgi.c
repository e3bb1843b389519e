/* SPDX-License-Identifier: GPL-2.0 */
/* FastCGI records, in both directions. */
#include "http/fcgi.h"

#include <assert.h>
#include <errno.h>

#include "common/macro.h"

#define VERSION 1
#define REQUEST                                                                                                        \
	1 /* the number of ours; applications that serve several at a time on a connection are     \
	     rare */
#define ROLE_RESPONDER 1
#define KEEP_CONN 1

enum record {
	RECORD_BEGIN = 1,
	RECORD_END = 3,
	RECORD_PARAMS = 4,
	RECORD_STDIN = 5,
	RECORD_STDOUT = 6,
	RECORD_STDERR = 7,
	RECORD_UNKNOWN = 11,
};

static void header(char out[WEIR_FCGI_HEADER_BYTES], enum record type, size_t bytes)
{
	out[0] = VERSION;
	out[1] = (char)type;
	out[2] = 0;
	out[3] = REQUEST;
	out[4] = (char)(bytes >> 8);
	out[5] = (char)bytes;
	out[6] = 0;
	out[7] = 0;
}

static void put_header(struct weir_buf *b, enum record type, size_t bytes)
{
	char h[WEIR_FCGI_HEADER_BYTES];

	header(h, type, bytes);
	weir_buf_put(b, h, sizeof(h));
}

void weir_fcgi_begin(struct weir_buf *b, bool keep_conn)
{
	const char body[8] = { 0, ROLE_RESPONDER, keep_conn ? KEEP_CONN : 0 };

	put_header(b, RECORD_BEGIN, sizeof(body));
	weir_buf_put(b, body, sizeof(body));
}

size_t weir_fcgi_params_open(struct weir_buf *b)
{
	size_t opened = b->n;

	put_header(b, RECORD_PARAMS, 0);
	return opened;
}

/* One byte to 127, four with the highest bit set beyond (3.4). */
static void put_length(struct weir_buf *b, size_t n)
{
	const char bytes[4] = { (char)(n >> 24 | 0x80), (char)(n >> 16), (char)(n >> 8), (char)n };

	if (n < 0x80)
		weir_buf_put(b, bytes + 3, 1);
	else
		weir_buf_put(b, bytes, sizeof(bytes));
}

void weir_fcgi_param_begin(struct weir_buf *b, struct weir_str name, size_t bytes)
{
	assert(name.n <= INT32_MAX && bytes <= INT32_MAX);
	put_length(b, name.n);
	put_length(b, bytes);
	weir_buf_str(b, name);
}

void weir_fcgi_param(struct weir_buf *b, struct weir_str name, struct weir_str value)
{
	weir_fcgi_param_begin(b, name, value.n);
	weir_buf_str(b, value);
}

void weir_fcgi_param_field(struct weir_buf *b, struct weir_str name, struct weir_str value)
{
	char upper[256] = "HTTP_";
	size_t i;

	if (name.n == 0 || name.n > sizeof(upper) - 5 || weir_str_caseeq(name, WEIR_STR("proxy")))
		return;
	for (i = 0; i < name.n; i++) {
		char c = name.p[i];

		if (c >= 'a' && c <= 'z')
			c = (char)(c - 'a' + 'A');
		else if (c == '-')
			c = '_';
		else if (!(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9'))
			return;
		upper[5 + i] = c;
	}
	weir_fcgi_param(b, (struct weir_str){ upper, 5 + name.n }, value);
}

int weir_fcgi_params_close(struct weir_buf *b, size_t opened)
{
	size_t bytes = b->n - opened - WEIR_FCGI_HEADER_BYTES;

	if (b->is_full || bytes > WEIR_FCGI_CONTENT_MAX)
		return -E2BIG;
	if (bytes > 0) {
		header(b->p + opened, RECORD_PARAMS, bytes);
		put_header(b, RECORD_PARAMS, 0);
	}
	return b->is_full ? -E2BIG : 0;
}

void weir_fcgi_stdin(char out[WEIR_FCGI_HEADER_BYTES], size_t bytes)
{
	assert(bytes <= WEIR_FCGI_CONTENT_MAX);
	header(out, RECORD_STDIN, bytes);
}

/* --- reading --- */

static void cut(struct weir_str *in, size_t n)
{
	in->p += n;
	in->n -= n;
}

static int begin_record(struct weir_fcgi_reader *r)
{
	const uint8_t *h = r->header;
	unsigned request = (unsigned)h[2] << 8 | h[3];

	if (h[0] != VERSION)
		return -EBADMSG;
	r->type = h[1];
	r->left = (uint16_t)(h[4] << 8 | h[5]);
	r->padding = h[6];
	switch (r->type) {
	case RECORD_STDOUT:
	case RECORD_STDERR:
		if (request != REQUEST)
			return -EBADMSG;
		break;
	case RECORD_END:
		if (request != REQUEST || r->left < sizeof(r->end))
			return -EBADMSG;
		break;
	default:
		/* management records (4) are no part of a request; nobody has asked for one, but
		 * they do no harm */
		if (request != 0)
			return -EBADMSG;
	}
	r->is_inside = true;
	r->have = 0;
	return 0;
}

static int read_header(struct weir_fcgi_reader *r, struct weir_str *in)
{
	size_t n = MIN(in->n, sizeof(r->header) - r->have);

	memcpy(r->header + r->have, in->p, n);
	r->have = (uint8_t)(r->have + n);
	cut(in, n);
	return r->have < sizeof(r->header) ? 0 : begin_record(r);
}

static void read_end(struct weir_fcgi_reader *r, struct weir_str part)
{
	size_t n = MIN(part.n, sizeof(r->end) - r->have);

	memcpy(r->end + r->have, part.p, n);
	r->have = (uint8_t)(r->have + n);
	if (n == 0 || r->have < sizeof(r->end))
		return;
	r->app_status = (uint32_t)r->end[0] << 24 | (uint32_t)r->end[1] << 16 | (uint32_t)r->end[2] << 8 | r->end[3];
	r->protocol_status = r->end[4];
	r->is_ended = true;
}

/* Content or padding. True: *ret_data is the caller's. */
static bool read_inside(struct weir_fcgi_reader *r, struct weir_str *in, struct weir_str *ret_data)
{
	struct weir_str part = { in->p, MIN(in->n, r->left) };
	size_t padding;

	cut(in, part.n);
	r->left = (uint16_t)(r->left - part.n);
	if (r->type == RECORD_END)
		read_end(r, part);
	if (r->left == 0) {
		padding = MIN(in->n, r->padding);
		cut(in, padding);
		r->padding = (uint8_t)(r->padding - padding);
		if (r->padding == 0) {
			r->is_inside = false;
			r->have = 0;
		}
	}
	if (part.n == 0 || (r->type != RECORD_STDOUT && r->type != RECORD_STDERR))
		return false;
	*ret_data = part;
	return true;
}

int weir_fcgi_read(struct weir_fcgi_reader *r, struct weir_str *in, struct weir_str *ret_data)
{
	int error;

	for (;;) {
		if (r->is_ended && !r->is_inside)
			return WEIR_FCGI_END;
		if (in->n == 0)
			return WEIR_FCGI_MORE;
		if (!r->is_inside) {
			error = read_header(r, in);
			if (error < 0)
				return error;
			if (r->is_inside && r->left == 0 && r->padding == 0)
				r->is_inside = false;
			continue;
		}
		if (read_inside(r, in, ret_data))
			return r->type == RECORD_STDOUT ? WEIR_FCGI_STDOUT : WEIR_FCGI_STDERR;
	}
}

const char *weir_fcgi_status_name(unsigned protocol_status)
{
	static const char *const names[] = {
		[WEIR_FCGI_REQUEST_COMPLETE] = "request complete",
		[WEIR_FCGI_CANT_MPX_CONN] = "it cannot take a second request on the connection",
		[WEIR_FCGI_OVERLOADED] = "it is overloaded",
		[WEIR_FCGI_UNKNOWN_ROLE] = "it is no responder",
	};

	return protocol_status < ARRAY_SIZE(names) ? names[protocol_status] : "unknown status";
}
