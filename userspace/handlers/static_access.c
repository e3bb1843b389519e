/* SPDX-License-Identifier: GPL-2.0 */
/* Who may see the files of a pool: by address, then by password. A pool that asks never publishes anything to the
 * kernel cache, because XDP would answer whoever comes. */
#include "handlers/static_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"

struct static_access {
	bool is_allowed; /* what no row says */
	size_t count;
	struct weir_conf_access rows[];
};

int weir_static_access_new(const struct weir_conf_words *words, struct static_access **ret)
{
	struct static_access *a = calloc(1, sizeof(*a) + words->count * sizeof(a->rows[0]));
	const char *why;
	size_t i;

	if (!a)
		return -ENOMEM;
	a->is_allowed = true;
	for (i = 0; i < words->count; i++) {
		if (weir_conf_access_parse(words->items[i], &a->rows[i], &why) < 0) {
			free(a);
			return -EINVAL;
		}
		/* whoever names those that may come means that others may not */
		if (a->rows[i].is_allow)
			a->is_allowed = false;
	}
	a->count = words->count;
	*ret = a;
	return 0;
}

struct static_access *weir_static_access_free(struct static_access *a)
{
	free(a);
	return NULL;
}

static bool is_inside(const struct weir_conf_access *row, const struct weir_addr *addr)
{
	const uint8_t *a = (const uint8_t *)&row->addr, *b = (const uint8_t *)addr;
	unsigned bytes = row->bits / 8, rest = row->bits % 8;

	if (memcmp(a, b, bytes) != 0)
		return false;
	return rest == 0 || ((a[bytes] ^ b[bytes]) & (0xff00 >> rest)) == 0;
}

bool weir_static_access_is_allowed(const struct static_access *a, const struct weir_addr *client)
{
	size_t i;

	for (i = 0; i < a->count; i++)
		if (is_inside(&a->rows[i], client))
			return a->rows[i].is_allow;
	return a->is_allowed;
}

static void answer_unauthorized(struct weir_static *s, const struct weir_call *call, struct weir_response *resp)
{
	char text[512];
	struct weir_buf value = { .p = text, .cap = sizeof(text) };

	weir_buf_puts(&value, "Basic realm=\"");
	weir_buf_str(&value, s->options.realm);
	weir_buf_puts(&value, "\", charset=\"UTF-8\"");
	weir_static_answer_status(s, call, 401, "WWW-Authenticate", (struct weir_str){ text, value.n }, resp);
}

bool weir_static_admit(struct weir_static *s, const struct weir_call *call, struct weir_response *resp)
{
	const struct static_options *o = &s->options;
	const struct weir_request *req = call->req;
	struct weir_str none = { NULL, 0 };
	int r;

	if (o->access && (!call->flow || !weir_static_access_is_allowed(o->access, &call->flow->client))) {
		weir_static_answer_status(s, call, 403, NULL, none, resp);
		return false;
	}
	if (!o->passwords)
		return true;
	r = weir_htpasswd_check(o->passwords, req->counts[WEIR_FIELD_AUTHORIZATION] == 1
						      ? req->fields[WEIR_FIELD_AUTHORIZATION]
						      : none);
	if (r == 0)
		return true;
	if (r == -EACCES) {
		answer_unauthorized(s, call, resp);
		return false;
	}
	if (weir_static_may_warn(s))
		(void)weir_err(r, "cannot read auth_file '%s', answering 500", weir_htpasswd_path(o->passwords));
	weir_static_answer_status(s, call, 500, NULL, none, resp);
	return false;
}
