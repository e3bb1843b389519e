/* SPDX-License-Identifier: GPL-2.0 */
/* The per-CPU memory of one program run: the parsed packet, the parsed request, the reply under
 * construction. It is map memory on purpose: the verifier forgets values that are stored there, so the
 * states of parser loops converge instead of multiplying. */
#ifndef WEIR_LIB_SCRATCH_H
#define WEIR_LIB_SCRATCH_H

#include "weir/flow.h"
#include "weir/limits.h"
#include "weir/siphash.h"
#include "weir/types.h"

#define WEIR_NO_OPT 0xff

/* A parsed packet. Offsets count from the start of the frame; numbers in host byte order. */
struct weir_pkt {
	struct weir_flow_key key;
	__u64 now_ns;
	__u32 l2[5];	     /* Ethernet header of a reply, 14 or 18 bytes */
	__u32 seq;
	__u32 ack;
	__u32 ts_val;
	__u32 ts_ecr;
	__u32 frame_bytes;
	__u32 l3_off;
	__u32 l4_off;
	__u32 l4_bytes;	     /* TCP header, options and payload */
	__u32 payload_bytes;
	__u32 header_bytes;  /* of TCP, with options */
	__u32 ifindex;
	__u32 mtu;
	__u32 window;	     /* field, not scaled */
	__u16 endpoint;
	__u16 default_pool;
	__u16 table;
	__u16 mss_opt;	     /* 0: no option */
	__u16 csum;	     /* TCP checksum field, network order */
	__u8 tcp_flags;	     /* WEIR_TCP_* */
	__u8 is_v6;
	__u8 has_ip_options;
	__u8 has_ts;
	__u8 wscale_opt;     /* WEIR_NO_OPT: none */
	__u8 has_sack;
	__u8 iface_flags;
	__u8 buckets;
	__u8 endpoint_flags;
	__u8 has_odd_options; /* not SYN: other than NOP, SACK blocks, timestamps; or malformed */
	__u8 is_limited;      /* rates of the source are looked at, see lib/limit.h */
	__u8 pad;
	__u32 ticket_way; /* see weir_ticket_of() */
};

#define WEIR_TCP_FIN 0x01
#define WEIR_TCP_SYN 0x02
#define WEIR_TCP_RST 0x04
#define WEIR_TCP_PSH 0x08
#define WEIR_TCP_ACK 0x10
#define WEIR_TCP_URG 0x20

enum weir_ask {
	WEIR_ASK_TAG = 1,   /* If-None-Match */
	WEIR_ASK_SINCE = 2, /* If-Modified-Since */
	WEIR_ASK_CONDITIONS = WEIR_ASK_TAG | WEIR_ASK_SINCE,
	WEIR_ASK_DIRECTIVES = 4, /* Cache-Control or Pragma */
};

/* A parsed request head; offsets into head[]. */
struct weir_req {
	__u32 at;	     /* next byte of the parser */
	__u32 end;	     /* one past the last payload byte */
	__u32 name_at;
	__u32 target_at;
	__u32 target_bytes;
	__u32 path_bytes;    /* of the target, before any '?' */
	__u32 host_bytes;
	__u32 token_bytes;
	__u64 token;	     /* first bytes of the list token under the cursor, lower case; in Host: the port */
	__u32 slashes;	     /* path segments counted so far */
	__u32 tag_at;	     /* value of If-None-Match; once the head is read, its opaque-tag with quotes */
	__u32 tag_bytes;
	__u32 since_at; /* value of If-Modified-Since: a date, nothing more is known of it */
	__u8 state;
	__u8 miss;	     /* enum weir_miss: first reason why XDP must not answer */
	__u8 is_head;	     /* method HEAD */
	__u8 is_http10;
	__u8 has_host;
	__u8 wants_close;
	__u8 wants_keepalive;
	__u8 encodings;
	__u8 header;	     /* enum of the header whose value is being read */
	__u8 seen;	     /* headers seen that must not repeat */
	__u8 in_query;
	__u8 was;	     /* enum head_list: where in a list, or in Host, the cursor is */
	__u16 token_rest;    /* the last two bytes behind those */
	__u16 pool;
	__u8 is_routed;	     /* pool is a prefix's, not the endpoint's default */
	__u8 asks;	     /* enum weir_ask: what the entry must be asked before it is sent */
	__u8 named;	     /* codings that Accept-Encoding names, with weight 0 too, and WEIR_ENCODING_ANY for "*" */
	__u8 has_weights;
	__u16 weights[5];    /* thousandths + 1: br, zstd, gzip, deflate, the greater of identity and "*"; 0: not named */
	/* not cleared for each request */
	__u16 slash[WEIR_DEPTH_MAX + 3];
	__u64 digest[2];     /* cache key */
	__u64 segments[WEIR_DEPTH_MAX + 1];
	char host[WEIR_HOST_MAX + 8];
};

/* What an answer is made of. */
struct weir_answer {
	__u64 digest[2];
	__u64 generation; /* required, or 0: whatever is there; then that of the entry */
	__u32 seq;
	__u32 ack;
	__u32 window;	  /* the client's */
	__u32 room;	  /* of one segment */
	__u32 bytes;	  /* of the response, after answer_check() */
	__u32 miss;
	__u16 pool;
	__u8 is_head;
	__u8 is_close;
	__u8 is_write;	  /* 0: only ask whether it could be answered */
	__u8 asks;	  /* enum weir_ask of the request in scratch memory; 0 where there is none */
	__u8 form;	  /* enum weir_form */
	__u8 refresh;	  /* enum answer_refresh */
};

#define WEIR_OUT_MAX 128

struct weir_scratch {
	struct weir_pkt pkt;
	struct weir_req req;
	struct weir_flow born; /* a flow before it is stored */
	struct weir_sip sip;   /* a hash in progress */
	__u32 feed_at;	       /* what it is fed: bytes of head[] or of the host */
	__u32 feed_bytes;
	__u32 out_bytes;
	__u32 age_sum;			   /* of age[], as in cache entries */
	__u8 age[16];			   /* the Age value of an answer */
	__u8 conn[16];	       /* the Connection value of its last answer */
	struct weir_answer answer; /* XDP's: the stack has no room for several */
	__u8 out[WEIR_OUT_MAX];		   /* headers of the reply */
	__u8 csum[512 + 8];		   /* a chunk of a large segment */
	__u8 head[WEIR_HEAD_MAX + 64];	   /* TCP segment, then slack for whole-word reads */
};

#endif
