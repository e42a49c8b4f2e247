"""Turn requests and answers between the client's format and the provider's, and measure them."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from typing import Any

from core.asgi import large_bodies
from gateway.dataplane import metering
from gateway.dataplane.attempts import Call
from gateway.dataplane.doors.fitting import fitted
from gateway.dataplane.doors.responses import DOOR as RESPONSES
from gateway.dataplane.refusals import refuse_stored
from gateway.dataplane.requests.request import GatewayRequest
from gateway.dataplane.routing.targets import Target
from gateway.dataplane.streams import OpenStream
from providers.declaration import registry
from providers.declaration.errors import CannotExpress
from providers.declaration.spec import Answer, Native, Request
from providers.transport.failures import malformed
from providers.wire.repairs import exact_json

_WORD = r"[a-z0-9!#$&^_.+-]+"
_MEDIA_TYPE = re.compile(
    rf'{_WORD}/{_WORD}(?: *; *{_WORD}=(?:"[^"\\\x00-\x1f\x7f]*"|{_WORD}))*', re.I | re.A
)


async def provider_request(
    request: GatewayRequest, target: Target, *, trial: bool = False
) -> Request:
    """Return what the target's provider is asked: as it was sent, if it speaks the door's format.

    Raises:
        CannotExpress: The request cannot be converted.
    """
    if request.operation not in target.provider.operations:
        raise _not_offered(request, target)
    door = request.door
    if (
        request.data
        and door.name in target.provider.dialects
        and _knows_stored(request, target, trial=trial)
    ):
        data = request.native_data()
        native = Native(door.name, data, request.headers, partial(_fitted, request, target))
        body = exact_json.loads(data) if request.thoughts else request.body
    else:
        native = None
        is_changed = door.converts or request.thoughts
        body = await _converted(request, target) if is_changed else request.body
    return Request(
        request.operation, target.model, body, request.stream, request.upload, native=native
    )


async def _converted(request: GatewayRequest, target: Target) -> dict[str, Any]:
    owner = request.principal.tenant_id
    return await large_bodies.run(request.size, partial(_fitted, request, target), owner=owner)


def _fitted(request: GatewayRequest, target: Target) -> dict[str, Any]:
    body = request.neutral()
    return fitted(body, target.facts) if request.door.converts else body


def _not_offered(request: GatewayRequest, target: Target) -> CannotExpress:
    others = [
        str(provider.label)
        for provider in registry.all_providers()
        if request.operation in provider.operations
    ]
    operation = request.operation.value
    return CannotExpress(
        f"{target.provider.label} does not offer {operation}. These providers do: "
        f"{', '.join(others)}.",
        param="model",
    )


def _knows_stored(request: GatewayRequest, target: Target, *, trial: bool) -> bool:
    """Tell whether the provider knows what a request names of the responses that are kept here."""
    previous = [request.previous] if request.previous else []
    return all(
        stored.at_provider and stored.provider == target.provider.slug and not trial
        for stored in (*previous, *request.referred_from)
    )


def for_trial(request: Request) -> Request:
    """Return what the operator's account is asked, which all workspaces on a trial share.

    Nothing that is stored there can be named, and OpenAI, which stores responses unless it is told
    not to, is told.

    Raises:
        NoCredits: The request names what is stored.
    """
    native, body = request.native, request.body
    refuse_stored(body, native.dialect if native is not None else "openai")
    if native is None:
        return request
    if native.dialect != RESPONSES.name or body.get("store") is False:
        return request
    unstored = {**body, "store": False}
    if "store" in body:
        data = exact_json.dumps(unstored)
    else:
        data = native.data.rstrip()[:-1] + b',"store":false}'
    return replace(request, body=unstored, native=replace(native, data=data))


async def write(call: Call, answer: Answer) -> tuple[bytes, dict[str, Any]]:
    """Return the answer's body, and the usage fields of its record.

    Raises:
        ProviderError: The answer holds what JSON cannot express, such as half a surrogate pair.
    """
    return await large_bodies.run(
        call.progress.size + call.request.size,
        partial(_written, call, answer),
        owner=call.request.principal.tenant_id,
    )


def _written(call: Call, answer: Answer) -> tuple[bytes, dict[str, Any]]:
    assert call.target is not None
    measured = metering.of_answer(call.request, answer, call.target.prices.at(call.time))
    try:
        return call.request.door.write(answer, measured, call.request.asked()), measured
    except TypeError as error:
        raise malformed(error) from None


async def measure_stream(call: Call, stream: OpenStream) -> dict[str, Any]:
    """Return the usage fields of a stream's record."""
    assert call.target is not None
    price = call.target.prices.at(call.time)
    return await large_bodies.run(
        call.request.size,
        partial(metering.of_stream, call.request, stream.decoder, price),
        owner=call.request.principal.tenant_id,
    )


async def fingerprint(call: Call) -> str:
    request = call.request
    return await large_bodies.run(
        request.size, request.fingerprint, owner=request.principal.tenant_id
    )


def content_type(answer: Answer) -> bytes:
    """Return the content type, or a neutral one if it cannot be sent as a header."""
    text = answer.content_type
    if text == "application/json":  # nearly always
        return b"application/json"
    is_valid = len(text) <= 200 and _MEDIA_TYPE.fullmatch(text)
    return text.encode() if is_valid else b"application/octet-stream"
