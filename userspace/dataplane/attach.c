/* SPDX-License-Identifier: GPL-2.0 */
/* Attaches the programs: sockops to the root of cgroup v2, tc and XDP to the interfaces that carry an endpoint.
 * XDP and sockops are held by bpf_links, which are pinned: they outlive a supervisor that is killed, because its
 * workers serve on; the next start takes them over or, when no worker is left, weir_dataplane_clean() takes them
 * away. libxdp's dispatcher is not used: it needs freplace programs, and an atomic switch is worth more here than
 * sharing the hook. */
#include "dataplane/dataplane_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <mntent.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/log.h"

#define TC_HANDLE 0x5765 /* "We" */
#define TC_PRIORITY 0x5765

int dp_find_cgroup(char ret_path[256])
{
	FILE *f = setmntent("/proc/self/mounts", "re");
	struct mntent *m;
	int r = -ENOENT;

	if (!f)
		return -errno;
	while (r < 0 && (m = getmntent(f)))
		if (!strcmp(m->mnt_type, "cgroup2")) {
			snprintf(ret_path, 256, "%s", m->mnt_dir);
			r = 0;
		}
	endmntent(f);
	return r;
}

/* A link that an earlier instance left runs this program from now on. -1: there is none. */
static int switch_link(const struct weir_dataplane *dp, const char *name, int prog)
{
	int fd = dp_pinned(dp->pin_dir, name);

	if (fd >= 0 && bpf_link_update(fd, prog, NULL)) {
		(void)bpf_link_detach(fd);
		close(fd);
		fd = -1;
	}
	return fd < 0 ? -1 : fd;
}

static int attach_sock(struct weir_dataplane *dp, char why[256])
{
	_cleanup_close_ int cgroup = -1;
	char path[256];
	int r = dp_find_cgroup(path);

	if (r < 0) {
		snprintf(why, 256, "no cgroup v2 is mounted: mount -t cgroup2 none /sys/fs/cgroup/unified");
		return r;
	}
	cgroup = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cgroup < 0)
		return -errno;
	dp->sock_link = switch_link(dp, "link_sock", bpf_program__fd(dp->skel->progs.weir_sock));
	if (dp->sock_link >= 0)
		return 0;
	r = bpf_link_create(bpf_program__fd(dp->skel->progs.weir_sock), cgroup, BPF_CGROUP_SOCK_OPS, NULL);
	if (r < 0) {
		snprintf(why, 256, "cannot attach the sockops program to cgroup '%.100s' (%s)", path, strerror(-r));
		return r;
	}
	dp->sock_link = r;
	dp_pin_link(dp, "link_sock", r);
	return 0;
}

static bool is_driver(const char *name, const char *driver)
{
	struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };
	struct ifreq ifr = { .ifr_data = (void *)&info };
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	return fd >= 0 && !ioctl(fd, SIOCETHTOOL, &ifr) && !strcmp(info.driver, driver);
}

bool dp_iface_is_local(const char *name)
{
	return !strcmp(name, "lo") || is_driver(name, "veth");
}

static int describe(struct weir_dataplane *dp, const struct dp_iface *i)
{
	struct weir_iface v = { .mtu = i->pub.mtu };
	struct ifreq ifr = {};
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint32_t index = i->pub.ifindex;

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", i->pub.name);
	if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &ifr))
		return -errno;
	memcpy(v.mac, ifr.ifr_hwaddr.sa_data, sizeof(v.mac));
	if (dp_iface_is_local(i->pub.name))
		v.flags |= WEIR_IFACE_LOCAL;
	if (!i->pub.is_native)
		v.flags |= WEIR_IFACE_GENERIC;
	return bpf_map_update_elem(bpf_map__fd(dp->skel->maps.weir_ifaces), &index, &v, BPF_ANY) ? -errno : 0;
}

static int interface_mtu(const char *name, uint32_t *ret_mtu)
{
	struct ifreq ifr = {};
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, SIOCGIFMTU, &ifr))
		return -errno;
	*ret_mtu = ifr.ifr_mtu;
	return 0;
}

static int attach_tc(struct weir_dataplane *dp, struct dp_iface *i, bool had_link)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = i->pub.ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = TC_HANDLE, .priority = TC_PRIORITY,
		    .prog_fd = bpf_program__fd(dp->skel->progs.weir_tc));
	int r;

	/* The XDP program of an earlier instance may be there: packets come from the first moment on, and those of an
	 * interface without a row are not ours. The mode is XDP's concern, see attach_xdp(). */
	r = describe(dp, i);
	if (r < 0)
		return r;
	r = bpf_tc_hook_create(&hook);
	if (r < 0 && r != -EEXIST)
		return r;
	/* after a killed supervisor the qdisc is there, and ours: dp_detach() leaves it if others have filters in it */
	i->made_qdisc = r == 0 || had_link;
	opts.flags = BPF_TC_F_REPLACE;
	r = bpf_tc_attach(&hook, &opts);
	i->is_tc_attached = r == 0;
	return r;
}

static void detach_tc(unsigned ifindex, bool with_qdisc)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = TC_HANDLE, .priority = TC_PRIORITY);

	(void)bpf_tc_detach(&hook, &opts);
	if (!with_qdisc)
		return;
	hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
	(void)bpf_tc_hook_destroy(&hook);
}

/* By the link alone: a supervisor that has started itself anew may not look at programs by their numbers. */
void dp_drop_filter(int link)
{
	struct bpf_link_info info = {};
	uint32_t bytes = sizeof(info);

	if (!bpf_obj_get_info_by_fd(link, &info, &bytes) && info.type == BPF_LINK_TYPE_XDP && info.xdp.ifindex)
		detach_tc(info.xdp.ifindex, !dp_tc_has_others(info.xdp.ifindex, TC_PRIORITY));
}

static int link_xdp(struct weir_dataplane *dp, struct dp_iface *i, unsigned mode)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = mode);
	int r = bpf_link_create(bpf_program__fd(dp->skel->progs.weir_xdp), i->pub.ifindex, BPF_XDP, &opts);

	if (r < 0)
		return r;
	i->xdp_link = r;
	i->pub.is_native = mode == XDP_FLAGS_DRV_MODE;
	return 0;
}

static void link_name(const struct dp_iface *i, char name[32])
{
	snprintf(name, 32, "link_xdp_%s", i->pub.name);
}

/* In the mode that the link was made with. */
static bool switch_xdp(struct weir_dataplane *dp, struct dp_iface *i, enum weir_attach attach)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, opts);
	char name[32];

	link_name(i, name);
	if (bpf_xdp_query((int)i->pub.ifindex, 0, &opts))
		return false;
	i->pub.is_native = opts.attach_mode == XDP_ATTACHED_DRV;
	if ((attach == WEIR_ATTACH_NATIVE && !i->pub.is_native) ||
	    (attach == WEIR_ATTACH_GENERIC && i->pub.is_native) || describe(dp, i) < 0)
		return false;
	i->xdp_link = switch_link(dp, name, bpf_program__fd(dp->skel->progs.weir_xdp));
	return i->xdp_link >= 0;
}

static void drop_old_link(const struct weir_dataplane *dp, const struct dp_iface *i)
{
	char name[32];
	int fd;

	link_name(i, name);
	fd = dp_pinned(dp->pin_dir, name);
	if (fd < 0)
		return;
	(void)bpf_link_detach(fd);
	close(fd);
}

/* The map row must be there before the first packet: written for the mode that is tried. */
static int attach_xdp(struct weir_dataplane *dp, struct dp_iface *i, enum weir_attach attach, char why[256])
{
	int r = -EOPNOTSUPP;
	char name[32];

	if (switch_xdp(dp, i, attach))
		return 0;
	drop_old_link(dp, i);
	/* A veth delivers what native XDP sends only if its peer, which may be in another namespace, runs NAPI or XDP
	 * too: not to be guessed, so `auto` does without. */
	if (attach == WEIR_ATTACH_NATIVE || (attach == WEIR_ATTACH_AUTO && !is_driver(i->pub.name, "veth"))) {
		i->pub.is_native = true;
		r = describe(dp, i);
		if (r >= 0)
			r = link_xdp(dp, i, XDP_FLAGS_DRV_MODE);
	}
	if (r < 0 && r != -EBUSY && attach != WEIR_ATTACH_NATIVE) {
		i->pub.is_native = false;
		r = describe(dp, i);
		if (r >= 0)
			r = link_xdp(dp, i, XDP_FLAGS_SKB_MODE);
	}
	link_name(i, name);
	if (r >= 0)
		dp_pin_link(dp, name, i->xdp_link);
	if (r == -EBUSY || r == -EEXIST)
		snprintf(why, 256,
			 "interface '%s' has an XDP program already (see `bpftool net`): detach it, or run with --attach none",
			 i->pub.name);
	else if (r < 0)
		snprintf(why, 256, "cannot attach XDP to '%s' in %s mode (%s)%s", i->pub.name,
			 attach == WEIR_ATTACH_NATIVE ? "native" : "generic", strerror(-r),
			 attach == WEIR_ATTACH_NATIVE ? ": its driver has none, use --attach generic" : "");
	return r;
}

static int add_iface(struct weir_dataplane *dp, const char *name, char why[256])
{
	struct dp_iface *i = &dp->ifaces[dp->ifaces_count];
	size_t n;
	int r;

	for (n = 0; n < dp->ifaces_count; n++)
		if (!strcmp(dp->ifaces[n].pub.name, name))
			return 0;
	if (dp->ifaces_count == DP_IFACES_MAX) {
		snprintf(why, 256, "more than %d interfaces: name those to use with `interfaces`", DP_IFACES_MAX);
		return -E2BIG;
	}
	memset(i, 0, sizeof(*i));
	i->xdp_link = -1;
	snprintf(i->pub.name, sizeof(i->pub.name), "%s", name);
	i->pub.ifindex = if_nametoindex(name);
	if (!i->pub.ifindex) {
		snprintf(why, 256, "there is no interface '%s'", name);
		return -ENODEV;
	}
	if (i->pub.ifindex >= WEIR_IFINDEX_MAX) {
		snprintf(why, 256, "interface '%s' has index %u; Weir takes those below %d", name, i->pub.ifindex,
			 WEIR_IFINDEX_MAX);
		return -E2BIG;
	}
	r = interface_mtu(name, &i->pub.mtu);
	if (r < 0)
		return r;
	dp->ifaces_count++;
	return 0;
}

static bool carries(const struct ifaddrs *a, const struct weir_conf_listen *l)
{
	struct weir_addr addr = { { 0, 0, htonl(0xffff), 0 } };

	if (!a->ifa_addr || !(a->ifa_flags & IFF_UP) ||
	    a->ifa_addr->sa_family != (l->is_v6 ? AF_INET6 : AF_INET))
		return false;
	if (l->is_any)
		return true;
	if (l->is_v6)
		memcpy(&addr, &((struct sockaddr_in6 *)a->ifa_addr)->sin6_addr, 16);
	else
		addr.word[3] = ((struct sockaddr_in *)a->ifa_addr)->sin_addr.s_addr;
	if (!memcmp(&addr, &l->addr, sizeof(addr)))
		return true;
	/* the whole of 127.0.0.0/8 is local on lo */
	return !l->is_v6 && a->ifa_flags & IFF_LOOPBACK && (ntohl(l->addr.word[3]) >> 24) == 127;
}

/* Interfaces that carry a listening address, unless the configuration names them. */
static int choose_ifaces(struct weir_dataplane *dp, const struct weir_config *conf, char why[256])
{
	struct ifaddrs *all, *a;
	size_t i;
	int r = 0;

	for (i = 0; i < conf->interfaces_count && r >= 0; i++)
		r = add_iface(dp, conf->interfaces[i], why);
	if (r < 0 || conf->interfaces_count)
		return r;
	if (getifaddrs(&all))
		return -errno;
	for (a = all; a && r >= 0; a = a->ifa_next)
		for (i = 0; i < conf->listens_count && r >= 0; i++)
			if (carries(a, &conf->listens[i]))
				r = add_iface(dp, a->ifa_name, why);
	freeifaddrs(all);
	if (r >= 0 && !dp->ifaces_count) {
		snprintf(why, 256, "no interface that is up carries a listening address: name it with --interface");
		return -ENODEV;
	}
	return r;
}

static bool prog_is(uint32_t id, const char *name)
{
	struct bpf_prog_info info = {};
	uint32_t bytes = sizeof(info);
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(id);

	return fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &bytes) && !strcmp(info.name, name);
}

/* An instance that lives has its XDP program on the interface; a tc filter without it is left over. */
static void clean_iface(unsigned ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = TC_HANDLE, .priority = TC_PRIORITY);
	uint32_t xdp = 0;

	if (bpf_tc_query(&hook, &opts) || !prog_is(opts.prog_id, "weir_tc"))
		return;
	if (!bpf_xdp_query_id(ifindex, 0, &xdp) && xdp && prog_is(xdp, "weir_xdp"))
		return;
	detach_tc(ifindex, !dp_tc_has_others(ifindex, TC_PRIORITY));
}

static void clean_ifaces(void)
{
	struct if_nameindex *all = if_nameindex(), *i;

	for (i = all; i && i->if_index; i++)
		clean_iface(i->if_index);
	if (all)
		if_freenameindex(all);
}

static bool has_link(const struct weir_dataplane *dp, const struct dp_iface *i)
{
	_cleanup_close_ int fd = -1;
	char name[32];

	link_name(i, name);
	fd = dp_pinned(dp->pin_dir, name);
	return fd >= 0;
}

/* For dp_unlink(): what this instance uses. */
static bool is_used(const char *name, void *arg)
{
	const struct weir_dataplane *dp = arg;
	char used[32];
	size_t n;

	for (n = 0; n < dp->ifaces_count; n++) {
		link_name(&dp->ifaces[n], used);
		if (!strcmp(used, name))
			return true;
	}
	return !strcmp(name, "link_sock");
}

int weir_dataplane_attach(struct weir_dataplane *dp, const struct weir_config *conf, char ret_why[256])
{
	size_t n;
	int r;

	ret_why[0] = '\0';
	r = choose_ifaces(dp, conf, ret_why);
	if (r >= 0)
		r = attach_sock(dp, ret_why);
	for (n = 0; n < dp->ifaces_count && r >= 0; n++) {
		r = attach_tc(dp, &dp->ifaces[n], has_link(dp, &dp->ifaces[n]));
		if (r < 0)
			snprintf(ret_why, 256, "cannot attach the tc program to '%s' (%s): is sch_ingress there?",
				 dp->ifaces[n].pub.name, strerror(-r));
	}
	for (n = 0; n < dp->ifaces_count && r >= 0; n++)
		r = attach_xdp(dp, &dp->ifaces[n], conf->attach, ret_why);
	if (r < 0) {
		if (!ret_why[0])
			snprintf(ret_why, 256, "attaching failed (%s)", strerror(-r));
		dp_detach(dp);
		return r;
	}
	if (dp_pin_pools(dp, conf) < 0)
		weir_warn("the maps of the pools cannot be pinned: the next supervisor will replace their workers");
	/* interfaces that an earlier instance used and this one does not */
	if (dp->pin_dir[0]) {
		dp_unlink(dp->pin_dir, is_used, dp);
		clean_ifaces();
	}
	return 0;
}

void dp_detach(struct weir_dataplane *dp)
{
	size_t n;

	for (n = 0; n < dp->ifaces_count; n++) {
		struct dp_iface *i = &dp->ifaces[n];

		if (i->xdp_link >= 0) {
			/* explicitly: a link that others hold by a pin or an fd would live on */
			(void)bpf_link_detach(i->xdp_link);
			close(i->xdp_link);
		}
		if (i->is_tc_attached)
			detach_tc(i->pub.ifindex,
				  i->made_qdisc && !dp_tc_has_others(i->pub.ifindex, TC_PRIORITY));
	}
	dp->ifaces_count = 0;
	if (dp->sock_link >= 0) {
		(void)bpf_link_detach(dp->sock_link);
		close(dp->sock_link);
		dp->sock_link = -1;
	}
}

size_t weir_dataplane_ifaces(struct weir_dataplane *dp, const struct weir_dataplane_iface **ret_ifaces)
{
	size_t n;

	for (n = 0; n < dp->ifaces_count; n++)
		dp->pub[n] = dp->ifaces[n].pub;
	*ret_ifaces = dp->pub;
	return dp->ifaces_count;
}

int weir_dataplane_clean(const struct weir_config *conf)
{
	char dir[128];
	int r = dp_pin_dir(conf, dir);

	dp_quiet();
	if (r >= 0) {
		dp_unlink(dir, NULL, NULL);
		dp_unpin(dir);
	}
	clean_ifaces();
	return 0;
}
