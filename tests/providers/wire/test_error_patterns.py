"""Errors that a server has written to keep the patterns that read them busy."""

from __future__ import annotations

import json
import time
from contextlib import suppress

import pytest

from providers.declaration.registry import all_providers
from providers.declaration.spec import Provider, Reply

pytestmark = [pytest.mark.one_database, pytest.mark.slow]
LENGTH = 64 * 1024  # of an error's body, which is read no further
# What the patterns look for, many times over.
WORDS = (
    *("version", "restricted ", "model ", "the model ", " model '", "not found ", " is not ", "'"),
    *(
        "resets in ~",
        "retry after ",
        "try again in ",
        "please wait ",
        "tokens ",
        "limit ",
        "1",
        "(",
    ),
    *(
        "context length ",
        "maximum ",
        "- input.",
        "parameter ",
        "unsupported ",
        "invalid ",
        '"',
        " ",
    ),
    *("quota ", "balance ", "gated repo", "key ", "{", "sk-"),
)


def bodies(text: str) -> tuple[object, ...]:
    return (
        {"error": {"message": text, "type": text[:50], "code": "x"}},
        {"detail": text},
        {"base_resp": {"status_code": 2013, "status_msg": text}},
        {"error_msg": text, "error_code": 336003},
    )


@pytest.mark.parametrize("provider", all_providers(), ids=lambda provider: provider.slug)
def test_no_text_keeps_a_provider_busy(provider: Provider) -> None:
    worst, where = 0.0, ""
    for word in WORDS:
        for number, body in enumerate(bodies((word * LENGTH)[:LENGTH])):
            reply = Reply(
                400 if number else 429,
                {"content-type": "application/json"},
                json.dumps(body).encode(),
            )
            began = time.process_time()
            with suppress(Exception):  # the answer is for other tests
                provider.errors(reply)
            worst, where = max((worst, where), (time.process_time() - began, f"{word!r} {number}"))
    assert worst < 0.05, where
