"""The contract of every adapter, told as data: tests/providers/cases/<slug>.json (see
tests/providers/case.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from providers.declaration import registry
from providers.declaration.errors import ProviderError
from providers.declaration.spec import Call, Operation
from providers.wire import http, tokens
from tests.fakes import framing
from tests.fakes.framing import at_once
from tests.providers import case as cases
from tests.providers import comparing
from tests.providers.case import ALL, PLAYED, Case, parameters
from tests.providers.driving import Outcome, drive, run


def play(
    case: Case,
    frame: Callable[[bytes], bytes] = bytes,
    cut: Any = at_once,
    made: list[Call] | None = None,
) -> Outcome:
    """Runs the case's exchange. made: gets its calls. Raises ProviderError."""
    tokens._tokens.clear()
    http.unversioned.clear()
    provider, access = case.provider, case.access
    special = {"list_models": provider.list_models, "check": provider.check}.get(case.operation)
    if special is not None:
        return drive(
            lambda: special(provider, access),
            provider,
            case.replies(frame),
            secrets=list(access.values.values()),
        )
    return run(provider, case.request, access, case.facts, case.replies(frame), cut=cut, made=made)


def check(case: Case, *, without: tuple[str, ...] = (), **options: Any) -> None:
    """without: what is not expected this time."""
    if "error" not in case.expect:
        comparing.compare(
            play(case, **options),
            {name: value for name, value in case.expect.items() if name not in without},
        )
        return
    with pytest.raises(ProviderError) as caught:
        play(case, **options)
    comparing.compare_error(caught.value, case.expect["error"])


@pytest.mark.parametrize("case", parameters(PLAYED))
def test_case(case: Case) -> None:
    check(case)


# How a stream looks must not matter.

STREAMS = [case for case in PLAYED if case.stream]
WHOLE_STREAMS = [case for case in STREAMS if "error" not in case.expect]


def stream_of(case: Case) -> bytes:
    """The case's event stream; empty where its provider has none."""
    return next(
        (
            reply.body
            for reply in case.replies()
            if "text/event-stream" in reply.headers.get("content-type", "")
        ),
        b"",
    )


CUTS = (framing.at_once, framing.each_byte, framing.each_line, framing.in_sevens)


@pytest.mark.slow  # a thousand made-up streams
@pytest.mark.parametrize("case", parameters(STREAMS))
def test_stream_framed_and_cut_in_all_ways(case: Case) -> None:
    """Every frame meets every cut with a quarter of the cases."""
    first = STREAMS.index(case)
    for number, frame in enumerate(framing.HOSTILE, first + first // len(CUTS)):
        check(case, frame=frame, cut=CUTS[number % len(CUTS)])


USAGES: dict[str, dict[str, bool]] = {
    "in every chunk": {"everywhere": True},
    "with the finish": {"at_finish": True},
    "in a chunk of its own": {"alone": True},
    "twice": {"at_finish": True, "alone": True},
    "in every chunk and one of its own": {"everywhere": True, "alone": True},
}


@pytest.mark.parametrize("case", parameters(WHOLE_STREAMS))
def test_usage_counts_wherever_a_stream_tells_it(case: Case) -> None:
    usage = framing.usage_of(stream_of(case))
    if usage is None:
        return
    for places in USAGES.values():
        check(
            case,
            frame=lambda stream, places=places: framing.with_usage(stream, usage, **places),
            without=("usage_only",),
        )


BROKEN = (
    b'data: {"error":{"message":"It broke","type":"server_error","param":null,"code":null}}\n\n'
)


@pytest.mark.parametrize("case", parameters(WHOLE_STREAMS))
def test_an_error_in_mid_stream_is_an_error(case: Case) -> None:
    events = framing.events_of(stream_of(case))
    if len([event for event in events if framing.chunk_of(event)]) > 1:
        with pytest.raises(ProviderError) as caught:
            play(case, frame=lambda _stream: b"".join([events[0], BROKEN, *events[1:]]))
        assert "It broke" in caught.value.message


@pytest.mark.parametrize("case", parameters(WHOLE_STREAMS))
def test_half_a_stream_is_no_answer(case: Case) -> None:
    events = framing.events_of(stream_of(case))
    if len(events) > 3:
        with pytest.raises(ProviderError):
            play(case, frame=lambda _stream: b"".join(events[: len(events) // 3]))


def test_every_provider_has_cases_for_each_operation() -> None:
    for provider in registry.all_providers():
        told = [case for case in PLAYED if case.slug == provider.slug and not case.recorded]
        operations = {case.operation for case in told}
        assert operations & set(Operation) == set(provider.operations), provider.slug
        assert provider.local or any("error" in case.expect for case in told), provider.slug


def test_cases_hold_nothing_that_is_not_read() -> None:
    for case in ALL:
        assert case.told.keys() <= cases.KEYS, str(case)
        assert "not_supported" in case.told or case.told["expect"].keys() <= comparing.KEYS, str(
            case
        )
