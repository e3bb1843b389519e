/* SPDX-License-Identifier: GPL-2.0 */
/* HTTP dates, RFC 9110 5.6.7, by civil-calendar arithmetic: no locale, no time zone, no libc state. */
#include "http/http.h"

#include <errno.h>

static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
				    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

/* Days since 1970-01-01 of a proleptic Gregorian date; month 1 to 12. Years are counted from March, so that the
 * leap day is the last of its year, and in eras of 400 years. */
static int64_t days_from_civil(int64_t y, int m, int d)
{
	int64_t era, year_of_era, day_of_year;

	y -= m <= 2;
	era = (y >= 0 ? y : y - 399) / 400;
	year_of_era = y - era * 400;
	day_of_year = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static void civil_from_days(int64_t z, int64_t *y, int *m, int *d)
{
	int64_t era, day_of_era, year_of_era, day_of_year, mp;

	z += 719468;
	era = (z >= 0 ? z : z - 146096) / 146097;
	day_of_era = z - era * 146097;
	year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	mp = (5 * day_of_year + 2) / 153;
	*d = (int)(day_of_year - (153 * mp + 2) / 5 + 1);
	*m = (int)(mp < 10 ? mp + 3 : mp - 9);
	*y = year_of_era + era * 400 + (*m <= 2);
}

static void two_digits(char *out, int64_t v)
{
	out[0] = (char)('0' + v / 10);
	out[1] = (char)('0' + v % 10);
}

void weir_date_format(int64_t seconds, char *out)
{
	int64_t day = (seconds >= 0 ? seconds : seconds - 86399) / 86400, rest = seconds - day * 86400, y;
	int m, d;

	civil_from_days(day, &y, &m, &d);
	memcpy(out, "Ddd, 00 Mmm 0000 00:00:00 GMT", WEIR_HTTP_DATE_BYTES);
	memcpy(out, days[((day + 4) % 7 + 7) % 7], 3);
	two_digits(out + 5, d);
	memcpy(out + 8, months[m - 1], 3);
	two_digits(out + 12, y / 100 % 100);
	two_digits(out + 14, y % 100);
	two_digits(out + 17, rest / 3600);
	two_digits(out + 20, rest / 60 % 60);
	two_digits(out + 23, rest % 60);
}

struct stamp {
	int64_t year;
	int month, day, hour, minute, second;
};

static int number(struct weir_str *s, size_t digits, int64_t *ret)
{
	int64_t v = 0;
	size_t i;

	if (s->n < digits)
		return -EINVAL;
	for (i = 0; i < digits; i++) {
		/* asctime pads the day with a space */
		char c = i == 0 && digits == 2 && s->p[0] == ' ' ? '0' : s->p[i];

		if (c < '0' || c > '9')
			return -EINVAL;
		v = v * 10 + (c - '0');
	}
	s->p += digits;
	s->n -= digits;
	*ret = v;
	return 0;
}

static int month(struct weir_str *s, int *ret)
{
	int i;

	for (i = 0; s->n >= 3 && i < 12; i++) {
		if (memcmp(s->p, months[i], 3) != 0)
			continue;
		s->p += 3;
		s->n -= 3;
		*ret = i + 1;
		return 0;
	}
	return -EINVAL;
}

static int weekday(struct weir_str *s, bool is_full)
{
	static const char *const rest[7] = { "day", "day", "sday", "nesday", "rsday", "day", "urday" };
	size_t i, more;

	for (i = 0; s->n >= 3 && i < 7; i++) {
		if (memcmp(s->p, days[i], 3) != 0)
			continue;
		more = is_full ? strlen(rest[i]) : 0;
		if (s->n - 3 < more || (more > 0 && memcmp(s->p + 3, rest[i], more) != 0))
			return -EINVAL;
		s->p += 3 + more;
		s->n -= 3 + more;
		return 0;
	}
	return -EINVAL;
}

/* Reads a text against a pattern: 'a' weekday, 'A' weekday in full, 'b' month, 'd' day, 'Y' year, 'y' its last two
 * digits, 'h' 'm' 's' time; anything else stands for itself. */
static int match(struct weir_str s, const char *pattern, struct stamp *t)
{
	for (; *pattern; pattern++) {
		int64_t v = 0;
		int r = 0;

		switch (*pattern) {
		case 'a':
		case 'A':
			r = weekday(&s, *pattern == 'A');
			break;
		case 'b':
			r = month(&s, &t->month);
			break;
		case 'Y':
			r = number(&s, 4, &t->year);
			break;
		case 'y':
			r = number(&s, 2, &t->year);
			break;
		case 'd':
			r = number(&s, 2, &v);
			t->day = (int)v;
			break;
		case 'h':
			r = number(&s, 2, &v);
			t->hour = (int)v;
			break;
		case 'm':
			r = number(&s, 2, &v);
			t->minute = (int)v;
			break;
		case 's':
			r = number(&s, 2, &v);
			t->second = (int)v;
			break;
		default:
			if (s.n == 0 || *s.p != *pattern)
				return -EINVAL;
			s.p++;
			s.n--;
		}
		if (r < 0)
			return r;
	}
	return s.n == 0 ? 0 : -EINVAL;
}

int weir_date_parse(struct weir_str s, int64_t now, int64_t *ret_seconds)
{
	struct stamp t = { 0 };
	int64_t this_year;
	int m, d;

	if (match(s, "a, d b Y h:m:s GMT", &t) < 0) {
		t = (struct stamp){ 0 };
		if (match(s, "A, d-b-y h:m:s GMT", &t) == 0) {
			/* RFC 9110 5.6.7: more than 50 years ahead means the past */
			civil_from_days(now / 86400, &this_year, &m, &d);
			t.year += this_year / 100 * 100;
			if (t.year > this_year + 50)
				t.year -= 100;
		} else {
			t = (struct stamp){ 0 };
			if (match(s, "a b d h:m:s Y", &t) < 0)
				return -EINVAL;
		}
	}
	if (t.day < 1 || t.day > 31 || t.hour > 23 || t.minute > 59 || t.second > 60)
		return -EINVAL;
	*ret_seconds = days_from_civil(t.year, t.month, t.day) * 86400 + t.hour * 3600 + t.minute * 60 + t.second;
	return 0;
}
