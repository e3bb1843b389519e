/* SPDX-License-Identifier: GPL-2.0 */
/* Entity tags and conditional requests, RFC 9110 8.8.3 and 13. */
#include "http/http.h"

/* Takes one entity-tag off the list. False at its end or at the first thing that is none. */
static bool next_etag(struct weir_str *list, struct weir_str *ret_tag, bool *ret_is_weak)
{
	const char *close;

	while (list->n > 0 && (*list->p == ' ' || *list->p == '\t' || *list->p == ',')) {
		list->p++;
		list->n--;
	}
	*ret_is_weak = list->n > 2 && list->p[0] == 'W' && list->p[1] == '/';
	if (*ret_is_weak) {
		list->p += 2;
		list->n -= 2;
	}
	if (list->n < 2 || *list->p != '"')
		return false;
	close = memchr(list->p + 1, '"', list->n - 1);
	if (!close)
		return false;
	*ret_tag = (struct weir_str){ list->p, (size_t)(close + 1 - list->p) };
	list->p += ret_tag->n;
	list->n -= ret_tag->n;
	return true;
}

bool weir_etag_in_list(struct weir_str list, struct weir_str etag, bool is_weak_ok)
{
	struct weir_str tag;
	bool is_weak;

	if (weir_str_eq(weir_str_trim(list), WEIR_STR("*")))
		return true;
	while (next_etag(&list, &tag, &is_weak))
		if ((is_weak_ok || !is_weak) && weir_str_eq(tag, etag))
			return true;
	return false;
}

int weir_cond_check(const struct weir_request *r, struct weir_str etag, int64_t modified, int64_t now)
{
	int64_t date;

	if (weir_request_has(r, WEIR_FIELD_IF_MATCH)) {
		if (!weir_etag_in_list(r->fields[WEIR_FIELD_IF_MATCH], etag, false))
			return 412;
	} else if (weir_request_has(r, WEIR_FIELD_IF_UNMODIFIED_SINCE)) {
		if (weir_date_parse(r->fields[WEIR_FIELD_IF_UNMODIFIED_SINCE], now, &date) == 0 && modified > date)
			return 412;
	}
	if (weir_request_has(r, WEIR_FIELD_IF_NONE_MATCH)) {
		if (weir_etag_in_list(r->fields[WEIR_FIELD_IF_NONE_MATCH], etag, true))
			return 304;
	} else if (weir_request_has(r, WEIR_FIELD_IF_MODIFIED_SINCE)) {
		if (weir_date_parse(r->fields[WEIR_FIELD_IF_MODIFIED_SINCE], now, &date) == 0 && modified <= date)
			return 304;
	}
	return 0;
}

bool weir_cond_range_applies(const struct weir_request *r, struct weir_str etag, int64_t modified, int64_t now)
{
	struct weir_str value = r->fields[WEIR_FIELD_IF_RANGE];
	int64_t date;

	if (!weir_request_has(r, WEIR_FIELD_IF_RANGE))
		return true;
	if (value.n > 0 && value.p[0] == '"')
		return weir_str_eq(value, etag);
	/* RFC 9110 8.8.2.2: a date is strong only when it is well in the past. */
	return weir_date_parse(value, now, &date) == 0 && date == modified && now - modified > 60;
}
