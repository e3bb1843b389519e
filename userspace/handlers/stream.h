/* SPDX-License-Identifier: GPL-2.0 */
/* The client's side of one request, for a handler that reads its body and may send its response while it runs. The
 * worker provides it (worker/stream.c); every call is made on the thread that has the request, and may wait for the
 * client within the pool's limits. */
#ifndef WEIR_STREAM_H
#define WEIR_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "handlers/handler.h"

struct weir_stream;

struct weir_stream_ops {
	/* The next bytes of the request's body, without transfer coding; `bytes` is not 0. 0: its end. -ETIMEDOUT, -EFBIG
	 * (request_body_max), -EBADMSG (chunks), -ECONNRESET; after an error always the same. */
	ptrdiff_t (*read)(struct weir_stream *s, void *buf, size_t bytes);
	/* Sends the head in `resp`, which is complete, and its parts. What follows comes with send(). `resp` is not read
	 * afterwards but for its status. -ETIMEDOUT, -ECONNRESET, -EPIPE: nothing can be sent any more. */
	int (*begin)(struct weir_stream *s, struct weir_response *resp);
	/* Sends memory behind that. `is_last`: the response is complete with it. */
	int (*send)(struct weir_stream *s, const struct weir_part *parts, unsigned count, bool is_last);
};

struct weir_stream {
	const struct weir_stream_ops *ops;
};

#endif
