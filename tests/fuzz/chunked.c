// SPDX-License-Identifier: GPL-2.0
/* weir_chunked_eat(): a chunked body ends at the same byte, or is refused, however it is cut. */
#include "http/http.h"

#include "fuzz.h"

/* Feeds `size` bytes, at most `step` at a time. Returns the bytes eaten, or the error. */
static ptrdiff_t eat(const uint8_t *data, size_t size, size_t step, bool *ret_done)
{
	struct weir_chunked c = {};
	size_t at = 0;

	while (at < size && !c.is_done) {
		size_t n = size - at < step ? size - at : step;
		char *part = fuzz_copy(data + at, n);
		ptrdiff_t eaten = weir_chunked_eat(&c, part, n);

		free(part);
		if (eaten < 0)
			return eaten;
		assert((size_t)eaten <= n && (c.is_done || (size_t)eaten == n));
		at += (size_t)eaten;
	}
	*ret_done = c.is_done;
	return (ptrdiff_t)at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool whole_done = false, bytes_done = false;
	ptrdiff_t whole = eat(data, size, size, &whole_done), bytes = eat(data, size, 1, &bytes_done);

	assert(whole == bytes && whole_done == bytes_done);
	return 0;
}
