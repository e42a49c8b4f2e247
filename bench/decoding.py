"""CPU of turning a provider's stream of 100 pieces of text into OpenAI's chunks, without sockets:
`python -m bench --only decoding`.

Measured is the whole exchange of an adapter: making the request, starting the decoder, feeding it
event by event, as they arrive. The streams of OpenAI's and Anthropic's formats come from the fake
provider; for the others, the first piece of text in a stream of tests/providers/cases is there a
hundred times.
"""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

PIECES = 100
RUNS = 200
GOALS = {"openai": 2.0, "anthropic": 6.0}  # milliseconds


def rows(factor: float = 1.0) -> list[tuple[str, ...]]:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django

    django.setup()
    found: list[tuple[str, ...]] = [("stream of 100 pieces", "CPU", "best run", "goal")]
    for name, run, goal in _streams():
        spent = _spent(run, int(RUNS * factor))
        found.append(
            (
                name,
                f"{statistics.median(spent):.2f} ms",
                f"{spent[0]:.2f} ms",
                f"{goal} ms" if goal else "-",
            )
        )
    return found


def _spent(run: Callable[[], Any], runs: int) -> list[float]:
    """Milliseconds of the process's CPU of each run, cheapest first; the collector of cycles is
    off, as in a call that makes none.
    """
    run()
    gc.disable()
    try:
        return sorted(_once(run) for _number in range(runs))
    finally:
        gc.enable()


def _once(run: Callable[[], Any]) -> float:
    before = time.process_time()
    run()
    return 1000 * (time.process_time() - before)


def _streams() -> Iterator[tuple[str, Callable[[], Any], float | None]]:
    """(name, what decodes it once, goal in milliseconds)."""
    from tests.fakes.framing import events_of
    from tests.fakes.provider import anthropic_frames, openai_frames
    from tests.providers.case import PLAYED, Case
    from tests.providers.wire.test_contract import play, stream_of

    made = {"openai": openai_frames("m", PIECES, True), "anthropic": anthropic_frames("m", PIECES)}
    for slug, frames in made.items():
        told = {
            "model": "m",
            "stream": True,
            "body": {"messages": [{"role": "user", "content": "Hi"}]},
        }
        case = Case(
            slug, told | {"replies": [{"events": [frame.decode() + "\n\n" for frame in frames]}]}
        )
        yield (
            f"{slug}: the fake provider's",
            _decoding(case, events_of(stream_of(case))),
            GOALS[slug],
        )
    seen = set()
    for case in PLAYED:
        if (
            case.stream
            and case.operation == "chat.completions"
            and "error" not in case.expect
            and stream_of(case)
            and not case.recorded
        ):
            made_calls: list[Any] = []
            play(case, made=made_calls)
            path = urlsplit(next(call.url for call in made_calls if call.stream)).path
            name = f"{case.slug}: {path.rpartition('/')[2]}"
            events = _lengthened(case, events_of(stream_of(case)))
            if events and name not in seen:
                seen.add(name)
                yield name, _decoding(case, events), None


def _decoding(case: Any, events: list[bytes]) -> Callable[[], Any]:
    from providers.wire import tokens
    from tests.providers.driving import run

    replies = case.replies(lambda _stream: b"".join(events))
    given = (case.provider, case.request, case.access, case.facts, replies)

    def decode() -> None:
        tokens._tokens.clear()  # what was fetched once would not be asked for again
        run(*given, cut=lambda _body: events)

    return decode


def _lengthened(case: Any, events: list[bytes]) -> list[bytes]:
    """The stream with its first piece of text a hundred times; empty where that cannot be, such as
    beside a sum of its pieces.
    """
    from providers.declaration.errors import ProviderError
    from tests.providers.wire.test_contract import play

    def characters(told: list[bytes]) -> int:
        try:
            return len(
                play(case, frame=lambda _stream: b"".join(told)).message.get("content") or ""
            )
        except ProviderError:
            return 0

    usual = characters(events)
    for number, event in enumerate(events):
        long = [*events[:number], *[event] * PIECES, *events[number + 1 :]]
        if characters(long) > usual:
            return long
    return []
