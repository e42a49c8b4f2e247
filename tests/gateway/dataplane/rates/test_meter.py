"""Rates are counted exactly: in every minute, by all processes, whatever becomes of them."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Sequence

import pytest

from gateway.dataplane.rates.meter import Admitted, Meter, MeterFull, Standing
from tenants.limits.rates import Rate, rate_of

pytestmark = pytest.mark.one_database


def rate(key: int = 7, **limits: int) -> Rate:
    return Rate("app_key", key, limits.get("requests"), limits.get("tokens"), limits.get("calls"))


def admitted(meter: Meter, rates: Sequence[Rate], now: float, tokens: int = 0) -> Admitted:
    result = meter.admit(rates, tokens, now)
    assert isinstance(result, Admitted), result
    return result


def reached(meter: Meter, rates: Sequence[Rate], now: float, tokens: int = 0) -> Standing:
    result = meter.admit(rates, tokens, now)
    assert isinstance(result, Standing), result
    return result


@pytest.mark.parametrize("seed", range(4))
def test_no_minute_has_more_requests_and_the_wait_is_right(seed: int) -> None:
    dice, meter, limit = random.Random(seed), Meter(slots=64), 20
    now, sent = 1000.0 + seed / 3, []
    for _step in range(1500):
        now += dice.choice((0.001, 0.2, 1, 1, 7, 61)) * dice.random()
        result = meter.admit([rate(requests=limit)], 0, now)
        if isinstance(result, Admitted):
            sent.append(now)
            meter.release(result, 0, now)
            assert sum(now - 60 < moment for moment in sent[-limit - 1 :]) <= limit
        else:
            assert result.used == limit
            assert result.wait is not None
            assert 0 < result.wait <= 61
            now += result.wait
            meter.release(admitted(meter, [rate(requests=limit)], now), 0, now)
            sent.append(now)
    assert len(sent) > 300


def test_tokens_count_as_estimated_then_as_used() -> None:
    meter, of = Meter(slots=64), [rate(tokens=100)]
    first = admitted(meter, of, 10.0, tokens=60)
    assert reached(meter, of, 11.0, tokens=60).used == 60
    second = admitted(meter, of, 12.0, tokens=30)
    meter.release(first, 20, 13.0)  # less than it said
    meter.release(second, 70, 14.0)  # its answer counts when it ends
    full = reached(meter, of, 15.0, tokens=20)
    assert (full.used, full.measure, full.limit) == (90, "tokens_per_minute", 100)
    assert full.wait == 10 + 61 - 15
    assert reached(meter, of, 16.0, tokens=101).wait is None
    meter.release(admitted(meter, of, 10.0 + 61, tokens=20), None, 72.0)
    assert reached(meter, of, 80.0, tokens=81).used == 20, "the estimate, if nobody knows"


def test_a_prompt_without_tokens_waits_for_room_as_well() -> None:
    meter, of = Meter(slots=64), [rate(tokens=10)]
    meter.release(admitted(meter, of, 1.0), 25, 1.5)
    assert reached(meter, of, 2.0).used == 25


def test_calls_at_once() -> None:
    meter, of = Meter(slots=64), [rate(calls=2)]
    first, _second = (admitted(meter, of, 1.0) for _call in range(2))
    assert reached(meter, of, 1.5).measure == "calls_at_once"
    meter.release(first, 0, 400.0)
    assert reached(meter, [rate(calls=1)], 401.0).used == 1, "long calls stay counted"
    admitted(meter, of, 402.0)


def test_a_call_counts_for_all_its_rates_or_for_none() -> None:
    meter = Meter(slots=64)
    key, workspace = rate(1, requests=10), rate(2, requests=1)
    admitted(meter, [key, workspace], 5.0)
    for _again in range(20):
        assert reached(meter, [key, workspace], 6.0).rate == workspace
    for _more in range(9):
        admitted(meter, [key], 7.0)
    assert reached(meter, [key], 8.0).used == 10


def test_rates_of_others_are_left_alone() -> None:
    meter = Meter(slots=64)
    for owner in range(30):
        mine = rate_of("app_key", owner, {"requests_per_minute": 1})
        assert mine is not None
        admitted(meter, [mine], 5.0)
        reached(meter, [mine], 5.0)


def test_a_full_meter_says_so_and_reuses_what_is_idle() -> None:
    meter = Meter(slots=8)
    open_call = admitted(meter, [rate(1, requests=5)], 5.0)
    for key in range(2, 9):
        meter.release(admitted(meter, [rate(key, requests=5)], 5.0), 0, 5.0)
    with pytest.raises(MeterFull):
        meter.admit([rate(99, requests=5)], 0, 6.0)
    for key in range(100, 107):
        admitted(meter, [rate(key, requests=5)], 5.0 + 61)
    with pytest.raises(MeterFull):  # the eighth has a call under way
        meter.admit([rate(107, requests=5)], 0, 5.0 + 61)
    meter.release(open_call, 0, 70.0)


@pytest.mark.slow
def test_processes_share_a_limit() -> None:
    meter, now = Meter(slots=64), time.monotonic()
    meter.share(5)
    pipe = os.pipe()
    children = []
    for row in range(1, 5):
        child = os.fork()
        if not child:
            meter.use(row)
            results = [meter.admit([rate(requests=100)], 0, now) for _call in range(400)]
            count = sum(isinstance(result, Admitted) for result in results)
            os.write(pipe[1], count.to_bytes(4, "big"))
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    counts = [int.from_bytes(os.read(pipe[0], 4), "big") for _child in children]
    for end in pipe:
        os.close(end)
    assert sum(counts) == 100


@pytest.mark.slow
def test_what_a_killed_worker_had_open_is_forgotten() -> None:
    meter = Meter(slots=64)
    meter.share(3)
    ready = os.pipe()
    child = os.fork()
    if not child:
        meter.use(2)
        meter.admit([rate(calls=1)], 0, 1.0)
        os.write(ready[1], b"!")
        time.sleep(60)
        os._exit(0)
    assert os.read(ready[0], 1) == b"!"
    assert reached(meter, [rate(calls=1)], 2.0).used == 1
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    for end in ready:
        os.close(end)
    meter.take_back(2)
    admitted(meter, [rate(calls=1)], 2.0)
