// SPDX-License-Identifier: GPL-2.0
/* Account, capabilities, memory and system calls of the fleet process. */
#include "fleet/rights.h"

#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/macro.h"

static int filter(void)
{
	static const int allowed[] = {
		/* a connection, and what getaddrinfo() does to find out where to */
		SCMP_SYS(socket),
		SCMP_SYS(connect),
		SCMP_SYS(bind),
		SCMP_SYS(getsockname),
		SCMP_SYS(getpeername),
		SCMP_SYS(getsockopt),
		SCMP_SYS(setsockopt),
		SCMP_SYS(fcntl),
		SCMP_SYS(ioctl),
		SCMP_SYS(uname),
		SCMP_SYS(sendmmsg),
		SCMP_SYS(sendmsg),
		SCMP_SYS(recvmsg),
		SCMP_SYS(recvfrom),
		SCMP_SYS(sendto),
		SCMP_SYS(openat),
		SCMP_SYS(read),
		SCMP_SYS(pread64),
		SCMP_SYS(newfstatat),
		SCMP_SYS(fstat),
		SCMP_SYS(lseek),
		SCMP_SYS(close),
		SCMP_SYS(getpid),
		SCMP_SYS(mprotect),
		/* the position */
		SCMP_SYS(pwrite64),
		SCMP_SYS(ftruncate),
		/* the rest */
		SCMP_SYS(poll),
		SCMP_SYS(write),
		SCMP_SYS(writev),
		SCMP_SYS(mmap),
		SCMP_SYS(munmap),
		SCMP_SYS(mremap),
		SCMP_SYS(madvise),
		SCMP_SYS(brk),
		SCMP_SYS(exit_group),
		SCMP_SYS(rt_sigreturn),
		SCMP_SYS(clock_gettime),
		SCMP_SYS(gettimeofday),
		SCMP_SYS(time),
		SCMP_SYS(getrandom),
		SCMP_SYS(futex),
	};
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	size_t i;
	int r = 0;

	if (!f)
		return -ENOMEM;
	for (i = 0; r == 0 && i < ARRAY_SIZE(allowed); i++)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, allowed[i], 0);
	if (r == 0)
		r = seccomp_load(f);
	seccomp_release(f);
	return r;
}

int flt_rights_give_up(uid_t uid, gid_t gid, size_t memory_bytes)
{
	const struct rlimit none = { 0, 0 }, memory = { memory_bytes, memory_bytes };

	if (getuid() == 0 && (setgroups(1, &gid) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0))
		return -errno;
	capng_clear(CAPNG_SELECT_BOTH);
	if (capng_apply(CAPNG_SELECT_CAPS) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -EPERM;
	/* no other program; not more data than that, over what the supervisor had mapped */
	if (setrlimit(RLIMIT_NPROC, &none) < 0 || setrlimit(RLIMIT_DATA, &memory) < 0)
		return -errno;
	return filter();
}
