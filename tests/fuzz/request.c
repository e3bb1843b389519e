// SPDX-License-Identifier: GPL-2.0
/* weir_request_parse(): whatever arrives, and in whatever pieces, the outcome is the same, and every slice of
 * an accepted request lies where it should. */
#include <errno.h>

#include "http/http.h"

#include "fuzz.h"

static struct weir_request whole, pieces;

static bool is_inside(struct weir_str s, const void *start, size_t bytes)
{
	return !s.p || ((const char *)s.p >= (const char *)start && (const char *)s.p + s.n <= (const char *)start + bytes);
}

static void check_accepted(const struct weir_request *r, const char *bytes, size_t size)
{
	assert(r->head_bytes > 0 && r->head_bytes <= size && r->head_bytes <= WEIR_HTTP_HEAD_MAX);
	assert(is_inside(r->target, bytes, r->head_bytes));
	assert(is_inside(r->query, bytes, r->head_bytes));
	assert(is_inside(r->method_text, bytes, r->head_bytes));
	assert(is_inside(r->host, r->host_text, sizeof(r->host_text)));
	assert(is_inside(r->path, r->path_text, sizeof(r->path_text)));
	for (int f = 0; f < WEIR_FIELD__MAX; f++) {
		assert(is_inside(r->fields[f], bytes, r->head_bytes));
		assert(!r->counts[f] == !r->fields[f].p);
	}
	if (r->form != WEIR_TARGET_ASTERISK) {
		assert(r->path.n > 0 && r->path.p[0] == '/');
		assert(!memmem(r->path.p, r->path.n, "/../", 4) && !memchr(r->path.p, 0, r->path.n));
		assert(r->path.n < 3 || memcmp(r->path.p + r->path.n - 3, "/..", 3));
	}
	assert(!r->is_chunked || !r->body_bytes);
	assert(r->minor <= 1 && r->fields_count <= WEIR_HTTP_FIELDS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t scanned = 0, step = size > 64 ? size / 32 : 1, have = 0;
	char *bytes = fuzz_copy(data, size);
	int r = weir_request_parse(bytes, size, &scanned, &whole), s = -EAGAIN;

	assert(r <= 0 ? r == 0 || r == -EAGAIN : r >= 400 && r < 600);
	if (r == 0)
		check_accepted(&whole, bytes, size);
	if (r > 0)
		assert(whole.why);

	/* the same in pieces, each parse over a buffer that ends with the piece */
	scanned = 0;
	while (have < size && s == -EAGAIN) {
		char *part;

		have = have + step < size ? have + step : size;
		part = fuzz_copy(data, have);
		s = weir_request_parse(part, have, &scanned, &pieces);
		if (s == 0)
			check_accepted(&pieces, part, have);
		free(part);
	}
	if (size)
		assert(r == s || (s > 0 && r > 0));
	if (r == 0)
		assert(whole.head_bytes == pieces.head_bytes && whole.body_bytes == pieces.body_bytes &&
		       whole.is_chunked == pieces.is_chunked && whole.is_keep_alive == pieces.is_keep_alive);
	free(bytes);
	return 0;
}
