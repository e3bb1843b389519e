/* SPDX-License-Identifier: GPL-2.0 */
/* Several hosts with one face: where their purges meet, and what their SYN cookies are made from. */
#ifndef WEIR_CONFIG_FLEET_H
#define WEIR_CONFIG_FLEET_H

#include <stddef.h>

#define WEIR_FLEET_SERVER_MAX 200
#define WEIR_FLEET_STREAM_MAX 128
#define WEIR_FLEET_SECRET_BYTES 32
#define WEIR_FLEET_PASSWORD_MAX 512

struct weir_conf_fleet {
	char *redis; /* "unix:/PATH" or "HOST:PORT"; NULL: purges stay on this host */
	char *stream;
	char *password_file; /* NULL: none */
	char *secret_file;   /* NULL: secrets of this host alone */
};

/* Reads a secret file: 32 bytes, or 64 hexadecimal digits and perhaps a line end. Nobody but its owner may read it. The
 * caller forgets `ret` when it can. -EINVAL or an error of open(): *ret_why (static) says what is wrong. */
int weir_fleet_secret_read(const char *path, unsigned char ret[WEIR_FLEET_SECRET_BYTES], const char **ret_why);

/* Reads a password file: the password in the first line; in the second, where there is one, the account. Both are
 * zero-terminated in `buf`; *ret_account is NULL where there is none. Errors as above. */
int weir_fleet_password_read(const char *path, char buf[WEIR_FLEET_PASSWORD_MAX], const char **ret_account,
			     const char **ret_why);

#endif
