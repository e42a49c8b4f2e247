"""Count the tokens of a request that is not made: at the provider if it can, else estimated."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import orjson

from core.asgi import large_bodies
from gateway.dataplane import answers, metering
from gateway.dataplane.continuity import calls
from gateway.dataplane.doors.interface import Headers
from gateway.dataplane.errors import from_provider
from gateway.dataplane.requests.request import GatewayRequest
from gateway.dataplane.routing.routes import Routes
from gateway.dataplane.routing.targets import Source, Target
from gateway.dataplane.store.base import Store
from providers.declaration.errors import Failure, ProviderError
from providers.declaration.spec import Answer
from providers.transport.async_client import Progress, Upstream
from providers.transport.steps import Steps
from tenants.crypto.keys import CredentialUnreadable

SECONDS: Final = 20.0  # that the provider may take
# The request is at fault, so that an estimate would mislead.
_REFUSED: Final = frozenset(
    {Failure.BAD_REQUEST, Failure.CONTEXT_LENGTH, Failure.MODEL_NOT_FOUND, Failure.CONTENT_FILTER}
)


@dataclass(frozen=True, slots=True)
class Count:
    """The body of an answer, and the headers that say who counted."""

    content: bytes
    headers: Headers


async def count(request: GatewayRequest, routes: Routes, upstream: Upstream, store: Store) -> Count:
    """Count the prompt's tokens. This costs nothing and is not recorded.

    Raises:
        Refusal: The model cannot be called, or the provider refuses the request.
    """
    if request.call_ids:
        await calls.open_ids(request, store)
    route = await routes.find(request.principal, request.model, request.operation)
    for target, source in route.attempts(time.monotonic()):
        if request.door.name in target.provider.counts and not source.is_trial:
            try:
                answer = await _asked(request, target, source, upstream)
            except ProviderError as error:
                if error.failure in _REFUSED:
                    raise from_provider(error, label=str(target.provider.label)) from None
            except CredentialUnreadable:
                pass
            else:
                return Count(answer.content or b"", _headers(target, b"reported"))
        return await _estimated(request, target)
    raise route.problem()


async def _asked(
    request: GatewayRequest, target: Target, source: Source, upstream: Upstream
) -> Answer:
    access, secrets = source.opened or await source.open()
    asked = await answers.provider_request(request, target)
    make = target.provider.counts[request.door.name]
    deadline = time.monotonic() + SECONDS
    steps: Steps[Any] = Steps(
        partial(make, target.provider, asked, access, target.facts),
        errors=target.provider.errors,
        secrets=secrets,
        deadline=deadline,
        size=request.size,
    )
    answer = await upstream.run(
        steps,
        pool_key=source.pool_key,
        owner=request.principal.tenant_id,
        deadline=deadline,
        progress=Progress(),
    )
    assert isinstance(answer, Answer), "a count is not streamed"
    return answer


async def _estimated(request: GatewayRequest, target: Target) -> Count:
    fields = await large_bodies.run(
        request.size,
        partial(metering.of_request, request, None),
        owner=request.principal.tenant_id,
    )
    content = orjson.dumps({"input_tokens": fields["prompt_tokens"] or 0})
    return Count(content, _headers(target, b"estimated"))


def _headers(target: Target, source: bytes) -> Headers:
    return [*target.headers, (b"x-modelkeep-tokens", source)]
