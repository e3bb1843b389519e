// SPDX-License-Identifier: GPL-2.0
/* Both parsers agree on what they both accept (DESIGN rule 2): whatever XDP takes for a plain request, the worker's
 * parser must take for the same request. WEIR_FUZZ_ITERATIONS generated heads (200000), from WEIR_FUZZ_SEED. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/lib/scratch.h"
#include "cache/cache.h"
#include "fuzz/heads/heads.h"
#include "harness/prog_run.h"
#include "http/http.h"
#include "weir/key.h"

PROG_TESTS(xdp_agree);

#define SHOWN_MAX 12 /* disagreements that are printed before the test gives up */

static struct weir_scratch *scratch; /* one for each CPU; the first is ours */
static struct weir_request request;

/* Runs weir_xdp; true: it took the head for a plain request. */
static bool is_plain(const struct packet *client, const struct heads *h)
{
	uint8_t frame[PACKET_FRAME_MAX];
	struct packet p = *client;
	uint32_t zero = 0;

	p.flags = ACK | PSH;
	p.payload = h->text;
	p.payload_bytes = h->bytes;
	prog_run_fast(frame, packet_build(&p, frame));
	cr_assert_eq(bpf_map_lookup_elem(prog.scratch, &zero, scratch), 0);
	cr_assert_eq(scratch->pkt.payload_bytes, h->bytes);
	return scratch->req.miss == WEIR_MISS_NOT_CACHED;
}

static bool is_same(struct weir_str s, const char *bytes, size_t count)
{
	return s.n == count && !memcmp(s.p, bytes, count);
}

/* Codings are no part of the keys of a pool that offers none, so that every list is plain here: tests/bpf/xdp_key.c has the
 * others. */
static void offer_no_codings(void)
{
	struct weir_pool pool = prog_pool(POOL_A);
	uint32_t id = POOL_A;

	pool.encodings = 0;
	prog_put(prog.pools, &id, &pool);
}

static bool is_same_digest(const struct weir_req *x)
{
	struct weir_secrets secrets = prog_secrets();
	struct weir_cache_key k;

	weir_key_make(secrets.cache_key, ENDPOINT4, 0, request.host.p, (uint16_t)request.host.n,
		      request.target.p, (uint16_t)request.target.n, &k);
	return !memcmp(k.digest, x->digest, sizeof(k.digest));
}

/* The same tag, or the same date, which counts only where there is no tag. */
static bool agrees_on_conditions(const struct weir_req *x)
{
	struct weir_str tag;

	if (!!(x->asks & WEIR_ASK_TAG) != weir_request_has(&request, WEIR_FIELD_IF_NONE_MATCH) ||
	    !!(x->asks & WEIR_ASK_SINCE) != weir_request_has(&request, WEIR_FIELD_IF_MODIFIED_SINCE))
		return false;
	if (x->asks & WEIR_ASK_TAG)
		return weir_cache_one_tag(request.fields[WEIR_FIELD_IF_NONE_MATCH], &tag) &&
		       is_same(tag, (const char *)scratch->head + x->tag_at, x->tag_bytes);
	return !(x->asks & WEIR_ASK_SINCE) || is_same(weir_str_trim(request.fields[WEIR_FIELD_IF_MODIFIED_SINCE]),
						      (const char *)scratch->head + x->since_at, WEIR_DATE_BYTES);
}

/* NULL: the worker's parser agrees; else in what it does not. */
static const char *disagreement(const struct heads *h)
{
	const struct weir_req *x = &scratch->req;
	const char *target = (const char *)scratch->head + x->target_at;
	uint8_t encodings = 0, again = 0;
	size_t scanned = 0;
	int r = weir_request_parse(h->text, h->bytes, &scanned, &request);

	if (r)
		return r < 0 ? "wants more bytes" : request.why;
	if (request.head_bytes != h->bytes)
		return "length of the head";
	if (request.method != (x->is_head ? WEIR_METHOD_HEAD : WEIR_METHOD_GET))
		return "method";
	if (request.minor != !x->is_http10)
		return "version";
	if (!is_same(request.target, target, x->target_bytes) || request.form != WEIR_TARGET_ORIGIN)
		return "target";
	if (!is_same(request.path, target, x->path_bytes))
		return "path";
	if (!is_same(request.host, x->host, x->host_bytes))
		return "host";
	if (request.is_keep_alive != !x->wants_close)
		return "keep-alive";
	if (request.body_bytes || request.is_chunked || request.expects_continue)
		return "body";
	if (weir_encoding_classify(request.fields[WEIR_FIELD_ACCEPT_ENCODING], &encodings) || encodings != x->encodings)
		return "encodings";
	if (!agrees_on_conditions(x))
		return "conditions";
	if (!x->is_head && (!weir_cache_is_plain(&request, &again) || again != encodings))
		return "what is plain";
	return is_same_digest(x) ? NULL : "digest";
}

static void show(const struct heads *h, const char *what)
{
	size_t i;

	fprintf(stderr, "disagreement: %s\n  \"", what);
	for (i = 0; i < h->bytes; i++) {
		unsigned char c = (unsigned char)h->text[i];

		if (c == '\r' || c == '\n')
			fprintf(stderr, "%s", c == '\r' ? "\\r" : "\\n");
		else if (isprint(c) && c != '\\' && c != '"')
			fputc(c, stderr);
		else
			fprintf(stderr, "\\%03o", c);
	}
	fputs("\"\n", stderr);
}

static uint64_t number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

Test(xdp_agree, workers_take_every_plain_request_as_xdp_does, .timeout = 36000)
{
	uint64_t iterations = number("WEIR_FUZZ_ITERATIONS", 200000), i, plain = 0;
	struct heads h = { .state = number("WEIR_FUZZ_SEED", 1) | 1 };
	struct packet client = prog_connect(0, 1460);
	unsigned shown = 0;

	offer_no_codings();
	scratch = calloc((size_t)libbpf_num_possible_cpus(), (sizeof(*scratch) + 7) / 8 * 8);
	cr_assert_not_null(scratch);
	for (i = 0; i < iterations && shown < SHOWN_MAX; i++) {
		const char *what;

		if (i % 10000 == 0) /* a clock that stands makes every request a worker's */
			prog_clock_written(prog_now_ns());
		heads_next(&h);
		if (!is_plain(&client, &h))
			continue;
		plain++;
		what = disagreement(&h);
		if (what) {
			show(&h, what);
			shown++;
		}
	}
	free(scratch);
	cr_assert_eq(shown, 0, "%u of %lu heads", shown, (unsigned long)i);
	cr_assert_gt(plain * 10, iterations, "too few of the heads are plain to prove anything: %lu of %lu",
		     (unsigned long)plain, (unsigned long)iterations);
}

Test(xdp_agree, workers_take_what_real_clients_send_as_xdp_does)
{
	struct packet client = prog_connect(0, 1460);
	struct heads h = { .state = 1 };
	size_t i;

	offer_no_codings();
	scratch = calloc((size_t)libbpf_num_possible_cpus(), (sizeof(*scratch) + 7) / 8 * 8);
	cr_assert_not_null(scratch);
	for (i = 0; i < ARRAY_SIZE(prog_heads); i++) {
		const char *what;

		h.bytes = 0;
		heads_add_text(&h, prog_heads[i]);
		cr_assert(is_plain(&client, &h), "%s", prog_heads[i]);
		what = disagreement(&h);
		cr_assert_null(what, "%s: %s", what, prog_heads[i]);
	}
	free(scratch);
}
