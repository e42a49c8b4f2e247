"""Let a call begin if the rates of its workspace, member and app key allow it."""

from __future__ import annotations

import math
import time
from functools import partial
from typing import Any, Final

from core.asgi import large_bodies
from gateway.dataplane import metering
from gateway.dataplane.errors import Refusal
from gateway.dataplane.rates.meter import MeterFull, Standing, meter
from gateway.dataplane.requests.request import GatewayRequest

_WHO: Final = {
    "app_key": "This app key",
    "member": "The member that this call belongs to",
    "workspace": "This workspace",
}
_UNIT: Final = {
    "requests_per_minute": "request",
    "tokens_per_minute": "token",
    "calls_at_once": "call",
}
_MAY: Final = {
    "requests_per_minute": "may send {limit} a minute, and has sent {used:,}.",
    "tokens_per_minute": "may use {limit} a minute, and has used {used:,}.",
    "calls_at_once": "may have {limit} under way, and has {used:,}.",
}


async def admit(request: GatewayRequest) -> None:
    """Count the call against its rates, until `release`.

    Raises:
        Refusal: A rate is reached; it counts nowhere.
    """
    rates = request.principal.rates
    if not rates:
        return
    tokens = 0
    if any(rate.tokens for rate in rates):
        tokens = await large_bodies.run(
            request.size,
            partial(metering.prompt_tokens, request),
            owner=request.principal.tenant_id,
        )
    try:
        result = meter.admit(rates, tokens, time.monotonic())
    except MeterFull:
        message = "Too many keys with rates are in use on this server. Try again in a minute."
        raise Refusal("server_busy", message, retry_after=60) from None
    if isinstance(result, Standing):
        raise _refusal(result, tokens)
    request.admitted = result


def release(request: GatewayRequest) -> None:
    """Count the call as ended, with the tokens of its record."""
    admitted, record = request.admitted, request.record
    if admitted is None:
        return
    request.admitted = None
    tokens = None
    if record is not None and record.prompt_tokens is not None:
        tokens = record.prompt_tokens + (record.completion_tokens or 0)
    elif record is not None and record.status == "error":
        tokens = 0
    meter.release(admitted, tokens, time.monotonic())


def _refusal(reached: Standing, tokens: int) -> Refusal:
    limit = _counted(reached.limit, _UNIT[reached.measure])
    told = _MAY[reached.measure].format(limit=limit, used=reached.used)
    if reached.measure == "tokens_per_minute":
        told += f" This request needs about {tokens:,} and what is answered."
    wait = None if reached.wait is None else math.ceil(reached.wait)
    if wait is None:
        advice = "It never fits: send less, or ask an admin of the workspace for a higher limit."
    else:
        time_left = _counted(wait, "second")
        advice = f"Try again in {time_left}, or ask an admin of the workspace for a higher limit."
    return Refusal(
        "rate_limited",
        f"{_WHO[reached.rate.scope]} {told} {advice}",
        retry_after=wait,
        final=wait is None,
        headers=tuple(_headers(reached)),
    )


def _counted(number: int, unit: str) -> str:
    return f"{number:,} {unit}" if number == 1 else f"{number:,} {unit}s"


def _headers(reached: Standing) -> list[tuple[bytes, bytes]]:
    facts: dict[str, Any] = {
        "scope": reached.rate.scope,
        "measure": reached.measure,
        "amount": reached.limit,
        "used": reached.used,
    }
    return [
        (f"x-modelkeep-limit-{name}".encode(), str(value).encode()) for name, value in facts.items()
    ]
