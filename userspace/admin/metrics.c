/* SPDX-License-Identifier: GPL-2.0 */
/* The supervisor's numbers as Prometheus reads them: one family after the other, each with its
 * samples together, as the text format 0.0.4 wants it. */
#include "admin/admin.h"

#include <string.h>

#include "common/macro.h"
#include "dataplane/dataplane.h"

enum object {
	KERNEL,
	POOL,
	QUEUE,
	WORKER,
	UPSTREAM,
};

enum type {
	COUNTER,
	GAUGE,
};

static const struct row {
	enum object object;
	enum type type;
	const char *key;
} rows[] = {
#define WEIR_ROW(object, key, metric, type, help, httpsys) { object, type, key },
#include "admin/families.def"
#undef WEIR_ROW
};

const struct adm_family adm_families[] = {
#define WEIR_ROW(object, key, metric, type, help, httpsys) { metric, help, httpsys },
#include "admin/families.def"
#undef WEIR_ROW
};
const size_t adm_families_count = ARRAY_SIZE(adm_families);

static void begin(FILE *to, const char *metric, enum type type, const char *help)
{
	fprintf(to, "# HELP %s %s\n# TYPE %s %s\n", metric, help, metric, type == COUNTER ? "counter" : "gauge");
}

/* A label value: backslash, quote and line end are escaped. */
static void put_label(FILE *to, const char *name, const char *value)
{
	fprintf(to, "%s=\"", name);
	for (; *value; value++) {
		if (*value == '\\' || *value == '"')
			fputc('\\', to);
		if (*value == '\n')
			fputs("\\n", to);
		else
			fputc(*value, to);
	}
	fputc('"', to);
}

static void put_value(FILE *to, const json_t *object, const char *key, const char *metric)
{
	json_int_t value = json_integer_value(json_object_get(object, key));

	if (strstr(metric, "_seconds"))
		fprintf(to, " %.3f\n", (double)value / 1000);
	else
		fprintf(to, " %lld\n", (long long)value);
}

static void put_pool(FILE *to, const char *metric, const char *pool, const json_t *object, const char *key)
{
	fprintf(to, "%s{", metric);
	put_label(to, "pool", pool);
	fputc('}', to);
	put_value(to, object, key, metric);
}

static void put_workers(FILE *to, const char *metric, const char *pool, const json_t *workers, const char *key)
{
	const json_t *w;
	size_t i;

	json_array_foreach (workers, i, w) {
		fprintf(to, "%s{", metric);
		put_label(to, "pool", pool);
		fprintf(to, ",slot=\"%d\"}", (int)json_integer_value(json_object_get(w, "slot")));
		put_value(to, w, key, metric);
	}
}

static void put_upstreams(FILE *to, const char *metric, const char *pool, const json_t *upstreams, const char *key)
{
	const json_t *u;
	size_t i;

	json_array_foreach (upstreams, i, u) {
		fprintf(to, "%s{", metric);
		put_label(to, "pool", pool);
		fputc(',', to);
		put_label(to, "upstream", json_string_value(json_object_get(u, "address")) ?: "");
		fputc('}', to);
		put_value(to, u, key, metric);
	}
}

static void put_family(FILE *to, const struct row *r, const struct adm_family *f, const json_t *stats,
		       const json_t *status)
{
	json_t *pools = json_object_get(r->object == POOL ? stats : status, "pools"), *p;
	const char *name;

	begin(to, f->metric, r->type, f->help);
	if (r->object == KERNEL) {
		fputs(f->metric, to);
		put_value(to, json_object_get(stats, "kernel"), r->key, f->metric);
		return;
	}
	json_object_foreach (pools, name, p) {
		if (r->object == WORKER)
			put_workers(to, f->metric, name, json_object_get(p, "workers"), r->key);
		else if (r->object == UPSTREAM)
			put_upstreams(to, f->metric, name, json_object_get(p, "upstreams"), r->key);
		else
			put_pool(to, f->metric, name, r->object == QUEUE ? json_object_get(p, "queue") : p, r->key);
	}
}

/* One counter for each row of a table: the row's name is the value of a label. */
static void put_table(FILE *to, const char *metric, const char *help, const char *label, json_t *table)
{
	const char *name;
	json_t *value;

	begin(to, metric, COUNTER, help);
	json_object_foreach (table, name, value) {
		fprintf(to, "%s{", metric);
		put_label(to, label, name);
		fprintf(to, "} %lld\n", (long long)json_integer_value(value));
	}
}

static void put_pool_counters(FILE *to, json_t *pools)
{
	const char *name;
	json_t *p;

#define WEIR_ROW(counter, help)                                                                                        \
	begin(to, "weir_pool_" #counter "_total", COUNTER, help);                                                      \
	json_object_foreach (pools, name, p)                                                                           \
		put_pool(to, "weir_pool_" #counter "_total", name, p, #counter);
#include "metrics/counters.def"
#undef WEIR_ROW
}

/* Buckets come each with its own count; Prometheus adds them up from below. */
static void put_latency(FILE *to, json_t *pools)
{
	const char *name, *metric = "weir_pool_request_seconds";
	json_t *p, *b;
	size_t i;

	fprintf(to,
		"# HELP %s time of a request in a worker, from its head to its response\n# TYPE %s "
		"histogram\n",
		metric, metric);
	json_object_foreach (pools, name, p) {
		json_int_t count = 0;

		json_array_foreach (json_object_get(p, "latency"), i, b) {
			json_int_t le = json_integer_value(json_object_get(b, "le_us"));

			count += json_integer_value(json_object_get(b, "count"));
			fprintf(to, "%s_bucket{", metric);
			put_label(to, "pool", name);
			if (le)
				fprintf(to, ",le=\"%g\"} %lld\n", (double)le / 1e6, (long long)count);
			else
				fprintf(to, ",le=\"+Inf\"} %lld\n", (long long)count);
		}
		fprintf(to, "%s_sum{", metric);
		put_label(to, "pool", name);
		fprintf(to, "} %.6f\n%s_count{", (double)json_integer_value(json_object_get(p, "latency_sum_us")) / 1e6,
			metric);
		put_label(to, "pool", name);
		fprintf(to, "} %lld\n", (long long)count);
	}
}

static void put_refusals(FILE *to, json_t *pools)
{
	const char *name, *reason;
	json_t *p, *count;

	begin(to, "weir_pool_refused_total", COUNTER, "requests refused with 503, by HTTP.sys's reason");
	json_object_foreach (pools, name, p) {
		json_object_foreach (json_object_get(json_object_get(p, "queue"), "refused"), reason, count) {
			fputs("weir_pool_refused_total{", to);
			put_label(to, "pool", name);
			fputc(',', to);
			put_label(to, "reason", reason);
			fprintf(to, "} %lld\n", (long long)json_integer_value(count));
		}
	}
}

static void put_states(FILE *to, json_t *pools)
{
	const char *name;
	json_t *p;

	begin(to, "weir_pool_info", GAUGE, "1, with the state of each pool");
	json_object_foreach (pools, name, p) {
		fputs("weir_pool_info{", to);
		put_label(to, "pool", name);
		fputc(',', to);
		put_label(to, "state", json_string_value(json_object_get(p, "state")) ?: "");
		fputs("} 1\n", to);
	}
}

static void put_instance(FILE *to, const json_t *stats, const json_t *status)
{
	begin(to, "weir_info", GAUGE, "1, with the name and the version of the instance");
	fputs("weir_info{", to);
	put_label(to, "instance_name", json_string_value(json_object_get(status, "instance")) ?: "");
	fputc(',', to);
	put_label(to, "version", json_string_value(json_object_get(status, "version")) ?: "");
	fputs("} 1\n", to);
	begin(to, "weir_start_time_seconds", GAUGE, "when the instance was started, seconds since 1970");
	fprintf(to, "weir_start_time_seconds %lld\n",
		(long long)json_integer_value(json_object_get(status, "started_at")));
	begin(to, "weir_kernel_attached", GAUGE, "whether XDP is attached: 1 or 0");
	fprintf(to, "weir_kernel_attached %d\n", json_is_true(json_object_get(stats, "attached")));
}

void adm_metrics_write(FILE *to, const json_t *stats, const json_t *status)
{
	const json_t *kernel = json_object_get(stats, "kernel");
	json_t *pools = json_object_get(status, "pools");
	size_t i;

	put_instance(to, stats, status);
	for (i = 0; i < adm_families_count; i++)
		put_family(to, &rows[i], &adm_families[i], stats, status);
	put_table(to, "weir_kernel_verdicts_total", "what became of packets, by verdict", "verdict",
		  json_object_get(kernel, "verdicts"));
	put_table(to, "weir_kernel_misses_by_reason_total", "why requests were not answered by XDP", "reason",
		  json_object_get(kernel, "reasons"));
	put_pool_counters(to, json_object_get(stats, "pools"));
	put_latency(to, json_object_get(stats, "pools"));
	put_refusals(to, pools);
	put_states(to, pools);
}
