"""Every recording of real traffic is a case of its provider, or says why not; the table of them
ends the test run.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable

import pytest

from providers.declaration import registry
from tests.providers import recordings
from tests.providers.case import ALL, Case
from tests.providers.wire.test_contract import check, play

pytestmark = pytest.mark.skipif(not recordings.present(), reason=recordings.ABSENT)


def outcome_of(case: Case) -> str:
    """Empty where it passed."""
    if "not_supported" in case.told:
        return f"not supported: {case.told['not_supported']}"
    try:
        check(case)
    except Exception as problem:  # whatever it is, it stands in the table
        return f"failed: {type(problem).__name__}"
    return ""


def table(results: dict[str, dict[str, str]]) -> str:
    lines = [f"{'provider':<18} {'passed':>6} {'not supported':>14} {'failed':>7}"]
    notes: list[str] = []
    for slug, named in sorted(results.items()):
        words = [text.partition(":")[0] for text in named.values()]
        lines.append(
            f"{slug:<18} {words.count(''):>6} {words.count('not supported'):>14} "
            f"{words.count('failed'):>7}"
        )
        notes += [f"  {name:<46} {text}" for name, text in named.items() if text]
    return "\n".join([*lines, *notes])


def test_every_recording_passes_or_says_why_not(
    record_property: Callable[[str, object], None],
) -> None:
    told: dict[str, list[Case]] = defaultdict(list)
    for case in ALL:
        for name in case.recorded:
            told[name].append(case)
    found = {name: slug for slug, name in recordings.names()}
    results: dict[str, dict[str, str]] = defaultdict(dict)
    for name, slug in found.items():
        cases = [case for case in told[name] if case.slug == slug]
        results[slug][name] = (
            next(filter(None, map(outcome_of, cases)), "")
            if cases
            else "failed: there is no case for it"
        )
    record_property("recorded traffic", table(results))
    assert told.keys() <= found.keys()
    assert not [
        name
        for named in results.values()
        for name, text in named.items()
        if text.startswith("failed")
    ]


def test_thinking_can_be_replayed() -> None:
    """A signed thought of the stream goes back before the tool calls, as it came."""
    [thought] = [case for case in ALL if case.recorded == ["anthropic/stream_opus46_adaptive"]]
    message = play(thought).message
    [block] = message["provider_blocks"]
    assert (block["type"], block["thinking"]) == ("thinking", message["reasoning_content"])
    assert len(block["signature"]) > 50
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", **message},
        {"role": "user", "content": "more"},
    ]
    asked = Case(
        "anthropic", {"recorded": "anthropic/message_2024", "body": {"messages": messages}}
    )
    assert json.loads(play(asked).calls[0].body or b"")["messages"][1]["content"][0] == block


def test_every_folder_belongs_to_a_provider() -> None:
    assert {slug for slug, _name in recordings.names()} <= {
        provider.slug for provider in registry.all_providers()
    }
