/* SPDX-License-Identifier: GPL-2.0 */
/* Date for XDP, once a second, and what else is due by the clock: secrets, idle flows. */
#include "dataplane/dataplane_priv.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>

#include "common/kernel_clock.h"

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

void dp_clock_set(struct weir_dataplane *dp)
{
	weir_clock_write(dp->clock);
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
	int r = random_bytes(&dp->secrets, offsetof(struct weir_secrets, cookie_current));

	dp->cookie_rotated_ns = dp_now_ns();
	dp_shared_derive(dp);
	return r < 0 ? r : put_secrets(dp);
}

/* The secret that is not current is long out of use: overwritten, then made current. */
static void rotate(struct weir_dataplane *dp)
{
	uint32_t next = dp->secrets.cookie_current ^ 1;

	if (random_bytes(dp->secrets.cookie[next], sizeof(dp->secrets.cookie[next])) < 0 || put_secrets(dp) < 0)
		return;
	dp->secrets.cookie_current = next;
	(void)put_secrets(dp);
}

void dp_secrets_tick(struct weir_dataplane *dp)
{
	uint64_t now = dp_now_ns();

	if (dp->shared) {
		dp_shared_derive(dp);
		(void)put_secrets(dp);
	} else if (now - dp->cookie_rotated_ns > COOKIE_ROTATE_NS) {
		dp->cookie_rotated_ns = now;
		rotate(dp);
	}
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
	dp_secrets_tick(dp);
	if (now - dp->swept_ns > SWEEP_NS) {
		dp->swept_ns = now;
		dp_sweep(dp);
	}
}
