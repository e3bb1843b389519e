/* SPDX-License-Identifier: GPL-2.0 */
/* What outlives a supervisor that is killed: a file beside the control socket, mapped. It says which processes the
 * keepers are and which descriptor of theirs is which, so that the next supervisor can take them over; the metrics
 * follow, in pages of their own, because workers can write them. */
#include "supervisor/state.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "weir/abi.h"

#include "common/log.h"

static size_t pages(size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (bytes + page - 1) / page * page;
}

size_t sup_state_metrics_at(void)
{
	return pages(sizeof(struct sup_state));
}

static size_t upstreams_at(void)
{
	return sup_state_metrics_at() + pages(WEIR_SLOTS_MAX * sizeof(struct weir_metrics_slot));
}

size_t sup_state_bytes(void)
{
	return upstreams_at() + pages(sizeof(struct weir_up_shared[WEIR_POOLS_MAX][WEIR_UPSTREAMS_MAX]));
}

struct weir_up_shared *sup_state_upstreams(const struct sup *s, uint16_t pool)
{
	return (struct weir_up_shared *)((char *)s->state + upstreams_at()) + (size_t)pool * WEIR_UPSTREAMS_MAX;
}

static void path_of(const char *control, char *buf, size_t bytes)
{
	snprintf(buf, bytes, "%.200s.state", control);
}

static void routes_path(const char *control, char *buf, size_t bytes)
{
	snprintf(buf, bytes, "%.200s.routes", control);
}

/* --- digest --- */

static void mix(uint64_t *h, const char *text)
{
	for (; *text; text++)
		*h = (*h ^ (unsigned char)*text) * 0x100000001b3ULL;
	*h = (*h ^ 0xff) * 0x100000001b3ULL;
}

static void mix_params(uint64_t *h, enum weir_param_scope scope, const void *base)
{
	char value[4200];
	size_t i, j;

	for (i = 0; i < WEIR_PARAM__MAX; i++) {
		const struct weir_param *p = &weir_params[i];

		if (p->scope != scope)
			continue;
		mix(h, p->name);
		if (p->type == WEIR_TYPE_WORDS) {
			const struct weir_conf_words *w = weir_param_words(p, base);

			for (j = 0; j < w->count; j++)
				mix(h, w->items[j]);
		} else if (p->type < WEIR_TYPE_LISTENS) {
			weir_param_format(p, base, value, sizeof(value));
			mix(h, value);
		}
	}
}

/* The order of prefixes and addresses does not matter: their hashes are added up. */
static uint64_t hash_of(const char *text)
{
	uint64_t h = 0xcbf29ce484222325ULL;

	mix(&h, text);
	return h;
}

uint64_t sup_state_digest(const struct weir_config *c, const struct weir_conf_pool *p, uint64_t listens)
{
	uint64_t h = 0xcbf29ce484222325ULL, sum = 0;
	char text[64];
	size_t i;

	snprintf(text, sizeof(text), WEIR_VERSION " %zu %zu %zu %zu", sizeof(struct sup_state),
		 sizeof(struct weir_metrics_slot), sizeof(struct weir_conf_pool), sizeof(struct weir_up_shared));
	mix(&h, text);
	mix(&h, p->name);
	mix_params(&h, WEIR_SCOPE_POOL, p);
	/* what workers take from outside of their pool */
	snprintf(text, sizeof(text), "%u %u %u %u", c->max_request_bytes, c->max_field_length, c->url_segment_max_length,
		 c->url_segment_max_count);
	mix(&h, text);
	snprintf(text, sizeof(text), "%u %u", (unsigned)p->uid, (unsigned)p->gid);
	mix(&h, text);
	for (i = 0; i < c->listens_count; i++)
		if (listens & 1ULL << i)
			sum += hash_of(c->listens[i].text);
	for (i = 0; i < c->prefixes_count; i++)
		if (c->prefixes[i].pool == p->id)
			sum += hash_of(c->prefixes[i].text);
	return h ^ sum;
}

/* --- processes --- */

uint64_t sup_process_start(pid_t pid)
{
	_cleanup_fclose_ FILE *f = NULL;
	unsigned long long start = 0;
	char path[48], line[1024];
	const char *at;
	int field;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (!f || !fgets(line, sizeof(line), f))
		return 0;
	at = strrchr(line, ')');
	if (!at || at[1] != ' ' || at[2] == 'Z')
		return 0;
	/* behind the name follows field 3 */
	for (at += 2, field = 3; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	return at && sscanf(at, "%llu", &start) == 1 ? start : 0;
}

bool sup_state_is_alive(const struct sup_state_slot *slot)
{
	return slot->keeper > 0 && slot->start_ticks && sup_process_start(slot->keeper) == slot->start_ticks;
}

/* --- the file --- */

int sup_state_map(const char *control, void **ret, size_t *ret_bytes)
{
	_cleanup_close_ int fd = -1;
	const struct sup_state *st;
	char path[256];
	struct stat sb;
	void *p;

	path_of(control, path, sizeof(path));
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &sb) < 0)
		return -errno;
	if (!S_ISREG(sb.st_mode) || sb.st_uid != 0 || (sb.st_mode & 077) || (size_t)sb.st_size != sup_state_bytes())
		return -EBADMSG;
	p = mmap(NULL, (size_t)sb.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	st = p;
	if (st->magic != SUP_STATE_MAGIC || st->version != SUP_STATE_VERSION || st->abi != WEIR_ABI_VERSION) {
		(void)munmap(p, (size_t)sb.st_size);
		return -EBADMSG;
	}
	*ret = p;
	*ret_bytes = (size_t)sb.st_size;
	return 0;
}

static int make(const char *path, void **ret)
{
	_cleanup_close_ int fd = -1;
	void *p;

	/* A new file: what an earlier supervisor's workers have mapped stays theirs. */
	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)sup_state_bytes()) < 0)
		return -errno;
	p = mmap(NULL, sup_state_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	*ret = p;
	return 0;
}

void sup_state_commit(struct sup *s)
{
	const struct weir_config *c = s->config;
	struct sup_state *st = s->state;
	size_t i;

	for (i = 0; i < WEIR_SLOTS_MAX; i++)
		st->slots[i].is_leaving = st->slots[i].keeper && !s->is_kept[st->slots[i].pool_id];
	memset(st->pools, 0, sizeof(st->pools));
	for (i = 0; i < c->pools_count; i++) {
		const struct weir_conf_pool *p = &c->pools[i];
		struct sup_state_pool *sp = &st->pools[p->id];

		snprintf(sp->name, sizeof(sp->name), "%s", p->name);
		sp->digest = sup_state_digest(c, p, s->listens_of[p->id]);
		sp->want = s->want_before[p->id];
		sp->first_slot = p->first_slot;
		sp->slots = p->slots;
	}
	memset(st->endpoints, 0, sizeof(st->endpoints));
	for (i = 0; i < c->listens_count && i < WEIR_ENDPOINTS_MAX; i++)
		snprintf(st->endpoints[c->listens[i].id], sizeof(st->endpoints[0]), "%s", c->listens[i].text);
	st->flows = c->flows;
	st->attach = c->attach;
	st->started_at = s->started_at;
	st->is_attached = s->dp != NULL;
	st->last_pool = s->last_pool;
	snprintf(st->name, sizeof(st->name), "%s", c->name);
}

/* Counters of slots that begin. */
static void clear_metrics(struct sup *s)
{
	size_t i;

	for (i = 0; i < s->slots_count; i++)
		if (s->slots[i].pool && !s->is_kept[s->slots[i].pool->id])
			memset(&s->metrics[i], 0, sizeof(s->metrics[i]));
}

int sup_state_new(struct sup *s)
{
	bool is_new = !s->state;
	char path[256];
	void *p = NULL;
	int r;

	if (is_new) {
		path_of(s->config->control, path, sizeof(path));
		r = make(path, &p);
		if (r < 0)
			return weir_err(r, "cannot make '%s'", path);
		s->state = p;
		s->state->magic = SUP_STATE_MAGIC;
		s->state->version = SUP_STATE_VERSION;
		s->state->abi = WEIR_ABI_VERSION;
	}
	s->metrics = (struct weir_metrics_slot *)((char *)s->state + sup_state_metrics_at());
	clear_metrics(s);
	/* Workers could tell the next supervisor which processes to signal: they get the metrics only. */
	return madvise(s->state, sup_state_metrics_at(), MADV_DONTFORK) < 0 ? -errno : 0;
}

int sup_routes_open(struct sup *s)
{
	char path[256];
	int r = -ENOENT;

	routes_path(s->config->control, path, sizeof(path));
	if (s->has_old)
		r = weir_route_board_open(path, false, &s->board, &s->routes);
	/* without it, workers that are kept would never see another table */
	if (r < 0 && sup_takeover_has_kept(s))
		return r;
	if (r < 0)
		r = weir_route_board_open(path, true, &s->board, &s->routes);
	return r < 0 ? weir_err(r, "cannot make '%s'", path) : 0;
}

int sup_routes_post(struct sup *s)
{
	_cleanup_(weir_route_freep) struct weir_route_table *t = NULL;
	int r = weir_route_build(s->config, &t);

	if (r == 0)
		r = weir_route_post(s->board, t);
	return r < 0 ? weir_err(r, "cannot write the table of routes") : 0;
}

void sup_state_remove(const char *control)
{
	char path[256];

	path_of(control, path, sizeof(path));
	(void)unlink(path);
	routes_path(control, path, sizeof(path));
	(void)unlink(path);
}

void sup_state_free(struct sup *s, bool is_over)
{
	if (!s->state)
		return;
	if (is_over)
		sup_state_remove(s->config->control);
	(void)munmap(s->state, sup_state_bytes());
	s->state = NULL;
	s->metrics = NULL;
	weir_route_board_close(s->board, s->routes);
	s->board = NULL;
	s->routes = NULL;
}

void sup_state_note_slot(struct sup *s, uint32_t number)
{
	const struct sup_slot *slot = &s->slots[number];
	struct sup_state_slot *st = &s->state->slots[number];
	size_t i;

	st->keeper = 0;
	if (!slot->keeper)
		return;
	for (i = 0; i < WEIR_ENDPOINTS_MAX; i++)
		st->listeners[i] = -1;
	for (i = 0; i < s->config->listens_count; i++)
		st->listeners[s->config->listens[i].id] = slot->listeners[i].fd;
	st->pass_tx = s->pass_tx[slot->pool->id];
	st->pass_rx = s->pass_rx[slot->pool->id];
	st->order_tx = slot->order_tx;
	st->pool_id = slot->pool->id;
	snprintf(st->pool, sizeof(st->pool), "%s", slot->pool->name);
	st->is_leaving = 0;
	st->wake_fd = s->wake_fd;
	st->start_ticks = sup_process_start(slot->keeper);
	st->keeper = slot->keeper;
}
