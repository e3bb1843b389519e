/* SPDX-License-Identifier: GPL-2.0 */
/* Threads ask for representations and aliases while files, variants and candidates come and go: each response is of one
 * version, and nothing is left at the end. Run it with SAN=thread and SAN=address too. */
#include "static_site.h"

#include <poll.h>
#include <pthread.h>
#include <zlib.h>

#include "handlers/static_priv.h"

#define SERVERS 3
#define CHANGES 120
#define BYTES 3000

static bool is_over;
static unsigned answers;

static const char *const targets[] = { "/page.html", "/page", "/other", "/large.txt", "/app/x" };
static const char *const codings[] = { "gzip", "gzip, br, zstd", "", "br;q=0.5, gzip;q=0.1", "identity;q=0, gzip" };

/* Every byte the same: parts of two versions would show. */
static void check_body(const struct weir_response *r, const char *target)
{
	static __thread unsigned char out[200000];
	struct weir_str head = { r->head, r->head_bytes };
	const struct weir_part *p = &r->parts[0];
	size_t bytes = p->bytes, i;

	cr_assert(r->parts_count == 1 && p->mem, "%s", target);
	if (memmem(head.p, head.n, "Content-Encoding: gzip", 22)) {
		z_stream z = { .next_in = (Bytef *)(uintptr_t)p->mem, .avail_in = (uInt)p->bytes, .next_out = out,
			       .avail_out = sizeof(out) };

		cr_assert_eq(inflateInit2(&z, 15 + 16), Z_OK);
		cr_assert_eq(inflate(&z, Z_FINISH), Z_STREAM_END, "%s", target);
		bytes = z.total_out;
		(void)inflateEnd(&z);
	} else if (!memmem(head.p, head.n, "Content-Encoding", 16)) {
		memcpy(out, p->mem, bytes);
	} else {
		return;
	}
	for (i = 1; i < bytes; i++)
		cr_assert_eq(out[i], out[0], "%s: two versions", target);
}

static void *serve(void *arg)
{
	struct weir_request *request = calloc(1, sizeof(*request));
	struct weir_response *response = calloc(1, sizeof(*response));
	struct weir_call call = { .req = request, .prefix = { "/", 1 } };
	unsigned n = (unsigned)(uintptr_t)arg;

	while (!__atomic_load_n(&is_over, __ATOMIC_RELAXED)) {
		const char *target = targets[n % ARRAY_SIZE(targets)];
		char text[256];
		size_t scanned = 0;
		int bytes = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: a\r\nAccept-Encoding: %s\r\n\r\n", target,
				     codings[n / ARRAY_SIZE(targets) % ARRAY_SIZE(codings)]);

		cr_assert_eq(weir_request_parse(text, (size_t)bytes, &scanned, request), 0);
		weir_response_reset(response);
		weir_static_serve(files, &call, response);
		/* 406: the one that compresses is not ready */
		cr_assert(response->status == 200 || response->status == 406 || response->status == 503, "%s: %u", target,
			  response->status);
		if (response->status == 200)
			check_body(response, target);
		__atomic_add_fetch(&answers, 1, __ATOMIC_RELAXED);
		n += 7;
	}
	weir_response_reset(response);
	free(response);
	free(request);
	return NULL;
}

static void *watch(void *arg)
{
	struct pollfd p = { .fd = weir_static_watch_fd(files), .events = POLLIN };

	(void)arg;
	while (!__atomic_load_n(&is_over, __ATOMIC_RELAXED))
		if (poll(&p, 1, 10) > 0)
			weir_static_watch(files);
	return NULL;
}

/* A new file in the place of `name`, made of one character. */
static void replace(const char *name, char c, size_t bytes)
{
	char path[128], temporary[128];
	static char text[50000];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	snprintf(temporary, sizeof(temporary), "%s/.new", root);
	memset(text, c, bytes);
	f = fopen(temporary, "we");
	cr_assert(f && fwrite(text, 1, bytes, f) == bytes);
	fclose(f);
	cr_assert_eq(rename(temporary, path), 0);
}

static void remove_file(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	cr_assert_eq(unlink(path), 0);
}

Test(static_churn, every_answer_is_of_one_version, .timeout = 120)
{
	pthread_t threads[SERVERS + 1];
	uintptr_t i;
	int n;

	site_init("mkdir app");
	replace("page.html", 'p', BYTES);
	replace("other.html", 'o', BYTES);
	replace("large.txt", 'l', 12000);
	replace("app/index.html", 'i', BYTES);
	options.compress = options.precompressed = true;
	options.compress_min = 100;
	options.compress_max_kb = 1024;
	options.compress_level = 1;
	WORDS(options.try_files, "$uri", "$uri.html", "/app/index.html");
	site_start();
	for (i = 0; i < SERVERS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, serve, (void *)i), 0);
	cr_assert_eq(pthread_create(&threads[SERVERS], NULL, watch, NULL), 0);
	for (n = 0; n < CHANGES; n++) {
		replace("page.html", (char)('a' + n % 26), BYTES + (size_t)n);
		replace(n & 1 ? "large.txt" : "app/index.html", (char)('a' + n % 26), 9000);
		replace("page", 'x', 700);
		(void)poll(NULL, 0, 2);
		remove_file("page");
		(void)poll(NULL, 0, 2);
	}
	__atomic_store_n(&is_over, true, __ATOMIC_RELAXED);
	for (i = 0; i <= SERVERS; i++)
		pthread_join(threads[i], NULL);
	cr_expect_gt(answers, 100);
	in_root("rm -r *");
	weir_static_watch(files);
	cr_expect_eq(files->files, 0);
	cr_expect_eq(files->memory, 0);
	cr_expect_eq(files->open, 0);
	cr_expect_null(files->newest);
	site_fini();
}
