// SPDX-License-Identifier: GPL-2.0
/* What stands in the stream and in the position file, and what can be concluded from it. Pure. Anybody who can write to the
 * server wrote the stream: an entry is obeyed when it has exactly the fields that it should have, else ignored. */
#include "fleet/flt_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/macro.h"

const char *const flt_what_names[FLT_WHAT__MAX] = { "url", "prefix", "tag", "pool" };

static bool digits(const char **at, const char *end, uint64_t *ret)
{
	const char *begin = *at;
	uint64_t n = 0;

	for (; *at < end && **at >= '0' && **at <= '9'; (*at)++) {
		unsigned digit = (unsigned)(**at - '0');

		if (n > (UINT64_MAX - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	*ret = n;
	return *at > begin;
}

bool flt_id_parse(const char *text, size_t bytes, struct flt_id *ret)
{
	const char *at = text, *end = text + bytes;
	struct flt_id id;

	if (!digits(&at, end, &id.ms) || at == end || *at++ != '-' || !digits(&at, end, &id.number) || at != end)
		return false;
	*ret = id;
	return true;
}

void flt_id_format(const struct flt_id *id, char ret[FLT_ID_BYTES])
{
	snprintf(ret, FLT_ID_BYTES, "%" PRIu64 "-%" PRIu64, id->ms, id->number);
}

int flt_id_compare(const struct flt_id *a, const struct flt_id *b)
{
	if (a->ms != b->ms)
		return a->ms < b->ms ? -1 : 1;
	return a->number == b->number ? 0 : a->number < b->number ? -1 : 1;
}

static bool is_text(const redisReply *r)
{
	return r && r->type == REDIS_REPLY_STRING;
}

static bool is(const redisReply *r, const char *word)
{
	return r->len == strlen(word) && !memcmp(r->str, word, r->len);
}

/* A word that a purge can be about: no spaces, no control characters. */
static bool is_word(const redisReply *r)
{
	size_t i;

	if (!r->len || r->len > FLT_TEXT_MAX)
		return false;
	for (i = 0; i < r->len; i++)
		if ((unsigned char)r->str[i] <= ' ' || r->str[i] == 0x7f)
			return false;
	return true;
}

struct fields {
	const redisReply *version, *from, *what, *text;
};

static const char *read_fields(const redisReply *list, struct fields *ret)
{
	const struct {
		const char *name;
		const redisReply **value;
	} known[] = { { "v", &ret->version }, { "from", &ret->from }, { "what", &ret->what }, { "text", &ret->text } };
	size_t i, j;

	if (!list || list->type != REDIS_REPLY_ARRAY || list->elements != 2 * ARRAY_SIZE(known))
		return "it has not the fields v, from, what and text";
	for (i = 0; i < list->elements; i += 2) {
		if (!is_text(list->element[i]) || !is_text(list->element[i + 1]))
			return "a field is no text";
		for (j = 0; j < ARRAY_SIZE(known) && !is(list->element[i], known[j].name); j++)
			;
		if (j == ARRAY_SIZE(known) || *known[j].value)
			return "it has not the fields v, from, what and text";
		*known[j].value = list->element[i + 1];
	}
	return NULL;
}

int flt_entry_decode(const redisReply *entry, const char *host, struct flt_id *ret_id, struct flt_message *ret,
		     const char **ret_why)
{
	struct fields f = {};
	uint32_t what;

	if (!entry || entry->type != REDIS_REPLY_ARRAY || entry->elements != 2 || !is_text(entry->element[0]) ||
	    !flt_id_parse(entry->element[0]->str, entry->element[0]->len, ret_id))
		return -EPROTO;
	*ret_why = read_fields(entry->element[1], &f);
	if (*ret_why)
		return -EBADMSG;
	*ret_why = "its version is not 1";
	if (!is(f.version, "1"))
		return -EBADMSG;
	if (is(f.from, host) || is(f.what, "mark"))
		return -EALREADY;
	for (what = 0; what < FLT_WHAT__MAX && !is(f.what, flt_what_names[what]); what++)
		;
	*ret_why = "it is about something unknown";
	if (what == FLT_WHAT__MAX)
		return -EBADMSG;
	*ret_why = "its text is empty, too long, or has spaces or control characters";
	if (!is_word(f.text))
		return -EBADMSG;
	*ret = (struct flt_message){ .kind = FLT_PURGE, .what = what };
	memcpy(ret->text, f.text->str, f.text->len);
	return 0;
}

const char *flt_gap(const struct flt_id *position, const struct flt_id *first, const struct flt_id *last)
{
	if (!position)
		return "it is not known which purges were obeyed last";
	if (!first || !last)
		return "the stream is empty: it was deleted or trimmed";
	if (flt_id_compare(position, first) < 0)
		return "the stream begins after the purge that was obeyed last: it was trimmed, or made anew";
	if (flt_id_compare(last, position) < 0)
		return "the stream ends before the purge that was obeyed last: the server has lost some of it";
	return NULL;
}

int flt_position_parse(const char *text, const struct weir_conf_fleet *conf, struct flt_id *ret)
{
	static const char magic[] = "weir-fleet-1 ";
	const char *id = text + sizeof(magic) - 1, *end;
	char again[FLT_POSITION_BYTES];
	struct flt_id found;

	if (strncmp(text, magic, sizeof(magic) - 1))
		return -EBADMSG;
	end = strchr(id, ' ');
	if (!end || !flt_id_parse(id, (size_t)(end - id), &found))
		return -EBADMSG;
	flt_position_format(&found, conf, again, sizeof(again));
	if (strcmp(text, again))
		return -EBADMSG;
	*ret = found;
	return 0;
}

void flt_position_format(const struct flt_id *id, const struct weir_conf_fleet *conf, char *buf, size_t bytes)
{
	char text[FLT_ID_BYTES];

	flt_id_format(id, text);
	snprintf(buf, bytes, "weir-fleet-1 %s %s %s\n", text, conf->stream, conf->redis);
}
