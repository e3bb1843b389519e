// SPDX-License-Identifier: GPL-2.0
/* Responses as a worker would publish them, with Date and Connection wherever a test wants them. */
#include "harness/prog_cache.h"

#include <bpf/bpf.h>
#include <stdio.h>
#include <string.h>

#include "cache/cache.h"
#include "harness/content.h"
#include "weir/key.h"

#define FILL "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static struct prog_entry defaults(const struct prog_entry *given)
{
	struct prog_entry e = *given;

	e.pool = e.pool ? e.pool : POOL_A;
	e.endpoint = e.endpoint ? e.endpoint : ENDPOINT4;
	e.host = e.host ? e.host : HOST;
	e.target = e.target ? e.target : TARGET;
	e.generation = e.generation ? e.generation : 1;
	return e;
}

static __u64 cache_secret[2];

void prog_cache_secret(const uint64_t secret[2])
{
	memcpy(cache_secret, secret, sizeof(cache_secret));
}

static struct weir_cache_key key_of(const struct prog_entry *e)
{
	struct weir_secrets s = prog_secrets();
	struct weir_cache_key k;

	weir_key_make(cache_secret[0] ? cache_secret : s.cache_key, e->endpoint, e->encodings, e->host,
		      (uint16_t)strlen(e->host), e->target, (uint16_t)strlen(e->target), &k);
	return k;
}

/* What is in a head at the places that XDP writes. */
struct values {
	const char *date;
	const char *conn;
	char age[WEIR_AGE_BYTES + 1];
};

static struct values placeholders(const struct prog_entry *e)
{
	static const char zeros[WEIR_DATE_BYTES];

	return (struct values){ .date = e->is_dated ? OLD_DATE : zeros, .conn = "keep-alive" };
}

static struct values shown(const struct prog_entry *e, bool is_close)
{
	struct values v = { .date = e->is_dated ? OLD_DATE : DATE, .conn = is_close ? "close" : "keep-alive" };

	(void)snprintf(v.age, sizeof(v.age), "%010u", e->shown_age);
	return v;
}

static int put_values(const struct prog_entry *e, const struct values *v, char *out, int n, struct weir_cache_head *ret)
{
	n += sprintf(out + n, "Date: ");
	ret->date_off = e->is_dated ? 0 : (uint16_t)n;
	memcpy(out + n, v->date, WEIR_DATE_BYTES);
	n += WEIR_DATE_BYTES;
	n += sprintf(out + n, "\r\nX: %.*s\r\n", (int)e->fill_conn, FILL);
	if (e->has_age) {
		n += sprintf(out + n, "Age: ");
		ret->age_off = (uint16_t)n;
		memcpy(out + n, v->age, WEIR_AGE_BYTES);
		n += WEIR_AGE_BYTES;
		n += sprintf(out + n, "\r\n");
	}
	if (e->is_conditional)
		n += sprintf(out + n, "ETag: %s\r\nLast-Modified: %s\r\n", e->etag ? e->etag : ETAG, MODIFIED);
	n += sprintf(out + n, "Connection: ");
	ret->conn_off = (uint16_t)n;
	return n + sprintf(out + n, "%-*s\r\n", WEIR_CONN_BYTES, v->conn);
}

/* Status line and fields; says where the values are. */
static size_t make_head(const struct prog_entry *e, const struct values *v, char *out, struct weir_cache_head *ret)
{
	int n = sprintf(out, "HTTP/1.1 %u OK\r\nServer: %.*s\r\n", e->status ? e->status : 200, (int)e->fill_date,
			FILL);

	*ret = (struct weir_cache_head){ .p = out };
	n = put_values(e, v, out, n, ret);
	n += sprintf(out + n, "Content-Length: %5zu\r\nX: %.*s\r\n\r\n", e->body_bytes, (int)e->fill_end, FILL);
	ret->bytes = (uint16_t)n;
	return (size_t)n;
}

static size_t make_cond_head(const struct prog_entry *e, const struct values *v, char *out, struct weir_cache_head *ret)
{
	int n = sprintf(out, "HTTP/1.1 304 Not Modified\r\nServer: %.*s\r\n", (int)e->fill_date, FILL);

	*ret = (struct weir_cache_head){ .p = out };
	n = put_values(e, v, out, n, ret);
	n += sprintf(out + n, "\r\n");
	ret->bytes = (uint16_t)n;
	return (size_t)n;
}

static void make_body(const struct prog_entry *e, char *out)
{
	content_fill(content_seed(e->target, strlen(e->target)) + (uint32_t)e->generation, out, e->body_bytes);
}

static enum weir_class build(const struct prog_entry *e, struct weir_entry_l *ret)
{
	char head[1024], cond_head[1024], body[WEIR_BYTES_L];
	struct weir_cache_key k = key_of(e);
	struct weir_str host = { e->host, strlen(e->host) }, target = { e->target, strlen(e->target) };
	struct values v = placeholders(e);
	struct weir_cache_image image = {
		.body = body,
		.body_bytes = e->body_bytes,
		.status = e->status,
		.flags = e->flags,
		.expires_ns = e->expires_ns,
		.stale_ns = e->stale_ns,
		.refresh_ms = e->refresh_ms,
		.born_ns = e->born_ns,
	};
	int class;

	if (host.n + target.n > WEIR_URL_MAX)
		host.n = target.n = 0; /* for people only */
	make_head(e, &v, head, &image.head);
	if (e->is_conditional) {
		make_cond_head(e, &v, cond_head, &image.not_modified);
		image.etag = (struct weir_str){ e->etag ? e->etag : ETAG, strlen(e->etag ? e->etag : ETAG) };
		image.modified = WEIR_STR(MODIFIED);
	}
	if (!(e->flags & WEIR_ENTRY_HEAD_ONLY))
		make_body(e, body);
	class = weir_cache_build(&image, NULL, &k, host, target, e->generation, prog_now_ns(), ret);
	cr_assert_geq(class, 0);
	return (enum weir_class)class;
}

void prog_publish(const struct prog_entry *given)
{
	struct prog_entry e = defaults(given);
	struct weir_cache_key k = key_of(&e);
	struct weir_entry_l value;
	enum weir_class class = build(&e, &value);

	prog_put(prog.cache[e.pool][class], &k, &value);
}

void prog_publish_refusal(const struct prog_entry *given, enum weir_refusal refusal, enum weir_verbosity verbosity)
{
	struct prog_entry e = defaults(given);
	struct weir_cache_key k = { { refusal, verbosity } };
	struct weir_entry_l value;

	cr_assert_eq(build(&e, &value), WEIR_CLASS_S);
	memcpy(value.head.digest, k.digest, sizeof(k.digest));
	value.head.status = 503;
	prog_put(prog.cache[0][WEIR_CLASS_S], &k, &value);
}

void prog_withdraw(const struct prog_entry *given)
{
	struct prog_entry e = defaults(given);
	struct weir_cache_key k = key_of(&e);
	int c;

	for (c = 0; c < WEIR_CLASS__MAX; c++)
		(void)bpf_map_delete_elem(prog.cache[e.pool][c], &k);
}

bool prog_entry_get(const struct prog_entry *given, struct weir_entry_l *ret)
{
	struct prog_entry e = defaults(given);
	struct weir_cache_key k = key_of(&e);
	struct weir_entry_l scratch;

	return !bpf_map_lookup_elem(prog.cache[e.pool][build(&e, &scratch)], &k, ret);
}

void prog_entry_put(const struct prog_entry *given, const struct weir_entry_l *value)
{
	struct prog_entry e = defaults(given);
	struct weir_cache_key k = key_of(&e);
	struct weir_entry_l scratch;

	prog_put(prog.cache[e.pool][build(&e, &scratch)], &k, value);
}

size_t prog_response(const struct prog_entry *given, bool is_head, bool is_close, char *out)
{
	struct prog_entry e = defaults(given);
	struct values v = shown(&e, is_close);
	struct weir_cache_head head;
	size_t n = make_head(&e, &v, out, &head);

	if (is_head)
		return n;
	make_body(&e, out + n);
	return n + e.body_bytes;
}

static void assert_payload(const struct prog_result *r, const char *expected, size_t n)
{
	cr_assert_eq(r->reply.payload_bytes, n, "%zu bytes instead of %zu", r->reply.payload_bytes, n);
	cr_assert_arr_eq(r->reply.payload, expected, n, "got:\n%.*s\nexpected:\n%.*s", (int)n,
			 (const char *)r->reply.payload, (int)n, expected);
}

void prog_assert_response(const struct prog_result *r, const struct prog_entry *e, bool is_head, bool is_close)
{
	char expected[WEIR_BYTES_L + 1024];

	assert_payload(r, expected, prog_response(e, is_head, is_close, expected));
}

void prog_assert_not_modified(const struct prog_result *r, const struct prog_entry *given, bool is_close)
{
	struct prog_entry e = defaults(given);
	struct values v = shown(&e, is_close);
	struct weir_cache_head head;
	char expected[1024];

	assert_payload(r, expected, make_cond_head(&e, &v, expected, &head));
}

size_t prog_head_bytes(const struct prog_entry *e)
{
	struct values v = shown(e, false);
	struct weir_cache_head head;
	char text[1024];

	return make_head(e, &v, text, &head);
}

void prog_entry_size(struct prog_entry *e, size_t bytes)
{
	cr_assert_geq(bytes, prog_head_bytes(e));
	e->body_bytes = bytes - prog_head_bytes(e);
}
