/* SPDX-License-Identifier: GPL-2.0 */
/* Answers from the response cache: finds the entry, checks that this flow can take it as one segment, and
 * writes it into the frame with the current Date. An element of an LRU map may be recycled under a
 * reader: key and generation stand at both ends of the value and are compared before and after. */
#ifndef WEIR_LIB_ANSWER_H
#define WEIR_LIB_ANSWER_H

#include "lib/base.h"
#include "lib/flow.h"
#include "lib/meta.h"
#include "lib/reply.h"
#include "lib/verdict.h"
#include "maps/cache.h"

enum answer_refresh {
	REFRESH_NOT, /* this request is not to be passed up for a stale entry's sake */
	REFRESH_MAY,
	REFRESH_STALE, /* answered stale */
};

enum answer_result {
	ANSWER_MISS,	/* a->miss says why; the frame is as it was */
	ANSWER_CHANGED, /* another generation; the frame is as it was */
	ANSWER_NO_ROOM, /* the frame cannot grow here; it is as it was */
	ANSWER_BROKEN,	/* the frame is spoiled: drop it */
	ANSWER_WRITTEN,
};

/* An empty one in scratch memory. */
static __always_inline struct weir_answer *answer_new(struct weir_scratch *s)
{
	__builtin_memset(&s->answer, 0, sizeof(s->answer));
	return &s->answer;
}

static __always_inline struct weir_clock *clock_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&weir_clock, &zero);
}

/* The entry has expired. While it may be answered stale, one request at a time is passed up to refresh it. */
static __always_inline enum answer_result answer_stale(struct weir_entry *e, struct weir_answer *a, __u64 now_ns)
{
	__u64 until = *(volatile __u64 *)&e->refresh_ns;

	if (e->stale_ns <= now_ns) {
		a->miss = WEIR_MISS_EXPIRED;
		return ANSWER_MISS;
	}
	if (a->refresh != REFRESH_MAY || until > now_ns ||
	    __sync_val_compare_and_swap(&e->refresh_ns, until, now_ns + e->refresh_ms * 1000000ULL) != until) {
		a->refresh = REFRESH_STALE;
		return ANSWER_WRITTEN;
	}
	a->miss = WEIR_MISS_REFRESH;
	return ANSWER_MISS;
}

/* What the request asks of the entry; fills a->form. Only where the request is in scratch memory. enum weir_miss. */
int weir_xdp_choose(struct weir_scratch *s, struct weir_entry *e, struct weir_answer *a);

/* Is the entry the one that was asked for, whole, fresh, and does it fit? Fills bytes and generation. */
static __always_inline enum answer_result answer_check(bool is_xdp, struct weir_scratch *s, struct weir_entry *e,
						       const __u64 *generation_end, __u32 max, struct weir_answer *a)
{
	__u64 generation = *(volatile const __u64 *)&e->generation;
	__u32 bytes;

	a->miss = WEIR_MISS_TORN;
	if (e->digest[0] != a->digest[0] || e->digest[1] != a->digest[1] ||
	    generation != *(volatile const __u64 *)generation_end)
		return ANSWER_MISS;
	if (a->generation && a->generation != generation)
		return ANSWER_CHANGED;
	if (is_xdp && unlikely(a->asks)) {
		a->miss = (__u32)weir_xdp_choose(s, e, a);
		if (a->miss)
			return ANSWER_MISS;
	}
	bytes = e->whole.bytes + (a->is_head ? 0 : e->body_bytes);
	if (a->form)
		bytes = e->cond.bytes;
	if (bytes > a->room) {
		a->miss = e->flags & WEIR_ENTRY_HEAD_ONLY ? WEIR_MISS_HEAD_ONLY : WEIR_MISS_MSS;
		return ANSWER_MISS;
	}
	if (bytes > max)
		return ANSWER_MISS;
	if (bytes > a->window) {
		a->miss = WEIR_MISS_WINDOW;
		return ANSWER_MISS;
	}
	/* What was sent while it was fresh is sent again, whatever the time. */
	if (unlikely(e->expires_ns <= s->pkt.now_ns) && !a->generation &&
	    answer_stale(e, a, s->pkt.now_ns) != ANSWER_WRITTEN)
		return ANSWER_MISS;
	a->bytes = bytes;
	a->generation = generation;
	return ANSWER_WRITTEN;
}

/* Writes the age of the entry as it goes out to s->age, and its sum. */
static __always_inline void answer_age(struct weir_scratch *s, const struct weir_entry *e)
{
	__u64 seconds = (s->pkt.now_ns - e->born_ns) / 1000000000;
	__u32 left, sum = 0, pair, i;

	if (seconds > 0x80000000ULL) /* RFC 9111 1.2.2 */
		seconds = 0x80000000ULL;
	left = (__u32)seconds;
#pragma clang loop unroll(full)
	for (i = 0; i < WEIR_AGE_BYTES; i += 2) {
		pair = left % 100;
		left /= 100;
		s->age[WEIR_AGE_BYTES - 2 - i] = (__u8)('0' + pair / 10);
		s->age[WEIR_AGE_BYTES - 1 - i] = (__u8)('0' + pair % 10);
		sum += ('0' + pair / 10) << 8 | ('0' + pair % 10);
	}
	s->age_sum = csum_fold16(sum);
}

/* One's complement sum of the payload, native and folded. */
static __always_inline __u32 answer_sum(const struct weir_entry *e, const struct weir_entry_head *h,
					const struct weir_answer *a, __u32 date_sum, __u32 age_sum)
{
	/* big-endian words of "close     " minus those of "keep-alive" */
	const __u32 close_delta = 0x636c + 0x6f73 + 0x6520 + 0x2020 + 0x2020 + (0xffff - 0x6b65) +
				  (0xffff - 0x6570) + (0xffff - 0x2d61) + (0xffff - 0x6c69) +
				  (0xffff - 0x7665);
	__u64 sum = h->sum;

	if (!a->is_head && !a->form)
		sum += h->bytes & 1 ? csum_swap(e->body_sum) : e->body_sum;
	if (h->date_off)
		sum += h->date_off & 1 ? csum_swap(csum_fold16(date_sum)) : csum_fold16(date_sum);
	if (h->age_off)
		sum += h->age_off & 1 ? csum_swap(age_sum) : age_sum;
	if (a->is_close)
		sum += h->conn_off & 1 ? csum_swap(csum_fold16(close_delta)) : close_delta;
	return csum_swap(csum_fold16(sum));
}

static __always_inline long frame_store(void *ctx, bool is_xdp, __u32 off, const void *from,
					__u32 bytes)
{
	return is_xdp ? bpf_xdp_store_bytes(ctx, off, (void *)from, bytes) :
			bpf_skb_store_bytes(ctx, off, from, bytes, 0);
}

/* Writes the current date at `off` of the frame. */
static __always_inline bool put_date(void *ctx, bool is_xdp, __u32 off, const struct weir_date *date)
{
	struct xdp_md *xdp = ctx;
	const __u64 *text = (const __u64 *)date->text;
	void *p;

	opaque(off);
	if (!is_xdp || off > 0x3fff)
		return !frame_store(ctx, is_xdp, off, date->text, WEIR_DATE_BYTES);
	p = (void *)(long)xdp->data + off;
	if (p + WEIR_DATE_BYTES > (void *)(long)xdp->data_end)
		return false;
	((__u64 *)p)[0] = text[0];
	((__u64 *)p)[1] = text[1];
	((__u64 *)p)[2] = text[2];
	((__u32 *)p)[6] = (__u32)text[3];
	((__u8 *)p)[28] = (__u8)(text[3] >> 32);
	return true;
}

/* Makes room for headers and payload and writes the headers. */
static __always_inline enum answer_result answer_resize(void *ctx, bool is_xdp, struct weir_scratch *s,
							__u32 payload_bytes)
{
	__u32 bytes = s->out_bytes;

	if (is_xdp)
		return weir_xdp_write(ctx, s, payload_bytes) ? ANSWER_WRITTEN : ANSWER_NO_ROOM;
	if (bpf_skb_change_tail(ctx, bytes + payload_bytes, 0))
		return ANSWER_NO_ROOM;
	if (bytes < 54)
		return ANSWER_BROKEN;
	opaque(bytes);
	if (bytes > WEIR_OUT_MAX)
		return ANSWER_BROKEN;
	return bpf_skb_store_bytes(ctx, 0, s->out, bytes, 0) ? ANSWER_BROKEN : ANSWER_WRITTEN;
}

/* Writes entry `e` (of `max` bytes) as the reply to the packet in s->pkt. */
static __always_inline enum answer_result answer_write(void *ctx, bool is_xdp, struct weir_scratch *s,
						       const struct weir_flow *f, struct weir_entry *e,
						       const __u8 *bytes, const __u64 *generation_end,
						       __u32 max, struct weir_answer *a)
{
	struct weir_clock *clock = clock_get();
	struct weir_reply r = {
		.seq = a->seq,
		.ack = a->ack,
		.payload_bytes = a->bytes,
		.tcp_flags = WEIR_TCP_ACK | WEIR_TCP_PSH | (a->is_close ? WEIR_TCP_FIN : 0),
		.window = flow_window(f),
		.has_ts = f->flags & WEIR_FLOW_TS,
		.ts_val = flow_ts(f, &s->pkt),
		.ts_ecr = f->ts_recent,
	};
	const struct weir_entry_head *h = a->form ? &e->cond : &e->whole;
	enum answer_result result;
	struct weir_date *date;
	__u32 n = a->bytes, at;

	if (!clock)
		return ANSWER_NO_ROOM;
	date = &clock->dates[*(volatile __u32 *)&clock->current & 1];
	if (h->age_off)
		answer_age(s, e);
	r.payload_sum = answer_sum(e, h, a, date->sum, s->age_sum);
	weir_reply_build(s, &r);
	result = answer_resize(ctx, is_xdp, s, n);
	if (result != ANSWER_WRITTEN)
		return result;
	at = s->out_bytes;
	if (n < 1)
		return ANSWER_BROKEN;
	opaque(n);
	if (a->form) {
		if (n > WEIR_COND_BYTES || frame_store(ctx, is_xdp, at, e->cond_head, n))
			return ANSWER_BROKEN;
	} else if (n > max || frame_store(ctx, is_xdp, at, bytes, n)) {
		return ANSWER_BROKEN;
	}
	if (h->date_off && !put_date(ctx, is_xdp, at + h->date_off, date))
		return ANSWER_BROKEN;
	if (h->age_off && frame_store(ctx, is_xdp, at + h->age_off, s->age, WEIR_AGE_BYTES))
		return ANSWER_BROKEN;
	if (a->is_close) {
		*(__u64 *)s->conn = 0x20202065736f6c63; /* "close   ", little endian */
		*(__u16 *)(s->conn + 8) = 0x2020;
		if (frame_store(ctx, is_xdp, at + h->conn_off, s->conn, WEIR_CONN_BYTES))
			return ANSWER_BROKEN;
	}
	barrier();
	if (*(volatile const __u64 *)&e->generation != a->generation ||
	    *(volatile const __u64 *)generation_end != a->generation)
		return ANSWER_BROKEN;
	return ANSWER_WRITTEN;
}

/* The entry's own counter, which lies beside what every CPU reads: exact for the first thousand, then by samples of
 * 64, so that a hot entry's cache line stays shared. Pools count exactly, per CPU. */
static __always_inline void count_hit(struct weir_entry *e, __u64 now_ns)
{
	if (e->hits < 1024)
		__sync_fetch_and_add(&e->hits, 1);
	else if (!(now_ns >> 3 & 63))
		__sync_fetch_and_add(&e->hits, 64);
}

/* Looks one class up and writes the reply, or says that it could. */
#define DEFINE_ANSWER_CLASS(letter, limit)                                                                             \
	static __always_inline enum answer_result answer_##letter(void *ctx, bool is_xdp, struct weir_scratch *s,      \
								  const struct weir_flow *f, struct weir_answer *a)    \
	{                                                                                                              \
		__u32 pool = a->pool;                                                                                  \
		void *inner = bpf_map_lookup_elem(&weir_cache_##letter, &pool);                                        \
		struct weir_entry_##letter *e;                                                                         \
		enum answer_result result;                                                                             \
                                                                                                                       \
		if (!inner)                                                                                            \
			return ANSWER_MISS;                                                                            \
		e = bpf_map_lookup_elem(inner, a->digest);                                                             \
		if (!e)                                                                                                \
			return ANSWER_MISS;                                                                            \
		result = answer_check(is_xdp, s, &e->head, &e->generation_end, limit, a);                              \
		if (result != ANSWER_WRITTEN)                                                                          \
			return result;                                                                                 \
		if (!a->is_write)                                                                                      \
			return ANSWER_WRITTEN;                                                                         \
		result = answer_write(ctx, is_xdp, s, f, &e->head, e->bytes, &e->generation_end, limit, a);            \
		if (result == ANSWER_WRITTEN)                                                                          \
			count_hit(&e->head, s->pkt.now_ns);                                                            \
		return result;                                                                                         \
	}

DEFINE_ANSWER_CLASS(s, WEIR_BYTES_S)
DEFINE_ANSWER_CLASS(m, WEIR_BYTES_M)
DEFINE_ANSWER_CLASS(l, WEIR_BYTES_L)

/* Tries the classes from the smallest. Those that no segment of this flow can carry are looked at only for a head, be it of
 * a 304: what else they would hold counts as not cached. */
static __always_inline enum answer_result answer_classes(void *ctx, bool is_xdp, struct weir_scratch *s,
							 const struct weir_flow *f, struct weir_answer *a)
{
	bool is_small = a->is_head || a->form || a->asks & WEIR_ASK_CONDITIONS;
	enum answer_result result;

	a->miss = WEIR_MISS_NOT_CACHED;
	result = answer_s(ctx, is_xdp, s, f, a);
	if (result != ANSWER_MISS || a->miss != WEIR_MISS_NOT_CACHED || (a->room <= WEIR_BYTES_S && !is_small))
		return result;
	result = answer_m(ctx, is_xdp, s, f, a);
	if (result != ANSWER_MISS || a->miss != WEIR_MISS_NOT_CACHED || (a->room <= WEIR_BYTES_M && !is_small))
		return result;
	return answer_l(ctx, is_xdp, s, f, a);
}

static __always_inline int answer_any(void *ctx, bool is_xdp, struct weir_scratch *s, struct weir_flow *f,
				      struct weir_answer *a)
{
	enum answer_result result;

	if (!s || !f || !a)
		return ANSWER_MISS;
	result = answer_classes(ctx, is_xdp, s, f, a);
	/* weir_tc does not know the request: it may send the 304 of this very entry only. The flow's last answer is
	 * acknowledged, or it is this one. */
	if (is_xdp && unlikely(a->form) && result != ANSWER_MISS && result != ANSWER_CHANGED)
		f->generation = a->generation;
	return result;
}

/* The same for each hook: global functions, so that the verifier walks each once. enum answer_result. */
int weir_xdp_answer(struct xdp_md *ctx, struct weir_scratch *s, struct weir_flow *f,
		    struct weir_answer *a);
int weir_tc_answer(struct __sk_buff *ctx, struct weir_scratch *s, struct weir_flow *f,
		   struct weir_answer *a);

/* Has the clock run lately? Without it Date would be wrong, so nothing is answered. */
static __always_inline bool weir_clock_runs(__u64 now_ns)
{
	struct weir_clock *clock = clock_get();
	__u64 written;

	if (!clock)
		return false;
	written = clock->dates[clock->current & 1].written_ns;
	return now_ns - written < WEIR_CLOCK_STALE_MS * 1000000ULL || written > now_ns;
}

/* Notes an answer that is on its way: moves the flow on and remembers it for a retransmission. False: another CPU
 * was first; the frame must be dropped. */
static __always_inline bool weir_answer_commit(struct weir_flow *f, const struct weir_pkt *p,
					       const struct weir_answer *a)
{
	struct weir_pool_stats *st;

	if (!flow_move(f, p->seq, p->ack, p->seq + p->payload_bytes,
		       p->ack + a->bytes + (a->is_close ? 1 : 0)))
		return false;
	f->req_seq = p->seq;
	f->req_bytes = p->payload_bytes;
	f->resp_bytes = a->bytes;
	f->digest[0] = a->digest[0];
	f->digest[1] = a->digest[1];
	f->generation = a->generation;
	f->form = a->form;
	f->pool = a->pool;
	f->snd_una = p->ack;
	f->retransmits = 0;
	f->requests++;
	f->flags = (f->flags & (__u8)~(WEIR_FLOW_HEAD | WEIR_FLOW_CLOSE)) |
		   (a->is_head ? WEIR_FLOW_HEAD : 0) | (a->is_close ? WEIR_FLOW_CLOSE : 0);
	if (a->is_close)
		f->state = WEIR_FLOW_FIN_SENT;
	st = weir_stats_of(a->pool);
	if (st) {
		st->hits++;
		st->hit_bytes += a->bytes;
		if (unlikely(a->form))
			st->not_modified++;
		if (unlikely(a->refresh == REFRESH_STALE))
			st->stale++;
	}
	return true;
}

/* The last answer again, as it was: same bytes, same place in the stream. */
static __always_inline void weir_answer_again(const struct weir_flow *f, struct weir_answer *a)
{
	a->digest[0] = f->digest[0];
	a->digest[1] = f->digest[1];
	a->generation = f->generation;
	a->is_head = !!(f->flags & WEIR_FLOW_HEAD);
	a->is_close = !!(f->flags & WEIR_FLOW_CLOSE);
	a->form = (__u8)f->form;
	a->seq = f->snd_nxt - f->resp_bytes - a->is_close;
	a->ack = f->rcv_nxt;
	a->window = ~0u;
	a->room = flow_room(f);
	a->pool = f->pool;
	a->is_write = 1;
}

#endif
