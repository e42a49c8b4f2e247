"""The contract of every adapter, told as data: tests/providers/cases/<slug>.json (see tests/providers/case.py).

Each streamed case runs whole, split at every byte, with CRLF, with CR, with comments and without its last blank line.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from providers import registry
from providers.errors import ProviderError
from providers.spec import Operation
from providers.wire import tokens
from tests.providers import case as cases
from tests.providers import comparing
from tests.providers.case import ALL, PLAYED, Case, parameters
from tests.providers.driving import Outcome, at_once, drive, each_byte, run

STREAMS = [case for case in PLAYED if case.stream]


def crlf(stream: bytes) -> bytes:
    return stream.replace(b"\n", b"\r\n")


def carriage_returns(stream: bytes) -> bytes:
    return stream.replace(b"\n", b"\r")


def comments(stream: bytes) -> bytes:
    return b": hello\n\n" + stream.replace(b"\n\n", b"\n\n: ping\n:\nretry: 10\nid: 3\n\n")


def no_blank_line(stream: bytes) -> bytes:
    return stream.rstrip(b"\n")


def play(case: Case, frame: Callable[[bytes], bytes] = bytes, cut: Any = at_once) -> Outcome:
    """Runs the case's exchange. Raises ProviderError."""
    tokens._tokens.clear()
    provider, access = case.provider, case.access
    special = {"list_models": provider.list_models, "check": provider.check}.get(case.operation)
    if special is not None:
        return drive(lambda: special(provider, access), provider, case.replies(frame), secrets=list(access.values.values()))
    return run(provider, case.request, access, case.facts, case.replies(frame), cut=cut)


def check(case: Case, **options: Any) -> None:
    if "error" not in case.expect:
        comparing.compare(play(case, **options), case.expect)
        return
    with pytest.raises(ProviderError) as caught:
        play(case, **options)
    comparing.compare_error(caught.value, case.expect["error"])


@pytest.mark.parametrize("case", parameters(PLAYED))
def test_case(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("frame", [bytes, crlf, carriage_returns, comments, no_blank_line])
@pytest.mark.parametrize("case", parameters(STREAMS))
def test_stream_framed_and_split_at_every_byte(case: Case, frame: Callable[[bytes], bytes]) -> None:
    check(case, frame=frame)
    check(case, frame=frame, cut=each_byte)


def test_every_provider_has_cases_for_each_operation() -> None:
    for provider in registry.all_providers():
        told = [case for case in PLAYED if case.slug == provider.slug and not case.recorded]
        operations = {case.operation for case in told}
        assert operations & set(Operation) == set(provider.operations), provider.slug
        assert provider.local or any("error" in case.expect for case in told), provider.slug


def test_cases_hold_nothing_that_is_not_read() -> None:
    for case in ALL:
        assert case.told.keys() <= cases.KEYS, str(case)
        assert "not_supported" in case.told or case.told["expect"].keys() <= comparing.KEYS, str(case)
