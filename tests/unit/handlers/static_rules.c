/* SPDX-License-Identifier: GPL-2.0 */
/* Redirects, rewrites, try_files, error pages, added fields: by tables, with what hostile paths make of them. */
#include "static_site.h"

#include <linux/bpf.h>
#include <sys/syscall.h>

#include "weir/key.h"

#include "common/bpf_map.h"

static void init(void)
{
	site_init("mkdir -p docs app empty css; echo -n root > index.html; echo -n guide > guide.html; "
		  "echo -n docs > docs/index.html; echo -n app > app/index.html; echo -n css > css/a.css; "
		  "echo -n one > 1.txt; echo -n missing > 404.html; echo -n trouble > trouble.html; "
		  "echo -n secret > '.secret'; ln -s /etc/passwd out; echo -n plus > 'a+b c.txt'");
}

TestSuite(static_rules, .init = init, .fini = site_fini, .timeout = 30);

static const struct {
	const char *target;
	unsigned status;
	const char *location;
} redirects[] = {
	{ "/old", 301, "/new" },
	{ "/old?a=b&c", 301, "/new?a=b&c" },
	{ "/old/", 404, "" },
	{ "/blog", 308, "/news" },
	{ "/blog/", 308, "/news/" },
	{ "/blog/2020/x%20y?z", 308, "/news/2020/x%20y?z" },
	{ "/blogger", 404, "" },
	{ "/away/x", 302, "https://other.example/x" },
	{ "/away/%0d%0aSet-Cookie:%20a=b", 302, "https://other.example/%0D%0ASet-Cookie:%20a=b" },
	{ "/away//evil.example", 302, "https://other.example//evil.example" },
	{ "/strip//evil.example", 302, "/evil.example" },
	{ "/strip/%5cevil.example", 302, "/%5Cevil.example" },
	{ "/issue/42", 307, "/issues?id=42" },
	{ "/issue/42?x=y", 307, "/issues?id=42&x=y" },
	{ "/issue/4x", 404, "" },
	{ "/find/a&b=c%23d%2525", 303, "/search?q=a%26b%3Dc%23d%2525" },
	{ "/drop?a=b", 301, "/dropped" },
	{ "/case/ABC/def", 301, "/def-$-ABC/ABC/def" },
	{ "/1.txt", 200, "" },
	{ "/docs", 301, "/docs/" },
	{ "/hash?x", 301, "/page#part" },
};

Test(static_rules, redirects)
{
	size_t i;

	WORDS(options.redirects, "301 exact /old /new", "308 prefix /blog /news",
	      "302 prefix /away/ https://other.example/", "302 prefix /strip/ /",
	      "307 regex ^/issue/(\\d+)$ /issues?id=$1", "303 regex ^/find/(.*)$ /search?q=$1",
	      "301 exact /drop /dropped?", "301 regex ^/case(/(?<x>[A-Z]+)/([a-z]+))$ /$3-$$-$2$1",
	      "301 exact /hash /page#part");
	site_start();
	for (i = 0; i < ARRAY_SIZE(redirects); i++) {
		cr_expect_eq(ask(redirects[i].target, ""), redirects[i].status, "%s: %u", redirects[i].target,
			     resp.status);
		cr_expect_str_eq(field("Location"), redirects[i].location, "%s", redirects[i].target);
	}
}

static const struct {
	const char *target;
	unsigned status;
	const char *body; /* NULL: any */
} rewrites[] = {
	{ "/start", 200, "root" }, { "/manual/", 200, "docs" },	 { "/manual", 404, NULL },   { "/style/a", 200, "css" },
	{ "/n/1", 200, "one" },	   { "/n/%2e%2e", 200, "root" }, { "/n/1/../2", 404, NULL }, { "/dots/a", 404, NULL },
	{ "/out2", 403, NULL },	   { "/1.txt", 200, "one" },
};

Test(static_rules, redirect_of_a_post)
{
	WORDS(options.redirects, "308 exact /old /new");
	site_start();
	cr_expect_eq(ask_text("POST /old HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"), 308);
	cr_expect_str_eq(field("Location"), "/new");
	cr_expect_eq(ask_text("POST /new HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"), 405);
	cr_expect_eq(ask_text("OPTIONS /old HTTP/1.1\r\nHost: a\r\n\r\n"), 204);
}

Test(static_rules, rewrites)
{
	size_t i;

	WORDS(options.rewrites, "exact /start /index.html", "prefix /manual/ /docs/", "regex ^/style/(.*)$ /css/$1.css",
	      "regex ^/n/(.*)$ /$1.txt", "regex ^/dots/(.*)$ /docs/$1./../../x", "exact /out2 /out");
	site_start();
	for (i = 0; i < ARRAY_SIZE(rewrites); i++) {
		cr_expect_eq(ask(rewrites[i].target, ""), rewrites[i].status, "%s: %u", rewrites[i].target,
			     resp.status);
		if (rewrites[i].body)
			cr_expect_str_eq(body, rewrites[i].body, "%s", rewrites[i].target);
	}
}

Test(static_rules, pattern_that_never_ends_is_given_up)
{
	char target[1200] = "/";

	WORDS(options.redirects, "301 regex ^/(a+)+$ /x");
	memset(target + 1, 'a', 1000);
	strcpy(target + 1001, "!");
	site_start();
	cr_expect_eq(ask(target, ""), 500);
	cr_expect_eq(ask("/aaa", ""), 301, "the rule works for others");
	cr_expect_eq(ask("/1.txt", ""), 200);
}

Test(static_rules, rule_may_make_a_path_that_is_too_long)
{
	static char target[4000] = "/x";

	WORDS(options.redirects, "301 regex ^(.*)$ /$1$1$1$1$1");
	memset(target + 2, 'y', 3000);
	site_start();
	cr_expect_eq(ask(target, ""), 414);
}

static const struct {
	const char *target;
	unsigned status;
	const char *body;
} tries[] = {
	{ "/1.txt", 200, "one" },
	{ "/guide", 200, "guide" },
	{ "/guide.html", 200, "guide" },
	{ "/docs/", 200, "docs" },
	{ "/docs", 301, NULL },
	{ "/", 200, "root" },
	{ "/deep/link/in/app", 200, "app" },
	{ "/empty/", 200, "app" },
	{ "/empty", 200, "app" },
	{ "/out", 403, NULL },
	{ "/1.txt/x", 200, "app" },
	{ "/a+b%20c.txt", 200, "plus" },
	{ "/no//thing", 200, "app" },
};

Test(static_rules, try_files)
{
	size_t i, again;

	WORDS(options.try_files, "$uri", "$uri.html", "$uri/", "/app/index.html");
	site_start();
	for (again = 0; again < 2; again++) {
		for (i = 0; i < ARRAY_SIZE(tries); i++) {
			cr_expect_eq(ask(tries[i].target, ""), tries[i].status, "%s: %u", tries[i].target, resp.status);
			if (tries[i].body)
				cr_expect_str_eq(body, tries[i].body, "%s", tries[i].target);
		}
	}
}

Test(static_rules, try_files_may_end_with_a_status)
{
	WORDS(options.try_files, "$uri.html", "=410");
	WORDS(options.error_pages, "410 404 /404.html");
	site_start();
	cr_expect_eq(ask("/guide", ""), 200);
	cr_expect_eq(ask("/1.txt", ""), 410);
	cr_expect_str_eq(body, "missing");
}

static const struct {
	const char *target, *change, *body;
} appearances[] = {
	{ "/new", "true", "app" },
	{ "/new", "echo -n html > new.html", "html" },
	{ "/new", "echo -n plain > new", "plain" },
	{ "/new", "rm new", "html" },
	{ "/new", "rm new.html", "app" },
	{ "/a/b/c", "mkdir a", "app" },
	{ "/a/b/c", "mkdir -p a/b; echo -n c > a/b/c", "c" },
	{ "/a/b/c", "mv a z", "app" },
	{ "/a/b/c", "mv z a", "c" },
	{ "/a/b/c", "rm -r a; ln -s css a", "app" },
	{ "/a/a.css", "true", "css" },
	{ "/new", "echo -n app2 > app/index.html", "app2" },
	{ "/guide", "echo -n guide2 > guide.html", "guide2" },
	{ "/1.txt/x", "rm 1.txt; mkdir 1.txt; echo -n x > 1.txt/x", "x" },
};

Test(static_rules, better_candidate_is_noticed)
{
	size_t i;

	WORDS(options.try_files, "$uri", "$uri.html", "/app/index.html");
	site_start();
	for (i = 0; i < ARRAY_SIZE(appearances); i++) {
		(void)ask(appearances[i].target, "");
		in_root(appearances[i].change);
		weir_static_watch(files);
		cr_assert_eq(ask(appearances[i].target, ""), 200, "%s", appearances[i].change);
		cr_expect_str_eq(body, appearances[i].body, "%s", appearances[i].change);
	}
}

static int make_map(uint32_t value_bytes)
{
	union bpf_attr attr = { 0 };

	attr.map_type = BPF_MAP_TYPE_HASH;
	attr.key_size = sizeof(struct weir_cache_key);
	attr.value_size = value_bytes;
	attr.max_entries = 512;
	return (int)syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));
}

static void make_maps(void)
{
	cache.fds[WEIR_CLASS_S] = make_map(sizeof(struct weir_entry_s));
	cache.fds[WEIR_CLASS_M] = make_map(sizeof(struct weir_entry_m));
	cache.fds[WEIR_CLASS_L] = make_map(sizeof(struct weir_entry_l));
	if (cache.fds[WEIR_CLASS_S] < 0)
		cr_skip("maps can be made by root only");
}

static bool is_published(const char *target)
{
	static struct weir_entry_s e;
	struct weir_cache_key key;

	weir_key_make((const __u64 *)cache.secret, 0, 0, "a", 1, target, (__u16)strlen(target), &key);
	return weir_bpf_map_lookup(cache.fds[WEIR_CLASS_S], &key, &e) == 0;
}

Test(static_rules, fallback_is_published_until_a_better_candidate_appears)
{
	char target[64];
	int i, published = 0;

	make_maps();
	WORDS(options.try_files, "$uri", "$uri.html", "/app/index.html");
	site_start();
	(void)ask("/some/where", "");
	(void)ask("/guide", "");
	(void)ask("/1.txt", "");
	cr_assert(is_published("/some/where") && is_published("/guide") && is_published("/1.txt"));
	in_root("echo -n g > guide");
	weir_static_watch(files);
	cr_expect(!is_published("/guide") && is_published("/some/where") && is_published("/1.txt"));
	in_root("echo -n other > app/index.html");
	weir_static_watch(files);
	cr_expect(!is_published("/some/where") && is_published("/1.txt"));
	for (i = 0; i < 200; i++) {
		snprintf(target, sizeof(target), "/invented/%d", i);
		(void)ask(target, "");
	}
	for (i = 0; i < 200; i++) {
		snprintf(target, sizeof(target), "/invented/%d", i);
		published += is_published(target);
	}
	cr_expect_eq(published, 64, "%d: whoever invents paths pushes out no more than that", published);
	cr_expect(is_published("/1.txt"));
}

Test(static_rules, what_a_shared_cache_must_not_store_is_not_published)
{
	make_maps();
	WORDS(options.headers, "/css/* Cache-Control: no-store", "/docs/* Cache-Control: max-age=5, Private",
	      "/guide* Cache-Control: no-cache", "/1.txt Set-Cookie: a=b");
	site_start();
	cr_expect_eq(ask("/css/a.css", ""), 200);
	cr_expect_eq(ask("/docs/", ""), 200);
	cr_expect_eq(ask("/guide.html", ""), 200);
	cr_expect_eq(ask("/404.html", ""), 200);
	cr_expect_eq(ask("/1.txt", ""), 200);
	cr_expect(!is_published("/css/a.css") && !is_published("/docs/") && !is_published("/1.txt"));
	cr_expect(is_published("/guide.html"), "it is validated by being watched");
	cr_expect(is_published("/404.html"));
}

static const struct {
	const char *request;
	unsigned status;
	const char *body;
} errors[] = {
	{ "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", 404, "missing" },
	{ "HEAD /nothing HTTP/1.1\r\nHost: a\r\n\r\n", 404, "" },
	{ "GET /out HTTP/1.1\r\nHost: a\r\n\r\n", 403, "trouble" },
	{ "POST /1.txt HTTP/1.1\r\nHost: a\r\n\r\n", 405, "trouble" },
	{ "GET /1.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=9-\r\n\r\n", 416, "416 Range Not Satisfiable\n" },
	{ "GET /1.txt HTTP/1.1\r\nHost: a\r\nIf-Match: \"x\"\r\n\r\n", 412, "412 Precondition Failed\n" },
	{ "GET /404.html HTTP/1.1\r\nHost: a\r\n\r\n", 200, "missing" },
};

Test(static_rules, error_pages_keep_the_status)
{
	size_t i;

	WORDS(options.error_pages, "404 /404.html", "403 405 500 /trouble.html", "412 /not-there.html");
	WORDS(options.headers, "X-All: yes", "Cache-Control: max-age=1", "/trouble.html X-Page: no");
	options.max_age_s = 100;
	site_start();
	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		cr_expect_eq(ask_text(errors[i].request), errors[i].status, "%s: %u", errors[i].request, resp.status);
		cr_expect_str_eq(body, errors[i].body, "%s", errors[i].request);
		cr_expect_str_eq(field("X-All"), "yes");
		if (errors[i].status == 200)
			continue;
		cr_expect_str_empty(field("Cache-Control"), "it is the file's, not the error's");
		cr_expect_str_empty(field("ETag"));
		cr_expect_str_empty(field("X-Page"));
	}
	(void)ask_text(errors[3].request);
	cr_expect_str_eq(field("Allow"), "GET, HEAD, OPTIONS");
	(void)ask_text(errors[4].request);
	cr_expect_str_eq(field("Content-Range"), "bytes */3");
	(void)ask("/nothing", "");
	cr_expect_str_eq(field("Content-Type"), "text/html; charset=utf-8");
}

static const struct {
	const char *target, *fields, *name, *value;
} added[] = {
	{ "/1.txt", "", "X-All", "a, b" },
	{ "/1.txt", "", "Cache-Control", "max-age=60" },
	{ "/css/a.css", "", "Cache-Control", "public, immutable" },
	{ "/css/a.css", "Range: bytes=0-0\r\n", "Cache-Control", "public, immutable" },
	{ "/css/a.css", "Range: bytes=0-0,2-2\r\n", "Cache-Control", "public, immutable" },
	{ "/docs/", "", "X-Html", "1" },
	{ "/docs/", "", "X-Docs", "1" },
	{ "/docs", "", "X-All", "a, b" },
	{ "/docs", "", "X-Docs", "" },
	{ "/nothing", "", "X-All", "a, b" },
	{ "/nothing", "", "Cache-Control", "" },
	{ "/1.txt", "If-None-Match: *\r\n", "Cache-Control", "max-age=60" },
	{ "/1.txt", "If-None-Match: *\r\n", "X-All", "a, b" },
};

Test(static_rules, added_fields)
{
	size_t i;

	WORDS(options.headers, "X-All:  a, b ", "/css/* Cache-Control: public, immutable", "/*.html X-Html: 1",
	      "/docs/* X-Docs: 1");
	options.max_age_s = 60;
	site_start();
	for (i = 0; i < ARRAY_SIZE(added); i++) {
		(void)ask(added[i].target, added[i].fields);
		cr_expect_str_eq(field(added[i].name), added[i].value, "%s %s", added[i].target, added[i].name);
	}
}

Test(static_rules, types)
{
	static const struct {
		const char *name, *type;
	} rows[] = {
		{ "x.md", "text/markdown; charset=utf-8" },    { "x.MARKDOWN", "text/markdown; charset=utf-8" },
		{ "x.html", "application/xhtml+xml" },	       { "x.latin", "text/plain;charset=iso-8859-1" },
		{ "x.txt", "text/plain; charset=utf-8" },      { "x.unheard", "application/octet-stream" },
		{ "noextension", "application/octet-stream" },
	};
	char target[64], command[64];
	size_t i;

	WORDS(options.types, "text/markdown md Markdown", "application/xhtml+xml html",
	      "text/plain;charset=iso-8859-1 latin");
	site_start();
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		snprintf(command, sizeof(command), "touch %s", rows[i].name);
		in_root(command);
		snprintf(target, sizeof(target), "/%s", rows[i].name);
		cr_assert_eq(ask(target, ""), 200);
		cr_expect_str_eq(field("Content-Type"), rows[i].type, "%s", rows[i].name);
	}
}

Test(static_rules, listing)
{
	in_root("mkdir 'empty/b<&>dir' empty/.hidden; touch \"empty/a\\\"quote'.txt\" 'empty/javascript:x' empty/.x;"
		"ln -s /etc/passwd empty/out; ln -s ../1.txt empty/in; mkfifo empty/pipe; touch 'empty/100%?#'");
	options.listing = WEIR_LISTING_HTML;
	site_start();
	cr_assert_eq(ask("/empty/", ""), 200);
	cr_expect_str_eq(field("Content-Type"), "text/html; charset=utf-8");
	cr_expect(strstr(body, "<a href=\"./b%3C&amp;%3Edir/\">b&lt;&amp;&gt;dir/</a>"), "%s", body);
	cr_expect(strstr(body, "<a href=\"./a%22quote&#39;.txt\">a&quot;quote&#39;.txt</a>"), "%s", body);
	cr_expect(strstr(body, "href=\"./javascript:x\"") && strstr(body, "href=\"./100%25%3F%23\""));
	cr_expect(strstr(body, ">in</a>") && !strstr(body, ">out<") && !strstr(body, "hidden") &&
		  !strstr(body, ".x<") && !strstr(body, "pipe"));
	cr_expect(strstr(body, "dir/") < strstr(body, "quote"), "directories first");
	cr_expect_eq(ask("/empty", ""), 301);
	cr_expect_eq(ask("/docs/", ""), 200);
	cr_expect_str_eq(body, "docs", "an index is better");
	cr_expect_eq(ask("/none/", ""), 404);
	cr_expect_eq(ask_text("HEAD /empty/ HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
	cr_expect_eq(body_bytes, 0);
}

Test(static_rules, listing_as_json)
{
	in_root("mkdir empty/sub; printf 12345 > empty/file; touch -d '2001-02-03 04:05:06Z' empty/file empty/sub;"
		"printf x > \"$(printf 'empty/bad\\377name')\"; touch -d '2001-02-03 04:05:06Z' empty/bad*");
	options.listing = WEIR_LISTING_JSON;
	WORDS(options.try_files, "$uri", "$uri/", "=404");
	site_start();
	cr_assert_eq(ask("/empty/", ""), 200);
	cr_expect_str_eq(field("Content-Type"), "application/json");
	cr_expect(strstr(body, "\"name\":\"sub\",\n"), "%s", body);
	cr_expect(strstr(body, "\"mtime\":\"Sat, 03 Feb 2001 04:05:06 GMT\",\n  \"size\":5\n"), "%s", body);
	cr_expect(strstr(body, "bad\xef\xbf\xbdname"), "%s", body);
	cr_expect_eq(ask("/empty", ""), 301);
}
