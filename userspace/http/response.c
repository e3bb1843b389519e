/* SPDX-License-Identifier: GPL-2.0 */
/* The response head of an upstream: finds its end, refuses what two readers could take differently,
 * then hands it to llhttp as the second opinion on its syntax. */
#include "http/response.h"

#include <errno.h>
#include <llhttp.h>

static int refuse(struct weir_reply *r, int error, const char *why)
{
	r->why = why;
	return error;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Finds the empty line. Lines are checked as soon as they are whole. */
static int find_end(const char *bytes, size_t count, size_t max, size_t *scanned, struct weir_reply *r)
{
	size_t line = *scanned;

	for (;;) {
		const char *lf = line < count ? memchr(bytes + line, '\n', count - line) : NULL;
		size_t n;

		if (!lf)
			break;
		n = (size_t)(lf - (bytes + line));
		if (n == 0 || lf[-1] != '\r')
			return refuse(r, -EBADMSG, "line feed without carriage return");
		if (memchr(bytes + line, '\r', n - 1))
			return refuse(r, -EBADMSG, "bare carriage return");
		line += n + 1;
		if (n == 1) {
			r->head_bytes = line;
			return line > max ? refuse(r, -EMSGSIZE, "response head too long") : 0;
		}
	}
	*scanned = line;
	return count >= max ? refuse(r, -EMSGSIZE, "response head too long") : -EAGAIN;
}

/* HTTP/1.x SP 3DIGIT SP [reason] CRLF, RFC 9112 4; the last space may be missing, as many servers
 * leave it out. */
static int parse_status_line(struct weir_str line, struct weir_reply *r)
{
	size_t i;

	if (line.n < 12 || memcmp(line.p, "HTTP/1.", 7) != 0 || (line.p[7] != '0' && line.p[7] != '1') ||
	    line.p[8] != ' ')
		return refuse(r, -EBADMSG, "no HTTP/1 status line");
	if (!is_digit(line.p[9]) || !is_digit(line.p[10]) || !is_digit(line.p[11]) ||
	    (line.n > 12 && line.p[12] != ' '))
		return refuse(r, -EBADMSG, "bad status code");
	r->minor = (unsigned)(line.p[7] - '0');
	r->status =
		(unsigned)(line.p[9] - '0') * 100 + (unsigned)(line.p[10] - '0') * 10 + (unsigned)(line.p[11] - '0');
	if (r->status < 100 || r->status > 599)
		return refuse(r, -EBADMSG, "status code outside of 100 to 599");
	if (line.n > 13)
		r->reason = (struct weir_str){ line.p + 13, line.n - 13 };
	for (i = 0; i < r->reason.n; i++)
		if (((uint8_t)r->reason.p[i] < 0x20 && r->reason.p[i] != '\t') || r->reason.p[i] == 0x7f)
			return refuse(r, -EBADMSG, "control character in the status line");
	return 0;
}

static int parse_length(struct weir_str value, struct weir_reply *r)
{
	size_t i;

	if (r->has_length)
		return refuse(r, -EBADMSG, "more than one Content-Length");
	if (value.n == 0 || value.n > 18)
		return refuse(r, -EBADMSG, "bad Content-Length");
	for (i = 0; i < value.n; i++) {
		if (!is_digit(value.p[i]))
			return refuse(r, -EBADMSG, "bad Content-Length");
		r->body_bytes = r->body_bytes * 10 + (uint64_t)(value.p[i] - '0');
	}
	r->has_length = true;
	return 0;
}

/* Content-Length, Transfer-Encoding, Connection: RFC 9112 6 and 9.3. */
int weir_reply_read_fields(struct weir_reply *r)
{
	struct weir_str rest = r->fields, name, value;
	bool says_close = false, says_keep_alive = false, has_coding = false;
	int error;

	while (weir_fields_next(&rest, &name, &value)) {
		if (++r->fields_count > WEIR_HTTP_FIELDS_MAX)
			return refuse(r, -EMSGSIZE, "too many fields");
		if (name.n == 14 && weir_str_caseeq(name, WEIR_STR("content-length"))) {
			error = parse_length(value, r);
			if (error)
				return error;
		} else if (name.n == 17 && weir_str_caseeq(name, WEIR_STR("transfer-encoding"))) {
			if (has_coding || !weir_str_caseeq(value, WEIR_STR("chunked")))
				return refuse(r, -EBADMSG, "transfer coding not known");
			has_coding = true;
		} else if (name.n == 10 && weir_str_caseeq(name, WEIR_STR("connection"))) {
			says_close |= weir_list_has(value, WEIR_STR("close"));
			says_keep_alive |= weir_list_has(value, WEIR_STR("keep-alive"));
		}
	}
	if (has_coding && r->has_length)
		return refuse(r, -EBADMSG, "both Content-Length and Transfer-Encoding");
	if (has_coding && r->minor == 0)
		return refuse(r, -EBADMSG, "Transfer-Encoding in HTTP/1.0");
	r->is_chunked = has_coding;
	r->is_keep_alive = !says_close && (r->minor > 0 || says_keep_alive);
	return 0;
}

static int on_headers_complete(llhttp_t *p)
{
	*(bool *)p->data = true;
	return HPE_PAUSED;
}

static int ask_llhttp(const char *head, size_t bytes, struct weir_reply *r)
{
	static const llhttp_settings_t settings = { .on_headers_complete = on_headers_complete };
	bool is_done = false;
	llhttp_t parser;

	llhttp_init(&parser, HTTP_RESPONSE, &settings);
	parser.data = &is_done;
	(void)llhttp_execute(&parser, head, bytes);
	return is_done ? 0 : refuse(r, -EBADMSG, "malformed response head");
}

int weir_reply_parse(const char *bytes, size_t count, size_t max, size_t *scanned, struct weir_reply *ret)
{
	const char *lf;
	size_t line;
	int r;

	*ret = (struct weir_reply){ .why = "" };
	r = find_end(bytes, count, max, scanned, ret);
	if (r == -EAGAIN)
		return r;
	*scanned = 0;
	if (r < 0)
		return r;
	lf = memchr(bytes, '\n', ret->head_bytes);
	line = (size_t)(lf - bytes) + 1;
	r = parse_status_line((struct weir_str){ bytes, line - 2 }, ret);
	if (r < 0)
		return r;
	/* never NULL, so that no fields are an empty slice of the head */
	ret->fields = (struct weir_str){ bytes + line, ret->head_bytes - line - 2 };
	ret->why = weir_fields_check(ret->fields);
	if (ret->why)
		return -EBADMSG;
	ret->why = "";
	r = weir_reply_read_fields(ret);
	return r < 0 ? r : ask_llhttp(bytes, ret->head_bytes, ret);
}

enum weir_framing weir_reply_framing(const struct weir_reply *r, bool is_head_request)
{
	if (is_head_request || r->status < 200 || r->status == 204 || r->status == 304)
		return WEIR_FRAMING_NONE;
	if (r->is_chunked)
		return WEIR_FRAMING_CHUNKED;
	return r->has_length ? WEIR_FRAMING_LENGTH : WEIR_FRAMING_CLOSE;
}
