/* SPDX-License-Identifier: GPL-2.0 */
/* `weir run` from the first check to the last descriptor: the order in which an instance comes up and goes down. */
#include "supervisor/state.h"

#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"

static int load_config(const struct weir_conf_options *options, struct weir_config **ret)
{
	_cleanup_(weir_conf_report_fini) struct weir_conf_report report = {};
	char text[640];
	size_t i;
	int r;

	r = weir_config_load(options, &report, ret);
	for (i = 0; i < report.count; i++) {
		weir_conf_diag_format(&report.rows[i], text, sizeof(text));
		weir_log(report.rows[i].is_warning ? WEIR_LOG_INFO : WEIR_LOG_ERR, "%s", text);
	}
	if (r < 0 && !report.errors)
		weir_err(r, "cannot load the configuration");
	return r;
}

static void announce_kernel(const struct sup *s)
{
	const struct weir_dataplane_iface *ifaces;
	size_t i, n;

	if (!s->dp) {
		weir_info("XDP: not attached, %s", s->no_dp);
		return;
	}
	n = weir_dataplane_ifaces(s->dp, &ifaces);
	for (i = 0; i < n; i++)
		weir_info("XDP: attached to %s in %s mode, mtu %u", ifaces[i].name,
			  ifaces[i].is_native ? "native" : "generic", ifaces[i].mtu);
}

/* A URL that reaches this endpoint from here. */
static void local_url(const struct weir_conf_listen *l, char *buf, size_t bytes)
{
	if (l->is_any)
		snprintf(buf, bytes, l->is_v6 ? "http://[::1]:%u/" : "http://127.0.0.1:%u/", l->port);
	else
		snprintf(buf, bytes, "http://%s/", l->text);
}

static void announce(const struct sup *s)
{
	const struct weir_config *c = s->config;
	char url[96];
	size_t i;

	announce_kernel(s);
	for (i = 0; i < c->pools_count; i++) {
		const struct weir_conf_pool *p = &c->pools[i];

		weir_info("pool %s: %s, %u worker%s with %u to %u threads as %s%s", p->name,
			  p->handler == WEIR_HANDLER_DEBUG  ? "debug" :
			  p->handler == WEIR_HANDLER_MODULE ? p->module.file :
			  p->handler == WEIR_HANDLER_PROXY  ? "proxy" :
							      p->root,
			  p->slots, p->slots == 1 ? "" : "s",
			  p->threads_min, p->threads_max, p->user,
			  s->dp && p->kernel_cache ? ", kernel cache on" : "");
	}
	for (i = 0; i < c->listens_count; i++) {
		local_url(&c->listens[i], url, sizeof(url));
		weir_info("listening on %s%s%s", c->listens[i].is_any ? c->listens[i].text : url,
			  c->listens[i].is_any ? ", from here " : "", c->listens[i].is_any ? url : "");
	}
	if (s->admin_fds[0] >= 0)
		weir_info("metrics and the status page on http://%s/", c->admin);
	weir_info("control socket %s; Ctrl-C or `weir stop` ends it", c->control);
	local_url(&c->listens[0], url, sizeof(url));
	weir_info("try: curl -i %s", url);
}

/* Everything that needs no kernel side. */
static int start_inside(struct sup *s)
{
	int r;

	r = sup_state_new(s);
	if (r == 0)
		r = sup_pools_new(s);
	if (r == 0)
		r = sup_refuser_new(s);
	if (r == 0)
		sup_takeover_inherit(s);
	if (r == 0)
		r = sup_loop_new(s);
	return r < 0 ? weir_err(r, "cannot start") : 0;
}

static int start(struct sup *s)
{
	int r;

	r = sup_lock(s);
	if (r < 0)
		return r;
	r = sup_takeover_find(s);
	if (r == 0)
		r = sup_service_inherit(s);
	if (r < 0)
		return weir_err(r, "cannot start");
	sup_limits_raise();
	r = sup_routes_open(s);
	if (r == 0)
		r = sup_kernel_load(s);
	if (r == 0)
		r = start_inside(s);
	if (r == 0)
		r = sup_sockets_open(s);
	if (r == 0)
		r = sup_admin_open(s);
	if (r == 0)
		r = sup_sockets_listen(s);
	if (r == 0)
		r = sup_kernel_attach(s);
	if (r < 0)
		return r;
	sup_state_commit(s);
	sup_takeover_connect(s);
	r = sup_limits_apply(s);
	if (r < 0)
		return r;
	sup_privileges_drop();
	r = sup_routes_post(s);
	if (r < 0)
		return r;
	sup_pools_resume(s);
	sup_slots_start(s);
	sup_admin_start(s);
	sup_refuser_watch_activated(s, true);
	sup_takeover_finish(s);
	return 0;
}

/* `is_given_up`: the start has failed, and an earlier supervisor's workers serve on as they did. */
static void finish(struct sup *s, bool is_given_up)
{
	int *const fds[] = { &s->epoll_fd, &s->signal_fd, &s->timer_fd, &s->wake_fd };
	size_t i;

	sup_sockets_close(s);
	sup_admin_close(s);
	s->dp = is_given_up ? weir_dataplane_leave(s->dp) : weir_dataplane_free(s->dp);
	if (s->ipc)
		weir_ipc_server_flush(s->ipc, 200);
	if (s->state && !is_given_up) {
		sup_takeover_tick(s, true);
		sup_cgroup_remove(s);
	}
	sup_refuser_free(s);
	free(s->upgrade);
	sup_state_free(s, !is_given_up);
	sup_unlock(s);
	sup_pools_free(s);
	sup_slots_free(s);
	s->config = weir_config_free(s->config);
	for (i = 0; i < ARRAY_SIZE(fds); i++)
		if (*fds[i] >= 0)
			close(*fds[i]);
}

int sup_run(const struct weir_conf_options *options)
{
	struct sup s = { .lock_fd = -1, .epoll_fd = -1, .signal_fd = -1, .timer_fd = -1, .wake_fd = -1 };
	int r;

	memset(s.pass_tx, 0xff, sizeof(s.pass_tx));
	memset(s.pass_rx, 0xff, sizeof(s.pass_rx));
	memset(s.activated, 0xff, sizeof(s.activated));
	memset(s.admin_fds, 0xff, sizeof(s.admin_fds));
	s.started_at = weir_realtime_s();
	s.loaded_ms = weir_now_ms();
	s.options = options;
	if (geteuid() != 0) {
		weir_err(0, "weir run must be started as root (it attaches BPF programs and gives its workers another "
			    "user): sudo weir run ...");
		return -EPERM;
	}
	r = load_config(options, &s.config);
	if (r < 0)
		return r;
	weir_info("Weir " WEIR_VERSION ", instance %s", s.config->name);
	r = start(&s);
	if (r == 0) {
		announce(&s);
		sup_service_ready(&s);
		sup_loop_run(&s);
	}
	if (r < 0 && s.has_old)
		weir_warn("the workers of the earlier supervisor serve on; the next `weir run` takes them over");
	finish(&s, r < 0 && s.has_old);
	if (r == 0)
		weir_info("stopped, nothing is left");
	return r;
}
