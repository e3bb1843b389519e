// SPDX-License-Identifier: GPL-2.0
/* Numbers, sizes and times as people read them. */
#include "cli/cli.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>

Test(text, numbers_are_grouped)
{
	cr_expect_str_eq(cmd_number(0), "0");
	cr_expect_str_eq(cmd_number(999), "999");
	cr_expect_str_eq(cmd_number(1000), "1 000");
	cr_expect_str_eq(cmd_number(1234567), "1 234 567");
	cr_expect_str_eq(cmd_number(-123456), "-123 456");
}

Test(text, sizes_have_units)
{
	cr_expect_str_eq(cmd_bytes(0), "0 B");
	cr_expect_str_eq(cmd_bytes(999), "999 B");
	cr_expect_str_eq(cmd_bytes(1536), "1.5 kB");
	cr_expect_str_eq(cmd_bytes(25000000), "25 MB");
}

Test(text, durations_have_two_units_at_most)
{
	cr_expect_str_eq(cmd_duration(0), "0.0 s");
	cr_expect_str_eq(cmd_duration(2500), "2.5 s");
	cr_expect_str_eq(cmd_duration(59999), "59 s");
	cr_expect_str_eq(cmd_duration(200000), "3 min 20 s");
	cr_expect_str_eq(cmd_duration(7500000), "2 h 5 min");
	cr_expect_str_eq(cmd_duration(90000000), "1 d 1 h");
	cr_expect_str_eq(cmd_duration(-1), "-");
}

Test(text, columns_are_as_wide_as_their_widest_cell, .init = cr_redirect_stdout)
{
	struct cmd_text *t = cmd_text_new(3);

	cmd_text_row(t, "NAME", ">N", "LAST");
	cmd_text_row(t, "a", "1 000", "x");
	cmd_text_row(t, "longer \xc3\xa9", "7", "y");
	cmd_text_print(t, "");
	fflush(stdout);
	cr_expect_stdout_eq_str("NAME          N  LAST\n"
				"a         1 000  x\n"
				"longer \xc3\xa9      7  y\n");
}

Test(text, empty_header_is_not_printed, .init = cr_redirect_stdout)
{
	struct cmd_text *t = cmd_text_new(2);

	cmd_text_row(t, "", "");
	cmd_text_row(t, "ok", "x");
	cmd_text_print(t, " ");
	fflush(stdout);
	cr_expect_stdout_eq_str(" ok  x\n");
}
