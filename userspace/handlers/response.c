/* SPDX-License-Identifier: GPL-2.0 */
/* Response heads and the short pages of refusals. */
#include "handlers/handler.h"

#include <assert.h>

void weir_response_reset(struct weir_response *r)
{
	if (r->release)
		r->release(r->owner);
	r->status = 0;
	r->must_close = false;
	r->head = NULL;
	r->head_bytes = r->date_off = r->conn_off = 0;
	r->parts_count = 0;
	r->owner = NULL;
	r->release = NULL;
	r->buf = (struct weir_buf){ .p = r->text, .cap = sizeof(r->text) };
}

uint64_t weir_response_bytes(const struct weir_response *r)
{
	uint64_t bytes = r->head_bytes;
	unsigned i;

	for (i = 0; i < r->parts_count; i++)
		bytes += r->parts[i].bytes;
	return bytes;
}

void weir_head_begin(struct weir_buf *b, unsigned status, struct weir_head_marks *ret)
{
	static const char no_date[WEIR_HTTP_DATE_BYTES];

	weir_buf_puts(b, "HTTP/1.1 ");
	weir_buf_u64(b, status);
	weir_buf_puts(b, " ");
	weir_buf_puts(b, weir_status_reason(status));
	weir_buf_puts(b, "\r\nServer: weir\r\nDate: ");
	ret->date_off = (uint16_t)b->n;
	weir_buf_put(b, no_date, sizeof(no_date));
	weir_buf_puts(b, "\r\n");
}

void weir_head_field(struct weir_buf *b, const char *name, struct weir_str value)
{
	weir_buf_puts(b, name);
	weir_buf_puts(b, ": ");
	weir_buf_str(b, value);
	weir_buf_puts(b, "\r\n");
}

void weir_head_length(struct weir_buf *b, uint64_t body_bytes)
{
	weir_buf_puts(b, "Content-Length: ");
	weir_buf_u64(b, body_bytes);
	weir_buf_puts(b, "\r\n");
}

void weir_head_end(struct weir_buf *b, struct weir_head_marks *ret)
{
	weir_buf_puts(b, "Connection: ");
	ret->conn_off = (uint16_t)b->n;
	weir_buf_puts(b, "keep-alive\r\n\r\n");
}

void weir_response_begin(struct weir_response *r, unsigned status, struct weir_head_marks *ret)
{
	r->status = status;
	weir_head_begin(&r->buf, status, ret);
}

void weir_response_end(struct weir_response *r, struct weir_head_marks *marks)
{
	weir_head_end(&r->buf, marks);
	assert(!r->buf.is_full && r->buf.n <= UINT16_MAX);
	r->head = r->text;
	r->head_bytes = (uint16_t)r->buf.n;
	r->date_off = marks->date_off;
	r->conn_off = marks->conn_off;
}

void weir_response_error(struct weir_response *r, const struct weir_request *req, unsigned status, const char *why,
			 const char *name, struct weir_str value)
{
	struct weir_head_marks marks;
	char text[256];
	struct weir_buf body = { .p = text, .cap = sizeof(text) };
	char *copy;

	weir_buf_u64(&body, status);
	weir_buf_puts(&body, " ");
	weir_buf_puts(&body, weir_status_reason(status));
	weir_buf_puts(&body, "\n");
	if (why && *why) {
		weir_buf_puts(&body, why);
		weir_buf_puts(&body, "\n");
	}
	weir_response_reset(r);
	weir_response_begin(r, status, &marks);
	if (name && r->buf.n + value.n + 512 < sizeof(r->text))
		weir_head_field(&r->buf, name, value);
	weir_head_field(&r->buf, "Content-Type", WEIR_STR("text/plain; charset=utf-8"));
	weir_head_length(&r->buf, body.n);
	weir_response_end(r, &marks);
	if (req->method == WEIR_METHOD_HEAD)
		return;
	copy = r->text + r->buf.n;
	weir_buf_put(&r->buf, text, body.n);
	r->parts[r->parts_count++] = (struct weir_part){ .mem = copy, .fd = -1, .bytes = body.n };
}
