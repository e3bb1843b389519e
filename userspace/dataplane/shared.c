// SPDX-License-Identifier: GPL-2.0
/* Secrets that several hosts have in common, so that one completes a handshake that another began: SYN cookie keys, which
 * rotate by the time of day, and the timestamp offsets. They are made from one secret by a pseudo-random function, two
 * SipHashes under the two halves of the secret, so that no key says anything about another. */
#include "dataplane/dataplane_priv.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "weir/siphash.h"

#include "common/log.h"

#define EPOCH_S 3600
#define CLOCK_STEP_MS 64     /* the low six bits of a SYN-ACK's timestamp carry options */
#define CLOCK_LEEWAY_MS 1000 /* timestamps follow the time of day when it is off by more */

enum purpose {
	PURPOSE_COOKIE = 1,
	PURPOSE_TS_OFFSET = 2,
};

static uint64_t word(const uint64_t secret[4], enum purpose purpose, uint64_t epoch, unsigned number)
{
	uint64_t out = 0;
	unsigned half;

	for (half = 0; half < 2; half++) {
		struct weir_sip h;

		weir_sip_init(&h, (const __u64 *)&secret[2 * half]);
		weir_sip_word(&h, (uint64_t)purpose << 32 | number);
		weir_sip_word(&h, epoch);
		out ^= weir_sip_final(&h);
	}
	return out;
}

static void fill(const uint64_t secret[4], enum purpose purpose, uint64_t epoch, __u64 ret[2])
{
	ret[0] = word(secret, purpose, epoch, 0);
	ret[1] = word(secret, purpose, epoch, 1);
}

/* Odd epochs have one place, even ones the other. Beside the epoch's own key lies that of the epoch before, whose cookies are
 * on their way still; in the second half that of the next, which hosts whose clocks are ahead use first. */
void dp_shared_keys(const uint64_t secret[4], uint64_t now_s, struct weir_secrets *ret)
{
	uint64_t epoch = now_s / EPOCH_S, other = now_s % EPOCH_S < EPOCH_S / 2 ? epoch - 1 : epoch + 1;

	fill(secret, PURPOSE_TS_OFFSET, 0, ret->ts_offset);
	fill(secret, PURPOSE_COOKIE, epoch, ret->cookie[epoch & 1]);
	fill(secret, PURPOSE_COOKIE, other, ret->cookie[other & 1]);
	ret->cookie_current = (uint32_t)(epoch & 1);
	ret->is_shared = 1;
}

void dp_shared_derive(struct weir_dataplane *dp)
{
	struct weir_secrets *sec = &dp->secrets;
	struct timespec t;
	uint64_t ahead_ns;
	uint32_t ahead_ms;
	int32_t off;

	if (!dp->shared) {
		sec->is_shared = sec->clock_ms = sec->pad = 0;
		sec->clock_ns = 0;
		return;
	}
	(void)clock_gettime(CLOCK_REALTIME, &t);
	ahead_ns = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec - dp_now_ns();
	ahead_ms = (uint32_t)(ahead_ns / 1000000) / CLOCK_STEP_MS * CLOCK_STEP_MS;
	off = (int32_t)(ahead_ms - sec->clock_ms);
	if (!sec->is_shared || off > CLOCK_LEEWAY_MS || off < -CLOCK_LEEWAY_MS)
		sec->clock_ms = ahead_ms;
	sec->clock_ns = ahead_ns;
	dp_shared_keys(dp->shared, (uint64_t)t.tv_sec, sec);
}

int dp_shared_open(struct weir_dataplane *dp, const struct weir_config *conf)
{
	const char *path = conf->fleet.secret_file, *why;
	void *page;
	int r;

	if (!path)
		return 0;
	page = mmap(NULL, sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return -errno;
	dp->shared = page;
	/* keepers, workers and other children begin as copies of this process */
	if (madvise(page, sysconf(_SC_PAGESIZE), MADV_WIPEONFORK) < 0)
		return -errno;
	r = weir_fleet_secret_read(path, page, &why);
	return r < 0 ? weir_err(r, "fleet_secret_file '%s': %s", path, why) : 0;
}

void dp_shared_close(struct weir_dataplane *dp)
{
	if (dp->shared)
		munmap(dp->shared, sysconf(_SC_PAGESIZE));
	dp->shared = NULL;
}
