/* SPDX-License-Identifier: GPL-2.0 */
/* What the supervisor may still do once it has started, and how many files its workers may open. */
#include "supervisor/supervisor_priv.h"

#include <cap-ng.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/resource.h>

#include "common/log.h"

#define FILES_WANTED 1048576

void sup_limits_raise(void)
{
	struct rlimit now, wanted = { FILES_WANTED, FILES_WANTED };

	if (getrlimit(RLIMIT_NOFILE, &now) < 0 || now.rlim_cur >= FILES_WANTED)
		return;
	if (setrlimit(RLIMIT_NOFILE, &wanted) == 0)
		return;
	wanted = (struct rlimit){ now.rlim_max, now.rlim_max };
	if (setrlimit(RLIMIT_NOFILE, &wanted) < 0)
		weir_warn("cannot raise the limit of open files, %llu connections a worker at most",
			  (unsigned long long)now.rlim_cur);
}

void sup_privileges_drop(void)
{
	static const unsigned kept[] = {
		CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON,			/* maps, tc filters, XDP */
		CAP_NET_BIND_SERVICE,					/* ports below 1024 */
		CAP_SETUID, CAP_SETGID, CAP_SETPCAP, CAP_SYS_RESOURCE, /* what a keeper starts from */
		CAP_KILL,						/* keepers of other users */
		CAP_DAC_OVERRIDE, CAP_CHOWN,				/* roots and files of other users */
	};
	const capng_type_t everywhere = CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_INHERITABLE | CAPNG_BOUNDING_SET;
	/* pidfd_getfd() of keepers: not for this program, but for the one that a reload starts */
	const capng_type_t now = CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_INHERITABLE;
	unsigned cap;
	size_t i;

	if (capng_get_caps_process() < 0) {
		weir_warn("cannot read the capabilities of this process; keeping all of them");
		return;
	}
	for (cap = 0; cap <= CAP_LAST_CAP; cap++) {
		for (i = 0; i < ARRAY_SIZE(kept) && kept[i] != cap; i++)
			;
		if (i == ARRAY_SIZE(kept))
			(void)capng_update(CAPNG_DROP, cap == CAP_SYS_PTRACE ? now : everywhere, cap);
	}
	if (capng_apply(CAPNG_SELECT_BOTH) < 0)
		weir_warn("cannot give up capabilities; keeping all of them");
}
