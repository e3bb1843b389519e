/* SPDX-License-Identifier: GPL-2.0 */
/* "Who holds port 80": finds the listening socket in /proc/net/tcp and tcp6, then the process that has it open in
 * /proc/PID/fd. Read-only; used where bind() failed and by `weir doctor`. */
#include "config/config.h"

#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <string.h>

#define TCP_LISTEN_HEX "0A"

/* Whether a socket bound to `text` (hex, as /proc has it: 32-bit words in host order) keeps `l` from binding. */
static bool is_conflict(const struct weir_conf_listen *l, const char *text, bool is_v6)
{
	unsigned word[4] = { 0, 0, 0xffff0000, 0 };
	struct weir_addr addr;
	bool is_any;
	int n;

	if (is_v6)
		n = sscanf(text, "%8x%8x%8x%8x", &word[0], &word[1], &word[2], &word[3]) - 3;
	else
		n = sscanf(text, "%8x", &word[3]);
	if (n != 1)
		return false;
	memcpy(&addr, word, sizeof(addr));
	is_any = !word[0] && !word[1] && !word[3] && (!is_v6 || !word[2]);
	if (l->is_any || is_any)
		return l->is_v6 == is_v6 || is_any;
	return !memcmp(&addr, &l->addr, sizeof(addr));
}

/* Inode of the listening socket, 0: none in this table. */
static uint64_t find_inode(const char *table, bool is_v6, const struct weir_conf_listen *l)
{
	_cleanup_fclose_ FILE *f = fopen(table, "re");
	char line[512], local[64], state[8];

	while (f && fgets(line, sizeof(line), f)) {
		unsigned port;
		uint64_t inode;

		if (sscanf(line, " %*d: %63[^:]:%4x %*s %7s %*s %*s %*s %*s %*s %" SCNu64, local, &port, state,
			   &inode) == 4 &&
		    !strcmp(state, TCP_LISTEN_HEX) && port == l->port && is_conflict(l, local, is_v6))
			return inode;
	}
	return 0;
}

static bool has_socket(const char *pid, uint64_t inode)
{
	char path[64], want[48], target[64];
	const struct dirent *e;
	bool is_found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%.16s/fd", pid);
	snprintf(want, sizeof(want), "socket:[%" PRIu64 "]", inode);
	dir = opendir(path);
	while (dir && !is_found && (e = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), e->d_name, target, sizeof(target) - 1);

		if (n > 0) {
			target[n] = '\0';
			is_found = !strcmp(target, want);
		}
	}
	if (dir)
		closedir(dir);
	return is_found;
}

static void process_name(const char *pid, char *buf, size_t bytes)
{
	_cleanup_fclose_ FILE *f = NULL;
	char path[64], comm[32] = "process";

	snprintf(path, sizeof(path), "/proc/%.16s/comm", pid);
	f = fopen(path, "re");
	if (f && fgets(comm, sizeof(comm), f))
		comm[strcspn(comm, "\n")] = '\0';
	snprintf(buf, bytes, "%s (pid %.16s)", comm, pid);
}

bool weir_port_holder(const struct weir_conf_listen *l, char *buf, size_t bytes)
{
	uint64_t inode = find_inode("/proc/net/tcp", false, l);
	const struct dirent *e;
	bool is_found = false;
	DIR *proc;

	if (!inode)
		inode = find_inode("/proc/net/tcp6", true, l);
	if (!inode)
		return false;
	proc = opendir("/proc");
	while (proc && !is_found && (e = readdir(proc))) {
		is_found = isdigit((unsigned char)e->d_name[0]) && has_socket(e->d_name, inode);
		if (is_found)
			process_name(e->d_name, buf, bytes);
	}
	if (proc)
		closedir(proc);
	if (!is_found)
		snprintf(buf, bytes, "a process that is not visible from here");
	return true;
}
