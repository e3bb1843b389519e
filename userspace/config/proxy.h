/* SPDX-License-Identifier: GPL-2.0 */
/* What a pool's configuration says about its upstreams: part of struct weir_conf_pool, for every
 * handler that passes requests on. */
#ifndef WEIR_CONFIG_PROXY_H
#define WEIR_CONFIG_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "config/words.h"

#define WEIR_UPSTREAMS_MAX 64 /* servers of one pool, after names were resolved */

enum weir_balance {
	WEIR_BALANCE_ROUND_ROBIN,
	WEIR_BALANCE_LEAST_CONN,
	WEIR_BALANCE_HASH_URI,
	WEIR_BALANCE_HASH_CLIENT,
	WEIR_BALANCE_HASH_HEADER,
};

enum weir_forwarded {
	WEIR_FORWARDED_APPEND,	/* behind what the client sent */
	WEIR_FORWARDED_REPLACE, /* instead of it */
	WEIR_FORWARDED_OFF,	/* as the client sent it */
};

/* One server of a pool. */
struct weir_conf_upstream {
	char text[128]; /* "unix:/run/app.sock", "127.0.0.1:3000", "[::1]:3000": for people, and
			   unique in the pool */
	struct sockaddr_storage addr;
	socklen_t addr_bytes;
	unsigned weight;    /* 1.. */
	unsigned max_conns; /* of one worker; 0: any number */
};

struct weir_conf_proxy {
	struct weir_conf_upstream *servers; /* from `upstreams`, resolved by the check */
	size_t servers_count;
	enum weir_balance balance;
	char *hash_header;	    /* of HASH_HEADER */
	unsigned keepalive;	    /* idle connections that a worker keeps to each server */
	unsigned keepalive_idle_ms; /* and for how long */
	unsigned connect_ms;
	unsigned upstream_ms; /* between two pieces from, or to, an upstream */
	unsigned tunnel_ms;   /* an upgraded connection without a byte; 0: any time */
	unsigned retries;     /* further servers that a request may try */
	unsigned max_fails;   /* within fail_ms, then a server rests for fail_ms; 0: never */
	unsigned fail_ms;
	char *health_path; /* NULL: no active checks */
	unsigned health_interval_ms;
	unsigned health_timeout_ms;
	unsigned health_status; /* expected; 0: any of 200 to 399 */
	unsigned health_rise;
	unsigned health_fall;
	unsigned response_body_max_kb; /* 0: any */
	unsigned response_head_max_kb;
	char *host; /* Host for the upstream; NULL: the client's */
	bool strip_prefix;
	struct weir_conf_words request_fields;	/* "Name: value" in place of the client's; "Name:" removes it */
	struct weir_conf_words response_fields; /* the same, in place of the upstream's */
	enum weir_forwarded forwarded;
};

/* Parses "unix:/PATH" or "HOST:PORT", with " weight=N" and " max_conns=N" behind it; a name is
 * resolved, which may take a while and give several servers. Returns how many, or -EINVAL: ret_why
 * (static) says why. */
int weir_conf_upstream_parse(const char *text, struct weir_conf_upstream *ret, size_t max, const char **ret_why);

#endif
