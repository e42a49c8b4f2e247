"""No secret leaves its place: a whole server is used with marked secrets, and everything it wrote
and answered is searched.

The same search runs over every answer and log line of all other tests (tests/canary.py,
tests/conftest.py).
"""

from __future__ import annotations

import base64
import json
import logging
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from typing import Any

import html5lib
import pytest

from tests import canary
from tests.factories import MARK, marked_secret
from tests.fakes.provider import FakeProvider, Running
from tests.server import Server

SECRET = "sk-Zx9+canary/of~the=hub%42"


@pytest.mark.parametrize("before", ["", "a", "ab", "abc"])
@pytest.mark.parametrize("after", ["", "z", "yz"])
def test_the_search_finds_every_form(before: str, after: str) -> None:
    text = f"{before}{SECRET}{after}".encode()
    assert canary.find(text, [SECRET])
    assert canary.find(text[::-1], [SECRET])
    assert canary.find(text.hex(), [SECRET])
    assert canary.find(text.hex().upper(), [SECRET])
    assert canary.find(base64.b64encode(text), [SECRET])
    assert canary.find(base64.urlsafe_b64encode(text), [SECRET])
    assert canary.find(urllib.parse.quote(text, safe=""), [SECRET])
    assert canary.find("".join(f"%{byte:02X}" for byte in text), [SECRET])


def test_the_search_finds_nothing_where_nothing_is() -> None:
    harmless = (
        b"sk-Zx9+canary/of~the=hub%4 "
        + base64.b64encode(b"something else altogether")
        + b"0123456789abcdef" * 8
    )
    assert canary.find(harmless, [SECRET]) == []


def test_the_watch_sees_log_lines_and_tracebacks(no_secret_shown: list[str]) -> None:
    with canary.watching() as found:
        logging.getLogger("somewhere").warning("the key is %s", marked_secret())
        try:
            raise ValueError(marked_secret())
        except ValueError:
            logging.getLogger("elsewhere").exception("failed")
        logging.getLogger("fine").warning("nothing to see")
    assert [line.split(" (")[0] for line in found] == [
        "a log line of somewhere",
        "a log line of elsewhere",
    ]
    assert no_secret_shown == found
    no_secret_shown.clear()  # every test is watched, this one included


@dataclass
class Visitor:
    """Talks to the server and keeps every answer. `session` is a browser's."""

    server: Server
    answers: list[tuple[str, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.session = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))

    def send(
        self,
        method: str,
        path: str,
        *,
        key: str = "",
        data: Any = None,
        form: dict[str, str] | None = None,
    ) -> tuple[int, bytes]:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        body = None
        if data is not None:
            body, headers["Content-Type"] = json.dumps(data).encode(), "application/json"
        if form is not None:
            body = urllib.parse.urlencode(form).encode()
        request = urllib.request.Request(self.server.url + path, body, headers, method=method)
        try:
            with self.session.open(request, timeout=60) as answer:
                status, content, head = answer.status, answer.read(), str(answer.headers)
        except urllib.error.HTTPError as answer:
            status, content, head = answer.code, answer.read(), str(answer.headers)
        self.answers.append((f"{method} {path}", head.encode() + content))
        return status, content

    def post_form(self, path: str, **values: str) -> tuple[int, bytes]:
        """Open a page and send its form back with `values`."""
        _status, page = self.send("GET", path)
        inputs = html5lib.parse(page.decode(), namespaceHTMLElements=False).iter("input")
        token = next(
            one.attrib["value"] for one in inputs if one.attrib.get("name") == "csrfmiddlewaretoken"
        )
        return self.send("POST", path, form={"csrfmiddlewaretoken": token, **values})

    def forget_last(self) -> None:
        """The last answer was to show a secret, once."""
        self.answers.pop()


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeProvider]:
    with Running(FakeProvider()) as running:
        yield running


@pytest.fixture(scope="module")
def server(fake: FakeProvider) -> Iterator[Server]:
    with Server(env={"MODELKEEP_EGRESS_ALLOW": fake.url, "LOG_LEVEL": "DEBUG"}) as running:
        yield running


def use_everything(visitor: Visitor, fake: FakeProvider, key: str) -> dict[str, str]:
    """Work through the server with secrets that are accepted, refused and mistyped; the secrets, by
    what they are.
    """
    stored, refused, prompt = (
        marked_secret("stored key"),
        marked_secret("refused key"),
        marked_secret("prompt", prefix="Dear model, "),
    )
    credentials = "/api/v1/providers/openai_compatible/credentials/"
    base = {"base_url": fake.url + "/v1"}
    status, body = visitor.send(
        "POST", credentials, key=key, data={"name": "Main", "values": {"api_key": stored, **base}}
    )
    assert status == 201, body
    fake.script("status:401")
    status, body = visitor.send(
        "POST", credentials, key=key, data={"name": "Bad", "values": {"api_key": refused, **base}}
    )
    assert status == 422, body
    assert any(refused in str(call.headers) for call in fake.calls), (
        "the provider never saw the key, so nothing was tried"
    )
    status, body = visitor.send(
        "POST",
        credentials,
        key=key,
        data={"name": "Odd", "values": {"api_key": refused + " with blanks", **base}},
    )
    assert status == 400, body
    status, body = visitor.send(
        "POST",
        "/api/v1/providers/openai_compatible/models/",
        key=key,
        data={"model": "gpt-4o", "type": "reasoning", "values": {}},
    )
    assert status in (201, 409), body
    chat = {"model": "openai_compatible/gpt-4o", "messages": [{"role": "user", "content": prompt}]}
    for mode in ("ok", "status:401", "status:500", "html", "close"):
        fake.script(*[mode] * 4)
        visitor.send("POST", "/v1/chat/completions", key=key, data=chat)
        fake.reset()
    visitor.send("POST", "/v1/chat/completions", key=key, data={**chat, "stream": True})
    visitor.send("POST", "/v1/chat/completions", key=key, data={**chat, "api_key": refused})
    visitor.send("GET", f"/api/v1/providers/?key={stored}", key=key)
    visitor.send("GET", f"/no-such-page?api_key={stored}")
    return {"stored key": stored, "refused key": refused, "prompt": prompt}


def look_around(visitor: Visitor, key: str) -> None:
    workspace = f"/t/{visitor.server.workspace}/"
    pages = (
        "",
        "settings/model-providers/",
        "settings/model-providers/openai_compatible/",
        "settings/default-models/",
        "settings/audit/",
    )
    for page in (
        *pages,
        "settings/model-providers/openai_compatible/credentials/",
        "settings/app-keys/",
        "settings/members/",
        "usage/calls/",
    ):
        status, _body = visitor.send("GET", workspace + page)
        assert status == 200, page
    for path in (
        "providers/",
        "models/",
        "usage/calls/",
        "usage/calls/?format=csv",
        "audit/",
        "app-keys/",
        "members/",
    ):
        status, _body = visitor.send("GET", f"/api/v1/{path}", key=key)
        assert status == 200, path


@pytest.mark.slow
def test_no_secret_leaves_its_place(server: Server, fake: FakeProvider) -> None:
    visitor = Visitor(server)
    secrets = use_everything(visitor, fake, server.app_key)
    secrets |= {
        "owner's password": server.password,
        "app key": server.app_key,
        "wrong password": marked_secret("wrong password"),
    }
    status, _body = visitor.post_form(
        "/accounts/login/", username=server.owner, password=secrets["wrong password"]
    )
    assert status == 422
    status, _body = visitor.post_form(
        "/accounts/login/", username=server.owner, password=server.password
    )
    assert status == 200
    status, body = visitor.send(
        "POST", "/api/v1/app-keys/", key=server.app_key, data={"name": "Second", "scopes": ["read"]}
    )
    assert status == 201, body
    secrets["second app key"] = json.loads(body)["key"]
    visitor.forget_last()
    status, body = visitor.send(
        "POST",
        "/api/v1/invitations/",
        key=server.app_key,
        data={"email": "new@example.test", "role": "viewer"},
    )
    assert status == 201, body
    secrets["invitation"] = json.loads(body)["url"].rstrip("/").rpartition("/")[2]
    visitor.forget_last()
    visitor.send("GET", f"/accounts/invite/{secrets['invitation']}/")
    visitor.forget_last()  # the invitation's own page may link to itself
    look_around(visitor, server.app_key)

    dump = server.manage("dumpdata", "--all", "--exclude", "tenants.KeyPair")
    exports = {"dumpdata": dump.encode(), "check": server.manage("check").encode()}
    assert "openai_compatible" in dump
    server.stop()
    for name in ("secret_key", "master_keys"):
        secrets[name] = (server.data / name).read_text().strip().rpartition(":")[2]
    found = [
        f"{where}: {what} ({form})"
        for where, data in places(visitor, server, exports)
        for what, form in shown(data, secrets)
    ]
    assert not found, "\n".join(found)
    assert b"modelkeep.access" in server.log.read_bytes()


def places(
    visitor: Visitor, server: Server, exports: dict[str, bytes]
) -> Iterator[tuple[str, bytes]]:
    yield from visitor.answers
    yield from exports.items()
    for path in server.data.glob("*"):
        if path.is_file() and path.name not in ("secret_key", "master_keys"):
            yield path.name, path.read_bytes()


def shown(data: bytes, secrets: dict[str, str]) -> Iterator[tuple[str, str]]:
    for what, secret in secrets.items():
        for form in canary.find(data, [secret]):
            yield what, form
    for form in canary.find(data, [MARK]):
        yield "some marked secret", form
