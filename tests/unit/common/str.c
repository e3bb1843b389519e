/* SPDX-License-Identifier: GPL-2.0 */
#include <criterion/criterion.h>

#include "common/buf.h"
#include "common/str.h"

Test(str, list_is_cut_at_each_separator)
{
	struct weir_str rest = WEIR_STR("a, b ,,c"), item;
	const char *want[] = { "a", "b", "", "c" };
	size_t n = 0;

	while (weir_str_next(&rest, ',', &item)) {
		item = weir_str_trim(item);
		cr_assert_lt(n, 4);
		cr_expect(item.n == strlen(want[n]) && memcmp(item.p, want[n], item.n) == 0, "%zu", n);
		n++;
	}
	cr_expect_eq(n, 4);
}

Test(str, nothing_has_no_items_and_empty_text_has_one)
{
	struct weir_str none = { NULL, 0 }, empty = WEIR_STR(""), item;

	cr_expect_not(weir_str_next(&none, ',', &item));
	cr_expect(weir_str_next(&empty, ',', &item) && item.n == 0);
	cr_expect_not(weir_str_next(&empty, ',', &item));
}

Test(str, case_is_folded_for_letters_only)
{
	cr_expect(weir_str_caseeq(WEIR_STR("Host"), WEIR_STR("hOST")));
	cr_expect_not(weir_str_caseeq(WEIR_STR("a["), WEIR_STR("a{")));
	cr_expect_not(weir_str_eq(WEIR_STR("a"), WEIR_STR("A")));
	cr_expect_not(weir_str_eq(WEIR_STR("a"), WEIR_STR("ab")));
}

Test(str, buffer_never_overflows)
{
	char text[8] = "-------";
	struct weir_buf b = { .p = text, .cap = 6 };

	weir_buf_u64(&b, 1234);
	weir_buf_hex(&b, 0xabc);
	cr_expect(b.is_full && b.n == 4);
	cr_expect_eq(memcmp(text, "1234---", 7), 0);
	b = (struct weir_buf){ .p = text, .cap = 8 };
	weir_buf_u64(&b, 0);
	weir_buf_hex(&b, 0);
	weir_buf_puts(&b, "x");
	cr_expect(!b.is_full && b.n == 3 && memcmp(text, "00x", 3) == 0);
}
