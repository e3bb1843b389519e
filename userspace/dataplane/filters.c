/* SPDX-License-Identifier: GPL-2.0 */
/* Asks rtnetlink whether a clsact qdisc carries filters besides ours, before it is removed: libbpf can query only a
 * filter whose handle is known. rtnetlink(7), linux/pkt_sched.h. */
#include "dataplane/dataplane_priv.h"

#include <errno.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

/* Counts the filters in one dump answer; -1 at its end. */
static int count(const char *buf, ssize_t bytes, uint32_t priority)
{
	const struct nlmsghdr *h = (const void *)buf;
	int n = 0;

	for (; NLMSG_OK(h, (unsigned)bytes); h = NLMSG_NEXT(h, bytes)) {
		const struct tcmsg *t = NLMSG_DATA(h);

		if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR)
			return n ? n : -1;
		if (h->nlmsg_type == RTM_NEWTFILTER && TC_H_MAJ(t->tcm_info) >> 16 != priority)
			n++;
	}
	return n;
}

static bool has_filters(unsigned ifindex, uint32_t parent, uint32_t priority)
{
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	struct {
		struct nlmsghdr h;
		struct tcmsg t;
	} ask = {
		.h = { .nlmsg_len = sizeof(ask), .nlmsg_type = RTM_GETTFILTER,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.t = { .tcm_family = AF_UNSPEC, .tcm_ifindex = (int)ifindex, .tcm_parent = parent },
	};
	char buf[16384] __attribute__((aligned(8)));
	int n = 0;

	if (fd < 0 || send(fd, &ask, sizeof(ask), 0) < 0)
		return true; /* cannot tell: leave the qdisc */
	while (n == 0) {
		ssize_t got = recv(fd, buf, sizeof(buf), 0);

		if (got <= 0)
			return true;
		n = count(buf, got, priority);
	}
	return n > 0;
}

bool dp_tc_has_others(unsigned ifindex, uint32_t priority)
{
	return has_filters(ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS), priority) ||
	       has_filters(ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS), priority);
}
