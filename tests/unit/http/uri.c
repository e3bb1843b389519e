/* SPDX-License-Identifier: GPL-2.0 */
#include <criterion/criterion.h>

#include <errno.h>

#include "common/macro.h"
#include "http/http.h"

static const struct {
	const char *in, *out; /* NULL: refused */
} paths[] = {
	{ "/", "/" },
	{ "/a/b", "/a/b" },
	{ "/a/b/", "/a/b/" },
	{ "/a//b", "/a//b" },
	{ "/%41%62", "/Ab" },
	{ "/a%20b%25", "/a b%" },
	{ "/%2541", "/%41" }, /* once */
	{ "/.", "/" },
	{ "/./a", "/a" },
	{ "/a/.", "/a/" },
	{ "/a/..", "/" },
	{ "/a/../b", "/b" },
	{ "/../../b", "/b" },
	{ "/a/b/../../../c", "/c" },
	{ "/a/%2e%2E/b", "/b" },
	{ "/...", "/..." },
	{ "/.a/..b", "/.a/..b" },
	{ "/a/b/c/./../../g", "/a/g" },
	{ "/%c3%a4", "/\xc3\xa4" },
	{ "", NULL },
	{ "a", NULL },
	{ "/%", NULL },
	{ "/%4", NULL },
	{ "/%4g", NULL },
	{ "/%00", NULL },
	{ "/a%2fb", NULL },
	{ "/..%2f..%2fetc", NULL },
};

Test(uri, paths_are_decoded_once_and_lose_their_dots)
{
	char out[64];
	size_t i, n;

	for (i = 0; i < ARRAY_SIZE(paths); i++) {
		int r = weir_path_decode((struct weir_str){ paths[i].in, strlen(paths[i].in) }, out, &n);

		if (!paths[i].out) {
			cr_expect_eq(r, -EINVAL, "%s", paths[i].in);
			continue;
		}
		cr_expect_eq(r, 0, "%s", paths[i].in);
		cr_expect(n == strlen(paths[i].out) && memcmp(out, paths[i].out, n) == 0, "%s gives %.*s",
			  paths[i].in, (int)n, out);
	}
}

static const struct {
	const char *in, *out;
} hosts[] = {
	{ "", "" },
	{ "A.b", "a.b" },
	{ "a:", "a" },
	{ "a:80", "a" },
	{ "127.0.0.1:8080", "127.0.0.1" },
	{ "[::1]", "[::1]" },
	{ "[2001:DB8::1]:443", "[2001:db8::1]" },
	{ "a_b-c.d~", "a_b-c.d~" },
	{ "a%20b", "a%20b" },
	{ ":80", NULL },
	{ "a:b", NULL },
	{ "a:65536", NULL },
	{ "a:000080", NULL },
	{ "a:80:80", NULL },
	{ "a b", NULL },
	{ "a/b", NULL },
	{ "a@b", NULL },
	{ "a%2", NULL },
	{ "[::1", NULL },
	{ "[]", NULL },
	{ "[::1]x", NULL },
	{ "[::g]", NULL },
	{ "a\xc3\xa4", NULL },
};

Test(uri, hosts_lose_case_and_port)
{
	char out[WEIR_HTTP_HOST_MAX];
	size_t i, n;

	for (i = 0; i < ARRAY_SIZE(hosts); i++) {
		int r = weir_host_normalize((struct weir_str){ hosts[i].in, strlen(hosts[i].in) }, out, &n);

		if (!hosts[i].out) {
			cr_expect_eq(r, -EINVAL, "%s", hosts[i].in);
			continue;
		}
		cr_expect(r == 0 && n == strlen(hosts[i].out) && memcmp(out, hosts[i].out, n) == 0, "%s",
			  hosts[i].in);
	}
}

Test(uri, location_is_never_a_host_nor_a_new_line)
{
	char text[64];
	struct weir_buf b = { .p = text, .cap = sizeof(text) };

	weir_path_encode(&b, WEIR_STR("//evil.test/a b\r\n\xc3?#%"));
	cr_expect(b.n == strlen("/evil.test/a%20b%0D%0A%C3%3F%23%25") &&
		  memcmp(text, "/evil.test/a%20b%0D%0A%C3%3F%23%25", b.n) == 0, "%.*s", (int)b.n, text);
}
