"""What clients are told when there is no answer: every status of the table, OpenAI's shape, one
record per refused call.
"""

from __future__ import annotations

import csv
import io
import json
import socket
from typing import Any

import openai
import pytest
import requests

from tests.gateway.conftest import CHAT, KEY, WAV, Hub

pytestmark = [pytest.mark.slow, pytest.mark.one_database]

# Clients retry these statuses, which cannot help.
FINAL = {"provider_auth_failed", "provider_permission_denied", "provider_out_of_funds"}
MESSAGES = [{"role": "user", "content": "Hello"}]


def refused(response: requests.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    error: dict[str, Any] = response.json()["error"]
    assert set(error) == {"message", "type", "code", "param", "request_id"}
    assert error["code"] == code
    assert error["request_id"] == response.headers["x-request-id"]
    return error


@pytest.mark.parametrize(
    ("mode", "status", "code", "sdk_error"),
    [
        ("status:401", 502, "provider_auth_failed", openai.InternalServerError),
        ("status:403", 502, "provider_permission_denied", openai.InternalServerError),
        ("status:429:2", 429, "provider_rate_limited", openai.RateLimitError),
        ("status:429", 429, "provider_rate_limited", openai.RateLimitError),
        (
            "status:429::insufficient_quota",
            502,
            "provider_out_of_funds",
            openai.InternalServerError,
        ),
        (
            "status:400::context_length_exceeded",
            400,
            "context_length_exceeded",
            openai.BadRequestError,
        ),
        ("status:400::content_filter", 400, "content_filter", openai.BadRequestError),
        ("status:404::model_not_found", 404, "model_not_found", openai.NotFoundError),
        ("status:400", 400, "invalid_request", openai.BadRequestError),
        ("status:500", 502, "provider_error", openai.InternalServerError),
        ("status:503", 503, "provider_overloaded", openai.InternalServerError),
        ("close", 502, "provider_error", openai.InternalServerError),
        ("break", 502, "provider_error", openai.InternalServerError),
        ("html", 502, "provider_error", openai.InternalServerError),
        ("gzip:bomb", 502, "provider_error", openai.InternalServerError),
        ("redirect:http://127.0.0.1:1/", 502, "provider_error", openai.InternalServerError),
        ("endless", 502, "provider_error", openai.InternalServerError),
        ("body:200:not json", 502, "provider_error", openai.InternalServerError),
        ("hang", 504, "provider_timeout", openai.InternalServerError),
    ],
)
def test_failures_of_a_provider(
    hub: Hub, mode: str, status: int, code: str, sdk_error: type[openai.APIStatusError]
) -> None:
    hub.fake.mode = mode
    with pytest.raises(sdk_error) as caught:
        hub.sdk().chat.completions.create(model=CHAT, messages=MESSAGES)
    assert caught.value.status_code == status
    assert caught.value.code == code
    record = hub.wait_for_record(caught.value.response.headers["x-request-id"])
    [attempt] = record["attempt_log"]
    assert attempt["message"] in caught.value.message
    assert (record["status"], record["http_status"], record["error_code"], record["credits"]) == (
        "error",
        status,
        code,
        0,
    )
    assert record["attempts"] == 1
    headers = caught.value.response.headers
    assert headers.get("retry-after") == ("2" if mode == "status:429:2" else None)
    is_final = code in FINAL or status in (400, 404)
    assert headers.get("x-should-retry") == ("false" if is_final else None)


HOSTILE = f"=1+1 {KEY} \u202e<b>\x00{KEY[:12]}" + "word " * 1000


def test_the_providers_own_words_are_recorded(hub: Hub) -> None:
    error = {"message": HOSTILE, "param": f"tools[0].{KEY}\u2028x", "code": "invalid_value"}
    hub.fake.mode = "body:400:" + json.dumps({"error": error})
    response = hub.chat()
    record = hub.record(response)
    words, param = record["error_message"], record["error_param"]
    assert words.startswith("=1+1 [key]  <b> [key]word word")
    assert len(words) == 500
    assert param == "tools[0].[key] x"
    [attempt] = record["attempt_log"]
    assert (attempt["message"], attempt["param"]) == (words, param)
    assert response.json()["error"]["message"] == f"OpenAI: {words}"
    url = f"{hub.server.url}/api/v1/usage/calls/?request_id={response.headers['x-request-id']}"
    headers = {"Authorization": f"Bearer {hub.server.app_key}"}
    [told] = hub.session.get(url, headers=headers, timeout=30).json()["results"]
    assert (told["error_message"], told["error_param"]) == (words, param)
    assert told["attempt_log"] == [attempt]
    table = hub.session.get(f"{url}&format=csv", headers=headers, timeout=30).text
    [row] = csv.DictReader(io.StringIO(table))
    assert (row["error_message"], row["error_param"]) == (f"'{words}", param)
    assert KEY not in response.text + table


def test_what_this_server_refuses_is_recorded_with_the_field(hub: Hub) -> None:
    content = [{"type": "\u202e" + "x" * 900}]
    body = {"model": "anthropic/claude-haiku-4-5", "input": [{"role": "user", "content": content}]}
    record = hub.record(hub.post("/responses", body))
    assert record["error_param"] == "input[0].content[0]"
    assert record["error_message"].startswith("This provider does not support content of type")
    assert len(record["error_message"]) <= 500
    assert record["error_message"].isprintable()


def test_an_answer_has_no_words_of_a_failure(hub: Hub) -> None:
    record = hub.record(hub.chat())
    assert (record["status"], record["error_message"], record["error_param"]) == ("ok", None, None)


@pytest.mark.parametrize("stream", [False, True])
def test_a_compressed_answer_is_read_although_nobody_asked_for_it(hub: Hub, stream: bool) -> None:
    hub.fake.mode = "gzip"
    response = hub.chat(stream=stream)
    assert response.status_code == 200
    assert hub.record(response)["status"] == "ok"


@pytest.mark.parametrize("mode", ["status:500", "close", "break:0", "html", "hang"])
def test_a_stream_that_never_begins_is_an_error_with_a_status(hub: Hub, mode: str) -> None:
    hub.fake.mode = mode
    response = hub.chat(stream=True)
    assert response.status_code in (502, 504)
    assert response.headers["content-type"] == "application/json"
    assert hub.record(response)["status"] == "error"


@pytest.mark.parametrize("mode", ["error_in_stream", "long_line"])
def test_a_stream_that_fails_together_with_its_first_pieces_is_an_error_with_a_status(
    hub: Hub, mode: str
) -> None:
    hub.fake.script(mode)  # all in one write: nothing was passed on yet
    assert hub.chat(stream=True).status_code in (502, 503)


@pytest.mark.parametrize("mode", ["break:4", "break:15"])
def test_a_stream_that_fails_later_ends_with_an_error_event(hub: Hub, mode: str) -> None:
    hub.fake.script(mode)
    with hub.sdk().chat.completions.create(model=CHAT, messages=MESSAGES, stream=True) as stream:
        with pytest.raises(openai.APIError):
            list(stream)
        record = hub.wait_for_record(stream.response.headers["x-request-id"])
    assert (record["status"], record["usage_source"]) == ("error", "estimated")
    assert record["completion_tokens"] > 0


@pytest.mark.parametrize(
    "mode", ["bytes", "crlf", "comments", "pings", "multiline", "no_blank_line"]
)
def test_hostile_framing_is_read_all_the_same(hub: Hub, mode: str) -> None:
    hub.fake.script(mode)
    stream = hub.sdk().chat.completions.create(model=CHAT, messages=MESSAGES, stream=True)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    assert text.split() == [f"word{number}" for number in range(20)]


# ----------------------------------------------------------------------------------- what we refuse


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "missing_key"),
        ({"Authorization": "Bearer sk-something-else"}, 401, "malformed_key"),
        ({"Authorization": "Basic dXNlcjpwYXNz"}, 401, "malformed_key"),
    ],
)
def test_without_a_good_key_nothing_is_read(
    hub: Hub, headers: dict[str, str], status: int, code: str
) -> None:
    response = requests.post(
        hub.base + "/chat/completions", data=b"{" * 1000, headers=headers, timeout=10
    )
    refused(response, status, code)
    assert response.headers["www-authenticate"] == "Bearer"


def test_every_header_for_keys_works(hub: Hub) -> None:
    for name in ("x-api-key", "api-key", "x-goog-api-key"):
        headers = {name: hub.server.app_key}
        response = requests.get(hub.base + "/models", headers=headers, timeout=10)
        assert response.status_code == 200


def test_two_different_keys_are_refused(hub: Hub) -> None:
    other = hub.app_key("second")
    response = requests.get(
        hub.base + "/models",
        headers={"Authorization": f"Bearer {hub.server.app_key}", "x-api-key": other},
        timeout=10,
    )
    refused(response, 400, "two_keys")


def test_a_second_authorization_line_is_seen(hub: Hub) -> None:
    """Two header lines of one name: a server that reads the first and a proxy that reads the last
    must not differ.
    """
    other = hub.app_key("third")
    request = (
        f"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "
        f"{hub.server.app_key}\r\nAuthorization: Bearer {other}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", hub.server.port), timeout=10) as connection:
        connection.sendall(request.encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 400 ")


def test_a_key_without_the_scope_is_refused(hub: Hub) -> None:
    refused(hub.chat(key=hub.app_key(scopes="read")), 403, "key_scope")


@pytest.mark.parametrize("name", ["api_base", "base_url", "api_key", "extra_headers"])
def test_a_body_cannot_say_where_a_call_goes(hub: Hub, name: str) -> None:
    error = refused(hub.chat(**{name: "https://evil.example"}), 400, "invalid_request")
    assert error["param"] == name
    assert hub.fake.count == 0


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b'{"model": "a", "model": "b", "messages": []}',
        b'{"messages": NaN}',
        b'{"messages": "\xff"}',
        b"[" * 100_000,
        b'{"a": 1e999}',
        b'{"messages": [], "model": "x"}',
        b'{"messages": [{"role": 1}]}',
        b'{"messages": [{"role": "user", "content": "x"}], "stream": "yes"}',
        b'{"messages": [{"role": "user", "content": "x"}], "max_tokens": 0}',
        b'{"messages": [{"role": "user", "content": "x"}], "model": 5}',
    ],
)
def test_bad_bodies(hub: Hub, data: bytes) -> None:
    refused(
        hub.post(data=data, headers={"Content-Type": "application/json"}), 400, "invalid_request"
    )
    assert hub.fake.count == 0


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16"]
)
def test_other_media_types(hub: Hub, kind: str) -> None:
    refused(hub.post(data=b"{}", headers={"Content-Type": kind}), 415, "unsupported_media_type")


def test_an_announced_size_is_refused_before_the_body_comes(hub: Hub) -> None:
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "
        f"{hub.server.app_key}\r\n"
        "Content-Type: application/json\r\nContent-Length: 40000000\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", hub.server.port), timeout=10) as connection:
        connection.sendall(head.encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_a_body_that_grows_beyond_the_limit(hub: Hub) -> None:
    def pieces() -> Any:
        for _number in range(34):
            yield b" " * (1024 * 1024)

    response = hub.post(data=pieces(), headers={"Content-Type": "application/json"})
    refused(response, 413, "too_large")


def test_who_is_still_sending_is_told_that_the_body_is_too_large(hub: Hub) -> None:
    refused(hub.post(data=b" " * 33 * 1024 * 1024), 413, "too_large")


def test_endpoints_and_methods(hub: Hub) -> None:
    assert "/v1/chat/completions" in refused(hub.post("/nothing", {}), 404, "not_found")["message"]
    twice = refused(hub.post("/v1/chat/completions", {}), 404, "not_found")
    assert "twice" in twice["message"]
    for path in ("/chat/completions", "/models", "/embeddings/"):
        answer = requests.post(hub.base.removesuffix("/v1") + path, json={}, timeout=10)
        assert f"call /v1{path.rstrip('/')}" in refused(answer, 404, "not_found")["message"]
    response = requests.get(hub.base + "/chat/completions", timeout=10)
    refused(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "POST, OPTIONS"
    refused(requests.delete(hub.base + "/models", timeout=10), 405, "method_not_allowed")
    head = requests.head(
        hub.base + "/models", headers={"Authorization": f"Bearer {hub.server.app_key}"}, timeout=10
    )
    assert (head.status_code, head.content) == (200, b"")


def test_no_page_of_another_origin_is_let_in(hub: Hub) -> None:
    preflight = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    response = requests.options(hub.base + "/chat/completions", headers=preflight, timeout=10)
    assert response.status_code == 204
    assert not [name for name in response.headers if name.lower().startswith("access-control")]


def test_models_that_cannot_be_called(hub: Hub) -> None:
    refused(hub.chat("openai/nothing"), 404, "model_not_found")
    refused(hub.chat(None), 424, "not_configured")
    refused(hub.chat("openai/text-embedding-3-small"), 400, "invalid_request")
    refused(hub.chat("x" * 300), 400, "invalid_request")
    refused_call = hub.chat("openai/nothing")
    record = hub.record(refused_call)
    assert (record["model"], record["status"], record["http_status"], record["error_code"]) == (
        "openai/nothing",
        "error",
        404,
        "model_not_found",
    )


def test_uploads(hub: Hub) -> None:
    def upload(name: str, data: bytes, fields: dict[str, str] | None = None) -> requests.Response:
        return hub.post(
            "/audio/transcriptions",
            files={"file": (name, data)},
            data={"model": "openai/whisper-1"} | (fields or {}),
        )

    refused(upload("a.wav", b"MZ this is no audio"), 415, "unsupported_media_type")
    refused(upload("a.wav", WAV + bytes(25 * 1024 * 1024)), 413, "too_large")
    refused(upload("a.wav", WAV, {"base_url": "https://evil.example"}), 400, "invalid_request")
    refused(upload("a.wav", WAV, {"model[]": "openai/whisper-1"}), 400, "invalid_request")
    refused(
        hub.post("/audio/transcriptions", {"model": "openai/whisper-1"}),
        415,
        "unsupported_media_type",
    )
    assert hub.fake.count == 0
    assert upload("../../etc/passwd", WAV).status_code == 200
    assert b"../" not in hub.fake.calls[-1].body


def test_request_ids(hub: Hub) -> None:
    assert (
        hub.chat(headers={"X-Request-Id": "trace-1234567890"}).headers["x-request-id"]
        == "trace-1234567890"
    )
    made = hub.chat(headers={"X-Request-Id": "bad id\t"}).headers["x-request-id"]
    assert made != "bad id"
    assert len(made) == 24
