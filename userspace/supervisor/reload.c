/* SPDX-License-Identifier: GPL-2.0 */
/* SIGHUP and `weir reload`: the configuration is read again. One that cannot be taken changes nothing. For a good one the
 * program starts itself anew in this process, exactly as after a crash of the supervisor: workers go on meanwhile,
 * those of pools that are the same are taken over, the others replaced without a gap (takeover.c). */
#include "supervisor/state.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/log.h"

#define ARGS_BYTES 65536
#define ARGS_MAX 256
#define FLUSH_MS 500

/* A finding that is no line's. */
static void add(json_t *findings, const char *fmt, ...) _printf_(2, 3);

static void add(json_t *findings, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_array_append_new(findings, json_string(text));
}

static void check_admin(const struct sup *s, const struct weir_config *c, json_t *findings)
{
	struct weir_conf_listen at[2];
	const char *why;
	int i, n = 0;

	if (c->admin && *c->admin && (!s->config->admin || strcmp(c->admin, s->config->admin) != 0))
		n = weir_conf_listen_parse(c->admin, at, &why);
	if (n < 0)
		add(findings, "admin = \"%s\": %s", c->admin, why);
	for (i = 0; i < n; i++)
		if (sup_socket_check(&at[i]) < 0)
			add(findings, "cannot serve admin on %s; the log says why", at[i].text);
}

/* What would stop the next start half-way: it would be too late then. */
static bool can_take(const struct sup *s, const struct weir_config *c, json_t *findings)
{
	_cleanup_free_ struct sup_place *p = malloc(sizeof(*p));
	size_t before = json_array_size(findings), i;
	const char *why;

	if (strcmp(c->control, s->config->control) != 0)
		add(findings, "control is '%s' now: an instance keeps its control socket (%s) until it ends", c->control,
		    s->config->control);
	if (!p || sup_place_find(c, s->state, sup_place_may_keep(c, s->state), p, &why) < 0) {
		add(findings, "too many %s together with those that are replaced: change less at a time",
		    p ? why : "words");
		return false;
	}
	check_admin(s, c, findings);
	for (i = 0; i < c->listens_count; i++)
		if (p->is_new_endpoint[i] && sup_socket_check(&c->listens[i]) < 0)
			add(findings, "cannot listen on %s; the log says why", c->listens[i].text);
	return json_array_size(findings) == before;
}

/* Adds what is wrong, and warnings, to `findings`, and logs it. */
static bool is_good(const struct sup *s, json_t *findings)
{
	_cleanup_(weir_conf_report_fini) struct weir_conf_report report = {};
	_cleanup_(weir_config_freep) struct weir_config *c = NULL;
	char text[640];
	size_t i;
	int r = weir_config_load(s->options, &report, &c);

	for (i = 0; i < report.count; i++) {
		weir_conf_diag_format(&report.rows[i], text, sizeof(text));
		json_array_append_new(findings, json_string(text));
	}
	if (r < 0 && !report.errors)
		add(findings, "the configuration cannot be loaded: %s", strerror(-r));
	return r == 0 && can_take(s, c, findings);
}

static bool check(const struct sup *s, json_t *findings)
{
	bool is_ok = is_good(s, findings);
	const json_t *row;
	size_t i;

	json_array_foreach(findings, i, row)
		weir_log(is_ok ? WEIR_LOG_INFO : WEIR_LOG_ERR, "%s", json_string_value(row));
	if (!is_ok)
		weir_warn("reload: the configuration cannot be taken; nothing has changed");
	return is_ok;
}

/* This process's command line, from /proc: the words end with zeros. */
static int read_args(char *buf, char *args[ARGS_MAX])
{
	_cleanup_close_ int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	size_t filled = 0, at, n = 0;
	ssize_t got;

	while (fd >= 0 && filled < ARGS_BYTES - 1 && (got = read(fd, buf + filled, ARGS_BYTES - 1 - filled)) > 0)
		filled += (size_t)got;
	if (!filled || filled == ARGS_BYTES - 1)
		return -E2BIG;
	for (at = 0; at < filled; at += strlen(buf + at) + 1) {
		if (n == ARGS_MAX - 1)
			return -E2BIG;
		args[n++] = buf + at;
	}
	args[n] = NULL;
	return 0;
}

void sup_reload_now(struct sup *s)
{
	_cleanup_free_ char *buf = calloc(1, ARGS_BYTES);
	char *args[ARGS_MAX];
	int r;

	s->is_reloading = false;
	weir_ipc_server_flush(s->ipc, FLUSH_MS);
	r = buf ? read_args(buf, args) : -ENOMEM;
	if (r == 0) {
		weir_info("reload: starting anew with the configuration as it is now");
		(void)sigprocmask(SIG_SETMASK, &s->signals_before, NULL);
		sup_service_pass_on(s, true);
		execv("/proc/self/exe", args);
		r = -errno;
		sup_service_pass_on(s, false);
	}
	weir_err(r, "reload is not possible; nothing has changed");
}

void sup_reload(struct sup *s)
{
	_cleanup_json_ json_t *findings = json_array();

	if (!s->is_stopping && check(s, findings))
		s->is_reloading = true;
}

json_t *sup_control_reload(struct sup *s, const json_t *request)
{
	json_t *findings;
	bool is_ok;

	(void)request;
	if (s->is_stopping)
		return weir_ipc_error("the instance is stopping");
	findings = json_array();
	is_ok = check(s, findings);
	s->is_reloading = s->is_reloading || is_ok;
	return json_pack("{s:b, s:b, s:I, s:o}", "ok", 1, "accepted", is_ok, "reloads", (json_int_t)s->state->reloads,
			 "findings", findings);
}
