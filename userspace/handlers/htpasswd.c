/* SPDX-License-Identifier: GPL-2.0 */
/* Users, hashes, and the question whether a request brings one of them. The lock is never held while a password is
 * hashed. */
#include "handlers/htpasswd.h"

#include <crypt.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "weir/key.h"

#include "common/clock.h"

#define FILE_BYTES_MAX (4 << 20)
#define USERS_MAX 65536
#define CREDENTIALS_MAX 512 /* bytes of "user:password" */
#define LOOK_MS 1000	    /* how often the file is looked at */
#define KEPT 256	    /* remembered pairs */
#define KEPT_MS 60000

struct user {
	const char *name;
	const char *hash;
};

struct users {
	unsigned refs; /* atomic */
	size_t count;
	size_t bad_lines;
	char *text;
	struct user rows[];
};

struct kept {
	__u64 digest[2];
	uint64_t until_ms;
};

struct weir_htpasswd {
	/* fixed after init */
	char *path;
	__u64 secret[2];

	pthread_mutex_t lock;
	/* under lock */
	struct users *users; /* NULL: the file could not be read */
	int error;
	struct timespec modified;
	ino_t inode;
	uint64_t looked_ms;
	struct kept kept[KEPT];
};

static void put_users(struct users *u)
{
	if (!u || __atomic_sub_fetch(&u->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	free(u->text);
	free(u);
}

static int read_text(const char *path, struct stat *st, char **ret)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	_cleanup_free_ char *text = NULL;
	size_t at = 0;
	ssize_t n = 0;

	if (fd < 0 || fstat(fd, st) < 0)
		return -errno;
	if (!S_ISREG(st->st_mode) || st->st_size > FILE_BYTES_MAX)
		return -EINVAL;
	text = malloc((size_t)st->st_size + 1);
	if (!text)
		return -ENOMEM;
	while (at < (size_t)st->st_size && (n = pread(fd, text + at, (size_t)st->st_size - at, (off_t)at)) > 0)
		at += (size_t)n;
	if (n < 0)
		return -errno;
	text[at] = '\0';
	*ret = TAKE_PTR(text);
	return 0;
}

static size_t count_lines(const char *text)
{
	size_t n = 1;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

static int parse_users(char *text, struct users **ret)
{
	size_t lines = count_lines(text);
	struct users *u;
	char *line, *save;

	if (lines > USERS_MAX)
		return -EINVAL;
	u = calloc(1, sizeof(*u) + lines * sizeof(u->rows[0]));
	if (!u)
		return -ENOMEM;
	u->refs = 1;
	u->text = text;
	for (line = strtok_r(text, "\r\n", &save); line; line = strtok_r(NULL, "\r\n", &save)) {
		char *colon = strchr(line, ':');

		if (line[0] == '#' || !line[strspn(line, " \t")])
			continue;
		/* no plain text, no DES, no unsalted SHA-1 */
		if (!colon || colon == line || colon[1] != '$') {
			u->bad_lines++;
			continue;
		}
		*colon = '\0';
		colon[1 + strcspn(colon + 1, ":")] = '\0';
		u->rows[u->count++] = (struct user){ line, colon + 1 };
	}
	*ret = u;
	return 0;
}

/* Under lock. */
static void load(struct weir_htpasswd *h)
{
	struct users *users = NULL;
	char *text = NULL;
	struct stat st = {};

	h->error = read_text(h->path, &st, &text);
	if (h->error == 0) {
		h->error = parse_users(text, &users);
		if (h->error < 0)
			free(text);
	}
	h->modified = st.st_mtim;
	h->inode = st.st_ino;
	put_users(h->users);
	h->users = users;
	memset(h->kept, 0, sizeof(h->kept));
}

/* Under lock. */
static void look(struct weir_htpasswd *h)
{
	uint64_t now = weir_now_ms();
	struct stat st;

	if (now < h->looked_ms + LOOK_MS)
		return;
	h->looked_ms = now;
	if (stat(h->path, &st) < 0 || h->error < 0 || st.st_ino != h->inode ||
	    st.st_mtim.tv_sec != h->modified.tv_sec || st.st_mtim.tv_nsec != h->modified.tv_nsec)
		load(h);
}

int weir_htpasswd_new(const char *path, struct weir_htpasswd **ret)
{
	_cleanup_(weir_htpasswd_freep) struct weir_htpasswd *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	pthread_mutex_init(&h->lock, NULL);
	h->path = strdup(path);
	if (!h->path)
		return -ENOMEM;
	if (getrandom(h->secret, sizeof(h->secret), 0) < 0)
		return -errno;
	load(h);
	h->looked_ms = weir_now_ms();
	*ret = TAKE_PTR(h);
	return 0;
}

struct weir_htpasswd *weir_htpasswd_free(struct weir_htpasswd *h)
{
	if (!h)
		return NULL;
	put_users(h->users);
	free(h->path);
	explicit_bzero(h->secret, sizeof(h->secret));
	pthread_mutex_destroy(&h->lock);
	free(h);
	return NULL;
}

const char *weir_htpasswd_path(const struct weir_htpasswd *h)
{
	return h->path;
}

size_t weir_htpasswd_bad_lines(const struct weir_htpasswd *h)
{
	return h->users ? h->users->bad_lines : 0;
}

/* --- credentials --- */

static int base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* RFC 4648 4, with or without padding. The length, or -EINVAL. */
static ptrdiff_t decode_base64(struct weir_str s, char *out, size_t room)
{
	uint32_t bits = 0;
	size_t i, n = 0;
	int have = 0;

	if (s.n > 0 && s.n % 4 == 0 && s.p[s.n - 1] == '=')
		s.n -= s.p[s.n - 2] == '=' ? 2 : 1;
	for (i = 0; i < s.n; i++) {
		int digit = base64_digit(s.p[i]);

		if (digit < 0)
			return -EINVAL;
		bits = bits << 6 | (uint32_t)digit;
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		if (n == room)
			return -EINVAL;
		out[n++] = (char)(bits >> have);
	}
	return s.n % 4 == 1 ? -EINVAL : (ptrdiff_t)n;
}

/* "Basic dXNlcjpwYXNz": terminated, with the colon; RFC 7617 2. */
static ptrdiff_t parse_credentials(struct weir_str value, char out[CREDENTIALS_MAX + 1])
{
	struct weir_str scheme = { value.p, 6 };
	ptrdiff_t n;

	if (value.n <= 6 || !weir_str_caseeq(scheme, WEIR_STR("Basic ")))
		return -EINVAL;
	value.p += 6;
	value.n -= 6;
	n = decode_base64(weir_str_trim(value), out, CREDENTIALS_MAX);
	if (n < 0 || memchr(out, '\0', (size_t)n) || !memchr(out, ':', (size_t)n))
		return -EINVAL;
	out[n] = '\0';
	return n;
}

/* As long for equal bytes as for others. */
static bool is_equal(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b), i;
	unsigned differences = n != m;

	for (i = 0; i < n; i++)
		differences |= (unsigned)(unsigned char)(a[i] ^ b[i < m ? i : 0]);
	return differences == 0;
}

static bool is_password(const char *password, const char *hash)
{
	_cleanup_free_ struct crypt_data *data = NULL;
	char apr1[WEIR_APR1_BYTES];
	const char *made;

	if (weir_apr1(password, hash, apr1) == 0)
		return is_equal(apr1, hash);
	data = calloc(1, sizeof(*data));
	made = data ? crypt_r(password, hash, data) : NULL;
	/* '*' begins what libcrypt says when it cannot */
	return made && made[0] != '*' && is_equal(made, hash);
}

/* The user's hash; for one that there is not the first of the file, so that the time is the same. */
static const char *find_hash(const struct users *u, const char *name, bool *ret_is_known)
{
	const char *hash = u->count > 0 ? u->rows[0].hash : NULL;
	size_t i;

	*ret_is_known = false;
	for (i = 0; i < u->count; i++) {
		if (!*ret_is_known && is_equal(u->rows[i].name, name)) {
			hash = u->rows[i].hash;
			*ret_is_known = true;
		}
	}
	return hash;
}

static void digest(const struct weir_htpasswd *h, const char *text, size_t bytes, __u64 ret[2])
{
	struct weir_sip s;

	weir_sip13_init128(&s, h->secret);
	weir_sip13_word(&s, bytes);
	weir_key_feed13(&s, text, (__u32)bytes);
	weir_sip13_final128(&s, ret);
}

static bool is_kept(const struct weir_htpasswd *h, const __u64 d[2])
{
	const struct kept *k = &h->kept[d[0] % KEPT];

	return ((k->digest[0] ^ d[0]) | (k->digest[1] ^ d[1])) == 0 && weir_now_ms() < k->until_ms;
}

int weir_htpasswd_check(struct weir_htpasswd *h, struct weir_str authorization)
{
	char text[CREDENTIALS_MAX + 1], *colon;
	bool was_kept, is_known, is_right;
	struct users *users;
	const char *hash;
	__u64 d[2] = {};
	ptrdiff_t n = parse_credentials(authorization, text);
	int r;

	if (n >= 0)
		digest(h, text, (size_t)n, d);
	pthread_mutex_lock(&h->lock);
	look(h);
	users = h->users;
	r = h->error;
	if (users)
		__atomic_add_fetch(&users->refs, 1, __ATOMIC_RELAXED);
	was_kept = users && n >= 0 && is_kept(h, d);
	pthread_mutex_unlock(&h->lock);

	if (!users)
		return r < 0 ? r : -EIO;
	if (n < 0 || was_kept) {
		put_users(users);
		return was_kept ? 0 : -EACCES;
	}
	colon = strchr(text, ':');
	*colon = '\0';
	hash = find_hash(users, text, &is_known);
	is_right = hash && is_password(colon + 1, hash) && is_known;
	explicit_bzero(text, sizeof(text));
	pthread_mutex_lock(&h->lock);
	/* not when the file has changed meanwhile */
	if (is_right && h->users == users)
		h->kept[d[0] % KEPT] = (struct kept){ { d[0], d[1] }, weir_now_ms() + KEPT_MS };
	pthread_mutex_unlock(&h->lock);
	put_users(users);
	return is_right ? 0 : -EACCES;
}
