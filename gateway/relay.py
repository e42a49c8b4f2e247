"""One call from question to answer: route, hold, send, settle or void, record."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from gateway import addresses, metering, openai_format
from gateway.errors import DatabaseAway, Refusal, from_provider
from gateway.inquiry import KEY_LENGTH, Inquiry
from gateway.routes import Route, Routes, Source, Target
from gateway.store import Finish, Store
from gateway.upstream import Progress, Stream, Upstream
from providers.errors import ProviderError
from providers.exchange import Steps, exchange_for
from providers.spec import Answer, Frame, Request
from quotas.statements import HoldRequest, HoldResult, HoldState, Record, UnknownPool
from tenants.keys import CredentialUnreadable

logger = logging.getLogger(__name__)
Header = tuple[bytes, bytes]


@dataclass(slots=True)
class Whole:
    """An answer that is complete and recorded."""

    headers: list[Header]
    content_type: bytes
    content: bytes


@dataclass(slots=True)
class Streamed:
    """An answer that has begun. Iterate `pieces` to its end: bytes of an event stream; aclose() where the client left."""

    headers: list[Header]
    pieces: AsyncGenerator[bytes, None]


@dataclass(slots=True)
class _Call:
    """One inquiry on its way: what was tried, what is held."""

    inquiry: Inquiry
    began: float  # time.monotonic()
    deadline: float  # time.monotonic()
    time: datetime
    route: Route | None = None
    target: Target | None = None
    source: Source | None = None
    held: HoldResult | None = None
    progress: Progress = field(default_factory=Progress)
    log: list[dict[str, Any]] = field(default_factory=list)
    holds: dict[int, int] = field(default_factory=dict)  # pool -> holds of this call so far
    first_token: float | None = None
    recorded: bool = False

    @property
    def attempts(self) -> int:
        return len(self.log)

    def milliseconds(self, until: float | None = None) -> int:
        return int(((time.monotonic() if until is None else until) - self.began) * 1000)

    def record(self, status: Any, http_status: int, error_code: str = "", **more: Any) -> Record:
        inquiry, principal, target, source = self.inquiry, self.inquiry.principal, self.target, self.source
        return Record(
            tenant_id=principal.tenant_id,
            request_id=inquiry.request_id,
            operation=inquiry.operation.value,
            status=status,
            time=self.time,
            app_key_id=principal.app_key_id,
            app_key_name=principal.app_key_name,
            user_id=principal.user_id,
            scenario=self.route.scenario if self.route else "",
            provider=target.provider.slug if target else "",
            model=target.model if target else (inquiry.model or "")[:200],
            source=source.label if source else "",
            credential_id=source.credential_id if source else None,
            stream=inquiry.stream,
            http_status=http_status,
            error_code=error_code[:40],
            attempts=self.attempts,
            attempt_log=self.log,
            latency_ms=self.milliseconds(),
            first_token_ms=None if self.first_token is None else self.milliseconds(self.first_token),
            **more,
        )


class Relay:
    """Serves calls. One per process.

    deadline: seconds a call may take in all.
    """

    def __init__(self, *, store: Store, upstream: Upstream, routes: Routes, deadline: float) -> None:
        self._store = store
        self._upstream = upstream
        self._routes = routes
        self._deadline = deadline
        self._background: set[asyncio.Task[Any]] = set()

    async def start(self, inquiry: Inquiry) -> Whole | Streamed:
        """The answer, or the stream once its first piece is there.

        Raises Refusal; the call is recorded by then. Raises CancelledError where the client left.
        """
        began = time.monotonic()
        call = _Call(inquiry, began, began + self._deadline, datetime.now(UTC))
        try:
            call.route = await self._routes.find(inquiry.principal, inquiry.model, inquiry.operation)
            return await self._first_answer(call, call.route)
        except Refusal as refusal:
            await self._end_refused(call, refusal)
            refusal.headers += tuple(_headers(call))
            raise
        except DatabaseAway:
            away = database_away()
            await self._void(call, away)
            raise away from None
        except asyncio.CancelledError:
            await self._end_cancelled(call)
            raise
        except Exception:
            await self._end_broken(call)
            raise

    async def wait(self) -> None:
        """Let the notes that go on in the background come to their end."""
        while self._background:
            await asyncio.gather(*self._background, return_exceptions=True)

    # -- attempts -----------------------------------------------------------------------------------------------------

    async def _first_answer(self, call: _Call, route: Route) -> Whole | Streamed:
        failure: Refusal | None = None
        for target, source in route.attempts(time.monotonic()):
            call.target, call.source, call.held, call.progress = target, source, None, Progress()
            began = time.monotonic()
            try:
                return await self._attempt(call, target, source)
            except _NoCredits as none_left:
                failure = failure or none_left.refusal
            except CredentialUnreadable:
                # The service that opens it has written the credential's state.
                call.log.append(_attempt_entry(target, source, "credential_unreadable", None, began))
                failure = _unreadable(target, source)
            except ProviderError as error:
                call.log.append(_attempt_entry(target, source, error.failure.value, error.status, began))
                failure = from_provider(error, label=str(target.provider.label), trial=source.is_trial)
                await self._void(call, failure)
                self._note_failure(call, source, error)
                if not error.retryable:
                    break
        raise failure or route.problem()

    async def _attempt(self, call: _Call, target: Target, source: Source) -> Whole | Streamed:
        inquiry = call.inquiry
        began = time.monotonic()
        access, secrets = source.opened or await source.open()
        request = Request(inquiry.operation, target.model, inquiry.body, inquiry.stream, inquiry.upload)
        steps: Steps[Any] = Steps(
            exchange_for(target.provider, request, access, target.facts),
            errors=target.provider.errors,
            secrets=secrets,
            deadline=call.deadline,
        )
        if source.is_trial:
            await self._hold(call, source)
        call.recorded = False
        result = await self._upstream.run(steps, pool_key=source.pool_key, deadline=call.deadline, progress=call.progress)
        if isinstance(result, Stream):
            frames = await self._first_frames(call, result)
            call.log.append(_attempt_entry(target, source, "", 200, began))
            return Streamed(_headers(call), self._pieces(call, result, frames))
        call.log.append(_attempt_entry(target, source, "", 200, began))
        return await self._whole(call, result)

    async def _hold(self, call: _Call, source: Source) -> None:
        """Reserve the credits and note that the request leaves. Raises _NoCredits, Refusal."""
        assert source.pool_id is not None
        inquiry = call.inquiry
        _refuse_many_answers(inquiry.body)
        number = call.holds[source.pool_id] = call.holds.get(source.pool_id, 0) + 1
        key = inquiry.key or inquiry.unit_key
        request = HoldRequest(
            tenant_id=inquiry.principal.tenant_id,
            pool_id=source.pool_id,
            # A second target of the same call in the same pool is no repeat.
            key=key if number == 1 else f"{key[: KEY_LENGTH - 4]}~{number}",
            fingerprint=inquiry.fingerprint(),
            amount=source.credits,
            model=call.target.model if call.target else "",
            request_id=inquiry.request_id,
            deadline_seconds=self._deadline,
            facts=_facts(call),
        )
        with inquiry.presence:
            try:
                held = await self._store.hold(request)
            except UnknownPool:
                self._routes.forget(inquiry.principal.tenant_id)
                raise _NoCredits(_exhausted(call, 0)) from None
            _refuse_unheld(call, held)
            call.held, call.recorded = held, False
            sent = await self._store.mark_sent(tenant_id=inquiry.principal.tenant_id, hold_id=request.hold_id)
        inquiry.presence.check()
        if not sent:
            call.held = None
            raise Refusal("already_done", "This call was finished by the server while it waited. Send it again.")

    async def _first_frames(self, call: _Call, stream: Stream) -> list[Frame]:
        """Frames up to the first content: until then nothing went to the client, and another target may still answer."""
        frames: list[Frame] = []
        try:
            while not stream.ended:
                new = await stream.read()
                frames += new
                if any(frame.content for frame in new):
                    call.first_token = time.monotonic()
                    break
        except BaseException:
            stream.close()
            raise
        return frames

    # -- answers ------------------------------------------------------------------------------------------------------

    async def _whole(self, call: _Call, answer: Answer) -> Whole:
        assert call.target is not None
        content = orjson.dumps(answer.body) if answer.content is None else answer.content
        measured = metering.of_answer(call.inquiry, answer, call.target.price)
        await self._finish(call, call.record("ok", 200, finish_reason=(answer.finish_reason or "")[:20], **measured))
        self._note_success(call)
        call.inquiry.presence.check()
        return Whole(_headers(call), answer.content_type.encode("latin-1", "replace"), content)

    async def _pieces(self, call: _Call, stream: Stream, frames: Sequence[Frame]) -> AsyncGenerator[bytes, None]:
        """The event stream; settled and recorded before its last event."""
        shows_usage = call.inquiry.include_usage
        try:
            while True:
                piece = b"".join([b"data: %b\n\n" % frame.data for frame in frames if shows_usage or not frame.usage_only])
                if stream.ended:
                    break
                if piece:
                    yield piece
                frames = await stream.read()
            await self._end_stream(call, stream, "ok", 200)
            self._note_success(call)
            if last := piece + openai_format.ending(call.inquiry.operation):
                yield last
        except ProviderError as error:
            assert call.target is not None
            assert call.source is not None
            failure = from_provider(error, label=str(call.target.provider.label), trial=call.source.is_trial)
            call.log[-1]["failure"] = error.failure.value
            await self._end_stream(call, stream, "error", 200, failure.code)
            self._note_failure(call, call.source, error)
            yield openai_format.error_event(failure, call.inquiry.request_id)
        except Exception:
            logger.exception("Call %s failed inside its stream", call.inquiry.request_id)
            if not call.recorded:
                await self._end_stream(call, stream, "error", 200, "internal_error")
            yield openai_format.error_event(internal_error(), call.inquiry.request_id)
        finally:
            stream.close()
            if not call.recorded:  # the client left, or the server stops
                await self._end_stream(call, stream, "cancelled", 200)

    async def _end_stream(self, call: _Call, stream: Stream, status: str, http_status: int, code: str = "") -> None:
        assert call.target is not None
        measured = metering.of_stream(call.inquiry, stream.decoder, call.target.price)
        finish_reason = (stream.decoder.finish_reason or "")[:20]
        await self._finish(call, call.record(status, http_status, code, finish_reason=finish_reason, **measured))

    # -- ends ---------------------------------------------------------------------------------------------------------

    async def _finish(self, call: _Call, record: Record, *, voided: bool = False, reason: str = "") -> None:
        """Write the end of the call or, on a trial, of one attempt: exactly one record per hold."""
        held, call.held = call.held, None
        call.recorded = True
        with call.inquiry.presence:
            result = await self._store.finish(Finish(record, held.hold_id if held else None, voided=voided, reason=reason))
        if held is not None:
            call.progress.credits_left = result.left if result is not None else held.left

    async def _void(self, call: _Call, failure: Refusal) -> None:
        if call.held is not None:
            record = call.record("error", failure.status, failure.code)
            await self._finish(call, record, voided=True, reason=failure.code)

    async def _end_refused(self, call: _Call, refusal: Refusal) -> None:
        """A call refused after authentication is in the ledger too, with no credits; unless its last attempt is already."""
        if not call.recorded:
            await self._finish(call, call.record("error", refusal.status, refusal.code))

    async def _end_cancelled(self, call: _Call) -> None:
        """The client left before anything went to it: charged where the provider had accepted the call, else given back."""
        if call.recorded:
            return
        accepted = call.progress.accepted
        if call.target is not None and call.source is not None:
            call.log.append(_attempt_entry(call.target, call.source, "cancelled", 200 if accepted else None, call.began))
        measured = metering.of_request(call.inquiry, call.target.price) if accepted and call.target else {}
        record = call.record("cancelled", 0, "cancelled", **measured)
        await self._finish(call, record, voided=call.held is not None and not accepted, reason="cancelled")

    async def _end_broken(self, call: _Call) -> None:
        """Our own mistake: the credits go back, the call is recorded."""
        try:
            if not call.recorded:
                await self._finish(call, call.record("error", 500, "internal_error"), voided=call.held is not None, reason="internal_error")
        except Exception:
            logger.exception("The end of call %s could not be written", call.inquiry.request_id)

    # -- notes --------------------------------------------------------------------------------------------------------

    def _note_failure(self, call: _Call, source: Source, error: ProviderError) -> None:
        if not source.is_trial:
            note = self._routes.note_failure(call.inquiry.principal.tenant_id, source, error)
            if note is not None:
                self._note(note)

    def _note_success(self, call: _Call) -> None:
        source = call.source
        if source is not None and source.needs_success:
            self._note(self._routes.note_success(call.inquiry.principal.tenant_id, source))

    def _note(self, work: Coroutine[Any, Any, Any]) -> None:
        """Do it beside the answer; what fails there is logged and nothing else."""
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._noted)

    def _noted(self, task: asyncio.Task[Any]) -> None:
        self._background.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("A note about a credential could not be written", exc_info=task.exception())


class _NoCredits(Exception):
    """The trial cannot pay: the next source may."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def database_away() -> Refusal:
    return Refusal(
        "database_unavailable", "The server's database cannot be reached. Nothing was charged. Try again shortly.", retry_after=5
    )


def internal_error() -> Refusal:
    return Refusal("internal_error", "The server made a mistake. Tell its operator the request id.")


def _refuse_many_answers(body: dict[str, Any]) -> None:
    """A call on a trial costs what one answer costs: who asks for a thousand at once pays with the own key. Raises _NoCredits."""
    for name in ("n", "best_of"):
        if body.get(name) not in (None, 1):
            message = f"A trial gives one answer per call: leave “{name}” out, or add a key of your own."
            raise _NoCredits(Refusal("invalid_request", message, param=name))
    prompt = body.get("prompt")
    if isinstance(prompt, list) and len(prompt) > 1 and not isinstance(prompt[0], int):
        message = "A trial answers one prompt per call: send one, or add a key of your own."
        raise _NoCredits(Refusal("invalid_request", message, param="prompt"))


def _refuse_unheld(call: _Call, held: HoldResult) -> None:
    if held.state is HoldState.HELD:
        return
    if held.state is HoldState.EXHAUSTED:
        raise _NoCredits(_exhausted(call, held.left))
    if held.state is HoldState.MISMATCH:
        raise Refusal(
            "idempotency_mismatch",
            "This Idempotency-Key was used for another request. Use a new key for each request.",
            param="Idempotency-Key",
        )
    if held.state is HoldState.IN_PROGRESS:
        raise Refusal("in_progress", "A call with this Idempotency-Key is in progress. Wait for its answer.", retry_after=1)
    raise Refusal(
        "already_done", f"The call with this Idempotency-Key is done already; it cost {held.used} credits. Nothing was charged now."
    )


def _exhausted(call: _Call, left: int) -> Refusal:
    assert call.target is not None
    assert call.source is not None
    label = call.target.provider.label
    address = addresses.page("provider-credentials", workspace=call.inquiry.principal.tenant_slug, provider=call.target.provider.slug)
    return Refusal(
        "trial_exhausted",
        f"The {label} trial of this workspace is used up. Add your own {label} key at {address} "
        "or ask the operator of this server for more credits.",
        headers=((b"x-modelkeep-credits-remaining", b"%d" % left),),
    )


def _unreadable(target: Target, source: Source) -> Refusal:
    label = target.provider.label
    if source.is_trial:
        message = f"The operator's {label} key cannot be read, so the trial cannot be served. No credit was used."
        return Refusal("trial_provider_unavailable", message)
    message = f"The stored {label} credential cannot be read, so nothing was sent. Enter the key again on the provider's page."
    return Refusal("credential_unreadable", message)


def _attempt_entry(target: Target, source: Source, failure: str, status: int | None, began: float) -> dict[str, Any]:
    return {
        "provider": target.provider.slug,
        "model": target.model,
        "source": source.label,
        "failure": failure,
        "status": status,
        "ms": int((time.monotonic() - began) * 1000),
    }


def _facts(call: _Call) -> dict[str, Any]:
    """What the reaper's record says if this process dies."""
    inquiry, principal, target, source = call.inquiry, call.inquiry.principal, call.target, call.source
    return {
        "operation": inquiry.operation.value,
        "app_key_id": principal.app_key_id,
        "app_key_name": principal.app_key_name,
        "user_id": principal.user_id,
        "scenario": call.route.scenario if call.route else "",
        "provider": target.provider.slug if target else "",
        "model": target.model if target else "",
        "source": source.label if source else "",
        "stream": inquiry.stream,
    }


def _headers(call: _Call) -> list[Header]:
    headers: list[Header] = []
    if call.target is not None:
        headers = call.target.headers.copy()
    if call.source is not None and call.attempts:
        headers.append((b"x-modelkeep-source", call.source.header))
    headers.append((b"x-modelkeep-attempts", b"%d" % call.attempts))
    left = call.held.left if call.held is not None else call.progress.credits_left
    if left is not None:
        headers.append((b"x-modelkeep-credits-remaining", b"%d" % left))
    return headers
