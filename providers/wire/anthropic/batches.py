"""Anthropic's message batches.

See https://docs.anthropic.com/en/api/creating-message-batches
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from providers.declaration.spec import Access, Answer, Call, Exchange, Provider
from providers.declaration.storage import Storage, StorageRequest
from providers.wire.anthropic.messages import VERSION_WITH_SAMPLING
from providers.wire.http import Auth, post_json, read_object, url_of
from providers.wire.openai.model_list import error_or
from providers.wire.openai.storage import Content

BATCHES: Final = "/messages/batches"
MESSAGES: Final = "/v1/messages"  # what their requests call
PRICE: Final = Decimal("0.5")  # https://docs.anthropic.com/en/docs/about-claude/pricing
# What a kept batch has under these names is OpenAI's, and never Anthropic's.
_OTHERS: Final = frozenset({"status", "output_file_id", "error_file_id"})


def anthropic_batches(*, auth: Auth) -> Storage:
    """Make a provider's message batches. Their answers get a `status`, as OpenAI's have."""

    def exchange(provider: Provider, request: StorageRequest, access: Access) -> Exchange:
        headers = {
            "anthropic-version": VERSION_WITH_SAMPLING,
            **request.headers,
            **auth(access),
        }
        reply = yield _call(url_of(provider, access, request.path), headers, request)
        if reply.open:
            return Content()
        if reply.status == 404:
            if request.path == BATCHES:
                raise error_or(reply, provider)  # there are no batches at all
            return Answer(None)
        return Answer(_with_status(read_object(reply)))

    return Storage(exchange, {MESSAGES: MESSAGES}, PRICE)


def _call(url: str, headers: dict[str, str], request: StorageRequest) -> Call:
    absent = frozenset({404})
    if request.body is None:
        return Call(request.method, url, headers, stream=request.is_content, accept=absent)
    call = post_json(url, headers, request.body)
    call.accept = absent
    return call


def _with_status(body: dict[str, Any]) -> dict[str, Any]:
    return {**as_described(body), "status": body.get("processing_status")}


def as_described(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a batch as Anthropic describes it."""
    return {name: value for name, value in body.items() if name not in _OTHERS}
