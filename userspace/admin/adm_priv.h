/* SPDX-License-Identifier: GPL-2.0 */
/* Inside of the admin process: one thread, one poll loop. */
#ifndef ADM_PRIV_H
#define ADM_PRIV_H

#include "common/str.h"
#include "http/http.h"
#include "admin/admin.h"

#define ADM_CLIENTS_MAX 32
#define ADM_HEAD_MAX 8192   /* bytes of a request head */
#define ADM_CLIENT_MS 15000 /* a client that does nothing for so long is dropped */
#define ADM_FRESH_MS 200    /* answers of the supervisor are used again for so long: many readers cost one */
#define ADM_REPLY_MAX (64 << 20)

/* channel.c: what the supervisor said, at most ADM_FRESH_MS old. Borrowed until the next call.
 * NULL: it does not answer. */
const json_t *adm_ask(const char *command);
void adm_channel_init(int fd);
/* The supervisor is gone: there is nothing to serve any more. */
bool adm_channel_is_over(void);

/* answer.c: the whole response, to be freed by the caller. */
struct adm_answer {
	char *bytes;
	size_t count;
};
/* 0, or -ENOMEM. `status` not 0: the request could not be parsed, refuse with it. */
int adm_answer_make(const struct weir_request *req, unsigned status, struct adm_answer *ret);

/* page.c: the status page, as it is in page.html. */
extern const char adm_page[];
extern const char adm_page_end[];

#endif
