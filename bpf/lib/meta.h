/* SPDX-License-Identifier: GPL-2.0 */
/* What weir_xdp tells weir_tc about a packet, in the packet's metadata. A frame that tc sends out on lo
 * comes back with its old metadata: weir_tc believes it only if sequence numbers match and the
 * packet belongs to a flow in the client's direction. */
#ifndef WEIR_LIB_META_H
#define WEIR_LIB_META_H

#include "lib/base.h"
#include "lib/scratch.h"

#define WEIR_META_MAGIC 0x57656972u /* "Weir" */

enum meta_kind {
	META_ANSWER = 1,
	META_AGAIN,
	META_SEIZE,
	META_HANDOVER,
	META_WAIT,
};

#define META_HEAD 1
#define META_CLOSE 2
#define META_RESET 4 /* seize without an answer: the client is reset */
#define META_NOT_MODIFIED 8 /* only from the entry whose generation is in the flow */

struct weir_meta {
	__u32 magic;
	__u32 seq;
	__u32 ack;
	__u16 pool;
	__u8 kind;
	__u8 flags;
	__u32 digest[4];
};
_Static_assert(sizeof(struct weir_meta) == 32, "drivers give at most 32 bytes of metadata");

static __always_inline bool weir_meta_put(struct xdp_md *ctx, const struct weir_pkt *p, __u8 kind,
					  __u8 flags, __u16 pool, const __u64 digest[2])
{
	struct weir_meta *m;

	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*m)))
		return false;
	m = (void *)(long)ctx->data_meta;
	if ((void *)(m + 1) > (void *)(long)ctx->data)
		return false;
	m->magic = WEIR_META_MAGIC;
	m->seq = p->seq;
	m->ack = p->ack;
	m->pool = pool;
	m->kind = kind;
	m->flags = flags;
	m->digest[0] = (__u32)digest[0];
	m->digest[1] = (__u32)(digest[0] >> 32);
	m->digest[2] = (__u32)digest[1];
	m->digest[3] = (__u32)(digest[1] >> 32);
	return true;
}

#endif
