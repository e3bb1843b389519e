/* SPDX-License-Identifier: GPL-2.0 */
/* What the configuration says about the static handler beyond root and index, and the little languages of its lists:
 * one text, one rule. The parsers are pure, point into the text, and serve both the checks of the configuration and
 * the handler. Included by config.h. */
#ifndef WEIR_CONFIG_STATIC_H
#define WEIR_CONFIG_STATIC_H

#include <stdbool.h>
#include <stddef.h>

#include "weir/endpoint.h"

#include "common/str.h"
#include "config/words.h"

#define WEIR_CONF_HEADERS_MAX 2048 /* bytes of all fields that one pool adds */
#define WEIR_CONF_STATUSES_MAX 16  /* of one row of error_pages */

enum weir_listing {
	WEIR_LISTING_OFF,
	WEIR_LISTING_HTML,
	WEIR_LISTING_JSON,
};

struct weir_conf_static {
	bool precompressed;
	bool compress;
	unsigned compress_min; /* bytes */
	unsigned compress_max_kb;
	unsigned compress_level; /* 1 to 9 */
	unsigned max_age_s;	 /* 0: no Cache-Control */
	enum weir_listing listing;
	char *default_type;
	char *auth_file; /* NULL: no authentication; absolute after the checks */
	char *auth_realm;
	struct weir_conf_words compress_types; /* empty: the handler's own list */
	struct weir_conf_words try_files;
	struct weir_conf_words error_pages;
	struct weir_conf_words redirects;
	struct weir_conf_words rewrites;
	struct weir_conf_words headers;
	struct weir_conf_words access;
	struct weir_conf_words types;
};

enum weir_match {
	WEIR_MATCH_EXACT,
	WEIR_MATCH_PREFIX, /* by whole segments */
	WEIR_MATCH_REGEX,  /* PCRE2, on bytes */
};

/* "301 exact /old /new", "308 prefix /blog/ https://blog.example.com/", "302 regex ^/u/(\d+)$ /users?id=$1"; a
 * rewrite has no status. */
struct weir_conf_rule {
	unsigned status; /* 0: rewrite */
	enum weir_match match;
	struct weir_str from;
	struct weir_str to;
};

/* "Name: value", for every response; "/assets/ * Name: value" (without the space), for files whose path matches. */
struct weir_conf_header {
	struct weir_str pattern; /* n is 0: every response */
	struct weir_str name;
	struct weir_str value;
};

/* "404 /404.html", "500 502 503 /trouble.html" */
struct weir_conf_error_page {
	unsigned statuses[WEIR_CONF_STATUSES_MAX];
	size_t count;
	struct weir_str path;
};

/* "allow 10.0.0.0/8", "deny all" */
struct weir_conf_access {
	bool is_allow;
	struct weir_addr addr; /* IPv4 is mapped */
	unsigned bits;	       /* leading ones that count, of 128 */
};

/* A candidate of try_files: text in which $uri stands for the path, or "=404". */
struct weir_conf_try {
	unsigned status; /* 0: a path */
	struct weir_str path;
};

/* All of them: -EINVAL, and *ret_why (static, one buffer) says what is wrong. */
int weir_conf_redirect_parse(const char *text, struct weir_conf_rule *ret, const char **ret_why);
int weir_conf_rewrite_parse(const char *text, struct weir_conf_rule *ret, const char **ret_why);
int weir_conf_header_parse(const char *text, struct weir_conf_header *ret, const char **ret_why);
int weir_conf_error_page_parse(const char *text, struct weir_conf_error_page *ret, const char **ret_why);
int weir_conf_access_parse(const char *text, struct weir_conf_access *ret, const char **ret_why);
int weir_conf_try_parse(const char *text, struct weir_conf_try *ret, const char **ret_why);
/* "type extension...": no more than a check. */
int weir_conf_type_parse(const char *text, const char **ret_why);

#endif
