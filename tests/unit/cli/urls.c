// SPDX-License-Identifier: GPL-2.0
/* URLs, lists and sitemaps: userspace/cli/http.c, urls.c. */
#include "cli/preload.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/http.h"
#include "common/macro.h"

Test(urls, a_url_is_taken_apart)
{
	static const struct {
		const char *text, *host, *authority, *target;
		unsigned port;
	} rows[] = {
		{ "http://a", "a", "a", "/", 0 },
		{ "http://a.example:8080/x?y=1#z", "a.example", "a.example:8080", "/x?y=1", 8080 },
		{ "HTTPS://a/", "a", "a", "/", 0 },
		{ "http://[::1]:80/b", "::1", "[::1]:80", "/b", 80 },
		{ "http://[::1]", "::1", "[::1]", "/", 0 },
		{ "http://a?q", "a", "a", "/?q", 0 },
		{ "http://a#f", "a", "a", "/", 0 },
	};
	static const char *const bad[] = { "",
					   "a",
					   "/a",
					   "ftp://a/",
					   "http://",
					   "http:///a",
					   "http://a b/",
					   "http://a:0/",
					   "http://a:x/",
					   "http://a:65536/",
					   "http://u@a/",
					   "http://a/\n",
					   "http://:80/",
					   "http://a:/",
					   "http://a/\x7f" };
	static struct cmd_url u;
	char *at_the_end;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		/* nothing behind the last byte may be read */
		at_the_end = malloc(strlen(rows[i].text));
		memcpy(at_the_end, rows[i].text, strlen(rows[i].text));
		cr_expect(cmd_url_parse(at_the_end, strlen(rows[i].text), &u), "%s", rows[i].text);
		cr_expect_str_eq(u.host, rows[i].host);
		cr_expect_str_eq(u.authority, rows[i].authority);
		cr_expect_str_eq(u.target, rows[i].target);
		cr_expect_eq(u.port, rows[i].port);
		free(at_the_end);
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		cr_expect(!cmd_url_parse(bad[i], strlen(bad[i]), &u), "%s", bad[i]);
	at_the_end = malloc(2 * CMD_URL_MAX);
	memset(at_the_end, 'a', 2 * CMD_URL_MAX);
	memcpy(at_the_end, "http://a/", 9);
	cr_expect(!cmd_url_parse(at_the_end, 2 * CMD_URL_MAX, &u));
	free(at_the_end);
}

static void expect(const char *text, int is_sitemap, size_t count, size_t bad, const char *first)
{
	_cleanup_(cmd_urls_fini) struct cmd_urls u = {};
	int is_index;

	cr_expect_eq(!!cmd_is_sitemap(text, strlen(text), &is_index), is_sitemap, "%s", text);
	cr_expect_eq(is_sitemap ? cmd_urls_read_sitemap(&u, text, strlen(text))
				: cmd_urls_read_list(&u, text, strlen(text)),
		     0);
	cr_expect_eq(u.count, count, "%s: %zu", text, u.count);
	cr_expect_eq(u.bad, bad, "%s: %zu", text, u.bad);
	if (first && u.count)
		cr_expect_str_eq(u.items[0], first);
}

Test(urls, a_list_has_one_a_line)
{
	expect("http://a/1\r\n\n  http://a/2  \n#http://a/3\nnone\nhttp://a/4", 0, 3, 1, "http://a/1");
	expect("", 0, 0, 0, NULL);
}

Test(urls, a_sitemap_has_them_in_loc)
{
	expect("<urlset><url><loc>http://a/?b&amp;c&#38;d&#x26;e</loc></url></urlset>", 1, 1, 0, "http://a/?b&c&d&e");
	expect("\xef\xbb\xbf<?xml?><loc>\n http://a/1 \n</loc><loc>http://a/2</loc>", 1, 2, 0, "http://a/1");
	expect("<loc><![CDATA[http://a/?b&c]]></loc>", 1, 1, 0, "http://a/?b&c");
	expect("<loc>http://a/&nbsp;</loc><loc>http://a/&#0;</loc><loc>http://a/&#;</loc><loc>http://a/&</loc>", 1, 0,
	       4, NULL);
	expect("<loc>http://a/&#x;</loc><loc>http://a/&#</loc><loc>http://a/&#99999999;</loc>", 1, 0, 3, NULL);
	expect("<loc>http://a/1</loc><loc>http://a/2", 1, 1, 1, "http://a/1");
	expect("<loc></loc>", 1, 0, 1, NULL);
}

Test(urls, an_index_is_told_apart)
{
	const char *index = "<sitemapindex><sitemap><loc>http://a/s.xml</loc></sitemap></sitemapindex>";
	int is_index = 0;

	cr_assert(cmd_is_sitemap(index, strlen(index), &is_index));
	cr_assert(is_index);
	cr_assert(cmd_is_sitemap("<urlset>", 8, &is_index));
	cr_assert(!is_index);
}
