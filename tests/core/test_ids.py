"""Identifiers that sort by time."""

from __future__ import annotations

import time

from core.ids import uuid7


def test_it_is_a_version_7_uuid_of_now() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid7()
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert before <= made.int >> 80 <= time.time_ns() // 1_000_000


def test_ids_of_one_millisecond_sort_in_the_order_they_were_made() -> None:
    made = []
    for _ in range(200):
        made.append(uuid7())
        time.sleep(0.000_005)
    assert made == sorted(made)
    assert len({one.int >> 80 for one in made}) < len(made)


def test_ids_of_the_same_instant_differ(monkeypatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_795_000_000_000_000_000)
    assert len({uuid7() for _ in range(1000)}) == 1000
