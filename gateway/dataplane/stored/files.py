"""/v1/files: files that a provider keeps for the workspace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from typing import Any, Final

import orjson

from gateway.dataplane.errors import DatabaseUnavailable, Refusal, bad_request
from gateway.dataplane.requests.http import JSON_TYPE, HttpExchange
from gateway.dataplane.stored import lines, rights
from gateway.dataplane.stored.accounts import Account, Storages, open_account
from gateway.dataplane.stored.choosing import Choosing, Chosen, batch_paths
from gateway.dataplane.stored.creation.creating import without_id
from gateway.dataplane.stored.forms import Form, FormWriter, receive_form
from gateway.dataplane.stored.pages import PURPOSE, page_of, read_page
from gateway.dataplane.threads import in_thread
from providers.declaration.errors import ProviderError
from providers.declaration.storage import OpenFile, StorageRequest
from providers.models import StoredFile
from providers.operations.fields import problem_of
from providers.stored import queries, services
from providers.stored.ids import is_sound
from providers.stored.owners import owner_of
from tenants.auth.principal import Principal
from tenants.scope import tenant_scope

BATCH: Final = "batch"  # the purpose of a file of requests
MOST_ON_TRIAL: Final = 50  # files of requests of one workspace
CONTENT_TYPE: Final = (b"content-type", b"application/octet-stream")
_OURS: Final = frozenset({"provider"})  # form fields that the provider does not get


class Files:
    """Answers the requests about files.

    Args:
        storages: Asks the providers.
        choosing: Finds the account of an upload.
    """

    def __init__(self, storages: Storages, choosing: Choosing) -> None:
        self._storages = storages
        self._choosing = choosing
        self._turn = asyncio.Lock()  # one file at a time is checked and written

    async def upload(self, exchange: HttpExchange, principal: Principal) -> None:
        form = await receive_form(exchange, principal)
        try:
            row = await self._sent(form, principal)
        finally:
            form.close()
        await _answer(exchange, row, describe(row))

    async def list(self, exchange: HttpExchange, principal: Principal) -> None:
        query = exchange.scope.get("query_string", b"").decode("latin-1")
        page = read_page(query, usual=1000)
        body = await page_of(StoredFile, principal, page, describe)
        await exchange.answer(200, [JSON_TYPE], body)

    async def show(self, exchange: HttpExchange, principal: Principal, text: str) -> None:
        row = await rights.find(StoredFile, text, principal)
        account = await open_account(owner_of(row))
        answer = await self._storages.ask(account, StorageRequest("GET", _path(row)))
        if answer is None:
            raise _gone(row, account)
        await _answer(exchange, row, {**answer, "id": rights.id_of(row)})

    async def content(self, exchange: HttpExchange, principal: Principal, text: str) -> None:
        row = await rights.find(StoredFile, text, principal)
        account = await open_account(owner_of(row))
        stream = await self._storages.content(account, f"{_path(row)}/content")
        if stream is None:
            raise _gone(row, account)
        try:
            await exchange.send_pieces([CONTENT_TYPE, *_headers(row)], pieces(stream))
        finally:
            stream.close()

    async def delete(self, exchange: HttpExchange, principal: Principal, text: str) -> None:
        row = await rights.find(StoredFile, text, principal)
        account = await open_account(owner_of(row))
        if await in_thread(partial(_is_unrecorded, row)):
            raise Refusal(
                "in_progress",
                "What the batch used is not recorded yet: its output is read for that. Try again "
                "in a minute.",
                retry_after=30,
            )
        await self._storages.ask(account, StorageRequest("DELETE", _path(row)))
        await in_thread(partial(_delete, row))
        body = {"id": rights.id_of(row), "object": "file", "deleted": True}
        await _answer(exchange, row, body)

    # -- uploads -----------------------------------------------------------------------------------

    async def _sent(self, form: Form, principal: Principal) -> StoredFile:
        """Send a file to its provider, and note it."""
        purpose = form.fields.get("purpose", "")
        if not purpose:
            problem = problem_of(form.fields, "purpose", str, "a word such as batch")
            raise bad_request(f"purpose {problem}", "purpose")
        if not PURPOSE.fullmatch(purpose):
            raise bad_request("purpose must be a word such as batch.", "purpose")
        if purpose == BATCH:
            async with self._turn:
                checked = await asyncio.to_thread(lines.check, form.file, paths=batch_paths())
            chosen = await self._choosing.by_models(principal, checked)
            await in_thread(partial(_refuse_too_many, chosen))
        else:
            chosen = await self._choosing.by_name(principal, form.fields.get("provider", ""))
        account = await open_account(chosen.owner)
        async with self._turn:
            body, content_type = await asyncio.to_thread(_written, form, chosen)
        try:
            request = StorageRequest("POST", "/files", form=(body, content_type))
            answer = await self._storages.ask(account, request)
        finally:
            body.file.close()
        assert answer is not None, "a provider without files is an error"
        return await self._noted(account, principal, form, chosen, answer)

    async def _noted(
        self,
        account: Account,
        principal: Principal,
        form: Form,
        chosen: Chosen,
        answer: dict[str, Any],
    ) -> StoredFile:
        provider_id = answer.get("id")
        if not is_sound(provider_id):
            raise without_id(account)
        add = partial(
            services.add_file,
            owner=account.owner,
            principal=principal,
            provider_id=str(provider_id),
            purpose=form.fields["purpose"],
            filename=form.filename or "file",
            size=form.size,
            calls=chosen.calls,
        )
        try:
            return await in_thread(lambda: in_scope(account, add))
        except services.AlreadyStored:
            raise without_id(account) from None
        except DatabaseUnavailable:
            with suppress(Refusal):  # nobody could use it
                await self._storages.ask(account, StorageRequest("DELETE", f"/files/{provider_id}"))
            raise


def describe(row: StoredFile) -> dict[str, Any]:
    """Return a file as OpenAI describes one, from what is known here."""
    return {
        "id": rights.id_of(row),
        "object": "file",
        "bytes": row.size,
        "created_at": int(row.created.timestamp()),
        "filename": row.filename,
        "purpose": row.purpose,
        "status": "processed",
    }


def in_scope(account: Account, work: Any) -> Any:
    with tenant_scope(account.tenant_id):
        return work()


def _written(form: Form, chosen: Chosen) -> tuple[OpenFile, str]:
    """Write the body that the provider gets, to disk."""
    fields = {name: text for name, text in form.fields.items() if _is_sent(name, chosen)}
    writer = FormWriter(fields, form.filename or "file")
    try:
        if chosen.calls.path:
            on_trial = chosen.on_trial
            lines.write(
                form.file, writer.file, url=chosen.url, names=chosen.names, on_trial=on_trial
            )
        else:
            writer.copy(form.file)
        return writer.finish()
    except BaseException:
        writer.abandon()
        raise


def _refuse_too_many(chosen: Chosen) -> None:
    """Refuse to fill the operator's account with files that nobody needs."""
    owner = chosen.owner
    if owner.plan_id is None:
        return
    with tenant_scope(owner.tenant_id):
        count = queries.count_on_trial(
            tenant_id=owner.tenant_id, plan_id=owner.plan_id, purpose=BATCH
        )
    if count >= MOST_ON_TRIAL:
        raise bad_request(
            f"A trial keeps {MOST_ON_TRIAL} files of requests at most. Delete those that you no "
            "longer need, or add your own key.",
            "file",
        )


def _is_sent(name: str, chosen: Chosen) -> bool:
    """Tell whether the provider gets a field of a form: in the operator's account, known ones."""
    if chosen.on_trial:
        return name == "purpose" or name.startswith("expires_after[")
    return name not in _OURS


async def pieces(stream: Any) -> AsyncIterator[bytes]:
    while not stream.ended:
        try:
            frames = await stream.read()
        except ProviderError as error:
            raise ConnectionError(error.message) from None  # the answer has begun: break it off
        for frame in frames:
            yield frame.data


def _is_unrecorded(row: StoredFile) -> bool:
    with tenant_scope(row.tenant_id):
        return queries.is_unrecorded_output(row)


def _delete(row: StoredFile) -> None:
    with tenant_scope(row.tenant_id):
        row.delete()


def _gone(row: StoredFile, account: Account) -> Refusal:
    return Refusal("not_found", f"{account.label} no longer has the file “{row.filename}”.")


def _path(row: StoredFile) -> str:
    return f"/files/{row.provider_id}"


def _headers(row: StoredFile) -> list[tuple[bytes, bytes]]:
    return [(b"x-modelkeep-provider", row.provider.encode())]


async def _answer(exchange: HttpExchange, row: StoredFile, body: dict[str, Any]) -> None:
    await exchange.answer(200, [JSON_TYPE, *_headers(row)], orjson.dumps(body))
