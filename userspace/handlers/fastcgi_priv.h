/* SPDX-License-Identifier: GPL-2.0 */
/* Inside of the fastcgi handler. */
#ifndef WEIR_FASTCGI_PRIV_H
#define WEIR_FASTCGI_PRIV_H

#include "handlers/fastcgi.h"

/* Appends the PARAMS of a request. 0, or the status to refuse it with. */
int weir_fastcgi_params(const struct weir_codec_call *call, struct weir_buf *out);

#endif
