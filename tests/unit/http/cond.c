/* SPDX-License-Identifier: GPL-2.0 */
#include <criterion/criterion.h>

#include "common/macro.h"
#include "http/http.h"

#define MODIFIED 784111777 /* Sun, 06 Nov 1994 08:49:37 GMT */
#define NOW 1700000000
#define BEFORE "Sun, 06 Nov 1994 08:49:36 GMT"
#define SAME "Sun, 06 Nov 1994 08:49:37 GMT"
#define AFTER "Sun, 06 Nov 1994 08:49:38 GMT"

static const struct {
	const char *list;
	bool is_strong, is_weak;
} lists[] = {
	{ "\"a\"", true, true },
	{ "*", true, true },
	{ " * ", true, true },
	{ "W/\"a\"", false, true },
	{ "\"b\", \"a\"", true, true },
	{ "\"b\" , W/\"a\"", false, true },
	{ "\"x,\"a\"", false, false }, /* the comma is inside of a tag */
	{ "\"b\"", false, false },
	{ "a", false, false },
	{ "\"a", false, false },
	{ "", false, false },
	{ "w/\"a\"", false, false },
};

Test(cond, lists_of_entity_tags)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lists); i++) {
		struct weir_str list = { lists[i].list, strlen(lists[i].list) };

		cr_expect_eq(weir_etag_in_list(list, WEIR_STR("\"a\""), false), lists[i].is_strong, "%s", list.p);
		cr_expect_eq(weir_etag_in_list(list, WEIR_STR("\"a\""), true), lists[i].is_weak, "%s", list.p);
	}
}

static const struct {
	const char *match, *unmodified, *none_match, *modified;
	int status;
} checks[] = {
	{ NULL, NULL, NULL, NULL, 0 },
	{ "\"a\"", NULL, NULL, NULL, 0 },
	{ "\"b\"", NULL, NULL, NULL, 412 },
	{ "W/\"a\"", NULL, NULL, NULL, 412 },
	{ "\"a\"", BEFORE, NULL, NULL, 0 }, /* If-Match decides alone */
	{ NULL, BEFORE, NULL, NULL, 412 },
	{ NULL, SAME, NULL, NULL, 0 },
	{ NULL, "nonsense", NULL, NULL, 0 },
	{ NULL, NULL, "\"a\"", NULL, 304 },
	{ NULL, NULL, "W/\"a\"", NULL, 304 },
	{ NULL, NULL, "\"b\"", NULL, 0 },
	{ NULL, NULL, "\"b\"", AFTER, 0 }, /* If-None-Match decides alone */
	{ NULL, NULL, NULL, BEFORE, 0 },
	{ NULL, NULL, NULL, SAME, 304 },
	{ NULL, NULL, NULL, AFTER, 304 },
	{ NULL, NULL, NULL, "nonsense", 0 },
	{ "\"a\"", NULL, "\"a\"", NULL, 304 },
	{ "\"b\"", NULL, "\"a\"", NULL, 412 },
};

static void set(struct weir_request *r, enum weir_field f, const char *value)
{
	if (!value)
		return;
	r->fields[f] = (struct weir_str){ value, strlen(value) };
	r->counts[f] = 1;
}

Test(cond, precedence_is_that_of_the_rfc)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(checks); i++) {
		struct weir_request r = { .method = WEIR_METHOD_GET };

		set(&r, WEIR_FIELD_IF_MATCH, checks[i].match);
		set(&r, WEIR_FIELD_IF_UNMODIFIED_SINCE, checks[i].unmodified);
		set(&r, WEIR_FIELD_IF_NONE_MATCH, checks[i].none_match);
		set(&r, WEIR_FIELD_IF_MODIFIED_SINCE, checks[i].modified);
		cr_expect_eq(weir_cond_check(&r, WEIR_STR("\"a\""), MODIFIED, NOW), checks[i].status, "case %zu", i);
	}
}

Test(cond, if_range_compares_strongly)
{
	static const struct {
		const char *value;
		bool applies;
	} cases[] = {
		{ NULL, true }, { "\"a\"", true }, { "\"b\"", false }, { "W/\"a\"", false },
		{ SAME, true }, { AFTER, false }, { BEFORE, false }, { "x", false },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct weir_request r = { .method = WEIR_METHOD_GET };

		set(&r, WEIR_FIELD_IF_RANGE, cases[i].value);
		cr_expect_eq(weir_cond_range_applies(&r, WEIR_STR("\"a\""), MODIFIED, NOW), cases[i].applies, "%s",
			     cases[i].value ? cases[i].value : "none");
	}
}

Test(cond, fresh_date_is_no_strong_validator)
{
	struct weir_request r = { .method = WEIR_METHOD_GET };

	set(&r, WEIR_FIELD_IF_RANGE, SAME);
	cr_expect_not(weir_cond_range_applies(&r, WEIR_STR("\"a\""), MODIFIED, MODIFIED + 1));
}
