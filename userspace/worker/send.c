/* SPDX-License-Identifier: GPL-2.0 */
/* Responses to the socket: one sendmsg() for what is in memory, sendfile() for the rest. A client that is slow to
 * take it blocks this thread, within a limit. */
#include "worker/wrk_priv.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "common/clock.h"
#include "common/macro.h"

static int wait_writable(struct wrk_thread *t, struct wrk_conn *c)
{
	struct pollfd p = { .fd = wrk_conn_fd(&t->w->base->table, c), .events = POLLOUT };
	int r;

	do {
		r = poll(&p, 1, WRK_STALL_MS);
	} while (r < 0 && errno == EINTR);
	if (r == 0) {
		weir_metrics_add(t->w->setup->metrics, timeouts, 1);
		return -ETIMEDOUT;
	}
	return r < 0 ? -errno : 0;
}

static void count_sent(struct wrk_thread *t, struct wrk_conn *c, size_t bytes)
{
	c->sent += (uint32_t)bytes;
	weir_metrics_add(t->w->setup->metrics, bytes_sent, bytes);
}

/* Drops `bytes` from the front. Returns the index of the first piece that is left. */
static size_t advance(struct iovec *iov, size_t from, size_t count, size_t bytes)
{
	while (from < count && bytes >= iov[from].iov_len)
		bytes -= iov[from++].iov_len;
	if (from < count) {
		iov[from].iov_base = (char *)iov[from].iov_base + bytes;
		iov[from].iov_len -= bytes;
	}
	return from;
}

static int send_pieces(struct wrk_thread *t, struct wrk_conn *c, struct iovec *iov, size_t count, int flags)
{
	size_t from = 0;

	while (from < count) {
		struct msghdr m = { .msg_iov = iov + from, .msg_iovlen = count - from };
		ssize_t n = sendmsg(wrk_conn_fd(&t->w->base->table, c), &m, MSG_NOSIGNAL | flags);

		if (n >= 0) {
			count_sent(t, c, (size_t)n);
			from = advance(iov, from, count, (size_t)n);
			continue;
		}
		if (errno == EAGAIN) {
			int r = wait_writable(t, c);

			if (r < 0)
				return r;
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

static int send_file(struct wrk_thread *t, struct wrk_conn *c, const struct weir_part *p)
{
	uint64_t left = p->bytes;
	off_t off = (off_t)p->off;

	while (left > 0) {
		ssize_t n = sendfile(wrk_conn_fd(&t->w->base->table, c), p->fd, &off, MIN(left, 1u << 30));

		if (n > 0) {
			count_sent(t, c, (size_t)n);
			left -= (uint64_t)n;
		} else if (n == 0) {
			return -EIO; /* the file became shorter than the head says */
		} else if (errno == EAGAIN) {
			int r = wait_writable(t, c);

			if (r < 0)
				return r;
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
static void note_start(struct wrk_conn *c, const struct weir_response *resp, size_t head_bytes, bool goes_on)
{
	uint64_t bytes = head_bytes;
	unsigned i;

	for (i = 0; i < resp->parts_count; i++)
		bytes += resp->parts[i].bytes;
	c->sent_start = c->sent;
	c->sent_goal = c->sent + (uint32_t)bytes;
	c->goes_on = goes_on;
	/* release: to another process, which sees what a dead thread has stored in this order */
	__atomic_store_n(&c->step, WRK_STEP_SENDING, __ATOMIC_RELEASE);
}

int wrk_send_response(struct wrk_thread *t, struct wrk_conn *c, bool is_keep_alive, bool goes_on)
{
	const struct weir_response *resp = &t->resp;
	struct iovec iov[WEIR_PARTS_MAX + 1];
	size_t count = 1;
	unsigned i;
	int r;

	iov[0] = (struct iovec){ t->out, complete_head(t, is_keep_alive) };
	note_start(c, resp, iov[0].iov_len, goes_on);
	for (i = 0; i < resp->parts_count; i++) {
		const struct weir_part *p = &resp->parts[i];

		if (p->mem) {
			iov[count++] = (struct iovec){ (void *)(uintptr_t)p->mem, p->bytes };
			continue;
		}
		r = send_pieces(t, c, iov, count, MSG_MORE);
		if (r == 0)
			r = send_file(t, c, p);
		if (r < 0)
			return r;
		count = 0;
	}
	return send_pieces(t, c, iov, count, 0);
}

int wrk_send_text(struct wrk_thread *t, struct wrk_conn *c, struct weir_str text)
{
	struct iovec iov = { (void *)(uintptr_t)text.p, text.n };

	return send_pieces(t, c, &iov, 1, 0);
}
