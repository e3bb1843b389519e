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

int weir_cache_build(const struct weir_cache_image *image, const struct weir_cache_key *key, struct weir_str host,
		     struct weir_str target, uint64_t generation, uint64_t now_ns, struct weir_entry_l *ret)
{
	size_t bytes = (size_t)image->head_bytes + image->body_bytes;
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
	e->head_bytes = image->head_bytes;
	e->body_bytes = image->body_bytes;
	e->head_sum = weir_cache_sum(image->head, image->head_bytes);
	e->body_sum = weir_cache_sum(image->body, image->body_bytes);
	e->date_off = image->date_off;
	e->conn_off = image->conn_off;
	e->status = 200;
	e->url_bytes = (uint16_t)(host.n + target.n);
	memcpy(e->url, host.p, host.n);
	memcpy(e->url + host.n, target.p, target.n);
	memcpy(ret->bytes, image->head, image->head_bytes);
	if (image->body_bytes > 0)
		memcpy(ret->bytes + image->head_bytes, image->body, image->body_bytes);
	/* What follows goes into the kernel too: the rest of bytes[] must not be this thread's old stack. */
	memset(ret->bytes + bytes, 0, classes[class].bytes - bytes);
	memcpy((char *)ret + classes[class].value - sizeof(generation), &generation, sizeof(generation));
	return (int)class;
}
