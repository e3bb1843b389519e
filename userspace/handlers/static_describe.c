/* SPDX-License-Identifier: GPL-2.0 */
/* What a file's responses say about it: type, tags, the fields that the configuration adds, and the head of the 200,
 * which is written once. Any thread; nothing here changes after the fill. */
#include "handlers/static_priv.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Types that profit, as other servers have them; images, fonts and archives that are compressed already do not. */
static const char *const compressible[] = {
	"text/*",
	"application/javascript",
	"application/json",
	"application/xml",
	"application/*+xml",
	"application/*+json",
	"image/svg+xml",
	"image/bmp",
	"image/vnd.microsoft.icon",
	"font/ttf",
	"font/otf",
	"application/vnd.ms-fontobject",
	"application/wasm",
};

int64_t weir_static_modified_ns(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

bool weir_static_glob(struct weir_str pattern, struct weir_str text, bool is_caseless)
{
	size_t p = 0, t = 0, star = SIZE_MAX, from = 0;

	while (t < text.n) {
		if (p < pattern.n && pattern.p[p] == '*') {
			star = p++;
			from = t;
		} else if (p < pattern.n && (is_caseless ? weir_lower(pattern.p[p]) == weir_lower(text.p[t])
							 : pattern.p[p] == text.p[t])) {
			p++;
			t++;
		} else if (star != SIZE_MAX) {
			/* the last star takes one more */
			p = star + 1;
			t = ++from;
		} else {
			return false;
		}
	}
	while (p < pattern.n && pattern.p[p] == '*')
		p++;
	return p == pattern.n;
}

static bool is_type(const char *pattern, struct weir_str type)
{
	return weir_static_glob((struct weir_str){ pattern, strlen(pattern) }, type, true);
}

static bool is_compressible(const struct static_options *o, const struct static_file *f)
{
	struct weir_str type = { f->type, strcspn(f->type, "; ") };
	uint64_t bytes = (uint64_t)f->st.st_size;
	size_t i;

	if (!o->compress || bytes < o->compress_min || bytes > o->compress_max)
		return false;
	if (o->compress_types) {
		for (i = 0; i < o->compress_types->count; i++)
			if (is_type(o->compress_types->items[i], type))
				return true;
		return false;
	}
	for (i = 0; i < ARRAY_SIZE(compressible); i++)
		if (is_type(compressible[i], type))
			return true;
	return false;
}

static bool has_directive(struct weir_str list, const char *word)
{
	struct weir_str item, name = { word, strlen(word) };

	while (weir_str_next(&list, ',', &item)) {
		item = weir_str_trim(item);
		if (item.n >= name.n && weir_str_caseeq((struct weir_str){ item.p, name.n }, name) &&
		    (item.n == name.n || item.p[name.n] == '=' || item.p[name.n] == ' '))
			return true;
	}
	return false;
}

static void put_cache_control(const struct static_options *o, struct weir_buf *b)
{
	if (o->max_age_s == 0 && !o->is_guarded)
		return;
	weir_buf_puts(b, o->is_guarded ? "Cache-Control: private" : "Cache-Control: ");
	if (o->max_age_s > 0) {
		weir_buf_puts(b, o->is_guarded ? ", max-age=" : "max-age=");
		weir_buf_u64(b, o->max_age_s);
	}
	weir_buf_puts(b, "\r\n");
}

/* The fields of the configuration for a file at "/name". */
static void put_added(const struct static_options *o, struct static_file *f, struct weir_str path, struct weir_buf *b)
{
	bool has_cache_control = false;
	struct weir_conf_header h;
	const char *why;
	size_t i;

	for (i = 0; o->headers && i < o->headers->count; i++) {
		if (weir_conf_header_parse(o->headers->items[i], &h, &why) < 0)
			continue;
		if (h.pattern.n > 0 && !weir_static_glob(h.pattern, path, false))
			continue;
		if (weir_str_caseeq(h.name, WEIR_STR("Cache-Control"))) {
			has_cache_control = true;
			/* RFC 9111 3: a shared cache stores neither; what only wants to be validated it may, because
			 * the file is watched */
			f->is_private |= has_directive(h.value, "no-store") || has_directive(h.value, "private");
		}
		f->is_private |= weir_str_caseeq(h.name, WEIR_STR("Set-Cookie"));
		weir_buf_str(b, h.name);
		weir_buf_puts(b, ": ");
		weir_buf_str(b, h.value);
		weir_buf_puts(b, "\r\n");
	}
	if (!has_cache_control)
		put_cache_control(o, b);
}

int weir_static_describe(struct weir_static *s, struct static_file *f, const char *name)
{
	const struct static_options *o = &s->options;
	char text[STATIC_HEAD_MAX], path[PATH_MAX + 1];
	struct weir_buf extra = { .p = text, .cap = sizeof(text) };
	bool may_compress, may_vary = f->has_variants;
	unsigned c;
	int n;

	f->type = weir_mime_find(s->mime, name);
	if (!f->type)
		f->type = o->default_type ? o->default_type : WEIR_MIME_DEFAULT;
	f->is_private = o->is_guarded;
	may_compress = is_compressible(o, f);
	for (c = 0; c < WEIR_CODING_IDENTITY; c++)
		if (f->states[c] != STATIC_READY)
			f->states[c] = may_compress && f->is_watched ? STATIC_UNKNOWN : STATIC_NONE;
	f->has_variants |= may_compress && f->is_watched;
	may_vary |= may_compress;
	if (may_vary)
		weir_buf_puts(&extra, "Vary: Accept-Encoding\r\n");
	n = snprintf(path, sizeof(path), "/%s", name);
	put_added(o, f, (struct weir_str){ path, (size_t)n }, &extra);
	assert(!extra.is_full);
	free(f->extra);
	f->extra = strndup(text, extra.n);
	return f->extra ? 0 : -ENOMEM;
}

/* The head of a 200, or of a 304 with the fields of RFC 9110 15.4.5. Its length; *head stays NULL without memory. */
static uint16_t describe_head(const struct static_file *f, const struct static_rep *r, unsigned status,
			      struct weir_head_marks *ret_marks, char **head)
{
	const char *coding = weir_coding_names[r->coding];
	char text[STATIC_HEAD_MAX];
	struct weir_buf b = { .p = text, .cap = sizeof(text) };

	weir_head_begin(&b, status, ret_marks);
	if (status != 304) {
		weir_head_field(&b, "Content-Type", (struct weir_str){ f->type, strlen(f->type) });
		weir_head_length(&b, r->bytes);
		if (r->coding != WEIR_CODING_IDENTITY)
			weir_head_field(&b, "Content-Encoding", (struct weir_str){ coding, strlen(coding) });
	}
	weir_head_field(&b, "Last-Modified", (struct weir_str){ r->modified_text, sizeof(r->modified_text) });
	weir_head_field(&b, "ETag", r->etag);
	weir_head_field(&b, "Accept-Ranges", WEIR_STR("bytes"));
	weir_buf_puts(&b, f->extra);
	weir_head_end(&b, ret_marks);
	assert(!b.is_full);
	free(*head);
	*head = malloc(b.n);
	if (*head)
		memcpy(*head, text, b.n);
	return (uint16_t)b.n;
}

int weir_static_describe_rep(const struct static_file *f, struct static_rep *r, uint32_t mark)
{
	struct weir_buf etag = { .p = r->etag_text, .cap = sizeof(r->etag_text) };

	r->modified = r->modified_ns / 1000000000 - (r->modified_ns % 1000000000 < 0);
	weir_buf_puts(&etag, "\"");
	weir_buf_hex(&etag, (uint64_t)r->modified_ns);
	weir_buf_puts(&etag, "-");
	weir_buf_hex(&etag, mark ? (uint64_t)f->st.st_size : r->bytes);
	if (r->coding != WEIR_CODING_IDENTITY) {
		weir_buf_puts(&etag, "-");
		weir_buf_puts(&etag, weir_coding_names[r->coding]);
	}
	if (mark) {
		weir_buf_puts(&etag, "-");
		weir_buf_hex(&etag, mark);
	}
	weir_buf_puts(&etag, "\"");
	r->etag = (struct weir_str){ etag.p, etag.n };
	weir_date_format(r->modified, r->modified_text);

	assert(!etag.is_full);
	r->head_bytes = describe_head(f, r, 200, &r->marks, &r->head);
	r->cond_bytes = describe_head(f, r, 304, &r->cond_marks, &r->cond_head);
	return r->head && r->cond_head ? 0 : -ENOMEM;
}
