/* SPDX-License-Identifier: GPL-2.0 */
/* Time limits: what each is called, how often it struck, and the one that a request in the queue has. */
#include "worker/wrk_priv.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "common/log.h"

#define LOG_MS 1000

/* The phrases are HTTP.sys's (httperr), but for Timer_Request, which it does not have. */
static const char *const phrases[WRK_LIMIT__MAX] = {
	[WRK_LIMIT_CONNECTION_IDLE] = "Timer_ConnectionIdle",
	[WRK_LIMIT_HEADER_WAIT] = "Timer_HeaderWait",
	[WRK_LIMIT_ENTITY_BODY] = "Timer_EntityBody",
	[WRK_LIMIT_MIN_BYTES_PER_SECOND] = "Timer_MinBytesPerSecond",
	[WRK_LIMIT_APP_POOL] = "AppPoolTimer",
	[WRK_LIMIT_REQUEST] = "Timer_Request",
};

void wrk_limit_note(struct wrk_worker *w, enum wrk_limit limit)
{
	struct weir_metrics_slot *m = w->setup->metrics;

	switch (limit) {
	case WRK_LIMIT_CONNECTION_IDLE:
		weir_metrics_add(m, timer_connection_idle, 1);
		break;
	case WRK_LIMIT_HEADER_WAIT:
		weir_metrics_add(m, timer_header_wait, 1);
		break;
	case WRK_LIMIT_ENTITY_BODY:
		weir_metrics_add(m, timer_entity_body, 1);
		break;
	case WRK_LIMIT_MIN_BYTES_PER_SECOND:
		weir_metrics_add(m, timer_min_bytes_per_second, 1);
		break;
	case WRK_LIMIT_APP_POOL:
		weir_metrics_add(m, timer_app_pool, 1);
		break;
	case WRK_LIMIT_REQUEST:
		weir_metrics_add(m, timer_request, 1);
		break;
	case WRK_LIMIT__MAX:
		return;
	}
	if (limit != WRK_LIMIT_APP_POOL)
		weir_metrics_add(m, timeouts, 1);
	__atomic_add_fetch(&w->noted[limit], 1, __ATOMIC_RELAXED);
}

void wrk_limits_log(struct wrk_worker *w, uint64_t now_ms, bool is_last)
{
	unsigned i;

	if (!is_last && now_ms < w->noted_ms + LOG_MS)
		return;
	w->noted_ms = now_ms;
	for (i = 0; i < WRK_LIMIT__MAX; i++) {
		uint32_t n = __atomic_exchange_n(&w->noted[i], 0, __ATOMIC_RELAXED);

		/* an idle connection's end is nobody's fault */
		if (n > 0)
			weir_log(i == WRK_LIMIT_CONNECTION_IDLE ? WEIR_LOG_DEBUG : WEIR_LOG_WARN,
				 "pool '%s': %s ended %u %s%s", w->setup->pool->name, phrases[i], n,
				 i == WRK_LIMIT_APP_POOL ? "request" : "connection", n == 1 ? "" : "s");
	}
}

bool wrk_request_is_stale(struct wrk_worker *w, struct wrk_conn *c)
{
	struct tcp_info info;
	socklen_t n = sizeof(info);

	if (getsockopt(wrk_conn_fd(&w->base->table, c), IPPROTO_TCP, TCP_INFO, &info, &n) < 0)
		return false;
	return info.tcpi_last_data_recv > w->setup->pool->queue_timeout_ms;
}
