// SPDX-License-Identifier: GPL-2.0
/* Puts a response with lifetimes into the kernel cache of a running Weir, as a store in one of its workers would, through
 * the pinned maps: publish PIN_DIR POOL ENDPOINT HOST TARGET [NAME=NUMBER...] [body=TEXT]. Times are counted from now. Prints
 * the CLOCK_MONOTONIC of the end of freshness, in ns. */
#include <bpf/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "weir/endpoint.h"

#include "cache/cache.h"
#include "common/clock.h"
#include "metrics/metrics.h"

#define MODIFIED "Fri, 04 Nov 1994 10:11:12 GMT"
#define OLD_DATE "Sat, 05 Nov 1994 08:00:00 GMT"

struct options {
	uint64_t ttl_ms;   /* 0: until withdrawn */
	uint64_t grace_ms; /* behind that */
	uint64_t refresh_ms;
	uint64_t age_s;
	uint64_t has_age;
	uint64_t status;
	const char *body;
};

static struct weir_metrics_slot metrics;
static struct weir_cache cache = { .metrics = &metrics, .encodings = WEIR_ENCODING__COUNT - 1 };

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static int get_pin(const char *dir, const char *format, const char *name)
{
	char path[512];
	int n = snprintf(path, sizeof(path), "%s/", dir), fd;

	(void)snprintf(path + n, sizeof(path) - (size_t)n, format, name);
	fd = bpf_obj_get(path);
	if (fd < 0)
		fail(path);
	return fd;
}

static void parse(struct options *o, char *word)
{
	const struct {
		const char *name;
		uint64_t *value;
	} numbers[] = {
		{ "ttl_ms", &o->ttl_ms }, { "grace_ms", &o->grace_ms }, { "refresh_ms", &o->refresh_ms },
		{ "age_s", &o->age_s },	  { "has_age", &o->has_age },	{ "status", &o->status },
	};
	char *value = strchr(word, '=');
	size_t i;

	if (!value)
		exit(2);
	*value++ = '\0';
	if (!strcmp(word, "body")) {
		o->body = value;
		return;
	}
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (!strcmp(word, numbers[i].name)) {
			*numbers[i].value = strtoull(value, NULL, 10);
			return;
		}
	exit(2);
}

/* A head with an old Date, an Age if wanted, and validators. */
static void make_head(const struct options *o, const char *status, size_t length, char *text,
		      struct weir_cache_head *ret)
{
	int n = sprintf(text, "HTTP/1.1 %s\r\nDate: " OLD_DATE "\r\nETag: \"%zu\"\r\nLast-Modified: " MODIFIED "\r\n",
			status, strlen(o->body));

	*ret = (struct weir_cache_head){ .p = text };
	if (o->has_age) {
		n += sprintf(text + n, "Age: ");
		ret->age_off = (uint16_t)n;
		memset(text + n, 0, WEIR_AGE_BYTES);
		n += WEIR_AGE_BYTES;
		n += sprintf(text + n, "\r\n");
	}
	if (length)
		n += sprintf(text + n, "Content-Length: %zu\r\n", length);
	n += sprintf(text + n, "Connection: ");
	ret->conn_off = (uint16_t)n;
	n += sprintf(text + n, "keep-alive\r\n\r\n");
	ret->bytes = (uint16_t)n;
}

int main(int argc, char **argv)
{
	struct options o = { .status = 200, .body = "from the kernel\n" };
	char request[1024], status[32], head[1024], cond[1024], etag[32];
	static struct weir_request req;
	struct weir_cache_image image = {};
	struct weir_cache_name name;
	struct weir_secrets secrets;
	size_t scanned = 0;
	uint32_t zero = 0;
	uint64_t now;
	int i, n, r;

	if (argc < 6)
		return 2;
	for (i = 6; i < argc; i++)
		parse(&o, argv[i]);
	cache.fds[WEIR_CLASS_S] = get_pin(argv[1], "pool_%s_cache_s", argv[2]);
	cache.fds[WEIR_CLASS_M] = get_pin(argv[1], "pool_%s_cache_m", argv[2]);
	cache.fds[WEIR_CLASS_L] = get_pin(argv[1], "pool_%s_cache_l", argv[2]);
	if (bpf_map_lookup_elem(get_pin(argv[1], "%s", "weir_secrets"), &zero, &secrets))
		fail("weir_secrets");
	memcpy(cache.secret, secrets.cache_key, sizeof(cache.secret));
	n = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", argv[5], argv[4]);
	if (weir_request_parse(request, (size_t)n, &scanned, &req) ||
	    weir_cache_name(&cache, &req, (uint16_t)atoi(argv[3]), &name))
		return 3;

	(void)snprintf(status, sizeof(status), "%u X", (unsigned)o.status);
	make_head(&o, status, strlen(o.body), head, &image.head);
	make_head(&o, "304 Not Modified", 0, cond, &image.not_modified);
	now = weir_now_ns();
	image.status = (uint16_t)o.status;
	image.body = o.body;
	image.body_bytes = strlen(o.body);
	image.etag = (struct weir_str){ etag, (size_t)snprintf(etag, sizeof(etag), "\"%zu\"", strlen(o.body)) };
	image.modified = WEIR_STR(MODIFIED);
	image.expires_ns = o.ttl_ms ? now + o.ttl_ms * 1000000 : 0;
	image.stale_ns = o.grace_ms ? image.expires_ns + o.grace_ms * 1000000 : 0;
	image.refresh_ms = (uint32_t)o.refresh_ms;
	image.born_ns = now - o.age_s * 1000000000;
	r = weir_cache_put(&cache, &name, &image, true);
	if (r < 0) {
		fprintf(stderr, "publish: %s\n", strerror(-r));
		return 1;
	}
	printf("%llu\n", (unsigned long long)image.expires_ns);
	return 0;
}
