// SPDX-License-Identifier: GPL-2.0
/* The smallest useful module: a page that is made for each URL, and kept by the kernel for `ttl` seconds. See hello.conf
 * for how to start it. Options: greeting=TEXT, ttl=SECONDS (10; 0: not kept). */
#include "weir_module.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* fixed after init: handle() runs on several threads */
static const struct weir_api *api;
static const char *greeting;
static unsigned ttl = 10;

static int start(const struct weir_api *server, struct weir_worker *w, void **ret_state)
{
	const char *text;

	(void)ret_state;
	api = server;
	text = api->option(w, "greeting");
	greeting = text ? text : "Hello";
	text = api->option(w, "ttl");
	if (text)
		ttl = (unsigned)strtoul(text, NULL, 10);
	api->log(w, WEIR_MODULE_INFO, "greets with \"%s\", pages are kept for %u s", greeting, ttl);
	return 0;
}

/* Text of a client inside of HTML. */
static void put_escaped(struct weir_exchange *x, struct weir_text text)
{
	size_t i;

	for (i = 0; i < text.n; i++) {
		if (text.p[i] == '<')
			(void)api->write(x, "&lt;", 4);
		else if (text.p[i] == '&')
			(void)api->write(x, "&amp;", 5);
		else
			(void)api->write(x, text.p + i, 1);
	}
}

static int put(struct weir_exchange *x, const char *text)
{
	return api->write(x, text, strlen(text));
}

static int refuse(struct weir_exchange *x)
{
	(void)api->begin(x, 405);
	(void)api->add_field(x, "Allow", "GET, HEAD", 9);
	return api->end(x);
}

static int handle(struct weir_exchange *x, void *state, void *thread_state)
{
	struct weir_text method = api->method(x), path = api->path(x), prefix = api->prefix(x);
	time_t now = time(NULL);
	char when[32] = "";
	struct tm tm;

	(void)state;
	(void)thread_state;
	if (!(method.n == 3 && !memcmp(method.p, "GET", 3)) && !(method.n == 4 && !memcmp(method.p, "HEAD", 4)))
		return refuse(x);
	/* what follows the pool's prefix is whom to greet */
	if (path.n < prefix.n)
		path.n = 0;
	else
		path = (struct weir_text){ path.p + prefix.n, path.n - prefix.n };
	if (path.n == 0)
		path = (struct weir_text){ "world", 5 };
	(void)strftime(when, sizeof(when), "%H:%M:%S UTC", gmtime_r(&now, &tm));

	(void)api->begin(x, 200);
	(void)api->add_field(x, "Content-Type", "text/html; charset=utf-8", 24);
	if (ttl > 0)
		(void)api->cache(x, WEIR_MODULE_CACHE_TTL, ttl);
	(void)put(x, "<!doctype html>\n<title>hello</title>\n<h1>");
	(void)put(x, greeting);
	(void)put(x, ", ");
	put_escaped(x, path);
	(void)put(x, "!</h1>\n<p>This page was made at ");
	(void)put(x, when);
	(void)put(x, ".</p>\n");
	return api->end(x);
}

const struct weir_module weir_module = {
	.abi_version = WEIR_MODULE_ABI,
	.size = sizeof(weir_module),
	.name = "hello",
	.worker_init = start,
	.handle = handle,
};
