/* SPDX-License-Identifier: GPL-2.0 */
/* Inside of route/: the layout of a table. */
#ifndef WEIR_ROUTE_TABLE_PRIV_H
#define WEIR_ROUTE_TABLE_PRIV_H

#include "common/str.h"
#include "route/route.h"

#define ROUTE_TABLE_BYTES_MAX (24u << 20) /* WEIR_ROUTES_MAX prefixes with the longest hosts and paths */

/* A prefix; texts are offsets from the table's start, and not terminated. */
struct route_row {
	struct weir_addr addr; /* bucket IP */
	uint32_t id;
	uint32_t host;
	uint32_t path;
	uint16_t host_bytes;
	uint16_t path_bytes;
	uint16_t port;
	uint16_t pool;
	uint8_t bucket;
	uint8_t pad[3];
};

struct weir_route_table {
	uint32_t bytes; /* of all: this, the rows, their texts */
	uint32_t rows_count;
	struct route_row rows[]; /* in the order of weir_conf_prefix_compare() */
};

/* A table whose sizes were read once and checked against the room that it is in. */
struct route_view {
	const struct weir_route_table *table;
	uint32_t rows_count;
	uint32_t bytes;
};
bool route_view_find(const struct route_view *v, uint16_t port, const struct weir_addr *local, const char *host,
		     size_t host_bytes, const char *path, size_t path_bytes, struct weir_route_found *ret);

#endif
