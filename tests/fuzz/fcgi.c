// SPDX-License-Identifier: GPL-2.0
/* weir_fcgi_read() and weir_cgi_head(): what an application sends is the same, or refused, however
 * it is cut. */
#include "http/fcgi.h"

#include <errno.h>

#include "fuzz.h"

#define BYTES_MAX 65536
#define HEAD_MAX 16384

struct result {
	char out[BYTES_MAX];
	size_t out_bytes, err_bytes, taken;
	int last;
	uint32_t app_status;
};

static void run(const uint8_t *data, size_t size, size_t step, struct result *ret)
{
	struct weir_fcgi_reader r = {};
	size_t at = 0;

	memset(ret, 0, sizeof(*ret));
	while (at < size && ret->last >= 0 && ret->last != WEIR_FCGI_END) {
		size_t n = size - at < step ? size - at : step;
		char *part = fuzz_copy(data + at, n);
		struct weir_str in = { part, n }, out;

		while ((ret->last = weir_fcgi_read(&r, &in, &out)) > WEIR_FCGI_MORE && ret->last != WEIR_FCGI_END) {
			assert(out.n > 0 && out.p >= part && out.p + out.n <= part + n);
			if (ret->last == WEIR_FCGI_STDOUT && ret->out_bytes + out.n <= BYTES_MAX)
				memcpy(ret->out + ret->out_bytes, out.p, out.n);
			if (ret->last == WEIR_FCGI_STDOUT)
				ret->out_bytes += out.n;
			else
				ret->err_bytes += out.n;
		}
		assert(in.n <= n && (ret->last != WEIR_FCGI_MORE || in.n == 0));
		at += n - in.n;
		free(part);
	}
	ret->taken = ret->last < 0 ? 0 : at;
	ret->app_status = r.app_status;
}

/* The head of what it wrote: a head for HTTP has no line that was not a line before. */
static void read_head(const char *bytes, size_t count)
{
	static char text[HEAD_MAX];
	struct weir_buf out = { .p = text, .cap = sizeof(text) }, again = { .p = text, .cap = sizeof(text) };
	size_t scanned = 0, whole = 0, n, i;
	ptrdiff_t lines = 0;
	struct weir_cgi_head h, last;
	int r = weir_cgi_head(bytes, count, &whole, &out, &h), each = -EAGAIN;

	for (n = 0; n <= count && each == -EAGAIN && count < 512; n++) {
		again.n = 0;
		again.is_full = false;
		each = weir_cgi_head(bytes, n, &scanned, &again, &last);
	}
	assert(count >= 512 || each == r);
	if (r < 0)
		return;
	assert(h.status >= 200 && h.status <= 599 && h.head_bytes <= count && out.n >= 4);
	assert(!memcmp(text + out.n - 4, "\r\n\r\n", 4) && !memchr(text, 0, out.n));
	for (i = 0; i < out.n; i++) {
		assert(text[i] != '\r' || text[i + 1] == '\n');
		assert(text[i] != '\n' || text[i - 1] == '\r');
		lines += text[i] == '\n';
	}
	for (i = 0; i < h.head_bytes; i++)
		lines -= bytes[i] == '\n';
	assert(lines <= 1);
}

static void split(const char *bytes, size_t count)
{
	struct weir_str path = { bytes, count };
	size_t at = 0, next;

	while ((next = weir_cgi_split(path, WEIR_STR(".php"), at)) > 0) {
		assert(next > at && next <= count && !memcmp(bytes + next - 4, ".php", 4));
		assert(weir_cgi_is_script((struct weir_str){ bytes, next }, WEIR_STR(".php")));
		at = next;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct result whole, each;
	char *copy = fuzz_copy(data, size);

	run(data, size, size, &whole);
	run(data, size, 1, &each);
	assert((whole.last < 0) == (each.last < 0) && whole.taken == each.taken && whole.app_status == each.app_status);
	assert(whole.last < 0 || (whole.out_bytes == each.out_bytes && whole.err_bytes == each.err_bytes));
	assert(whole.out_bytes > BYTES_MAX || whole.last < 0 || !memcmp(whole.out, each.out, whole.out_bytes));
	if (whole.out_bytes <= BYTES_MAX)
		read_head(whole.out, whole.out_bytes);
	read_head(copy, size);
	split(copy, size);
	free(copy);
	return 0;
}
