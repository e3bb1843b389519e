/* SPDX-License-Identifier: GPL-2.0 */
#include <criterion/criterion.h>

#include <errno.h>

#include "common/macro.h"
#include "http/fcgi.h"

/* An HTTP head, or NULL for one that is refused. */
static const struct {
	const char *in, *out;
} heads[] = {
	{ "Content-Type: text/html\r\n\r\nbody", "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" },
	{ "Content-type:text/html\n\nbody", "HTTP/1.1 200 OK\r\nContent-type: text/html\r\n\r\n" },
	{ "Status: 404 Nothing here\nX: 1\n\n", "HTTP/1.1 404 Nothing here\r\nX: 1\r\n\r\n" },
	{ "X: 1\r\nSTATUS:404\r\n\r\n", "HTTP/1.1 404 Not Found\r\nX: 1\r\n\r\n" },
	{ "Status: 404 \n\n", "HTTP/1.1 404 Not Found\r\n\r\n" },
	{ "Location: /there\n\n", "HTTP/1.1 302 Found\r\nLocation: /there\r\n\r\n" },
	{ "Location: http://x/\nStatus: 301 Moved\n\n", "HTTP/1.1 301 Moved\r\nLocation: http://x/\r\n\r\n" },
	{ "Set-Cookie: a=1\nSet-Cookie: b=2\n\n", "HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n" },
	{ "Transfer-Encoding: chunked\nConnection: close\nKeep-Alive: 1\nUpgrade: h2c\nTrailer: x\nX:\t "
	  "\n\n",
	  "HTTP/1.1 200 OK\r\nX: \r\n\r\n" },
	{ "\n", NULL },
	{ "\r\n\r\n", NULL },
	{ "Status: 99\n\n", NULL },
	{ "Status: 100 Continue\n\n", NULL },
	{ "Status: 600\n\n", NULL },
	{ "Status: 2000\n\n", NULL },
	{ "Status: 20\n\n", NULL },
	{ "Status: -20\n\n", NULL },
	{ "Status: OK\n\n", NULL },
	{ "Status:\n\n", NULL },
	{ "Status: 200\nStatus: 404\n\n", NULL },
	{ "HTTP/1.1 200 OK\r\nX: 1\r\n\r\n", NULL },
	{ "<html>\n\n", NULL },
	{ ": x\n\n", NULL },
	{ "X : 1\n\n", NULL },
	{ "X: 1\n folded\n\n", NULL },
	{ "X: a\rY: b\n\n", NULL },
	{ "X: \x01\n\n", NULL },
	{ "X: \x7f\n\n", NULL },
	{ "PHP Warning: x in y\nX(y): 1\n\n", NULL },
};

static int convert(const char *in, size_t count, size_t *scanned, char *text, size_t cap, struct weir_cgi_head *h)
{
	struct weir_buf out = { .p = text, .cap = cap - 1 };
	int r = weir_cgi_head(in, count, scanned, &out, h);

	text[out.n] = '\0';
	return r;
}

Test(cgi, heads)
{
	struct weir_cgi_head h;
	char text[512];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(heads); i++) {
		size_t scanned = 0;
		int r = convert(heads[i].in, strlen(heads[i].in), &scanned, text, sizeof(text), &h);

		cr_assert_eq(r, heads[i].out ? 0 : -EBADMSG, "'%s': %d", heads[i].in, r);
		if (heads[i].out)
			cr_assert_str_eq(text, heads[i].out);
		else
			cr_assert_not_null(h.why);
	}
}

Test(cgi, head_is_the_same_however_it_comes)
{
	static const char in[] = "Status: 201 Made\r\nX: 1\n\r\nbody";
	size_t scanned = 0, n, end = sizeof(in) - 1 - 4;
	struct weir_cgi_head h;
	char text[512];

	for (n = 0; n < end; n++)
		cr_assert_eq(convert(in, n, &scanned, text, sizeof(text), &h), -EAGAIN, "%zu bytes", n);
	cr_assert_eq(convert(in, n, &scanned, text, sizeof(text), &h), 0);
	cr_assert_eq(h.head_bytes, end);
	cr_assert_eq(h.status, 201);
	cr_assert_eq(scanned, 0);
	cr_assert_str_eq(text, "HTTP/1.1 201 Made\r\nX: 1\r\n\r\n");
}

Test(cgi, null_byte_and_large_heads_are_refused)
{
	struct weir_cgi_head h;
	size_t scanned = 0, i, n = 0;
	char text[64], many[4096];

	cr_assert_eq(convert("X: a\0b\n\n", 8, &scanned, text, sizeof(text), &h), -EBADMSG);
	cr_assert_eq(convert("X: a value that does not fit into the room that there is for it\n\n", 65, &scanned, text,
			     sizeof(text), &h),
		     -E2BIG);
	for (i = 0; i < 200; i++)
		n += (size_t)snprintf(many + n, sizeof(many) - n, "X%zu: 1\n", i);
	n += (size_t)snprintf(many + n, sizeof(many) - n, "\n");
	cr_assert_eq(convert(many, n, &scanned, text, sizeof(text), &h), -EBADMSG);
}

static size_t split(const char *path, size_t from)
{
	return weir_cgi_split((struct weir_str){ path, strlen(path) }, WEIR_STR(".php"), from);
}

Test(cgi, path_is_divided_at_each_script)
{
	cr_assert_eq(split("/a.php", 0), 6);
	cr_assert_eq(split("/a.php/b.php", 0), 6);
	cr_assert_eq(split("/a.php/b.php", 6), 12);
	cr_assert_eq(split("/a.php/b.php", 12), 0);
	cr_assert_eq(split("/x.jpg/evil.php", 0), 15, "only the whole is a script: that file must exist");
	cr_assert_eq(split("/dir/a.php/", 0), 10);
	cr_assert_eq(split("/a.phps", 0), 0);
	cr_assert_eq(split("/a.PHP", 0), 0);
	cr_assert_eq(split("/.php", 0), 0);
	cr_assert_eq(split("a.php", 0), 5);
	cr_assert_eq(split("php", 0), 0);
	cr_assert_eq(split("/", 0), 0);
	cr_assert_eq(split("", 0), 0);
	cr_assert_eq(weir_cgi_split(WEIR_STR("/a"), WEIR_STR(""), 0), 0);
}

Test(cgi, script_is_known_in_whatever_case)
{
	cr_assert(weir_cgi_is_script(WEIR_STR("a.php"), WEIR_STR(".php")));
	cr_assert(weir_cgi_is_script(WEIR_STR("dir/A.PhP"), WEIR_STR(".php")));
	cr_assert(weir_cgi_is_script(WEIR_STR(".php"), WEIR_STR(".php")));
	cr_assert(!weir_cgi_is_script(WEIR_STR("a.php/"), WEIR_STR(".php")));
	cr_assert(!weir_cgi_is_script(WEIR_STR("a.css"), WEIR_STR(".php")));
	cr_assert(!weir_cgi_is_script(WEIR_STR("a"), WEIR_STR("")));
}
