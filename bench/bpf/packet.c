// SPDX-License-Identifier: GPL-2.0
#include "packet.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>

#define PORTS 50000
#define SYN_OPT_BYTES 8

static __u16 checksum(const void *data, size_t bytes, __u32 sum)
{
	const __u8 *p = data;

	for (; bytes > 1; p += 2, bytes -= 2)
		sum += (__u32)(p[0] << 8 | p[1]);
	if (bytes)
		sum += (__u32)(p[0] << 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((__u16)~sum);
}

static __u32 address_sum(__be32 a)
{
	return (ntohl(a) >> 16) + (ntohl(a) & 0xffff);
}

void packet_conn_init(struct packet_conn *c, const struct packet_ends *ends, unsigned n)
{
	*c = (struct packet_conn){
		.ends = *ends,
		.client_ip = htonl(0x0a620001 + n / PORTS), /* 10.98.0.1 and on */
		.client_port = htons((__u16)(10000 + n % PORTS)),
		.seq = 0x10000 + n * 7919,
	};
}

static void build(struct packet_conn *c, const void *opt, size_t opt_bytes, const void *data, size_t data_bytes,
		  struct packet *ret)
{
	struct ethhdr *eth = (struct ethhdr *)ret->data;
	struct iphdr *ip = (struct iphdr *)(eth + 1);
	struct tcphdr *tcp = (struct tcphdr *)(ip + 1);
	size_t tcp_bytes = sizeof(*tcp) + opt_bytes + data_bytes;

	memset(ret->data, 0, sizeof(*eth) + sizeof(*ip) + sizeof(*tcp));
	memcpy(eth->h_dest, c->ends.server_mac, 6);
	memcpy(eth->h_source, "\x02\0\0\0\0\x01", 6);
	eth->h_proto = htons(ETH_P_IP);
	ip->version = 4;
	ip->ihl = 5;
	ip->tot_len = htons((__u16)(sizeof(*ip) + tcp_bytes));
	ip->frag_off = htons(0x4000);
	ip->ttl = 64;
	ip->protocol = IPPROTO_TCP;
	ip->saddr = c->client_ip;
	ip->daddr = c->ends.server_ip;
	ip->check = checksum(ip, sizeof(*ip), 0);
	tcp->source = c->client_port;
	tcp->dest = c->ends.server_port;
	tcp->seq = htonl(c->seq);
	tcp->ack_seq = htonl(c->ack);
	tcp->doff = (__u16)((sizeof(*tcp) + opt_bytes) / 4) & 15;
	tcp->window = htons(0xffff);
	if (opt_bytes) {
		tcp->syn = 1;
	} else {
		tcp->ack = 1;
		tcp->psh = data_bytes > 0;
	}
	memcpy(tcp + 1, opt, opt_bytes);
	memcpy((char *)(tcp + 1) + opt_bytes, data, data_bytes);
	tcp->check = checksum(tcp, tcp_bytes,
			      address_sum(ip->saddr) + address_sum(ip->daddr) + IPPROTO_TCP + (__u32)tcp_bytes);
	ret->bytes = (__u32)(sizeof(*eth) + sizeof(*ip) + tcp_bytes);
	c->last_bytes = (__u32)data_bytes + (opt_bytes > 0);
}

void packet_syn(struct packet_conn *c, struct packet *ret)
{
	static const __u8 opt[SYN_OPT_BYTES] = {2, 4, 0x05, 0xb4, 1, 3, 3, 7}; /* MSS 1460, window scale 7 */

	build(c, opt, sizeof(opt), "", 0, ret);
}

void packet_data(struct packet_conn *c, const char *data, struct packet *ret)
{
	build(c, "", 0, data, strlen(data), ret);
}

void packet_rst(struct packet_conn *c, struct packet *ret)
{
	struct tcphdr *tcp = (struct tcphdr *)(ret->data + sizeof(struct ethhdr) + sizeof(struct iphdr));

	build(c, "", 0, "", 0, ret);
	tcp->rst = 1;
	/* RFC 1624: the flags' word grew by 4 */
	tcp->check = htons((__u16)(ntohs(tcp->check) - 4 - (ntohs(tcp->check) < 4)));
}

int packet_take(struct packet_conn *c, const void *answer, size_t bytes)
{
	const struct ethhdr *eth = answer;
	const struct iphdr *ip = (const void *)(eth + 1);
	const struct tcphdr *tcp = (const void *)(ip + 1);
	__u32 length;

	if (bytes < sizeof(*eth) + sizeof(*ip) + sizeof(*tcp) || ip->protocol != IPPROTO_TCP || tcp->rst ||
	    ntohl(tcp->ack_seq) != c->seq + c->last_bytes || (!tcp->syn && ntohl(tcp->seq) != c->ack))
		return -1;
	length = (__u32)(ntohs(ip->tot_len) - sizeof(*ip) - tcp->doff * 4) + tcp->syn;
	if (!length)
		return -1;
	c->seq += c->last_bytes;
	c->ack = ntohl(tcp->seq) + length;
	return 0;
}
