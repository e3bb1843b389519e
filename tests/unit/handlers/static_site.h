/* SPDX-License-Identifier: GPL-2.0 */
/* A static handler with options over a temporary root, for tests that ask it as text: site_start() after filling
 * `options` and the root, ask(), field(), body. */
#ifndef TEST_STATIC_SITE_H
#define TEST_STATIC_SITE_H

#include <criterion/criterion.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/macro.h"
#include "handlers/static.h"

static char root[64];
static struct weir_metrics_slot metrics;
static struct weir_cache cache = { .fds = { -1, -1, -1 }, .secret = { 3, 4 }, .metrics = &metrics, .encodings = 15 };
static struct weir_conf_static options;
static struct weir_static *files;
static struct weir_request req;
static struct weir_response resp;
static struct weir_flow_key flow;
static char body[1 << 20];
static size_t body_bytes;

static inline void in_root(const char *commands)
{
	char text[1024];

	snprintf(text, sizeof(text), "cd %s && { %s; }", root, commands);
	cr_assert_eq(system(text), 0, "%s", commands);
}

/* Makes the root with the files that `commands` make in it. */
static inline void site_init(const char *commands)
{
	memset(&options, 0, sizeof(options));
	memset(&resp, 0, sizeof(resp));
	strcpy(root, "/tmp/weir-site-XXXXXX");
	cr_assert(mkdtemp(root));
	in_root(commands);
}

static inline void site_start(void)
{
	struct weir_static_conf conf = { .root = root, .options = &options };

	cr_assert_eq(weir_static_new(&conf, &cache, &files), 0);
}

static inline void site_fini(void)
{
	weir_response_reset(&resp);
	files = weir_static_free(files);
	in_root("cd / && rm -rf \"$OLDPWD\"");
}

/* WORDS(options.headers, "A: b", "C: d") */
#define WORDS(list, ...)                                                                                               \
	do {                                                                                                           \
		static char *items_[] = { __VA_ARGS__ };                                                               \
		(list) = (struct weir_conf_words){ items_, ARRAY_SIZE(items_) };                                       \
	} while (0)

static inline unsigned ask_text(const char *text)
{
	struct weir_call call = { .req = &req, .prefix = { "/", 1 }, .flow = &flow };
	size_t scanned = 0;
	unsigned i;

	cr_assert_eq(weir_request_parse(text, strlen(text), &scanned, &req), 0, "%s", text);
	weir_response_reset(&resp);
	weir_static_serve(files, &call, &resp);
	body_bytes = 0;
	for (i = 0; i < resp.parts_count; i++) {
		const struct weir_part *p = &resp.parts[i];

		cr_assert_lt(body_bytes + p->bytes, sizeof(body));
		if (p->mem)
			memcpy(body + body_bytes, p->mem, p->bytes);
		else
			cr_assert_eq(pread(p->fd, body + body_bytes, p->bytes, (off_t)p->off), (ssize_t)p->bytes);
		body_bytes += p->bytes;
	}
	body[body_bytes] = '\0';
	return resp.status;
}

/* GET of a target with more fields, each ended by CR LF. */
static inline unsigned ask(const char *target, const char *fields)
{
	static char text[WEIR_HTTP_HEAD_MAX];

	snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n", target, fields);
	return ask_text(text);
}

/* Value of a field of the response, or "". */
static inline const char *field(const char *name)
{
	static char values[4][4096];
	static unsigned next;
	char *value = values[next++ % 4];
	struct weir_str rest = { resp.head, resp.head_bytes }, line;
	size_t n = strlen(name);

	while (weir_str_next(&rest, '\n', &line)) {
		if (line.n <= n + 2 || memcmp(line.p, name, n) != 0 || line.p[n] != ':')
			continue;
		snprintf(value, sizeof(values[0]), "%.*s", (int)(line.n - n - 3), line.p + n + 2);
		return value;
	}
	return "";
}

#endif
