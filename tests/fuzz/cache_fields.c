// SPDX-License-Identifier: GPL-2.0
/* What a cache reads of messages: directives, targeted fields, heads of responses and requests, keys, merging. The first
 * byte chooses; heads are first checked as the relay checks them. */
#include "cache/policy.h"

#include "fuzz.h"

#define NOW_S 1800000000
#define NOW_MS 5000000

/* An understood targeted field has nothing that the plain syntax would not give it. */
static void check_directives(struct weir_str value)
{
	struct weir_cc cc = {}, targeted = {};
	unsigned d;

	weir_cc_add(&cc, value);
	for (d = 0; d < WEIR_CC__MAX; d++)
		assert(cc.seconds[d] <= WEIR_POLICY_FOREVER);
	if (weir_cc_targeted(&targeted, value) == 0)
		assert(!(targeted.invalid & ~targeted.present));
	assert(!(cc.invalid & ~cc.present));
}

static void check_response(struct weir_str fields)
{
	const struct weir_policy_conf conf = { .mode = WEIR_CACHE_ON, .bypass_cookies = WEIR_STR("a bc") };
	const struct weir_policy_request req = { WEIR_STR("GET"), fields, false };
	const struct weir_policy_response resp = { 200, fields, NOW_MS, NOW_MS, NOW_S };
	struct weir_policy_store st;
	struct weir_policy_reuse reuse;
	char merged[4096], vary[4096];
	struct weir_buf b = { .p = merged, .cap = sizeof(merged) }, v = { .p = vary, .cap = sizeof(vary) };

	if (weir_fields_check(fields))
		return;
	weir_policy_store(&conf, &req, &resp, &st);
	assert(st.is_storable == !st.rules && st.stored.lifetime_s <= WEIR_POLICY_FOREVER);
	weir_policy_reuse(&conf, &req, &st.stored, NOW_MS + 1000, &reuse);
	assert(reuse.age_s <= WEIR_POLICY_FOREVER);
	/* what never may be stored is not, however it is written */
	if (weir_cc_has(&st.cc, WEIR_CC_NO_STORE) && !weir_cc_has(&st.cc, WEIR_CC_MUST_UNDERSTAND))
		assert(!st.is_storable);
	weir_policy_merge(fields, fields, &b);
	assert(b.is_full || !weir_fields_check((struct weir_str){ b.p, b.n }));
	weir_policy_vary(st.vary, fields, &v);
	(void)weir_policy_is_same(fields, fields);
	(void)weir_policy_head_differs(fields, 5, fields);
}

static void check_key(struct weir_str target)
{
	char text[1024];
	struct weir_buf b = { .p = text, .cap = sizeof(text) };
	enum weir_query_key rule;

	for (rule = WEIR_QUERY_FULL; rule <= WEIR_QUERY_LISTED; rule++) {
		b.n = 0;
		weir_policy_key(rule, WEIR_STR("a bc"), WEIR_STR("h"), target, &b);
		assert(b.is_full || b.n <= target.n * 3 + 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct weir_str value;
	char *copy;

	if (size < 1)
		return 0;
	copy = fuzz_copy(data + 1, size - 1);
	value = (struct weir_str){ copy, size - 1 };
	switch (data[0] % 3) {
	case 0:
		check_directives(value);
		break;
	case 1:
		check_response(value);
		break;
	default:
		check_key(value);
	}
	free(copy);
	return 0;
}
