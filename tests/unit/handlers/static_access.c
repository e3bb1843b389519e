/* SPDX-License-Identifier: GPL-2.0 */
/* Who gets in: by address and by password, and that nothing of it reaches the kernel cache. */
#include "static_site.h"

#include <errno.h>
#include <linux/bpf.h>
#include <sys/syscall.h>

#include "config/config.h"
#include "handlers/htpasswd.h"

static char users[80];

static void init(void)
{
	site_init("echo -n secret > file.txt; mkdir x; chmod 755 .");
	snprintf(users, sizeof(users), "%s.users", root);
}

static void fini(void)
{
	site_fini();
	unlink(users);
}

TestSuite(static_access, .init = init, .fini = fini, .timeout = 60);

static void set_client(const char *text)
{
	bool is_v6;

	cr_assert(weir_conf_addr_parse(text, strlen(text), &flow.client, &is_v6), "%s", text);
}

static const struct {
	const char *client;
	unsigned status;
} clients[] = {
	{ "10.1.2.3", 403 },	  { "10.1.2.4", 200 },	    { "10.255.255.255", 200 }, { "11.0.0.0", 403 },
	{ "9.255.255.255", 403 }, { "192.168.1.127", 200 }, { "192.168.1.128", 403 },  { "127.0.0.1", 403 },
	{ "fd00::1", 200 },	  { "fdff::", 200 },	    { "fe00::", 403 },	       { "2001:db8::5", 200 },
	{ "2001:db8::4", 403 },	  { "::1", 403 },	    { "::10.1.2.4", 403 },
};

Test(static_access, first_row_counts)
{
	size_t i;

	WORDS(options.access, "deny 10.1.2.3", "allow 10.0.0.0/8", "allow 192.168.1.0/25", "allow fd00::/8",
	      "allow 2001:db8::5");
	site_start();
	for (i = 0; i < ARRAY_SIZE(clients); i++) {
		set_client(clients[i].client);
		cr_expect_eq(ask("/file.txt", ""), clients[i].status, "%s: %u", clients[i].client, resp.status);
		cr_expect_eq(ask("/nothing", ""), clients[i].status == 403 ? 403 : 404, "%s", clients[i].client);
		cr_expect_eq(ask("/x", ""), clients[i].status == 403 ? 403 : 301, "%s", clients[i].client);
	}
}

Test(static_access, who_is_only_denied_leaves_the_others)
{
	WORDS(options.access, "deny 10.0.0.0/8");
	site_start();
	set_client("10.0.0.1");
	cr_expect_eq(ask("/file.txt", ""), 403);
	set_client("127.0.0.1");
	cr_expect_eq(ask("/file.txt", ""), 200);
	cr_expect_str_eq(field("Cache-Control"), "private");
}

static void write_users(const char *text)
{
	FILE *f = fopen(users, "we");

	cr_assert_not_null(f);
	fputs(text, f);
	fclose(f);
}

static void add_user(const char *command)
{
	char text[256];

	snprintf(text, sizeof(text), command, users);
	cr_assert_eq(system(text), 0, "%s", text);
}

/* Status for a user and password. */
static unsigned ask_as(const char *pair)
{
	char command[256], encoded[256] = "", fields[400];
	FILE *f;

	snprintf(command, sizeof(command), "printf '%%s' '%s' | base64 -w0", pair);
	f = popen(command, "re");
	cr_assert(f && fgets(encoded, sizeof(encoded), f));
	pclose(f);
	snprintf(fields, sizeof(fields), "Authorization: Basic %s\r\n", encoded);
	return ask("/file.txt", fields);
}

static const struct {
	const char *pair;
	unsigned status;
} pairs[] = {
	{ "bcrypt:password", 200 }, { "bcrypt:password", 200 },
	{ "apr1:password", 200 },   { "sha512:password", 200 },
	{ "sha256:password", 200 }, { "long:0123456789012345678901234567890123456789", 200 },
	{ "colon:pass:word", 200 }, { "bcrypt:Password", 401 },
	{ "bcrypt:", 401 },	    { "bcrypt:password ", 401 },
	{ "nobody:password", 401 }, { ":password", 401 },
	{ "plain:password", 401 },  { "sha1:password", 401 },
	{ "des:password", 401 },    { "apr1:passwor", 401 },
	{ "bcryp:password", 401 },  { "bcrypt", 401 },
};

/* Users made by the tools that people use. */
Test(static_access, passwords)
{
	size_t i;

	write_users("");
	add_user("htpasswd -bB %s bcrypt password 2>&1");
	add_user("htpasswd -bm %s apr1 password 2>&1");
	add_user("htpasswd -bm %s long 0123456789012345678901234567890123456789 2>&1");
	add_user("htpasswd -bm %s colon pass:word 2>&1");
	add_user("echo \"sha512:$(openssl passwd -6 password)\" >> %s");
	add_user("echo \"sha256:$(openssl passwd -5 password)\" >> %s");
	add_user("{ printf '# a comment\\n\\nplain:password\\nsha1:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\\n';"
		 " printf 'des:rqXexS6ZhobKA\\nbroken\\n:$2y$\\n'; } >> %s");
	options.auth_file = users;
	options.auth_realm = "the realm";
	site_start();
	cr_expect_eq(ask("/file.txt", ""), 401);
	cr_expect_str_eq(field("WWW-Authenticate"), "Basic realm=\"the realm\", charset=\"UTF-8\"");
	for (i = 0; i < ARRAY_SIZE(pairs); i++)
		cr_expect_eq(ask_as(pairs[i].pair), pairs[i].status, "%s: %u", pairs[i].pair, resp.status);
	cr_expect_eq(ask_as("bcrypt:password"), 200);
	cr_expect_str_eq(field("Cache-Control"), "private");
}

Test(static_access, apr1_is_that_of_apache)
{
	char command[128], want[64], made[WEIR_APR1_BYTES], setting[32];
	static const char *const passwords[] = { "", "a", "password", "exactly sixteen.",
						 "0123456789012345678901234567890123" };
	size_t i;
	FILE *f;

	for (i = 0; i < ARRAY_SIZE(passwords); i++) {
		snprintf(command, sizeof(command), "printf '%%s\\n' '%s' | openssl passwd -apr1 -salt salt%zu -stdin",
			 passwords[i], i);
		f = popen(command, "re");
		cr_assert(f && fgets(want, sizeof(want), f));
		pclose(f);
		want[strcspn(want, "\n")] = '\0';
		snprintf(setting, sizeof(setting), "$apr1$salt%zu$", i);
		cr_assert_eq(weir_apr1(passwords[i], setting, made), 0);
		cr_expect_str_eq(made, want, "'%s'", passwords[i]);
	}
	cr_expect_eq(weir_apr1("a", "$1$salt$", made), -EINVAL);
	cr_expect_eq(weir_apr1("a", "$apr1$", made), 0, "a hash without salt or end");
}

static const char *const malformed[] = {
	"Authorization: Basic\r\n",
	"Authorization: Basic \r\n",
	"Authorization: Basic =\r\n",
	"Authorization: Basic ==\r\n",
	"Authorization: Basic ====\r\n",
	"Authorization: Basic A\r\n",
	"Authorization: Basic !!!!\r\n",
	"Authorization: Basic YmNyeXB0\r\n",
	"Authorization: Basic YTo=YTo=\r\n",
	"Authorization: Basic YQA6YQ==\r\n", /* a NUL in it */
	"Authorization: Bearer YTpi\r\n",
	"Authorization: BasicYTpi\r\n",
	"Authorization: Basic YTpw\r\nAuthorization: Basic YTpw\r\n",
};

Test(static_access, malformed_credentials)
{
	static char fields[9000] = "Authorization: Basic ";
	size_t i;

	write_users("");
	add_user("htpasswd -bm %s a p 2>&1");
	options.auth_file = users;
	options.auth_realm = "r";
	site_start();
	cr_assert_eq(ask("/file.txt", "Authorization: Basic YTpw\r\n"), 200);
	cr_expect_eq(ask("/file.txt", "Authorization: bAsIc   YTpw\r\n"), 200);
	for (i = 0; i < ARRAY_SIZE(malformed); i++)
		cr_expect_eq(ask("/file.txt", malformed[i]), 401, "%s", malformed[i]);
	memset(fields + strlen(fields), 'Y', 8000);
	strcat(fields, "\r\n");
	cr_expect_eq(ask("/file.txt", fields), 401);
}

Test(static_access, password_file_is_followed)
{
	struct weir_htpasswd *h;
	struct weir_str a = WEIR_STR("Basic YTpw"), b = WEIR_STR("Basic Yjpw");
	int i;

	write_users("plain:text\n");
	add_user("htpasswd -bm %s a p 2>&1");
	cr_assert_eq(weir_htpasswd_new(users, &h), 0);
	cr_expect_eq(weir_htpasswd_bad_lines(h), 1);
	cr_expect_eq(weir_htpasswd_check(h, a), 0);
	cr_expect_eq(weir_htpasswd_check(h, b), -EACCES);
	unlink(users);
	add_user("htpasswd -cbm %s b p 2>&1");
	/* it is looked at once a second */
	for (i = 0; i < 300 && weir_htpasswd_check(h, b) != 0; i++)
		usleep(10000);
	cr_expect_eq(weir_htpasswd_check(h, b), 0);
	cr_expect_eq(weir_htpasswd_check(h, a), -EACCES, "what was right is forgotten");
	unlink(users);
	for (i = 0; i < 300 && weir_htpasswd_check(h, b) != -ENOENT; i++)
		usleep(10000);
	cr_expect_eq(weir_htpasswd_check(h, b), -ENOENT, "nobody gets in without the file");
	weir_htpasswd_free(h);
}

Test(static_access, nobody_gets_in_when_the_file_cannot_be_read)
{
	options.auth_file = users;
	options.auth_realm = "r";
	site_start();
	cr_expect_eq(ask("/file.txt", "Authorization: Basic YTpw\r\n"), 500);
	cr_expect_eq(ask("/file.txt", ""), 500);
}

static int make_map(uint32_t value_bytes)
{
	union bpf_attr attr = { 0 };

	attr.map_type = BPF_MAP_TYPE_HASH;
	attr.key_size = sizeof(struct weir_cache_key);
	attr.value_size = value_bytes;
	attr.max_entries = 16;
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

Test(static_access, pool_with_address_rules_publishes_nothing)
{
	make_maps();
	WORDS(options.access, "allow all");
	site_start();
	cr_assert_eq(ask("/file.txt", ""), 200);
	cr_expect_eq(weir_metrics_get(&metrics, published), 0);
}

Test(static_access, pool_with_passwords_publishes_nothing)
{
	make_maps();
	write_users("");
	add_user("htpasswd -bm %s a p 2>&1");
	options.auth_file = users;
	options.auth_realm = "r";
	site_start();
	cr_assert_eq(ask("/file.txt", "Authorization: Basic YTpw\r\n"), 200);
	cr_assert_eq(ask("/file.txt", ""), 401);
	cr_expect_eq(weir_metrics_get(&metrics, published), 0);
}

Test(static_access, pool_that_asks_nobody_publishes)
{
	make_maps();
	site_start();
	cr_assert_eq(ask("/file.txt", ""), 200);
	cr_expect_eq(weir_metrics_get(&metrics, published), 1);
}
