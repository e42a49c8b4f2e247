"""Long bodies are counted, for each caller and for all, and forgotten when their call ends."""

from __future__ import annotations

from collections.abc import Hashable

import pytest

from gateway.dataplane.errors import Refusal
from gateway.dataplane.requests.held_bodies import COUNTED, MIB, HeldBodies, HeldBody

pytestmark = pytest.mark.one_database


def held(bodies: HeldBodies, caller: Hashable, size: int) -> HeldBody:
    body = HeldBody(bodies, caller)
    body.grow(size)
    return body


def test_a_caller_has_a_share() -> None:
    bodies = HeldBodies(80 * MIB)
    first = held(bodies, "greedy", 20 * MIB)
    with pytest.raises(Refusal) as refused:
        held(bodies, "greedy", 11 * MIB)
    assert (refused.value.status, refused.value.code) == (429, "too_many_bodies")
    assert refused.value.retry_after
    held(bodies, "other", 11 * MIB)
    first.release()
    held(bodies, "greedy", 30 * MIB)


def test_all_have_a_limit() -> None:
    bodies = HeldBodies(80 * MIB)
    several = [held(bodies, caller, 25 * MIB) for caller in range(3)]
    with pytest.raises(Refusal) as refused:
        held(bodies, "last", 6 * MIB)
    assert (refused.value.status, refused.value.code) == (503, "server_busy")
    several[0].release()
    held(bodies, "last", 6 * MIB)


def test_a_body_counts_as_it_grows_and_once() -> None:
    bodies = HeldBodies(8 * MIB)
    body = HeldBody(bodies, 1)
    for size in (COUNTED, MIB, 2 * MIB, 3 * MIB):
        body.grow(size)
    with pytest.raises(Refusal):
        body.grow(3 * MIB + 1)
    body.release()
    body.release()
    held(bodies, 1, 3 * MIB)


def test_short_bodies_do_not_count() -> None:
    bodies = HeldBodies(MIB)
    for _number in range(100):
        held(bodies, 1, COUNTED)
