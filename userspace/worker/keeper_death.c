/* SPDX-License-Identifier: GPL-2.0 */
/* The last words about a worker: how it ended, how old it was, what it was doing and where its memory went. */
#include "worker/keeper.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "common/log.h"

#define SHOWN_MAX 16 /* requests in flight */

static void format_client(const struct weir_flow_key *k, char *buf, size_t bytes)
{
	bool is_v4 = !k->client.word[0] && !k->client.word[1] && k->client.word[2] == htonl(0xffff);
	char text[INET6_ADDRSTRLEN] = "?";

	(void)inet_ntop(is_v4 ? AF_INET : AF_INET6, is_v4 ? (const void *)&k->client.word[3] : &k->client, text,
			sizeof(text));
	snprintf(buf, bytes, is_v4 ? "%s:%u" : "[%s]:%u", text, ntohs(k->client_port));
}

struct flights {
	uint64_t now_ms;
	unsigned count;
};

static void show_flight(const struct wrk_in_flight *f, void *arg)
{
	struct flights *n = arg;
	char client[80];

	if (n->count++ >= SHOWN_MAX)
		return;
	format_client(&f->key, client, sizeof(client));
	weir_warn("  in flight: %s from %s, for %llu ms", f->what[0] ? f->what : "a request", client,
		  (unsigned long long)(n->now_ms - MIN(f->since_ms, n->now_ms)));
}

static void count_flight(const struct wrk_in_flight *f, void *arg)
{
	(void)f;
	(*(unsigned *)arg)++;
}

static unsigned count_flights(const struct wrk_table *t, uint32_t generation)
{
	unsigned n = 0;

	wrk_table_in_flight(t, generation, count_flight, &n);
	return n;
}

static void show_flights(const struct wrk_table *t, uint32_t generation)
{
	struct flights n = { .now_ms = weir_now_ms() };

	wrk_table_in_flight(t, generation, show_flight, &n);
}

static void show_core(pid_t pid, bool has_core)
{
	char pattern[160] = "core", where[256] = "";
	int fd = open("/proc/sys/kernel/core_pattern", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, pattern, sizeof(pattern) - 1) : -1;

	if (fd >= 0)
		close(fd);
	if (n > 0)
		pattern[n] = '\0';
	pattern[strcspn(pattern, "\n")] = '\0';
	if (!has_core)
		weir_info("  no core dump: RLIMIT_CORE is 0, or fs.suid_dumpable forbids it to a process that changed "
			  "its user");
	else if (pattern[0] == '|')
		weir_info("  core dump of process %d: given to '%s'", pid, pattern + 1);
	else
		weir_info("  core dump of process %d: file '%s' (core_pattern)%s%s", pid, pattern,
			  pattern[0] == '/' ? "" : " in ",
			  pattern[0] == '/' || !getcwd(where, sizeof(where)) ? "" : where);
}

void keeper_report_death(const struct keeper *k, const struct keeper_worker *w, int status)
{
	const char *pool = k->base.setup->pool->name;
	unsigned flights = count_flights(&k->base.table, w->generation);
	unsigned long long lived = weir_now_ms() - w->born_ms;
	char how[96];

	if (w->killed_for)
		snprintf(how, sizeof(how), "%s and was killed", w->killed_for);
	else if (WIFSIGNALED(status))
		snprintf(how, sizeof(how), "died of signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(how, sizeof(how), "ended with status %d", WEXITSTATUS(status));
	weir_warn("worker %d of pool '%s' %s after %llu ms, with %u request%s in flight%s", w->pid, pool, how, lived,
		  flights, flights == 1 ? "" : "s", w->drain_ms ? "" : "; starting another");
	show_flights(&k->base.table, w->generation);
	if (WIFSIGNALED(status) && !w->killed_for)
		show_core(w->pid, WCOREDUMP(status));
}

/* --- orphans --- */

/* Runs the pool's program with the orphan's number. As the pool's user, like everything here. */
void keeper_orphan_action(const struct keeper *k, pid_t pid)
{
	const char *action = k->base.setup->pool->orphan_action_exe;
	char command[1024], number[16], *at;
	const char *mark = action ? strstr(action, "%1%") : NULL;
	pid_t shell;

	if (!action)
		return;
	snprintf(number, sizeof(number), "%d", pid);
	if (mark)
		snprintf(command, sizeof(command), "%.*s%s%s", (int)(mark - action), action, number, mark + 3);
	else
		snprintf(command, sizeof(command), "%s", action);
	at = command;
	if (posix_spawn(&shell, "/bin/sh", NULL, NULL, (char *[]){ (char *)"sh", (char *)"-c", at, NULL }, environ))
		weir_warn("orphan_action_exe '%s' cannot be run (%s)", action, strerror(errno));
}

void keeper_orphan(struct keeper *k, struct keeper_worker *w, const char *why)
{
	const struct weir_conf_pool *pool = k->base.setup->pool;

	/* Stopped, not only left: it shares our descriptors, and must not touch a number that is used anew. */
	(void)kill(w->pid, SIGSTOP);
	weir_warn("worker %d of pool '%s' %s: left as an orphan, stopped, for a debugger; it shares this slot's "
		  "descriptors until it is killed",
		  w->pid, pool->name, why);
	show_flights(&k->base.table, w->generation);
	keeper_orphan_action(k, w->pid);
	weir_metrics_add(k->base.setup->metrics, crashes, 1);
	wrk_recover_dead(&k->rescue, w->generation);
	close(w->drain_fd);
	w->pid = 0;
	if (w == &k->serving) {
		k->is_pinged = false;
		k->retry_ms = 0;
	}
}
