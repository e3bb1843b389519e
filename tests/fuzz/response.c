// SPDX-License-Identifier: GPL-2.0
/* weir_reply_parse() and what follows it: whatever an upstream sends, and in whatever pieces, the outcome is the same,
 * and every slice of an accepted head lies inside it. */
#include <errno.h>

#include "http/response.h"

#include "fuzz.h"

#define MAX 4096

static bool is_inside(struct weir_str s, const char *start, size_t bytes)
{
	return !s.p || (s.p >= start && s.p + s.n <= start + bytes);
}

static void check_accepted(const struct weir_reply *r, const char *bytes, size_t size)
{
	struct weir_str rest = r->fields, name, value;
	struct weir_hops hops;
	unsigned count = 0;

	assert(r->head_bytes > 0 && r->head_bytes <= size && r->head_bytes <= MAX);
	assert(is_inside(r->reason, bytes, r->head_bytes) && is_inside(r->fields, bytes, r->head_bytes));
	assert(r->status >= 100 && r->status <= 599 && r->minor <= 1);
	assert(!r->is_chunked || !r->has_length);
	while (weir_fields_next(&rest, &name, &value)) {
		assert(is_inside(name, bytes, r->head_bytes) && is_inside(value, bytes, r->head_bytes));
		assert(weir_is_token(name) && !memchr(value.p, '\n', value.n) && !memchr(value.p, '\r', value.n));
		count++;
	}
	assert(count == r->fields_count && count <= WEIR_HTTP_FIELDS_MAX);
	if (weir_hops_collect(r->fields, &hops) == 0)
		assert(weir_is_hop(&hops, WEIR_STR("connection")));
}

/* The body taken apart; how it is cut changes nothing but where data is cut. */
static size_t read_chunks(const uint8_t *data, size_t size, size_t step, enum weir_chunk_event *ret)
{
	struct weir_chunked c = {};
	size_t at = 0, have = 0, sum = 0, used;
	struct weir_str s;

	for (;;) {
		char *part = fuzz_copy(data + at, have - at);

		*ret = weir_chunked_read(&c, part, have - at, &used, &s);
		assert(used <= have - at);
		if (*ret == WEIR_CHUNK_DATA || *ret == WEIR_CHUNK_TRAILERS)
			assert(s.n > 0 && is_inside(s, part, used)), sum += s.n;
		free(part);
		at += used;
		if (*ret == WEIR_CHUNK_DATA || *ret == WEIR_CHUNK_TRAILERS)
			continue;
		if (*ret != WEIR_CHUNK_MORE || have == size)
			return sum;
		have = have + step < size ? have + step : size;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t scanned = 0, step = size > 64 ? size / 32 : 1, have = 0, sums[2];
	char *bytes = fuzz_copy(data, size);
	struct weir_reply whole, pieces;
	int r = weir_reply_parse(bytes, size, MAX, &scanned, &whole), s = -EAGAIN;
	enum weir_chunk_event ends[2];

	assert(r == 0 || r == -EAGAIN || r == -EBADMSG || r == -EMSGSIZE);
	if (r == 0)
		check_accepted(&whole, bytes, size);
	else if (r != -EAGAIN)
		assert(*whole.why);
	scanned = 0;
	while (have < size && s == -EAGAIN) {
		char *part;

		have = have + step < size ? have + step : size;
		part = fuzz_copy(data, have);
		s = weir_reply_parse(part, have, MAX, &scanned, &pieces);
		free(part);
	}
	if (size)
		assert((r == 0) == (s == 0) && (r == -EAGAIN) == (s == -EAGAIN));
	if (r == 0)
		assert(whole.head_bytes == pieces.head_bytes && whole.body_bytes == pieces.body_bytes);
	free(bytes);

	sums[0] = read_chunks(data, size, size, &ends[0]);
	sums[1] = read_chunks(data, size, 1, &ends[1]);
	assert(ends[0] == ends[1] && (ends[0] == WEIR_CHUNK_BAD || sums[0] == sums[1]));
	return 0;
}
