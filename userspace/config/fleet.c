// SPDX-License-Identifier: GPL-2.0
/* The fleet's parameters: addresses, and files with secrets in them. */
#include "config/config_priv.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static char why_text[160];

/* The whole of a small file that only its owner may read. */
static int read_private(const char *path, char *buf, size_t room, size_t *ret_bytes, const char **ret_why)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	size_t filled = 0;
	struct stat st;
	ssize_t n = 1;

	*ret_why = why_text;
	if (fd < 0 || fstat(fd, &st) < 0) {
		snprintf(why_text, sizeof(why_text), "%s", strerror(errno));
		return -errno;
	}
	*ret_why = "it is no file";
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	snprintf(why_text, sizeof(why_text), "others than its owner may read it (mode %04o): chmod 600 it",
		 (unsigned)st.st_mode & 07777);
	*ret_why = why_text;
	if (st.st_mode & 077)
		return -EINVAL;
	while (n > 0 && filled < room) {
		n = read(fd, buf + filled, room - filled);
		if (n > 0)
			filled += (size_t)n;
	}
	*ret_why = "it is too long";
	if (n < 0 || filled == room)
		return n < 0 ? -errno : -EINVAL;
	*ret_bytes = filled;
	return 0;
}

static int hex(char c)
{
	return isdigit((unsigned char)c)    ? c - '0'
	       : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10
					    : -1;
}

int weir_fleet_secret_read(const char *path, unsigned char ret[WEIR_FLEET_SECRET_BYTES], const char **ret_why)
{
	char text[2 * WEIR_FLEET_SECRET_BYTES + 3];
	size_t bytes = 0, i;
	int r = read_private(path, text, sizeof(text), &bytes, ret_why);

	if (r < 0)
		return r;
	if (bytes == WEIR_FLEET_SECRET_BYTES) {
		memcpy(ret, text, bytes);
		explicit_bzero(text, sizeof(text));
		return 0;
	}
	while (bytes > 0 && strchr("\r\n", text[bytes - 1]))
		bytes--;
	r = bytes == 2 * WEIR_FLEET_SECRET_BYTES ? 0 : -EINVAL;
	for (i = 0; r == 0 && i < WEIR_FLEET_SECRET_BYTES; i++) {
		int high = hex(text[2 * i]), low = hex(text[2 * i + 1]);

		if (high < 0 || low < 0)
			r = -EINVAL;
		else
			ret[i] = (unsigned char)(high << 4 | low);
	}
	explicit_bzero(text, sizeof(text));
	*ret_why = "it must hold 32 bytes or 64 hexadecimal digits, as `openssl rand -hex 32` makes them";
	return r;
}

int weir_fleet_password_read(const char *path, char buf[WEIR_FLEET_PASSWORD_MAX], const char **ret_account,
			     const char **ret_why)
{
	char *end, *account = NULL;
	size_t bytes = 0;
	int r = read_private(path, buf, WEIR_FLEET_PASSWORD_MAX - 1, &bytes, ret_why);

	if (r < 0)
		return r;
	buf[bytes] = '\0';
	*ret_why = "it holds a zero byte";
	if (strlen(buf) != bytes)
		return -EINVAL;
	end = strchr(buf, '\n');
	if (end) {
		*end = '\0';
		account = end + 1;
		account[strcspn(account, "\n")] = '\0';
	}
	*ret_why = "its first line, the password, is empty";
	if (!*buf)
		return -EINVAL;
	*ret_account = account && *account ? account : NULL;
	return 0;
}

static bool is_server(const char *text)
{
	const char *colon = strrchr(text, ':');
	unsigned long port;
	char *end;

	if (strlen(text) > WEIR_FLEET_SERVER_MAX || text[strcspn(text, " \t\r\n")])
		return false;
	if (!strncmp(text, "unix:", 5))
		return text[5] == '/' && strlen(text + 5) < 108;
	if (!colon || colon == text || !isdigit((unsigned char)colon[1]))
		return false;
	port = strtoul(colon + 1, &end, 10);
	if (*end || !port || port > 65535)
		return false;
	if (text[0] == '[')
		return colon > text + 2 && colon[-1] == ']';
	return !memchr(text, ':', (size_t)(colon - text));
}

static int line_of(const struct weir_config *c, enum weir_param_id id)
{
	return MAX(c->lines[id], 0);
}

void weir_conf_check_fleet(const struct weir_config *c, struct weir_conf_report *report)
{
	const struct weir_conf_fleet *f = &c->fleet;
	unsigned char secret[WEIR_FLEET_SECRET_BYTES];
	char password[WEIR_FLEET_PASSWORD_MAX];
	const char *why, *account;

	if (f->redis && !is_server(f->redis))
		weir_conf_error(report, c->file, line_of(c, WEIR_PARAM_GLOBAL_fleet_redis),
				"fleet_redis '%s': write \"HOST:PORT\" or \"unix:/PATH\"", f->redis);
	if (f->stream[strcspn(f->stream, " \t\r\n")] || strlen(f->stream) > WEIR_FLEET_STREAM_MAX)
		weir_conf_error(report, c->file, line_of(c, WEIR_PARAM_GLOBAL_fleet_stream),
				"fleet_stream '%s': a name without spaces, of up to %d bytes", f->stream,
				WEIR_FLEET_STREAM_MAX);
	if (f->password_file && weir_fleet_password_read(f->password_file, password, &account, &why) < 0)
		weir_conf_error(report, c->file, line_of(c, WEIR_PARAM_GLOBAL_fleet_password_file),
				"fleet_password_file '%s': %s", f->password_file, why);
	if (f->password_file && !f->redis)
		weir_conf_warning(report, c->file, line_of(c, WEIR_PARAM_GLOBAL_fleet_password_file),
				  "fleet_password_file has no use without fleet_redis");
	if (f->secret_file && weir_fleet_secret_read(f->secret_file, secret, &why) < 0)
		weir_conf_error(report, c->file, line_of(c, WEIR_PARAM_GLOBAL_fleet_secret_file),
				"fleet_secret_file '%s': %s", f->secret_file, why);
	explicit_bzero(secret, sizeof(secret));
	explicit_bzero(password, sizeof(password));
}
