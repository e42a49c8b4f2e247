"""The state of one call: what was tried, what is held, what is answered."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from gateway.dataplane.errors import ACCOUNT_FAILURES
from gateway.dataplane.requests.request import GatewayRequest
from gateway.dataplane.routing.targets import Route, Source, Target
from providers.declaration.errors import ProviderError
from providers.transport.async_client import Progress
from providers.transport.redaction import RECORDED, clean
from quotas.ledger.records import MOST_PARAM, Record
from quotas.ledger.states import Finish, HoldResult

Header = tuple[bytes, bytes]


@dataclass(slots=True)
class CompleteResponse:
    """A complete response; the call is recorded."""

    headers: list[Header]
    content_type: bytes
    content: bytes


@dataclass(slots=True)
class StreamingResponse:
    """A response that has begun.

    Iterate `chunks`, bytes of an event stream, to the end; call aclose() if the client disconnects.
    """

    headers: list[Header]
    chunks: AsyncGenerator[bytes, None]
    call: Call


@dataclass(slots=True)
class Call:
    """The state of one call: what was tried, and which credits are held."""

    request: GatewayRequest
    began: float  # time.monotonic()
    deadline: float  # time.monotonic()
    time: datetime
    route: Route | None = None
    target: Target | None = None
    source: Source | None = None
    held: HoldResult | None = None
    progress: Progress = field(default_factory=Progress)
    log: list[dict[str, Any]] = field(default_factory=list)
    error_message: str | None = None  # of the last attempt that failed
    error_param: str | None = None
    holds: dict[int, int] = field(default_factory=dict)  # pool id -> holds of this call so far
    intent: UUID | None = None  # the record of the call, which is sent without a hold
    first_token: float | None = None
    ending: Finish | None = None  # not written yet
    recorded: bool = False  # the end of the latest attempt is written
    ended: bool = False  # and what is left of the stream tells its client so

    @property
    def attempts(self) -> int:
        return len(self.log)

    def milliseconds(self, until: float | None = None) -> int:
        return int(((time.monotonic() if until is None else until) - self.began) * 1000)

    def record(
        self,
        status: Any,
        http_status: int,
        error_code: str = "",
        *,
        finish_reason: str | None = None,
        **more: Any,
    ) -> Record:
        request, target, source = self.request, self.target, self.source
        principal = request.principal
        if self.intent is not None and self.held is None:
            more["id"] = self.intent
        return Record(
            tenant_id=principal.tenant_id,
            request_id=request.request_id,
            operation=request.operation.value,
            status=status,
            time=self.time,
            app_key_id=principal.app_key_id,
            app_key_name=principal.app_key_name,
            user_id=principal.user_id,
            scenario=self.route.scenario if self.route else "",
            provider=target.provider.slug if target else "",
            model=target.model if target else (request.model or "")[:200],
            source=source.label if source else "",
            credential_id=source.credential_id if source else None,
            stream=request.stream,
            http_status=http_status,
            error_code=error_code[:40],
            error_message=self.error_message,
            error_param=self.error_param,
            finish_reason=_word(finish_reason),
            attempts=self.attempts,
            attempt_log=self.log,
            latency_ms=self.milliseconds(),
            first_token_ms=None
            if self.first_token is None
            else self.milliseconds(self.first_token),
            **more,
        )


def _word(text: str | None) -> str:
    """Return a provider's word as a column of the record takes it: short and printable.

    PostgreSQL stores no NUL, and no database half a surrogate pair.
    """
    text = (text or "")[:20]
    return text if text.isprintable() else "".join(filter(str.isprintable, text))


def attempt_entry(
    target: Target, source: Source, failure: str, status: int | None, began: float
) -> dict[str, Any]:
    return {
        "provider": target.provider.slug,
        "model": target.model,
        "source": source.label,
        "failure": failure,
        "status": status,
        "ms": int((time.monotonic() - began) * 1000),
    }


def note_error(call: Call, error: ProviderError, *, trial: bool) -> None:
    """Note in the latest attempt's entry how it failed, in the provider's words.

    Keys were removed from them where the reply was read; what was refused before anything was sent
    may quote the request.

    Args:
        trial: whether the operator's account was used, whose state is nobody else's business.
    """
    entry = call.log[-1]
    entry["failure"] = error.failure.value
    call.error_message = call.error_param = None
    if trial and error.failure in ACCOUNT_FAILURES:
        return
    entry["message"] = call.error_message = clean(error.message, most=RECORDED)
    if error.param:
        entry["param"] = call.error_param = clean(error.param)[:MOST_PARAM]


def hold_facts(call: Call) -> dict[str, Any]:
    """Return what the reaper records if this process dies."""
    request, target, source = call.request, call.target, call.source
    principal = request.principal
    return {
        "operation": request.operation.value,
        "app_key_id": principal.app_key_id,
        "app_key_name": principal.app_key_name,
        "user_id": principal.user_id,
        "scenario": call.route.scenario if call.route else "",
        "provider": target.provider.slug if target else "",
        "model": target.model if target else "",
        "source": source.label if source else "",
        "stream": request.stream,
    }


def intent_facts(call: Call) -> dict[str, Any]:
    """Return what is recorded of a call without a hold if this process dies."""
    return {
        **hold_facts(call),
        "tenant_id": call.request.principal.tenant_id,
        "request_id": call.request.request_id,
        "time": call.time,
        "credential_id": call.source.credential_id if call.source else None,
    }


def response_headers(call: Call) -> list[Header]:
    headers: list[Header] = []
    if call.target is not None:
        headers = call.target.headers.copy()
    if call.source is not None and call.attempts:
        headers.append((b"x-modelkeep-source", call.source.header))
    headers.append((b"x-modelkeep-attempts", b"%d" % call.attempts))
    if call.request.lost:
        headers.append((b"x-modelkeep-reasoning", b"lost"))
    left = call.held.left if call.held is not None else call.progress.credits_left
    if left is not None:
        headers.append((b"x-modelkeep-credits-remaining", b"%d" % left))
    return headers
