/* SPDX-License-Identifier: GPL-2.0 */
/* Inside of the static handler: files in memory (static_files.c), what watches them (static_watch.c), how they get
 * there (static_fill.c), and the responses (static.c). */
#ifndef WEIR_STATIC_PRIV_H
#define WEIR_STATIC_PRIV_H

#include <pthread.h>

#include "handlers/static.h"

#define WEIR_MIME_MAX 128
#define WEIR_MIME_DEFAULT "application/octet-stream"

#define STATIC_SMALL_MAX WEIR_BYTES_L	   /* larger files keep a descriptor instead of their bytes */
#define STATIC_FILES_MAX 16384		   /* default of files_max */
#define STATIC_MEMORY_MAX (64u << 20)	   /* bytes of all bodies in memory */
#define STATIC_OPEN_MAX 512		   /* descriptors of large files */
#define STATIC_LINKS_MAX 40		   /* directories above a file, index names, and the file itself */
#define STATIC_BUCKETS 4096		   /* power of two */
#define STATIC_INDEX_MAX 8

struct weir_mime;
int weir_mime_new(const char *path, struct weir_mime **ret);
struct weir_mime *weir_mime_free(struct weir_mime *m);
/* Never NULL. `path` is terminated. */
const char *weir_mime_find(const struct weir_mime *m, const char *path);

/* "When `name` in the directory watched by `wd` changes, this file may be another." An empty name means the
 * watched thing itself. */
struct static_link {
	struct static_link *next; /* of the same bucket */
	struct static_file *file;
	int wd;
	uint32_t hash;
	struct weir_str name;	  /* in the file's path or the index names */
};

struct static_file {
	/* fixed once the fill is over */
	char *path;		  /* below the root, without leading '/'; ends in '/' for a directory's index */
	size_t path_bytes;
	int fd;			  /* large file, or -1 */
	uint64_t bytes;
	int64_t modified;	  /* seconds since 1970 */
	const char *type;
	void *body;		  /* small file, or NULL */
	struct weir_str etag;
	char etag_text[48];
	char modified_text[WEIR_HTTP_DATE_BYTES];
	char head[640];		  /* of the 200 response */
	uint16_t head_bytes;
	struct weir_head_marks marks;
	char cond_head[WEIR_COND_BYTES]; /* of the 304 response */
	uint16_t cond_bytes;
	struct weir_head_marks cond_marks;

	/* under weir_static.lock */
	bool is_listed;		  /* in LRU list and links: changes are noticed */
	bool is_found;		  /* by path */
	struct static_file *next; /* same bucket of paths; later: list of the dead */
	struct static_file *newer, *older;
	uint32_t hash;
	unsigned links_count;
	struct static_link links[STATIC_LINKS_MAX];

	/* any thread, atomic; one belongs to the table while is_listed */
	unsigned refs;
	struct weir_cache_item item;
};

/* A watch and how many links need it. */
struct static_wd {
	struct static_wd *next;
	int wd;
	unsigned refs;
};

struct weir_static {
	/* fixed after init */
	int root_fd;
	int inotify_fd;
	struct weir_cache *cache;
	struct weir_mime *mime;
	char *index_text;
	struct weir_str index[STATIC_INDEX_MAX]; /* each terminated in index_text */
	size_t index_count;
	size_t files_max;
	uint64_t boundary;

	/* any thread, atomic */
	uint64_t boundaries;

	pthread_mutex_t lock;
	/* under lock */
	struct static_file *paths[STATIC_BUCKETS];
	struct static_link *links[STATIC_BUCKETS];
	struct static_wd *wds[STATIC_BUCKETS];
	struct static_file *newest, *oldest;
	size_t files, memory, open;
};

/* static_files.c */
uint32_t weir_static_hash(const char *p, size_t n);
struct static_file *weir_static_file_new(struct weir_str path);
void weir_static_file_put(struct static_file *f); /* drops one reference */
/* A reference, or NULL. */
struct static_file *weir_static_find(struct weir_static *s, struct weir_str path);
/* Puts a file that is in no list at the new end of the LRU list. Under lock. */
void weir_static_list(struct weir_static *s, struct static_file *f);
/* Takes a file out of all tables and prepends it to *dead. Under lock. */
void weir_static_detach(struct weir_static *s, struct static_file *f, struct static_file **dead);
/* Withdraws and drops what was detached. Not under lock. */
void weir_static_bury(struct weir_static *s, struct static_file *dead);
/* Puts a filled file where weir_static_find() sees it, unless it has changed meanwhile; makes room for it. */
void weir_static_commit(struct weir_static *s, struct static_file *f);

/* static_watch.c */
/* Lists `f` and watches every directory from the root to it, and the file, each before the next is looked at.
 * `index_count`: how many index names were tried for a path that ends in '/'. The caller keeps its own reference.
 * -errno: cannot be watched, and is not listed. */
int weir_static_watch_add(struct weir_static *s, struct static_file *f, size_t index_count, const char *file_path);
void weir_static_unwatch(struct weir_static *s, struct static_link *l); /* under lock */

/* static_fill.c */
/* A file by its path below the root: from memory or from disk, with a reference. Negative: -errno of opening it;
 * -EISDIR when a '/' is missing at the end of a directory's path; -EPERM: neither file nor directory, or a
 * directory without an index. */
int weir_static_get(struct weir_static *s, struct weir_str path, struct static_file **ret);

#endif
