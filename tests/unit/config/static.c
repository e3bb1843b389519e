/* SPDX-License-Identifier: GPL-2.0 */
/* The rules of static pools as text: what each row means, and what is wrong with a wrong one. */
#include <criterion/criterion.h>

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "config/config.h"

static bool is_text(struct weir_str s, const char *text)
{
	return weir_str_eq(s, (struct weir_str){ text, strlen(text) });
}

static const struct {
	const char *text;
	unsigned status; /* 0: refused */
	enum weir_match match;
	const char *from, *to;
} redirects[] = {
	{ "301 exact /old /new", 301, WEIR_MATCH_EXACT, "/old", "/new" },
	{ "  308\tprefix  /a/ https://b.example/  ", 308, WEIR_MATCH_PREFIX, "/a/", "https://b.example/" },
	{ "302 regex ^/x/(.*)$ /y?z=$1", 302, WEIR_MATCH_REGEX, "^/x/(.*)$", "/y?z=$1" },
	{ "303 exact /a http://b/", 303, WEIR_MATCH_EXACT, "/a", "http://b/" },
	{ "307 regex a /b", 307, WEIR_MATCH_REGEX, "a", "/b" },
	{ .text = "" },
	{ .text = "301" },
	{ .text = "304 exact /a /b" },
	{ .text = "200 exact /a /b" },
	{ .text = "3011 exact /a /b" },
	{ .text = "exact /a /b" },
	{ .text = "301 like /a /b" },
	{ .text = "301 exact /a" },
	{ .text = "301 exact /a /b /c" },
	{ .text = "301 exact a /b" },
	{ .text = "301 prefix a /b" },
	{ .text = "301 exact /a b" },
	{ .text = "301 exact /a javascript:alert(1)" },
	{ .text = "301 exact /a /b\r\nX:y" },
	{ .text = "301 exact /a /\xc3\xa4" },
};

Test(config_static, redirects)
{
	const char *why = NULL;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(redirects); i++) {
		struct weir_conf_rule rule = {};
		int r = weir_conf_redirect_parse(redirects[i].text, &rule, &why);

		if (redirects[i].status == 0) {
			cr_expect_eq(r, -EINVAL, "'%s'", redirects[i].text);
			cr_expect(why && *why, "'%s'", redirects[i].text);
			continue;
		}
		cr_assert_eq(r, 0, "'%s': %s", redirects[i].text, why);
		cr_expect_eq(rule.status, redirects[i].status);
		cr_expect_eq(rule.match, redirects[i].match);
		cr_expect(is_text(rule.from, redirects[i].from) && is_text(rule.to, redirects[i].to), "'%s'",
			  redirects[i].text);
	}
}

Test(config_static, rewrites)
{
	static const char *const right[] = { "exact /a /b", "prefix /a/ /", "regex ^/(\\d+)$ /n/$1.html" };
	static const char *const wrong[] = {
		"", "/a /b", "exact /a", "exact /a b", "exact /a http://b/", "exact /a /b?c", "301 exact /a /b"
	};
	struct weir_conf_rule rule;
	const char *why;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(right); i++)
		cr_expect(weir_conf_rewrite_parse(right[i], &rule, &why) == 0 && rule.status == 0, "'%s'", right[i]);
	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		cr_expect_eq(weir_conf_rewrite_parse(wrong[i], &rule, &why), -EINVAL, "'%s'", wrong[i]);
}

static const struct {
	const char *text, *pattern, *name, *value; /* name NULL: refused */
} headers[] = {
	{ "X-Frame-Options: DENY", "", "X-Frame-Options", "DENY" },
	{ " /assets/* Cache-Control:  public, max-age=1 ", "/assets/*", "Cache-Control", "public, max-age=1" },
	{ "Link: </style.css>; rel=preload", "", "Link", "</style.css>; rel=preload" },
	{ "X-Empty:", "", "X-Empty", "" },
	{ .text = "" },
	{ .text = "no colon" },
	{ .text = ": value" },
	{ .text = "two words: value" },
	{ .text = "Name : value" },
	{ .text = "Name: a\r\nOther: b" },
	{ .text = "Name\n: a" },
	{ .text = "Content-Length: 5" },
	{ .text = "transfer-encoding: chunked" },
	{ .text = "DATE: today" },
	{ .text = "Connection: close" },
	{ .text = "/path" },
};

Test(config_static, headers)
{
	struct weir_conf_header h;
	const char *why;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(headers); i++) {
		int r = weir_conf_header_parse(headers[i].text, &h, &why);

		if (!headers[i].name) {
			cr_expect_eq(r, -EINVAL, "'%s'", headers[i].text);
			continue;
		}
		cr_assert_eq(r, 0, "'%s'", headers[i].text);
		cr_expect(is_text(h.pattern, headers[i].pattern) && is_text(h.name, headers[i].name) &&
				  is_text(h.value, headers[i].value),
			  "'%s'", headers[i].text);
	}
}

Test(config_static, error_pages)
{
	static const char *const wrong[] = {
		"",	    "404",    "/404.html",
		"200 /x",   "600 /x", "404 x",
		"404 /x y", "40 /x",  "400 401 402 403 404 405 406 407 408 409 410 411 412 413 414 415 416 /x"
	};
	struct weir_conf_error_page page;
	const char *why;
	size_t i;

	cr_assert_eq(weir_conf_error_page_parse("500 502 503 /trouble.html", &page, &why), 0);
	cr_expect(page.count == 3 && page.statuses[2] == 503 && is_text(page.path, "/trouble.html"));
	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		cr_expect_eq(weir_conf_error_page_parse(wrong[i], &page, &why), -EINVAL, "'%s'", wrong[i]);
}

static const struct {
	const char *text;
	int bits; /* -1: refused */
	bool is_allow;
} access_rows[] = {
	{ "allow all", 0, true },
	{ "deny all", 0, false },
	{ "allow 10.0.0.0/8", 104, true },
	{ "deny 127.0.0.1", 128, false },
	{ "deny 0.0.0.0/0", 96, false },
	{ "allow fd00::/8", 8, true },
	{ "allow ::1", 128, true },
	{ "allow ::/0", 0, true },
	{ "", -1, false },
	{ "allow", -1, false },
	{ "permit all", -1, false },
	{ "allow all all", -1, false },
	{ "allow 10.0.0.0/33", -1, false },
	{ "allow fd00::/129", -1, false },
	{ "allow 10.0.0.0/", -1, false },
	{ "allow 10.0.0.0/-1", -1, false },
	{ "allow 10.0.0.0/8x", -1, false },
	{ "allow 10.0.0", -1, false },
	{ "allow host", -1, false },
	{ "allow 10.0.0.0/99999999999999999999", -1, false },
};

Test(config_static, access)
{
	struct weir_conf_access a;
	const char *why;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(access_rows); i++) {
		int r = weir_conf_access_parse(access_rows[i].text, &a, &why);

		cr_expect_eq(r, access_rows[i].bits < 0 ? -EINVAL : 0, "'%s'", access_rows[i].text);
		if (r == 0)
			cr_expect(a.bits == (unsigned)access_rows[i].bits && a.is_allow == access_rows[i].is_allow,
				  "'%s': %u", access_rows[i].text, a.bits);
	}
}

Test(config_static, candidates_and_types)
{
	static const char *const right[] = { "$uri", "$uri.html", "$uri/", "/index.html", "/x$uri", "=404", "=503" };
	static const char *const wrong[] = {
		"", "index.html", "=200", "=40", "=", "$path", "$uri$x", "/../x", "/a/./b"
	};
	static const char *const wrong_types[] = {
		"", "text/x", "text x", "text/x a.b", "text/x a/b", "te(t/x y", "text/x 1234567890123456789012345678901"
	};
	struct weir_conf_try t;
	const char *why;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(right); i++)
		cr_expect_eq(weir_conf_try_parse(right[i], &t, &why), 0, "'%s'", right[i]);
	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		cr_expect_eq(weir_conf_try_parse(wrong[i], &t, &why), -EINVAL, "'%s'", wrong[i]);
	cr_expect_eq(weir_conf_type_parse("text/markdown md markdown", &why), 0);
	for (i = 0; i < ARRAY_SIZE(wrong_types); i++)
		cr_expect_eq(weir_conf_type_parse(wrong_types[i], &why), -EINVAL, "'%s'", wrong_types[i]);
}

/* --- the whole file --- */

static char dir[64];

static void write_file(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "we");
	cr_assert_not_null(f);
	fputs(text, f);
	fclose(f);
}

/* Loads a pool with these lines in it; the findings, one a line. */
static const char *findings(const char *lines)
{
	static char text[4096];
	struct weir_conf_report report = {};
	struct weir_config *c = NULL;
	char path[128];
	struct weir_conf_options o = { .file = path };
	size_t i, n = 0;

	snprintf(text, sizeof(text),
		 "listen = { \"127.0.0.1:8080\" }\npool p {\nroot = \"root\"\nuser = nobody\n"
		 "prefixes = { \"http://*:8080/\" }\n%s\n}\n",
		 lines);
	write_file("weir.conf", text);
	snprintf(path, sizeof(path), "%s/weir.conf", dir);
	text[0] = '\0';
	(void)weir_config_load(&o, &report, &c);
	for (i = 0; i < report.count; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%d: %s\n", report.rows[i].line, report.rows[i].text);
	weir_conf_report_fini(&report);
	weir_config_free(c);
	return text;
}

static void begin(void)
{
	char command[160];

	strcpy(dir, "/tmp/weir-conf-XXXXXX");
	cr_assert(mkdtemp(dir));
	snprintf(command, sizeof(command), "chmod 755 %s; mkdir %s/root", dir, dir);
	cr_assert_eq(system(command), 0);
	write_file("users", "a:$apr1$x$y\n");
	write_file("root/users", "a:$apr1$x$y\n");
}

static void end(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	cr_assert_eq(system(command), 0);
}

TestSuite(config_static_file, .init = begin, .fini = end);

static const struct {
	const char *lines, *finding; /* "" is none */
} loads[] = {
	{ "headers = { \"A: b\",\n \"C: d\" }\nauth_file = users\nlisting = json\nmax_age = 60", "" },
	{ "redirects = { \"301 exact /a /b\",\n\"301 exact a /b\" }", "7: redirects '301 exact a /b': FROM is a path" },
	{ "redirects = { '301 regex (a /b' }", "at character" },
	{ "redirects = { '301 regex ^/(\\d+)$ /$2' }", "TO has $2, but the pattern has 1 group" },
	{ "rewrites = { '301 exact /a /b' }", "it must say exact, prefix or regex" },
	{ "headers = { \"Content-Length: 1\" }", "the server sets this field itself" },
	{ "try_files = { \"=404\", \"$uri\" }", "'=404' must be the last" },
	{ "handler = debug\naccess = { \"deny all\" }\nmax_age = 5", "7: 'access' is for pools with handler = static" },
	{ "handler = debug\naccess = { \"deny all\" }\nmax_age = 5",
	  "8: 'max_age' is for pools with handler = static" },
	{ "listing = yes", "'listing' is 'yes' but must be off, html or json" },
	{ "auth_file = missing", "make it with htpasswd" },
	{ "auth_file = \"root/users\"", "it could be downloaded" },
	{ "auth_realm = 'a\"b'", "auth_realm must not have quotes" },
	{ "access = { \"allow 1.2.3.4/40\" }", "from 0 to 32" },
	{ "default_type = plain", "default_type 'plain' is no media type" },
	{ "default_type = \"text/plain; charset=utf-8\"", "" },
	{ "types = { \"text/x\" }", "at least one extension" },
};

Test(config_static_file, mistakes_are_named_with_their_line)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(loads); i++) {
		const char *text = findings(loads[i].lines);

		if (*loads[i].finding)
			cr_expect(strstr(text, loads[i].finding), "%s: %s", loads[i].lines, text);
		else
			cr_expect_str_empty(text, "%s: %s", loads[i].lines, text);
	}
}

Test(config_static_file, too_many_fields)
{
	char lines[3000] = "headers = { \"X: ";

	memset(lines + strlen(lines), 'x', 2500);
	strcat(lines, "\" }");
	cr_expect(strstr(findings(lines), "2048 are possible"));
}

Test(config_static_file, password_file_that_workers_cannot_read)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/users", dir);
	cr_assert_eq(chmod(path, 0600), 0);
	cr_expect(strstr(findings("auth_file = users"), "cannot be read by nobody"));
}
