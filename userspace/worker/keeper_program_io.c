/* SPDX-License-Identifier: GPL-2.0 */
/* What the keeper hears of a program: the lines that it writes, and its answer to a health ping. */
#include "worker/keeper.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/log.h"

#define READS_MAX 64 /* at a time, so that a talkative program leaves time for the rest */

/* --- lines --- */

static void put_line(struct keeper_program *p)
{
	size_t i;

	if (p->line_bytes > 0 && p->line[p->line_bytes - 1] == '\r')
		p->line_bytes--;
	/* a log is read on terminals */
	for (i = 0; i < p->line_bytes; i++)
		if (((unsigned char)p->line[i] < 0x20 && p->line[i] != '\t') || p->line[i] == 0x7f)
			p->line[i] = '?';
	if (p->line_bytes > 0)
		weir_info("program: %.*s", (int)p->line_bytes, p->line);
	p->line_bytes = 0;
}

static void put_bytes(struct keeper_program *p, const char *bytes, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (bytes[i] == '\n') {
			put_line(p);
			continue;
		}
		p->line[p->line_bytes++] = bytes[i];
		if (p->line_bytes == sizeof(p->line))
			put_line(p);
	}
}

void keeper_program_log(struct keeper *k)
{
	char bytes[4096];
	ssize_t n = 0;
	int i;

	if (k->program.out_read < 0)
		return;
	for (i = 0; i < READS_MAX && (n = read(k->program.out_read, bytes, sizeof(bytes))) > 0; i++)
		put_bytes(&k->program, bytes, (size_t)n);
	/* nobody is left who could end a line */
	if (n <= 0 && !keeper_program_is_there(k))
		put_line(&k->program);
}

/* --- health --- */

static void hang_up(struct keeper_ping *ping)
{
	if (ping->fd >= 0)
		close(ping->fd);
	ping->fd = -1;
	ping->is_sent = false;
}

static void call(struct keeper *k)
{
	const struct wrk_address *a = &k->base.program;
	struct keeper_ping *ping = &k->program.ping;

	if (ping->fd < 0)
		ping->fd = socket(a->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (ping->fd < 0)
		return;
	/* a full queue (EAGAIN) is no sign of life; again with the next look */
	if (connect(ping->fd, (const struct sockaddr *)&a->addr, a->bytes) < 0 && errno != EISCONN)
		return;
	ping->is_sent = dprintf(ping->fd,
				"GET %s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: weir\r\n"
				"Connection: close\r\n\r\n",
				k->base.setup->pool->exec.ping) > 0;
}

/* Any response will do: whether it is a good one is for those who ask for more than life. */
static void listen_to(struct keeper_ping *ping)
{
	char bytes[8];
	ssize_t n = recv(ping->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	hang_up(ping);
	if (n >= 5 && memcmp(bytes, "HTTP/", 5) == 0)
		ping->since_ms = weir_now_ms();
}

void keeper_program_ping(struct keeper *k)
{
	const struct weir_conf_pool *pool = k->base.setup->pool;
	struct keeper_program *p = &k->program;
	uint64_t waited = weir_now_ms() - p->ping.since_ms;

	if (p->listen_fd < 0 || !pool->exec.ping || !pool->ping_enabled)
		return;
	if (k->is_ending || k->is_resting || !p->serving.pid || p->serving.end_ms || p->next.pid || p->old.pid) {
		hang_up(&p->ping);
		p->ping.since_ms = weir_now_ms();
		return;
	}
	if (waited < pool->ping_interval_ms)
		return;
	if (p->ping.is_sent)
		listen_to(&p->ping);
	else
		call(k);
	if (weir_now_ms() - p->ping.since_ms > (uint64_t)pool->ping_interval_ms + pool->ping_response_ms) {
		hang_up(&p->ping);
		p->ping.since_ms = weir_now_ms();
		keeper_program_kill(k, &p->serving, "did not answer exec_ping within ping_response_time");
	}
}
