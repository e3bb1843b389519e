/* SPDX-License-Identifier: GPL-2.0 */
/* Tickets and the request queue in memory that is shared with the programs. The test plays them: it moves a ticket
 * away from OFFERED as XDP (COUNTED) and tc (TAKEN) do. First the functions alone, then a whole slot. */
#include <criterion/criterion.h>

#include "slot.h"

#include "worker/wrk_priv.h"

static struct test_slot slot;
static struct answer answer;
static struct wrk_worker w;
static struct wrk_conn one, two;

static void make(void)
{
	slot_init(&slot, 2);
	slot_file(&slot, "hello.txt", "hello world\n", 12);
	slot_share(&slot);
	w.setup = &slot.setup;
	cr_assert_eq(wrk_tickets_init(&w), 0);
	one.key = (struct weir_flow_key){ .client_port = htons(1000), .server_port = htons(80) };
	one.consumed = 10;
	one.sent = 20;
	two = one;
	two.key.client.word[0] = 7;
	two.key.client.word[1] = 7; /* the same bucket, another connection */
}

static void clear(void)
{
	slot_fini(&slot);
}

static void stop(void)
{
	cr_assert_eq(slot_stop(&slot), 0);
}

TestSuite(ticket, .init = make, .fini = clear, .timeout = 30);
TestSuite(ticket_slot, .init = make, .fini = stop, .timeout = 30);

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a.test\r\n\r\n"

static struct weir_ticket *ticket_of(const struct wrk_conn *c)
{
	return &slot.tickets[weir_ticket_bucket(&c->key) * WEIR_TICKET_WAYS + c->ticket_way];
}

static void move(struct weir_ticket *t, enum weir_ticket_state to)
{
	uint32_t old = __atomic_load_n(&t->state, __ATOMIC_ACQUIRE);

	cr_assert_eq(old & 0xff, WEIR_TICKET_OFFERED);
	cr_assert(__atomic_compare_exchange_n(&t->state, &old, (old & ~0xffu) | to, false, __ATOMIC_ACQ_REL,
					      __ATOMIC_RELAXED));
}

Test(ticket, offer_says_where_the_connection_will_stand)
{
	struct weir_ticket *t;

	wrk_ticket_offer(&w, &one, 5);
	t = ticket_of(&one); /* the offer decides which of the bucket's */
	cr_assert_eq(t->state & 0xff, WEIR_TICKET_OFFERED);
	cr_assert_eq(t->consumed, 10);
	cr_assert_eq(t->sent, 25);
	cr_assert_eq(memcmp(&t->key, &one.key, sizeof(one.key)), 0);
	cr_assert_eq(weir_metrics_get(slot.setup.metrics, tickets), 1);
}

Test(ticket, withdrawn_offer_leaves_an_empty_slot)
{
	wrk_ticket_offer(&w, &one, 5);
	cr_assert_eq(wrk_ticket_withdraw(&w, &one), WRK_TICKET_NONE);
	cr_assert_eq(ticket_of(&one)->state, WEIR_TICKET_EMPTY);
	cr_assert_eq(wrk_ticket_withdraw(&w, &one), WRK_TICKET_NONE);
}

Test(ticket, withdrawal_finds_what_the_programs_did)
{
	wrk_ticket_offer(&w, &one, 5);
	move(ticket_of(&one), WEIR_TICKET_TAKEN);
	cr_assert_eq(wrk_ticket_withdraw(&w, &one), WRK_TICKET_TAKEN);
	cr_assert_eq(ticket_of(&one)->state, WEIR_TICKET_EMPTY);
	wrk_ticket_offer(&w, &one, 5);
	move(ticket_of(&one), WEIR_TICKET_COUNTED);
	cr_assert_eq(wrk_ticket_withdraw(&w, &one), WRK_TICKET_COUNTED);
	cr_assert_eq(ticket_of(&one)->state, WEIR_TICKET_EMPTY);
}

Test(ticket, every_offer_has_its_own_generation)
{
	uint32_t first;

	wrk_ticket_offer(&w, &one, 5);
	first = ticket_of(&one)->state;
	cr_assert_eq(wrk_ticket_withdraw(&w, &one), WRK_TICKET_NONE);
	wrk_ticket_offer(&w, &one, 5);
	cr_assert_neq(ticket_of(&one)->state, first);
}

/* Another connection in the same bucket as `one`. */
static struct wrk_conn colliding(unsigned number)
{
	struct wrk_conn c = one;

	c.key.client.word[0] = number;
	c.key.client.word[1] = number;
	cr_assert_eq(weir_ticket_bucket(&one.key), weir_ticket_bucket(&c.key));
	return c;
}

Test(ticket, as_many_as_a_bucket_holds_are_offered_at_once)
{
	struct wrk_conn c[WEIR_TICKET_WAYS];
	unsigned i;

	for (i = 0; i < WEIR_TICKET_WAYS; i++) {
		c[i] = colliding(i + 1);
		wrk_ticket_offer(&w, &c[i], 5);
	}
	for (i = 0; i < WEIR_TICKET_WAYS; i++)
		cr_assert_eq(ticket_of(&c[i])->state, c[i].ticket);
	for (i = 0; i < WEIR_TICKET_WAYS; i++) {
		move(ticket_of(&c[i]), WEIR_TICKET_COUNTED);
		cr_assert_eq(wrk_ticket_peek(&w, &c[i]), WRK_TICKET_COUNTED);
		cr_assert_eq(wrk_ticket_withdraw(&w, &c[i]), WRK_TICKET_COUNTED);
	}
}

Test(ticket, offer_in_a_full_bucket_takes_an_open_slot_only)
{
	struct wrk_conn c[WEIR_TICKET_WAYS];
	unsigned i, lost = 0;

	for (i = 0; i < WEIR_TICKET_WAYS; i++) {
		c[i] = colliding(i + 1);
		wrk_ticket_offer(&w, &c[i], 5);
	}
	wrk_ticket_offer(&w, &two, 5);
	cr_assert_neq(two.ticket, 0, "an offer may be overwritten");
	for (i = 0; i < WEIR_TICKET_WAYS; i++) {
		lost += ticket_of(&c[i])->state != c[i].ticket;
		cr_assert_eq(wrk_ticket_withdraw(&w, &c[i]), WRK_TICKET_NONE, "and then was not taken");
	}
	cr_assert_eq(lost, 1);
	cr_assert_eq(ticket_of(&two)->state, two.ticket, "the other one's stays");
	for (i = 0; i < WEIR_TICKET_WAYS - 1; i++) {
		wrk_ticket_offer(&w, &c[i], 5);
		move(ticket_of(&c[i]), i & 1 ? WEIR_TICKET_COUNTED : WEIR_TICKET_TAKEN);
	}
	move(ticket_of(&two), WEIR_TICKET_TAKEN);
	wrk_ticket_offer(&w, &one, 5);
	cr_assert_eq(one.ticket, 0, "a slot that was taken is its connection's until its worker saw it");
	cr_assert_eq(wrk_ticket_withdraw(&w, &two), WRK_TICKET_TAKEN);
	ticket_of(&two)->state = WEIR_TICKET_WRITING;
	wrk_ticket_offer(&w, &one, 5);
	cr_assert_eq(one.ticket, 0, "nor is one that another thread writes");
}

Test(ticket, addresses_are_in_one_slot_at_most)
{
	struct wrk_conn c[WEIR_TICKET_WAYS];
	struct wrk_conn again = one;
	unsigned i, n = 0;

	for (i = 0; i < WEIR_TICKET_WAYS - 1; i++) {
		c[i] = colliding(i + 1);
		wrk_ticket_offer(&w, &c[i], 5);
	}
	wrk_ticket_offer(&w, &one, 5);
	for (i = 0; i < WEIR_TICKET_WAYS - 1; i++)
		cr_assert_eq(wrk_ticket_withdraw(&w, &c[i]), WRK_TICKET_NONE);
	move(ticket_of(&one), WEIR_TICKET_TAKEN);
	for (i = 0; i < 5; i++)
		wrk_ticket_offer(&w, &again, 9);
	for (i = 0; i < WEIR_TICKETS; i++)
		n += memcmp(&slot.tickets[i].key, &one.key, sizeof(one.key)) == 0;
	cr_assert_eq(n, 1);
	cr_assert_eq(wrk_ticket_withdraw(&w, &one), WRK_TICKET_TAKEN);
}

Test(ticket, successor_with_the_same_addresses_shows_that_the_first_was_taken)
{
	struct wrk_conn successor = one;

	wrk_ticket_offer(&w, &one, 5);
	move(ticket_of(&one), WEIR_TICKET_TAKEN);
	wrk_ticket_offer(&w, &successor, 9);
	cr_assert_neq(successor.ticket, 0);
	cr_assert_eq(wrk_ticket_withdraw(&w, &one), WRK_TICKET_TAKEN);
	cr_assert_eq(ticket_of(&successor)->state, successor.ticket);
}

Test(ticket, queue_is_left_once_for_each_arrival)
{
	one.is_counted = true;
	wrk_queue_leave(&w, &one);
	wrk_queue_leave(&w, &one);
	cr_assert_eq(slot.queue->taken, 1);
	wrk_ticket_offer(&w, &one, 5);
	move(ticket_of(&one), WEIR_TICKET_COUNTED);
	wrk_queue_leave(&w, &one);
	wrk_queue_leave(&w, &one);
	cr_assert_eq(slot.queue->taken, 2);
	wrk_ticket_offer(&w, &one, 5);
	wrk_queue_leave(&w, &one);
	cr_assert_eq(slot.queue->taken, 2, "a withdrawn offer was never counted");
}

Test(ticket_slot, depth_is_zero_after_every_answer)
{
	struct weir_ticket *t;
	int fd, i;

	slot_start(&slot);
	fd = client_open(&slot);
	slot.queue->arrived++;
	cr_assert_eq(client_ask(fd, GET("/hello.txt"), &answer), 200);
	for (i = 0; i < 5; i++) {
		struct weir_flow_key key = client_flow(&slot, fd);

		t = slot_ticket(&slot, &key);
		move(t, WEIR_TICKET_COUNTED);
		slot.queue->arrived++;
		cr_assert_eq(client_ask(fd, GET("/hello.txt"), &answer), 200);
		cr_assert_eq(__atomic_load_n(&slot.queue->taken, __ATOMIC_ACQUIRE), slot.queue->arrived);
	}
	close(fd);
}

/* The request is counted, but still on its way to the socket when the worker ends idle connections. */
Test(ticket_slot, counted_request_is_answered_by_a_worker_that_ends)
{
	struct weir_flow_key key;
	int fd;

	slot_start(&slot);
	fd = client_open(&slot);
	slot.queue->arrived++;
	cr_assert_eq(client_ask(fd, GET("/hello.txt"), &answer), 200);
	key = client_flow(&slot, fd);
	move(slot_ticket(&slot, &key), WEIR_TICKET_COUNTED);
	slot.queue->arrived++;
	kill(slot.keeper, SIGTERM);
	(void)poll(NULL, 0, 150);
	cr_assert_eq(client_ask(fd, GET("/hello.txt"), &answer), 200);
	cr_assert(strstr(answer.head, "\r\nConnection: close\r\n"));
	cr_assert_eq(client_end(fd), 0);
	cr_assert(reaches((uint64_t *)&slot.queue->taken, 2));
	close(fd);
}
