/* SPDX-License-Identifier: GPL-2.0 */
/* Inside of the static handler. A request goes through access and authentication (static_access.c, htpasswd.c),
 * redirects and rewrites (static_rules.c), the search for a file (static_find.c), the choice of a representation
 * (static_choose.c), and the response (static.c, static_answer.c). Files in memory are in static_files.c, what
 * watches them in static_watch.c, how they get there in static_fill.c and static_describe.c. */
#ifndef WEIR_STATIC_PRIV_H
#define WEIR_STATIC_PRIV_H

#include <pthread.h>
#include <sys/stat.h>

#include "handlers/htpasswd.h"
#include "handlers/static.h"

#define WEIR_MIME_MAX 128
#define WEIR_MIME_DEFAULT "application/octet-stream"

#define STATIC_SMALL_MAX WEIR_BYTES_L /* larger files keep a descriptor instead of their bytes */
#define STATIC_FILES_MAX 16384	      /* default of files_max */
#define STATIC_MEMORY_MAX (64u << 20) /* bytes of all bodies in memory */
#define STATIC_OPEN_MAX 512	      /* descriptors of large files */
#define STATIC_LINKS_MAX 40	      /* directories above a file, index names, variants, and the file itself */
#define STATIC_BUCKETS 4096	      /* power of two */
#define STATIC_INDEX_MAX 8
#define STATIC_ALIASES_MAX 64 /* of one file */
#define STATIC_PATH_MAX 4096  /* bytes of what redirects and rewrites make */
#define STATIC_HEAD_MAX 3072  /* bytes of a head: the added fields are limited by the configuration */

struct weir_mime;
/* `types`: rows of the configuration that win over the file, or NULL. */
int weir_mime_new(const char *path, const struct weir_conf_words *types, struct weir_mime **ret);
struct weir_mime *weir_mime_free(struct weir_mime *m);
/* NULL: the extension says nothing. `path` is terminated. */
const char *weir_mime_find(const struct weir_mime *m, const char *path);

/* "When `name` in the directory watched by `wd` changes, this file may be another." An empty name means the
 * watched thing itself. */
struct static_link {
	struct static_link *next; /* of the same bucket */
	struct static_file *file;
	int wd;
	uint32_t hash;
	struct weir_str name; /* in the file's path, its other names, or the index names */
};

/* One representation: the file as it is, a variant beside it, or what we have compressed. Never changes. */
struct static_rep {
	enum weir_coding coding;
	int fd; /* large file, or -1 */
	uint64_t bytes;
	int64_t modified_ns; /* since 1970 */
	int64_t modified;    /* in seconds */
	void *body;	     /* in memory, or NULL */
	struct weir_str etag;
	char etag_text[64];
	char modified_text[WEIR_HTTP_DATE_BYTES];
	char *head; /* of the 200 response */
	uint16_t head_bytes;
	struct weir_head_marks marks;
	char *cond_head; /* of the 304 response */
	uint16_t cond_bytes;
	struct weir_head_marks cond_marks;
};

/* What is known about a representation of a file. */
enum static_state {
	STATIC_NONE,	/* there is none */
	STATIC_UNKNOWN, /* it can be made */
	STATIC_BUSY,	/* a thread makes it */
	STATIC_READY,
};

/* A file with all its representations, which live and die together; or an alias: a path of try_files, and the file
 * that it stands for as long as nothing better appears. */
struct static_file {
	/* fixed once the fill is over */
	char *path; /* below the root, without leading '/'; ends in '/' for a directory's index. An
				   * alias's begins with '/'. */
	size_t path_bytes;
	char *names; /* other watched names: those of variants, or what an alias is not */
	const char *type;
	char *extra;		    /* fields of every response with the file: Vary, Cache-Control, added ones */
	bool is_private;	    /* never in the kernel cache */
	bool has_variants;	    /* the answer depends on Accept-Encoding */
	bool is_watched;	    /* else it is good for one response */
	struct stat st;		    /* of the file itself */
	struct static_file *target; /* alias: a reference; else NULL */

	/* under weir_static.lock */
	bool is_listed;		  /* in LRU list and links: changes are noticed */
	bool is_found;		  /* by path */
	struct static_file *next; /* same bucket of paths; later: list of the dead */
	struct static_file *newer, *older;
	struct static_file *aliases, *next_alias; /* of the target; the newest first */
	unsigned aliases_count;
	uint32_t hash;
	size_t memory; /* bytes of bodies */
	unsigned open; /* descriptors */
	unsigned links_count;
	struct static_link links[STATIC_LINKS_MAX];

	/* any thread, atomic; one belongs to the table while is_listed */
	unsigned refs;
	/* release of READY pairs with the acquire of who reads it: then reps[] may be read */
	uint8_t states[WEIR_CODING__MAX];
	struct static_rep *reps[WEIR_CODING__MAX];
	struct weir_cache_item item;
};

/* A watch and how many links need it. */
struct static_wd {
	struct static_wd *next;
	int wd;
	unsigned refs;
};

struct static_access;
struct static_rules;

/* Options, ready for use; zero: none of them. */
struct static_options {
	bool precompressed, compress;
	unsigned compress_min, compress_level;
	uint64_t compress_max;
	unsigned max_age_s;
	enum weir_listing listing;
	const char *default_type;
	struct weir_str realm;
	const struct weir_conf_words *compress_types; /* NULL: the default list */
	const struct weir_conf_words *headers;
	char *common; /* those headers that go with every response, as lines; NULL: none */
	size_t tries_count, pages_count;
	struct weir_conf_try *tries;
	struct weir_conf_error_page *pages;
	struct static_rules *rules;	 /* NULL: none */
	struct static_access *access;	 /* NULL: everybody */
	struct weir_htpasswd *passwords; /* NULL: nobody is asked */
	bool is_guarded;		 /* access or passwords: nothing may be published */
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
	struct static_options options;

	/* any thread, atomic */
	uint64_t boundaries;
	uint64_t warned_ms;

	pthread_mutex_t lock;
	/* under lock */
	struct static_file *paths[STATIC_BUCKETS];
	struct static_link *links[STATIC_BUCKETS];
	struct static_wd *wds[STATIC_BUCKETS];
	struct static_file *newest, *oldest;
	size_t files, memory, open;
};

/* static.c: whether it is time again for a message about what requests run into. */
bool weir_static_may_warn(struct weir_static *s);

/* static_options.c */
int weir_static_options_init(struct static_options *o, const struct weir_conf_static *conf);
void weir_static_options_fini(struct static_options *o);

/* static_files.c */
uint32_t weir_static_hash(const char *p, size_t n);
struct static_file *weir_static_file_new(struct weir_str path);
void weir_static_file_put(struct static_file *f); /* drops one reference */
struct static_rep *weir_static_rep_free(struct static_rep *r);
DEFINE_CLEANUP(struct static_rep *, weir_static_rep_free)
/* A reference, or NULL. */
struct static_file *weir_static_find(struct weir_static *s, struct weir_str path);
/* Puts a file that is in no list at the new end of the LRU list. Under lock. */
void weir_static_list(struct weir_static *s, struct static_file *f);
/* Takes a file, and its aliases, out of all tables and prepends them to *dead. Under lock. */
void weir_static_detach(struct weir_static *s, struct static_file *f, struct static_file **dead);
/* Withdraws and drops what was detached. Not under lock. */
void weir_static_bury(struct weir_static *s, struct static_file *dead);
/* Puts a filled file where weir_static_find() sees it, unless it has changed meanwhile; makes room for it. An alias
 * also joins its target's. */
void weir_static_commit(struct weir_static *s, struct static_file *f);
/* Detaches and drops a file that is not to be committed. */
void weir_static_abandon(struct weir_static *s, struct static_file *f);
/* Gives a file one more representation, which it owns from now on. Any thread. */
void weir_static_add_rep(struct weir_static *s, struct static_file *f, struct static_rep *r);

/* static_watch.c */
/* Lists `f` and watches every directory from the root to it, and the file, each before the next is looked at.
 * `index_count`: how many index names were tried for a path that ends in '/'. The caller keeps its own reference.
 * `variants`: whether the names of its variants are watched too. -errno: cannot be watched, and is not listed. */
int weir_static_watch_add(struct weir_static *s, struct static_file *f, size_t index_count, const char *file_path,
			  bool variants);
/* Lists an alias and watches for everything that it is not: paths, terminated, one after the other in f->names. */
int weir_static_watch_absent(struct weir_static *s, struct static_file *f, size_t count);
void weir_static_unwatch(struct weir_static *s, struct static_link *l); /* under lock */

/* static_fill.c */
/* A file by its path below the root: from memory or from disk, with a reference. Negative: -errno of opening it;
 * -EISDIR when a '/' is missing at the end of a directory's path; -EPERM: neither file nor directory, or a
 * directory without an index. */
int weir_static_get(struct weir_static *s, struct weir_str path, struct static_file **ret);
/* Whether a path gives a file, as weir_static_get() would say; 0 or -errno. */
int weir_static_probe(struct weir_static *s, struct weir_str path);
/* Opens a path (terminated, "" is the root) that must not lead out of the root; `more`: RESOLVE_* flags. */
int weir_static_open(struct weir_static *s, const char *path, uint64_t more, int *ret_fd);
int weir_static_read(int fd, uint64_t bytes, void **ret);

/* static_describe.c */
/* Type, added fields and what may be made of a file whose `st` is set. `name`: its path below the root. -ENOMEM. */
int weir_static_describe(struct weir_static *s, struct static_file *f, const char *name);
/* Completes a representation whose coding, bytes, time, body or fd are set: entity tag and head. -ENOMEM. `mark`: told apart
 * by it in the tag, 0 for none. */
int weir_static_describe_rep(const struct static_file *f, struct static_rep *r, uint32_t mark);
int64_t weir_static_modified_ns(const struct stat *st);
/* "*" stands for any characters, also slashes; no other wildcard. `is_caseless` folds ASCII. */
bool weir_static_glob(struct weir_str pattern, struct weir_str text, bool is_caseless);

/* static_choose.c */
/* The representation for a request. NULL: none is acceptable. *ret_is_final: it is the one for everybody who accepts the
 * same codings, whatever their weights, so that it may be published. */
const struct static_rep *weir_static_choose(struct weir_static *s, struct static_file *f,
					    const struct weir_request *req, bool *ret_is_final);

/* static_compress.c: one buffer to another. *ret is malloc()ed. -EFBIG: it would not become smaller; -ENOMEM. */
int weir_static_compress(enum weir_coding coding, unsigned level, const void *in, size_t bytes, void **ret,
			 size_t *ret_bytes);

/* static_find.c */
/* What a path below the root stands for, by way of try_files: a file or an alias. As weir_static_get(), or positive:
 * the status that try_files ends with. */
int weir_static_look_up(struct weir_static *s, struct weir_str path, struct static_file **ret);

/* static_rules.c */
int weir_static_rules_new(const struct weir_conf_words *redirects, const struct weir_conf_words *rewrites,
			  struct static_rules **ret);
struct static_rules *weir_static_rules_free(struct static_rules *r);
/* What the rules make of a path. `to` is over the caller's memory. 0: no rule matches; 1: *ret_status is that of a
 * redirect to `to`, or 0, and `to` is a path below the root; -ELOOP: a pattern gave up, *ret_rule is it; -E2BIG: too
 * long. */
int weir_static_rules_apply(const struct static_rules *r, const struct weir_request *req, struct weir_buf *to,
			    unsigned *ret_status, const char **ret_rule);

/* static_access.c */
int weir_static_access_new(const struct weir_conf_words *rows, struct static_access **ret);
struct static_access *weir_static_access_free(struct static_access *a);
bool weir_static_access_is_allowed(const struct static_access *a, const struct weir_addr *client);
/* False: refused, and *resp is the answer. */
bool weir_static_admit(struct weir_static *s, const struct weir_call *call, struct weir_response *resp);

/* static_list.c: answers with what a directory holds. */
int weir_static_answer_list(struct weir_static *s, const struct weir_call *call, struct weir_str path,
			    struct weir_response *resp);

/* static_answer.c */
/* A file or alias: 200, 206, 304, 406, 412 or 416. Takes the reference over. */
void weir_static_answer_file(struct weir_static *s, const struct weir_call *call, struct static_file *entry,
			     struct weir_response *resp);
/* Any other status, with the pool's page for it, or a few words; `name` and `value`: one more field, or NULL. */
void weir_static_answer_status(struct weir_static *s, const struct weir_call *call, unsigned status, const char *name,
			       struct weir_str value, struct weir_response *resp);
/* The fields that every response gets, into a head that has begun. */
void weir_static_put_common(const struct weir_static *s, struct weir_buf *b);

#endif
