// SPDX-License-Identifier: GPL-2.0
/* weir_chunked_eat() and weir_chunked_next(): a chunked body ends at the same byte with the same data, or is refused,
 * however it is cut. */
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

/* The data of the body instead of its bytes, written to `out`. */
static ptrdiff_t decode(const uint8_t *data, size_t size, size_t step, char *out, size_t *ret_bytes)
{
	struct weir_chunked c = {};
	size_t at = 0;

	*ret_bytes = 0;
	while (at < size && !c.is_done) {
		size_t n = size - at < step ? size - at : step;
		char *part = fuzz_copy(data + at, n);
		struct weir_str piece;
		ptrdiff_t eaten = weir_chunked_next(&c, part, n, &piece);

		if (eaten >= 0) {
			assert(eaten > 0 && (size_t)eaten <= n && piece.n <= (size_t)eaten);
			assert(piece.n == 0 || piece.p + piece.n == part + eaten);
			if (piece.n > 0)
				memcpy(out + *ret_bytes, piece.p, piece.n);
			*ret_bytes += piece.n;
		}
		free(part);
		if (eaten < 0)
			return eaten;
		at += (size_t)eaten;
	}
	return (ptrdiff_t)at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool whole_done = false, bytes_done = false;
	char *whole_data, *bytes_data;
	size_t n, m;
	ptrdiff_t whole = eat(data, size, size, &whole_done), bytes = eat(data, size, 1, &bytes_done);

	assert(whole == bytes && whole_done == bytes_done);
	whole_data = malloc(size + 1);
	bytes_data = malloc(size + 1);
	assert(whole_data && bytes_data);
	assert(decode(data, size, size, whole_data, &n) == whole && decode(data, size, 1, bytes_data, &m) == whole);
	assert(whole < 0 || (n == m && memcmp(whole_data, bytes_data, n) == 0));
	free(whole_data);
	free(bytes_data);
	return 0;
}
