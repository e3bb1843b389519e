/* SPDX-License-Identifier: GPL-2.0 */
#include <criterion/criterion.h>

#include "handlers/handler.h"

Test(response, error_page_is_complete)
{
	static struct weir_response r;
	struct weir_request req = { .method = WEIR_METHOD_GET };

	weir_response_error(&r, &req, 404, "why", "X-Y", WEIR_STR("z"));
	cr_assert_eq(r.status, 404);
	cr_assert(memmem(r.head, r.head_bytes, "HTTP/1.1 404 Not Found\r\n", 24) == r.head);
	cr_assert(memmem(r.head, r.head_bytes, "\r\nX-Y: z\r\n", 10));
	cr_assert(memmem(r.head, r.head_bytes, "\r\nContent-Length: 18\r\n", 22));
	cr_assert_eq(r.parts_count, 1);
	cr_assert_eq(r.parts[0].bytes, 18);
	cr_assert_eq(memcmp(r.parts[0].mem, "404 Not Found\nwhy\n", 18), 0);
	req.method = WEIR_METHOD_HEAD;
	weir_response_error(&r, &req, 404, "why", NULL, (struct weir_str){ NULL, 0 });
	cr_assert_eq(r.parts_count, 0);
}
