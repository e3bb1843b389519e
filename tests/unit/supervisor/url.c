// SPDX-License-Identifier: GPL-2.0
/* URLs as administrators type them, and the endpoints they mean. */
#include "supervisor/supervisor_priv.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static const struct {
	const char *text;
	unsigned port;
	const char *host;
	const char *target;
	const char *path; /* NULL: cannot be decoded */
} good[] = {
	{ "http://h.example/", 80, "h.example", "/", "/" },
	{ "http://H.Example:8080/A/b?q=1", 8080, "h.example", "/A/b?q=1", "/A/b" },
	{ "http://h:8080", 8080, "h", "/", "/" },
	{ "HTTP://h/x", 80, "h", "/x", "/x" },
	{ "http://[::1]:8080/x", 8080, "[::1]", "/x", "/x" },
	{ "http://[::1]/x", 80, "[::1]", "/x", "/x" },
	{ "h.example/x", 0, "h.example", "/x", "/x" },
	{ "h.example:81/x", 81, "h.example", "/x", "/x" },
	{ "/x/../y", 0, "", "/x/../y", "/y" },
	{ "/a%20b", 0, "", "/a%20b", "/a b" },
	{ "/a%zz", 0, "", "/a%zz", NULL },
};

Test(url, each_good_one_is_taken_apart)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(good); i++) {
		struct sup_url u = {};
		const char *why;

		cr_assert_eq(sup_url_parse(good[i].text, &u, &why), 0, "%s", good[i].text);
		cr_expect_eq(u.port, good[i].port, "%s", good[i].text);
		cr_expect_str_eq(u.host, good[i].host);
		cr_expect_eq(u.host_bytes, strlen(good[i].host));
		cr_expect_str_eq(u.target, good[i].target);
		if (good[i].path)
			cr_expect(u.path && u.path_bytes == strlen(good[i].path) &&
					  !memcmp(u.path, good[i].path, u.path_bytes),
				  "%s", good[i].text);
		else
			cr_expect_null(u.path);
		sup_url_fini(&u);
	}
}

Test(url, each_bad_one_is_refused)
{
	static const char *const bad[] = { "http://", "http:///x", "http://h:0/", "http://h:70000/", "http://h:x/",
					   "http://h:/", "http://h?q", "http://h/x#f", "http://h/a b", "/a\nb" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct sup_url u = {};
		const char *why = NULL;

		cr_expect_eq(sup_url_parse(bad[i], &u, &why), -EINVAL, "%s", bad[i]);
		cr_expect_not_null(why);
		sup_url_fini(&u);
	}
}

static bool is_for(const char *url, const char *listen, char *local, size_t bytes)
{
	struct weir_conf_listen l[2];
	struct weir_addr addr;
	struct sup_url u = {};
	const char *why;
	bool r;

	cr_assert_eq(sup_url_parse(url, &u, &why), 0);
	cr_assert_eq(weir_conf_listen_parse(listen, l, &why), 1);
	r = sup_url_is_for(&u, &l[0], &addr);
	sup_addr_format(&addr, 1, local, bytes);
	sup_url_fini(&u);
	return r;
}

Test(url, endpoint_is_found_by_port_and_address)
{
	char local[64];

	cr_expect(is_for("http://name:8080/", "127.0.0.1:8080", local, sizeof(local)));
	cr_expect_str_eq(local, "127.0.0.1:1");
	cr_expect_not(is_for("http://name:80/", "127.0.0.1:8080", local, sizeof(local)));
	cr_expect(is_for("/x", "127.0.0.1:8080", local, sizeof(local)));
	cr_expect(is_for("http://127.0.0.1:8080/", "127.0.0.1:8080", local, sizeof(local)));
	cr_expect_not(is_for("http://127.0.0.2:8080/", "127.0.0.1:8080", local, sizeof(local)));
	cr_expect(is_for("http://127.0.0.2:8080/", "0.0.0.0:8080", local, sizeof(local)));
	cr_expect_str_eq(local, "127.0.0.2:1", "the address that a request would come in on");
	cr_expect_not(is_for("http://127.0.0.2:8080/", "[::]:8080", local, sizeof(local)));
	cr_expect(is_for("http://[::1]:8080/", "[::1]:8080", local, sizeof(local)));
	cr_expect_str_eq(local, "[::1]:1");
}
