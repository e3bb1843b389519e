// SPDX-License-Identifier: GPL-2.0
/* Messages between the supervisor and the fleet process. Neither believes what the other sends: lengths and kinds are looked
 * at here, once. */
#include "fleet/fleet.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "common/macro.h"

int flt_send(int channel, struct flt_message *m, const char *text, int flags)
{
	size_t bytes = text ? strlen(text) : strnlen(m->text, sizeof(m->text));

	if (bytes > FLT_TEXT_MAX)
		return -EMSGSIZE;
	if (text)
		memmove(m->text, text, bytes);
	m->text[bytes] = '\0';
	m->text_bytes = (uint32_t)bytes;
	return send(channel, m, offsetof(struct flt_message, text) + bytes, flags | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int flt_receive(int channel, struct flt_message *ret, int flags)
{
	const size_t head = offsetof(struct flt_message, text);
	ssize_t n = recv(channel, ret, sizeof(*ret), flags | MSG_TRUNC);

	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return -EPIPE;
	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	if ((size_t)n < head || ret->kind >= FLT_KIND__MAX || ret->what >= FLT_WHAT__MAX ||
	    ret->text_bytes > FLT_TEXT_MAX || (size_t)n != head + ret->text_bytes ||
	    memchr(ret->text, '\0', ret->text_bytes))
		return -EBADMSG;
	ret->text[ret->text_bytes] = '\0';
	return 0;
}
