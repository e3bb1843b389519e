/* SPDX-License-Identifier: GPL-2.0 */
/* Questions to the supervisor, one at a time, each answered within a few seconds or not at all. */
#include "admin/adm_priv.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/macro.h"

#define LIMIT_MS 5000

const char *const adm_commands[] = { "stats", "status", "busiest", NULL };

static struct {
	const char *command;
	json_t *reply;
	uint64_t asked_ms;
} kept[ARRAY_SIZE(adm_commands) - 1];

static int channel = -1;
static bool is_over;

void adm_channel_init(int fd)
{
	channel = fd;
}

bool adm_channel_is_over(void)
{
	char byte;

	if (!is_over && recv(channel, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0)
		is_over = true;
	return is_over;
}

static int wait_for(short events, uint64_t until_ms)
{
	uint64_t now = weir_now_ms();
	struct pollfd p = { .fd = channel, .events = events };

	if (now >= until_ms)
		return -ETIMEDOUT;
	return poll(&p, 1, (int)(until_ms - now)) > 0 ? 0 : -ETIMEDOUT;
}

static int send_line(const char *line, size_t bytes, uint64_t until_ms)
{
	size_t at = 0;
	int r = 0;

	while (r == 0 && at < bytes) {
		ssize_t n = send(channel, line + at, bytes - at, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0)
			at += (size_t)n;
		else if (errno == EAGAIN)
			r = wait_for(POLLOUT, until_ms);
		else
			r = -errno;
	}
	return r;
}

/* One line, without its end. The caller frees it. */
static int receive_line(char **ret, size_t *ret_bytes, uint64_t until_ms)
{
	_cleanup_free_ char *line = NULL;
	size_t room = 0, filled = 0;
	int r;

	for (;;) {
		ssize_t n;

		if (filled == room) {
			char *more = room < ADM_REPLY_MAX ? realloc(line, room ? 2 * room : 65536) : NULL;

			if (!more)
				return -ENOMEM;
			line = more;
			room = room ? 2 * room : 65536;
		}
		n = recv(channel, line + filled, room - filled, MSG_DONTWAIT);
		if (n == 0)
			return -EPIPE;
		if (n < 0 && errno != EAGAIN)
			return -errno;
		filled += n > 0 ? (size_t)n : 0;
		if (filled && line[filled - 1] == '\n')
			break;
		r = n < 0 ? wait_for(POLLIN, until_ms) : 0;
		if (r < 0)
			return r;
	}
	*ret = TAKE_PTR(line);
	*ret_bytes = filled - 1;
	return 0;
}

/* After a failure the next answer could be this question's: the channel is of no use any more. */
static json_t *ask(const char *command)
{
	_cleanup_free_ char *line = NULL;
	uint64_t until_ms = weir_now_ms() + LIMIT_MS;
	char question[96];
	size_t bytes = 0;
	int r;

	snprintf(question, sizeof(question), "{\"command\":\"%s\",\"max_age_ms\":5000}\n", command);
	r = send_line(question, strlen(question), until_ms);
	if (r == 0)
		r = receive_line(&line, &bytes, until_ms);
	if (r < 0)
		is_over = true;
	return r < 0 ? NULL : json_loadb(line, bytes, 0, NULL);
}

const json_t *adm_ask(const char *command)
{
	uint64_t now = weir_now_ms();
	size_t i;

	for (i = 0; adm_commands[i] && strcmp(adm_commands[i], command) != 0; i++)
		;
	if (!adm_commands[i] || is_over)
		return NULL;
	if (kept[i].reply && now - kept[i].asked_ms < ADM_FRESH_MS)
		return kept[i].reply;
	json_decref(kept[i].reply);
	kept[i].reply = ask(command);
	kept[i].asked_ms = now;
	return json_is_true(json_object_get(kept[i].reply, "ok")) ? kept[i].reply : NULL;
}
