/* SPDX-License-Identifier: GPL-2.0 */
/* The URLs that the kernel cache answers most, and the clients that ask most: for `weir top` and
 * the status page. One walk over each map, keeping only the top. */
#include "supervisor/supervisor_priv.h"

#include <errno.h>
#include <string.h>

#include "weir/key.h"

#define TOP_MAX 50
#define CLIENTS_MAX 8192 /* that are told apart; power of two. Others are left out */

struct url {
	uint64_t hits;
	char text[WEIR_URL_MAX + 1];
	const char *pool;
	unsigned status;
	uint64_t bytes;
};

struct urls {
	struct url rows[TOP_MAX];
	size_t count;
	const char *pool; /* that is walked */
};

struct client {
	struct weir_addr addr;
	uint64_t connections, requests;
};

struct clients {
	struct client rows[CLIENTS_MAX];
	uint64_t left_out; /* connections */
};

static int note_url(const struct weir_entry *e, enum weir_class c, void *arg)
{
	struct urls *u = arg;
	size_t bytes = MIN(e->url_bytes, WEIR_URL_MAX), i = u->count;

	(void)c;
	if (u->count == TOP_MAX && e->hits <= u->rows[TOP_MAX - 1].hits)
		return 0;
	if (u->count < TOP_MAX)
		u->count++;
	else
		i = TOP_MAX - 1;
	for (; i > 0 && u->rows[i - 1].hits < e->hits; i--)
		u->rows[i] = u->rows[i - 1];
	u->rows[i] = (struct url){ .hits = e->hits, .pool = u->pool, .status = e->status };
	u->rows[i].bytes = e->whole.bytes + e->object_bytes;
	memcpy(u->rows[i].text, e->url, bytes);
	return 0;
}

static int note_flow(const struct weir_flow_key *k, const struct weir_flow *f, void *arg)
{
	static const __u64 no_secret[2] = { 0, 0 }; /* the table lives for one walk, and drops what it cannot hold */
	struct clients *c = arg;
	size_t tries, i = weir_host_digest(no_secret, &k->client, sizeof(k->client)) % CLIENTS_MAX;

	for (tries = 0; tries < 64; tries++, i = (i + 1) % CLIENTS_MAX) {
		struct client *row = &c->rows[i];

		if (row->connections && memcmp(&row->addr, &k->client, sizeof(row->addr)) != 0)
			continue;
		row->addr = k->client;
		row->connections++;
		row->requests += f->requests;
		return 0;
	}
	c->left_out++;
	return 0;
}

static int by_requests(const void *a, const void *b)
{
	const struct client *x = a, *y = b;

	if (x->requests != y->requests)
		return x->requests < y->requests ? 1 : -1;
	return (x->connections < y->connections) - (x->connections > y->connections);
}

static json_t *urls_json(struct sup *s)
{
	_cleanup_free_ struct urls *u = calloc(1, sizeof(*u));
	json_t *rows = json_array();
	size_t i;

	for (i = 0; u && s->dp && i < s->config->pools_count; i++) {
		u->pool = s->config->pools[i].name;
		if (s->config->pools[i].kernel_cache)
			(void)weir_dataplane_cache_each(s->dp, s->config->pools[i].id, note_url, u);
	}
	for (i = 0; u && i < u->count; i++)
		json_array_append_new(rows,
				      json_pack("{s:s, s:s, s:i, s:I, s:I}", "url", u->rows[i].text, "pool",
						u->rows[i].pool, "status", (int)u->rows[i].status, "size",
						(json_int_t)u->rows[i].bytes, "hits", (json_int_t)u->rows[i].hits));
	return rows;
}

static json_t *clients_json(struct sup *s)
{
	_cleanup_free_ struct clients *c = calloc(1, sizeof(*c));
	json_t *rows = json_array();
	size_t i;

	if (c && s->dp)
		(void)weir_dataplane_flow_each(s->dp, note_flow, c);
	if (c)
		qsort(c->rows, CLIENTS_MAX, sizeof(c->rows[0]), by_requests);
	for (i = 0; c && i < TOP_MAX && c->rows[i].connections; i++) {
		char text[64];

		sup_addr_format(&c->rows[i].addr, 0, text, sizeof(text));
		*strrchr(text, ':') = '\0'; /* no port: it is about all connections */
		json_array_append_new(rows, json_pack("{s:s, s:I, s:I}", "client", text, "connections",
						      (json_int_t)c->rows[i].connections, "requests",
						      (json_int_t)c->rows[i].requests));
	}
	return rows;
}

json_t *sup_control_busiest(struct sup *s, const json_t *request)
{
	(void)request;
	return json_pack("{s:b, s:o, s:o}", "ok", 1, "urls", urls_json(s), "clients", clients_json(s));
}
