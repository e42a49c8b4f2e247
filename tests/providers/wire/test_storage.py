"""Files and batches of each provider: where they are asked for, and what comes of the replies."""

from __future__ import annotations

import io
from typing import Any

import pytest

from providers.declaration import registry
from providers.declaration.errors import ProviderError
from providers.declaration.spec import Access, Answer, Call, Reply
from providers.declaration.storage import OpenFile, StorageRequest
from providers.operations.table import OPERATIONS

STORING = [provider for provider in registry.all_providers() if provider.storage is not None]
KEY = {"api_key": "sk-x"}


def begin(slug: str, request: StorageRequest, base_url: str = "", **values: str) -> Any:
    """Return the exchange and its first call."""
    provider = registry.get(slug)
    assert provider.storage is not None
    exchange = provider.storage.exchange(provider, request, Access(KEY | values, base_url))
    return exchange, next(exchange)


def end(exchange: Any, reply: Reply) -> Any:
    with pytest.raises(StopIteration) as stopped:
        exchange.send(reply)
    return stopped.value.value


@pytest.mark.parametrize(
    ("slug", "base_url", "values", "url"),
    [
        ("openai", "", {}, "https://api.openai.com/v1/files/f"),
        ("tongyi", "", {}, "https://dashscope.aliyuncs.com/compatible-mode/v1/files/f"),
        (
            "chatglm",
            "https://open.bigmodel.cn/api/paas/v4",
            {},
            "https://open.bigmodel.cn/api/paas/v4/files/f",
        ),
        ("openai_compatible", "https://api.moonshot.cn", {}, "https://api.moonshot.cn/v1/files/f"),
        (
            "azure_openai",
            "https://r.openai.azure.com",
            {},
            "https://r.openai.azure.com/openai/v1/files/f",
        ),
        (
            "azure_openai",
            "https://r.openai.azure.com",
            {"api_version": "2024-10-21"},
            "https://r.openai.azure.com/openai/files/f?api-version=2024-10-21",
        ),
    ],
)
def test_each_provider_is_asked_under_its_address(
    slug: str, base_url: str, values: dict[str, str], url: str
) -> None:
    exchange, call = begin(slug, StorageRequest("GET", "/files/f"), base_url, **values)
    assert (call.method, str(call.url)) == ("GET", url)
    assert "sk-x" in str(sorted(call.headers.items()))
    assert end(exchange, Reply(200, {}, b'{"id": "f"}')) == Answer({"id": "f"})


def test_lines_name_endpoints_as_the_provider_does() -> None:
    path = "/v1/chat/completions"
    urls = {provider.slug: provider.storage.urls[path] for provider in STORING if provider.storage}
    assert urls == {
        "openai": path,
        "azure_openai": "/chat/completions",
        "tongyi": path,
        "chatglm": "/v4/chat/completions",
        "openai_compatible": path,
    }


@pytest.mark.parametrize("provider", STORING, ids=lambda provider: provider.slug)
def test_batches_call_what_the_provider_offers(provider: Any) -> None:
    served = {f"/v1/{OPERATIONS[operation].operation.path}" for operation in provider.operations}
    assert set(provider.storage.urls) <= served | {"/v1/responses"}


def test_an_upload_is_not_in_memory() -> None:
    body = OpenFile(io.BytesIO(b"abc"), 3)
    request = StorageRequest("POST", "/files", form=(body, "multipart/form-data; boundary=b"))
    _exchange, call = begin("openai", request)
    assert isinstance(call, Call)
    assert (call.file, call.body) == (body, None)
    assert call.headers["Content-Length"] == "3"
    assert call.headers["Content-Type"] == "multipart/form-data; boundary=b"


def test_what_is_not_there_is_no_error_but_an_endpoint_that_is_not_there_is_one() -> None:
    absent = Reply(404, {}, b'{"error": {"message": "No such file"}}')
    for method, path in (
        ("GET", "/files/f"),
        ("DELETE", "/files/f"),
        ("POST", "/batches/b/cancel"),
    ):
        exchange, _call = begin("openai", StorageRequest(method, path))
        assert end(exchange, absent) == Answer(None)
    exchange, _call = begin("openai", StorageRequest("POST", "/batches", {}))
    with pytest.raises(ProviderError):
        exchange.send(absent)


def test_a_content_is_passed_on_as_it_is() -> None:
    exchange, call = begin("openai", StorageRequest("GET", "/files/f/content", is_content=True))
    assert call.stream
    content = end(exchange, Reply(200, {}, open=True))
    assert [frame.data for frame in content.feed(b"\xff\n{")] == [b"\xff\n{"]
    assert not content.finish()
