"""/v1/batches: requests that a provider answers within a day, from a file and into another."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import orjson

from gateway.dataplane.doors.registry import ENDPOINTS
from gateway.dataplane.errors import Refusal, bad_request
from gateway.dataplane.requests.http import JSON_TYPE, HttpExchange, read_key, read_object
from gateway.dataplane.stored import rights
from gateway.dataplane.stored.accounts import Account, Storages, open_account
from gateway.dataplane.stored.creation.creating import Creating
from gateway.dataplane.stored.creation.lost import untagged
from gateway.dataplane.stored.creation.new import Created, NewBatch
from gateway.dataplane.stored.files import BATCH, in_scope
from gateway.dataplane.stored.pages import page_of, read_page
from gateway.dataplane.stored.recording import Recording
from gateway.dataplane.threads import in_thread
from providers.declaration.storage import StorageRequest
from providers.models import StoredBatch, StoredFile
from providers.operations.fields import problem_of
from providers.stored import services
from providers.stored.ids import Kind, is_sound
from providers.stored.owners import owner_of
from tenants.auth.principal import Principal

LONGEST = 64 * 1024  # bytes of a request
MOST_METADATA: Final = 16  # entries that OpenAI allows
# What else there may be reads and writes elsewhere, as Azure's output_folder does.
_FIELDS_ON_TRIAL: Final = frozenset(
    {"input_file_id", "endpoint", "completion_window", "metadata", "output_expires_after"}
)


class Batches:
    """Answers the requests about batches.

    Args:
        storages: Asks the providers.
        creating: Creates batches.
        recording: Records what finished batches used.
    """

    def __init__(self, storages: Storages, creating: Creating, recording: Recording) -> None:
        self._storages = storages
        self._creating = creating
        self._recording = recording

    async def create(self, exchange: HttpExchange, principal: Principal) -> None:
        body = await read_object(exchange, LONGEST)
        file = await _input(body, principal)
        account = await open_account(owner_of(file))
        sent = {
            **(_on_trial(body) if account.is_trial else body),
            "input_file_id": file.provider_id,
            "endpoint": account.storage.urls.get(file.path, file.path),
        }
        created = await self._creating.create(
            NewBatch(
                account=account,
                principal=principal,
                request_id=exchange.request_id,
                calls=_calls_of(file),
                request=StorageRequest("POST", "/batches", sent),
                input_id=file.provider_id,
                key=read_key(exchange),
            )
        )
        await _answer(exchange, created.row, created.answer, *left_of(created))

    async def list(self, exchange: HttpExchange, principal: Principal) -> None:
        query = exchange.scope.get("query_string", b"").decode("latin-1")
        page = read_page(query, usual=20)
        body = await page_of(StoredBatch, principal, page, lambda row: describe(row, row.answer))
        await exchange.answer(200, [JSON_TYPE], body)

    async def show(self, exchange: HttpExchange, principal: Principal, text: str) -> None:
        row = await rights.find(StoredBatch, text, principal)
        await self._ask(exchange, row, StorageRequest("GET", f"/batches/{row.provider_id}"))

    async def cancel(self, exchange: HttpExchange, principal: Principal, text: str) -> None:
        row = await rights.find(StoredBatch, text, principal)
        await self._ask(exchange, row, StorageRequest("POST", f"/batches/{row.provider_id}/cancel"))

    async def _ask(self, exchange: HttpExchange, row: StoredBatch, request: StorageRequest) -> None:
        account = await open_account(owner_of(row))
        answer = await self._storages.ask(account, request)
        if answer is None:
            raise Refusal("not_found", f"{account.label} no longer has this batch.")
        await in_thread(partial(_note, account, row, answer))
        self._recording.start(account, row)
        await _answer(exchange, row, answer)


async def _input(body: Mapping[str, Any], principal: Principal) -> StoredFile:
    """Return the file of a new batch. Raises Refusal."""
    text = body.get("input_file_id")
    if not isinstance(text, str) or not text:
        raise _unusable(body, "input_file_id", "the ID of an uploaded file")
    file = await rights.find(StoredFile, text, principal, param="input_file_id")
    if file.purpose != BATCH or file.path not in ENDPOINTS:
        raise bad_request("The file was not uploaded with the purpose batch.", "input_file_id")
    if not body.get("endpoint"):
        raise _unusable(body, "endpoint", f"that of the file's lines: {file.path}")
    if body["endpoint"] != file.path:
        raise bad_request(f"endpoint must be that of the file's lines: {file.path}.", "endpoint")
    return file


def _unusable(body: Mapping[str, Any], name: str, expected: str) -> Refusal:
    return bad_request(f"{name} {problem_of(body, name, str, expected)}", name)


def _calls_of(file: StoredFile) -> services.Calls:
    # A file of an earlier release has no counts. It is the workspace's own, where none are needed.
    counts = file.line_counts or {}
    return services.Calls(file.path, {model: counts.get(model, 0) for model in file.model_names})


def _on_trial(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the operator's account is asked. Raises Refusal (400)."""
    for name in body:
        if name not in _FIELDS_ON_TRIAL:
            raise bad_request(
                f"A batch on a trial cannot use {name}: leave it out, or add your own key.", name
            )
    metadata = body.get("metadata")
    if metadata is not None and (not isinstance(metadata, dict) or len(metadata) >= MOST_METADATA):
        raise bad_request(
            f"On a trial, metadata must be an object of at most {MOST_METADATA - 1} texts.",
            "metadata",
        )
    return dict(body)


def left_of(created: Created) -> list[tuple[bytes, bytes]]:
    """Return the header that tells what is left of a trial."""
    if created.left is None:
        return []
    return [(b"x-modelkeep-credits-remaining", b"%d" % created.left)]


def _note(account: Account, row: StoredBatch, answer: Mapping[str, Any]) -> None:
    in_scope(account, partial(services.note_answer, batch=row, answer=answer))


def describe(row: StoredBatch, answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return the provider's answer with the ids and the endpoint that the caller knows."""
    described = {
        "object": "batch",
        "completion_window": "24h",
        "created_at": int(row.created.timestamp()),
        **untagged(answer),
        "id": rights.id_of(row),
        "endpoint": row.path,
        "input_file_id": rights.id_of(row, row.input_id, Kind.FILE),
    }
    for name in ("output_file_id", "error_file_id"):
        provider_id = answer.get(name)
        sound = is_sound(provider_id)
        described[name] = rights.id_of(row, provider_id, Kind.FILE) if sound else None
    return described


async def _answer(
    exchange: HttpExchange,
    row: StoredBatch,
    answer: Mapping[str, Any],
    *more: tuple[bytes, bytes],
) -> None:
    headers = [JSON_TYPE, (b"x-modelkeep-provider", row.provider.encode()), *more]
    await exchange.answer(200, headers, orjson.dumps(describe(row, answer)))
