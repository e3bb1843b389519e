/* SPDX-License-Identifier: GPL-2.0 */
/* Apache's variant of the MD5 crypt scheme, which libcrypt does not have: the same thousand rounds, but its own magic
 * in the first digest. Pure. */
#include "handlers/htpasswd.h"

#include <errno.h>
#include <md5.h>
#include <string.h>

#define MAGIC "$apr1$"
#define MAGIC_BYTES (sizeof(MAGIC) - 1)
#define SALT_MAX 8

static void put(char **out, unsigned value, int count)
{
	static const char letters[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

	for (; count > 0; count--, value >>= 6)
		*(*out)++ = letters[value & 63];
}

static void first_digest(const char *password, const char *salt, size_t salt_bytes, uint8_t ret[MD5_DIGEST_LENGTH])
{
	size_t bytes = strlen(password), i;
	MD5_CTX c;

	MD5Init(&c);
	MD5Update(&c, (const uint8_t *)password, bytes);
	MD5Update(&c, (const uint8_t *)salt, salt_bytes);
	MD5Update(&c, (const uint8_t *)password, bytes);
	MD5Final(ret, &c);

	MD5Init(&c);
	MD5Update(&c, (const uint8_t *)password, bytes);
	MD5Update(&c, (const uint8_t *)MAGIC, MAGIC_BYTES);
	MD5Update(&c, (const uint8_t *)salt, salt_bytes);
	for (i = bytes; i > 0; i -= MIN(i, (size_t)MD5_DIGEST_LENGTH))
		MD5Update(&c, ret, MIN(i, (size_t)MD5_DIGEST_LENGTH));
	for (i = bytes; i > 0; i >>= 1)
		MD5Update(&c, i & 1 ? (const uint8_t *)"" : (const uint8_t *)password, 1);
	MD5Final(ret, &c);
}

int weir_apr1(const char *password, const char *setting, char *out)
{
	static const uint8_t order[][3] = { { 0, 6, 12 }, { 1, 7, 13 }, { 2, 8, 14 }, { 3, 9, 15 }, { 4, 10, 5 } };
	const char *salt = setting + MAGIC_BYTES;
	uint8_t d[MD5_DIGEST_LENGTH];
	size_t salt_bytes, i;

	if (strncmp(setting, MAGIC, MAGIC_BYTES) != 0)
		return -EINVAL;
	salt_bytes = MIN(strcspn(salt, "$"), (size_t)SALT_MAX);
	first_digest(password, salt, salt_bytes, d);
	for (i = 0; i < 1000; i++) {
		MD5_CTX c;

		MD5Init(&c);
		MD5Update(&c, i & 1 ? (const uint8_t *)password : d, i & 1 ? strlen(password) : sizeof(d));
		if (i % 3)
			MD5Update(&c, (const uint8_t *)salt, salt_bytes);
		if (i % 7)
			MD5Update(&c, (const uint8_t *)password, strlen(password));
		MD5Update(&c, i & 1 ? d : (const uint8_t *)password, i & 1 ? sizeof(d) : strlen(password));
		MD5Final(d, &c);
	}
	memcpy(out, MAGIC, MAGIC_BYTES);
	memcpy(out + MAGIC_BYTES, salt, salt_bytes);
	out += MAGIC_BYTES + salt_bytes;
	*out++ = '$';
	for (i = 0; i < ARRAY_SIZE(order); i++)
		put(&out, (unsigned)d[order[i][0]] << 16 | (unsigned)d[order[i][1]] << 8 | d[order[i][2]], 4);
	put(&out, d[11], 2);
	*out = '\0';
	return 0;
}
