/* SPDX-License-Identifier: GPL-2.0 */
/* What an interface can do for Weir: its driver, XDP in native mode, MTU, offloads, queues, and who is there already. */
#include "dataplane/dataplane_priv.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/genetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* Of linux/netdev.h, which the headers of older systems lack (Linux 6.3). */
#define NETDEV_CMD_DEV_GET_ 1
#define NETDEV_A_DEV_IFINDEX_ 1
#define NETDEV_A_DEV_XDP_FEATURES_ 3
#define NETDEV_XDP_ACT_BASIC_ 1

#define ASK_BYTES 8192
#define NATIVE_MTU_MAX 3498 /* of most drivers: the frame must fit one page with room in front and behind */

struct ask {
	struct nlmsghdr head;
	struct genlmsghdr genl;
	char attributes[64];
};

/* Sends a generic netlink request with one attribute; returns the bytes of the answer, or -errno. */
static ssize_t genl_ask(int fd, uint16_t family, uint8_t command, uint16_t attribute, const void *value, size_t bytes,
			char answer[ASK_BYTES])
{
	struct ask a = { .head = { .nlmsg_type = family, .nlmsg_flags = NLM_F_REQUEST },
			 .genl = { .cmd = command, .version = 1 } };
	struct nlattr *at = (struct nlattr *)a.attributes;
	ssize_t n;

	at->nla_type = attribute;
	at->nla_len = (uint16_t)(NLA_HDRLEN + bytes);
	memcpy(a.attributes + NLA_HDRLEN, value, bytes);
	a.head.nlmsg_len = (uint32_t)(NLMSG_HDRLEN + GENL_HDRLEN + NLA_ALIGN(at->nla_len));
	if (send(fd, &a, a.head.nlmsg_len, 0) < 0)
		return -errno;
	n = recv(fd, answer, ASK_BYTES, 0);
	if (n < (ssize_t)(NLMSG_HDRLEN + GENL_HDRLEN) || ((struct nlmsghdr *)answer)->nlmsg_type == NLMSG_ERROR)
		return -ENOENT;
	return n;
}

/* The value of an attribute in an answer. NULL: it has none, or a shorter one. */
static const void *genl_find(const char *answer, ssize_t bytes, uint16_t attribute, size_t value_bytes)
{
	ssize_t at = NLMSG_HDRLEN + GENL_HDRLEN;

	while (at + NLA_HDRLEN <= bytes) {
		const struct nlattr *a = (const struct nlattr *)(answer + at);

		if (a->nla_len < NLA_HDRLEN)
			return NULL;
		if ((a->nla_type & NLA_TYPE_MASK) == attribute && a->nla_len >= NLA_HDRLEN + value_bytes)
			return answer + at + NLA_HDRLEN;
		at += NLA_ALIGN(a->nla_len);
	}
	return NULL;
}

/* Whether the driver has native XDP: 1, 0, or -errno where the kernel does not tell (before 6.3). */
static int has_native_xdp(unsigned ifindex)
{
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	struct timeval limit = { .tv_sec = 1 };
	char answer[ASK_BYTES] __attribute__((aligned(8)));
	const uint16_t *family;
	uint32_t index = ifindex;
	const void *features;
	uint64_t bits;
	ssize_t n;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)
		return -errno;
	n = genl_ask(fd, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_NAME, "netdev", sizeof("netdev"), answer);
	family = n < 0 ? NULL : genl_find(answer, n, CTRL_ATTR_FAMILY_ID, sizeof(*family));
	if (!family)
		return -ENOENT;
	n = genl_ask(fd, *family, NETDEV_CMD_DEV_GET_, NETDEV_A_DEV_IFINDEX_, &index, sizeof(index), answer);
	features = n < 0 ? NULL : genl_find(answer, n, NETDEV_A_DEV_XDP_FEATURES_, sizeof(bits));
	if (!features)
		return -ENOENT;
	memcpy(&bits, features, sizeof(bits));
	return (bits & NETDEV_XDP_ACT_BASIC_) != 0;
}

static int ethtool(int fd, const char *name, void *what)
{
	struct ifreq ifr = { .ifr_data = what };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	return fd < 0 || ioctl(fd, SIOCETHTOOL, &ifr) < 0 ? -1 : 0;
}

static void probe_mode(struct dp_probes *rs, const char *name, unsigned ifindex, const char *driver)
{
	int native = has_native_xdp(ifindex);

	if (!strcmp(driver, "veth"))
		dp_probe_add(rs, "XDP mode", true, false,
			     "veth: generic unless --attach native, which needs an XDP program at the other end, too");
	else if (native < 0)
		dp_probe_add(rs, "XDP mode", true, false,
			     "this kernel does not tell (before 6.3): native is tried first");
	else
		dp_probe_add(rs, "XDP mode", native, false, "%s",
			     native ? "native"
			     : strcmp(name, "lo")
				     ? "generic: the driver has no native XDP; hits cost about three times as much"
				     : "generic: lo has no driver; tc writes the answers");
}

static void probe_mtu(struct dp_probes *rs, const char *name, int fd)
{
	struct ifreq ifr = {};

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, SIOCGIFMTU, &ifr) < 0)
		return;
	dp_probe_add(rs, "MTU", ifr.ifr_mtu <= NATIVE_MTU_MAX || !strcmp(name, "lo"), false,
		     "%d: XDP answers with up to %d bytes%s", ifr.ifr_mtu,
		     ifr.ifr_mtu - 52 > 16384 ? 16384 : ifr.ifr_mtu - 52,
		     ifr.ifr_mtu > NATIVE_MTU_MAX && strcmp(name, "lo")
			     ? "; most drivers have no native XDP with an MTU above 3498"
			     : "");
}

static void probe_offloads(struct dp_probes *rs, const char *name, int fd)
{
	struct ethtool_value flags = { .cmd = ETHTOOL_GFLAGS }, csum = { .cmd = ETHTOOL_GRXCSUM };
	struct ethtool_channels queues = { .cmd = ETHTOOL_GCHANNELS };
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (!ethtool(fd, name, &flags))
		dp_probe_add(rs, "large receive offload", !(flags.data & ETH_FLAG_LRO), false, "%s",
			     flags.data & ETH_FLAG_LRO
				     ? "on: frames are merged before XDP sees them; ethtool -K IF lro off"
				     : "off");
	if (!ethtool(fd, name, &csum))
		dp_probe_add(rs, "receive checksums", true, false, "%s: XDP sums each packet itself in any case",
			     csum.data ? "by the card" : "not by the card");
	if (!ethtool(fd, name, &queues) && queues.combined_count + queues.rx_count)
		dp_probe_add(rs, "receive queues", queues.combined_count + queues.rx_count >= (unsigned)cpus, false,
			     "%u for %ld CPUs%s", queues.combined_count + queues.rx_count, cpus,
			     queues.combined_count + queues.rx_count >= (unsigned)cpus
				     ? ""
				     : ": other CPUs answer nothing from XDP; ethtool -L IF combined N, or RPS");
}

void dp_probe_iface(struct dp_probes *rs, const char *name)
{
	struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	unsigned ifindex = if_nametoindex(name);
	uint32_t xdp = 0;

	if (!ifindex) {
		dp_probe_add(rs, "interface", false, true, "there is no '%s'; `ip link` lists them", name);
		return;
	}
	if (!strcmp(name, "lo"))
		snprintf(info.driver, sizeof(info.driver), "loopback");
	else
		(void)ethtool(fd, name, &info);
	dp_probe_add(rs, "interface", true, false, "%.15s, driver %.31s", name, *info.driver ? info.driver : "unknown");
	probe_mode(rs, name, ifindex, info.driver);
	probe_mtu(rs, name, fd);
	probe_offloads(rs, name, fd);
	if (bpf_xdp_query_id((int)ifindex, 0, &xdp))
		dp_probe_add(rs, "XDP hook", false, true, "'%s' cannot be asked", name);
	else if (xdp)
		dp_probe_add(rs, "XDP hook", false, false,
			     "program %u is attached: Weir runs, or another must be detached "
			     "(bpftool prog show id %u; ip link set dev %.15s xdp off)",
			     xdp, xdp, name);
	else
		dp_probe_add(rs, "XDP hook", true, true, "free");
	if (ifindex >= WEIR_IFINDEX_MAX)
		dp_probe_add(rs, "interface index", false, true, "%u, Weir takes those below %d", ifindex,
			     WEIR_IFINDEX_MAX);
}
