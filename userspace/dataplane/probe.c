/* SPDX-License-Identifier: GPL-2.0 */
/* What this kernel and interface can do for Weir, and what it costs when they cannot: the rows of `weir doctor`. */
#include "dataplane/dataplane_priv.h"

#include <bpf/btf.h>
#include <errno.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <sys/vfs.h>

#include "weir/abi.h"

void dp_probe_add(struct dp_probes *rs, const char *what, bool is_ok, bool is_needed, const char *fmt, ...)
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

static void probe_kernel(struct dp_probes *rs)
{
	struct utsname u;
	int major = 0, minor = 0;

	uname(&u);
	(void)sscanf(u.release, "%d.%d", &major, &minor);
	dp_probe_add(rs, "Linux 6.9 or newer", major > 6 || (major == 6 && minor >= 9), true, "%.60s%s", u.release,
		     major > 6 || (major == 6 && minor >= 9) ? ""
							     : ": no hand-over, so no kernel cache; all else works");
}

static void probe_rights(struct dp_probes *rs)
{
	bool is_ok = libbpf_probe_bpf_map_type(BPF_MAP_TYPE_HASH, NULL) == 1;

	dp_probe_add(rs, "BPF allowed", is_ok, true, "%s",
		     is_ok ? "maps and programs can be loaded" : "refused: run as root, or this container forbids BPF");
}

static void probe_programs(struct dp_probes *rs)
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

		dp_probe_add(rs, need[i].what, is_ok, true, "%s%s",
			     is_ok ? "loads" : "refused: ", is_ok ? "" : need[i].cost);
	}
}

static void probe_btf(struct dp_probes *rs)
{
	struct btf *btf = btf__load_vmlinux_btf();
	bool has_btf = libbpf_get_error(btf) == 0;
	bool has_kfunc = has_btf && btf__find_by_name_kind(btf, "bpf_sk_assign_tcp_reqsk", BTF_KIND_FUNC) > 0;

	dp_probe_add(rs, "kernel BTF", has_btf, true, "%s",
		     has_btf ? "/sys/kernel/btf/vmlinux"
			     : "missing (CONFIG_DEBUG_INFO_BTF): programs cannot be loaded");
	dp_probe_add(rs, "kfunc bpf_sk_assign_tcp_reqsk", has_kfunc, true, "%s",
		     has_kfunc ? "connections can be handed to the kernel"
			       : "missing, it came with Linux 6.9: no hand-over, so no kernel cache; all else works");
	if (has_btf)
		btf__free(btf);
}

static void probe_helpers(struct dp_probes *rs)
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

		dp_probe_add(rs, need[i].what, is_ok, true, "%s", is_ok ? "there" : "missing: no kernel cache");
	}
}

static void probe_system(struct dp_probes *rs)
{
	long cookies = dp_sysctl("/proc/sys/net/ipv4/tcp_syncookies", -1);
	long jit = dp_sysctl("/proc/sys/net/core/bpf_jit_enable", 1);
	long unpriv = dp_sysctl("/proc/sys/kernel/unprivileged_bpf_disabled", -1);
	struct statfs fs;
	bool has_bpffs = !statfs(WEIR_BPFFS, &fs) && fs.f_type == BPF_FS_MAGIC;
	char cgroup[256];
	bool has_cgroup = !dp_find_cgroup(cgroup), has_ext;
	long somaxconn = dp_sysctl("/proc/sys/net/core/somaxconn", 4096);
	struct rlimit lock = {};

	dp_probe_add(rs, "net.ipv4.tcp_syncookies", cookies != 0, true, "%ld%s", cookies,
		     cookies ? "" : ": must not be 0, hand-over needs it; set it to 1");
	dp_probe_add(rs, "cgroup v2", has_cgroup, true, "%.100s",
		     has_cgroup ? cgroup : "not mounted: sockops cannot attach");
	dp_probe_add(rs, "bpffs at " WEIR_BPFFS, has_bpffs, false, "%s",
		     has_bpffs ? "mounted" : "not mounted: no pins for bpftool (mount -t bpf bpf " WEIR_BPFFS ")");
	has_ext = libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_EXT, NULL) == 1;
	dp_probe_add(rs, "program type freplace", has_ext, false, "%s",
		     has_ext ? "loads; another XDP program can share an interface through libxdp's dispatcher only if "
			       "it loads Weir"
			     : "refused: libxdp's dispatcher does not work here; one XDP program an interface");
	(void)getrlimit(RLIMIT_MEMLOCK, &lock);
	dp_probe_add(rs, "memlock", true, false, "%s; since Linux 5.11 maps are charged to the memory cgroup instead",
		     lock.rlim_cur == RLIM_INFINITY ? "no limit" : "limited");
	dp_probe_add(rs, "net.core.somaxconn", somaxconn >= 4096, false, "%ld%s", somaxconn,
		     somaxconn >= 4096 ? ""
				       : ": accept queues are shorter than the 4096 that Weir asks for; bursts of "
					 "misses are repeated");
	dp_probe_add(rs, "BPF JIT", jit != 0, false, "%s", jit ? "on" : "off: programs run several times slower");
	dp_probe_add(rs, "unprivileged BPF disabled", unpriv != 0, false, "%s",
		     unpriv ? "yes; workers update inherited maps only" : "no: set kernel.unprivileged_bpf_disabled=2");
}

size_t weir_dataplane_probe(struct weir_probe *ret_rows, size_t max)
{
	struct dp_probes rs = { .rows = ret_rows, .max = max };

	libbpf_set_print(NULL);
	probe_kernel(&rs);
	probe_rights(&rs);
	probe_btf(&rs);
	probe_programs(&rs);
	probe_helpers(&rs);
	probe_system(&rs);
	return rs.count;
}

size_t weir_dataplane_probe_iface(const char *name, struct weir_probe *ret_rows, size_t max)
{
	struct dp_probes rs = { .rows = ret_rows, .max = max };

	dp_probe_iface(&rs, name);
	return rs.count;
}
