/* SPDX-License-Identifier: GPL-2.0 */
/* The URL namespace in user space: built from the configuration, read by workers, `weir route` and `weir why`, and
 * compiled into the kernel's two route maps. A table is one piece of memory without pointers, so that all processes of
 * an instance can share it (board.c). Any thread may read.
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

/* The prefix that a request belongs to. */
struct weir_route_found {
	uint32_t id;	     /* index in the configuration's prefixes */
	uint16_t pool;	     /* id; 0: reserved (answer 400) */
	uint16_t path_bytes;
	char path[WEIR_PREFIX_PATH_MAX + 1]; /* of the prefix: begins and ends with '/', terminated */
};

/* Finds the prefix for a request: first bucket with a match, then longest path by whole segments.
 * `port` host byte order; `local` the address the connection came in on; `host` lower case without port (may be
 * empty); `path` decoded, dot segments removed, begins with '/'. False: no prefix matches (answer 400). */
bool weir_route_find(const struct weir_route_table *t, uint16_t port, const struct weir_addr *local, const char *host,
		     size_t host_bytes, const char *path, size_t path_bytes, struct weir_route_found *ret);

/* The table that all processes of an instance read, in a file: the supervisor puts a new one there while workers read
 * the old one, and each request sees one of the two, whole. */
struct weir_route_board;

/* Makes the file, or opens that of an earlier supervisor. ret_writer is for weir_route_post() alone; ret_reader cannot be
 * made writable by whoever inherits it. -EBADMSG: the file is none of this version. */
int weir_route_board_open(const char *path, bool is_new, struct weir_route_board **ret_writer,
			  const struct weir_route_board **ret_reader);
void weir_route_board_close(struct weir_route_board *writer, const struct weir_route_board *reader);
/* A board in memory of this process and its children, for tests. -ENOMEM. */
int weir_route_board_new(struct weir_route_board **ret);
/* Everybody reads this table from now on. -E2BIG; -ENOSPC, -ENOMEM: nothing has changed. One process writes. */
int weir_route_post(struct weir_route_board *writer, const struct weir_route_table *t);
/* weir_route_find() in the table that was posted last. False also when there is none. */
bool weir_route_ask(const struct weir_route_board *b, uint16_t port, const struct weir_addr *local, const char *host,
		    size_t host_bytes, const char *path, size_t path_bytes, struct weir_route_found *ret);

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
	uint16_t table;			     /* for weir_endpoint.table */
};

/* Compiles the table for the kernel under the boot secret and a number that tells it from its predecessor. Prefixes deeper than WEIR_DEPTH_MAX segments or with
 * a host longer than WEIR_HOST_MAX give -E2BIG. The caller frees with weir_route_compiled_fini(). */
int weir_route_compile(const struct weir_config *conf, const uint64_t secret[2], uint16_t table,
		       struct weir_route_compiled *ret);
void weir_route_compiled_fini(struct weir_route_compiled *c);

#endif
