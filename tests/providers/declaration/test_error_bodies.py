"""Long texts of a hostile server cost little time, whichever provider's error map reads them."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from providers.declaration import registry
from providers.declaration.error_bodies import LONGEST_TEXT, MAX_ERROR_BODY, shortened
from providers.declaration.errors import Failure, ProviderError
from providers.declaration.spec import Reply
from providers.wire.openai.errors import openai_errors

SECONDS = 0.05  # of processor time that one error may take
LENGTH = 100_000
WORDS = (
    *("model ", "the model '", "tokens ", "restricted ", "version", "gated repo", "not found "),
    *("retry after ", "resets in ~", "- input.", "context length ", "1", "(", " ", "a", "\n", '"'),
)


def bodies(text: str) -> list[dict[str, Any]]:
    """The forms in which providers send an error's text."""
    return [
        {"error": {"message": text, "type": text, "code": text, "param": text}},
        {"error": {"code": "x", "message": "model tokens " + text}},
        {"error": [text] * 3, "error_type": text},
        {"error": text, "error_description": text},
        {"object": "error", "message": text},
        {"detail": [{"msg": text, "loc": [text]}]},
        {"detail": text, "title": text},
        {"code": "InvalidParameter", "message": text},
        {"base_resp": {"status_code": 2013, "status_msg": text}},
        {"error_code": 336003, "error_msg": text},
        {"statusCode": 429, "message": text},
        {"code": 10163, "message": text, "header": {"code": 10163, "message": text}},
        {"choices": [{"finish_reason": "error", "error": {"message": text}}]},
    ]


@pytest.mark.slow
@pytest.mark.parametrize("slug", sorted(provider.slug for provider in registry.all_providers()))
def test_no_text_keeps_an_error_map_busy(slug: str) -> None:
    errors = registry.get(slug).errors
    for word in WORDS:
        text = (word * LENGTH)[:LENGTH]
        for body in bodies(text):
            data = json.dumps(body).encode()
            for status in (200, 400, 422):
                began = time.thread_time()
                found = errors(Reply(status, {"content-type": "application/json"}, data))
                assert time.thread_time() - began < SECONDS, (word, body.keys(), status)
                assert found is None or len(found.message) <= 6 * LONGEST_TEXT


def test_a_message_that_was_cut_off_is_still_read() -> None:
    errors = openai_errors()
    for end in ("a", "\\n", "\\u4e2d", '\\"', "中"):
        message = '{"error": {"code": "model_not_found", "message": "No model ' + end * LENGTH
        for size in range(MAX_ERROR_BODY, MAX_ERROR_BODY + 7):
            reply = Reply(404, {}, message.encode()[:size])
            assert errors(shortened(reply)).failure is Failure.MODEL_NOT_FOUND  # type: ignore[union-attr]  # it is an error


def test_what_is_short_or_no_json_stays() -> None:
    short = Reply(400, {}, b'{"error": {"message": "No"}}')
    assert shortened(short) is short
    page = b"<html>" + b"a" * LENGTH
    assert shortened(Reply(502, {}, page)).body == page[:LONGEST_TEXT]


def test_an_answer_keeps_the_parts_that_tell_it_from_an_error() -> None:
    answer = {
        "choices": [{"message": {"content": "a" * LENGTH}, "finish_reason": "stop"}] * 100,
        "usage": {"total_tokens": 7},
    }
    read = json.loads(shortened(Reply(200, {}, json.dumps(answer).encode())).body)
    assert read["usage"] == {"total_tokens": 7}
    assert read["choices"][0]["message"]["content"] == "a" * LONGEST_TEXT


def test_every_provider_has_a_bounded_map() -> None:
    long = json.dumps({"error": {"message": "model " * LENGTH}}).encode()
    for provider in registry.all_providers():
        error = provider.errors(Reply(400, {}, long))
        assert isinstance(error, ProviderError) or provider.local
        assert error is None or len(error.message) <= LONGEST_TEXT


def test_texts_that_cannot_be_written_again_are_cut() -> None:
    half = b'{"error":{"message":"\\ud800"},"x":[' + b",".join([b'{"a":1}'] * 80_000) + b"]}"
    assert shortened(Reply(200, {}, half)).body == half[:LONGEST_TEXT]
