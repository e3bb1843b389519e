/* SPDX-License-Identifier: GPL-2.0 */
/* The static handler by itself: a temporary root, requests as text, responses as structs. */
#include <criterion/criterion.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utime.h>

#include "common/macro.h"
#include "handlers/static.h"

#define MODIFIED 784111777 /* Sun, 06 Nov 1994 08:49:37 GMT */
#define LARGE (WEIR_BYTES_L + 5000)

static char root[64];
static struct weir_cache cache = { .fds = { -1, -1, -1 } };
static struct weir_static *files;
static struct weir_request req;
static struct weir_response resp;
static char body[1 << 16];
static size_t body_bytes;

static void put(const char *name, const void *data, size_t bytes)
{
	struct utimbuf times = { MODIFIED, MODIFIED };
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, data, bytes), (ssize_t)bytes);
	close(fd);
	cr_assert_eq(utime(path, &times), 0);
}

static void in_root(const char *commands)
{
	char text[512];

	snprintf(text, sizeof(text), "cd %s && { %s; }", root, commands);
	cr_assert_eq(system(text), 0, "%s", commands);
}

static void init(void)
{
	struct weir_static_conf conf = { .root = root, .index = "index.html other.htm" };
	static char large[LARGE];
	size_t i;

	strcpy(root, "/tmp/weir-static-XXXXXX");
	cr_assert(mkdtemp(root));
	for (i = 0; i < sizeof(large); i++)
		large[i] = (char)('a' + i % 23);
	put("ten.txt", "0123456789", 10);
	put("empty", "", 0);
	put("large.bin", large, sizeof(large));
	in_root("mkdir -p with/deep without other secret; echo -n index > with/index.html; echo -n o > other/other.htm;"
		"ln -s ten.txt link; ln -s /etc/passwd out; ln -s .. up; ln -s / top; mkfifo pipe; ln -s with dirlink;"
		"echo -n x > 'with/sp ace.html'; echo -n y > with/deep/y.SVG; touch secret/file");
	cr_assert_eq(weir_static_new(&conf, &cache, &files), 0);
	memset(&resp, 0, sizeof(resp));
}

static void fini(void)
{
	weir_response_reset(&resp);
	files = weir_static_free(files);
	in_root("cd / && rm -rf \"$OLDPWD\"");
}

TestSuite(static, .init = init, .fini = fini, .timeout = 20);

static unsigned ask_below(const char *prefix, const char *text)
{
	struct weir_call call = { .req = &req, .prefix = { prefix, strlen(prefix) } };
	size_t scanned = 0;
	unsigned i;

	cr_assert_eq(weir_request_parse(text, strlen(text), &scanned, &req), 0, "%s", text);
	weir_response_reset(&resp);
	weir_static_serve(files, &call, &resp);
	body_bytes = 0;
	for (i = 0; i < resp.parts_count; i++) {
		const struct weir_part *p = &resp.parts[i];

		cr_assert_leq(body_bytes + p->bytes, sizeof(body));
		if (p->mem)
			memcpy(body + body_bytes, p->mem, p->bytes);
		else
			cr_assert_eq(pread(p->fd, body + body_bytes, p->bytes, (off_t)p->off), (ssize_t)p->bytes);
		body_bytes += p->bytes;
	}
	return resp.status;
}

static unsigned ask(const char *text)
{
	return ask_below("/", text);
}

/* Value of a field of the response, or "". */
static const char *field(const char *name)
{
	static char value[512];
	struct weir_str rest = { resp.head, resp.head_bytes }, line;

	while (weir_str_next(&rest, '\n', &line)) {
		size_t n = strlen(name);

		if (line.n > n + 2 && memcmp(line.p, name, n) == 0 && line.p[n] == ':') {
			snprintf(value, sizeof(value), "%.*s", (int)(line.n - n - 3), line.p + n + 2);
			return value;
		}
	}
	return "";
}

#define GET(path, fields) "GET " path " HTTP/1.1\r\nHost: a\r\n" fields "\r\n"

static const struct {
	const char *path;
	unsigned status;
} paths[] = {
	{ "/ten.txt", 200 },
	{ "/empty", 200 },
	{ "/large.bin", 200 },
	{ "//ten.txt", 200 },
	{ "/with//index.html", 200 },
	{ "/with/", 200 },
	{ "/other/", 200 },
	{ "/with/../ten.txt", 200 },
	{ "/../ten.txt", 200 },
	{ "/with/sp%20ace.html", 200 },
	{ "/link", 200 },
	{ "/up/x", 403 },
	{ "/with", 301 },
	{ "/dirlink", 301 },
	{ "/dirlink/index.html", 200 },
	{ "/", 403 },
	{ "/without/", 403 },
	{ "/with/deep/", 403 },
	{ "/out", 403 },
	{ "/up", 403 },
	{ "/top/etc/passwd", 403 },
	{ "/pipe", 403 },
	{ "/nothing", 404 },
	{ "/nothing/", 404 },
	{ "/ten.txt/", 404 },
	{ "/ten.txt/x", 404 },
};

Test(static, paths_and_what_they_give)
{
	char text[256];
	size_t i, again;

	for (again = 0; again < 2; again++) {
		for (i = 0; i < ARRAY_SIZE(paths); i++) {
			snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", paths[i].path);
			cr_expect_eq(ask(text), paths[i].status, "%s gives %u", paths[i].path, resp.status);
		}
	}
}

Test(static, whole_file_comes_with_its_fields)
{
	cr_assert_eq(ask(GET("/ten.txt", "")), 200);
	cr_expect_eq(memcmp(body, "0123456789", 10), 0);
	cr_expect_str_eq(field("Content-Type"), "text/plain; charset=utf-8");
	cr_expect_str_eq(field("Content-Length"), "10");
	cr_expect_str_eq(field("Last-Modified"), "Sun, 06 Nov 1994 08:49:37 GMT");
	cr_expect_str_eq(field("Accept-Ranges"), "bytes");
	cr_expect_str_eq(field("Server"), "weir");
	cr_expect_eq(field("ETag")[0], '"');
	cr_expect_eq(memcmp(resp.head + resp.conn_off, "keep-alive\r\n\r\n", 14), 0);
	cr_expect_eq(resp.conn_off + 14, resp.head_bytes, "Connection is the last field");
	cr_expect_eq(memcmp(resp.head + resp.date_off - 6, "Date: ", 6), 0);
	cr_assert_eq(ask(GET("/with/deep/y.SVG", "")), 200);
	cr_expect_str_eq(field("Content-Type"), "image/svg+xml");
	cr_assert_eq(ask(GET("/empty", "")), 200);
	cr_expect_str_eq(field("Content-Type"), "application/octet-stream");
	cr_expect_eq(body_bytes, 0);
}

Test(static, methods)
{
	cr_expect_eq(ask("HEAD /ten.txt HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
	cr_expect(body_bytes == 0 && strcmp(field("Content-Length"), "10") == 0);
	cr_expect_eq(ask("HEAD /nothing HTTP/1.1\r\nHost: a\r\n\r\n"), 404);
	cr_expect_eq(body_bytes, 0);
	cr_expect_eq(ask("POST /ten.txt HTTP/1.1\r\nHost: a\r\n\r\n"), 405);
	cr_expect_str_eq(field("Allow"), "GET, HEAD, OPTIONS");
	cr_expect_eq(ask("OPTIONS /ten.txt HTTP/1.1\r\nHost: a\r\n\r\n"), 204);
	cr_expect_str_eq(field("Content-Length"), "");
}

Test(static, redirect_keeps_the_query_and_the_prefix)
{
	cr_expect_eq(ask(GET("/with?a=b", "")), 301);
	cr_expect_str_eq(field("Location"), "/with/?a=b");
	cr_expect_eq(ask_below("/app/", GET("/app/with", "")), 301);
	cr_expect_str_eq(field("Location"), "/app/with/");
	cr_expect_eq(ask_below("/app/", GET("/app", "")), 301);
	cr_expect_str_eq(field("Location"), "/app/");
	cr_expect_eq(ask_below("/app/", GET("/app/ten.txt", "")), 200);
	cr_expect_eq(ask(GET("//with", "")), 301);
	cr_expect_str_eq(field("Location"), "/with/");
}

Test(static, conditions)
{
	char tag[64], text[256];

	cr_assert_eq(ask(GET("/ten.txt", "")), 200);
	strcpy(tag, field("ETag"));
	snprintf(text, sizeof(text), "GET /ten.txt HTTP/1.1\r\nHost: a\r\nIf-None-Match: W/%s\r\n\r\n", tag);
	cr_expect_eq(ask(text), 304);
	cr_expect(body_bytes == 0 && strcmp(field("ETag"), tag) == 0 && !*field("Content-Length"));
	snprintf(text, sizeof(text), "GET /ten.txt HTTP/1.1\r\nHost: a\r\nIf-Range: %s\r\nRange: bytes=0-1\r\n\r\n", tag);
	cr_expect_eq(ask(text), 206);
	cr_expect_eq(ask(GET("/ten.txt", "If-Range: \"x\"\r\nRange: bytes=0-1\r\n")), 200);
	cr_expect_eq(ask(GET("/ten.txt", "If-Match: \"x\"\r\n")), 412);
	cr_expect_eq(ask(GET("/ten.txt", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n")), 304);
	cr_expect_eq(ask(GET("/ten.txt", "If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n")), 200);
	cr_expect_eq(ask(GET("/ten.txt", "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n")), 412);
}

Test(static, one_range)
{
	cr_assert_eq(ask(GET("/ten.txt", "Range: bytes=2-4\r\n")), 206);
	cr_expect(body_bytes == 3 && memcmp(body, "234", 3) == 0);
	cr_expect_str_eq(field("Content-Range"), "bytes 2-4/10");
	cr_expect_str_eq(field("Content-Length"), "3");
	cr_assert_eq(ask(GET("/large.bin", "Range: bytes=-7\r\n")), 206);
	cr_expect_eq(body_bytes, 7);
	cr_expect_eq(body[0], 'a' + (LARGE - 7) % 23);
	cr_assert_eq(ask(GET("/ten.txt", "Range: bytes=10-\r\n")), 416);
	cr_expect_str_eq(field("Content-Range"), "bytes */10");
	cr_expect_eq(ask("HEAD /ten.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\n\r\n"), 200);
}

static void check_multiple(const char *text, const char *first, const char *second)
{
	char boundary[64], want[1024];
	const char *type;

	cr_assert_eq(ask(text), 206);
	type = field("Content-Type");
	cr_assert_eq(strncmp(type, "multipart/byteranges; boundary=", 31), 0);
	snprintf(boundary, sizeof(boundary), "%s", type + 31);
	cr_expect_eq((size_t)atoi(field("Content-Length")), body_bytes);
	snprintf(want, sizeof(want), "--%s\r\n%s\r\n--%s\r\n%s\r\n--%s--\r\n", boundary, first, boundary, second, boundary);
	cr_expect(body_bytes == strlen(want) && memcmp(body, want, body_bytes) == 0, "%.*s", (int)body_bytes, body);
}

Test(static, several_ranges)
{
	check_multiple(GET("/ten.txt", "Range: bytes=0-1,-2\r\n"),
		       "Content-Type: text/plain; charset=utf-8\r\nContent-Range: bytes 0-1/10\r\n\r\n01",
		       "Content-Type: text/plain; charset=utf-8\r\nContent-Range: bytes 8-9/10\r\n\r\n89");
	check_multiple(GET("/large.bin", "Range: bytes=0-2,23-24\r\n"),
		       "Content-Type: application/octet-stream\r\nContent-Range: bytes 0-2/21384\r\n\r\nabc",
		       "Content-Type: application/octet-stream\r\nContent-Range: bytes 23-24/21384\r\n\r\nab");
}

Test(static, remembered_file_follows_every_change)
{
	static const struct {
		const char *change;
		unsigned status;
		const char *body;
	} steps[] = {
		{ "echo -n two > with/index.html", 200, "two" },
		{ "echo -n three > new; mv new with/index.html", 200, "three" },
		{ "mv with gone", 404, NULL },
		{ "mv gone with", 200, "three" },
		{ "rm with/index.html", 404, NULL },
		{ "ln -s ../ten.txt with/index.html", 200, "0123456789" },
		{ "rm with/index.html; echo -n four > with/index.html", 200, "four" },
		{ "mv with aside; mkdir with; echo -n five > with/index.html", 200, "five" },
		{ "rm -r with; ln -s aside with", 200, "four" },
		{ "ln -sfn other with", 404, NULL },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		(void)ask(GET("/with/index.html", ""));
		in_root(steps[i].change);
		weir_static_watch(files);
		cr_expect_eq(ask(GET("/with/index.html", "")), steps[i].status, "%s", steps[i].change);
		if (steps[i].body)
			cr_expect(body_bytes == strlen(steps[i].body) && memcmp(body, steps[i].body, body_bytes) == 0,
				  "%s", steps[i].change);
	}
}

Test(static, better_index_is_noticed)
{
	cr_assert_eq(ask(GET("/other/", "")), 200);
	cr_expect(body_bytes == 1 && body[0] == 'o');
	in_root("echo -n better > other/index.html");
	weir_static_watch(files);
	cr_assert_eq(ask(GET("/other/", "")), 200);
	cr_expect(body_bytes == 6);
}

Test(static, response_outlives_the_file)
{
	cr_assert_eq(ask(GET("/ten.txt", "")), 200);
	in_root("rm ten.txt");
	weir_static_watch(files);
	cr_expect_eq(memcmp(resp.parts[0].mem, "0123456789", 10), 0);
}
