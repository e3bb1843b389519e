/* SPDX-License-Identifier: GPL-2.0 */
/* Responses to the socket: one sendmsg() for what is in memory, sendfile() for the rest. Never waits: what a full
 * socket does not take goes to the pump (pump.c). */
#include "worker/wrk_priv.h"

#include <errno.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "common/clock.h"
#include "common/macro.h"

#define IOV_MAX_HERE (WEIR_PARTS_MAX + 16)

void wrk_count_sent(struct wrk_worker *w, struct wrk_conn *c, size_t bytes)
{
	c->sent += (uint32_t)bytes;
	weir_metrics_add(w->setup->metrics, bytes_sent, bytes);
}

static void advance(struct wrk_out *out, uint64_t bytes)
{
	while (out->at < out->count && bytes >= out->parts[out->at].bytes)
		bytes -= out->parts[out->at++].bytes;
	if (bytes > 0) {
		struct weir_part *p = &out->parts[out->at];

		p->bytes -= bytes;
		if (p->mem && !p->period)
			p->mem = (const char *)p->mem + bytes;
		else
			p->off += bytes;
	}
}

/* Appends the pieces of memory that repeat until the part, or the room, is used up. True: the part is complete. */
static bool unroll(const struct weir_part *p, struct iovec *iov, size_t *n)
{
	uint64_t left = p->bytes, off = p->off % p->period;

	while (left > 0 && *n < IOV_MAX_HERE) {
		size_t bytes = MIN(left, p->period - off);

		iov[(*n)++] = (struct iovec){ (char *)(uintptr_t)p->mem + off, bytes };
		left -= bytes;
		off = 0;
	}
	return left == 0;
}

static ssize_t send_memory(int fd, const struct wrk_out *out)
{
	struct iovec iov[IOV_MAX_HERE];
	struct msghdr m = { .msg_iov = iov };
	unsigned i;
	int flags = MSG_NOSIGNAL;

	for (i = out->at; i < out->count; i++) {
		const struct weir_part *p = &out->parts[i];

		if (!p->mem) {
			flags |= MSG_MORE;
			break;
		}
		if (!p->period)
			iov[m.msg_iovlen++] = (struct iovec){ (void *)(uintptr_t)p->mem, p->bytes };
		else if (!unroll(p, iov, &m.msg_iovlen))
			break;
		if (m.msg_iovlen == IOV_MAX_HERE)
			break;
	}
	return sendmsg(fd, &m, flags);
}

static ssize_t send_file(int fd, const struct weir_part *p)
{
	off_t off = (off_t)p->off;
	ssize_t n = sendfile(fd, p->fd, &off, MIN(p->bytes, 1u << 30));

	if (n == 0)
		errno = EIO; /* the file became shorter than the head says */
	return n > 0 ? n : -1;
}

int wrk_out_send(struct wrk_worker *w, struct wrk_conn *c, struct wrk_out *out)
{
	int fd = wrk_conn_fd(&w->base->table, c);

	while (out->at < out->count) {
		const struct weir_part *p = &out->parts[out->at];
		ssize_t n = p->mem ? send_memory(fd, out) : send_file(fd, p);

		if (n >= 0) {
			wrk_count_sent(w, c, (size_t)n);
			advance(out, (uint64_t)n);
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

/* The head with Date and Connection filled in. Returns its length. */
static size_t complete_head(struct wrk_thread *t, bool is_keep_alive)
{
	const struct weir_response *r = &t->resp;
	int64_t now = weir_realtime_s();

	if (now != t->date_s) {
		weir_date_format(now, t->date);
		t->date_s = now;
	}
	memcpy(t->out, r->head, r->head_bytes);
	memcpy(t->out + r->date_off, t->date, sizeof(t->date));
	if (is_keep_alive)
		return r->head_bytes;
	memcpy(t->out + r->conn_off, "close\r\n\r\n", 9);
	return (size_t)r->conn_off + 9;
}

/* For a successor that finds the connection in flight, see recover.c. */
static void note_start(struct wrk_conn *c, uint64_t bytes, bool goes_on)
{
	c->sent_start = c->sent;
	c->sent_goal = c->sent + (uint32_t)bytes;
	c->goes_on = goes_on;
	/* release: to another process, which sees what a dead thread has stored in this order */
	__atomic_store_n(&c->step, WRK_STEP_SENDING, __ATOMIC_RELEASE);
}

int wrk_send_response(struct wrk_thread *t, struct wrk_conn *c, bool is_keep_alive, bool goes_on)
{
	const struct weir_response *resp = &t->resp;
	struct wrk_out *out = &t->todo;
	uint64_t bytes = complete_head(t, is_keep_alive);
	unsigned i;

	out->at = 0;
	out->count = 1;
	out->parts[0] = (struct weir_part){ .mem = t->out, .fd = -1, .bytes = bytes };
	for (i = 0; i < resp->parts_count; i++) {
		if (resp->parts[i].bytes == 0)
			continue;
		out->parts[out->count++] = resp->parts[i];
		bytes += resp->parts[i].bytes;
	}
	note_start(c, bytes, goes_on);
	return wrk_out_send(t->w, c, out);
}

uint64_t wrk_send_begin(struct wrk_thread *t, struct wrk_conn *c, bool is_keep_alive)
{
	uint64_t bytes = complete_head(t, is_keep_alive);

	t->todo.at = 0;
	t->todo.count = 1;
	t->todo.parts[0] = (struct weir_part){ .mem = t->out, .fd = -1, .bytes = bytes };
	note_start(c, bytes, false);
	wrk_send_more(c, bytes, false, false);
	return bytes;
}

void wrk_send_more(struct wrk_conn *c, uint64_t bytes, bool is_last, bool goes_on)
{
	c->goes_on = false;
	/* Before the last piece: what can never have been sent. */
	c->sent_goal = is_last ? c->sent + (uint32_t)bytes : c->sent_start - 1;
	/* release: as in note_start() */
	__atomic_store_n(&c->goes_on, goes_on, __ATOMIC_RELEASE);
}

void wrk_note_sending(struct wrk_conn *c, uint64_t bytes, bool goes_on)
{
	if (c->step != WRK_STEP_SENDING)
		note_start(c, bytes, false);
	wrk_send_more(c, bytes, bytes > 0, goes_on);
}

int wrk_send_text(struct wrk_thread *t, struct wrk_conn *c, struct weir_str text)
{
	ssize_t n;

	do {
		n = send(wrk_conn_fd(&t->w->base->table, c), text.p, text.n, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	wrk_count_sent(t->w, c, (size_t)n);
	return (size_t)n == text.n ? 0 : -EPIPE;
}
