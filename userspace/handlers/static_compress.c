/* SPDX-License-Identifier: GPL-2.0 */
/* Compression of whole buffers by zlib, brotli and zstd. The result is kept for as long as the file, so it may cost
 * more than what is compressed for one response. Any thread. */
#include "handlers/static_priv.h"

#include <brotli/encode.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

/* By level, 1 to 9. */
static const struct {
	uint8_t gzip, brotli, zstd;
} levels[] = {
	{ 1, 1, 1 }, { 1, 1, 1 }, { 2, 2, 2 },	{ 3, 3, 3 },  { 4, 4, 5 },
	{ 5, 5, 7 }, { 6, 5, 9 }, { 7, 6, 12 }, { 8, 7, 14 }, { 9, 9, 17 },
};

/* What the result must fit into to be worth it: one sixteenth less. */
static size_t room(size_t bytes)
{
	return bytes - bytes / 16;
}

static ptrdiff_t by_gzip(unsigned level, const void *in, size_t bytes, void *out)
{
	z_stream z = { .next_in = (Bytef *)(uintptr_t)in, .avail_in = (uInt)bytes };
	ptrdiff_t n = -EFBIG;

	/* 16: gzip's head and trailer */
	if (deflateInit2(&z, levels[level].gzip, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	z.next_out = out;
	z.avail_out = (uInt)room(bytes);
	if (deflate(&z, Z_FINISH) == Z_STREAM_END)
		n = (ptrdiff_t)z.total_out;
	(void)deflateEnd(&z);
	return n;
}

static ptrdiff_t by_brotli(unsigned level, const void *in, size_t bytes, void *out)
{
	size_t n = room(bytes);

	if (!BrotliEncoderCompress(levels[level].brotli, BROTLI_DEFAULT_WINDOW, BROTLI_MODE_TEXT, bytes, in, &n, out))
		return -EFBIG;
	return (ptrdiff_t)n;
}

static ptrdiff_t by_zstd(unsigned level, const void *in, size_t bytes, void *out)
{
	size_t n = ZSTD_compress(out, room(bytes), in, bytes, levels[level].zstd);

	if (!ZSTD_isError(n))
		return (ptrdiff_t)n;
	return ZSTD_getErrorCode(n) == ZSTD_error_memory_allocation ? -ENOMEM : -EFBIG;
}

int weir_static_compress(enum weir_coding coding, unsigned level, const void *in, size_t bytes, void **ret,
			 size_t *ret_bytes)
{
	_cleanup_free_ void *out = malloc(room(bytes) + 1);
	ptrdiff_t n = -EFBIG;
	void *fit;

	if (!out)
		return -ENOMEM;
	if (coding == WEIR_CODING_BR)
		n = by_brotli(level, in, bytes, out);
	else if (coding == WEIR_CODING_ZSTD)
		n = by_zstd(level, in, bytes, out);
	else if (coding == WEIR_CODING_GZIP)
		n = by_gzip(level, in, bytes, out);
	if (n < 0)
		return (int)n;
	fit = realloc(out, (size_t)n + 1);
	*ret = fit ? fit : out;
	out = NULL;
	*ret_bytes = (size_t)n;
	return 0;
}
