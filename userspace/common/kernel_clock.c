/* SPDX-License-Identifier: GPL-2.0 */
/* One writer a second: who moves `turn` to it. A writer that dies in between costs one second's date. */
#include "common/kernel_clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "weir/limits.h"

#include "common/clock.h"

/* IMF-fixdate, RFC 9110 5.6.7; by hand because strftime() follows the locale. */
static void format_date(time_t t, char text[32])
{
	static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct tm tm;
	char line[64];

	gmtime_r(&t, &tm);
	snprintf(line, sizeof(line), "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + 3 * tm.tm_wday, tm.tm_mday,
		 months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
	memset(text, 0, 32);
	memcpy(text, line, WEIR_DATE_BYTES);
}

/* Not time(): its coarse clock still shows the last second just after the next began. */
static time_t now_s(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec;
}

bool weir_clock_write(struct weir_clock *c)
{
	time_t now = now_s();
	uint32_t turn = __atomic_load_n(&c->turn, __ATOMIC_ACQUIRE), next, sum = 0;
	struct weir_date *d;
	int i;

	if (turn == (uint32_t)now || !__atomic_compare_exchange_n(&c->turn, &turn, (uint32_t)now, false,
								  __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return false;
	next = (c->current & 1) ^ 1;
	d = &c->dates[next];
	format_date(now, d->text);
	for (i = 0; i < 32; i += 2)
		sum += (uint32_t)(uint8_t)d->text[i] << 8 | (uint8_t)d->text[i + 1];
	d->sum = sum;
	d->written_ns = weir_now_ns();
	/* release: pairs with the data dependency on `current` in answer_write() */
	__atomic_store_n(&c->current, next, __ATOMIC_RELEASE);
	return true;
}
