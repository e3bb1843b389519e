/* SPDX-License-Identifier: GPL-2.0 */
/* Fills the kernel cache of the loaded programs, and says what a client must receive for it. */
#ifndef WEIR_TEST_PROG_CACHE_H
#define WEIR_TEST_PROG_CACHE_H

#include "harness/prog_run.h"

#define HOST "a.example"
#define TARGET "/index.html"
#define GET "GET " TARGET " HTTP/1.1\r\nHost: " HOST "\r\n\r\n"
#define HEAD "HEAD " TARGET " HTTP/1.1\r\nHost: " HOST "\r\n\r\n"
#define GET_CLOSE "GET " TARGET " HTTP/1.1\r\nHost: " HOST "\r\nConnection: close\r\n\r\n"

/* A response of the cache. What is 0 or NULL has a default: POOL_A, ENDPOINT4, HOST, TARGET, generation 1, never
 * expires, no body. Fillers are bytes in front of the Date value, between it and Connection's, and behind. */
struct prog_entry {
	uint16_t pool;
	uint16_t endpoint;
	const char *host;
	const char *target;
	uint8_t encodings;
	unsigned fill_date;
	unsigned fill_conn;
	unsigned fill_end;
	size_t body_bytes;
	uint64_t generation;
	uint64_t expires_ns;
	uint16_t status; /* 0: 200 */
	uint8_t flags;	 /* enum weir_entry_flag; without a body the response is HEAD_ONLY */
	bool is_dated;	 /* the Date is OLD_DATE for ever */
	bool has_age;	 /* Age counts from born_ns */
	uint64_t born_ns;
	unsigned shown_age;  /* what a client is to see of it */
	bool is_conditional; /* has a 304 with ETAG and MODIFIED, as the response itself has */
	const char *etag;    /* instead of ETAG */
	uint64_t stale_ns;
	uint32_t refresh_ms;
};

#define OLD_DATE "Sat, 05 Nov 1994 08:00:00 GMT"
#define MODIFIED "Fri, 04 Nov 1994 10:11:12 GMT"
#define ETAG "\"65d3-1f\""

/* Keys are made under this secret from now on; that of prog_secrets() before. */
void prog_cache_secret(const uint64_t secret[2]);

void prog_publish(const struct prog_entry *e);
void prog_withdraw(const struct prog_entry *e);

/* Canned 503 of pool 0, with `e`'s sizes: what a refused client gets. */
void prog_publish_refusal(const struct prog_entry *e, enum weir_refusal refusal, enum weir_verbosity verbosity);

/* The value as it is in the map, and back; false: there is none. */
bool prog_entry_get(const struct prog_entry *e, struct weir_entry_l *ret);
void prog_entry_put(const struct prog_entry *e, const struct weir_entry_l *value);

/* Asserts that the reply's payload is this response. */
void prog_assert_response(const struct prog_result *r, const struct prog_entry *e, bool is_head, bool is_close);

/* The same for the 304. */
void prog_assert_not_modified(const struct prog_result *r, const struct prog_entry *e, bool is_close);

/* The response that a client receives, with DATE; returns its length. */
size_t prog_response(const struct prog_entry *e, bool is_head, bool is_close, char *out);

/* Bytes of its status line and fields. */
size_t prog_head_bytes(const struct prog_entry *e);

/* Makes the entry's whole response `bytes` long by its body. */
void prog_entry_size(struct prog_entry *e, size_t bytes);

#endif
