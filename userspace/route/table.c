/* SPDX-License-Identifier: GPL-2.0 */
/* The user-space reader of the URL namespace: all prefixes in one sorted array. A group (port, bucket, host or
 * address) is a run in it, found by bisection; inside of the run each path, from the longest down, is one more.
 *
 * A reader may hold memory that is being written anew (board.c throws its result away then): whatever is in it, a look-up
 * ends, and stays inside of `bytes`. */
#include "route/table.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* What is looked for: a group. */
struct wanted {
	const struct weir_addr *addr;
	const char *host;
	size_t host_bytes;
	uint16_t port;
	uint8_t bucket;
};

static int by_prefix(const void *a, const void *b)
{
	return weir_conf_prefix_compare(*(const struct weir_conf_prefix *const *)a,
					*(const struct weir_conf_prefix *const *)b);
}

/* --- building --- */

static uint32_t put_text(struct weir_route_table *t, uint32_t *end, const char *text, size_t bytes)
{
	uint32_t at = *end;

	memcpy((char *)t + at, text, bytes);
	*end += (uint32_t)bytes;
	return at;
}

static void fill(struct weir_route_table *t, const struct weir_conf_prefix *const *sorted)
{
	uint32_t i, end = (uint32_t)(sizeof(*t) + t->rows_count * sizeof(t->rows[0]));

	for (i = 0; i < t->rows_count; i++) {
		const struct weir_conf_prefix *p = sorted[i];
		struct route_row *row = &t->rows[i];

		*row = (struct route_row){ .id = p->id,
					   .port = p->port,
					   .pool = p->pool,
					   .bucket = (uint8_t)p->bucket,
					   .path_bytes = (uint16_t)strlen(p->path) };
		if (p->bucket == WEIR_BUCKET_IP)
			row->addr = p->addr;
		if (p->host) {
			row->host_bytes = (uint16_t)strlen(p->host);
			row->host = put_text(t, &end, p->host, row->host_bytes);
		}
		row->path = put_text(t, &end, p->path, row->path_bytes);
	}
	assert(end == t->bytes);
}

int weir_route_build(const struct weir_config *conf, struct weir_route_table **ret_table)
{
	size_t i, count = conf->prefixes_count, bytes = sizeof(struct weir_route_table);
	_cleanup_free_ const struct weir_conf_prefix **sorted = NULL;
	struct weir_route_table *t;

	assert(ret_table);
	sorted = calloc(count + 1, sizeof(*sorted));
	if (!sorted)
		return -ENOMEM;
	for (i = 0; i < count; i++) {
		sorted[i] = &conf->prefixes[i];
		bytes += sizeof(struct route_row) + strlen(sorted[i]->path);
		bytes += sorted[i]->host ? strlen(sorted[i]->host) : 0;
	}
	if (bytes > ROUTE_TABLE_BYTES_MAX)
		return -E2BIG;
	qsort(sorted, count, sizeof(*sorted), by_prefix);
	for (i = 1; i < count; i++)
		if (!weir_conf_prefix_compare(sorted[i - 1], sorted[i]))
			return -EEXIST;
	t = calloc(1, bytes);
	if (!t)
		return -ENOMEM;
	t->bytes = (uint32_t)bytes;
	t->rows_count = (uint32_t)count;
	fill(t, (const struct weir_conf_prefix *const *)sorted);
	*ret_table = t;
	return 0;
}

struct weir_route_table *weir_route_free(struct weir_route_table *t)
{
	free(t);
	return NULL;
}

const char *weir_bucket_name(enum weir_bucket b)
{
	static const char *const names[] = { "strong", "host", "subdomain", "ip", "weak" };

	return b < WEIR_BUCKET__MAX ? names[b] : "?";
}

/* --- reading --- */

/* A text of the table; empty if it is not inside of it. */
static struct weir_str text_at(const struct route_view *v, uint32_t at, uint16_t bytes)
{
	if (at > v->bytes || bytes > v->bytes - at)
		return (struct weir_str){ "", 0 };
	return (struct weir_str){ (const char *)v->table + at, bytes };
}

/* strcmp()'s order of two texts that are not terminated. */
static int compare_text(struct weir_str a, const char *b, size_t b_bytes)
{
	int n = memcmp(a.p, b, MIN(a.n, b_bytes));

	return n || a.n == b_bytes ? n : a.n < b_bytes ? -1 : 1;
}

static int compare_group(const struct route_view *v, uint32_t i, const struct wanted *w)
{
	const struct route_row *row = &v->table->rows[i];

	if (row->port != w->port)
		return row->port < w->port ? -1 : 1;
	if (row->bucket != w->bucket)
		return row->bucket < w->bucket ? -1 : 1;
	if (w->bucket == WEIR_BUCKET_IP)
		return memcmp(&row->addr, w->addr, sizeof(row->addr));
	if (!w->host)
		return 0;
	return compare_text(text_at(v, row->host, row->host_bytes), w->host, w->host_bytes);
}

/* First row of [low, high) that is not below the group; with `is_upper` the first that is above. */
static uint32_t bound(const struct route_view *v, const struct wanted *w, bool is_upper)
{
	uint32_t low = 0, high = v->rows_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int n = compare_group(v, middle, w);

		if (n < 0 || (is_upper && n == 0))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Compares a prefix's path with the first `bytes` of a request's path and a slash: strcmp()'s order. */
static int compare_path(struct weir_str row, const char *path, size_t bytes)
{
	int n = memcmp(row.p, path, MIN(row.n, bytes));

	if (n)
		return n;
	if (row.n <= bytes)
		return -1;
	if (row.p[bytes] != '/')
		return (unsigned char)row.p[bytes] - '/';
	return row.n > bytes + 1;
}

static const struct route_row *find_path(const struct route_view *v, uint32_t low, uint32_t high, const char *path,
					 size_t bytes)
{
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const struct route_row *row = &v->table->rows[middle];
		int n = compare_path(text_at(v, row->path, row->path_bytes), path, bytes);

		if (n == 0)
			return row;
		if (n < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* Longest path first: cuts segments off the end until a prefix has exactly what is left. */
static const struct route_row *find_longest(const struct route_view *v, const struct wanted *w, const char *path,
					    size_t bytes)
{
	uint32_t low = bound(v, w, false), high = bound(v, w, true);
	const struct route_row *row;

	if (low >= high)
		return NULL;
	if (bytes && path[bytes - 1] == '/')
		bytes--;
	for (;;) {
		const char *slash;

		row = find_path(v, low, high, path, bytes);
		if (row || !bytes)
			return row;
		slash = memrchr(path, '/', bytes);
		bytes = slash ? (size_t)(slash - path) : 0;
	}
}

/* Whether a request can match in this bucket at all. */
static bool look_in(uint8_t bucket, const struct weir_addr *local, const char *host, size_t host_bytes,
		    struct wanted *w)
{
	const char *dot;

	w->bucket = bucket;
	w->host = NULL;
	w->addr = local;
	if (bucket == WEIR_BUCKET_HOST) {
		w->host = host;
		w->host_bytes = host_bytes;
	} else if (bucket == WEIR_BUCKET_SUBDOMAIN) {
		dot = memchr(host, '.', host_bytes);
		if (!dot || dot == host || dot + 1 == host + host_bytes)
			return false;
		w->host = dot + 1;
		w->host_bytes = host_bytes - (size_t)(dot + 1 - host);
	}
	return true;
}

bool route_view_find(const struct route_view *v, uint16_t port, const struct weir_addr *local, const char *host,
		     size_t host_bytes, const char *path, size_t path_bytes, struct weir_route_found *ret)
{
	struct wanted w = { .port = port };
	const struct route_row *row = NULL;
	struct weir_str text;
	uint8_t bucket;

	if (!host || host_bytes > WEIR_HOST_MAX) {
		host = "";
		host_bytes = 0;
	}
	for (bucket = 0; !row && bucket < WEIR_BUCKET__MAX; bucket++)
		if (look_in(bucket, local, host, host_bytes, &w))
			row = find_longest(v, &w, path, path_bytes);
	if (!row)
		return false;
	text = text_at(v, row->path, row->path_bytes);
	ret->id = row->id;
	ret->pool = row->pool;
	ret->path_bytes = (uint16_t)MIN(text.n, (size_t)WEIR_PREFIX_PATH_MAX);
	memcpy(ret->path, text.p, ret->path_bytes);
	ret->path[ret->path_bytes] = '\0';
	return true;
}

bool weir_route_find(const struct weir_route_table *t, uint16_t port, const struct weir_addr *local, const char *host,
		     size_t host_bytes, const char *path, size_t path_bytes, struct weir_route_found *ret)
{
	const struct route_view v = { t, t->rows_count, t->bytes };

	return route_view_find(&v, port, local, host, host_bytes, path, path_bytes, ret);
}
