/* SPDX-License-Identifier: GPL-2.0 */
#include <criterion/criterion.h>

#include "http/http.h"

Test(status, every_status_that_is_sent_has_a_reason)
{
	static const unsigned sent[] = { 200, 204, 206, 301, 304, 400, 403, 404, 405, 408, 412,
					 413, 414, 416, 417, 431, 500, 501, 503, 505 };
	size_t i;

	for (i = 0; i < sizeof(sent) / sizeof(sent[0]); i++)
		cr_expect_str_neq(weir_status_reason(sent[i]), "Unknown", "%u", sent[i]);
	cr_expect_str_eq(weir_status_reason(299), "Unknown");
	cr_expect_str_eq(weir_status_reason(599), "Unknown");
	cr_expect_str_eq(weir_status_reason(303), "See Other");
}
