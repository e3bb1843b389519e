// SPDX-License-Identifier: GPL-2.0
/* From stored bytes to a response. The body is never copied: the response's parts point into the store, and the hold goes
 * with it. */
#include "handlers/cached.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/macro.h"

bool weir_cached_is_for(const struct weir_request *req)
{
	return (req->method == WEIR_METHOD_GET || req->method == WEIR_METHOD_HEAD) && req->form == WEIR_TARGET_ORIGIN &&
	       !weir_request_has(req, WEIR_FIELD_IF_MATCH) && !weir_request_has(req, WEIR_FIELD_IF_UNMODIFIED_SINCE) &&
	       !weir_request_has(req, WEIR_FIELD_UPGRADE) && !weir_request_has(req, WEIR_FIELD_EXPECT) &&
	       !req->is_chunked && req->body_bytes == 0;
}

static void release(void *owner)
{
	weir_hold_put(owner);
	free(owner);
}

static void put_number(struct weir_buf *b, const char *name, uint64_t value)
{
	weir_buf_puts(b, name);
	weir_buf_u64(b, value);
	weir_buf_puts(b, "\r\n");
}

static void put_status(struct weir_buf *b, const struct weir_policy_reuse *reuse)
{
	weir_buf_puts(b, "Cache-Status: weir-memory; hit; ttl=");
	if (reuse->ttl_s < 0)
		weir_buf_puts(b, "-");
	weir_buf_u64(b, (uint64_t)(reuse->ttl_s < 0 ? -reuse->ttl_s : reuse->ttl_s));
	weir_buf_puts(b, "\r\n");
}

void weir_cached_put_forwarded(struct weir_buf *b, const char *why, bool is_stored, bool is_collapsed)
{
	weir_buf_puts(b, "Cache-Status: weir-memory; fwd=");
	weir_buf_puts(b, why);
	if (is_stored)
		weir_buf_puts(b, "; stored");
	if (is_collapsed)
		weir_buf_puts(b, "; collapsed");
	weir_buf_puts(b, "\r\n");
}

static void put_line(struct weir_buf *b, unsigned status)
{
	weir_buf_puts(b, "HTTP/1.1 ");
	weir_buf_u64(b, status);
	weir_buf_puts(b, " ");
	weir_buf_puts(b, weir_status_reason(status));
	weir_buf_puts(b, "\r\n");
}

/* RFC 9110 15.4.5, and Last-Modified for those who have no ETag to compare. */
static bool is_for_304(struct weir_str name)
{
	static const struct weir_str kept[] = {
		{ "Cache-Control", 13 }, { "Content-Location", 16 }, { "Date", 4 },
		{ "ETag", 4 },		 { "Expires", 7 },	     { "Vary", 4 },
		{ "Server", 6 },	 { "Last-Modified", 13 },    { "Via", 3 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kept); i++)
		if (weir_str_caseeq(name, kept[i]))
			return true;
	return false;
}

static void put_304(struct weir_buf *b, struct weir_str head)
{
	struct weir_str fields = weir_fields_of(head), name, value;

	put_line(b, 304);
	while (weir_fields_next(&fields, &name, &value)) {
		if (!is_for_304(name))
			continue;
		weir_buf_str(b, name);
		weir_buf_puts(b, ": ");
		weir_buf_str(b, value);
		weir_buf_puts(b, "\r\n");
	}
}

static struct weir_str opaque(struct weir_str etag)
{
	return etag.n > 2 && etag.p[0] == 'W' && etag.p[1] == '/' ? (struct weir_str){ etag.p + 2, etag.n - 2 } : etag;
}

/* What the request's conditions and Range make of the object. */
struct shape {
	unsigned status;
	bool has_range;
	struct weir_range range;
};

static void find_shape(const struct weir_object_view *v, const struct weir_request *req, struct shape *ret)
{
	struct weir_range ranges[WEIR_HTTP_RANGES_MAX];
	struct weir_str etag = { "", 0 };
	int64_t now_s = weir_realtime_s();
	bool is_weak;
	int n;

	*ret = (struct shape){ .status = v->stored.status };
	/* RFC 9110 13.2.1: conditions are for what would be 2xx */
	if (v->stored.status != 200)
		return;
	(void)weir_fields_find(weir_fields_of(v->head), WEIR_STR("ETag"), &etag);
	is_weak = etag.n > 2 && etag.p[0] == 'W';
	/* RFC 9111 4.3.2: without Last-Modified, Date */
	if (weir_cond_check(req, opaque(etag), v->stored.modified_s >= 0 ? v->stored.modified_s : v->stored.date_s,
			    now_s) == 304) {
		ret->status = 304;
		return;
	}
	if (req->method != WEIR_METHOD_GET || !weir_request_has(req, WEIR_FIELD_RANGE) ||
	    !weir_cond_range_applies(req, is_weak ? (struct weir_str){ "", 0 } : etag, v->stored.modified_s, now_s))
		return;
	n = weir_range_parse(req->fields[WEIR_FIELD_RANGE], v->body_bytes, ranges);
	if (n == -ERANGE) {
		ret->status = 416;
	} else if (n == 1) {
		/* several ranges: the whole is right, too (RFC 9110 14.2) */
		ret->status = 206;
		ret->has_range = true;
		ret->range = ranges[0];
	}
}

static void put_content_range(struct weir_buf *b, const struct shape *s, uint64_t bytes)
{
	weir_buf_puts(b, "Content-Range: bytes ");
	if (s->has_range) {
		weir_buf_u64(b, s->range.first);
		weir_buf_puts(b, "-");
		weir_buf_u64(b, s->range.last);
	} else {
		weir_buf_puts(b, "*");
	}
	weir_buf_puts(b, "/");
	weir_buf_u64(b, bytes);
	weir_buf_puts(b, "\r\n");
}

/* Everything in front of Age. Returns the bytes of the body that follow. */
static uint64_t put_start(struct weir_buf *b, const struct weir_object_view *v, const struct shape *s)
{
	struct weir_str fields = weir_fields_of(v->head);

	switch (s->status) {
	case 304:
		put_304(b, v->head);
		return 0;
	case 416:
		put_line(b, 416);
		put_content_range(b, s, v->body_bytes);
		return 0;
	case 206:
		if (s->has_range) {
			put_line(b, 206);
			weir_buf_str(b, fields);
			put_content_range(b, s, v->body_bytes);
			return s->range.last - s->range.first + 1;
		}
		break;
	}
	weir_buf_str(b, v->head);
	return v->body_bytes;
}

/* RFC 9110 8.6: none for 204; for 304 it may stay away. */
static bool has_length(unsigned status)
{
	return status != 204 && status != 304;
}

int weir_cached_answer(const struct weir_pool_cache *pc, struct weir_hold *h, const struct weir_request *req,
		       const struct weir_policy_reuse *reuse, struct weir_response *resp)
{
	struct weir_hold *owner = malloc(sizeof(*owner));
	struct weir_str parts[WEIR_STORE_EXTENTS];
	struct weir_object_view v;
	struct shape s;
	uint64_t bytes;
	unsigned i, n;

	if (!owner)
		return -ENOMEM;
	weir_hold_view(h, &v);
	find_shape(&v, req, &s);
	weir_response_reset(resp);
	resp->status = s.status;
	bytes = put_start(&resp->buf, &v, &s);
	put_number(&resp->buf, "Age: ", reuse->age_s);
	if (pc->pool->cache_status)
		put_status(&resp->buf, reuse);
	if (has_length(s.status))
		put_number(&resp->buf, "Content-Length: ", bytes);
	weir_buf_puts(&resp->buf, "Connection: ");
	resp->conn_off = (uint16_t)resp->buf.n;
	weir_buf_puts(&resp->buf, "keep-alive\r\n\r\n");
	resp->head = resp->text;
	resp->head_bytes = (uint16_t)resp->buf.n;
	resp->date_off = 0; /* the origin's Date is in it: RFC 9110 6.6.1 */
	*owner = *h;
	h->store = NULL;
	resp->owner = owner;
	resp->release = release;
	if (req->method == WEIR_METHOD_HEAD || bytes == 0)
		return 0;
	n = weir_hold_body(owner, s.has_range ? s.range.first : 0, bytes, parts);
	for (i = 0; i < n; i++)
		resp->parts[resp->parts_count++] =
			(struct weir_part){ .mem = parts[i].p, .fd = -1, .bytes = parts[i].n };
	return 0;
}

/* --- the kernel --- */

struct publication {
	struct weir_cache *kernel;
	struct weir_cache_name name;
	struct weir_cache_image image;
};

static int put(void *arg)
{
	struct publication *p = arg;
	int r = weir_cache_put(p->kernel, &p->name, &p->image, false);

	if (r == -E2BIG && !(p->image.flags & WEIR_ENTRY_HEAD_ONLY)) {
		p->image.flags |= WEIR_ENTRY_HEAD_ONLY;
		r = weir_cache_put(p->kernel, &p->name, &p->image, false);
	}
	return r;
}

/* Age, length, Connection: as weir_cached_answer() has them. */
static void end_head(struct weir_buf *b, bool with_length, uint64_t bytes, struct weir_cache_head *ret)
{
	static const char no_age[WEIR_AGE_BYTES];

	weir_buf_puts(b, "Age: ");
	ret->age_off = (uint16_t)b->n;
	weir_buf_put(b, no_age, sizeof(no_age));
	weir_buf_puts(b, "\r\n");
	if (with_length)
		put_number(b, "Content-Length: ", bytes);
	weir_buf_puts(b, "Connection: ");
	ret->conn_off = (uint16_t)b->n;
	weir_buf_puts(b, "keep-alive\r\n\r\n");
	ret->p = b->p;
	ret->bytes = (uint16_t)b->n;
	ret->date_off = 0;
}

static void fill_image(const struct weir_pool_cache *pc, const struct weir_object_view *v, struct weir_buf *head,
		       struct weir_buf *cond, struct weir_cache_image *ret)
{
	const struct weir_policy_stored *s = &v->stored;
	struct weir_str fields = weir_fields_of(v->head);

	*ret = (struct weir_cache_image){ .status = s->status, .body_bytes = v->body_bytes };
	weir_buf_str(head, v->head);
	end_head(head, has_length(s->status), v->body_bytes, &ret->head);
	ret->born_ns = s->born_ms * 1000000;
	if (s->lifetime_s < WEIR_POLICY_FOREVER)
		ret->expires_ns = s->fresh_ms * 1000000;
	if (s->swr_s > 0)
		ret->stale_ns = (s->fresh_ms + (uint64_t)s->swr_s * 1000) * 1000000;
	if (pc->policy.ignore_request_directives)
		ret->flags |= WEIR_ENTRY_IGNORE_REQUEST;
	if (s->status != 200)
		return;
	(void)weir_fields_find(fields, WEIR_STR("ETag"), &ret->etag);
	(void)weir_fields_find(fields, WEIR_STR("Last-Modified"), &ret->modified);
	if (!ret->etag.p && !ret->modified.p)
		return;
	put_304(cond, v->head);
	end_head(cond, false, 0, &ret->not_modified);
	if (cond->is_full)
		ret->not_modified = (struct weir_cache_head){ .bytes = 0 };
}

void weir_cached_publish(const struct weir_pool_cache *pc, const struct weir_hold *h, const struct weir_request *req,
			 uint16_t endpoint)
{
	char text[WEIR_STORE_HEAD_BYTES + 256], cond_text[WEIR_COND_BYTES], body[WEIR_BYTES_L];
	struct weir_buf head = { .p = text, .cap = sizeof(text) }, cond = { .p = cond_text, .cap = sizeof(cond_text) };
	struct weir_str parts[WEIR_STORE_EXTENTS];
	struct publication p = { .kernel = pc->kernel };
	struct weir_object_view v;
	unsigned i, n;
	size_t at = 0;

	/* XDP reads no cookies */
	if (!pc->kernel || !weir_cache_is_on(pc->kernel) || pc->policy.bypass_cookies.n > 0 ||
	    weir_cache_name(pc->kernel, req, endpoint, &p.name) < 0)
		return;
	weir_hold_view(h, &v);
	if (v.stored.flags & WEIR_STORED_NO_CACHE ||
	    weir_hold_is_published(h, &p.name.key,
				   v.body_bytes > sizeof(body) ? WEIR_CACHE_REPEAT_HEAD_MS : WEIR_CACHE_REPEAT_MS))
		return;
	fill_image(pc, &v, &head, &cond, &p.image);
	if (head.is_full)
		return;
	if (v.body_bytes > sizeof(body))
		p.image.flags |= WEIR_ENTRY_HEAD_ONLY;
	n = p.image.flags & WEIR_ENTRY_HEAD_ONLY ? 0 : weir_hold_body(h, 0, v.body_bytes, parts);
	for (i = 0; i < n; i++) {
		memcpy(body + at, parts[i].p, parts[i].n);
		at += parts[i].n;
	}
	p.image.body = body;
	(void)weir_hold_publish(h, &p.name.key,
				p.image.flags & WEIR_ENTRY_HEAD_ONLY ? WEIR_CACHE_REPEAT_HEAD_MS : WEIR_CACHE_REPEAT_MS,
				put, &p);
}
