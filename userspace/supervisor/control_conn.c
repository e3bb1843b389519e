/* SPDX-License-Identifier: GPL-2.0 */
/* `weir conn list`: the flow table, for people. */
#include "supervisor/supervisor_priv.h"

#include <arpa/inet.h>
#include <string.h>

#include "common/clock.h"

struct list {
	const struct sup *s;
	json_t *rows;
	uint64_t now_ns;
	size_t total;
	size_t limit;
};

static const char *owner_name(uint8_t owner)
{
	return owner == WEIR_OWNER_XDP ? "xdp" : owner == WEIR_OWNER_KERNEL ? "kernel" : "none";
}

static const char *state_name(const struct weir_flow *f)
{
	if (f->flags & WEIR_FLOW_PENDING)
		return "handover";
	if (f->owner == WEIR_OWNER_KERNEL)
		return f->flags & WEIR_FLOW_CLOSING ? "closing" : "lent";
	switch (f->state) {
	case WEIR_FLOW_OPEN:
		return "open";
	case WEIR_FLOW_FIN_SENT:
		return "fin_sent";
	case WEIR_FLOW_LAST_ACK:
		return "last_ack";
	default:
		return "?";
	}
}

static json_int_t since_ms(const struct list *l, uint64_t then_ns)
{
	return then_ns < l->now_ns ? (json_int_t)((l->now_ns - then_ns) / 1000000) : 0;
}

static int list_flow(const struct weir_flow_key *k, const struct weir_flow *f, void *arg)
{
	struct list *l = arg;
	const struct weir_conf_pool *pool = weir_config_pool(l->s->config, f->pool);
	char client[64], server[64];

	if (l->total++ >= l->limit)
		return 0;
	sup_addr_format(&k->client, ntohs(k->client_port), client, sizeof(client));
	sup_addr_format(&k->server, ntohs(k->server_port), server, sizeof(server));
	json_array_append_new(
	    l->rows,
	    json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:I, s:I}", "client", client, "server",
		      server, "owner", owner_name(f->owner), "state", state_name(f), "requests",
		      (json_int_t)f->requests, "pool", pool ? pool->name : "", "age_ms",
		      since_ms(l, f->created_ns), "idle_ms", since_ms(l, f->seen_ns)));
	return 0;
}

json_t *sup_control_conn_list(struct sup *s, const json_t *request)
{
	struct list l = { .s = s, .rows = json_array(), .now_ns = weir_now_ns() };

	l.limit = sup_control_limit(request);
	if (s->dp)
		(void)weir_dataplane_flow_each(s->dp, list_flow, &l);
	return json_pack("{s:b, s:b, s:s, s:I, s:o}", "ok", 1, "attached", s->dp != NULL, "why_not",
			 s->dp ? "" : s->no_dp, "total", (json_int_t)l.total, "connections", l.rows);
}
