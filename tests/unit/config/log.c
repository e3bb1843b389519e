// SPDX-License-Identifier: GPL-2.0
/* The words of the log's parameters. */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdio.h>

#include "config/log.h"

Test(conf_log, kernel_hits)
{
	static const char *const wrong[] = { "", "0", "-1", "some", "10x", "99999999999" };
	struct weir_log_hits h;
	size_t i;

	cr_expect(weir_conf_log_hits("full", &h) == 0 && h.every == 1 && h.has_errors);
	cr_expect(weir_conf_log_hits("errors", &h) == 0 && h.every == 0 && h.has_errors);
	cr_expect(weir_conf_log_hits("off", &h) == 0 && h.every == 0 && !h.has_errors);
	cr_expect(weir_conf_log_hits("100", &h) == 0 && h.every == 100 && h.has_errors);
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		cr_expect_eq(weir_conf_log_hits(wrong[i], &h), -EINVAL, "'%s'", wrong[i]);
}

Test(conf_log, fields)
{
	uint8_t fields[WEIR_LOG_FIELD__MAX];
	char wrong[64], all[1024] = "";
	size_t n = 0;
	int i;

	cr_expect_eq(weir_conf_log_fields("", WEIR_LOG_COMBINED, fields, wrong), 0);
	cr_expect_gt(weir_conf_log_fields(NULL, WEIR_LOG_W3C, fields, wrong), 10);
	cr_expect_eq(weir_conf_log_fields(" sc-status  c-ip ", WEIR_LOG_W3C, fields, wrong), 2);
	cr_expect(fields[0] == WEIR_LOG_FIELD_STATUS && fields[1] == WEIR_LOG_FIELD_CLIENT);
	cr_expect_eq(weir_conf_log_fields("c-ip cs-nonsense", WEIR_LOG_W3C, fields, wrong), -EINVAL);
	cr_expect_str_eq(wrong, "cs-nonsense");
	for (i = 0; i < WEIR_LOG_FIELD__MAX; i++)
		n += (size_t)snprintf(all + n, sizeof(all) - n, "%s ", weir_log_field_name((unsigned)i));
	cr_expect_eq(weir_conf_log_fields(all, WEIR_LOG_JSON, fields, wrong), WEIR_LOG_FIELD__MAX);
	snprintf(all + n, sizeof(all) - n, "c-ip");
	cr_expect_eq(weir_conf_log_fields(all, WEIR_LOG_JSON, fields, wrong), -EINVAL, "one too many");
}

Test(conf_log, words)
{
	unsigned value;

	cr_expect(weir_conf_log_format("w3c", &value) == 0 && value == WEIR_LOG_W3C);
	cr_expect_eq(weir_conf_log_format("xml", &value), -EINVAL);
	cr_expect(weir_conf_log_period("weekly", &value) == 0 && value == WEIR_LOG_WEEKLY);
	cr_expect_eq(weir_conf_log_period("yearly", &value), -EINVAL);
}
