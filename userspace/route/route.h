/* SPDX-License-Identifier: GPL-2.0 */
/* The URL namespace in user space: built once from the configuration, read by workers, `weir route` and
 * `weir why`, and compiled into the kernel's two route maps. Immutable after build; any thread may read.
 *
 * Segments are what stands between slashes; a last slash adds none. So "/app" and "/app/" both have the segments
 * [app], and a request for either matches the prefix "/app/". An empty segment ("//") is a segment that no prefix
 * has. Paths are compared byte by byte, as Linux file systems do; hosts are in lower case on both sides. */
#ifndef WEIR_ROUTE_TABLE_H
#define WEIR_ROUTE_TABLE_H

#include "config/config.h"

struct weir_route_table;

/* Builds the table of all prefixes. -ENOMEM; -EEXIST when two prefixes of one bucket are the same. */
int weir_route_build(const struct weir_config *conf, struct weir_route_table **ret_table);
struct weir_route_table *weir_route_free(struct weir_route_table *t);
DEFINE_CLEANUP(struct weir_route_table *, weir_route_free)

/* What one prefix is called in messages: "strong", "host", "subdomain", "ip", "weak". */
const char *weir_bucket_name(enum weir_bucket b);

/* Finds the prefix for a request: first bucket with a match, then longest path by whole segments.
 * `port` host byte order; `local` the address the connection came in on; `host` lower case without port (may be
 * empty); `path` decoded, dot segments removed, begins with '/'. NULL: no prefix matches (answer 400). */
const struct weir_conf_prefix *weir_route_find(const struct weir_route_table *t, uint16_t port,
					       const struct weir_addr *local, const char *host, size_t host_bytes,
					       const char *path, size_t path_bytes);

/* One row of a kernel map. */
struct weir_route_host_row {
	struct weir_host_key key;
	struct weir_host value;
};
struct weir_route_row {
	struct weir_route_key key;
	struct weir_route value;
};
struct weir_route_compiled {
	struct weir_route_host_row *hosts;
	size_t hosts_count;
	struct weir_route_row *routes;
	size_t routes_count;
	uint8_t buckets[WEIR_ENDPOINTS_MAX]; /* for weir_endpoint.buckets */
};

/* Compiles the table for the kernel under the boot secret. Prefixes deeper than WEIR_DEPTH_MAX segments or with
 * a host longer than WEIR_HOST_MAX give -E2BIG. The caller frees with weir_route_compiled_fini(). */
int weir_route_compile(const struct weir_config *conf, const uint64_t secret[2], struct weir_route_compiled *ret);
void weir_route_compiled_fini(struct weir_route_compiled *c);

#endif
