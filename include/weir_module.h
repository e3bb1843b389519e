/* SPDX-License-Identifier: GPL-2.0 */
/* The C interface of Weir's `module` pools, see weir-module(3). A module is a shared object with one exported symbol,
 * `weir_module`. Each worker process of the pool loads it and calls it, on several threads at a time; it may block. It
 * gets the server's functions as a table (struct weir_api), so it links against nothing of Weir.
 *
 * Both structs begin with `abi_version` and `size`. WEIR_MODULE_ABI changes when something that exists changes; what is
 * added is added at the end and only makes `size` grow. A server fills what an older module does not have with NULL; a
 * module that wants to run on older servers asks WEIR_API_HAS() before it uses what was added later.
 *
 * Functions that return int or ptrdiff_t return a negative errno value for an error. Text is passed as pointer and
 * length, is not terminated unless it says so, and lives as long as the exchange (or the worker) that it came from. */
#ifndef WEIR_MODULE_H
#define WEIR_MODULE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WEIR_MODULE_ABI 1

#define WEIR_MODULE_BODY_UNKNOWN UINT64_MAX /* weir_api.body_bytes(): a chunked body */

/* A request and its response: valid inside of handle() and on its thread alone. */
struct weir_exchange;

/* The worker process, as weir_module.worker_init() gets it: valid until worker_fini() returns, on any thread. */
struct weir_worker;

/* Bytes that belong to the server. p is NULL where there is nothing. */
struct weir_text {
	const char *p;
	size_t n;
};

enum weir_module_level {
	WEIR_MODULE_ERROR,
	WEIR_MODULE_WARNING,
	WEIR_MODULE_INFO,
	WEIR_MODULE_DEBUG,
};

/* How long the kernel may answer the URL of this exchange without asking the module again. */
enum weir_module_cache {
	WEIR_MODULE_CACHE_NONE, /* never: the default */
	WEIR_MODULE_CACHE_UNTIL_PURGED,
	WEIR_MODULE_CACHE_TTL, /* so many seconds, or until purged */
};

#if defined(__GNUC__)
#define WEIR_MODULE_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#define WEIR_MODULE_EXPORT __attribute__((visibility("default")))
#else
#define WEIR_MODULE_PRINTF(fmt, first)
#define WEIR_MODULE_EXPORT
#endif

/* What the server does for a module. Never changes while the worker lives. */
struct weir_api {
	uint32_t abi_version; /* WEIR_MODULE_ABI */
	uint32_t size;	      /* bytes of this struct, as the server knows it */

	/* --- the request --- */

	/* As sent: "GET", the request target ("/app/a?b=1"), what follows '?' (p is NULL without one). */
	struct weir_text (*method)(const struct weir_exchange *x);
	struct weir_text (*target)(const struct weir_exchange *x);
	struct weir_text (*query)(const struct weir_exchange *x);
	/* Decoded once, without dot segments and NUL bytes, begins with '/'. */
	struct weir_text (*path)(const struct weir_exchange *x);
	/* Lower case, without port; may be empty in HTTP/1.0. */
	struct weir_text (*host)(const struct weir_exchange *x);
	/* Path of the URL prefix that led here: begins and ends with '/'; `path` begins with it, or lacks its last '/'. */
	struct weir_text (*prefix)(const struct weir_exchange *x);
	/* Value of the index-th field of that name (case does not count), without spaces around it. */
	struct weir_text (*field)(const struct weir_exchange *x, const char *name, unsigned index);
	/* The index-th of all fields, as sent. -ENOENT: there are not so many. */
	int (*field_at)(const struct weir_exchange *x, unsigned index, struct weir_text *ret_name,
			struct weir_text *ret_value);
	/* "192.0.2.1" or "2001:db8::1", terminated; the port in host byte order. */
	struct weir_text (*client_address)(const struct weir_exchange *x);
	uint16_t (*client_port)(const struct weir_exchange *x);
	/* 1 for HTTP/1.1, 0 for HTTP/1.0. */
	unsigned (*http_minor)(const struct weir_exchange *x);
	/* Content-Length, 0 without a body, WEIR_MODULE_BODY_UNKNOWN for a chunked one. */
	uint64_t (*body_bytes)(const struct weir_exchange *x);
	/* The next piece of the body, without transfer coding, up to `bytes`; waits for it. Sends 100 Continue when the
	 * client waits for that. 0: the end. -ETIMEDOUT: the client was silent for the pool's body_timeout. -EFBIG: more
	 * than the pool's request_body_max. -EBADMSG: malformed chunks. -ECONNRESET: the client is gone. After an error the
	 * body is of no more use, and without an answer of the module the server sends 408, 413 or 400. What a module
	 * does not read, the server throws away. Trailer fields are not shown. */
	ptrdiff_t (*read)(struct weir_exchange *x, void *buf, size_t bytes);

	/* --- the response: begin, add_field..., write..., end --- */

	/* Starts the response. `status` is from 200 to 599. */
	int (*begin)(struct weir_exchange *x, unsigned status);
	/* One field, before the first flush() and before 64 kB of the body. `name` is terminated; the value has no control
	 * characters but tab. Content-Length announces the body's length: without it the server counts what fits
	 * into 64 kB, and sends longer bodies chunked (to HTTP/1.0 clients until the connection's end). "Connection: close"
	 * ends the connection after the response. The server writes Date, Server, Transfer-Encoding, Keep-Alive, Trailer
	 * and Upgrade alone. -EINVAL: bad bytes or a field of the server's. -E2BIG: more than 5 kB of fields. */
	int (*add_field)(struct weir_exchange *x, const char *name, const void *value, size_t bytes);
	/* A piece of the body: copied, and sent once 64 kB have come together, at flush() and after the end. Waits for slow
	 * clients, but not longer than the pool's min_send_rate lets them. For HEAD nothing is sent. -ETIMEDOUT,
	 * -ECONNRESET, -EPIPE: the client is too slow or gone, nothing can be sent any more. */
	int (*write)(struct weir_exchange *x, const void *data, size_t bytes);
	/* Sends what there is now. The response can no longer become an error or be cached. */
	int (*flush)(struct weir_exchange *x);
	/* The response is complete. Returning 0 from handle() does the same. */
	int (*end)(struct weir_exchange *x);

	/* --- the cache --- */

	/* Offers this response to the kernel cache, where it answers the URL for every client. It is taken if the request
	 * is a GET without Authorization, conditions or ranges, the status is 200, head and body have at most 16 kB and were
	 * not flushed, the response sets no cookie, its Cache-Control does not say no-store, no-cache or private and
	 * it varies by nothing but Accept-Encoding. `seconds` is for WEIR_MODULE_CACHE_TTL, from 1 to 31536000. What
	 * downstream caches do is up to the fields. -EINVAL: unknown policy or seconds. */
	int (*cache)(struct weir_exchange *x, int policy, unsigned seconds);
	/* A name by which purge_tag() finds it: up to 16 of 1 to 128 bytes. -EINVAL, -E2BIG. */
	int (*tag)(struct weir_exchange *x, const char *tag);
	/* Takes a URL, "http://host/target" or, for every host, "/target", out of the cache of the pool; the target as
	 * clients send it, with query. Responses that began before the call are not cached any more. Returns how many were
	 * taken out; -EINVAL: no such URL. */
	int (*purge_url)(struct weir_worker *w, const char *url);
	/* The same for everything with this tag, and, with NULL, for everything that the pool has. */
	int (*purge_tag)(struct weir_worker *w, const char *tag);

	/* --- the rest --- */

	/* A line in the server's log, with pool and module before it. */
	void (*log)(struct weir_worker *w, int level, const char *fmt, ...) WEIR_MODULE_PRINTF(3, 4);
	/* Value of a line "key=value" of the pool's module_options, terminated; "" for a line that is "key" alone. NULL:
	 * there is none. */
	const char *(*option)(struct weir_worker *w, const char *key);
	/* The index-th line, as written. NULL: there are not so many. */
	const char *(*option_at)(struct weir_worker *w, unsigned index);
	/* Name of the pool, terminated. */
	const char *(*pool)(struct weir_worker *w);
};

/* Whether the server has a function of the table. */
#define WEIR_API_HAS(api, member)                                                                                      \
	((api)->size >= offsetof(struct weir_api, member) + sizeof((api)->member) && (api)->member != NULL)

/* What a module is. Every function but `handle` may be NULL. */
struct weir_module {
	uint32_t abi_version; /* WEIR_MODULE_ABI */
	uint32_t size;	      /* sizeof(struct weir_module) */
	const char *name;     /* for messages; terminated, up to 31 bytes are shown */

	/* Once in each worker process, before its first request, under the pool's account and system call filter. `api` and
	 * `w` stay valid until worker_fini() returns. Other than 0: the worker ends, the pool's recycling fails, or, at
	 * the start, it counts as a crash. */
	int (*worker_init)(const struct weir_api *api, struct weir_worker *w, void **ret_state);
	/* Once at the planned end of a worker (recycling, stop), after the last thread_fini(). Not after a crash. Threads
	 * that the module has started must end here. */
	void (*worker_fini)(void *state);
	/* Once in each serving thread, before its first request. Other than 0: this request gets 500, the next one tries
	 * again. */
	int (*thread_init)(void *state, void **ret_thread_state);
	void (*thread_fini)(void *state, void *thread_state);
	/* One request. 0: answered. Other than 0: 500, or, when something is sent already, the connection is cut. Several
	 * threads are in it at a time. */
	int (*handle)(struct weir_exchange *x, void *state, void *thread_state);
};

/* The one symbol that a module exports. */
extern WEIR_MODULE_EXPORT const struct weir_module weir_module;

#ifdef __cplusplus
}
#endif

#endif
