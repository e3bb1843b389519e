/* SPDX-License-Identifier: GPL-2.0 */
/* Names under /sys/fs/bpf/weir/<instance>/ for bpftool, and a note of which interfaces carry our tc filters, so
 * that the next start can clean up after a `kill -9`. */
#include "dataplane/dataplane_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "weir/abi.h"

#include "common/log.h"

int dp_pin_dir(const struct weir_config *conf, char ret_dir[128])
{
	struct statfs fs;

	if (statfs(WEIR_BPFFS, &fs))
		return -errno;
	if (fs.f_type != BPF_FS_MAGIC)
		return -ENOTDIR;
	snprintf(ret_dir, 128, WEIR_PIN_ROOT "/%.64s", conf->name ? conf->name : "weir");
	return 0;
}

void dp_unpin(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	if (!d)
		return;
	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			(void)unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
	(void)rmdir(dir);
	(void)rmdir(WEIR_PIN_ROOT); /* when this was the last instance */
}

static int pin_fd(const char *dir, const char *name, int fd)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	/* an earlier instance's */
	(void)unlink(path);
	return bpf_obj_pin(fd, path) ? -errno : 0;
}

int dp_pinned(const char *dir, const char *name)
{
	char path[256];
	int fd;

	if (!dir[0])
		return -ENOENT;
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = bpf_obj_get(path);
	return fd < 0 ? -errno : fd;
}

void dp_pin_link(const struct weir_dataplane *dp, const char *name, int fd)
{
	if (dp->pin_dir[0] && pin_fd(dp->pin_dir, name, fd) < 0)
		weir_debug("cannot pin %s: it goes when this process does", name);
}

void dp_unlink(const char *dir, bool (*keep)(const char *name, void *arg), void *arg)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		int fd;

		if (strncmp(e->d_name, "link_", 5) || (keep && keep(e->d_name, arg)))
			continue;
		fd = dp_pinned(dir, e->d_name);
		if (fd < 0)
			continue;
		dp_drop_filter(fd);
		(void)bpf_link_detach(fd);
		close(fd);
		(void)unlinkat(dirfd(d), e->d_name, 0);
	}
	if (d)
		closedir(d);
}

int dp_pin_pools(struct weir_dataplane *dp, const struct weir_config *conf)
{
	static const char *const suffix[] = { "cache_s", "cache_m", "cache_l" };
	char name[64];
	size_t i;
	int c, r = 0;

	for (i = 0; dp->pin_dir[0] && i < conf->pools_count && r >= 0; i++) {
		const struct weir_conf_pool *p = &conf->pools[i];
		const struct dp_pool *dpp = &dp->pools[p->id];

		snprintf(name, sizeof(name), "pool_%s_tickets", p->name);
		r = pin_fd(dp->pin_dir, name, dpp->tickets);
		snprintf(name, sizeof(name), "pool_%s_queue", p->name);
		if (r >= 0)
			r = pin_fd(dp->pin_dir, name, dpp->queue_fd);
		for (c = 0; c < WEIR_CLASS__MAX && r >= 0; c++) {
			if (dpp->cache[c] < 0)
				continue;
			snprintf(name, sizeof(name), "pool_%s_%s", p->name, suffix[c]);
			r = pin_fd(dp->pin_dir, name, dpp->cache[c]);
		}
	}
	return r;
}

void dp_unpin_pool(const struct weir_dataplane *dp, const char *pool)
{
	static const char *const suffix[] = { "tickets", "queue", "cache_s", "cache_m", "cache_l" };
	char path[256];
	size_t i;

	for (i = 0; dp->pin_dir[0] && i < ARRAY_SIZE(suffix); i++) {
		snprintf(path, sizeof(path), "%s/pool_%s_%s", dp->pin_dir, pool, suffix[i]);
		(void)unlink(path);
	}
}

/* Pins every program and map. On failure what was pinned is removed again. */
int dp_pin(struct weir_dataplane *dp, const struct weir_config *conf)
{
	struct bpf_program *prog;
	struct bpf_map *map;
	int r = dp_pin_dir(conf, dp->pin_dir);

	if (r < 0) {
		dp->pin_dir[0] = '\0';
		return r;
	}
	(void)mkdir(WEIR_PIN_ROOT, 0700);
	if (mkdir(dp->pin_dir, 0700) && errno != EEXIST) {
		r = -errno;
		dp->pin_dir[0] = '\0';
		return r;
	}
	bpf_object__for_each_map(map, dp->skel->obj)
	{
		const char *name = bpf_map__name(map);

		if (r >= 0 && !strncmp(name, "weir_", 5) && strncmp(name, "weir_type_", 10) && !strchr(name, '.'))
			r = pin_fd(dp->pin_dir, name, bpf_map__fd(map));
	}
	bpf_object__for_each_program(prog, dp->skel->obj)
	{
		if (r >= 0)
			r = pin_fd(dp->pin_dir, bpf_program__name(prog), bpf_program__fd(prog));
	}
	if (r >= 0)
		r = pin_fd(dp->pin_dir, "refusals", dp->pools[0].cache[0]);
	if (r < 0) {
		dp_unpin(dp->pin_dir);
		dp->pin_dir[0] = '\0';
	}
	return r;
}
