// SPDX-License-Identifier: GPL-2.0
/* weir_fastcgi_codec: what an application answers means the same, however it is cut; begin() takes any request. */
#include "handlers/fastcgi.c"
#include "handlers/fastcgi_params.c"

#include "fuzz.h"

#define ROOM 65536

struct result {
	unsigned status;
	uint64_t hash; /* of head and body */
	size_t heads, notes;
	enum weir_codec_event last;
};

static void mix(struct result *r, struct weir_str s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		r->hash = (r->hash ^ (unsigned char)s.p[i]) * 0x100000001b3ULL;
}

static void take(struct result *r, const struct weir_codec_piece *piece)
{
	switch (r->last) {
	case WEIR_CODEC_HEAD:
		r->heads++;
		r->status = piece->reply.status;
		mix(r, piece->reply.reason);
		mix(r, piece->reply.fields);
		assert(r->status >= 200 && r->status <= 599 && !piece->reply.is_chunked);
		break;
	case WEIR_CODEC_BODY:
		assert(piece->data.n > 0 && r->heads == 1);
		mix(r, piece->data);
		break;
	case WEIR_CODEC_NOTE:
		r->notes += piece->data.n;
		break;
	case WEIR_CODEC_BAD:
		assert(piece->why);
		break;
	default:
		assert(r->last == WEIR_CODEC_MORE || r->last == WEIR_CODEC_END);
	}
}

/* The relay's buffer, `step` more bytes at a time. */
static struct result read_response(const void *first_state, const uint8_t *data, size_t size, size_t step)
{
	static char room[ROOM];
	uint64_t s[WEIR_CODEC_STATE_BYTES / 8];
	struct result r = { .hash = 1 };
	size_t at = 0, have = 0, used;

	memcpy(s, first_state, sizeof(s));
	while (at < size && r.last != WEIR_CODEC_END && r.last != WEIR_CODEC_BAD && have < ROOM) {
		size_t n = MIN(MIN(step, size - at), ROOM - have);

		memcpy(room + have, data + at, n);
		have += n;
		at += n;
		do {
			struct weir_codec_piece piece = {};
			/* its end is where the sanitizer sees the first byte too far */
			char *copy = fuzz_copy((uint8_t *)room, have);

			r.last = weir_fastcgi_codec.read(s, copy, have, ROOM, &used, &piece);
			assert(used <= have);
			take(&r, &piece);
			memcpy(room, copy + used, have - used);
			have -= used;
			free(copy);
		} while (r.last != WEIR_CODEC_MORE && r.last != WEIR_CODEC_END && r.last != WEIR_CODEC_BAD);
	}
	return r;
}

static void begin_request(const uint8_t *data, size_t size, void *first_state)
{
	static char text[WEIR_CODEC_HEAD_BYTES];
	static struct weir_request req;
	static char plain[] = "GET /a.php HTTP/1.1\r\nHost: h\r\n\r\n";
	struct weir_conf_pool pool = { .root = (char *)"/srv", .proxy = { .response_head_max_kb = 16 } };
	struct weir_script script = { .file = WEIR_STR("a.php") };
	struct weir_flow_key flow = {};
	struct weir_buf out = { .p = text, .cap = sizeof(text) };
	struct weir_codec_call call = {
		.req = &req,
		.head = { plain, sizeof(plain) - 1 },
		.prefix = WEIR_STR("/"),
		.pool = &pool,
		.flow = &flow,
		.script = &script,
	};
	char *copy = fuzz_copy(data, size);
	size_t scanned = 0;

	if (weir_request_parse(copy, size, &scanned, &req) == 0) {
		call.head = (struct weir_str){ copy, req.head_bytes };
		(void)weir_fastcgi_codec.begin(first_state, &call, &out);
		call.head = (struct weir_str){ plain, sizeof(plain) - 1 };
	}
	scanned = 0;
	out = (struct weir_buf){ .p = text, .cap = sizeof(text) };
	assert(weir_request_parse(plain, sizeof(plain) - 1, &scanned, &req) == 0);
	assert(weir_fastcgi_codec.begin(first_state, &call, &out) == 0);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t first_state[WEIR_CODEC_STATE_BYTES / 8] = {};
	struct result whole, each;

	begin_request(data, size, first_state);
	whole = read_response(first_state, data, MIN(size, (size_t)8192), 8192);
	each = read_response(first_state, data, MIN(size, (size_t)8192), size < 512 ? 1 : 61);
	assert(whole.last == each.last);
	if (whole.last == WEIR_CODEC_END)
		assert(whole.status == each.status && whole.hash == each.hash && whole.notes == each.notes);
	return 0;
}
