/* SPDX-License-Identifier: GPL-2.0 */
/* The checked configuration: what `weir run` was told by its options and its file. Built and owned by the
 * supervisor, read-only afterwards; workers see their copy after fork(). */
#ifndef WEIR_CONFIG_H
#define WEIR_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "weir/endpoint.h"
#include "weir/route.h"

#include "common/macro.h"

enum weir_attach {
	WEIR_ATTACH_AUTO, /* native where the driver has it, else generic, else none, with a message */
	WEIR_ATTACH_NATIVE,
	WEIR_ATTACH_GENERIC,
	WEIR_ATTACH_NONE,
};

struct weir_conf_listen {
	struct weir_addr addr; /* IPv4 is mapped; all zero (or ::ffff:0.0.0.0) with is_any */
	bool is_any;	       /* wildcard address */
	bool is_v6;
	uint16_t port;	       /* host byte order */
	uint16_t id;	       /* endpoint id, index in weir_config.listens */
	char text[64];	       /* "127.0.0.1:8080", "[::1]:80" */
};

struct weir_conf_pool {
	char name[32];
	uint16_t id;	       /* 1.. ; index + 1 in weir_config.pools */
	char *root;	       /* static files: absolute directory */
	char *index;	       /* space-separated names, "index.html" */
	char *user;	       /* account of the workers; NULL: the first of www-data, nobody that exists */
	char *group;
	uid_t uid;	       /* resolved */
	gid_t gid;
	unsigned slots;	       /* worker processes, default 1 */
	unsigned threads;      /* per worker, default 4 */
	uint32_t first_slot;   /* global number of its first slot */
	bool kernel_cache;     /* publish to the kernel cache, default on */
	unsigned entries[3];   /* kernel cache entries by enum weir_class */
	unsigned keepalive_ms; /* idle connection in a worker, default 120000 */
	unsigned header_ms;    /* request head must be complete within, default 120000 */
	int line;	       /* in the configuration file; 0: from options */
};

struct weir_conf_prefix {
	char *text;	      /* as written, "http://+:80/app/" */
	enum weir_bucket bucket;
	char *host;	      /* lower case; without "*." for SUBDOMAIN; NULL for STRONG and WEAK */
	struct weir_addr addr; /* bucket IP */
	uint16_t port;
	char *path;	      /* begins and ends with '/' */
	uint16_t pool;	      /* id */
	uint32_t id;	      /* index in weir_config.prefixes */
	int line;
};

struct weir_config {
	struct weir_conf_listen *listens;
	size_t listens_count;
	struct weir_conf_pool *pools;
	size_t pools_count;
	struct weir_conf_prefix *prefixes;
	size_t prefixes_count;
	char **interfaces;	/* empty: those that hold a listening address */
	size_t interfaces_count;
	enum weir_attach attach;
	unsigned flows;		/* capacity of the flow table, default 262144 */
	char *control;		/* path of the control socket, default /run/weir.sock */
	char *name;		/* instance name: pins live in /sys/fs/bpf/weir/<name>; from the control path */
};

/* Frees the configuration and all that it owns. Takes NULL, returns NULL. */
struct weir_config *weir_config_free(struct weir_config *c);
DEFINE_CLEANUP(struct weir_config *, weir_config_free)

#endif
