"""Serve one call: route, hold, send, settle or void, record."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from core.errors import drop_frames
from core.ids import uuid7
from gateway.dataplane import answers, metering
from gateway.dataplane.attempts import (
    Call,
    CompleteResponse,
    StreamingResponse,
    attempt_entry,
    hold_facts,
    intent_facts,
    note_error,
    response_headers,
)
from gateway.dataplane.continuity import calls, responses
from gateway.dataplane.doors.interface import StreamWriter
from gateway.dataplane.errors import DatabaseUnavailable, Refusal, from_provider
from gateway.dataplane.rates import admission
from gateway.dataplane.refusals import (
    NoCredits,
    credential_unreadable,
    database_unavailable,
    internal_error,
    refuse_many_answers,
    refuse_unheld,
    trial_exhausted,
)
from gateway.dataplane.requests.request import KEY_LENGTH, GatewayRequest, Presence
from gateway.dataplane.routing.routes import Routes
from gateway.dataplane.routing.targets import Route, Source, Target
from gateway.dataplane.store.base import Store
from gateway.dataplane.streams import OpenStream, first_frames
from providers.declaration.errors import ProviderError
from providers.declaration.spec import Answer, Frame
from providers.transport.async_client import Progress, Upstream
from providers.transport.steps import Steps, exchange_for
from quotas.ledger.records import Record
from quotas.ledger.states import Finish, FinishResult, HoldRequest, UnknownPool
from tenants.crypto.keys import CredentialUnreadable

logger = logging.getLogger(__name__)


class Relay:
    """Serves calls. One per process.

    Args:
        deadline: Seconds that a call may take in all.
    """

    def __init__(
        self, *, store: Store, upstream: Upstream, routes: Routes, deadline: float
    ) -> None:
        self._store = store
        self._upstream = upstream
        self._routes = routes
        self._deadline = deadline

    async def start(self, request: GatewayRequest) -> CompleteResponse | StreamingResponse:
        """Return the response, or the stream once its first chunk has arrived.

        Raises:
            Refusal: There is no answer; the call is recorded.
            CancelledError: The client disconnected.
        """
        began = time.monotonic()
        call = Call(request, began, began + self._deadline, datetime.now(UTC))
        try:
            await self._store.check_recording()
            await admission.admit(request)
            if request.door.keeps:
                await responses.recall(request, self._store)
            if request.call_ids:
                await calls.open_ids(request, self._store)
            call.route = await self._routes.find(
                request.principal, request.model, request.operation
            )
            return await self._first_answer(call, call.route)
        except Refusal as refusal:
            await self._end_refused(call, refusal)
            refusal.headers += tuple(response_headers(call))
            raise
        except DatabaseUnavailable:
            unavailable = database_unavailable()
            await self._void(call, unavailable)
            raise unavailable from None
        except asyncio.CancelledError:
            await self._end_cancelled(call)
            raise
        except Exception:
            await self._end_broken(call)
            raise

    # -- attempts ----------------------------------------------------------------------------------

    async def _first_answer(self, call: Call, route: Route) -> CompleteResponse | StreamingResponse:
        failure: Refusal | None = None
        for target, source in route.attempts(time.monotonic()):
            call.target, call.source, call.progress = target, source, Progress()
            call.held = call.ending = None
            trace = call.request.trace
            headers = trace.attempt(call) if trace is not None else None
            began = time.monotonic()
            try:
                return await self._attempt(call, target, source, headers)
            except NoCredits as exhausted:
                failure = failure or exhausted.refusal
            except CredentialUnreadable:
                # Opening it has already stored the credential's state.
                call.log.append(attempt_entry(target, source, "credential_unreadable", None, began))
                call.error_message = call.error_param = None
                label = str(target.provider.label)
                failure = credential_unreadable(label, trial=source.is_trial)
            except ProviderError as error:
                drop_frames(error)
                call.log.append(attempt_entry(target, source, "", error.status, began))
                note_error(call, error, trial=source.is_trial)
                failure = from_provider(
                    error, label=str(target.provider.label), trial=source.is_trial
                )
                await self._void(call, failure)
                self._note_failure(call, source, error)
                if not error.retryable:
                    break
        raise failure or route.problem()

    async def _attempt(
        self, call: Call, target: Target, source: Source, headers: Mapping[str, str] | None
    ) -> CompleteResponse | StreamingResponse:
        request = call.request
        began = time.monotonic()
        access, secrets = source.opened or await source.open()
        provider_request = await answers.provider_request(request, target, trial=source.is_trial)
        if source.is_trial:
            provider_request = answers.for_trial(provider_request)
        steps: Steps[Any] = Steps(
            exchange_for(target.provider, provider_request, access, target.facts),
            errors=target.provider.errors,
            secrets=secrets,
            deadline=call.deadline,
            size=request.size,
        )
        if source.is_trial:
            self._forget_intent(call)
            await self._hold(call, source)
        else:
            call.intent = call.intent or uuid7()
            self._store.intend(call.intent, intent_facts(call))
        call.recorded = False
        result = await self._upstream.run(
            steps,
            owner=request.principal.tenant_id,
            pool_key=source.pool_key,
            deadline=call.deadline,
            progress=call.progress,
            headers=headers,
        )
        answer = await calls.with_ids(
            request, provider_request, target.provider, result, self._store
        )
        if isinstance(answer, Answer):
            return await self._complete(call, answer, began)
        frames = await first_frames(call, answer)
        call.log.append(attempt_entry(target, source, "", 200, began))
        writer = request.door.writer(
            request.operation, request.asked(), native=answer.decoder.native
        )
        chunks = self._chunks(call, answer, writer, frames)
        return StreamingResponse(response_headers(call), chunks, call)

    def _forget_intent(self, call: Call) -> None:
        """An attempt without a hold failed; the next one has a hold instead."""
        if call.intent is not None:
            self._store.end_intent(call.intent)

    async def _hold(self, call: Call, source: Source) -> None:
        """Reserve credits and note that the request is about to be sent.

        Raises:
            NoCredits: The trial cannot pay for the call.
            Refusal: The Idempotency-Key is in use.
        """
        assert source.pool_id is not None
        request = call.request
        refuse_many_answers(request.body)
        fingerprint = await answers.fingerprint(call)
        number = call.holds[source.pool_id] = call.holds.get(source.pool_id, 0) + 1
        key = request.hold_key
        hold_request = HoldRequest(
            tenant_id=request.principal.tenant_id,
            pool_id=source.pool_id,
            # A second target in the same pool is part of the same call, not a repeat.
            key=key if number == 1 else f"{key[: KEY_LENGTH - 4]}~{number}",
            fingerprint=fingerprint,
            amount=source.credits,
            model=call.target.model if call.target else "",
            request_id=request.request_id,
            deadline_seconds=self._deadline,
            facts=hold_facts(call),
        )
        with request.presence:
            try:
                held = await self._store.hold(hold_request)
            except UnknownPool:
                self._routes.forget(request.principal.tenant_id)
                raise NoCredits(trial_exhausted(call, 0)) from None
            refuse_unheld(call, held)
            call.held, call.recorded = held, False
            sent = await self._store.mark_sent(
                tenant_id=request.principal.tenant_id, hold_id=hold_request.hold_id
            )
        request.presence.check()
        if not sent:
            call.held = None
            raise Refusal(
                "already_done",
                "The server ended this call while it was waiting. Send it again.",
            )

    # -- answers -----------------------------------------------------------------------------------

    async def _complete(self, call: Call, answer: Answer, began: float) -> CompleteResponse:
        assert call.target is not None
        assert call.source is not None
        content, measured = await answers.write(call, answer)
        await responses.keep(call, content, self._store)
        call.log.append(attempt_entry(call.target, call.source, "", 200, began))
        record = call.record("ok", 200, finish_reason=answer.finish_reason, **measured)
        await self._finish(call, record)
        self._note_success(call)
        call.request.presence.check()
        return CompleteResponse(response_headers(call), answers.content_type(answer), content)

    async def _chunks(
        self, call: Call, stream: OpenStream, writer: StreamWriter, frames: Sequence[Frame]
    ) -> AsyncGenerator[bytes, None]:
        """Yield the event stream. The call is settled and recorded before the last event."""
        try:
            while True:
                chunk = writer.write(frames)
                if stream.ended:
                    break
                if chunk:
                    yield chunk
                frames = await stream.read()
            measured = await self._end_stream(call, stream, "ok", 200)
            self._note_success(call)
            last = chunk + writer.end(measured)
            await responses.keep(call, last, self._store)
            call.ended = True
            if last:
                yield last
        except ProviderError as error:
            drop_frames(error)
            assert call.target is not None
            assert call.source is not None
            failure = from_provider(
                error, label=str(call.target.provider.label), trial=call.source.is_trial
            )
            note_error(call, error, trial=call.source.is_trial)
            await self._end_stream(call, stream, "error", 200, failure.code)
            self._note_failure(call, call.source, error)
            call.ended = True
            yield writer.fail(failure, call.request.request_id)
        except Exception:
            logger.exception("Call %s failed while streaming", call.request.request_id)
            if not call.recorded:
                await self._end_stream(call, stream, "error", 200, "internal_error")
            yield writer.fail(internal_error(), call.request.request_id)
        finally:
            stream.close()
            if not call.recorded:
                if call.request.presence.stopping:
                    await self._end_stream(call, stream, "error", 200, "server_stopping")
                else:  # the client disconnected
                    await self._end_stream(call, stream, "cancelled", 200)

    async def _end_stream(
        self, call: Call, stream: OpenStream, status: str, http_status: int, code: str = ""
    ) -> dict[str, Any]:
        measured = await answers.measure_stream(call, stream)
        reason = stream.decoder.finish_reason
        await self._finish(
            call, call.record(status, http_status, code, finish_reason=reason, **measured)
        )
        return measured

    # -- ends --------------------------------------------------------------------------------------

    async def _finish(
        self, call: Call, record: Record, *, voided: bool = False, reason: str = ""
    ) -> None:
        """Record the end of the call or, on a trial, of one attempt: one record per hold.

        If an earlier attempt to write an end was interrupted, that end is written: writing it twice
        changes nothing. An end that can't be written keeps no answer from the client: it is in the
        log, and the reaper settles the hold. A server that stops meanwhile cuts off neither the
        record nor the answer.
        """
        held = call.held
        call.request.record = record
        if call.ending is None:
            hold_id = held.hold_id if held else None
            call.ending = Finish(record, hold_id, voided=voided, reason=reason)
        result = None
        try:
            result = await self._written(call.request.presence, call.ending)
        except OSError as problem:  # the store has logged the whole record
            drop_frames(problem)
        except Exception:
            logger.exception("The end of call %s is lost", call.request.request_id)
            return
        call.recorded, call.held, call.ending = True, None, None
        if held is not None:
            call.progress.credits_left = result.left if result is not None else held.left

    async def _written(self, presence: Presence, ending: Finish) -> FinishResult | None:
        with presence:
            try:
                return await self._store.finish(ending)
            except asyncio.CancelledError:
                if not presence.stopping:
                    raise
                return await self._store.finish(ending)

    async def _void(self, call: Call, failure: Refusal) -> None:
        if call.held is not None:
            record = call.record("error", failure.status, failure.code)
            await self._finish(call, record, voided=True, reason=failure.code)

    async def _end_refused(self, call: Call, refusal: Refusal) -> None:
        """Record a refused call, with no credits, unless its last attempt is recorded already."""
        if not call.recorded:
            await self._finish(call, call.record("error", refusal.status, refusal.code))

    async def _end_cancelled(self, call: Call) -> None:
        """Record a call that was cancelled before anything was sent to its client.

        Its client disconnected, or the server is stopping.

        It is charged if the provider had accepted it; otherwise the credits are given back.
        """
        if call.recorded:
            return
        accepted = call.progress.accepted
        status, http_status, code = "cancelled", 0, "cancelled"
        if call.request.presence.stopping:
            status, http_status, code = "error", 503, "server_stopping"
        if call.target is not None and call.source is not None:
            call.log.append(
                attempt_entry(call.target, call.source, code, 200 if accepted else None, call.began)
            )
        measured = (
            metering.of_request(call.request, call.target.prices.at(call.time))
            if accepted and call.target
            else {}
        )
        record = call.record(status, http_status, code, **measured)
        await self._finish(call, record, voided=call.held is not None and not accepted, reason=code)

    async def _end_broken(self, call: Call) -> None:
        """Record a call that failed by an internal error, and give the credits back."""
        try:
            if not call.recorded:
                await self._finish(
                    call,
                    call.record("error", 500, "internal_error"),
                    voided=call.held is not None,
                    reason="internal_error",
                )
        except Exception:
            logger.exception("Could not record the end of call %s", call.request.request_id)

    # -- notes -------------------------------------------------------------------------------------

    def _note_failure(self, call: Call, source: Source, error: ProviderError) -> None:
        if not source.is_trial:
            self._routes.note_failure(call.request.principal.tenant_id, source, error)

    def _note_success(self, call: Call) -> None:
        if call.source is not None:
            self._routes.note_success(call.source)
