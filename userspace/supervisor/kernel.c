/* SPDX-License-Identifier: GPL-2.0 */
/* Brings the kernel side up, or settles for life without it: with `attach = auto` an instance that cannot have XDP
 * still serves, and says what that costs. */
#include "supervisor/state.h"

#include <errno.h>
#include <string.h>

#include "common/log.h"

static int without(struct sup *s, int r, const char *what, const char *why)
{
	if (s->config->attach != WEIR_ATTACH_AUTO) {
		weir_err(0, "%s: %s (%s); `weir doctor` says what is missing, --attach none serves without XDP", what,
			 why, strerror(-r));
		return r;
	}
	s->dp = weir_dataplane_free(s->dp);
	snprintf(s->no_dp, sizeof(s->no_dp), "%s: %s", what, why);
	weir_warn("%s (%s); going on without XDP: everything works, but no response comes from the kernel cache; "
		  "`weir doctor` says what is missing",
		  s->no_dp, strerror(-r));
	return 0;
}

int sup_kernel_load(struct sup *s)
{
	char why[256] = "";
	int r = 0;

	if (s->is_without_kernel) {
		snprintf(s->no_dp, sizeof(s->no_dp), "the instance that was taken over runs without XDP");
		return 0;
	}
	if (s->was_attached && s->config->attach != WEIR_ATTACH_NONE) {
		r = weir_dataplane_load(s->config, s->is_kept, &s->dp, why);
		if (r == 0)
			return 0;
		r = sup_takeover_give_up(s, why[0] ? why : strerror(-r));
		if (r < 0)
			return r;
	}
	/* What is attached for workers that will be replaced is switched over, not taken away. */
	if (!s->has_old)
		r = weir_dataplane_clean(s->config);
	if (r < 0 && s->config->attach != WEIR_ATTACH_NONE)
		weir_warn("cannot clean up after an earlier instance '%s' (%s); going on", s->config->name,
			  strerror(-r));
	if (s->config->attach == WEIR_ATTACH_NONE) {
		snprintf(s->no_dp, sizeof(s->no_dp), "the instance runs with attach none");
		return 0;
	}
	r = weir_dataplane_load(s->config, NULL, &s->dp, why);
	return r < 0 ? without(s, r, "cannot load the BPF programs", why) : 0;
}

static int configure(struct sup *s)
{
	_cleanup_(weir_route_compiled_fini) struct weir_route_compiled routes = {};
	uint32_t slot;
	size_t i;
	int r;

	r = weir_route_compile(s->config, weir_dataplane_cache_secret(s->dp), ++s->state->routes, &routes);
	if (r == 0)
		r = weir_dataplane_configure(s->dp, s->config, &routes);
	for (slot = 0; r == 0 && slot < s->slots_count; slot++) {
		for (i = 0; s->slots[slot].pool && r == 0 && i < s->config->listens_count; i++) {
			const struct wrk_listener *l = &s->slots[slot].listeners[i];

			/* a living keeper's is in the map, and steered */
			if (l->fd < 0 || s->slots[slot].keeper)
				continue;
			r = weir_dataplane_add_socket(s->dp, l->endpoint, slot, l->fd);
		}
	}
	return r;
}

int sup_kernel_attach(struct sup *s)
{
	char why[256] = "";
	int r;

	if (!s->dp)
		return 0;
	r = configure(s);
	if (r == 0)
		r = sup_queues_init(s);
	if (r < 0)
		return without(s, r, "cannot fill the BPF maps", "the kernel refused a row");
	r = weir_dataplane_attach(s->dp, s->config, why);
	return r < 0 ? without(s, r, "cannot attach the BPF programs", why) : 0;
}
