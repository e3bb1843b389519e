/* SPDX-License-Identifier: GPL-2.0 */
#include <criterion/criterion.h>

#include <errno.h>

#include "common/macro.h"
#include "http/fcgi.h"

#define HEADER(type, request, bytes, padding) 1, type, 0, request, (bytes) >> 8, (bytes)&255, padding, 0
#define END(app, protocol) HEADER(3, 1, 8, 0), 0, 0, 0, app, protocol, 0, 0, 0

/* What a reader made of some bytes. */
struct seen {
	char out[512], err[512];
	size_t out_bytes, err_bytes, left;
	int last; /* the last event, or the error */
	struct weir_fcgi_reader reader;
};

static struct seen feed(const void *bytes, size_t count, size_t step)
{
	struct seen s = { .last = WEIR_FCGI_MORE };
	size_t at = 0;

	while (at < count && s.last == WEIR_FCGI_MORE) {
		struct weir_str in = { (const char *)bytes + at, MIN(step, count - at) }, data;

		at += in.n;
		while ((s.last = weir_fcgi_read(&s.reader, &in, &data)) > WEIR_FCGI_MORE && s.last != WEIR_FCGI_END) {
			bool is_out = s.last == WEIR_FCGI_STDOUT;

			cr_assert_gt(data.n, 0);
			memcpy(is_out ? s.out + s.out_bytes : s.err + s.err_bytes, data.p, data.n);
			*(is_out ? &s.out_bytes : &s.err_bytes) += data.n;
		}
		s.left = in.n + (count - at);
	}
	return s;
}

Test(fcgi, response_is_taken_apart_however_it_is_cut)
{
	static const uint8_t bytes[] = {
		HEADER(7, 1, 3, 5),  'b', 'a', 'd', 1,	 2, 3, 4, 5, /* padding is skipped */
		HEADER(6, 1, 2, 0),  'h', 'i',			     /**/
		HEADER(10, 0, 2, 1), 'x', 'x', 0,		     /* a management record */
		HEADER(6, 1, 0, 2),  0,	  0,			     /* the stream's end */
		HEADER(6, 1, 1, 0),  '!',			     /**/
		END(7, 0),	     'n', 'e', 'x', 't',
	};
	size_t step;

	for (step = 1; step <= sizeof(bytes); step++) {
		struct seen s = feed(bytes, sizeof(bytes), step);

		cr_assert_eq(s.last, WEIR_FCGI_END, "step %zu: %d", step, s.last);
		cr_assert(s.out_bytes == 3 && !memcmp(s.out, "hi!", 3));
		cr_assert(s.err_bytes == 3 && !memcmp(s.err, "bad", 3));
		cr_assert_eq(s.left, 4, "what follows is not ours");
		cr_assert_eq(s.reader.app_status, 7);
		cr_assert_eq(s.reader.protocol_status, WEIR_FCGI_REQUEST_COMPLETE);
	}
}

Test(fcgi, end_waits_for_its_padding)
{
	static const uint8_t bytes[] = { HEADER(3, 1, 8, 3), 0, 0, 1, 0, 2, 0, 0, 0, 'p', 'p', 'p' };
	struct seen s = feed(bytes, sizeof(bytes) - 1, sizeof(bytes));

	cr_assert_eq(s.last, WEIR_FCGI_MORE);
	s = feed(bytes, sizeof(bytes), 3);
	cr_assert_eq(s.last, WEIR_FCGI_END);
	cr_assert_eq(s.left, 0);
	cr_assert_eq(s.reader.app_status, 256);
	cr_assert_eq(s.reader.protocol_status, WEIR_FCGI_OVERLOADED);
}

Test(fcgi, what_is_not_for_our_request_is_refused)
{
	static const uint8_t cases[][16] = {
		{ 2, 6, 0, 1, 0, 1, 0, 0, 'x' }, /* version */
		{ HEADER(6, 2, 1, 0), 'x' },	 /* another request's */
		{ HEADER(6, 0, 1, 0), 'x' },	 /* nobody's */
		{ HEADER(3, 2, 8, 0) },		 /**/
		{ HEADER(3, 1, 7, 0) },		 /* too short */
		{ HEADER(5, 1, 1, 0), 'x' },	 /* STDIN comes from us alone */
		{ HEADER(0, 1, 1, 0), 'x' },	 /**/
		{ HEADER(255, 1, 1, 0), 'x' },	 /**/
		{ 'H', 'T', 'T', 'P', '/', '1', '.', '1', ' ', '2', '0', '0' },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		cr_assert_eq(feed(cases[i], sizeof(cases[i]), 1 + i % 3).last, -EBADMSG, "case %zu", i);
}

Test(fcgi, largest_record_is_taken)
{
	static char bytes[WEIR_FCGI_HEADER_BYTES + WEIR_FCGI_CONTENT_MAX] = { 1, 6, 0, 1, (char)255, (char)255, 0, 0 };
	struct weir_fcgi_reader r = {};
	struct weir_str in = { bytes, sizeof(bytes) }, data;

	cr_assert_eq(weir_fcgi_read(&r, &in, &data), WEIR_FCGI_STDOUT);
	cr_assert_eq(data.n, WEIR_FCGI_CONTENT_MAX);
	cr_assert_eq(weir_fcgi_read(&r, &in, &data), WEIR_FCGI_MORE);
}

Test(fcgi, request_is_written)
{
	static const uint8_t expected[] = {
		HEADER(1, 1, 8, 0),  0, 1, 1,	0,   0,	  0,   0,   0, /* responder, keep the connection
								    */
		HEADER(4, 1, 12, 0), 1, 4, 'A', 'b', 'c', 'd', 'e', 3, 0, 'N', 'I', 'L', /**/
	};
	char text[512];
	struct weir_buf b = { .p = text, .cap = sizeof(text) };
	size_t opened;

	weir_fcgi_begin(&b, true);
	opened = weir_fcgi_params_open(&b);
	weir_fcgi_param(&b, WEIR_STR("A"), WEIR_STR("bcde"));
	weir_fcgi_param(&b, WEIR_STR("NIL"), WEIR_STR(""));
	cr_assert_eq(weir_fcgi_params_close(&b, opened), 0);
	cr_assert_eq(memcmp(text, expected, sizeof(expected)), 0);
	cr_assert_eq(b.n, sizeof(expected) + WEIR_FCGI_HEADER_BYTES);
	cr_assert_eq(text[b.n - 3] | text[b.n - 4], 0, "the empty record ends the parameters");
	weir_fcgi_stdin(text, 0x1234);
	cr_assert(text[1] == 5 && text[4] == 0x12 && text[5] == 0x34);
}

Test(fcgi, long_parameter_has_a_long_length)
{
	static char value[200], text[512];
	struct weir_buf b = { .p = text, .cap = sizeof(text) };

	memset(value, 'v', sizeof(value));
	weir_fcgi_param(&b, WEIR_STR("N"), (struct weir_str){ value, 127 });
	cr_assert_eq(b.n, 2 + 1 + 127);
	b.n = 0;
	weir_fcgi_param(&b, WEIR_STR("N"), (struct weir_str){ value, 128 });
	cr_assert_eq(b.n, 5 + 1 + 128);
	cr_assert(text[0] == 1 && text[1] == (char)0x80 && text[4] == (char)128);
}

Test(fcgi, parameters_that_do_not_fit_are_an_error)
{
	static char value[WEIR_FCGI_CONTENT_MAX], text[2 * WEIR_FCGI_CONTENT_MAX];
	struct weir_buf b = { .p = text, .cap = sizeof(text) }, small = { .p = text, .cap = 20 };
	size_t opened = weir_fcgi_params_open(&b);

	weir_fcgi_param(&b, WEIR_STR("N"), (struct weir_str){ value, sizeof(value) });
	cr_assert_eq(weir_fcgi_params_close(&b, opened), -E2BIG);
	opened = weir_fcgi_params_open(&small);
	weir_fcgi_param(&small, WEIR_STR("NAME"), WEIR_STR("a value"));
	cr_assert_eq(weir_fcgi_params_close(&small, opened), -E2BIG);
	/* fits, but its end does not */
	small = (struct weir_buf){ .p = text, .cap = 19 };
	opened = weir_fcgi_params_open(&small);
	weir_fcgi_param(&small, WEIR_STR("N"), WEIR_STR("v"));
	cr_assert_eq(weir_fcgi_params_close(&small, opened), -E2BIG);
}

Test(fcgi, field_becomes_a_parameter_unless_it_could_be_taken_for_another)
{
	static const struct {
		const char *name, *param;
	} cases[] = {
		{ "Accept-Language", "HTTP_ACCEPT_LANGUAGE" },
		{ "x-1", "HTTP_X_1" },
		{ "Proxy", "" }, /* HTTP_PROXY would redirect the application's own requests */
		{ "pRoXy", "" },
		{ "X_1", "" }, /* the same parameter as X-1, which a server in front may have checked */
		{ "X.1", "" },
		{ "", "" },
	};
	char text[64];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct weir_buf b = { .p = text, .cap = sizeof(text) };
		size_t n = strlen(cases[i].param);

		weir_fcgi_param_field(&b, (struct weir_str){ cases[i].name, strlen(cases[i].name) }, WEIR_STR("v"));
		cr_assert_eq(b.n, n ? 2 + n + 1 : 0, "%s", cases[i].name);
		cr_assert_eq(memcmp(text + 2, cases[i].param, n), 0, "%s", cases[i].name);
	}
}

Test(fcgi, every_protocol_status_has_a_name)
{
	cr_assert_str_eq(weir_fcgi_status_name(WEIR_FCGI_OVERLOADED), "it is overloaded");
	cr_assert_str_eq(weir_fcgi_status_name(200), "unknown status");
}
