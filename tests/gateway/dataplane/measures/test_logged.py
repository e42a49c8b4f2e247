"""The access line of a call says who made it, what answered and why it failed, and no secret."""

from __future__ import annotations

import time

import pytest
import requests

from tests.gateway.conftest import CHAT, Hub

pytestmark = [pytest.mark.slow, pytest.mark.one_database]


def line_of(hub: Hub, response: requests.Response) -> dict[str, str]:
    """Return the named fields of the line about a response, which is written just after it."""
    mark = f"[{response.headers['x-request-id']}] POST /v1/"
    until = time.monotonic() + 5
    while time.monotonic() < until:
        for line in hub.server.log.read_text(errors="replace").splitlines():
            if "modelkeep.access" in line and mark in line:
                assert hub.server.app_key not in line
                return dict(word.split("=", 1) for word in line.split() if "=" in word)
        time.sleep(0.02)
    raise AssertionError("no line")


def test_an_answered_call(hub: Hub) -> None:
    whole, stream = line_of(hub, hub.chat()), line_of(hub, hub.chat(stream=True))
    assert whole["workspace"] == hub.server.workspace
    assert (whole["provider"], whole["attempts"]) == (CHAT.partition("/")[0], "1")
    assert whole["key"] == stream["key"]
    assert int(stream["first_ms"]) >= 0
    assert "error" not in whole


def test_a_call_that_the_provider_refuses(hub: Hub) -> None:
    hub.fake.mode = "status:500"
    for stream in (False, True):
        line = line_of(hub, hub.chat(stream=stream))
        assert (line["error"], line["workspace"]) == ("provider_error", hub.server.workspace)
        assert line["reason"] == "provider_error"


def test_a_stream_that_breaks_off(hub: Hub) -> None:
    hub.fake.mode = "break:3"
    line = line_of(hub, hub.chat(stream=True))
    assert line["error"] == "provider_error"
    assert line["provider"]


def test_no_text_of_a_client_is_taken_for_a_model(hub: Hub) -> None:
    line = line_of(hub, hub.chat("sk-pasted-into-the-wrong field error=none"))
    assert line["error"] == "model_not_found"
    assert "model" not in line


def test_strangers_are_told_apart_by_their_code(hub: Hub) -> None:
    response = requests.post(f"{hub.base}/chat/completions", timeout=10)
    line = line_of(hub, response)
    assert "workspace" not in line
    assert line["error"] == response.json()["error"]["code"]
