/* SPDX-License-Identifier: GPL-2.0 */
/* Protection as the supervisor sees to it: what the configuration says goes into the kernel's maps, what was refused into
 * the log, and the connections of each source are counted anew once a second, because flows end in many ways. */
#include "supervisor/supervisor_priv.h"

#include <errno.h>
#include <string.h>

#include "weir/key.h"

#include "common/clock.h"
#include "common/log.h"
#include "config/limit.h"

#define LOG_MS 10000
#define COUNTED_MAX 65536 /* sources; power of two */

static struct weir_bucket_rate make_rate(uint64_t per_second, uint64_t burst)
{
	struct weir_bucket_rate r = {};

	if (!per_second)
		return r;
	r.interval_ns = MAX(1000000000 / per_second, (uint64_t)1);
	r.burst_ns = r.interval_ns * MAX(burst ? burst : per_second, (uint64_t)1);
	return r;
}

static unsigned rate_of(const struct weir_bucket_rate *r)
{
	return r->interval_ns ? (unsigned)((1000000000 + r->interval_ns / 2) / r->interval_ns) : 0;
}

static unsigned burst_of(const struct weir_bucket_rate *r)
{
	return r->interval_ns ? (unsigned)(r->burst_ns / r->interval_ns) : 0;
}

struct fill {
	struct sup *s;
	enum weir_acl_action action;
};

static int add_row(const struct weir_acl_key *key, void *arg)
{
	struct fill *f = arg;

	return weir_dataplane_acl_set(f->s->dp, key, f->action);
}

int sup_limits_apply(struct sup *s)
{
	const struct weir_config *c = s->config;
	struct fill deny = { s, WEIR_ACL_DENY }, allow = { s, WEIR_ACL_ALLOW };
	struct weir_limits l = {
		.connections = c->limit_connections,
		.source_bits = c->limit_source_bits,
		.head_bytes = c->max_request_bytes,
		.syn = make_rate(c->limit_syn_rate, c->limit_syn_burst),
		.request = make_rate(c->limit_request_rate, c->limit_request_burst),
		.kilobyte = make_rate(c->limit_bandwidth_kb, 0),
	};
	char wrong[64];
	int r;

	if (!s->dp)
		return 0;
	(void)weir_conf_limit_action(c->limit_action, &l.action);
	r = weir_dataplane_limits_set(s->dp, &l);
	if (r == 0)
		r = weir_dataplane_acl_clear(s->dp);
	if (r == 0)
		r = weir_conf_acl_each(c->deny, add_row, &deny, wrong);
	if (r == 0)
		r = weir_conf_acl_each(c->allow, add_row, &allow, wrong);
	return r < 0 ? weir_err(r, "cannot set the limits and access lists") : 0;
}

/* --- connections of a source --- */

struct counted {
	struct weir_addr source;
	uint32_t connections;
};

struct count {
	unsigned words; /* of an IPv6 address that are one source */
	struct counted rows[COUNTED_MAX];
};

static struct counted *find_source(struct count *c, const struct weir_addr *a)
{
	static const __u64 key[2] = { 0, 0 };
	size_t i = weir_host_digest(key, a, sizeof(*a)) % COUNTED_MAX, tries;

	for (tries = 0; tries < 64; tries++, i = (i + 1) % COUNTED_MAX)
		if (!c->rows[i].connections || !memcmp(&c->rows[i].source, a, sizeof(*a)))
			return &c->rows[i];
	return NULL;
}

static int count_flow(const struct weir_flow_key *k, const struct weir_flow *f, void *arg)
{
	struct count *c = arg;
	struct weir_addr source = k->client;
	bool is_v4 = sup_addr_is_v4(&source);
	struct counted *row;
	unsigned i;

	(void)f;
	for (i = c->words; !is_v4 && i < 4; i++)
		source.word[i] = 0;
	row = find_source(c, &source);
	if (!row)
		return 0;
	row->source = source;
	row->connections++;
	return 0;
}

static int put_count(const struct weir_addr *a, struct weir_source *s, void *arg)
{
	const struct counted *row = find_source(arg, a);
	uint32_t is = row ? row->connections : 0;

	if (s->connections == is)
		return 0;
	s->connections = is;
	return 1;
}

static void count_connections(struct sup *s, const struct weir_limits *l)
{
	_cleanup_free_ struct count *c = calloc(1, sizeof(*c));

	if (!c)
		return;
	c->words = l->source_bits / 32;
	(void)weir_dataplane_flow_each(s->dp, count_flow, c);
	(void)weir_dataplane_source_each(s->dp, put_count, c);
}

/* --- what was refused --- */

static void log_refused(struct sup *s)
{
	static const struct {
		enum weir_verdict verdict;
		const char *what;
	} rows[] = {
		{ WEIR_VERDICT_DROP_DENIED, "packets of denied sources" },
		{ WEIR_VERDICT_DROP_SYN_RATE, "SYNs of sources over limit_syn_rate" },
		{ WEIR_VERDICT_DROP_CONN_LIMIT, "SYNs of sources over limit_connections" },
		{ WEIR_VERDICT_DROP_RATE, "requests of sources over their rate" },
	};
	size_t i;

	if (weir_now_ms() < s->limits_log_ms)
		return;
	s->limits_log_ms = weir_now_ms() + LOG_MS;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t n = weir_dataplane_verdict(s->dp, rows[i].verdict), more = n - s->limits_seen[i];

		s->limits_seen[i] = n;
		if (more)
			weir_warn("protection: %llu %s were dropped in the last %d s", (unsigned long long)more,
				  rows[i].what, LOG_MS / 1000);
	}
}

void sup_limits_tick(struct sup *s)
{
	struct weir_limits l;

	if (!s->dp || weir_dataplane_limits_get(s->dp, &l) < 0)
		return;
	if (l.connections)
		count_connections(s, &l);
	log_refused(s);
}

/* --- commands --- */

static json_t *limits_json(const struct weir_limits *l)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:I}", "syn_rate", (json_int_t)rate_of(&l->syn),
			 "syn_burst", (json_int_t)burst_of(&l->syn), "request_rate", (json_int_t)rate_of(&l->request),
			 "request_burst", (json_int_t)burst_of(&l->request), "bandwidth_kb",
			 (json_int_t)rate_of(&l->kilobyte), "connections", (json_int_t)l->connections, "action",
			 weir_conf_limit_action_name(l->action), "source_bits", (json_int_t)l->source_bits);
}

/* The sources that were refused most. */
#define TOP_MAX 20
struct top {
	size_t count;
	struct {
		struct weir_addr addr;
		struct weir_source source;
	} rows[TOP_MAX];
};

static int note_source(const struct weir_addr *a, struct weir_source *s, void *arg)
{
	struct top *t = arg;
	size_t i = t->count;

	if (t->count == TOP_MAX && s->refused <= t->rows[TOP_MAX - 1].source.refused)
		return 0;
	if (t->count < TOP_MAX)
		t->count++;
	else
		i = TOP_MAX - 1;
	for (; i > 0 && t->rows[i - 1].source.refused < s->refused; i--)
		t->rows[i] = t->rows[i - 1];
	t->rows[i].addr = *a;
	t->rows[i].source = *s;
	return 0;
}

static void addr_text(const struct weir_addr *a, char *text, size_t bytes)
{
	sup_addr_format(a, 0, text, bytes);
	*strrchr(text, ':') = '\0';
}

json_t *sup_control_limit_show(struct sup *s, const json_t *request)
{
	json_t *sources = json_array();
	struct weir_limits l;
	struct top t = {};
	char text[64];
	size_t i;

	(void)request;
	if (!s->dp || weir_dataplane_limits_get(s->dp, &l) < 0) {
		json_decref(sources);
		return weir_ipc_error("limits are XDP's, and it is not attached: %s", s->no_dp);
	}
	(void)weir_dataplane_source_each(s->dp, note_source, &t);
	for (i = 0; i < t.count; i++) {
		addr_text(&t.rows[i].addr, text, sizeof(text));
		json_array_append_new(sources, json_pack("{s:s, s:I, s:I}", "source", text, "refused",
							 (json_int_t)t.rows[i].source.refused, "connections",
							 (json_int_t)t.rows[i].source.connections));
	}
	return json_pack("{s:b, s:o, s:o}", "ok", 1, "limits", limits_json(&l), "sources", sources);
}

static bool parse_number(const char *text, unsigned long max, unsigned long *ret)
{
	char *end;

	if (!*text || text[strspn(text, "0123456789")] || strlen(text) > 9)
		return false;
	*ret = strtoul(text, &end, 10);
	return *ret <= max;
}

json_t *sup_control_limit_set(struct sup *s, const json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "name"));
	const char *value = json_string_value(json_object_get(request, "value"));
	struct weir_limits l;
	unsigned long n = 0;
	bool is_number;
	int r;

	if (!name || !value)
		return weir_ipc_error("this command needs \"name\" and \"value\"");
	if (!s->dp || weir_dataplane_limits_get(s->dp, &l) < 0)
		return weir_ipc_error("limits are XDP's, and it is not attached: %s", s->no_dp);
	is_number = parse_number(value, 4194304, &n);
	if (!strcmp(name, "action")) {
		if (weir_conf_limit_action(value, &l.action) < 0)
			return weir_ipc_error("action is reject, drop or pool, not '%s'", value);
	} else if (!is_number) {
		return weir_ipc_error("'%s' is no number from 0 to 4194304", value);
	} else if (!strcmp(name, "syn_rate")) {
		l.syn = make_rate(n, 0);
	} else if (!strcmp(name, "syn_burst")) {
		l.syn.burst_ns = l.syn.interval_ns * MAX(n, 1ul);
	} else if (!strcmp(name, "request_rate")) {
		l.request = make_rate(n, 0);
	} else if (!strcmp(name, "request_burst")) {
		l.request.burst_ns = l.request.interval_ns * MAX(n, 1ul);
	} else if (!strcmp(name, "bandwidth_kb")) {
		l.kilobyte = make_rate(n, 0);
	} else if (!strcmp(name, "connections")) {
		l.connections = (uint32_t)n;
	} else {
		return weir_ipc_error("there is no limit '%s': syn_rate, syn_burst, request_rate, request_burst, "
				      "bandwidth_kb, connections, action",
				      name);
	}
	r = weir_dataplane_limits_set(s->dp, &l);
	if (r < 0)
		return weir_ipc_error("the limit cannot be set: %s", strerror(-r));
	weir_info("limit %s is %s now, until the next reload", name, value);
	return json_pack("{s:b, s:o}", "ok", 1, "limits", limits_json(&l));
}

static int list_row(const struct weir_acl_key *k, const struct weir_acl *row, void *arg)
{
	bool is_v4 = sup_addr_is_v4(&k->addr) && k->bits >= 96;
	char text[80];
	size_t n;

	addr_text(&k->addr, text, sizeof(text));
	n = strlen(text);
	snprintf(text + n, sizeof(text) - n, "/%u", is_v4 ? k->bits - 96 : k->bits);
	json_array_append_new(arg, json_pack("{s:s, s:s, s:I}", "prefix", text, "action",
					     row->action == WEIR_ACL_DENY ? "deny" : "allow", "packets",
					     (json_int_t)row->packets));
	return 0;
}

json_t *sup_control_acl_list(struct sup *s, const json_t *request)
{
	json_t *rows = json_array();

	(void)request;
	if (s->dp)
		(void)weir_dataplane_acl_each(s->dp, list_row, rows);
	return json_pack("{s:b, s:b, s:s, s:o}", "ok", 1, "attached", s->dp != NULL, "why_not", s->dp ? "" : s->no_dp,
			 "prefixes", rows);
}

json_t *sup_control_acl_do(struct sup *s, const json_t *request)
{
	const char *action = json_string_value(json_object_get(request, "action"));
	const char *prefix = json_string_value(json_object_get(request, "prefix"));
	struct weir_acl_key key;
	int r;

	if (!action || !prefix)
		return weir_ipc_error("this command needs \"action\" and \"prefix\"");
	if (!s->dp)
		return weir_ipc_error("access lists are XDP's, and it is not attached: %s", s->no_dp);
	if (weir_conf_prefix_bits(prefix, strlen(prefix), &key) < 0)
		return weir_ipc_error("'%s' is no address and no prefix such as 192.0.2.0/24 or 2001:db8::/32", prefix);
	if (!strcmp(action, "remove"))
		r = weir_dataplane_acl_remove(s->dp, &key);
	else if (!strcmp(action, "deny") || !strcmp(action, "allow"))
		r = weir_dataplane_acl_set(s->dp, &key, *action == 'd' ? WEIR_ACL_DENY : WEIR_ACL_ALLOW);
	else
		return weir_ipc_error("an access list cannot '%s'", action);
	if (r == -ENOENT)
		return weir_ipc_error("%s is not in the list; `weir acl list` shows it", prefix);
	if (r == -ENOSPC)
		return weir_ipc_error("the list is full: %d prefixes", WEIR_ACL_MAX);
	if (r < 0)
		return weir_ipc_error("the list cannot be changed: %s", strerror(-r));
	weir_info("access list: %s %s, until the next reload", action, prefix);
	return weir_ipc_ok();
}
