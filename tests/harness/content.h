/* SPDX-License-Identifier: GPL-2.0 */
/* Deterministic file contents: the last "-NUMBER" of a path says how many bytes the file has, and the file's
 * name seeds them. The servers under test, the oracle listener and the clients all know a body without
 * having talked to each other. tests/harness/content.py is the same generator in Python. */
#ifndef WEIR_TEST_CONTENT_H
#define WEIR_TEST_CONTENT_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* FNV-1a of the file name: 1 to `bytes` characters behind the last slash. Never 0. */
static inline uint32_t content_seed(const char *name, size_t bytes)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < bytes; i++)
		h = (h ^ (uint8_t)name[i]) * 16777619u;
	return h ? h : 1;
}

/* Size in the name "f001-0100.txt": the number behind the last '-'; -1 if there is none. */
static inline long content_size(const char *name, size_t bytes)
{
	size_t i = bytes;

	while (i > 0 && name[i - 1] != '-')
		i--;
	if (i == 0 || i == bytes || name[i] < '0' || name[i] > '9')
		return -1;
	return strtol(name + i, NULL, 10);
}

/* xorshift32, one lower-case letter a step, a new line each 64: readable in tcpdump, and never repeats in step
 * with a segment size. */
static inline void content_fill(uint32_t seed, char *ret, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		seed ^= seed << 13;
		seed ^= seed >> 17;
		seed ^= seed << 5;
		ret[i] = i % 64 == 63 ? '\n' : (char)('a' + seed % 26);
	}
}

/* The file name in a request target or path: behind the last slash, up to a query. */
static inline const char *content_name(const char *path, size_t bytes, size_t *ret_bytes)
{
	size_t end = 0, start = 0;

	while (end < bytes && path[end] != '?')
		end++;
	for (size_t i = 0; i < end; i++)
		if (path[i] == '/')
			start = i + 1;
	*ret_bytes = end - start;
	return path + start;
}

#endif
