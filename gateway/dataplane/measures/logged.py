"""What the access log says about a call: who made it, what answered, and why it failed."""

from __future__ import annotations

from typing import Any

from gateway.dataplane.measures.outcome import Outcome
from gateway.dataplane.requests.http import HttpExchange
from quotas.ledger.records import Record


def logged_fields(exchange: HttpExchange, outcome: Outcome) -> dict[str, Any]:
    """Return the fields that are known, as words without spaces; nothing of what was sent.

    A model is named once the workspace turned out to have it: before, it is any text of a client.
    """
    fields: dict[str, Any] = {}
    principal, request, code = exchange.principal, exchange.request, outcome.code
    if principal is not None:
        fields["workspace"] = principal.tenant_slug
        if principal.app_key_id is not None:
            fields["key"] = principal.app_key_id
        else:
            fields["user"] = principal.user_id
    record = request.record if request is not None else None
    if record is not None and record.provider:
        fields |= _answering(record)
    if code:
        fields["error"] = code
    if code and record is not None and record.attempt_log:
        fields["reason"] = record.attempt_log[-1]["failure"] or "-"
    return fields


def _answering(record: Record) -> dict[str, Any]:
    """Return what answered the call, or was to, and how long it took."""
    fields = {
        "model": record.model.replace(" ", "_"),
        "provider": record.provider,
        "source": record.source.partition(":")[0],  # without the credential's name
        "attempts": record.attempts,
    }
    if record.attempt_log:
        fields["upstream_ms"] = record.attempt_log[-1]["ms"]
    if record.first_token_ms is not None:
        fields["first_ms"] = record.first_token_ms
    return fields
