/* SPDX-License-Identifier: GPL-2.0 */
/* Pieces of a line. Text of clients is looked at eight bytes at a time; what need not be escaped is copied. */
#include "logger/text.h"

#include <arpa/inet.h>
#include <time.h>

#include "common/macro.h"

#define ONES 0x0101010101010101ULL
#define HIGH 0x8080808080808080ULL

/* Whether a byte of the word equals `c`, is below `c`; exact for bytes below 0x80, and the others have HIGH anyway. */
static uint64_t has(uint64_t word, unsigned char c)
{
	uint64_t x = word ^ (ONES * c);

	return (x - ONES) & ~x & HIGH;
}

static uint64_t has_below(uint64_t word, unsigned char c)
{
	return (word - ONES * c) & ~word & HIGH;
}

static bool is_bad(unsigned char c, enum log_style style)
{
	if (style == LOG_STYLE_W3C)
		return c <= ' ' || c >= 0x7f;
	return c < ' ' || c >= 0x7f || c == '"' || c == '\\';
}

static char *put_bad(char *at, unsigned char c, enum log_style style)
{
	static const char digits[] = "0123456789ABCDEF";

	switch (style) {
	case LOG_STYLE_W3C:
		if (c <= ' ' || c == 0x7f) {
			*at++ = '+';
			return at;
		}
		*at++ = '%';
		break;
	case LOG_STYLE_JSON:
		at = log_put_lit(at, "\\u00");
		break;
	case LOG_STYLE_QUOTED:
		at = log_put_lit(at, "\\x");
		break;
	}
	*at++ = digits[c >> 4];
	*at++ = digits[c & 15];
	return at;
}

char *log_put_text(char *at, struct weir_str s, enum log_style style)
{
	size_t i = 0, j;

	if (s.n == 0 && style == LOG_STYLE_W3C)
		return log_put_lit(at, "-");
	while (i < s.n) {
		if (s.n - i >= 8) {
			uint64_t w, bad;

			memcpy(&w, s.p + i, 8);
			bad = (w & HIGH) | has(w, 0x7f);
			bad |= style == LOG_STYLE_W3C ? has_below(w, 0x21)
						      : has_below(w, 0x20) | has(w, '"') | has(w, '\\');
			if (!bad) {
				memcpy(at, &w, 8);
				at += 8;
				i += 8;
				continue;
			}
		}
		for (j = MIN(i + 8, s.n); i < j; i++) {
			unsigned char c = (unsigned char)s.p[i];

			if (is_bad(c, style))
				at = put_bad(at, c, style);
			else
				*at++ = (char)c;
		}
	}
	return at;
}

char *log_put_u64(char *at, uint64_t value)
{
	char digits[20];
	size_t i = sizeof(digits);

	do {
		digits[--i] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	return log_put(at, digits + i, sizeof(digits) - i);
}

static void make_address(const struct weir_addr *a, char text[64])
{
	if (!a->word[0] && !a->word[1] && a->word[2] == htonl(0xffff))
		(void)inet_ntop(AF_INET, &a->word[3], text, 64);
	else
		(void)inet_ntop(AF_INET6, a, text, 64);
}

char *log_put_address(char *at, const struct weir_addr *a)
{
	/* neighbouring lines are about the same few */
	static struct {
		struct weir_addr addr;
		size_t n;
		char text[64];
	} known[64];
	size_t i = (a->word[3] ^ a->word[3] >> 16 ^ a->word[3] >> 24 ^ a->word[1]) % ARRAY_SIZE(known);

	if (!known[i].n || memcmp(&known[i].addr, a, sizeof(*a)) != 0) {
		make_address(a, known[i].text);
		known[i].addr = *a;
		known[i].n = strlen(known[i].text);
	}
	return log_put(at, known[i].text, known[i].n);
}

/* The texts of one second, made once. */
struct second {
	int64_t s;
	bool is_made;
	char date[16], time[16], stamp[40];
};

static const struct second *second_of(int64_t s)
{
	static struct second now[4];
	struct second *it = &now[s & 3];
	struct tm tm;
	time_t t = (time_t)s;

	if (it->is_made && it->s == s)
		return it;
	(void)gmtime_r(&t, &tm);
	(void)strftime(it->date, sizeof(it->date), "%Y-%m-%d", &tm);
	(void)strftime(it->time, sizeof(it->time), "%H:%M:%S", &tm);
	(void)strftime(it->stamp, sizeof(it->stamp), "%d/%b/%Y:%H:%M:%S +0000", &tm);
	it->s = s;
	it->is_made = true;
	return it;
}

char *log_put_date(char *at, int64_t s)
{
	return log_puts(at, second_of(s)->date);
}

char *log_put_time(char *at, int64_t s)
{
	return log_puts(at, second_of(s)->time);
}

char *log_put_stamp(char *at, int64_t s)
{
	return log_puts(at, second_of(s)->stamp);
}
