// SPDX-License-Identifier: GPL-2.0
/* The cache key as XDP computes it, word by word from scratch memory, is that of weir_key_make(): bpf/lib/key.h. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/lib/scratch.h"
#include "harness/prog_cache.h"
#include "weir/key.h"

PROG_TESTS(xdp_key);

static const char *const codings[] = { "gzip", "br", "zstd", "deflate" }; /* by bit of enum weir_encoding */

static struct packet client;
static char host[WEIR_HOST_MAX + 1], target[WEIR_TARGET_MAX + 1];

/* A name of `n` bytes without two dots in a row; letters differ from place to place. */
static void fill(char *text, size_t n, char first, const char *alphabet)
{
	size_t i;

	for (i = 0; i < n; i++)
		text[i] = alphabet[i * 7 % strlen(alphabet)];
	text[0] = first ? first : text[0];
	text[n] = '\0';
}

static struct weir_cache_key expected_key(uint8_t encodings)
{
	struct weir_secrets s = prog_secrets();
	struct weir_cache_key k;

	weir_key_make(s.cache_key, ENDPOINT4, encodings, host, (uint16_t)strlen(host), target, (uint16_t)strlen(target),
		      &k);
	return k;
}

static void check(uint8_t encodings)
{
	static char text[WEIR_HOST_MAX + WEIR_TARGET_MAX + 128];
	static uint8_t frame[PACKET_FRAME_MAX];
	struct weir_cache_key k = expected_key(encodings);
	struct weir_scratch *s = calloc((size_t)libbpf_num_possible_cpus(), (sizeof(*s) + 7) / 8 * 8);
	uint32_t zero = 0;
	struct packet p;
	int n, i;

	n = sprintf(text, "GET %s HTTP/1.1\r\nHost: %s\r\nAccept-Encoding: ", target, host);
	for (i = 0; i < 4; i++)
		if (encodings & 1 << i)
			n += sprintf(text + n, "%s,", codings[i]);
	strcpy(text + n, "\r\n\r\n");
	p = prog_request(&client, text);
	cr_assert_not_null(s);
	prog_run_fast(frame, packet_build(&p, frame));
	cr_assert_eq(bpf_map_lookup_elem(prog.scratch, &zero, s), 0);
	cr_assert_eq(s->req.miss, WEIR_MISS_NOT_CACHED, "%s: %s", weir_miss_name(s->req.miss), text);
	cr_assert_eq(s->req.encodings, encodings);
	cr_assert_arr_eq(s->req.digest, k.digest, sizeof(k.digest), "host of %zu bytes, target of %zu", strlen(host),
			 strlen(target));
	free(s);
}

static void set(size_t host_bytes, size_t target_bytes)
{
	fill(host, host_bytes, 0, "abc-def.ghijk0123");
	fill(target, target_bytes, '/', "aB0-_~!$&'()*+,;=:@xyz");
}

Test(xdp_key, every_length_of_host_gives_the_same_key)
{
	static const size_t targets[] = { 1, 8, 31, 32, 33, 40, 100 };
	size_t n, i;

	client = prog_connect(0, 1460);
	for (n = 1; n <= WEIR_HOST_MAX; n++)
		for (i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
			set(n, targets[i]);
			check(0);
		}
}

Test(xdp_key, every_length_of_target_gives_the_same_key)
{
	static const size_t hosts[] = { 1, 9, 32, 33, 127, 128 };
	size_t n, i;

	client = prog_connect(0, 1460);
	for (n = 1; n <= WEIR_TARGET_MAX; n++)
		for (i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
			if (n > 80 && i != n % 6)
				continue;
			set(hosts[i], n);
			check(0);
		}
}

Test(xdp_key, every_set_of_encodings_gives_the_same_key)
{
	uint8_t e;

	client = prog_connect(0, 1460);
	for (e = 0; e < WEIR_ENCODING__COUNT; e++) {
		set(11, 20);
		check(e);
		set(50, 200);
		check(e);
	}
}

/* What stood in the buffers before must not matter. */
Test(xdp_key, key_does_not_depend_on_the_request_before)
{
	size_t n;

	client = prog_connect(0, 1460);
	for (n = 1; n <= 40; n++) {
		set(WEIR_HOST_MAX, WEIR_TARGET_MAX);
		check(15);
		set(n, 41 - n);
		check(0);
	}
}

Test(xdp_key, entry_of_every_encoding_set_is_found)
{
	struct weir_flow fresh;
	struct prog_result r;
	uint8_t e, asked;

	client = prog_connect(0, 1460);
	cr_assert(prog_flow(&client, &fresh));
	for (e = 0; e < WEIR_ENCODING__COUNT; e++) {
		struct prog_entry entry = { .encodings = e, .body_bytes = e };

		prog_publish(&entry);
		for (asked = 0; asked < WEIR_ENCODING__COUNT; asked++) {
			char text[256];
			struct packet p;
			int n = sprintf(text, "GET " TARGET " HTTP/1.1\r\nHost: " HOST "\r\nAccept-Encoding: "), i;

			for (i = 0; i < 4; i++)
				if (asked & 1 << i)
					n += sprintf(text + n, "%s, ", codings[i]);
			strcpy(text + n, "\r\n\r\n");
			p = prog_request(&client, text);
			prog_run(&p, &r);
			assert_verdict(&r, asked == e ? WEIR_VERDICT_HIT : WEIR_VERDICT_HANDOVER);
			prog_flow_put(&client, &fresh);
		}
		prog_withdraw(&entry);
	}
}

/* What the pool's responses do not depend on is no part of its keys. */
Test(xdp_key, codings_that_the_pool_does_not_offer_share_an_entry)
{
	struct prog_entry entry = { .body_bytes = 5 }, gzip = { .body_bytes = 6, .encodings = WEIR_ENCODING_GZIP };
	static const struct {
		const char *codings;
		bool is_gzip;
	} rows[] = {
		{ "", false },
		{ "br", false },
		{ "br, zstd;q=0.5, deflate;q=0.5", false },
		{ "gzip;q=0, br", false },
		{ "gzip;q=0, *", false },
		{ "gzip", true },
		{ "gzip;q=1.0, *;q=0.5", true },
		{ "deflate, gzip, br, zstd", true },
	};
	struct weir_pool pool = prog_pool(POOL_A);
	struct weir_flow fresh;
	struct prog_result r;
	uint32_t id = POOL_A;
	char text[256];
	size_t i;

	pool.encodings = WEIR_ENCODING_GZIP;
	prog_put(prog.pools, &id, &pool);
	client = prog_connect(0, 1460);
	cr_assert(prog_flow(&client, &fresh));
	prog_publish(&entry);
	prog_publish(&gzip);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct packet p;

		sprintf(text, "GET " TARGET " HTTP/1.1\r\nHost: " HOST "\r\nAccept-Encoding: %s\r\n\r\n",
			rows[i].codings);
		p = prog_request(&client, text);
		prog_run(&p, &r);
		assert_verdict(&r, WEIR_VERDICT_HIT);
		prog_assert_response(&r, rows[i].is_gzip ? &gzip : &entry, false, false);
		prog_flow_put(&client, &fresh);
	}
}

/* A client that accepts by "*" what the pool offers: what it prefers is a worker's to say. */
Test(xdp_key, codings_that_only_an_asterisk_stands_for_are_a_workers)
{
	struct prog_entry entry = { .body_bytes = 5 };
	struct weir_pool pool = prog_pool(POOL_A);
	struct prog_result r;
	uint32_t id = POOL_A;
	struct packet p;

	pool.encodings = WEIR_ENCODING_BR;
	prog_put(prog.pools, &id, &pool);
	client = prog_connect(0, 1460);
	prog_publish(&entry);
	p = prog_request(&client, "GET " TARGET " HTTP/1.1\r\nHost: " HOST "\r\nAccept-Encoding: gzip, *;q=0.5\r\n\r\n");
	prog_run(&p, &r);
	assert_verdict(&r, WEIR_VERDICT_HANDOVER);
	assert_miss(&r, WEIR_MISS_ENCODING);
}
