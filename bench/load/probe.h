/* SPDX-License-Identifier: GPL-2.0 */
/* Learns, through an ordinary socket, the response that the generator must then see every time. */
#ifndef BENCH_PROBE_H
#define BENCH_PROBE_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

struct probe {
	char request[512];
	size_t request_bytes;
	char response[2048];
	size_t response_bytes;
	size_t head_bytes;
	size_t date_off; /* of the Date value's 29 bytes */
};

/* Asks `server` for `path` `times` times on connections of their own, from `client`, and keeps the last response.
 * Returns 0, or -1 after a message on stderr. */
int probe_learn(const struct sockaddr_in *client, const struct sockaddr_in *server, const char *path,
		const char *host, int times, struct probe *ret);

/* Whether the body is the content of `file`. Returns 0, or -1 after a message. */
int probe_compare(const struct probe *p, const char *file);

#endif
