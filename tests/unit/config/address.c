// SPDX-License-Identifier: GPL-2.0
/* Listening addresses and URL prefixes as text. */
#include "config/config.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static const char *why;

static const struct {
	const char *text;
	int count; /* how many endpoints it gives; -EINVAL: refused */
	const char *first;
} listens[] = {
	{ "127.0.0.1:8080", 1, "127.0.0.1:8080" },
	{ "[::1]:80", 1, "[::1]:80" },
	{ "[0:0:0:0:0:0:0:1]:80", 1, "[::1]:80" },
	{ "0.0.0.0:80", 1, "0.0.0.0:80" },
	{ "[::]:80", 1, "[::]:80" },
	{ ":80", 2, "0.0.0.0:80" },
	{ "*:65535", 2, "0.0.0.0:65535" },
	{ "8080", 2, "0.0.0.0:8080" },
	{ "", -EINVAL, NULL },
	{ ":", -EINVAL, NULL },
	{ "127.0.0.1", -EINVAL, NULL },
	{ "127.0.0.1:0", -EINVAL, NULL },
	{ "127.0.0.1:080", -EINVAL, NULL },
	{ "127.0.0.1:65536", -EINVAL, NULL },
	{ "127.0.0.1:8080 ", -EINVAL, NULL },
	{ "127.0.0.256:80", -EINVAL, NULL },
	{ "localhost:80", -EINVAL, NULL },
	{ "::1:80", -EINVAL, NULL },
	{ "[127.0.0.1]:80", -EINVAL, NULL },
	{ "[::1:80", -EINVAL, NULL },
	{ "[::ffff:127.0.0.1]:80", -EINVAL, NULL },
	{ "[]:80", -EINVAL, NULL },
};

Test(address, each_listen_is_understood_or_refused_with_a_reason)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(listens); i++) {
		struct weir_conf_listen l[2] = {};

		why = NULL;
		cr_expect_eq(weir_conf_listen_parse(listens[i].text, l, &why), listens[i].count, "'%s'",
			     listens[i].text);
		if (listens[i].count > 0)
			cr_expect_str_eq(l[0].text, listens[i].first);
		else
			cr_expect_not_null(why, "'%s'", listens[i].text);
	}
}

Test(address, ipv4_is_mapped)
{
	struct weir_conf_listen l[2];

	cr_assert_eq(weir_conf_listen_parse("127.0.0.1:80", l, &why), 1);
	cr_expect(!l[0].is_any && !l[0].is_v6);
	cr_expect(!l[0].addr.word[0] && !l[0].addr.word[1]);
	cr_expect_eq(l[0].addr.word[2], htonl(0xffff));
	cr_expect_eq(l[0].addr.word[3], htonl(0x7f000001));
}

Test(address, wildcard_is_any)
{
	struct weir_conf_listen l[2];

	cr_assert_eq(weir_conf_listen_parse("0.0.0.0:80", l, &why), 1);
	cr_expect(l[0].is_any && !l[0].is_v6);
	cr_assert_eq(weir_conf_listen_parse("[::]:80", l, &why), 1);
	cr_expect(l[0].is_any && l[0].is_v6);
}

static const struct {
	const char *text;
	enum weir_bucket bucket;
	const char *host;
	const char *path;
} prefixes[] = {
	{ "http://+:80/", WEIR_BUCKET_STRONG, NULL, "/" },
	{ "http://*:80/", WEIR_BUCKET_WEAK, NULL, "/" },
	{ "http://*:80", WEIR_BUCKET_WEAK, NULL, "/" },
	{ "http://WWW.Example.com:80/A/b/", WEIR_BUCKET_HOST, "www.example.com", "/A/b/" },
	{ "http://localhost:80/", WEIR_BUCKET_HOST, "localhost", "/" },
	{ "http://*.Example.com:80/", WEIR_BUCKET_SUBDOMAIN, "example.com", "/" },
	{ "http://192.0.2.1:80/", WEIR_BUCKET_IP, NULL, "/" },
	{ "http://[2001:db8::1]:80/", WEIR_BUCKET_IP, NULL, "/" },
	{ "http://h:80/a%20b/%C3%A9/", WEIR_BUCKET_HOST, "h", "/a b/\xc3\xa9/" },
};

Test(address, each_prefix_has_its_bucket)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(prefixes); i++) {
		struct weir_conf_prefix p = {};

		cr_assert_eq(weir_conf_prefix_parse(prefixes[i].text, &p, &why), 0, "%s", prefixes[i].text);
		cr_expect_eq(p.bucket, prefixes[i].bucket, "%s", prefixes[i].text);
		cr_expect_eq(p.port, 80);
		cr_expect_str_eq(p.path, prefixes[i].path);
		cr_expect_str_eq(p.text, prefixes[i].text);
		if (prefixes[i].host)
			cr_expect_str_eq(p.host, prefixes[i].host);
		else
			cr_expect_null(p.host);
		weir_conf_prefix_fini(&p);
	}
}

Test(address, each_bad_prefix_is_refused_with_a_reason)
{
	static const char *const bad[] = {
	    "",
	    "*:80/",
	    "ftp://*:80/",
	    "https://*:443/",
	    "http://*/",
	    "http://*:/",
	    "http://*:0/",
	    "http://*:080/",
	    "http://*:65536/",
	    "http://*:80/a",
	    "http://*:80/a?b/",
	    "http://*:80/a#b/",
	    "http://*:80//",
	    "http://*:80/a//b/",
	    "http://*:80/./",
	    "http://*:80/../",
	    "http://*:80/%2e%2E/",
	    "http://*:80/a%2fb/",
	    "http://*:80/%0a/",
	    "http://*:80/%zz/",
	    "http://*:80/%4/",
	    "http://*:80/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/",
	    "http://:80/",
	    "http://*.:80/",
	    "http://*x:80/",
	    "http://a*.example:80/",
	    "http://a..b:80/",
	    "http://.a:80/",
	    "http://a b:80/",
	    "http://2001:db8::1:80/",
	    "http://[192.0.2.1]:80/",
	    "http://[2001:db8::1:80/",
	    "http://user@h:80/",
	    "http://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:80/",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct weir_conf_prefix p = {};

		why = NULL;
		cr_expect_eq(weir_conf_prefix_parse(bad[i], &p, &why), -EINVAL, "%s", bad[i]);
		cr_expect_not_null(why, "%s", bad[i]);
		cr_expect_null(p.text);
	}
}

Test(address, port_is_found_with_its_process)
{
	struct weir_conf_listen l[2];
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t bytes = sizeof(addr);
	char text[32], holder[96], pid[16];
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	cr_assert_eq(bind(fd, (struct sockaddr *)&addr, bytes), 0);
	cr_assert_eq(listen(fd, 1), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&addr, &bytes), 0);
	snprintf(text, sizeof(text), "127.0.0.1:%u", ntohs(addr.sin_port));
	snprintf(pid, sizeof(pid), "pid %d", getpid());
	cr_assert_eq(weir_conf_listen_parse(text, l, &why), 1);
	cr_assert(weir_port_holder(&l[0], holder, sizeof(holder)));
	cr_expect(strstr(holder, pid), "%s", holder);
	snprintf(text, sizeof(text), ":%u", ntohs(addr.sin_port));
	cr_assert_eq(weir_conf_listen_parse(text, l, &why), 2);
	cr_expect(weir_port_holder(&l[0], holder, sizeof(holder)), "any address collides with it");
	close(fd);
	cr_expect_not(weir_port_holder(&l[0], holder, sizeof(holder)));
}

Test(address, letters_outside_of_ascii_become_punycode)
{
	static const struct {
		const char *text, *host;
	} cases[] = {
	    {"http://bücher.example:80/", "xn--bcher-kva.example"},
	    {"http://BÜCHER.Example:80/", "xn--bcher-kva.example"},
	    {"http://XN--BCHER-KVA.example:80/", "xn--bcher-kva.example"},
	    {"http://*.bücher.example:80/", "xn--bcher-kva.example"},
	    {"http://straße.example:80/", "xn--strae-oqa.example"},
	    {"http://例え.テスト:80/", "xn--r8jz45g.xn--zckzah"},
	};
	struct weir_conf_prefix p;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		cr_assert_eq(weir_conf_prefix_parse(cases[i].text, &p, &why), 0, "%s: %s",
			     cases[i].text, why);
		cr_expect_str_eq(p.host, cases[i].host);
		cr_expect_str_eq(p.text, cases[i].text);
		weir_conf_prefix_fini(&p);
	}
	cr_expect_eq(weir_conf_prefix_parse("http://b\xc3.example:80/", &p, &why), -EINVAL);
	cr_expect_eq(weir_conf_prefix_parse("http://a\xe2\x98\x83 b.example:80/", &p, &why),
		     -EINVAL);
}
