"""/v1/messages/batches: Anthropic's batches."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import orjson
from django.conf import settings

from gateway.dataplane.doors.registry import ENDPOINTS
from gateway.dataplane.errors import Refusal
from gateway.dataplane.requests.http import (
    JSON_TYPE,
    HttpExchange,
    forwarded,
    read_key,
    read_large_object,
)
from gateway.dataplane.stored import rights
from gateway.dataplane.stored.accounts import Storages, open_account
from gateway.dataplane.stored.batches import left_of
from gateway.dataplane.stored.choosing import Choosing
from gateway.dataplane.stored.creation.creating import Creating
from gateway.dataplane.stored.creation.new import NewBatch
from gateway.dataplane.stored.files import in_scope, pieces
from gateway.dataplane.stored.messages import requests
from gateway.dataplane.stored.messages.pages import page_of
from gateway.dataplane.stored.recording import FINAL, Recording
from gateway.dataplane.stored.resources import MESSAGE_BATCHES
from gateway.dataplane.threads import in_thread
from providers.declaration.storage import StorageRequest
from providers.models import StoredBatch
from providers.stored import services
from providers.stored.ids import Kind
from providers.stored.owners import owner_of
from providers.wire.anthropic.batches import BATCHES, MESSAGES, as_described
from tenants.auth.principal import Principal

RESULTS_TYPE: Final = (b"content-type", b"application/x-jsonl")


class MessageBatches:
    """Answers the requests about message batches.

    Args:
        storages: Asks the providers.
        choosing: Finds the account of a batch.
        creating: Creates batches.
        recording: Records what finished batches used.
    """

    def __init__(
        self, storages: Storages, choosing: Choosing, creating: Creating, recording: Recording
    ) -> None:
        self._storages = storages
        self._choosing = choosing
        self._creating = creating
        self._recording = recording

    async def create(self, exchange: HttpExchange, principal: Principal) -> None:
        headers = forwarded(exchange.headers, ENDPOINTS[MESSAGES].door)
        body = await read_large_object(exchange, principal)
        checked = await asyncio.to_thread(requests.check, body)
        chosen = await self._choosing.by_models(principal, checked)
        account = await open_account(chosen.owner)
        sent = await asyncio.to_thread(
            requests.written, body, chosen.names, on_trial=chosen.on_trial
        )
        created = await self._creating.create(
            NewBatch(
                account=account,
                principal=principal,
                request_id=exchange.request_id,
                calls=chosen.calls,
                request=StorageRequest("POST", BATCHES, sent, headers=headers),
                key=read_key(exchange),
            )
        )
        described = describe(created.row, created.answer)
        await _answer(exchange, created.row, described, *left_of(created))

    async def list(self, exchange: HttpExchange, principal: Principal) -> None:
        query = exchange.scope.get("query_string", b"").decode("latin-1")
        page = await page_of(query, principal, lambda row: describe(row, row.answer))
        await exchange.answer(200, [JSON_TYPE], orjson.dumps(page))

    async def show(self, exchange: HttpExchange, principal: Principal, text: str) -> None:
        row = await _find(text, principal)
        await self._ask(exchange, row, StorageRequest("GET", _path(row)))

    async def cancel(self, exchange: HttpExchange, principal: Principal, text: str) -> None:
        row = await _find(text, principal)
        await self._ask(exchange, row, StorageRequest("POST", f"{_path(row)}/cancel"))

    async def results(self, exchange: HttpExchange, principal: Principal, text: str) -> None:
        row = await _find(text, principal)
        account = await open_account(owner_of(row))
        stream = await self._storages.content(account, f"{_path(row)}/results")
        if stream is None:
            raise Refusal("not_found", f"{account.label} has no results of this batch.")
        try:
            await exchange.send_pieces([RESULTS_TYPE, _provider(row)], pieces(stream))
        finally:
            stream.close()

    async def delete(self, exchange: HttpExchange, principal: Principal, text: str) -> None:
        row = await _find(text, principal)
        account = await open_account(owner_of(row))
        if row.recorded is None:
            raise Refusal(
                "in_progress",
                "The batch can be deleted once it has ended and its results were read to record "
                "what it used. Cancel it, or try again in a few minutes.",
                retry_after=30,
            )
        await self._storages.ask(account, StorageRequest("DELETE", _path(row)))
        await in_thread(lambda: in_scope(account, row.delete))
        body = {"id": _id(row), "type": "message_batch_deleted"}
        await _answer(exchange, row, body)

    async def _ask(self, exchange: HttpExchange, row: StoredBatch, request: StorageRequest) -> None:
        account = await open_account(owner_of(row))
        answer = await self._storages.ask(account, request)
        if answer is None:
            raise Refusal("not_found", f"{account.label} no longer has this batch.")
        note = partial(services.note_answer, batch=row, answer=answer)
        await in_thread(lambda: in_scope(account, note))
        self._recording.start(account, row)
        await _answer(exchange, row, describe(row, answer))


async def _find(text: str, principal: Principal) -> StoredBatch:
    return await rights.find(StoredBatch, text, principal, kind=Kind.MESSAGE_BATCH)


def describe(row: StoredBatch, answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return the provider's answer with the id and the address that the caller knows."""
    described = {
        "type": "message_batch",
        "processing_status": row.status or "in_progress",
        "created_at": row.created.isoformat(),
        **as_described(answer),
        "id": _id(row),
        "results_url": None,
    }
    if row.status in FINAL:
        described["results_url"] = f"{settings.SITE_URL}{MESSAGE_BATCHES}/{_id(row)}/results"
    return described


def _id(row: StoredBatch) -> str:
    return rights.id_of(row, kind=Kind.MESSAGE_BATCH)


def _path(row: StoredBatch) -> str:
    return f"{BATCHES}/{row.provider_id}"


def _provider(row: StoredBatch) -> tuple[bytes, bytes]:
    return (b"x-modelkeep-provider", row.provider.encode())


async def _answer(
    exchange: HttpExchange, row: StoredBatch, body: Mapping[str, Any], *more: tuple[bytes, bytes]
) -> None:
    await exchange.answer(200, [JSON_TYPE, _provider(row), *more], orjson.dumps(body))
