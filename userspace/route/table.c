/* SPDX-License-Identifier: GPL-2.0 */
/* The user-space reader of the URL namespace: all prefixes in one sorted array. A group (port, bucket, host or
 * address) is a run in it, found by bisection; inside of the run each path, from the longest down, is one more. */
#include "route/route.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

struct group {
	const struct weir_conf_prefix *const *rows; /* sorted by path */
	size_t rows_count;
};

struct weir_route_table {
	size_t rows_count;
	const struct weir_conf_prefix *rows[]; /* sorted by weir_conf_prefix_compare() */
};

static int by_prefix(const void *a, const void *b)
{
	return weir_conf_prefix_compare(*(const struct weir_conf_prefix *const *)a,
					*(const struct weir_conf_prefix *const *)b);
}

int weir_route_build(const struct weir_config *conf, struct weir_route_table **ret_table)
{
	_cleanup_(weir_route_freep) struct weir_route_table *t = NULL;
	size_t i;

	assert(conf && ret_table);
	t = calloc(1, sizeof(*t) + conf->prefixes_count * sizeof(t->rows[0]));
	if (!t)
		return -ENOMEM;
	t->rows_count = conf->prefixes_count;
	for (i = 0; i < t->rows_count; i++)
		t->rows[i] = &conf->prefixes[i];
	qsort(t->rows, t->rows_count, sizeof(t->rows[0]), by_prefix);
	for (i = 1; i < t->rows_count; i++)
		if (!weir_conf_prefix_compare(t->rows[i - 1], t->rows[i]))
			return -EEXIST;
	*ret_table = TAKE_PTR(t);
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

/* First row that is not below `key`, by group; with `is_upper` the first that is above. */
static size_t bound(const struct weir_route_table *t, const struct weir_conf_prefix *key, bool is_upper)
{
	size_t low = 0, high = t->rows_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int n = weir_conf_prefix_compare_group(t->rows[middle], key);

		if (n < 0 || (is_upper && n == 0))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct group find_group(const struct weir_route_table *t, const struct weir_conf_prefix *key)
{
	size_t first = bound(t, key, false);

	return (struct group){ &t->rows[first], bound(t, key, true) - first };
}

/* Compares a prefix's path with the first `bytes` of a request's path and a slash: strcmp()'s order. */
static int compare_path(const struct weir_conf_prefix *row, const char *path, size_t bytes)
{
	size_t row_bytes = strlen(row->path);
	int n = memcmp(row->path, path, MIN(row_bytes, bytes));

	if (n)
		return n;
	if (row_bytes <= bytes)
		return -1;
	if (row->path[bytes] != '/')
		return (unsigned char)row->path[bytes] - '/';
	return row_bytes > bytes + 1;
}

static const struct weir_conf_prefix *find_path(const struct group *g, const char *path, size_t bytes)
{
	size_t low = 0, high = g->rows_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int n = compare_path(g->rows[middle], path, bytes);

		if (n == 0)
			return g->rows[middle];
		if (n < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* Longest path first: cuts segments off the end until a prefix has exactly what is left. */
static const struct weir_conf_prefix *find_longest(const struct group *g, const char *path, size_t bytes)
{
	const struct weir_conf_prefix *p;

	if (!g->rows_count)
		return NULL;
	if (bytes && path[bytes - 1] == '/')
		bytes--;
	for (;;) {
		const char *slash;

		p = find_path(g, path, bytes);
		if (p || !bytes)
			return p;
		slash = memrchr(path, '/', bytes);
		bytes = slash ? (size_t)(slash - path) : 0;
	}
}

const struct weir_conf_prefix *weir_route_find(const struct weir_route_table *t, uint16_t port,
					       const struct weir_addr *local, const char *host, size_t host_bytes,
					       const char *path, size_t path_bytes)
{
	struct weir_conf_prefix key = { .port = port };
	char name[WEIR_HOST_MAX + 1] = "";
	const struct weir_conf_prefix *p = NULL;

	assert(t && local && path);
	if (host_bytes && host_bytes <= WEIR_HOST_MAX)
		memcpy(name, host, host_bytes);
	for (key.bucket = 0; !p && key.bucket < WEIR_BUCKET__MAX; key.bucket++) {
		struct group g;

		key.host = NULL;
		switch (key.bucket) {
		case WEIR_BUCKET_HOST:
			key.host = name;
			break;
		case WEIR_BUCKET_SUBDOMAIN:
			key.host = strchr(name, '.');
			if (!key.host || key.host == name || !*++key.host)
				continue;
			break;
		case WEIR_BUCKET_IP:
			key.addr = *local;
			break;
		default:
			break;
		}
		g = find_group(t, &key);
		p = find_longest(&g, path, path_bytes);
	}
	return p;
}
