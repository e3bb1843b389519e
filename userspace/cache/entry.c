/* SPDX-License-Identifier: GPL-2.0 */
/* The layout of an entry, see weir/cache.h. Pure. */
#include "cache/cache.h"

#include <errno.h>
#include <string.h>

#include "common/macro.h"

static const struct {
	size_t bytes; /* room for the response */
	size_t value; /* size of the map value */
} classes[WEIR_CLASS__MAX] = {
	[WEIR_CLASS_S] = { WEIR_BYTES_S, sizeof(struct weir_entry_s) },
	[WEIR_CLASS_M] = { WEIR_BYTES_M, sizeof(struct weir_entry_m) },
	[WEIR_CLASS_L] = { WEIR_BYTES_L, sizeof(struct weir_entry_l) },
};

uint16_t weir_cache_sum(const void *data, size_t bytes)
{
	const uint8_t *p = data;
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i + 1 < bytes; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	if (i < bytes)
		sum += (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* Copies a head and says what there is to write in it. `extra` is put in front of the empty line. */
static void put_head(const struct weir_cache_head *head, const char *extra, uint8_t *out, struct weir_entry_head *ret)
{
	size_t extra_bytes = extra ? strlen(extra) : 0, before = head->bytes - 2u;

	memcpy(out, head->p, before);
	if (extra_bytes > 0)
		memcpy(out + before, extra, extra_bytes);
	memcpy(out + before + extra_bytes, head->p + before, 2);
	*ret = (struct weir_entry_head){
		.bytes = (uint32_t)(head->bytes + extra_bytes),
		.sum = weir_cache_sum(out, head->bytes + extra_bytes),
		.date_off = head->date_off,
		.conn_off = head->conn_off,
		.age_off = head->age_off,
	};
}

/* What conditional requests are compared with, and what they get. Left out if it does not fit: then a worker answers. */
static void put_conditions(const struct weir_cache_image *image, const char *extra, struct weir_entry *e)
{
	struct weir_str tag = image->etag;

	if (image->not_modified.bytes < 2 || image->not_modified.bytes + (extra ? strlen(extra) : 0) > WEIR_COND_BYTES)
		return;
	if (tag.n > 0 && !weir_cache_one_tag(image->etag, &tag))
		return;
	e->etag_bytes = (uint8_t)tag.n;
	if (tag.n > 0)
		memcpy(e->etag, tag.p, tag.n);
	if (image->modified.n == WEIR_DATE_BYTES)
		memcpy(e->modified, image->modified.p, WEIR_DATE_BYTES);
	put_head(&image->not_modified, extra, e->cond_head, &e->cond);
}

int weir_cache_build(const struct weir_cache_image *image, const char *extra, const struct weir_cache_key *key,
		     struct weir_str host, struct weir_str target, uint64_t generation, uint64_t now_ns,
		     struct weir_entry_l *ret)
{
	bool is_head_only = image->flags & WEIR_ENTRY_HEAD_ONLY;
	uint64_t body_bytes = is_head_only ? 0 : image->body_bytes;
	uint64_t bytes = image->head.bytes + (extra ? strlen(extra) : 0) + body_bytes;
	struct weir_entry *e = &ret->head;
	enum weir_class class = WEIR_CLASS_S;

	while (class < WEIR_CLASS__MAX && bytes > classes[class].bytes)
		class++;
	if (class == WEIR_CLASS__MAX || host.n + target.n > WEIR_URL_MAX)
		return -E2BIG;

	memset(ret, 0, sizeof(*e));
	e->generation = generation;
	memcpy(e->digest, key->digest, sizeof(e->digest));
	e->created_ns = now_ns;
	e->expires_ns = image->expires_ns ? image->expires_ns : UINT64_MAX;
	e->stale_ns = image->stale_ns;
	e->refresh_ms = image->refresh_ms ? image->refresh_ms : WEIR_CACHE_REFRESH_MS;
	e->born_ns = image->born_ns;
	e->flags = image->flags;
	e->status = image->status ? image->status : 200;
	e->object_bytes = image->body_bytes;
	e->body_bytes = is_head_only ? WEIR_BODY_ABSENT : (uint32_t)body_bytes;
	e->body_sum = weir_cache_sum(image->body, body_bytes);
	e->url_bytes = (uint16_t)(host.n + target.n);
	memcpy(e->url, host.p, host.n);
	memcpy(e->url + host.n, target.p, target.n);
	if (e->status == 200)
		put_conditions(image, extra, e);
	put_head(&image->head, extra, ret->bytes, &e->whole);
	if (body_bytes > 0)
		memcpy(ret->bytes + bytes - body_bytes, image->body, body_bytes);
	/* What follows goes into the kernel too: the rest of bytes[] must not be this thread's old stack. */
	memset(ret->bytes + bytes, 0, classes[class].bytes - bytes);
	memcpy((char *)ret + classes[class].value - sizeof(generation), &generation, sizeof(generation));
	return (int)class;
}
