/* SPDX-License-Identifier: GPL-2.0 */
/* What this kernel and interface can do for Weir, and what it costs when they cannot: the rows of `weir doctor`. */
#include "dataplane/dataplane_priv.h"

#include <bpf/btf.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/magic.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/vfs.h>

#include "weir/abi.h"

struct rows {
	struct weir_probe *rows;
	size_t count, max;
};

static void add(struct rows *rs, const char *what, bool is_ok, bool is_needed, const char *fmt, ...) _printf_(5, 6);
static void add(struct rows *rs, const char *what, bool is_ok, bool is_needed, const char *fmt, ...)
{
	struct weir_probe *p = &rs->rows[rs->count];
	va_list ap;

	if (rs->count == rs->max)
		return;
	rs->count++;
	p->what = what;
	p->is_ok = is_ok;
	p->is_needed = is_needed;
	va_start(ap, fmt);
	vsnprintf(p->detail, sizeof(p->detail), fmt, ap);
	va_end(ap);
}

static void probe_kernel(struct rows *rs)
{
	struct utsname u;
	int major = 0, minor = 0;

	uname(&u);
	(void)sscanf(u.release, "%d.%d", &major, &minor);
	add(rs, "Linux 6.9 or newer", major > 6 || (major == 6 && minor >= 9), true,
	    "%.60s%s", u.release, major > 6 || (major == 6 && minor >= 9) ? "" :
	    ": no hand-over, so no kernel cache; all else works");
}

static void probe_rights(struct rows *rs)
{
	bool is_ok = libbpf_probe_bpf_map_type(BPF_MAP_TYPE_HASH, NULL) == 1;

	add(rs, "BPF allowed", is_ok, true, "%s",
	    is_ok ? "maps and programs can be loaded" : "refused: run as root, or this container forbids BPF");
}

static void probe_programs(struct rows *rs)
{
	static const struct {
		enum bpf_prog_type type;
		const char *what, *cost;
	} need[] = {
		{ BPF_PROG_TYPE_XDP, "program type xdp", "no kernel cache" },
		{ BPF_PROG_TYPE_SCHED_CLS, "program type sched_cls (tc)", "no hand-over, so no kernel cache" },
		{ BPF_PROG_TYPE_SK_REUSEPORT, "program type sk_reuseport", "no steering to pools by URL" },
		{ BPF_PROG_TYPE_SOCK_OPS, "program type sock_ops", "no record of kernel-owned connections" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(need); i++) {
		bool is_ok = libbpf_probe_bpf_prog_type(need[i].type, NULL) == 1;

		add(rs, need[i].what, is_ok, true, "%s%s", is_ok ? "loads" : "refused: ", is_ok ? "" : need[i].cost);
	}
}

static void probe_btf(struct rows *rs)
{
	struct btf *btf = btf__load_vmlinux_btf();
	bool has_btf = libbpf_get_error(btf) == 0;
	bool has_kfunc = has_btf && btf__find_by_name_kind(btf, "bpf_sk_assign_tcp_reqsk", BTF_KIND_FUNC) > 0;

	add(rs, "kernel BTF", has_btf, true, "%s",
	    has_btf ? "/sys/kernel/btf/vmlinux" : "missing (CONFIG_DEBUG_INFO_BTF): programs cannot be loaded");
	add(rs, "kfunc bpf_sk_assign_tcp_reqsk", has_kfunc, true, "%s",
	    has_kfunc ? "connections can be handed to the kernel" :
			"missing, it came with Linux 6.9: no hand-over, so no kernel cache; all else works");
	if (has_btf)
		btf__free(btf);
}

static void probe_helpers(struct rows *rs)
{
	static const struct {
		enum bpf_prog_type type;
		enum bpf_func_id id;
		const char *what;
	} need[] = {
		{ BPF_PROG_TYPE_XDP, BPF_FUNC_xdp_load_bytes, "helper bpf_xdp_load_bytes" },
		{ BPF_PROG_TYPE_XDP, BPF_FUNC_loop, "helper bpf_loop" },
		{ BPF_PROG_TYPE_XDP, BPF_FUNC_skc_lookup_tcp, "helper bpf_skc_lookup_tcp" },
		{ BPF_PROG_TYPE_SCHED_CLS, BPF_FUNC_clone_redirect, "helper bpf_clone_redirect" },
		{ BPF_PROG_TYPE_SK_REUSEPORT, BPF_FUNC_sk_select_reuseport, "helper bpf_sk_select_reuseport" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(need); i++) {
		bool is_ok = libbpf_probe_bpf_helper(need[i].type, need[i].id, NULL) == 1;

		add(rs, need[i].what, is_ok, true, "%s", is_ok ? "there" : "missing: no kernel cache");
	}
}

static void probe_system(struct rows *rs)
{
	long cookies = dp_sysctl("/proc/sys/net/ipv4/tcp_syncookies", -1);
	long jit = dp_sysctl("/proc/sys/net/core/bpf_jit_enable", 1);
	long unpriv = dp_sysctl("/proc/sys/kernel/unprivileged_bpf_disabled", -1);
	struct statfs fs;
	bool has_bpffs = !statfs(WEIR_BPFFS, &fs) && fs.f_type == BPF_FS_MAGIC;
	char cgroup[256];
	bool has_cgroup = !dp_find_cgroup(cgroup);

	add(rs, "net.ipv4.tcp_syncookies", cookies != 0, true, "%ld%s", cookies,
	    cookies ? "" : ": must not be 0, hand-over needs it; set it to 1");
	add(rs, "cgroup v2", has_cgroup, true, "%.100s", has_cgroup ? cgroup : "not mounted: sockops cannot attach");
	add(rs, "bpffs at " WEIR_BPFFS, has_bpffs, false, "%s",
	    has_bpffs ? "mounted" : "not mounted: no pins for bpftool (mount -t bpf bpf " WEIR_BPFFS ")");
	add(rs, "BPF JIT", jit != 0, false, "%s", jit ? "on" : "off: programs run several times slower");
	add(rs, "unprivileged BPF disabled", unpriv != 0, false, "%s",
	    unpriv ? "yes; workers update inherited maps only" : "no: set kernel.unprivileged_bpf_disabled=2");
}

static void probe_iface(struct rows *rs, const char *name)
{
	struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };
	struct ifreq ifr = { .ifr_data = (void *)&info };
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	unsigned ifindex = if_nametoindex(name);
	uint32_t xdp = 0;

	if (!ifindex) {
		add(rs, "interface", false, true, "there is no '%s'", name);
		return;
	}
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (!strcmp(name, "lo"))
		add(rs, "interface", true, false, "lo: generic XDP, tc answers");
	else if (fd >= 0 && !ioctl(fd, SIOCETHTOOL, &ifr))
		add(rs, "interface", true, false, "%.15s, driver %.31s", name, info.driver);
	else
		add(rs, "interface", false, false, "%.15s: driver unknown, generic XDP at best", name);
	if (bpf_xdp_query_id(ifindex, 0, &xdp))
		add(rs, "XDP hook", false, true, "'%s' cannot be asked", name);
	else if (xdp)
		add(rs, "XDP hook", false, false, "program %u is attached: Weir runs, or another must be detached", xdp);
	else
		add(rs, "XDP hook", true, true, "free");
	if (ifindex >= WEIR_IFINDEX_MAX)
		add(rs, "interface index", false, true, "%u, Weir takes those below %d", ifindex, WEIR_IFINDEX_MAX);
}

size_t weir_dataplane_probe(const char *ifname, struct weir_probe *ret_rows, size_t max)
{
	struct rows rs = { .rows = ret_rows, .max = max };

	libbpf_set_print(NULL);
	probe_kernel(&rs);
	probe_rights(&rs);
	probe_btf(&rs);
	probe_programs(&rs);
	probe_helpers(&rs);
	probe_system(&rs);
	if (ifname)
		probe_iface(&rs, ifname);
	return rs.count;
}
