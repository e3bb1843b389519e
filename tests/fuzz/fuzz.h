/* SPDX-License-Identifier: GPL-2.0 */
/* What the drivers share. Each driver is one parser: libFuzzer calls LLVMFuzzerTestOneInput() with bytes as a
 * client or a file could send them, and a sanitizer or an assert ends the process when something is wrong. */
#ifndef WEIR_FUZZ_H
#define WEIR_FUZZ_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy that ends where the sanitizer sees the first byte read too far. The caller frees it. */
static inline char *fuzz_copy(const uint8_t *data, size_t size)
{
	char *copy = malloc(size ? size : 1);

	assert(copy);
	if (size)
		memcpy(copy, data, size);
	return copy;
}

#endif
