/* SPDX-License-Identifier: GPL-2.0 */
/* What a worker may still do: DESIGN rule 9. Identity and capabilities are given up by the keeper, the system calls
 * by the worker itself. */
#include "worker/wrk_priv.h"

#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <linux/bpf.h>
#include <linux/sockios.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/macro.h"

int wrk_sandbox_identity(uid_t uid, gid_t gid)
{
	if (getuid() == 0) {
		if (setgroups(1, &gid) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
			return -errno;
	}
	capng_clear(CAPNG_SELECT_BOTH);
	/* The bounding set cannot be changed without CAP_SETPCAP, and matters little after no_new_privs. */
	if (capng_apply(CAPNG_SELECT_CAPS) < 0)
		return -EPERM;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

/* Calls that are allowed whatever their arguments. */
static const int allowed[] = {
	/* serving */
	SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_pwait2), SCMP_SYS(epoll_ctl), SCMP_SYS(accept4), SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg), SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(sendfile), SCMP_SYS(shutdown),
	SCMP_SYS(close), SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt),
	SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(writev),
	/* files: below the root by openat2; openat for what libc reads about the machine */
	SCMP_SYS(openat2), SCMP_SYS(openat), SCMP_SYS(pread64), SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(getdents64),
	SCMP_SYS(lseek), SCMP_SYS(fcntl), SCMP_SYS(inotify_add_watch), SCMP_SYS(inotify_rm_watch),
	/* memory, threads, time */
	SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mprotect), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(brk),
	SCMP_SYS(futex), SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(gettid), SCMP_SYS(getpid),
	SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity), SCMP_SYS(sigaltstack), SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(restart_syscall), SCMP_SYS(membarrier),
	SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep), SCMP_SYS(gettimeofday), SCMP_SYS(getrandom),
};

/* Calls that only an intruder makes: the process dies, and the keeper says so. */
static const int deadly[] = {
	SCMP_SYS(execve),  SCMP_SYS(execveat), SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev), SCMP_SYS(mount), SCMP_SYS(init_module), SCMP_SYS(finit_module),
	SCMP_SYS(kexec_load), SCMP_SYS(setuid), SCMP_SYS(setresuid),
};

/* What a library may do in a relaxed sandbox is everything but this: start or touch other processes, tell the kernel about
 * code of its own, get round the filter, change what the machine looks like. */
static const int refused[] = {
	SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(clone3), SCMP_SYS(unshare),
	SCMP_SYS(setns), SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(pivot_root), SCMP_SYS(chroot), SCMP_SYS(move_mount),
	SCMP_SYS(open_tree), SCMP_SYS(fsopen), SCMP_SYS(fsmount), SCMP_SYS(mount_setattr), SCMP_SYS(swapon),
	SCMP_SYS(swapoff), SCMP_SYS(reboot), SCMP_SYS(init_module), SCMP_SYS(finit_module), SCMP_SYS(delete_module),
	SCMP_SYS(kexec_load), SCMP_SYS(kexec_file_load), SCMP_SYS(add_key), SCMP_SYS(request_key), SCMP_SYS(keyctl),
	SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd), SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter),
	SCMP_SYS(io_uring_register), SCMP_SYS(personality), SCMP_SYS(acct), SCMP_SYS(quotactl), SCMP_SYS(settimeofday),
	SCMP_SYS(clock_settime), SCMP_SYS(sethostname), SCMP_SYS(setdomainname), SCMP_SYS(open_by_handle_at),
	SCMP_SYS(fanotify_init), SCMP_SYS(seccomp), SCMP_SYS(setuid), SCMP_SYS(setgid), SCMP_SYS(setresuid),
	SCMP_SYS(setresgid), SCMP_SYS(setreuid), SCMP_SYS(setregid), SCMP_SYS(setgroups), SCMP_SYS(rt_sigqueueinfo),
	SCMP_SYS(rt_tgsigqueueinfo), SCMP_SYS(tkill), SCMP_SYS(setpgid), SCMP_SYS(setsid),
};

/* Not even without a sandbox: the keeper has the same user, and the same descriptors. */
static const int never[] = {
	SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(pidfd_getfd),
	SCMP_SYS(pidfd_send_signal), SCMP_SYS(kcmp), SCMP_SYS(process_madvise),
};

static int add_list(scmp_filter_ctx f, uint32_t action, const int *calls, size_t count)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < count; i++)
		r = seccomp_rule_add(f, action, calls[i], 0);
	return r;
}

/* In a filter whose default is to allow: refuses bpf(2) but for elements of maps. */
static int refuse_bpf(scmp_filter_ctx f)
{
	int command, r = 0;

	for (command = 0; r == 0 && command <= BPF_MAP_GET_NEXT_KEY; command++)
		if (command != BPF_MAP_LOOKUP_ELEM && command != BPF_MAP_UPDATE_ELEM &&
		    command != BPF_MAP_DELETE_ELEM && command != BPF_MAP_GET_NEXT_KEY)
			r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(bpf), 1,
					     SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)command));
	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(bpf), 1,
				     SCMP_A0(SCMP_CMP_GT, BPF_MAP_GET_NEXT_KEY));
	return r;
}

/* Signals and limits for this process alone: the keeper has the same user. */
static int refuse_others(scmp_filter_ctx f)
{
	const scmp_datum_t me = (scmp_datum_t)getpid();
	int r;

	r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(kill), 1, SCMP_A0(SCMP_CMP_NE, me));
	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_NE, me));
	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prlimit64), 1, SCMP_A0(SCMP_CMP_NE, 0));
	return r;
}

static int add_relaxed(scmp_filter_ctx f)
{
	int r = add_list(f, SCMP_ACT_ERRNO(EPERM), never, ARRAY_SIZE(never));
	size_t i;

	for (i = 0; r == 0 && i < ARRAY_SIZE(refused); i++)
		/* libc takes clone when there is no clone3 */
		r = seccomp_rule_add(f, SCMP_ACT_ERRNO(refused[i] == SCMP_SYS(clone3) ? ENOSYS : EPERM), refused[i], 0);
	if (r == 0)
		r = refuse_bpf(f);
	if (r == 0)
		r = refuse_others(f);
	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
				     SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
	return r;
}

static int add_off(scmp_filter_ctx f)
{
	int r = add_list(f, SCMP_ACT_ERRNO(EPERM), never, ARRAY_SIZE(never));

	return r == 0 ? refuse_bpf(f) : r;
}

static int add_strict(scmp_filter_ctx f)
{
	static const int bpf_commands[] = { BPF_MAP_LOOKUP_ELEM, BPF_MAP_UPDATE_ELEM, BPF_MAP_DELETE_ELEM,
					    BPF_MAP_GET_NEXT_KEY };
	size_t i;
	int r = add_list(f, SCMP_ACT_ALLOW, allowed, ARRAY_SIZE(allowed));

	if (r == 0)
		r = add_list(f, SCMP_ACT_KILL_PROCESS, deadly, ARRAY_SIZE(deadly));
	for (i = 0; r == 0 && i < ARRAY_SIZE(bpf_commands); i++)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(bpf), 1,
				     SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)bpf_commands[i]));
	/* clone3 hides its flags in memory: libc falls back to clone, which may make threads only */
	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				     SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
				     SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, SIOCINQ));
	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, SIOCOUTQ));
	return r;
}

/* Connections to upstreams: streams only. */
static int add_upstreams(scmp_filter_ctx f)
{
	static const int families[] = { AF_UNIX, AF_INET, AF_INET6 };
	size_t i;
	int r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(connect), 0);

	for (i = 0; r == 0 && i < ARRAY_SIZE(families); i++)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
				     SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i]),
				     SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, SOCK_STREAM));
	return r;
}

int wrk_sandbox_syscalls(enum weir_sandbox sandbox, bool has_upstreams)
{
	scmp_filter_ctx f = seccomp_init(sandbox == WEIR_SANDBOX_STRICT ? SCMP_ACT_ERRNO(EPERM) : SCMP_ACT_ALLOW);
	int r;

	if (!f)
		return -ENOMEM;
	/* a binary tree instead of one comparison after another: this runs with every call */
	(void)seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (sandbox == WEIR_SANDBOX_STRICT)
		r = add_strict(f);
	else
		r = sandbox == WEIR_SANDBOX_RELAXED ? add_relaxed(f) : add_off(f);
	if (r == 0 && sandbox == WEIR_SANDBOX_STRICT && has_upstreams)
		r = add_upstreams(f);
	if (r == 0)
		r = seccomp_load(f);
	seccomp_release(f);
	return r;
}
