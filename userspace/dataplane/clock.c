/* SPDX-License-Identifier: GPL-2.0 */
/* Date for XDP, once a second, and what else is due by the clock: secrets, idle flows. */
#include "dataplane/dataplane_priv.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>

#define COOKIE_ROTATE_NS (3600ULL * 1000000000)
#define SWEEP_NS (10ULL * 1000000000)
#define IDLE_NS (120ULL * 1000000000) /* HTTP.sys: ConnectionTimeout */

uint64_t dp_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

int dp_clock_map(struct weir_dataplane *dp)
{
	void *p = mmap(NULL, sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_SHARED,
		       bpf_map__fd(dp->skel->maps.weir_clock), 0);

	if (p == MAP_FAILED)
		return -errno;
	dp->clock = p;
	return 0;
}

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

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec;
}

void dp_clock_set(struct weir_dataplane *dp)
{
	uint32_t next = (dp->clock->current & 1) ^ 1, sum = 0;
	struct weir_date *d = &dp->clock->dates[next];
	int i;

	format_date(now_s(), d->text);
	for (i = 0; i < 32; i += 2)
		sum += (uint32_t)(uint8_t)d->text[i] << 8 | (uint8_t)d->text[i + 1];
	d->sum = sum;
	d->written_ns = dp_now_ns();
	/* release: pairs with the data dependency on `current` in answer_write() */
	__atomic_store_n(&dp->clock->current, next, __ATOMIC_RELEASE);
}

static int random_bytes(void *to, size_t bytes)
{
	return getrandom(to, bytes, 0) == (ssize_t)bytes ? 0 : -EIO;
}

static int put_secrets(struct weir_dataplane *dp)
{
	uint32_t zero = 0;

	return bpf_map_update_elem(bpf_map__fd(dp->skel->maps.weir_secrets), &zero, &dp->secrets, BPF_ANY) ? -errno :
													     0;
}

int dp_secrets_init(struct weir_dataplane *dp)
{
	int r = random_bytes(&dp->secrets, sizeof(dp->secrets));

	dp->secrets.cookie_current = 0;
	dp->secrets.pad = 0;
	dp->cookie_rotated_ns = dp_now_ns();
	return r < 0 ? r : put_secrets(dp);
}

/* The secret that is not current is long out of use: overwritten, then made current. */
void dp_secrets_rotate(struct weir_dataplane *dp)
{
	uint32_t next = dp->secrets.cookie_current ^ 1;

	if (random_bytes(dp->secrets.cookie[next], sizeof(dp->secrets.cookie[next])) < 0 || put_secrets(dp) < 0)
		return;
	dp->secrets.cookie_current = next;
	(void)put_secrets(dp);
}

/* Flows that XDP owns have no timers of their own: what was idle too long is forgotten, and the kernel answers a late
 * packet with RST. Kernel-owned flows end with their sockets; one without a packet for a day has lost its. */
static int is_idle(const struct weir_flow *f, uint64_t now)
{
	uint64_t idle = now > f->seen_ns ? now - f->seen_ns : 0;

	return f->owner == WEIR_OWNER_XDP ? idle > IDLE_NS : idle > 720 * IDLE_NS;
}

void dp_sweep(struct weir_dataplane *dp)
{
	int fd = bpf_map__fd(dp->skel->maps.weir_flows);
	struct weir_flow_key key, next;
	uint64_t now = dp_now_ns();
	struct weir_flow f;
	bool has_key = false, is_old = false;

	while (!bpf_map_get_next_key(fd, has_key ? &key : NULL, &next)) {
		if (is_old)
			(void)bpf_map_delete_elem(fd, &key);
		is_old = !bpf_map_lookup_elem(fd, &next, &f) && is_idle(&f, now);
		key = next;
		has_key = true;
	}
	if (is_old)
		(void)bpf_map_delete_elem(fd, &key);
}

void weir_dataplane_tick(struct weir_dataplane *dp)
{
	uint64_t now = dp_now_ns();

	dp_clock_set(dp);
	if (now - dp->cookie_rotated_ns > COOKIE_ROTATE_NS) {
		dp->cookie_rotated_ns = now;
		dp_secrets_rotate(dp);
	}
	if (now - dp->swept_ns > SWEEP_NS) {
		dp->swept_ns = now;
		dp_sweep(dp);
	}
}
