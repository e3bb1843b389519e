/* SPDX-License-Identifier: GPL-2.0 */
/* The ring of log records: read by the log's process, whose records wait in it while that process is replaced; and the
 * switch that says which records are wanted. */
#include "dataplane/dataplane_priv.h"

#include <errno.h>
#include <string.h>

struct weir_events {
	struct ring_buffer *ring;
	weir_event_fn fn;
	void *arg;
	size_t left; /* of this turn */
};

static int on_record(void *arg, void *data, size_t bytes)
{
	struct weir_events *ev = arg;
	const struct weir_event *e = data;

	if (bytes >= sizeof(*e) && bytes - sizeof(*e) >= e->segment_bytes)
		ev->fn(e, (const char *)(e + 1), ev->arg);
	/* an error ends the turn, and the record counts as read */
	return --ev->left > 0 ? 0 : -EAGAIN;
}

int weir_events_open(int map_fd, weir_event_fn fn, void *arg, struct weir_events **ret)
{
	struct weir_events *ev = calloc(1, sizeof(*ev));

	if (!ev)
		return -ENOMEM;
	ev->fn = fn;
	ev->arg = arg;
	ev->ring = ring_buffer__new(map_fd, on_record, ev, NULL);
	if (!ev->ring) {
		int r = -errno;

		free(ev);
		return r;
	}
	*ret = ev;
	return 0;
}

bool weir_events_consume(struct weir_events *ev, size_t max)
{
	ev->left = max;
	return ring_buffer__consume(ev->ring) == -EAGAIN;
}

int weir_dataplane_events_fd(struct weir_dataplane *dp)
{
	return bpf_map__fd(dp->skel->maps.weir_events);
}

int weir_dataplane_log_set(struct weir_dataplane *dp, const struct weir_log_conf *conf)
{
	uint32_t zero = 0;

	return bpf_map_update_elem(bpf_map__fd(dp->skel->maps.weir_log_conf), &zero, conf, BPF_ANY) ? -errno : 0;
}

int weir_dataplane_log_get(struct weir_dataplane *dp, struct weir_log_conf *ret)
{
	uint32_t zero = 0;

	return bpf_map_lookup_elem(bpf_map__fd(dp->skel->maps.weir_log_conf), &zero, ret) ? -errno : 0;
}

int weir_dataplane_log_stats(struct weir_dataplane *dp, struct weir_log_stats *ret)
{
	int cpus = libbpf_num_possible_cpus(), i;
	struct weir_log_stats *each;
	uint32_t zero = 0;
	int r = 0;

	if (cpus <= 0)
		return -EINVAL;
	each = calloc((size_t)cpus, sizeof(*each));
	if (!each)
		return -ENOMEM;
	if (bpf_map_lookup_elem(bpf_map__fd(dp->skel->maps.weir_log_stats), &zero, each))
		r = -errno;
	memset(ret, 0, sizeof(*ret));
	for (i = 0; r == 0 && i < cpus; i++) {
		ret->written += each[i].written;
		ret->lost += each[i].lost;
		ret->drops += each[i].drops;
	}
	free(each);
	return r;
}
