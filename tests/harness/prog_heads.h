/* SPDX-License-Identifier: GPL-2.0 */
/* Request heads as real clients send them for a page and for what it embeds. */
#ifndef WEIR_TEST_PROG_HEADS_H
#define WEIR_TEST_PROG_HEADS_H

static const char *const prog_heads[] = {
	/* curl, wrk, ab, h2load --h1, Python requests, Go */
	"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n",
	"GET /index.html HTTP/1.0\r\nHost: 127.0.0.1:8080\r\nUser-Agent: ApacheBench/2.3\r\nAccept: */*\r\n\r\n",
	"GET /index.html HTTP/1.0\r\nConnection: Keep-Alive\r\nHost: 127.0.0.1:8080\r\nUser-Agent: ApacheBench/2.3\r\n"
	"Accept: */*\r\n\r\n",
	"GET / HTTP/1.1\r\nhost: 127.0.0.1:8080\r\nuser-agent: h2load nghttp2/1.52.0\r\n\r\n",
	"GET /a?b=c HTTP/1.1\r\nHost: example.com\r\nUser-Agent: python-requests/2.28.1\r\nAccept-Encoding: gzip, "
	"deflate, "
	"br\r\nAccept: */*\r\nConnection: keep-alive\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: example.com\r\nUser-Agent: Go-http-client/1.1\r\nAccept-Encoding: gzip\r\n\r\n",
	/* ab with what a test of long heads adds to it */
	"GET /index.html HTTP/1.0\r\nConnection: Keep-Alive\r\nCookie: session=0123456789abcdef0123456789abcdef; "
	"theme=dark; a=0123456789012345678901234567890123456789012345678901234567890123456789; "
	"b=0123456789012345678901234567890123456789012345678901234567890123456789; "
	"c=0123456789012345678901234567890123456789012345678901234567890123456789; "
	"d=0123456789012345678901234567890123456789012345678901234567890123456789; "
	"e=0123456789012345678901234567890123456789012345678901234567890123456789; "
	"f=0123456789012345678901234567890123456789012345678901234567890123456789\r\n"
	"Host: 127.0.0.1:8080\r\nUser-Agent: ApacheBench/2.3\r\nAccept: */*\r\n\r\n",
	/* Chrome: a page, a picture */
	"GET / HTTP/1.1\r\nHost: localhost:8080\r\nConnection: keep-alive\r\nCache-Control: max-age=0\r\n"
	"sec-ch-ua: \"Chromium\";v=\"124\", \"Google Chrome\";v=\"124\", \"Not-A.Brand\";v=\"99\"\r\nsec-ch-ua-mobile: "
	"?0\r\n"
	"sec-ch-ua-platform: \"Linux\"\r\nUpgrade-Insecure-Requests: 1\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) "
	"AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36\r\nAccept: "
	"text/html,application/xhtml+xml,"
	"application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7\r\n"
	"Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1\r\nSec-Fetch-Dest: document\r\n"
	"Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en-US;q=0.9,en;q=0.8,de;q=0.7\r\n\r\n",
	"GET /images/logo.png?v=3 HTTP/1.1\r\nHost: www.example.com\r\nConnection: keep-alive\r\n"
	"sec-ch-ua-platform: \"Windows\"\r\nUser-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 "
	"(KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36\r\nsec-ch-ua: \"Chromium\";v=\"124\", \"Google "
	"Chrome\";v=\"124\", \"Not-A.Brand\";v=\"99\"\r\nsec-ch-ua-mobile: ?0\r\nAccept: "
	"image/avif,image/webp,image/apng,"
	"image/svg+xml,image/*,*/*;q=0.8\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: "
	"image\r\nReferer: http://www.example.com/\r\nAccept-Encoding: gzip, deflate\r\nAccept-Language: "
	"de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7\r\nCookie: _ga=GA1.1.123456789.1700000000; "
	"_gid=GA1.1.987654321.1700000001; "
	"consent=%7B%22analytics%22%3Atrue%7D\r\n\r\n",
	/* Firefox */
	"GET / HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:125.0) "
	"Gecko/20100101 "
	"Firefox/125.0\r\nAccept: "
	"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
	"Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\nConnection: keep-alive\r\n"
	"Upgrade-Insecure-Requests: 1\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: "
	"none\r\n"
	"Sec-Fetch-User: ?1\r\nDNT: 1\r\nSec-GPC: 1\r\nPriority: u=1\r\n\r\n",
	/* Safari */
	"GET /style.css HTTP/1.1\r\nHost: www.example.com\r\nAccept: text/css,*/*;q=0.1\r\nSec-Fetch-Site: "
	"same-origin\r\n"
	"Accept-Encoding: gzip, deflate\r\nSec-Fetch-Mode: no-cors\r\nAccept-Language: en-GB,en;q=0.9\r\nUser-Agent: "
	"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 "
	"Safari/605.1.15\r\nReferer: http://www.example.com/\r\nConnection: keep-alive\r\nSec-Fetch-Dest: "
	"style\r\n\r\n",
};

#endif
