"""iFLYTEK Spark, as far as cases cannot tell it: signatures, which hold a date, and which keys make
a whole set.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from providers.credentials.validation import InvalidValue
from providers.declaration import registry
from providers.declaration.spec import Access, ModelFacts, Operation, Request
from providers.wire.dialects.spark import signed
from tenants.models import Tenant
from tenants.scope import tenant_scope
from tests.factories import Workspace, marked_secret, store_credential

NOON = 1795348800.0  # 2026-11-22 12:00:00 UTC
SECRET = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"


@pytest.fixture
def far_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def verified(url: str, secret: str) -> dict[str, str]:
    """What the host does with a signed URL: its parts, once the signature is right."""
    parts = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    told = dict(
        piece.split("=", 1)
        for piece in base64.b64decode(query["authorization"]).decode().split(", ")
    )
    line = f"host: {query['host']}\ndate: {query['date']}\nPOST {parts.path} HTTP/1.1"
    wanted = hmac.new(secret.encode(), line.encode(), hashlib.sha256).digest()
    assert base64.b64decode(told["signature"].strip('"')) == wanted
    return query | {name: value.strip('"') for name, value in told.items()}


@pytest.mark.usefixtures("far_east")
def test_the_date_of_a_signature_is_greenwich_time_everywhere() -> None:
    told = verified(signed("https://emb-cn-huabei-1.xf-yun.com/", "key", SECRET, NOON), SECRET)
    assert told["date"] == "Sun, 22 Nov 2026 12:00:00 GMT"
    assert (told["host"], told["api_key"], told["algorithm"]) == (
        "emb-cn-huabei-1.xf-yun.com",
        "key",
        "hmac-sha256",
    )
    assert told["headers"] == "host date request-line"
    assert SECRET not in signed("https://emb-cn-huabei-1.xf-yun.com/", "key", SECRET, NOON)


@pytest.mark.parametrize(
    ("base_url", "host"),
    [
        ("", "https://emb-cn-huabei-1.xf-yun.com"),
        ("https://spark-api-open.xf-yun.com/v2", "https://emb-cn-huabei-1.xf-yun.com"),
        ("https://relay.example.com/spark", "https://relay.example.com/spark"),
        ("https://xf-yun.com.example.com", "https://xf-yun.com.example.com"),
    ],
)
def test_a_relay_is_asked_itself_for_embeddings(base_url: str, host: str) -> None:
    provider = registry.get("spark")
    access = Access({"app_id": "a", "api_key": "key", "api_secret": SECRET}, base_url)
    call = next(
        provider.operations[Operation.EMBEDDINGS](provider, _embedding(), access, ModelFacts())
    )
    assert call.url.startswith(f"{host}/?authorization=")
    verified(call.url, SECRET)


def _embedding() -> Request:
    return Request(Operation.EMBEDDINGS, "spark-embedding", {"input": "a"})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ((), "Fill in the APIPassword, or APIKey and APISecret."),
        (("api_key",), "APIKey and APISecret go together: fill in both, or the APIPassword alone."),
        (
            ("api_secret",),
            "APIKey and APISecret go together: fill in both, or the APIPassword alone.",
        ),
        (
            ("api_password", "api_key"),
            "APIKey and APISecret go together: fill in both, or the APIPassword alone.",
        ),
        (("api_password",), ""),
        (("api_key", "api_secret"), ""),
    ],
)
@pytest.mark.django_db
def test_one_way_in_must_be_whole(acme: Workspace, fields: tuple[str, ...], words: str) -> None:
    with tenant_scope(acme.tenant):
        if not words:
            _draft(acme.tenant, fields)
            return
        with pytest.raises(InvalidValue) as refused:
            _draft(acme.tenant, fields)
    assert str(refused.value.message) == words


def _draft(tenant: Tenant, fields: tuple[str, ...]) -> None:
    values = {name: marked_secret(f"spark {name}") for name in fields} | {"app_id": "5f2d1a3b"}
    store_credential(tenant=tenant, provider="spark", name="Spark", values=values)
