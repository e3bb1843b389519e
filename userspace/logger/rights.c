/* SPDX-License-Identifier: GPL-2.0 */
/* The log's process reads what clients sent: it owns nothing, may open nothing, and writes to descriptors that it was
 * given. */
#include "logger/log_priv.h"

#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <seccomp.h>
#include <sys/prctl.h>

#include "common/macro.h"

int log_give_up_rights(const struct log_setup *setup)
{
	static const int allowed[] = {
		SCMP_SYS(poll),		 SCMP_SYS(recvmsg),	 SCMP_SYS(close),	 SCMP_SYS(write),
		SCMP_SYS(pread64),	 SCMP_SYS(fstat),	 SCMP_SYS(newfstatat),	 SCMP_SYS(exit_group),
		SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(rt_sigreturn), SCMP_SYS(restart_syscall),
		SCMP_SYS(brk),		 SCMP_SYS(mmap),	 SCMP_SYS(munmap),	 SCMP_SYS(futex),
	};
	scmp_filter_ctx f;
	size_t i;
	int r = 0;

	if (getuid() == 0 && (setgroups(1, &setup->gid) < 0 || setresgid(setup->gid, setup->gid, setup->gid) < 0 ||
			      setresuid(setup->uid, setup->uid, setup->uid) < 0))
		return -errno;
	capng_clear(CAPNG_SELECT_BOTH);
	if (capng_apply(CAPNG_SELECT_CAPS) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -EPERM;
	f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!f)
		return -ENOMEM;
	for (i = 0; r == 0 && i < ARRAY_SIZE(allowed); i++)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, allowed[i], 0);
	/* only to ask whether a process exists */
	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(kill), 1, SCMP_A1(SCMP_CMP_EQ, 0));
	if (r == 0)
		r = seccomp_load(f);
	seccomp_release(f);
	return r;
}
