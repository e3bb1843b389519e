/* SPDX-License-Identifier: GPL-2.0 */
/* The handler of `proxy` pools: HTTP/1.1 as the protocol to the upstreams, and what a client sees
 * of any upstream's response. Pure: the relay (worker/relay*.c) moves the bytes. */
#ifndef WEIR_PROXY_H
#define WEIR_PROXY_H

#include "upstream/codec.h"

extern const struct weir_codec weir_proxy_codec;

/* How a response is sent to the client. */
struct weir_gateway_reply {
	const struct weir_reply *reply; /* of the upstream */
	enum weir_framing framing;	/* of the body towards the client; NONE: there is none */
	bool is_http;			/* the upstream speaks HTTP: Via is due */
	bool is_head;			/* the request's method is HEAD */
	bool is_keep_alive;
	const struct weir_conf_words *fields; /* in place of the upstream's; NULL: none */
	const char *date;		      /* WEIR_HTTP_DATE_BYTES, for a response that has none */
};
/* Status line, fields and empty line: hop-by-hop fields and framing are ours, the rest the
 * upstream's. It grows by at most 512 bytes. */
void weir_gateway_head(struct weir_buf *b, const struct weir_gateway_reply *g);
/* An interim response (1xx), or the one that switches protocols (101). */
void weir_gateway_interim(struct weir_buf *b, const struct weir_reply *reply);
/* The fields of a trailer section that may be passed on, without the empty line. */
void weir_gateway_trailers(struct weir_buf *b, struct weir_str trailers);

/* The request line and Host, the fields that are for the next hop, Forwarded and X-Forwarded-*,
 * Via: everything of an HTTP request but framing and the empty line. 0, or the status to refuse
 * with. */
int weir_proxy_fields(const struct weir_codec_call *call, bool is_upgrade, struct weir_buf *out);
/* Whether the client asks for another protocol on this connection (RFC 9110 7.8) in a way that can
 * be passed on. */
bool weir_proxy_wants_upgrade(const struct weir_codec_call *call);

/* Fields of a configuration ("Name: value"): whether one of them has this name; and all that have a value, as lines. */
bool weir_proxy_has_field(const struct weir_conf_words *fields, struct weir_str name);
void weir_proxy_put_fields(struct weir_buf *b, const struct weir_conf_words *fields);

#endif
