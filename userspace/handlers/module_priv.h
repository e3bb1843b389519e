/* SPDX-License-Identifier: GPL-2.0 */
/* Inside of the module handler: loading and calling (module.c), the request's side of the interface
 * (module_request.c), the response's (module_response.c), the kernel cache (module_cache.c), and the table of functions
 * with what is left (module_api.c). */
#ifndef WEIR_MODULE_PRIV_H
#define WEIR_MODULE_PRIV_H

#include <arpa/inet.h>
#include <pthread.h>

#include "handlers/module.h"

#define MODULE_HEAD_ROOM 512 /* of a head, for what the server writes */
#define MODULE_TAGS_MAX 16   /* of one response */
#define MODULE_TAG_BYTES 128
#define MODULE_TTL_MAX 31536000 /* seconds */
#define MODULE_BUCKETS 4096	/* power of two */
#define MODULE_MISUSES 32	/* messages about misuse in a second */

/* A URL in the kernel cache. */
struct module_url {
	struct module_url *next; /* of the same bucket; later: list of the dead */
	struct module_url *newer, *older;
	uint32_t hash;
	unsigned refs;	     /* atomic; one is the table's */
	uint64_t expires_ns; /* CLOCK_MONOTONIC, of all that lies under the URL; 0: never */
	struct weir_cache_item item;
	struct weir_str host, target; /* in text[] */
	unsigned tags_count;
	struct weir_str tags[MODULE_TAGS_MAX];
	char text[];
};

/* What this worker has published. */
struct module_urls {
	struct weir_cache *cache;
	const struct weir_module_conf *conf;
	pthread_mutex_t lock;
	/* under lock */
	struct module_url *buckets[MODULE_BUCKETS];
	struct module_url *newest, *oldest;
	size_t count;
	/* changed under lock; any thread, atomic */
	uint64_t purges; /* so far: a response that began before one is not published */
};

struct weir_worker {
	/* fixed after init */
	struct weir_module module; /* what the module has not is NULL */
	char name[32];
	const struct weir_module_conf *conf;
	void *state;
	struct module_urls urls;
	/* any thread, atomic */
	uint64_t misuse_second;
	uint32_t misuses; /* in that second */
};

struct module_field {
	struct weir_str name, value;
};

/* One request, on the stack of its thread. */
struct weir_exchange {
	struct weir_worker *w;
	const struct weir_call *call;
	struct weir_stream *stream;
	struct weir_response *resp;

	/* request */
	char client[INET6_ADDRSTRLEN];
	bool has_fields; /* fields[] is filled in */
	unsigned fields_count;
	struct module_field fields[WEIR_HTTP_FIELDS_MAX];
	int read_error; /* of the body; 0: none */

	/* response */
	bool is_begun;
	bool is_ended;
	bool is_streaming; /* the head is out */
	bool is_chunked;
	bool has_length; /* the module gave one */
	bool closes;
	bool is_private; /* its fields forbid a shared cache */
	uint64_t length;
	uint64_t written;
	char *body; /* gathered; owned */
	size_t body_bytes, body_cap;
	struct weir_head_marks marks;
	int send_error; /* nothing can be sent any more; 0: it can */
	bool is_misused;

	/* cache */
	int policy;
	unsigned seconds;
	uint64_t purges; /* when the request began */
	unsigned tags_count;
	size_t tags_bytes;
	char tags[MODULE_TAGS_MAX][MODULE_TAG_BYTES + 1];
};

/* module_api.c */
extern const struct weir_api module_api;
/* Notes that the module broke a rule of weir_module.h, logs which, and returns -EINVAL. */
int module_misuse(struct weir_exchange *x, const char *fmt, ...) _printf_(2, 3);

/* module_request.c */
struct weir_text module_method(const struct weir_exchange *x);
struct weir_text module_target(const struct weir_exchange *x);
struct weir_text module_query(const struct weir_exchange *x);
struct weir_text module_path(const struct weir_exchange *x);
struct weir_text module_host(const struct weir_exchange *x);
struct weir_text module_prefix(const struct weir_exchange *x);
struct weir_text module_field(const struct weir_exchange *x, const char *name, unsigned index);
int module_field_at(const struct weir_exchange *x, unsigned index, struct weir_text *ret_name,
		    struct weir_text *ret_value);
struct weir_text module_client_address(const struct weir_exchange *x);
uint16_t module_client_port(const struct weir_exchange *x);
unsigned module_http_minor(const struct weir_exchange *x);
uint64_t module_body_bytes(const struct weir_exchange *x);
ptrdiff_t module_read(struct weir_exchange *x, void *buf, size_t bytes);

/* module_response.c */
int module_begin(struct weir_exchange *x, unsigned status);
int module_add_field(struct weir_exchange *x, const char *name, const void *value, size_t bytes);
int module_write(struct weir_exchange *x, const void *data, size_t bytes);
int module_flush(struct weir_exchange *x);
int module_end(struct weir_exchange *x);
/* After handle(), with an ended response: makes it whole, or sends its end. -errno: it cannot be sent. */
int module_finish(struct weir_exchange *x);

/* module_cache.c */
int module_cache(struct weir_exchange *x, int policy, unsigned seconds);
int module_tag(struct weir_exchange *x, const char *tag);
int module_purge_url(struct weir_worker *w, const char *url);
int module_purge_tag(struct weir_worker *w, const char *tag);
/* A field of the response that says who may keep it. */
void module_cache_field(struct weir_exchange *x, struct weir_str name, struct weir_str value);
/* Publishes a whole response, if policy, request and response allow it. */
void module_cache_publish(struct weir_exchange *x);
void module_urls_init(struct module_urls *u, struct weir_cache *cache, const struct weir_module_conf *conf);
/* Withdraws everything. */
void module_urls_fini(struct module_urls *u);

#endif
