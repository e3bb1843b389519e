/* SPDX-License-Identifier: GPL-2.0 */
/* Opens, sizes and loads the BPF objects, and lets them go. The read-only data tells the programs what this
 * network namespace's TCP would negotiate, so that XDP promises nothing that the kernel does not keep. */
#include "dataplane/dataplane_priv.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "weir/abi.h"

#include "common/log.h"

/* Rising, and each at most what a client asked for. The first stands for less than 536. */
static const uint16_t mss_table[16] = { 0,    536,  1200, 1220, 1280, 1300, 1340, 1360,
					1380, 1400, 1420, 1440, 1452, 1460, 8940, 65475 };

static int print_debug(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	char line[512];

	if (level == LIBBPF_DEBUG)
		return 0;
	vsnprintf(line, sizeof(line), fmt, ap);
	line[strcspn(line, "\n")] = '\0';
	if (*line)
		weir_debug("%s", line);
	return 0;
}

void dp_quiet(void)
{
	libbpf_set_print(print_debug);
}

long dp_sysctl(const char *path, long fallback)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	long value;

	return f && fscanf(f, "%ld", &value) == 1 ? value : fallback;
}

/* tcp_rmem's default, of which half is window at the start of a connection (tcp_select_initial_window()). */
static uint32_t receive_space(void)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/sys/net/ipv4/tcp_rmem", "re");
	unsigned long min, def;

	if (!f || fscanf(f, "%lu %lu", &min, &def) != 2)
		return 65535;
	return MIN(def / 2, 65535UL);
}

static uint64_t netns_cookie(void)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint64_t cookie = 0;
	socklen_t bytes = sizeof(cookie);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &bytes))
		return 0;
	return cookie;
}

static void set_rodata(struct weir_bpf *skel)
{
	struct weir_bpf__rodata *ro = skel->rodata;
	uint32_t space = receive_space(), i;

	for (i = 0; i < ARRAY_SIZE(mss_table); i++) {
		uint16_t mss = i ? mss_table[i] : 536;

		ro->weir_mss_table[i] = mss_table[i];
		ro->weir_wnd_table[i] = space > mss ? space / mss * mss : space;
	}
	ro->weir_use_ts = dp_sysctl("/proc/sys/net/ipv4/tcp_timestamps", 1) != 0;
	ro->weir_use_sack = dp_sysctl("/proc/sys/net/ipv4/tcp_sack", 1) != 0;
	ro->weir_use_wscale = dp_sysctl("/proc/sys/net/ipv4/tcp_window_scaling", 1) != 0;
	ro->weir_rcv_wscale = 7;
	ro->weir_netns = netns_cookie();
}

static bool kernel_is_new_enough(struct utsname *ret_uname)
{
	int major = 0, minor = 0;

	uname(ret_uname);
	return sscanf(ret_uname->release, "%d.%d", &major, &minor) == 2 && (major > 6 || (major == 6 && minor >= 9));
}

static int explain(int r, char why[256])
{
	struct utsname u;

	if (r == -EPERM)
		snprintf(why, 256, "the kernel refuses BPF: run as root, and see `weir doctor`");
	else if (r != -ESRCH && r != -ENOENT && r != -EINVAL && r != -EACCES && r != -E2BIG)
		snprintf(why, 256, "loading the BPF programs failed (%s)", strerror(-r));
	else if (!kernel_is_new_enough(&u))
		snprintf(why, 256, "Linux %.40s cannot run the programs: 6.9 or newer is needed, see `weir doctor`",
			 u.release);
	else
		snprintf(why, 256,
			 "the verifier of Linux %.40s refuses the programs (%s), which is a fault of Weir's: please report it",
			 u.release, strerror(-r));
	return r;
}

/* From opened to loaded, with the maps of each pool. */
static int load(struct weir_dataplane *dp, const struct weir_config *conf)
{
	int r = dp_maps_size(dp, conf);

	if (r >= 0)
		r = dp_reuse_maps(dp, conf);
	if (r >= 0)
		r = weir_bpf__load(dp->skel);
	if (r >= 0)
		r = dp_maps_make_pools(dp, conf);
	if (r >= 0)
		r = dp->is_kept ? dp_reuse_secrets(dp) : dp_secrets_init(dp);
	return r < 0 ? r : dp_clock_map(dp);
}

int weir_dataplane_load(const struct weir_config *conf, const bool *is_kept, struct weir_dataplane **ret_dp,
			char ret_why[256])
{
	_cleanup_(weir_dataplane_freep) struct weir_dataplane *dp = NULL;
	struct rlimit lift = { RLIM_INFINITY, RLIM_INFINITY };
	size_t i, j;
	int r;

	ret_why[0] = '\0';
	dp_quiet();
	(void)setrlimit(RLIMIT_MEMLOCK, &lift); /* kernels before 5.11 */
	if (dp_sysctl("/proc/sys/net/ipv4/tcp_syncookies", 1) == 0) {
		snprintf(ret_why, 256, "net.ipv4.tcp_syncookies is 0, and hand-over needs it: set it to 1");
		return -EOPNOTSUPP;
	}
	dp = calloc(1, sizeof(*dp));
	if (!dp)
		return -ENOMEM;
	dp->sock_link = -1;
	dp->is_kept = is_kept;
	for (i = 0; i < WEIR_POOLS_MAX; i++) {
		dp->pools[i].tickets = dp->pools[i].queue_fd = -1;
		for (j = 0; j < WEIR_CLASS__MAX; j++)
			dp->pools[i].cache[j] = -1;
	}
	dp->skel = weir_bpf__open();
	if (!dp->skel)
		return explain(-errno, ret_why);
	set_rodata(dp->skel);
	r = load(dp, conf);
	dp->is_kept = NULL;
	if (r < 0)
		return explain(r, ret_why);
	dp_clock_set(dp);
	r = dp_pin(dp, conf);
	if (r < 0)
		weir_warn("pins are off (%s): bpftool finds the maps by name only; mount bpffs at " WEIR_BPFFS,
			  strerror(-r));
	*ret_dp = TAKE_PTR(dp);
	return 0;
}

struct weir_dataplane *weir_dataplane_leave(struct weir_dataplane *dp)
{
	size_t i;

	for (i = 0; dp && i < dp->ifaces_count; i++)
		weir_closep(&dp->ifaces[i].xdp_link);
	if (!dp)
		return NULL;
	dp->ifaces_count = 0;
	weir_closep(&dp->sock_link);
	dp->sock_link = -1;
	dp->pin_dir[0] = '\0';
	return weir_dataplane_free(dp);
}

struct weir_dataplane *weir_dataplane_free(struct weir_dataplane *dp)
{
	if (!dp)
		return NULL;
	dp_detach(dp);
	if (dp->pin_dir[0])
		dp_unpin(dp->pin_dir);
	if (dp->clock)
		munmap(dp->clock, sysconf(_SC_PAGESIZE));
	dp_maps_close_pools(dp);
	weir_bpf__destroy(dp->skel);
	free(dp);
	return NULL;
}
