// SPDX-License-Identifier: GPL-2.0
/* Loads lossy.bpf.c on an interface and serves its detour: a tap device, on which frames wait MIN..MAX milliseconds. A
 * duplicate is a frame that comes back from there at once, and once more later.
 *
 *   lossy DEV [--drop N] [--duplicate N] [--detour N] [--delay MIN-MAX]	N: packets of 10,000, each direction
 *
 * A frame for DEV's own address comes back in through the tap, which has the same address; any other goes out of DEV
 * past its queueing discipline, so it meets the bad weather once. Prints "ready"; on SIGTERM takes everything
 * away again and prints what happened as JSON. Run it in the client's namespace. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/if.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "lossy.skel.h"

#define BUCKETS 256 /* milliseconds; power of two, more than the longest delay */
#define FRAME_MAX 2048

unsigned int if_nametoindex(const char *name);

struct frame {
	struct frame *next;
	size_t bytes;
	unsigned char data[FRAME_MAX];
};

/* Frames that are due at millisecond m wait in bucket m % BUCKETS, first in, first out. */
static struct frame *first[BUCKETS], **last[BUCKETS];
static size_t waiting;
static unsigned long long duplicated[2]; /* out, in */

static struct {
	int dev, tap;	      /* packet socket, tap device */
	unsigned char mac[6]; /* of DEV and of the tap */
	unsigned late, twice; /* packets of 10,000 */
	unsigned min_ms, max_ms;
} detour = {.min_ms = 2, .max_ms = 20};

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static int die(const char *what)
{
	perror(what);
	exit(1);
}

/* A tap with DEV's own address, up. */
static int open_tap(const unsigned char mac[6], unsigned *ret_ifindex)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strcpy(ifr.ifr_name, "detour0");
	if (fd < 0 || s < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0)
		die("lossy: tap");
	ifr.ifr_hwaddr.sa_family = 1; /* ARPHRD_ETHER */
	memcpy(ifr.ifr_hwaddr.sa_data, mac, 6);
	if (ioctl(s, SIOCSIFHWADDR, &ifr) < 0)
		die("lossy: address of the tap");
	ifr.ifr_qlen = 10000;
	(void)ioctl(s, SIOCSIFTXQLEN, &ifr);
	ifr.ifr_flags = IFF_UP;
	if (ioctl(s, SIOCSIFFLAGS, &ifr) < 0)
		die("lossy: tap up");
	close(s);
	*ret_ifindex = if_nametoindex("detour0");
	return fd;
}

static int open_packet(unsigned ifindex, const char *dev, unsigned char ret_mac[6])
{
	struct sockaddr_ll ll = {.sll_family = AF_PACKET, .sll_ifindex = (int)ifindex};
	struct ifreq ifr = {0};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	strncpy(ifr.ifr_name, dev, IFNAMSIZ - 1);
	if (fd < 0 || bind(fd, (struct sockaddr *)&ll, sizeof(ll)) < 0 || ioctl(fd, SIOCGIFHWADDR, &ifr) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &(int){1}, sizeof(int)) < 0)
		die("lossy: packet socket");
	memcpy(ret_mac, ifr.ifr_hwaddr.sa_data, 6);
	return fd;
}

/* Is the frame for DEV itself, or for the other end? */
static bool is_inward(const struct frame *f)
{
	return memcmp(f->data, detour.mac, 6) == 0;
}

static void put_back(const struct frame *f)
{
	if ((is_inward(f) ? write(detour.tap, f->data, f->bytes) : send(detour.dev, f->data, f->bytes, 0)) < 0)
		fprintf(stderr, "lossy: lost on the detour: %s\n", strerror(errno));
}

/* Takes every frame off the tap and lets it wait. Neighbour discovery of the tap itself is thrown away. */
static void take(uint64_t now)
{
	for (;;) {
		struct frame *f = malloc(sizeof(*f));
		ssize_t n = f ? read(detour.tap, f->data, FRAME_MAX) : -1;
		uint64_t b;

		if (n < 0) {
			free(f);
			return;
		}
		if (n < 54 || (f->data[12] == 0x86 && f->data[20] != 6)) {
			free(f);
			continue;
		}
		f->bytes = (size_t)n;
		f->next = NULL;
		if ((unsigned)rand() % (detour.late + detour.twice) < detour.twice) {
			put_back(f);
			duplicated[is_inward(f)]++;
		}
		b = (now + detour.min_ms + (unsigned)rand() % (detour.max_ms - detour.min_ms + 1)) % BUCKETS;
		*last[b] = f;
		last[b] = &f->next;
		waiting++;
	}
}

static void release(uint64_t bucket)
{
	struct frame *f = first[bucket], *next;

	first[bucket] = NULL;
	last[bucket] = &first[bucket];
	for (; f; f = next) {
		next = f->next;
		put_back(f);
		waiting--;
		free(f);
	}
}

static void serve_detour(int sigfd)
{
	struct pollfd fds[] = {{.fd = detour.tap, .events = POLLIN}, {.fd = sigfd, .events = POLLIN}};
	uint64_t done = now_ms();

	for (size_t i = 0; i < BUCKETS; i++)
		last[i] = &first[i];
	while (!(fds[1].revents & POLLIN)) {
		uint64_t now;

		(void)poll(fds, 2, waiting ? 1 : -1);
		now = now_ms();
		for (; done < now; done++)
			if (waiting)
				release((done + 1) % BUCKETS);
		take(now);
	}
}

static void attach(const struct lossy_bpf *skel, int ifindex)
{
	DECLARE_LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
	DECLARE_LIBBPF_OPTS(bpf_tc_opts, in, .prog_fd = bpf_program__fd(skel->progs.lossy_in));
	DECLARE_LIBBPF_OPTS(bpf_tc_opts, out, .prog_fd = bpf_program__fd(skel->progs.lossy_out));

	errno = -bpf_tc_hook_create(&hook);
	if (errno)
		die("lossy: clsact");
	hook.attach_point = BPF_TC_INGRESS;
	errno = -bpf_tc_attach(&hook, &in);
	if (errno)
		die("lossy: ingress");
	hook.attach_point = BPF_TC_EGRESS;
	errno = -bpf_tc_attach(&hook, &out);
	if (errno)
		die("lossy: egress");
}

static void detach(int ifindex)
{
	DECLARE_LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);

	(void)bpf_tc_hook_destroy(&hook);
}

static void report(const struct lossy_bpf *skel)
{
	static const char *const direction[] = {"out", "in"};

	printf("{");
	for (int i = 0; i < 2; i++)
		printf("%s\"%s\": {\"seen\": %llu, \"dropped\": %llu, \"duplicated\": %llu, \"detoured\": %llu}",
		       i ? ", " : "", direction[i], skel->bss->seen[i], skel->bss->dropped[i], duplicated[i],
		       skel->bss->detoured[i] - duplicated[i]);
	printf("}\n");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"drop", required_argument, NULL, 'd'},	  {"duplicate", required_argument, NULL, '2'},
		{"detour", required_argument, NULL, 'r'}, {"delay", required_argument, NULL, 't'},
		{0},
	};
	unsigned drop = 0, ifindex, tap_ifindex;
	struct lossy_bpf *skel;
	int sigfd, c;
	sigset_t set;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'd')
			drop = (unsigned)atoi(optarg);
		else if (c == '2')
			detour.twice = (unsigned)atoi(optarg);
		else if (c == 'r')
			detour.late = (unsigned)atoi(optarg);
		else if (c != 't' || sscanf(optarg, "%u-%u", &detour.min_ms, &detour.max_ms) != 2 ||
			 detour.min_ms > detour.max_ms || detour.max_ms >= BUCKETS / 2)
			return 2;
	}
	ifindex = optind < argc ? if_nametoindex(argv[optind]) : 0;
	if (!ifindex) {
		fprintf(stderr, "usage: lossy DEV [--drop N] [--duplicate N] [--detour N] [--delay MIN-MAX]\n");
		return 2;
	}

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigfd = signalfd(-1, &set, SFD_CLOEXEC);

	detour.dev = open_packet(ifindex, argv[optind], detour.mac);
	detour.tap = open_tap(detour.mac, &tap_ifindex);
	skel = lossy_bpf__open();
	if (!skel)
		return die("lossy: open");
	skel->rodata->drop = drop;
	skel->rodata->detour = detour.late + detour.twice;
	skel->rodata->detour_ifindex = tap_ifindex;
	if (lossy_bpf__load(skel) < 0)
		return die("lossy: load");
	attach(skel, (int)ifindex);
	printf("ready\n");
	fflush(stdout);

	serve_detour(sigfd);
	detach((int)ifindex);
	report(skel);
	lossy_bpf__destroy(skel);
	return 0;
}
