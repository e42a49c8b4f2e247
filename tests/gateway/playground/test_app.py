"""The playground's calls on a running server: who may make them, that they are calls like all
others, and the forms without scripts.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from providers.operations.images import white_square
from tests.fakes.provider import SOUND, TEXT, FakeProvider, Running
from tests.gateway.conftest import CHAT, KEY, WAV, Hub, running_hub

pytestmark = [pytest.mark.slow, pytest.mark.one_database]

PAGE = "/t/main/playground/"
CALL = f"{PAGE}call/chat.completions/"


class Person:
    """Somebody's browser, signed in through the form."""

    def __init__(self, hub: Hub, email: str, password: str) -> None:
        self.url = hub.server.url
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.get(f"{self.url}/accounts/login/", timeout=20)
        data = {"username": email, "password": password, "csrfmiddlewaretoken": self.token}
        answer = self.session.post(
            f"{self.url}/accounts/login/", data=data, timeout=20, allow_redirects=False
        )
        assert answer.status_code == 302, answer.text[:500]

    @property
    def token(self) -> str:
        return str(self.session.cookies["csrftoken"])

    def call(self, body: Any = None, *, path: str = CALL, **options: Any) -> requests.Response:
        """What the page's script sends."""
        headers = {"X-CSRFToken": self.token, "Origin": self.url} | options.pop("headers", {})
        if "files" not in options:
            options["json"] = body
        return self.session.post(
            self.url + path, headers=headers, timeout=30, allow_redirects=False, **options
        )

    def form(self, path: str = PAGE, files: Any = None, **fields: str) -> requests.Response:
        """What a form sends without scripts."""
        data = {"csrfmiddlewaretoken": self.token, **fields}
        return self.session.post(
            self.url + path, data=data, files=files, timeout=30, allow_redirects=False
        )


def question(model: str = CHAT, **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "Hello"}], **more}


@pytest.fixture
def owner(hub: Hub) -> Iterator[Person]:
    person = Person(hub, hub.server.owner, hub.server.password)
    yield person
    person.session.close()


@pytest.fixture(scope="module")
def others(shared_hub: Hub) -> dict[str, tuple[str, str]]:
    """E-mail and password of another workspace's owner, who is a stranger here."""
    made = json.loads(shared_hub.server.manage("shell", "-v", "0", "-c", _OTHERS))
    return {"stranger": (made["owner"], made["password"])}


# Who has signed in before, and chosen a password.
_OTHERS = """
from django.core.management import call_command
from tenants.models import User
call_command("init", workspace="globex", owner="globex@example.test", json=True)
User.objects.update(first_password_until=None)
"""


def record_of(hub: Hub, request_id: str) -> tuple[Any, ...]:
    hub.wait_for_record(request_id)
    sql = (
        f"SELECT user_id, app_key_id, app_key_name, stream, status, source, operation FROM "
        f"quotas_callrecord WHERE request_id = '{request_id}'"
    )
    return hub.rows(sql)[0]


# -------------------------------------------------------------------------------- calls of a script


def test_a_call_is_a_call_like_any_other_and_names_the_person(hub: Hub, owner: Person) -> None:
    answer = owner.call(question())
    assert answer.status_code == 200
    assert answer.json()["choices"][0]["message"]["content"] == TEXT
    assert answer.headers["x-modelkeep-source"] == "credential:Main"
    assert answer.headers["cache-control"] == "no-store"
    user, key, key_name, stream, status, source, operation = record_of(
        hub, answer.headers["x-request-id"]
    )
    assert (user, key, key_name) == (
        hub.rows("SELECT id FROM tenants_user WHERE email = 'owner@example.test'")[0][0],
        None,
        "",
    )
    assert (bool(stream), status, source, operation) == (
        False,
        "ok",
        "credential:Main",
        "chat.completions",
    )
    assert hub.fake.calls[-1].headers["authorization"] == f"Bearer {KEY}"


def test_a_stream_comes_piece_by_piece(hub: Hub, owner: Person) -> None:
    hub.fake.delay = 0.05
    try:
        answer = owner.call(question(stream=True), stream=True)
        assert answer.headers["content-encoding"] == "identity"
        assert answer.headers["x-accel-buffering"] == "no"
        assert answer.headers["cache-control"] == "no-store"
        times = [time.monotonic() for line in answer.iter_lines() if line.startswith(b"data:")]
    finally:
        hub.fake.delay = 0.0
    assert len(times) > 20
    assert times[-1] - times[0] > 0.5, "the pieces came all at once"


def test_who_leaves_stops_the_call_at_the_provider(hub: Hub, owner: Person) -> None:
    hub.fake.delay, hub.fake.frames = 0.05, 400
    try:
        answer = owner.call(question(stream=True), stream=True)
        request_id = answer.headers["x-request-id"]
        assert next(answer.iter_lines()).startswith(b"data:")
        assert hub.fake.open_streams == 1
        answer.close()
        assert record_of(hub, request_id)[4] == "cancelled"
        until = time.monotonic() + 5
        while hub.fake.open_streams and time.monotonic() < until:
            time.sleep(0.05)
        assert hub.fake.open_streams == 0
    finally:
        hub.fake.delay, hub.fake.frames = 0.0, 20


def test_a_provider_that_fails_is_told_with_the_requests_id(hub: Hub, owner: Person) -> None:
    answer = owner.call(question("openai/gpt@status:401"))
    assert answer.status_code == 502
    error = answer.json()["error"]
    assert (error["code"], error["request_id"]) == (
        "provider_auth_failed",
        answer.headers["x-request-id"],
    )
    assert KEY not in answer.text


def test_speech_is_heard_and_spoken(hub: Hub, owner: Person) -> None:
    files = {"file": ("recording.wav", WAV, "audio/wav"), "model": (None, "openai/whisper-1")}
    heard = owner.call(path=f"{PAGE}call/audio.transcriptions/", files=files)
    assert heard.json()["text"] == "What the fake provider heard."
    assert b"csrf" not in hub.fake.calls[-1].body.lower()
    spoken = owner.call(
        {"model": "openai/gpt-4o-mini-tts", "input": "Hello"}, path=f"{PAGE}call/audio.speech/"
    )
    assert (spoken.status_code, spoken.content) == (200, SOUND)


# ------------------------------------------------------------------------------------------ who may


def nothing_was_sent(hub: Hub) -> bool:
    return not hub.fake.calls


def test_without_a_token_nothing_is_sent(hub: Hub, owner: Person) -> None:
    assert owner.call(question(), headers={"X-CSRFToken": ""}).status_code == 403
    assert owner.call(question(), headers={"X-CSRFToken": "x" * 64}).status_code == 403
    assert owner.form(CALL).status_code == 403, "a form of another page cannot carry the header"
    assert nothing_was_sent(hub)


def test_another_origin_is_refused(hub: Hub, owner: Person) -> None:
    assert owner.call(question(), headers={"Origin": "https://evil.test"}).status_code == 403
    assert owner.call(question(), headers={"Origin": "null"}).status_code == 403
    assert owner.call(question(), headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert owner.call(question(), headers={"Sec-Fetch-Site": "same-site"}).status_code == 403
    assert nothing_was_sent(hub)


def test_a_stranger_finds_no_playground(hub: Hub, others: dict[str, tuple[str, str]]) -> None:
    stranger = Person(hub, *others["stranger"])
    for path in (CALL, f"{PAGE}call/audio.transcriptions/", CALL.replace("main", "no-such-one")):
        assert stranger.call(question(), path=path).status_code == 404
    assert (
        stranger.form(f"{PAGE}speech/", files={"file": ("a.wav", WAV * 60_000)}).status_code == 404
    )
    assert nothing_was_sent(hub)
    # The own workspace has nothing of the other one: no credential serves there.
    answer = stranger.call(question(), path=CALL.replace("main", "globex"))
    assert answer.status_code in (404, 424)
    assert nothing_was_sent(hub)


def test_who_is_not_signed_in_is_led_to_the_login(hub: Hub) -> None:
    for headers in ({}, {"Authorization": f"Bearer {hub.server.app_key}"}):
        answer = hub.session.post(
            hub.server.url + CALL,
            json=question(),
            headers=headers,
            timeout=20,
            allow_redirects=False,
        )
        assert answer.status_code == 302, "an app key opens no pages"
        assert answer.headers["location"].startswith("/accounts/login/")
    upload = {"file": ("a.wav", WAV, "audio/wav")}
    answer = hub.session.post(
        f"{hub.server.url}{PAGE}speech/", files=upload, timeout=20, allow_redirects=False
    )
    assert answer.headers["location"] == f"/accounts/login/?next={PAGE}speech/", (
        "back to the page, not to a call's address"
    )
    assert nothing_was_sent(hub)


def test_a_viewer_may_not_and_who_leaves_may_no_more(hub: Hub, owner: Person) -> None:
    change = (
        "UPDATE tenants_membership SET role = '{}' WHERE tenant_id = (SELECT id FROM "
        "tenants_tenant WHERE slug = 'main')"
    )
    hub.execute(change.format("viewer"))
    try:
        assert owner.call(question()).status_code == 403
        assert owner.form(model=CHAT, message="Hello").status_code == 403
        assert owner.session.get(owner.url + PAGE, timeout=20).status_code == 403
        hub.execute(change.format("editor"))
        assert owner.call(question()).status_code == 200
    finally:
        hub.execute(change.format("owner"))
    assert len(hub.fake.calls) == 1
    owner.session.cookies.clear()
    assert (
        owner.session.post(
            owner.url + CALL, json=question(), timeout=20, allow_redirects=False
        ).status_code
        == 302
    )


def test_what_is_no_call(hub: Hub, owner: Person) -> None:
    assert owner.session.get(owner.url + CALL, timeout=20).status_code == 405
    assert owner.call(question(), path=f"{PAGE}call/no.such/").status_code == 404
    assert owner.call(question(base_url="http://evil.test")).status_code == 400
    big = owner.session.post(
        owner.url + PAGE,
        data=b"x" * (3 * 1024 * 1024),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        timeout=20,
    )
    assert big.status_code == 413
    assert nothing_was_sent(hub)


# ---------------------------------------------------------------------------------- without scripts


def hidden(page: str, name: str) -> str:
    found = re.search(rf'<input type="hidden" name="{name}"(?: value="([^"]*)")?', page)
    assert found, f"no hidden field {name}"
    return (found[1] or "").replace("&quot;", '"').replace("&#x27;", "'").replace("&amp;", "&")


def test_a_conversation_without_scripts(hub: Hub, owner: Person) -> None:
    page = owner.form(model=CHAT, message="Hello", system="Be short.", **{"p-temperature": "0.5"})
    assert page.status_code == 200
    assert TEXT in page.text
    assert "9 + 7 tokens · " in page.text
    assert " · Main</span>" in page.text
    assert hub.fake.calls[-1].json()["temperature"] == 0.5
    history = hidden(page.text, "history")
    second = owner.form(
        model=CHAT, beside="anthropic/claude-haiku-4-5", message="And now?", history=history
    )
    assert second.status_code == 200
    sent = sorted(hub.fake.calls[1:], key=lambda seen: seen.path)
    assert [seen.path for seen in sent] == ["/v1/chat/completions", "/v1/messages"]
    assert [one["role"] for one in sent[0].json()["messages"]] == ["user", "assistant", "user"]
    again = owner.form(model=CHAT, action="retry", history=hidden(second.text, "history"))
    assert [one["content"] for one in hub.fake.calls[-1].json()["messages"]] == [
        "Hello",
        TEXT,
        "And now?",
    ]
    assert again.status_code == 200


def test_what_is_wrong_with_a_message_is_said(hub: Hub, owner: Person) -> None:
    assert "Write a message first." in owner.form(model=CHAT, message=" ").text
    for fields in (
        {"history": "{"},
        {"history": '[{"user": 1}]'},
        {"tools": "x"},
        {"p-temperature": "3"},
        {"model": "openai/nope"},
    ):
        answer = owner.form(**({"model": CHAT, "message": "Hello"} | fields))
        assert answer.status_code == 422, fields
    assert nothing_was_sent(hub)


def test_an_error_without_scripts(hub: Hub, owner: Person) -> None:
    page = owner.form(model="openai/gpt@status:401", message="Hello")
    assert page.status_code == 200
    assert "Key refused" in page.text
    request_id = re.search(r"request\s+([0-9a-f]{24})</code>", page.text)
    assert request_id
    assert record_of(hub, request_id[1])[4] == "error"
    assert KEY not in page.text


def test_embeddings_and_rerank_without_scripts(hub: Hub, owner: Person) -> None:
    page = owner.form(
        f"{PAGE}embeddings/", model="openai/text-embedding-3-small", texts="one\ntwo\n\n three "
    )
    assert hub.fake.calls[-1].json()["input"] == ["one", "two", "three"]
    assert page.text.count("1.000") == 9, "all the fake's vectors are the same"
    assert "0.1000, 0.2000, 0.3000" in page.text
    assert (
        owner.form(
            f"{PAGE}embeddings/", model="openai/text-embedding-3-small", texts="1\n2\n3\n4\n5\n6"
        ).status_code
        == 422
    )
    page = owner.form(
        f"{PAGE}rerank/",
        model="demo/demo-rerank",
        query="good coffee",
        documents="a chair\ngood coffee here",
    )
    assert page.text.index("good coffee here</th>") < page.text.index("a chair</th>")


def test_images_without_scripts(hub: Hub, owner: Person) -> None:
    asked = {"model": "demo/demo-image", "prompt": "A <lighthouse>", "n": "2", "size": "512x512"}
    page = owner.form(f"{PAGE}images/", **asked)
    assert page.text.count('src="data:image/png;base64,') == 2
    assert 'alt="A &lt;lighthouse&gt;"' in page.text
    assert 'download="image-2.png"' in page.text
    assert owner.form(f"{PAGE}images/", **{**asked, "n": "5"}).status_code == 422
    hub.fake.script("status:401")
    failed = owner.form(f"{PAGE}images/", **{**asked, "model": "openai/gpt-image-2"})
    assert "data:image" not in failed.text.partition('id="result"')[2]
    assert hub.fake.calls[-1].json() == {
        "model": "gpt-image-2",
        "prompt": "A <lighthouse>",
        "n": 2,
        "size": "512x512",
    }
    assert KEY not in failed.text


def test_pictures_are_changed_without_scripts(hub: Hub, owner: Person) -> None:
    picture = white_square().data
    asked = {"action": "edit", "model": "demo/demo-image", "prompt": "Make it <night>"}
    files = [("images", ("a.png", picture, "image/png")), ("mask", ("m.png", picture, "image/png"))]
    page = owner.form(f"{PAGE}images/", files=[files[0], *files], **asked)
    edited = page.text.partition('id="edited"')[2]
    assert edited.count('src="data:image/png;base64,') == 1
    assert 'alt="Make it &lt;night&gt;"' in edited
    assert 'id="result"' not in page.text
    hub.fake.script("status:401")
    failed = owner.form(f"{PAGE}images/", files=files, **{**asked, "model": "openai/gpt-image-2"})
    assert "data:image" not in failed.text.partition('id="edited"')[2]
    call = hub.fake.calls[-1]
    assert call.path == "/v1/images/edits"
    assert call.body.count(picture) == 2
    assert b'name="image"' in call.body
    assert b'name="mask"' in call.body
    assert KEY not in failed.text


@pytest.mark.parametrize(
    ("files", "field"),
    [
        ([], "images"),
        ([("images", ("a.png", b"", "image/png"))], "images"),
        ([("images", ("a.png", b"<svg onload=alert(1)>", "image/png"))], "images"),
        (
            [
                ("images", ("a.png", white_square().data, "image/png")),
                ("mask", ("<b>.png", b"text", "image/png")),
            ],
            "mask",
        ),
        ([("images", ("a.png", white_square().data, "image/png"))] * 17, "images"),
    ],
)
def test_what_is_no_picture_is_refused_before_any_call(
    hub: Hub, owner: Person, files: list[Any], field: str
) -> None:
    asked = {"action": "edit", "model": "openai/gpt-image-2", "prompt": "Make it night"}
    page = owner.form(f"{PAGE}images/", files=files, **asked)
    assert page.status_code == 422
    [wrong] = re.findall(r'<input[^>]*aria-invalid="true"[^>]*>', page.text)
    assert f'name="{field}"' in wrong
    assert "hx-preserve" not in wrong
    assert hub.fake.calls == []


def test_a_long_recording_without_scripts(hub: Hub, owner: Person) -> None:
    """Longer than any other form may be."""
    upload = {"file": ("long.wav", WAV + bytes(5 * 1024 * 1024), "audio/wav")}
    page = owner.form(f"{PAGE}speech/", files=upload, action="hear", model="openai/whisper-1")
    assert page.status_code == 200
    assert "What the fake provider heard." in page.text
    wrong = owner.form(
        f"{PAGE}speech/",
        files={"file": ("a.wav", b"<html>" * 9)},
        action="hear",
        model="openai/whisper-1",
    )
    assert wrong.status_code == 422
    refused = owner.session.post(
        owner.url + f"{PAGE}speech/", files=upload, data={"action": "hear"}, timeout=30
    )
    assert refused.status_code == 403, "the form's token counts here too"


def test_a_spoken_text_without_scripts(hub: Hub, owner: Person) -> None:
    answer = owner.form(
        f"{PAGE}speech/", action="speak", model="openai/gpt-4o-mini-tts", input="Hello"
    )
    assert (answer.headers["content-type"], answer.content) == ("audio/mpeg", SOUND)
    hub.fake.mode = "html"
    answer = owner.form(
        f"{PAGE}speech/", action="speak", model="openai/gpt-4o-mini-tts", input="Hello"
    )
    assert "It works!" not in answer.text, "a page of the provider is no page of ours"


def test_an_answers_markdown(owner: Person) -> None:
    answer = owner.session.post(
        owner.url + f"{PAGE}render/",
        data={"text": "**Hi** <script>x</script>"},
        headers={"X-CSRFToken": owner.token},
        timeout=20,
    )
    assert answer.text.strip() == "<p><strong>Hi</strong> &lt;script&gt;x&lt;/script&gt;</p>"
    assert (
        owner.session.post(owner.url + f"{PAGE}render/", data={"text": "x"}, timeout=20).status_code
        == 403
    )


# ------------------------------------------------------------------------------------------- trials


def test_a_trial_pays_until_it_is_used_up() -> None:
    with Running(FakeProvider()) as fake:
        for hub in running_hub(fake):
            values = {"api_key": KEY, "base_url": fake.url}
            hub.seed(
                plan={
                    "plan": "openai",
                    "models": {"gpt-3.5-turbo": 1},
                    "limit": 2,
                    "values": values,
                }
            )
            person = Person(hub, hub.server.owner, hub.server.password)
            first = person.call(question("openai/gpt-3.5-turbo", stream=True))
            assert first.headers["x-modelkeep-credits-remaining"] == "1"
            assert first.headers["x-modelkeep-source"] == "trial:openai"
            page = person.form(model="openai/gpt-3.5-turbo", message="Hello")
            assert "trial, 0 left" in page.text
            over = person.call(question("openai/gpt-3.5-turbo"))
            assert (over.status_code, over.json()["error"]["code"]) == (402, "trial_exhausted")
            page = person.form(model="openai/gpt-3.5-turbo", message="Hello")
            assert "Trial used up" in page.text
            assert "/settings/model-providers/openai/credentials/" in page.text
            assert hub.pool() == (2, 2, 0)
            hub.audit()
            person.session.close()


def test_who_leaves_pays_once_for_what_was_begun() -> None:
    with Running(FakeProvider()) as fake:
        for hub in running_hub(fake):
            values = {"api_key": KEY, "base_url": fake.url}
            hub.seed(
                plan={
                    "plan": "openai",
                    "models": {"gpt-3.5-turbo": 1},
                    "limit": 10,
                    "values": values,
                }
            )
            person = Person(hub, hub.server.owner, hub.server.password)
            fake.delay, fake.frames = 0.05, 400
            for _time in range(3):  # in the middle of a stream
                answer = person.call(question("openai/gpt-3.5-turbo", stream=True), stream=True)
                assert next(answer.iter_lines()).startswith(b"data:")
                answer.close()
                assert record_of(hub, answer.headers["x-request-id"])[4] == "cancelled"
            page = person.form(model="openai/gpt-3.5-turbo", message="Hello")
            assert "trial, 6 left" in page.text
            assert hub.pool() == (10, 4, 0)
            assert len(fake.calls) == 4
            hub.audit()
            person.session.close()
