/* SPDX-License-Identifier: GPL-2.0 */
/* Representations: which one is chosen, that it is what it says, and that every change is followed. */
#include "static_site.h"

#include <zlib.h>
#include <zstd.h>

#include "handlers/static_priv.h"
#include "http/http.h"

#define BROWSER "Accept-Encoding: gzip, deflate, br, zstd\r\n"

static char page[50000];

static void put(const char *name, const void *bytes, size_t count)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	f = fopen(path, "we");
	cr_assert_not_null(f);
	cr_assert_eq(fwrite(bytes, 1, count, f), count);
	fclose(f);
}

static void init(void)
{
	size_t i;

	for (i = 0; i < sizeof(page); i++)
		page[i] = (char)('a' + (i * i / 7 + i / 100) % 20);
	site_init("mkdir d");
	put("page.html", page, 5000);
	put("large.js", page, sizeof(page));
	put("small.css", page, 100);
	put("photo.jpeg", page, 5000);
	options.compress = options.precompressed = true;
	options.compress_min = 256;
	options.compress_max_kb = 1024;
	options.compress_level = 6;
}

TestSuite(static_choose, .init = init, .fini = site_fini, .timeout = 30);

/* Decodes body by the system's tools, apart from our own use of the libraries. */
static void check_decoded(const char *coding, const char *want, size_t bytes)
{
	static const char *const tools[][2] = { { "br", "brotli -dc" },
						{ "gzip", "gzip -dc" },
						{ "zstd", "zstd -dcq" } };
	static char out[1 << 17];
	char command[256];
	const char *tool = "cat";
	size_t i, n;
	FILE *f;

	for (i = 0; i < ARRAY_SIZE(tools); i++)
		if (strcmp(coding, tools[i][0]) == 0)
			tool = tools[i][1];
	snprintf(command, sizeof(command), "/tmp/weir-coded-%d", getpid());
	f = fopen(command, "we");
	cr_assert(f && fwrite(body, 1, body_bytes, f) == body_bytes);
	fclose(f);
	snprintf(command, sizeof(command), "%s < /tmp/weir-coded-%d; rm /tmp/weir-coded-%d", tool, getpid(), getpid());
	f = popen(command, "re");
	n = fread(out, 1, sizeof(out), f);
	cr_expect_eq(pclose(f), 0);
	cr_expect(n == bytes && memcmp(out, want, n) == 0, "%s: %zu bytes instead of %zu", coding, n, bytes);
}

static const struct {
	const char *accept; /* NULL: no field */
	const char *coding; /* NULL: 406 */
} choices[] = {
	{ NULL, "" },
	{ "", "" },
	{ "gzip, deflate, br, zstd", "br" },
	{ "gzip, zstd", "zstd" },
	{ "gzip", "gzip" },
	{ "deflate", "" },
	{ "identity", "" },
	{ "*", "br" },
	{ "br;q=0.5, gzip;q=0.9", "gzip" },
	{ "br;q=0.5, gzip;q=0.5", "br" },
	{ "br;q=0, *", "zstd" },
	{ "gzip;q=0.2, identity;q=0.5", "" },
	{ "gzip;q=0.5, identity;q=0.5", "gzip" },
	{ "identity;q=0, gzip", "gzip" },
	{ "identity;q=0", NULL },
	{ "*;q=0", NULL },
	{ "x-gzip", "gzip" },
	{ "exi, gzip;q=x", "" },
};

Test(static_choose, coding_by_accept_encoding)
{
	char fields[128], tags[ARRAY_SIZE(choices)][80];
	size_t i, j;

	site_start();
	for (i = 0; i < ARRAY_SIZE(choices); i++) {
		fields[0] = '\0';
		if (choices[i].accept)
			snprintf(fields, sizeof(fields), "Accept-Encoding: %s\r\n", choices[i].accept);
		(void)ask("/page.html", fields);
		cr_expect_str_eq(field("Vary"), "Accept-Encoding", "'%s'", fields);
		tags[i][0] = '\0';
		if (!choices[i].coding) {
			cr_expect_eq(resp.status, 406, "'%s': %u", fields, resp.status);
			continue;
		}
		cr_expect_eq(resp.status, 200, "'%s': %u", fields, resp.status);
		cr_expect_str_eq(field("Content-Encoding"), choices[i].coding, "'%s'", fields);
		cr_expect_eq((size_t)atol(field("Content-Length")), body_bytes);
		check_decoded(choices[i].coding, page, 5000);
		snprintf(tags[i], sizeof(tags[i]), "%s", field("ETag"));
		for (j = 0; j < i; j++)
			if (tags[j][0])
				cr_expect_eq(strcmp(tags[i], tags[j]) == 0,
					     strcmp(choices[i].coding, choices[j].coding) == 0, "%s", tags[i]);
	}
}

/* What the kernel has for a set of codings must not depend on who came first. */
Test(static_choose, only_a_choice_for_everybody_is_final)
{
	static const struct {
		const char *accept;
		bool is_final;
	} rows[] = {
		{ "gzip, deflate, br, zstd", true },
		{ "gzip", true },
		{ "", true },
		{ "gzip;q=0.8, br;q=1", true },
		{ "gzip;q=0.3, br;q=0.3, zstd;q=0.3", true },
		{ "gzip, identity", true },
		{ "*", true },
		{ "gzip;q=1, br;q=0.5", false },
		{ "gzip, zstd;q=0.999", false },
		{ "gzip;q=0.5, identity", false },
		{ "gzip;q=0.5, *", false },
	};
	struct static_file *f;
	size_t i;

	site_start();
	cr_assert_eq(weir_static_get(files, WEIR_STR("page.html"), &f), 0);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct weir_request r = {
			.fields[WEIR_FIELD_ACCEPT_ENCODING] = { rows[i].accept, strlen(rows[i].accept) },
			.counts[WEIR_FIELD_ACCEPT_ENCODING] = 1,
		};
		bool is_final = !rows[i].is_final;

		cr_expect_not_null(weir_static_choose(files, f, &r, &is_final));
		cr_expect_eq(is_final, rows[i].is_final, "'%s'", rows[i].accept);
	}
	weir_static_file_put(f);
}

Test(static_choose, what_is_compressed)
{
	static const struct {
		const char *path;
		bool is_compressed, varies;
	} rows[] = {
		{ "/page.html", true, true },	 { "/large.js", true, true },	 { "/small.css", false, false },
		{ "/photo.jpeg", false, false }, { "/random.txt", false, true }, { "/link.html", false, true },
	};
	size_t i;

	in_root("head -c 4000 /dev/urandom > random.txt; ln -s page.html link.html");
	site_start();
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		cr_assert_eq(ask(rows[i].path, BROWSER), 200);
		cr_expect_eq(*field("Content-Encoding") != '\0', rows[i].is_compressed, "%s", rows[i].path);
		cr_expect_eq(*field("Vary") != '\0', rows[i].varies, "%s", rows[i].path);
	}
	cr_assert_eq(ask("/large.js", BROWSER), 200);
	check_decoded("br", page, sizeof(page));
}

Test(static_choose, types_and_sizes_are_options)
{
	WORDS(options.compress_types, "image/*", "text/css");
	options.compress_min = 50;
	options.compress_max_kb = 4;
	site_start();
	cr_assert_eq(ask("/small.css", BROWSER), 200);
	cr_expect_str_eq(field("Content-Encoding"), "br");
	cr_assert_eq(ask("/page.html", BROWSER), 200);
	cr_expect_str_empty(field("Content-Encoding"));
	cr_assert_eq(ask("/photo.jpeg", BROWSER), 200);
	cr_expect_str_empty(field("Content-Encoding"), "more than 4 kB");
}

Test(static_choose, nothing_is_done_when_both_are_off)
{
	options.compress = options.precompressed = false;
	in_root("gzip -k page.html");
	site_start();
	cr_assert_eq(ask("/page.html", BROWSER), 200);
	cr_expect_str_empty(field("Content-Encoding"));
	cr_expect_str_empty(field("Vary"));
	cr_expect_eq(ask("/page.html", "Accept-Encoding: identity;q=0\r\n"), 406);
}

Test(static_choose, variant_beside_the_file_wins)
{
	in_root("gzip -k page.html; echo 'not really brotli' > page.html.br; ln -s page.html.gz page.html.zst;"
		"gzip -k photo.jpeg");
	site_start();
	cr_assert_eq(ask("/page.html", "Accept-Encoding: br\r\n"), 200);
	cr_expect(strcmp(field("Content-Encoding"), "br") == 0 && body_bytes == 18 && memcmp(body, "not", 3) == 0);
	cr_assert_eq(ask("/page.html", "Accept-Encoding: gzip\r\n"), 200);
	check_decoded("gzip", page, 5000);
	cr_assert_eq(ask("/page.html", "Accept-Encoding: zstd\r\n"), 200);
	check_decoded("zstd", page, 5000);
	cr_assert_eq(ask("/photo.jpeg", "Accept-Encoding: gzip\r\n"), 200);
	cr_expect_str_eq(field("Content-Encoding"), "gzip", "no type is too good for a file that is there");
	cr_expect_str_eq(field("Content-Type"), "image/jpeg");
	cr_assert_eq(ask("/page.html.gz", "Accept-Encoding: gzip\r\n"), 200);
	cr_expect_str_empty(field("Content-Encoding"), "asked for by its own name it is a file");
}

Test(static_choose, older_variant_is_ignored)
{
	options.compress = false;
	in_root("gzip -k page.html; touch -d '2001-01-01 00:00:00' page.html.gz");
	site_start();
	cr_assert_eq(ask("/page.html", "Accept-Encoding: gzip\r\n"), 200);
	cr_expect_str_empty(field("Content-Encoding"));
	in_root("touch -d '2000-01-01 00:00:00.7' page.html; touch -d '2000-01-01 00:00:00' page.html.gz");
	weir_static_watch(files);
	cr_assert_eq(ask("/page.html", "Accept-Encoding: gzip\r\n"), 200);
	cr_expect_str_eq(field("Content-Encoding"), "gzip", "of the same second");
	cr_expect_str_eq(field("Last-Modified"), "Sat, 01 Jan 2000 00:00:00 GMT");
}

static const struct {
	const char *change;
	const char *coding;
	const char *length; /* of the body, or NULL */
} changes[] = {
	{ "true", "", "5000" },
	{ "echo 123 > page.html.gz", "gzip", "4" },
	{ "echo 12345 > page.html.gz", "gzip", "6" },
	{ "echo 1 > new; mv new page.html.gz", "gzip", "2" },
	{ "mv page.html.gz away", "", "5000" },
	{ "mv away page.html.gz", "gzip", "2" },
	{ "echo changed > page.html", "gzip", "2" }, /* same second, see below */
	{ "touch -d '2030-01-01' page.html", "", "8" },
	{ "touch -d '2030-01-02' page.html.gz", "gzip", "2" },
	{ "rm page.html.gz", "", "8" },
};

Test(static_choose, every_change_of_a_variant_is_followed)
{
	size_t i;

	options.compress = false;
	site_start();
	for (i = 0; i < ARRAY_SIZE(changes); i++) {
		(void)ask("/page.html", "Accept-Encoding: gzip\r\n");
		in_root(changes[i].change);
		/* the clock must not decide whether page.html.gz is of a later second */
		if (strstr(changes[i].change, "changed"))
			in_root("touch -r page.html page.html.gz");
		weir_static_watch(files);
		cr_assert_eq(ask("/page.html", "Accept-Encoding: gzip\r\n"), 200);
		cr_expect_str_eq(field("Content-Encoding"), changes[i].coding, "%s", changes[i].change);
		cr_expect_str_eq(field("Content-Length"), changes[i].length, "%s", changes[i].change);
	}
}

Test(static_choose, compressed_file_follows_its_original)
{
	site_start();
	cr_assert_eq(ask("/page.html", "Accept-Encoding: gzip\r\n"), 200);
	check_decoded("gzip", page, 5000);
	put("page.html", page + 7, 6000);
	weir_static_watch(files);
	cr_assert_eq(ask("/page.html", "Accept-Encoding: gzip\r\n"), 200);
	check_decoded("gzip", page + 7, 6000);
}

Test(static_choose, conditions_and_ranges_are_about_the_representation)
{
	char tag[128], fields[512], whole[8192];

	site_start();
	cr_assert_eq(ask("/page.html", "Accept-Encoding: gzip\r\n"), 200);
	memcpy(whole, body, body_bytes);
	snprintf(tag, sizeof(tag), "%s", field("ETag"));
	snprintf(fields, sizeof(fields), "Accept-Encoding: gzip\r\nIf-None-Match: %s\r\n", tag);
	cr_expect_eq(ask("/page.html", fields), 304);
	cr_expect_str_eq(field("ETag"), tag);
	cr_expect_str_eq(field("Vary"), "Accept-Encoding");
	snprintf(fields, sizeof(fields), "Accept-Encoding: br\r\nIf-None-Match: %s\r\n", tag);
	cr_expect_eq(ask("/page.html", fields), 200, "another representation");
	snprintf(fields, sizeof(fields), "If-Match: %s\r\n", tag);
	cr_expect_eq(ask("/page.html", fields), 412);
	snprintf(fields, sizeof(fields), "Accept-Encoding: gzip\r\nIf-Range: %s\r\nRange: bytes=10-19\r\n", tag);
	cr_assert_eq(ask("/page.html", fields), 206);
	cr_expect_str_eq(field("Content-Encoding"), "gzip");
	cr_expect(body_bytes == 10 && memcmp(body, whole + 10, 10) == 0);
	snprintf(fields, sizeof(fields), "If-Range: %s\r\nRange: bytes=10-19\r\n", tag);
	cr_expect_eq(ask("/page.html", fields), 200, "the tag is of another representation");
	cr_expect_eq(ask("/page.html", "Accept-Encoding: gzip\r\nRange: bytes=4900-\r\n"), 416);
}

Test(static_choose, huge_accept_encoding)
{
	static char fields[15000];
	size_t n = (size_t)sprintf(fields, "Accept-Encoding: ");

	while (n < sizeof(fields) - 100)
		n += (size_t)sprintf(fields + n, "x;q=0.%zu,*;q=0,", n % 1000);
	sprintf(fields + n, "gzip\r\n");
	site_start();
	cr_assert_eq(ask("/page.html", fields), 200);
	cr_expect_str_eq(field("Content-Encoding"), "gzip");
	memset(fields + 17, ',', 14000);
	strcpy(fields + 14017, "\r\n");
	cr_assert_eq(ask("/page.html", fields), 200);
	cr_expect_str_empty(field("Content-Encoding"));
}
