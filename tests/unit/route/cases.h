/* SPDX-License-Identifier: GPL-2.0 */
/* The URL namespace as a table: which prefix wins for which request. Its readers: tests/unit/route/find.c (the
 * user-space table and the rows compiled for the kernel) and the BPF test of bpf/lib/route.h. */
#ifndef WEIR_TEST_ROUTE_CASES_H
#define WEIR_TEST_ROUTE_CASES_H

#define ROUTE_PREFIXES_MAX 8

/* What the table's instance listens on; the endpoint ids are the indexes. */
static const char *const route_listens[] = {
	"192.0.2.1:80",
	"192.0.2.2:80",
	"[2001:db8::1]:80",
	"192.0.2.1:8080",
};

struct route_case {
	const char *what;
	const char *prefixes[ROUTE_PREFIXES_MAX];
	unsigned endpoint;    /* where the request comes in: index in route_listens */
	const char *host;     /* lower case, without port */
	const char *path;
	const char *expected; /* text of the prefix; NULL: none matches */
};

/* clang-format off */
static const struct route_case route_cases[] = {
	/* one prefix */
	{ "root takes all", { "http://*:80/" }, 0, "a.example", "/x/y.html", "http://*:80/" },
	{ "root takes the root", { "http://*:80/" }, 0, "a.example", "/", "http://*:80/" },
	{ "no host is fine for a wildcard", { "http://*:80/" }, 0, "", "/", "http://*:80/" },
	{ "no prefixes at all", { NULL }, 0, "a.example", "/", NULL },
	{ "other port", { "http://*:8080/" }, 0, "a.example", "/", NULL },
	{ "second port", { "http://*:8080/", "http://*:80/" }, 3, "a.example", "/", "http://*:8080/" },
	{ "every address with the port", { "http://*:80/" }, 2, "a.example", "/", "http://*:80/" },
	{ "a prefix without a path", { "http://a.example:80" }, 0, "a.example", "/x", "http://a.example:80" },

	/* longest path, by whole segments */
	{ "longest path", { "http://*:80/", "http://*:80/a/", "http://*:80/a/b/" }, 0, "h", "/a/b/c", "http://*:80/a/b/" },
	{ "middle path", { "http://*:80/", "http://*:80/a/", "http://*:80/a/b/" }, 0, "h", "/a/c", "http://*:80/a/" },
	{ "part of a segment is none", { "http://*:80/", "http://*:80/ab/" }, 0, "h", "/abc/d", "http://*:80/" },
	{ "segment without its slash", { "http://*:80/", "http://*:80/app/" }, 0, "h", "/app", "http://*:80/app/" },
	{ "segment with its slash", { "http://*:80/", "http://*:80/app/" }, 0, "h", "/app/", "http://*:80/app/" },
	{ "file that begins alike", { "http://*:80/", "http://*:80/dir/sna/" }, 0, "h", "/dir/snap", "http://*:80/" },
	{ "file below", { "http://*:80/dir/" }, 0, "h", "/dir/app.htm", "http://*:80/dir/" },
	{ "above the prefix", { "http://*:80/a/b/" }, 0, "h", "/a", NULL },
	{ "case counts in paths", { "http://*:80/App/" }, 0, "h", "/app/", NULL },
	{ "empty segment is a segment", { "http://*:80/", "http://*:80/a/" }, 0, "h", "//a/", "http://*:80/" },
	{ "empty segment behind", { "http://*:80/", "http://*:80/a/", "http://*:80/a/b/" }, 0, "h", "/a//b/", "http://*:80/a/" },
	{ "two slashes at the end", { "http://*:80/", "http://*:80/a/" }, 0, "h", "/a//", "http://*:80/a/" },
	{ "deep request", { "http://*:80/", "http://*:80/1/2/3/" }, 0, "h", "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18", "http://*:80/1/2/3/" },
	{ "deepest prefix", { "http://*:80/", "http://*:80/1/2/3/4/5/6/7/8/9/a/b/c/d/e/f/g/" }, 0, "h", "/1/2/3/4/5/6/7/8/9/a/b/c/d/e/f/g/h", "http://*:80/1/2/3/4/5/6/7/8/9/a/b/c/d/e/f/g/" },
	{ "hole in the depths", { "http://*:80/a/", "http://*:80/a/b/c/d/" }, 0, "h", "/a/b/c/x", "http://*:80/a/" },
	{ "sorts around the slash", { "http://*:80/a/", "http://*:80/a-b/", "http://*:80/a0/" }, 0, "h", "/a/x", "http://*:80/a/" },
	{ "sorts before the slash", { "http://*:80/a/", "http://*:80/a-b/", "http://*:80/a0/" }, 0, "h", "/a-b/x", "http://*:80/a-b/" },
	{ "escaped in the prefix", { "http://*:80/a%20b/" }, 0, "h", "/a b/c", "http://*:80/a%20b/" },

	/* buckets: the first with a match wins */
	{ "strong before host", { "http://+:80/", "http://h.example:80/" }, 0, "h.example", "/", "http://+:80/" },
	{ "strong without a match goes on", { "http://+:80/a/", "http://h.example:80/" }, 0, "h.example", "/b", "http://h.example:80/" },
	{ "earlier bucket beats longer path", { "http://h.example:80/", "http://*:80/a/b/" }, 0, "h.example", "/a/b/", "http://h.example:80/" },
	{ "host before subdomain", { "http://*.example:80/", "http://a.example:80/" }, 0, "a.example", "/", "http://a.example:80/" },
	{ "subdomain before address", { "http://*.example:80/", "http://192.0.2.1:80/" }, 0, "a.example", "/", "http://*.example:80/" },
	{ "address before weak", { "http://*:80/", "http://192.0.2.1:80/" }, 0, "a.example", "/", "http://192.0.2.1:80/" },
	{ "weak takes the rest", { "http://*:80/", "http://a.example:80/" }, 0, "b.example", "/", "http://*:80/" },
	{ "host without its path goes on", { "http://*:80/", "http://a.example:80/x/" }, 0, "a.example", "/y", "http://*:80/" },
	{ "all five", { "http://*:80/", "http://192.0.2.1:80/", "http://*.b.example:80/", "http://a.b.example:80/", "http://+:80/s/" }, 0, "a.b.example", "/", "http://a.b.example:80/" },

	/* hosts */
	{ "case does not count in hosts", { "http://A.Example:80/" }, 0, "a.example", "/", "http://A.Example:80/" },
	{ "other host", { "http://a.example:80/" }, 0, "b.example", "/", NULL },
	{ "no host", { "http://a.example:80/" }, 0, "", "/", NULL },
	{ "host is no prefix of another", { "http://a.example:80/" }, 0, "a.example.org", "/", NULL },
	{ "subdomain is one label", { "http://*.example.com:80/" }, 0, "a.example.com", "/", "http://*.example.com:80/" },
	{ "subdomain is not none", { "http://*.example.com:80/" }, 0, "example.com", "/", NULL },
	{ "subdomain is not two", { "http://*.example.com:80/" }, 0, "a.b.example.com", "/", NULL },
	{ "subdomain is not empty", { "http://*.example.com:80/" }, 0, ".example.com", "/", NULL },
	{ "ending alone is no subdomain", { "http://*.example.com:80/" }, 0, "aexample.com", "/", NULL },
	{ "one label has no subdomain", { "http://*.com:80/" }, 0, "com", "/", NULL },
	{ "dot at the end", { "http://*:80/", "http://*.example:80/" }, 0, "example.", "/", "http://*:80/" },

	/* addresses: where it came in, whatever the client calls it */
	{ "address by name", { "http://192.0.2.2:80/" }, 1, "a.example", "/", "http://192.0.2.2:80/" },
	{ "other address", { "http://192.0.2.2:80/" }, 0, "192.0.2.2", "/", NULL },
	{ "address without host", { "http://192.0.2.1:80/" }, 0, "", "/", "http://192.0.2.1:80/" },
	{ "IPv6 address", { "http://[2001:db8::1]:80/", "http://*:80/" }, 2, "[2001:db8::1]", "/", "http://[2001:db8::1]:80/" },
	{ "IPv6 address written long", { "http://[2001:db8:0:0::1]:80/" }, 2, "a.example", "/", "http://[2001:db8:0:0::1]:80/" },
	{ "IPv4 is not IPv6", { "http://192.0.2.1:80/" }, 2, "192.0.2.1", "/", NULL },
};
/* clang-format on */

#endif
