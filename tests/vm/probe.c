// SPDX-License-Identifier: GPL-2.0
/* The client inside the virtual machine, linked statically; tests/vm/init calls it.
 *
 *     probe get ADDR PORT TARGET=FILE...    all requests on one keep-alive connection, one after the other:
 *                                           each must give 200 and the bytes of FILE, else exit 1
 *     probe json KEY.KEY...                 prints that number of the JSON on standard input; exit 1: none */
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <jansson.h>

#define RESPONSE_MAX (1u << 20)
#define TIMEOUT_S 20

/* Reads one response into `buf`, sets where its body is. Returns its status, or -1 after a message. */
static int read_response(int fd, char *buf, char **ret_body, size_t *ret_bytes)
{
	size_t have = 0, need = 0;
	char *end = NULL, *field;
	int status;

	while (!end || have < need) {
		ssize_t n = have < RESPONSE_MAX ? read(fd, buf + have, RESPONSE_MAX - have) : 0;

		if (n <= 0) {
			fprintf(stderr, "response ends after %zu bytes: %s\n", have, n ? strerror(errno) : "closed");
			return -1;
		}
		have += (size_t)n;
		buf[have] = 0;
		if (end)
			continue;
		end = strstr(buf, "\r\n\r\n");
		if (!end)
			continue;
		field = strcasestr(buf, "\r\ncontent-length:");
		if (!field || field > end || sscanf(buf, "HTTP/1.1 %d", &status) != 1) {
			fprintf(stderr, "not a response with a length: %.200s\n", buf);
			return -1;
		}
		need = (size_t)(end + 4 - buf) + strtoul(field + strlen("\r\ncontent-length:"), NULL, 10);
	}
	if (have != need) {
		fprintf(stderr, "%zu bytes behind the response\n", have - need);
		return -1;
	}
	*ret_body = end + 4;
	*ret_bytes = need - (size_t)(end + 4 - buf);
	return status;
}

static bool equals_file(const char *path, const char *body, size_t bytes)
{
	static char content[RESPONSE_MAX];
	FILE *f = fopen(path, "r");
	size_t n;

	if (!f) {
		perror(path);
		return false;
	}
	n = fread(content, 1, sizeof(content), f);
	fclose(f);
	return n == bytes && !memcmp(content, body, n);
}

static int get(const char *addr, const char *port, char **targets, int count)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };
	struct timeval limit = { .tv_sec = TIMEOUT_S };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	static char buf[RESPONSE_MAX + 1];

	if (inet_pton(AF_INET, addr, &to.sin_addr) != 1 || fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to))) {
		fprintf(stderr, "%s:%s: %s\n", addr, port, strerror(errno));
		return 1;
	}
	for (int i = 0; i < count; i++) {
		char *file = strchr(targets[i], '='), *body;
		size_t bytes;
		int status;

		if (!file) {
			fprintf(stderr, "%s: want TARGET=FILE\n", targets[i]);
			return 2;
		}
		*file++ = 0;
		if (dprintf(fd, "GET %s HTTP/1.1\r\nHost: %s:%s\r\n\r\n", targets[i], addr, port) < 0) {
			perror("send");
			return 1;
		}
		status = read_response(fd, buf, &body, &bytes);
		if (status != 200 || !equals_file(file, body, bytes)) {
			fprintf(stderr, "%s: status %d, or not the bytes of %s\n", targets[i], status, file);
			return 1;
		}
	}
	return close(fd) ? 1 : 0;
}

static int print_number(char *path)
{
	json_error_t error;
	json_t *value = json_loadf(stdin, 0, &error);
	char *key, *rest = path;

	if (!value)
		fprintf(stderr, "not JSON: %s\n", error.text);
	while (value && (key = strsep(&rest, ".")))
		value = json_object_get(value, key);
	if (!json_is_number(value)) {
		fprintf(stderr, "no such number\n");
		return 1;
	}
	printf("%.0f\n", json_number_value(value));
	return 0;
}

int main(int argc, char **argv)
{
	if (argc >= 5 && !strcmp(argv[1], "get"))
		return get(argv[2], argv[3], argv + 4, argc - 4);
	if (argc == 3 && !strcmp(argv[1], "json"))
		return print_number(argv[2]);
	fprintf(stderr, "usage: probe get ADDR PORT TARGET=FILE... | probe json KEY.KEY\n");
	return 2;
}
