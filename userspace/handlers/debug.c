/* SPDX-License-Identifier: GPL-2.0 */
/* Requests that do harm, or wait, on purpose. */
#include "handlers/debug.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/macro.h"

#define MS_MAX 3600000
#define MEGABYTES_MAX 65536
#define BYTES_MAX (1ull << 40)
#define PATTERN_BYTES 65536 /* a multiple of the pattern's period */
#define PAGE 4096

static const struct weir_str none = { NULL, 0 };

static void begin(struct weir_response *resp, unsigned status, struct weir_head_marks *marks)
{
	weir_response_begin(resp, status, marks);
	weir_head_field(&resp->buf, "Cache-Control", WEIR_STR("no-store"));
}

/* A body in the response's own text. */
static void answer_text(const struct weir_call *call, struct weir_response *resp, unsigned status, const char *text)
{
	size_t bytes = strlen(text);
	struct weir_head_marks marks;
	const char *copy;

	begin(resp, status, &marks);
	weir_head_field(&resp->buf, "Content-Type", WEIR_STR("text/plain; charset=utf-8"));
	weir_head_length(&resp->buf, bytes);
	weir_response_end(resp, &marks);
	if (call->req->method == WEIR_METHOD_HEAD)
		return;
	copy = resp->text + resp->buf.n;
	weir_buf_put(&resp->buf, text, bytes);
	resp->parts[resp->parts_count++] = (struct weir_part){ .mem = copy, .fd = -1, .bytes = bytes };
}

static void sleep_ms(uint64_t ms)
{
	struct timespec left = { .tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000 };

	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

static void serve_sleep(const struct weir_call *call, uint64_t ms, struct weir_response *resp)
{
	sleep_ms(ms);
	answer_text(call, resp, 200, "slept\n");
}

static void serve_cpu(const struct weir_call *call, uint64_t ms, struct weir_response *resp)
{
	uint64_t until = weir_now_ns() + ms * 1000000;

	while (weir_now_ns() < until)
		;
	answer_text(call, resp, 200, "busy\n");
}

static void serve_memory(const struct weir_call *call, uint64_t megabytes, struct weir_response *resp)
{
	/* kept on purpose, so that the worker grows */
	static void *kept;
	size_t bytes = (size_t)megabytes << 20, i;
	char *p = malloc(bytes + sizeof(kept));

	if (!p) {
		answer_text(call, resp, 503, "no memory\n");
		return;
	}
	for (i = sizeof(kept); i < bytes; i += PAGE)
		*(volatile char *)(p + i) = 1;
	*(void **)p = __atomic_exchange_n(&kept, p, __ATOMIC_ACQ_REL);
	answer_text(call, resp, 200, "taken\n");
}

static char pattern[PATTERN_BYTES];

static void make_pattern(void)
{
	size_t i;

	for (i = 0; i < sizeof(pattern); i++)
		pattern[i] = i % 64 == 63 ? '\n' : (char)('0' + i % 64);
}

static void serve_bytes(const struct weir_call *call, uint64_t bytes, struct weir_response *resp)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct weir_head_marks marks;

	(void)pthread_once(&once, make_pattern);
	begin(resp, 200, &marks);
	weir_head_field(&resp->buf, "Content-Type", WEIR_STR("text/plain"));
	weir_head_length(&resp->buf, bytes);
	weir_response_end(resp, &marks);
	if (call->req->method == WEIR_METHOD_HEAD || bytes == 0)
		return;
	resp->parts[resp->parts_count++] = (struct weir_part){
		.mem = pattern, .fd = -1, .period = PATTERN_BYTES, .bytes = bytes,
	};
}

static void serve_status(const struct weir_call *call, uint64_t status, struct weir_response *resp)
{
	struct weir_head_marks marks;

	if (status != 204 && status != 304) {
		weir_response_error(resp, call->req, (unsigned)status, NULL, "Cache-Control", WEIR_STR("no-store"));
		return;
	}
	begin(resp, (unsigned)status, &marks);
	weir_response_end(resp, &marks);
}

static void serve_echo(const struct weir_call *call, struct weir_response *resp)
{
	struct weir_head_marks marks;
	char *copy = malloc(call->head.n);

	if (!copy) {
		answer_text(call, resp, 503, "no memory\n");
		return;
	}
	memcpy(copy, call->head.p, call->head.n);
	begin(resp, 200, &marks);
	weir_head_field(&resp->buf, "Content-Type", WEIR_STR("text/plain"));
	weir_head_length(&resp->buf, call->head.n);
	weir_response_end(resp, &marks);
	resp->owner = copy;
	resp->release = free;
	if (call->req->method != WEIR_METHOD_HEAD)
		resp->parts[resp->parts_count++] = (struct weir_part){ .mem = copy, .fd = -1, .bytes = call->head.n };
}

static const struct {
	const char *name;
	uint64_t min, max;
	void (*serve)(const struct weir_call *call, uint64_t number, struct weir_response *resp);
} verbs[] = {
	{ "sleep", 0, MS_MAX, serve_sleep },	      { "cpu", 0, MS_MAX, serve_cpu },
	{ "memory", 0, MEGABYTES_MAX, serve_memory }, { "bytes", 0, BYTES_MAX, serve_bytes },
	{ "status", 200, 599, serve_status },
};

/* Cuts the last segment off. */
static struct weir_str cut_segment(struct weir_str *path)
{
	struct weir_str s = { path->p + path->n, 0 };

	while (path->n > 0 && s.p[-1] != '/') {
		s.p--;
		s.n++;
		path->n--;
	}
	if (path->n > 0)
		path->n--;
	return s;
}

static bool to_number(struct weir_str s, uint64_t *ret)
{
	uint64_t value = 0;
	size_t i;

	for (i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(s.p[i] - '0');
	}
	*ret = value;
	return s.n > 0 && s.n < 16;
}

static bool is_word(struct weir_str s, const char *word)
{
	return weir_str_eq(s, (struct weir_str){ word, strlen(word) });
}

void weir_debug_serve(const struct weir_call *call, struct weir_response *resp)
{
	struct weir_str path = call->req->path, last = cut_segment(&path), verb = cut_segment(&path);
	uint64_t number;
	size_t i;

	if (is_word(last, "crash"))
		(void)raise(SIGSEGV);
	while (is_word(last, "hang"))
		sleep_ms(MS_MAX);
	if (is_word(last, "echo")) {
		serve_echo(call, resp);
		return;
	}
	for (i = 0; i < ARRAY_SIZE(verbs) && to_number(last, &number); i++) {
		if (is_word(verb, verbs[i].name) && number >= verbs[i].min && number <= verbs[i].max) {
			verbs[i].serve(call, number, resp);
			return;
		}
	}
	weir_response_error(resp, call->req, 404, "sleep/MS cpu/MS bytes/N memory/MB status/CODE echo crash hang", NULL,
			    none);
}
