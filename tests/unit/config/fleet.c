// SPDX-License-Identifier: GPL-2.0
/* Secret and password files: userspace/config/fleet.c. */
#include "config/config.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[] = "/tmp/weir_fleet_XXXXXX";

static void put(const char *bytes, size_t count, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_TRUNC);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, bytes, count), (ssize_t)count);
	cr_assert_eq(fchmod(fd, mode), 0);
	close(fd);
}

static void make(void)
{
	close(mkstemp(path));
}

static void gone(void)
{
	unlink(path);
}

TestSuite(fleet, .init = make, .fini = gone);

#define HEX "00112233445566778899aabbccddeeffFFEEDDCCBBAA99887766554433221100"

Test(fleet, a_secret_is_bytes_or_digits)
{
	unsigned char secret[WEIR_FLEET_SECRET_BYTES];
	const char *why;

	put(HEX "\n", 65, 0600);
	cr_assert_eq(weir_fleet_secret_read(path, secret, &why), 0);
	cr_assert(secret[0] == 0 && secret[1] == 0x11 && secret[16] == 0xff && secret[31] == 0);
	put(HEX, 64, 0400);
	cr_assert_eq(weir_fleet_secret_read(path, secret, &why), 0);
	put("\n2345678901234567890123456789012", 32, 0600);
	cr_assert_eq(weir_fleet_secret_read(path, secret, &why), 0);
	cr_assert_arr_eq(secret, "\n2345678901234567890123456789012", 32);
}

Test(fleet, a_bad_secret_is_refused_with_a_reason)
{
	static const struct {
		const char *text;
		mode_t mode;
		const char *why;
	} rows[] = {
		{ HEX, 0640, "others" },
		{ HEX, 0604, "others" },
		{ "", 0600, "32 bytes" },
		{ "short", 0600, "32 bytes" },
		{ HEX "0", 0600, "32 bytes" },
		{ HEX HEX, 0600, "too long" },
		{ "0x112233445566778899aabbccddeeffFFEEDDCCBBAA9988776655443322110_", 0600, "32 bytes" },
	};
	unsigned char secret[WEIR_FLEET_SECRET_BYTES];
	const char *why;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		put(rows[i].text, strlen(rows[i].text), rows[i].mode);
		cr_expect_eq(weir_fleet_secret_read(path, secret, &why), -EINVAL, "%zu", i);
		cr_expect(strstr(why, rows[i].why), "%zu: %s", i, why);
	}
	cr_assert_eq(weir_fleet_secret_read("/tmp/none/at/all", secret, &why), -ENOENT);
	cr_assert_eq(weir_fleet_secret_read("/tmp", secret, &why), -EINVAL);
}

Test(fleet, a_password_may_have_an_account)
{
	char buf[WEIR_FLEET_PASSWORD_MAX];
	const char *account, *why;

	put("pass word\n", 10, 0600);
	cr_assert_eq(weir_fleet_password_read(path, buf, &account, &why), 0);
	cr_assert_str_eq(buf, "pass word");
	cr_assert_null(account);
	put("x\nweir\nmore\n", 12, 0600);
	cr_assert_eq(weir_fleet_password_read(path, buf, &account, &why), 0);
	cr_assert_str_eq(buf, "x");
	cr_assert_str_eq(account, "weir");
	put("\nweir\n", 6, 0600);
	cr_assert_eq(weir_fleet_password_read(path, buf, &account, &why), -EINVAL);
	put("a\0b", 3, 0600);
	cr_assert_eq(weir_fleet_password_read(path, buf, &account, &why), -EINVAL);
	put("x\n", 2, 0644);
	cr_assert_eq(weir_fleet_password_read(path, buf, &account, &why), -EINVAL);
}

/* Errors that mention `word`, of a configuration with this line. */
static unsigned errors(const char *line, const char *word)
{
	struct weir_conf_options o = { .file = path };
	struct weir_conf_report report = {};
	struct weir_config *c = NULL;
	unsigned n = 0;
	size_t i;
	char text[1024];
	int bytes = snprintf(text, sizeof(text),
			     "listen = {\"127.0.0.1:8080\"}\n%s\npool a { root = \"/tmp\" prefixes = "
			     "{\"http://*:8080/\"} }\n",
			     line);

	put(text, (size_t)bytes, 0600);
	if (weir_config_load(&o, &report, &c) == 0)
		weir_config_free(c);
	for (i = 0; i < report.count; i++)
		n += !report.rows[i].is_warning && strstr(report.rows[i].text, word);
	weir_conf_report_fini(&report);
	return n;
}

Test(fleet, servers_are_host_and_port_or_a_socket)
{
	static const char *const good[] = { "127.0.0.1:6379", "redis.example:1", "[::1]:6379", "unix:/run/redis.sock" };
	static const char *const bad[] = { "redis", ":6379",	  "redis:0", "redis:65536", "::1:6379",
					   "[::1]", "unix:redis", "a b:1",   "redis:1x" };
	char line[128];
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(*good); i++) {
		snprintf(line, sizeof(line), "fleet_redis = \"%s\"", good[i]);
		cr_expect_eq(errors(line, "fleet_redis"), 0, "%s", good[i]);
	}
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		snprintf(line, sizeof(line), "fleet_redis = \"%s\"", bad[i]);
		cr_expect_eq(errors(line, "fleet_redis"), 1, "%s", bad[i]);
	}
	cr_expect_eq(errors("fleet_stream = \"a b\"", "fleet_stream"), 1);
	cr_expect_eq(errors("fleet_secret_file = \"/none\"", "fleet_secret_file"), 1);
	cr_expect_eq(errors("fleet_redis = \"a:1\"\nfleet_password_file = \"/none\"", "fleet_password_file"), 1);
}
