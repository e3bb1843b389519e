// SPDX-License-Identifier: GPL-2.0
/* The parsers of single values: Range, dates, entity tags, Accept-Encoding, Host, paths. The first byte
 * chooses one, the others are the value. */
#include "http/http.h"

#include "weir/cache.h"

#include "fuzz.h"

#define BODY_BYTES 10000
#define NOW 1800000000

static void check_ranges(struct weir_str value)
{
	struct weir_range ranges[WEIR_HTTP_RANGES_MAX];
	int n = weir_range_parse(value, BODY_BYTES, ranges);

	assert(n <= WEIR_HTTP_RANGES_MAX);
	for (int i = 0; i < n; i++)
		assert(ranges[i].first <= ranges[i].last && ranges[i].last < BODY_BYTES);
}

/* A date that is understood is the same again after it was written in the usual form. */
static void check_date(struct weir_str value)
{
	char text[WEIR_HTTP_DATE_BYTES];
	int64_t seconds, again;

	if (weir_date_parse(value, NOW, &seconds))
		return;
	weir_date_format(seconds, text);
	assert(!weir_date_parse((struct weir_str){ text, sizeof(text) }, NOW, &again) && again == seconds);
}

static void check_host(struct weir_str value)
{
	char host[WEIR_HTTP_HOST_MAX];
	size_t bytes;

	if (weir_host_normalize(value, host, &bytes))
		return;
	assert(bytes <= sizeof(host));
	for (size_t i = 0; i < bytes; i++)
		assert(host[i] > ' ' && !(host[i] >= 'A' && host[i] <= 'Z') && host[i] != '/');
}

static void check_path(struct weir_str value)
{
	char *path;
	size_t bytes;

	if (!value.n || value.p[0] != '/' || memchr(value.p, 0, value.n)) /* llhttp lets neither through */
		return;
	path = malloc(value.n);
	assert(path);
	if (!weir_path_decode(value, path, &bytes)) {
		assert(bytes > 0 && bytes <= value.n && path[0] == '/');
		assert(!memmem(path, bytes, "/../", 4) && !memmem(path, bytes, "/./", 3) && !memchr(path, 0, bytes));
	}
	free(path);
}

/* The two readings of Accept-Encoding agree: a coding of the kernel's set has a weight. */
static void check_encodings(struct weir_str value)
{
	uint16_t weights[WEIR_CODING__MAX];
	uint8_t set = 0;

	weir_encoding_weigh(value, weights);
	for (int c = 0; c < WEIR_CODING__MAX; c++)
		assert(weights[c] <= 1000);
	if (weir_encoding_classify(value, &set))
		return;
	assert(set < WEIR_ENCODING__COUNT);
	assert(!(set & WEIR_ENCODING_GZIP) || weights[WEIR_CODING_GZIP] > 0);
	assert(!(set & WEIR_ENCODING_BR) || weights[WEIR_CODING_BR] > 0);
	assert(!(set & WEIR_ENCODING_ZSTD) || weights[WEIR_CODING_ZSTD] > 0);
	assert(weights[WEIR_CODING_IDENTITY] > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char etag[] = "\"2a-5f\"";
	struct weir_str value;
	char *bytes;

	if (!size)
		return 0;
	bytes = fuzz_copy(data + 1, size - 1);
	value = (struct weir_str){ bytes, size - 1 };
	switch (data[0] % 6) {
	case 0:
		check_ranges(value);
		break;
	case 1:
		check_date(value);
		break;
	case 2:
		check_host(value);
		break;
	case 3:
		check_path(value);
		break;
	case 4:
		(void)weir_etag_in_list(value, (struct weir_str){ etag, sizeof(etag) - 1 }, size & 1);
		break;
	case 5:
		check_encodings(value);
		break;
	}
	free(bytes);
	return 0;
}
