/* SPDX-License-Identifier: GPL-2.0 */
/* The checked configuration: what `weir run` was told by its options and its file. Built and owned by the
 * supervisor, read-only afterwards; workers see their copy after fork(). */
#ifndef WEIR_CONFIG_H
#define WEIR_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "weir/endpoint.h"
#include "weir/pool.h"
#include "weir/route.h"

#include "common/macro.h"
#include "config/proxy.h"

#include "config/module.h"
#include "config/static.h"
#include "config/words.h"

#define WEIR_VERSION "0.1.0"
#define WEIR_CONF_FILE "/etc/weir/weir.conf" /* read when the command line names neither a file nor a root */

/* Names of the parameters, WEIR_PARAM_GLOBAL_flows. */
enum weir_param_id {
#define WEIR_ROW(scope, name, type, member, def, min, max, help) WEIR_PARAM_##scope##_##name,
#include "config/params.def"
#undef WEIR_ROW
	WEIR_PARAM__MAX,
};

enum weir_attach {
	WEIR_ATTACH_AUTO, /* native where the driver has it, else generic, else none, with a message */
	WEIR_ATTACH_NATIVE,
	WEIR_ATTACH_GENERIC,
	WEIR_ATTACH_NONE,
};

enum weir_start_mode {
	WEIR_START_ALWAYS,    /* workers run as long as the pool does */
	WEIR_START_ON_DEMAND, /* a worker starts with a request, and ends after idle_timeout */
};

/* What a pool's workers serve with. */
enum weir_handler {
	WEIR_HANDLER_STATIC,
	WEIR_HANDLER_DEBUG,
	WEIR_HANDLER_MODULE,
	WEIR_HANDLER_PROXY,
};

enum weir_cpu_action {
	WEIR_CPU_NO_ACTION,
	WEIR_CPU_KILL,
	WEIR_CPU_THROTTLE,
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
	unsigned threads;      /* per worker: sets both of the next two where they are not given */
	unsigned threads_min;
	unsigned threads_max;
	unsigned threads_idle_ms; /* a thread above threads_min ends when it had nothing to do for so long */
	enum weir_handler handler;
	uint32_t first_slot;   /* global number of its first slot */
	bool kernel_cache;     /* publish to the kernel cache, default on */
	bool cache_status;     /* responses of the kernel cache have a Cache-Status field */
	unsigned entries[3];   /* kernel cache entries by enum weir_class */
	unsigned keepalive_ms; /* idle connection in a worker, default 120000 */
	unsigned header_ms;    /* request head must be complete within, default 120000 */
	unsigned body_ms;      /* between two pieces of a body */
	unsigned request_ms;   /* a request in a thread; 0: no limit */
	unsigned min_send_rate; /* bytes per second that a client must take of a response; 0: any */

	/* request queue */
	unsigned queue_length;
	unsigned queue_timeout_ms;
	enum weir_verbosity verbosity;

	/* life of a worker */
	enum weir_start_mode start_mode;
	unsigned idle_timeout_ms; /* 0: never */
	unsigned startup_ms;
	unsigned shutdown_ms;
	bool ping_enabled;
	unsigned ping_interval_ms;
	unsigned ping_response_ms;
	unsigned restart_ms;	  /* 0: never, as in the next two */
	unsigned restart_requests;
	unsigned restart_kb;
	struct weir_conf_words restart_schedule;
	struct weir_conf_words restart_files;
	bool rapid_fail;
	unsigned rapid_fail_crashes;
	unsigned rapid_fail_ms;
	char *auto_shutdown_exe;  /* NULL: none */
	bool orphan;
	char *orphan_action_exe;  /* NULL: none */

	/* what a worker may use */
	unsigned cpu_limit;	  /* thousandths of a percent of one CPU; 0: no limit */
	unsigned cpu_reset_ms;
	enum weir_cpu_action cpu_action;
	char *smp_affinity;	  /* NULL: every CPU */
	unsigned memory_limit_kb; /* 0: no limit */
	unsigned nofile;	  /* 0: no limit of its own */
	struct weir_conf_words environment;

	/* where requests are passed on to */
	struct weir_conf_words upstreams;
	struct weir_conf_proxy proxy;
	struct weir_conf_static files; /* handler static */
	struct weir_conf_module module;

	int line;	       /* in the configuration file; 0: from options */
	int lines[WEIR_PARAM__MAX]; /* where each parameter was set, by enum weir_param_id; see WEIR_LINE_* */
};

#define WEIR_PREFIX_PATH_MAX 1000 /* bytes of a prefix's path */

struct weir_conf_prefix {
	char *text;	      /* as written, "http://+:80/app/" */
	enum weir_bucket bucket;
	char *host; /* lower case, punycode; without "*." for SUBDOMAIN; NULL for STRONG and WEAK */
	struct weir_addr addr; /* bucket IP */
	uint16_t port;
	char *path;    /* begins and ends with '/' */
	uint16_t pool; /* id; 0: reserved, no pool has it */
	uint32_t id;   /* index in weir_config.prefixes */
	int line;
};

/* Lines from `first` on, of the text that was parsed, are the lines of `file` from `line` on. */
struct weir_conf_span {
	int first;
	int line;
	char *file;
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
	char *admin;		/* ADDR:PORT of the admin endpoint; NULL or empty: none */
	/* protection, see params/limit.def */
	char *deny;
	char *allow;
	unsigned limit_syn_rate;
	unsigned limit_syn_burst;
	unsigned limit_request_rate;
	unsigned limit_request_burst;
	unsigned limit_bandwidth_kb;
	unsigned limit_connections;
	char *limit_action;
	unsigned limit_source_bits;
	unsigned max_request_bytes;
	unsigned max_field_length;
	unsigned url_segment_max_length;
	unsigned url_segment_max_count;
	char *file;		/* configuration file; NULL: options only */
	int lines[WEIR_PARAM__MAX]; /* as in weir_conf_pool */
	struct weir_conf_span *spans; /* rising; what is a line in this struct and those above is
					 one of the whole text */
	size_t spans_count;
};

/* Values of `lines` that are no line of the file. */
#define WEIR_LINE_DEFAULT 0
#define WEIR_LINE_OPTION (-1)

/* What the command line gave, as text: it goes through the same checks as the file. NULL or 0: not given. Options
 * win over the file; those of a pool then hold for every pool. `root` and `file` exclude each other. */
struct weir_conf_options {
	const char *file;
	const char *root;
	const char *attach;
	const char *control;
	const char *user;
	const char *threads;
	const char *const *listens;
	size_t listens_count;
	const char *const *interfaces;
	size_t interfaces_count;
	bool no_kernel_cache;
};

/* One finding. `where` is the file or an option's name; `line` is 0 where there is none. */
struct weir_conf_diag {
	bool is_warning;
	char *where;
	int line;
	char *text;
};

/* Everything found, in the order of the file. Start from {}. */
struct weir_conf_report {
	struct weir_conf_diag *rows;
	size_t count;
	size_t errors;
};
void weir_conf_report_fini(struct weir_conf_report *r);
/* Writes "FILE:LINE: text" (with "warning: " where it is one), cut to fit. */
void weir_conf_diag_format(const struct weir_conf_diag *d, char *buf, size_t bytes);

/* Reads the file (when there is one) and the options, fills in defaults, checks everything. -EINVAL when the report
 * has errors (all that could be found in one go); -ENOENT when there is no file and no root; -ENOMEM. The report
 * may hold warnings when 0 is returned. */
int weir_config_load(const struct weir_conf_options *o, struct weir_conf_report *report, struct weir_config **ret);

/* The file and its line that a line number in the configuration stands for: they differ where files
 * are included. Numbers that are no line (WEIR_LINE_*) come back as they are, with the main file.
 */
int weir_conf_line(const struct weir_config *c, int line, const char **ret_file);
/* The same for people: "line 3", or "FILE:3" where there are several files. One of two static
 * buffers. */
const char *weir_conf_place(const struct weir_config *c, int line);

/* The pool with this id. NULL: none. */
const struct weir_conf_pool *weir_config_pool(const struct weir_config *c, uint16_t id);

/* Frees the configuration and all that it owns. Takes NULL, returns NULL. */
struct weir_config *weir_config_free(struct weir_config *c);
DEFINE_CLEANUP(struct weir_config *, weir_config_free)

/* One row of params.def, for `weir check` and the manual. */
enum weir_param_scope {
	WEIR_SCOPE_GLOBAL,
	WEIR_SCOPE_POOL,
};
enum weir_param_type {
	WEIR_TYPE_STRING,   /* char * */
	WEIR_TYPE_PATH,	    /* char *, made absolute */
	WEIR_TYPE_COUNT,    /* unsigned */
	WEIR_TYPE_TIME,	    /* unsigned milliseconds; written "30s", "2min", "500ms", or a number of seconds */
	WEIR_TYPE_FLAG,	    /* bool */
	WEIR_TYPE_SIZE,	    /* unsigned, kilobytes of 1024; written "512M", "2G", or a number of kilobytes */
	WEIR_TYPE_PERCENT,  /* unsigned, thousandths of a percent; written "50%" or "0.5%" */
	WEIR_TYPE_ATTACH,   /* enum weir_attach */
	WEIR_TYPE_VERBOSITY, /* enum weir_verbosity */
	WEIR_TYPE_START_MODE, /* enum weir_start_mode */
	WEIR_TYPE_CPU_ACTION, /* enum weir_cpu_action */
	WEIR_TYPE_HANDLER,  /* enum weir_handler */
	WEIR_TYPE_BALANCE,  /* enum weir_balance */
	WEIR_TYPE_FORWARDED, /* enum weir_forwarded */
	WEIR_TYPE_LISTING,  /* enum weir_listing */
	WEIR_TYPE_SANDBOX,  /* enum weir_sandbox */
	WEIR_TYPE_LISTENS,  /* list: weir_config.listens */
	WEIR_TYPE_NAMES,    /* list: weir_config.interfaces */
	WEIR_TYPE_PREFIXES, /* list: weir_config.prefixes */
	WEIR_TYPE_WORDS,    /* list: struct weir_conf_words of a pool */
};
struct weir_param {
	enum weir_param_scope scope;
	enum weir_param_type type;
	const char *name;
	size_t offset;	 /* of the member in weir_config or weir_conf_pool */
	const char *def; /* as it would be written; "" where the help says what happens */
	long min, max;	 /* of COUNT, SIZE and PERCENT, and of TIME in milliseconds */
	const char *help;
};
extern const struct weir_param weir_params[WEIR_PARAM__MAX];
/* Writes the value of a parameter that is no list, as a file would have it. `base`: the config or the pool. */
void weir_param_format(const struct weir_param *p, const void *base, char *buf, size_t bytes);
/* The list of a WORDS parameter. */
const struct weir_conf_words *weir_param_words(const struct weir_param *p, const void *base);
const char *weir_attach_name(enum weir_attach a);
/* The words of a type that is an enum; NULL: it is none. */
const char *const *weir_param_choices(enum weir_param_type type, size_t *ret_count);
/* Copies a page of the manual with the parameters of this table between its marks. -ENOENT: it has
 * no marks; -EIO. */
int weir_conf_manual(const char *page, FILE *out);

/* Which codings of Accept-Encoding the pool's responses may depend on: a set of enum weir_encoding, weir_pool.encodings. */
uint8_t weir_conf_pool_encodings(const struct weir_conf_pool *p);

/* Parses "scheme://host:port/path/" into everything but pool, id and line. -EINVAL: *ret_why (static) says why. */
int weir_conf_prefix_parse(const char *text, struct weir_conf_prefix *ret, const char **ret_why);
void weir_conf_prefix_fini(struct weir_conf_prefix *p);

/* Orders prefixes by port, bucket, host or address; then by path. The first alone tells groups of prefixes apart. */
int weir_conf_prefix_compare_group(const struct weir_conf_prefix *a, const struct weir_conf_prefix *b);
int weir_conf_prefix_compare(const struct weir_conf_prefix *a, const struct weir_conf_prefix *b);

/* Parses "ADDR:PORT"; an empty or "*" address gives two, IPv4 and IPv6. Returns how many, or -EINVAL and *ret_why. */
int weir_conf_listen_parse(const char *text, struct weir_conf_listen ret[2], const char **ret_why);

/* A host name as clients send it: lower case; letters outside of ASCII (UTF-8) as punycode (IDNA
 * 2008, RFC 5891). -EINVAL: no such name; -ENOMEM. The caller frees. */
int weir_conf_host_ascii(const char *host, size_t bytes, char **ret);

/* Parses an address without port or brackets. False: it is none. */
bool weir_conf_addr_parse(const char *text, size_t bytes, struct weir_addr *ret, bool *ret_is_v6);

/* Parses "HH:MM" into minutes since midnight. -EINVAL. */
int weir_conf_minute_parse(const char *text);
/* Parses "0-3,8" into ret[0..max-1]; returns how many CPUs are named, or -EINVAL. */
int weir_conf_cpus_parse(const char *text, bool *ret, int max);

/* Who listens on a TCP port of this address: "nginx (pid 123)". False: nobody that could be found. */
bool weir_port_holder(const struct weir_conf_listen *l, char *buf, size_t bytes);

#endif
