/* SPDX-License-Identifier: GPL-2.0 */
/* Responses of the static handler: a file in one of RFC 9110's ways, and every other status. */
#include "handlers/static_priv.h"

#include <string.h>

#include "common/clock.h"

#define RANGES_AT STATIC_HEAD_MAX /* in a response's text: heads of the parts of a multipart body */

static const struct weir_str none = { NULL, 0 };

static void release_file(void *owner)
{
	weir_static_file_put(owner);
}

/* What is sent: a representation of a file. */
struct choice {
	const struct static_file *file;
	const struct static_rep *rep;
};

/* The representation's own fields in a 206: the heads of 200 and 304 are ready-made. */
static void describe(struct weir_response *resp, const struct choice *c)
{
	const char *coding = weir_coding_names[c->rep->coding];

	if (c->rep->coding != WEIR_CODING_IDENTITY)
		weir_head_field(&resp->buf, "Content-Encoding", (struct weir_str){ coding, strlen(coding) });
	weir_head_field(&resp->buf, "Last-Modified",
			(struct weir_str){ c->rep->modified_text, sizeof(c->rep->modified_text) });
	weir_head_field(&resp->buf, "ETag", c->rep->etag);
	weir_head_field(&resp->buf, "Accept-Ranges", WEIR_STR("bytes"));
	weir_buf_puts(&resp->buf, c->file->extra);
}

static void add_part(struct weir_response *resp, const struct static_rep *f, uint64_t off, uint64_t bytes)
{
	struct weir_part *p = &resp->parts[resp->parts_count];

	if (bytes == 0)
		return;
	*p = (struct weir_part){ .fd = f->fd, .off = off, .bytes = bytes };
	if (f->body)
		p->mem = (const char *)f->body + off;
	resp->parts_count++;
}

static void put_content_range(struct weir_buf *b, const struct weir_range *r, uint64_t size)
{
	weir_buf_puts(b, "Content-Range: bytes ");
	weir_buf_u64(b, r->first);
	weir_buf_puts(b, "-");
	weir_buf_u64(b, r->last);
	weir_buf_puts(b, "/");
	weir_buf_u64(b, size);
	weir_buf_puts(b, "\r\n");
}

static void answer_one_range(struct weir_response *resp, const struct choice *c, const struct weir_range *r)
{
	struct weir_head_marks marks;

	weir_response_begin(resp, 206, &marks);
	weir_head_field(&resp->buf, "Content-Type", (struct weir_str){ c->file->type, strlen(c->file->type) });
	weir_head_length(&resp->buf, r->last - r->first + 1);
	put_content_range(&resp->buf, r, c->rep->bytes);
	describe(resp, c);
	weir_response_end(resp, &marks);
	add_part(resp, c->rep, r->first, r->last - r->first + 1);
}

/* multipart/byteranges, RFC 9110 14.6. The heads of the parts are written first, behind where the response's own
 * head will be, because Content-Length counts them. */
static void answer_ranges(struct weir_static *s, struct weir_response *resp, const struct choice *c,
			  const struct weir_range *ranges, int count)
{
	struct weir_buf parts = { .p = resp->text + RANGES_AT, .cap = sizeof(resp->text) - RANGES_AT };
	uint64_t serial = __atomic_add_fetch(&s->boundaries, 1, __ATOMIC_RELAXED), total = 0;
	char text[64];
	struct weir_buf boundary = { .p = text, .cap = sizeof(text) };
	struct weir_head_marks marks;
	size_t from = 0;
	int i;

	weir_buf_puts(&boundary, "weir-");
	weir_buf_hex(&boundary, s->boundary);
	weir_buf_hex(&boundary, serial);
	for (i = 0; i <= count; i++) {
		weir_buf_puts(&parts, i > 0 ? "\r\n--" : "--");
		weir_buf_str(&parts, (struct weir_str){ text, boundary.n });
		weir_buf_puts(&parts, i < count ? "\r\n" : "--\r\n");
		if (i < count) {
			weir_head_field(&parts, "Content-Type",
					(struct weir_str){ c->file->type, strlen(c->file->type) });
			put_content_range(&parts, &ranges[i], c->rep->bytes);
			weir_buf_puts(&parts, "\r\n");
		}
		resp->parts[resp->parts_count++] =
			(struct weir_part){ .mem = parts.p + from, .fd = -1, .bytes = parts.n - from };
		from = parts.n;
		if (i < count) {
			add_part(resp, c->rep, ranges[i].first, ranges[i].last - ranges[i].first + 1);
			total += ranges[i].last - ranges[i].first + 1;
		}
	}
	weir_response_begin(resp, 206, &marks);
	weir_buf_puts(&resp->buf, "Content-Type: multipart/byteranges; boundary=");
	weir_buf_str(&resp->buf, (struct weir_str){ text, boundary.n });
	weir_buf_puts(&resp->buf, "\r\n");
	weir_head_length(&resp->buf, total + parts.n);
	describe(resp, c);
	weir_response_end(resp, &marks);
}

static void answer_not_satisfiable(struct weir_static *s, const struct weir_call *call, uint64_t size,
				   struct weir_response *resp)
{
	char text[32];
	struct weir_buf value = { .p = text, .cap = sizeof(text) };

	weir_buf_puts(&value, "bytes */");
	weir_buf_u64(&value, size);
	weir_static_answer_status(s, call, 416, "Content-Range", (struct weir_str){ text, value.n }, resp);
}

static void answer_whole(struct weir_response *resp, const struct weir_request *req, const struct static_rep *f)
{
	resp->status = 200;
	resp->head = f->head;
	resp->head_bytes = f->head_bytes;
	resp->date_off = f->marks.date_off;
	resp->conn_off = f->marks.conn_off;
	if (req->method == WEIR_METHOD_GET)
		add_part(resp, f, 0, f->bytes);
}

static bool has_conditions(const struct weir_request *r)
{
	return weir_request_has(r, WEIR_FIELD_RANGE) || weir_request_has(r, WEIR_FIELD_IF_MATCH) ||
	       weir_request_has(r, WEIR_FIELD_IF_NONE_MATCH) || weir_request_has(r, WEIR_FIELD_IF_MODIFIED_SINCE) ||
	       weir_request_has(r, WEIR_FIELD_IF_UNMODIFIED_SINCE);
}

/* True: answered with something else than the whole file. */
static bool answer_conditions(struct weir_static *s, const struct weir_call *call, const struct choice *c,
			      struct weir_response *resp)
{
	const struct weir_request *req = call->req;
	const struct static_rep *rep = c->rep;
	struct weir_range ranges[WEIR_HTTP_RANGES_MAX];
	int64_t now = weir_realtime_s();
	int n;

	switch (weir_cond_check(req, rep->etag, rep->modified, now)) {
	case 304:
		resp->status = 304;
		resp->head = rep->cond_head;
		resp->head_bytes = rep->cond_bytes;
		resp->date_off = rep->cond_marks.date_off;
		resp->conn_off = rep->cond_marks.conn_off;
		return true;
	case 412:
		weir_static_answer_status(s, call, 412, NULL, none, resp);
		return true;
	default:
		break;
	}
	if (req->method != WEIR_METHOD_GET || req->counts[WEIR_FIELD_RANGE] != 1 ||
	    !weir_cond_range_applies(req, rep->etag, rep->modified, now))
		return false;
	n = weir_range_parse(req->fields[WEIR_FIELD_RANGE], rep->bytes, ranges);
	if (n < 0)
		answer_not_satisfiable(s, call, rep->bytes, resp);
	else if (n == 1)
		answer_one_range(resp, c, ranges);
	else if (n > 1)
		answer_ranges(s, resp, c, ranges, n);
	return n != 0;
}

/* Until the file changes, or a better candidate for the alias appears. Of what is too large for the kernel cache only the
 * heads: for HEAD, and for who has it already. */
static void publish(struct weir_static *s, const struct weir_call *call, struct static_file *entry,
		    const struct static_rep *rep)
{
	bool is_whole = rep->body && rep->head_bytes + rep->bytes <= WEIR_BYTES_L;
	struct weir_cache_image image = {
		.head = { rep->head, rep->head_bytes, rep->marks.date_off, rep->marks.conn_off, 0 },
		.not_modified = { rep->cond_head, rep->cond_bytes, rep->cond_marks.date_off, rep->cond_marks.conn_off,
				  0 },
		.etag = rep->etag,
		.modified = { rep->modified_text, sizeof(rep->modified_text) },
		.body = rep->body,
		.body_bytes = rep->bytes,
		.flags = WEIR_ENTRY_IGNORE_REQUEST | (is_whole ? 0 : WEIR_ENTRY_HEAD_ONLY),
	};

	(void)weir_cache_publish(s->cache, &entry->item, call->req, call->endpoint, &image);
}

void weir_static_answer_file(struct weir_static *s, const struct weir_call *call, struct static_file *entry,
			     struct weir_response *resp)
{
	struct static_file *f = entry->target ? entry->target : entry;
	bool is_final, is_answered;
	const struct static_rep *rep = weir_static_choose(s, f, call->req, &is_final);
	const struct choice c = { f, rep };

	if (!rep) {
		weir_static_answer_status(s, call, 406, "Vary", WEIR_STR("Accept-Encoding"), resp);
		weir_static_file_put(entry);
		return;
	}
	is_answered = has_conditions(call->req) && answer_conditions(s, call, &c, resp);
	/* a page for an error may own the response already */
	if (resp->release) {
		weir_static_file_put(entry);
		return;
	}
	resp->owner = entry;
	resp->release = release_file;
	if (!is_answered)
		answer_whole(resp, call->req, rep);
	if (is_final && !f->is_private && weir_cache_is_on(s->cache))
		publish(s, call, entry, rep);
}

void weir_static_put_common(const struct weir_static *s, struct weir_buf *b)
{
	if (s->options.common)
		weir_buf_puts(b, s->options.common);
}

/* The page that the configuration has for a status, with a reference; NULL: there is none. */
static struct static_file *find_page(struct weir_static *s, unsigned status)
{
	struct static_file *f;
	size_t i, j;

	for (i = 0; i < s->options.pages_count; i++) {
		const struct weir_conf_error_page *page = &s->options.pages[i];
		struct weir_str path = page->path;

		for (j = 0; j < page->count && page->statuses[j] != status; j++)
			;
		if (j == page->count)
			continue;
		while (path.n > 0 && *path.p == '/') {
			path.p++;
			path.n--;
		}
		return weir_static_get(s, path, &f) == 0 ? f : NULL;
	}
	return NULL;
}

static void answer_page(struct weir_static *s, const struct weir_call *call, unsigned status, const char *name,
			struct weir_str value, struct static_file *page, struct weir_response *resp)
{
	const struct static_rep *rep = page->reps[WEIR_CODING_IDENTITY];
	struct weir_head_marks marks;

	weir_response_begin(resp, status, &marks);
	if (name)
		weir_head_field(&resp->buf, name, value);
	weir_head_field(&resp->buf, "Content-Type", (struct weir_str){ page->type, strlen(page->type) });
	weir_head_length(&resp->buf, rep->bytes);
	weir_static_put_common(s, &resp->buf);
	weir_response_end(resp, &marks);
	resp->owner = page;
	resp->release = release_file;
	if (call->req->method != WEIR_METHOD_HEAD)
		add_part(resp, rep, 0, rep->bytes);
}

/* As weir_response_error() has it, with the pool's fields. */
static void answer_words(struct weir_static *s, const struct weir_call *call, unsigned status, const char *name,
			 struct weir_str value, struct weir_response *resp)
{
	struct weir_head_marks marks;
	char text[128];
	struct weir_buf body = { .p = text, .cap = sizeof(text) };
	const char *copy;

	weir_buf_u64(&body, status);
	weir_buf_puts(&body, " ");
	weir_buf_puts(&body, weir_status_reason(status));
	weir_buf_puts(&body, "\n");
	weir_response_begin(resp, status, &marks);
	if (name)
		weir_head_field(&resp->buf, name, value);
	weir_head_field(&resp->buf, "Content-Type", WEIR_STR("text/plain; charset=utf-8"));
	weir_head_length(&resp->buf, body.n);
	weir_static_put_common(s, &resp->buf);
	weir_response_end(resp, &marks);
	if (call->req->method == WEIR_METHOD_HEAD)
		return;
	copy = resp->text + resp->buf.n;
	weir_buf_put(&resp->buf, text, body.n);
	resp->parts[resp->parts_count++] = (struct weir_part){ .mem = copy, .fd = -1, .bytes = body.n };
}

void weir_static_answer_status(struct weir_static *s, const struct weir_call *call, unsigned status, const char *name,
			       struct weir_str value, struct weir_response *resp)
{
	struct static_file *page = s->options.pages_count > 0 ? find_page(s, status) : NULL;

	weir_response_reset(resp);
	if (page)
		answer_page(s, call, status, name, value, page, resp);
	else if (s->options.common)
		answer_words(s, call, status, name, value, resp);
	else
		weir_response_error(resp, call->req, status, NULL, name, value);
}
