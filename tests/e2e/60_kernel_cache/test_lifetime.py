# SPDX-License-Identifier: GPL-2.0
"""Entries that end, age and are refreshed. What the kernel holds is told from what a worker sends by its body."""
import threading

import pytest

from caching import FROM_KERNEL, OLD_DATE, now, value
from harness.servers import wait_for

TARGET = "/there-is-none.txt"  # what workers answer is not cached
FROM_WORKER = b"404 Not Found\n"


def clients(caching, count, until):
    """`count` clients ask in a loop until a time. What each answer was, and when it was asked for and complete."""
    answers, failures = [], []

    def client():
        try:
            connection = caching.connect()
            while now() < until:
                asked = now()
                body = caching.ask(TARGET, connection).body
                answers.append((body, asked, now()))
            connection.close()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=client) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert {body for body, *_ in answers} <= {FROM_KERNEL, FROM_WORKER}
    return answers


def test_entry_ends_when_it_is_due(caching):
    """Under load, on connections that XDP owns: no byte of it is asked for after its end."""
    due = caching.publish(TARGET, ttl_ms=1500)
    answers = clients(caching, 4, due + 0.5)
    stale = [(asked - due) for body, asked, _ in answers if body == FROM_KERNEL and asked > due]
    early = [(done - due) for body, _, done in answers if body != FROM_KERNEL and done < due]
    assert not stale and not early, (stale[:3], early[:3])
    assert sum(body == FROM_KERNEL for body, *_ in answers) > 100
    assert sum(body != FROM_KERNEL for body, *_ in answers) > 4
    assert caching.count("reason_expired")[0] >= 1


def test_one_request_refreshes_while_others_get_the_stale_answer(caching):
    """The worker publishes nothing in its place: the entry stays stale, one request in refresh_ms goes up."""
    due = caching.publish(TARGET, ttl_ms=300, grace_ms=60000, refresh_ms=60000)
    before = caching.count("requests", "stale", "reason_refresh")
    answers = clients(caching, 8, due + 1)
    refreshes = [asked for body, asked, _ in answers if body != FROM_KERNEL]
    # the connection that was passed up is taken back with its next request
    assert len(refreshes) == 1 and refreshes[0] > due - 0.1
    requests, stale, reason = [b - a for a, b in zip(before, caching.count("requests", "stale", "reason_refresh"))]
    assert (requests, reason) == (1, 1)
    assert 100 < sum(body == FROM_KERNEL and asked > due for body, asked, _ in answers) <= stale
    assert stale <= sum(body == FROM_KERNEL and done > due for body, _, done in answers)
    row = caching.entry(TARGET)
    assert row["stale_until"] - row["expires"] == 60


def test_refresh_that_brings_nothing_is_tried_again(caching):
    due = caching.publish(TARGET, ttl_ms=100, grace_ms=60000, refresh_ms=200)
    answers = clients(caching, 8, due + 1.1)
    last = max(done for *_, done in answers)
    refreshes = sum(body != FROM_KERNEL for body, *_ in answers)
    assert 2 <= refreshes <= (last - due) / 0.2 + 1
    assert caching.count("reason_refresh") == [refreshes]


def test_refreshed_entry_is_fresh_for_all(caching):
    due = caching.publish(TARGET, ttl_ms=100, grace_ms=60000, refresh_ms=60000)
    wait_for("the entry is stale", lambda: now() > due)
    assert caching.ask(TARGET).body == FROM_WORKER  # the one that goes up
    assert caching.ask(TARGET).body == FROM_KERNEL
    caching.publish(TARGET, ttl_ms=60000, body="new")
    before = caching.count("requests", "stale")
    assert [caching.ask(TARGET).body for _ in range(5)] == [b"new"] * 5
    assert caching.count("requests", "stale") == before


def test_nothing_is_served_after_the_grace(caching):
    due = caching.publish(TARGET, ttl_ms=100, grace_ms=400, refresh_ms=60000)
    answers = clients(caching, 4, due + 1)
    assert not [asked for body, asked, _ in answers if body == FROM_KERNEL and asked > due + 0.4]


def test_age_counts_and_date_is_the_origins(caching):
    start = now()
    caching.publish(TARGET, ttl_ms=60000, has_age=1, age_s=100)
    published = now()
    connection = caching.connect()
    seen = set()
    while len(seen) < 3:
        asked = now()
        answer = caching.ask(TARGET, connection)
        assert answer.body == FROM_KERNEL and value(answer, "Date") == OLD_DATE
        age = value(answer, "Age")
        assert len(age) == 10 and int(asked - published) + 100 <= int(age) <= int(now() - start) + 100
        seen.add(int(age))
    answer = caching.ask(TARGET, connection, If_None_Match=value(answer, "ETag"))
    assert answer.status == 304 and int(value(answer, "Age")) >= max(seen) and value(answer, "Date") == OLD_DATE
    assert caching.entry(TARGET)["age"] >= 102


@pytest.mark.parametrize("status", [301, 404, 410])
def test_redirects_and_errors_are_answered_whatever_the_condition(caching, status):
    caching.publish(TARGET, ttl_ms=60000, status=status)
    for fields in ({}, {"If_None_Match": '"16"'}, {"If_Modified_Since": "Fri, 04 Nov 1994 10:11:12 GMT"}):
        answer = caching.ask(TARGET, **fields)
        assert (answer.status, answer.body) == (status, FROM_KERNEL)
    assert caching.count("not_modified", "requests") == [0, 0]


def test_directives_of_the_request_are_the_workers(caching):
    caching.publish(TARGET, ttl_ms=60000)
    assert caching.ask(TARGET).body == FROM_KERNEL
    assert caching.ask(TARGET, Cache_Control="no-cache").body == FROM_WORKER
    assert caching.ask(TARGET, Pragma="no-cache").body == FROM_WORKER
    assert caching.count("reason_directives") == [2]


def test_handler_that_publishes_refreshes(caching):
    """A worker that puts its response there while the old one is stale ends that."""
    due = caching.publish("/small.txt", ttl_ms=100, grace_ms=60000, refresh_ms=60000)
    wait_for("the entry is stale", lambda: now() > due)
    before = caching.count("requests", "stale")
    assert [caching.ask("/small.txt").body for _ in range(10)] == [caching.site.files["small.txt"]] * 10
    assert [b - a for a, b in zip(before, caching.count("requests", "stale"))] == [1, 0]
    assert caching.entry("/small.txt")["expires"] is None
