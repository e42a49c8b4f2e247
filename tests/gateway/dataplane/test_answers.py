"""What the operator's account is asked for workspaces on a trial."""

from __future__ import annotations

import json

import pytest

from gateway.dataplane import answers
from gateway.dataplane.refusals import NoCredits
from providers.declaration.spec import Native, Operation, Request

pytestmark = pytest.mark.one_database


def passed_on(data: bytes, dialect: str = "responses") -> Request:
    native = Native(dialect, data, {}, dict)
    return Request(Operation.CHAT, "gpt-4o", json.loads(data), False, None, native=native)


@pytest.mark.parametrize(
    "data",
    [
        b'{"model": "m", "input": "Hi"} \n',
        b'{"model": "m", "input": "{\\"store\\": true}"}',
        b'{"model": "m", "input": "Hi", "store": true}',
        b'{"model": "m", "input": "Hi", "store": null}',
    ],
)
def test_openai_is_told_to_store_nothing(data: bytes) -> None:
    asked = answers.for_trial(passed_on(data))
    assert asked.native is not None
    assert json.loads(asked.native.data) == json.loads(data) | {"store": False}
    assert asked.body == json.loads(asked.native.data)


@pytest.mark.parametrize(
    ("data", "dialect"),
    [
        (b'{"model": "m", "store": false, "input": "Hi"}', "responses"),
        (b'{"model": "m", "messages": [], "max_tokens": 1}', "messages"),
    ],
)
def test_nothing_else_is_changed(data: bytes, dialect: str) -> None:
    request = passed_on(data, dialect)
    assert answers.for_trial(request) is request


def test_what_is_stored_is_refused() -> None:
    with pytest.raises(NoCredits):
        answers.for_trial(passed_on(b'{"model": "m", "input": [{"type": "item_reference"}]}'))
