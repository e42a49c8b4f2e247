"""Tries an account at a provider, by the same exchange as a call, and says in words what came of
it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import TypeVar
from urllib.parse import urlsplit

from django.db import connection
from django.utils.translation import gettext as _

from core.errors import ServiceError
from providers.credentials import checking, validation
from providers.credentials.messages import Sent, message_for
from providers.credentials.opening import (
    secret_texts,
)
from providers.declaration import registry
from providers.declaration.errors import Failure, ProviderError
from providers.declaration.spec import (
    Access,
    Call,
    ModelFacts,
    ModelType,
    Provider,
    Reply,
    Request,
)
from providers.failures.detail import FailureDetail
from providers.models import CredentialState
from providers.operations.table import operation_of
from providers.transport import sync_client
from providers.transport.limits import RETRIES
from providers.transport.steps import exchange_for

R = TypeVar("R")

_NOTHING_KNOWN = ModelFacts()
DEADLINE = 25.0  # seconds, for one check with all its requests
LIST_DEADLINE = 40.0  # seconds, for a whole list of models
FEW_TOKENS = (
    16  # for models that think before they say the first word: some refuse to be given less
)

STATE_OF: dict[Failure, CredentialState] = {
    Failure.AUTH: CredentialState.REJECTED,
    Failure.NO_FUNDS: CredentialState.NO_FUNDS,
    Failure.PERMISSION: CredentialState.NOT_ALLOWED,
    Failure.MODEL_NOT_FOUND: CredentialState.NOT_ALLOWED,
    Failure.UNREACHABLE: CredentialState.UNREACHABLE,
    Failure.TIMEOUT: CredentialState.UNREACHABLE,
    Failure.NOT_AN_API: CredentialState.WRONG_URL,
    Failure.RATE_LIMIT: CredentialState.COOLING,
}


@dataclass(frozen=True, slots=True)
class Probe:
    """A model to be tried with the smallest request of its type. facts: what the catalog knows of
    it.
    """

    model: str
    type: ModelType
    facts: ModelFacts = _NOTHING_KNOWN


class CredentialRefused(ServiceError):
    """A check failed and nothing was stored.

    error: the provider's. what_we_sent: the request it failed at, None where none was made. hint: a
    guess at the cause, or "". keyless: no key was typed. own_address: the provider's own address
    was called, which nobody typed.
    """

    def __init__(
        self,
        provider: Provider,
        error: ProviderError,
        what_we_sent: Sent | None,
        hint: str = "",
        *,
        storing: bool = True,
        keyless: bool = False,
        own_address: bool = False,
    ) -> None:
        saved = False if storing else None
        message = message_for(
            provider, error, what_we_sent, saved=saved, keyless=keyless, own_address=own_address
        )
        super().__init__(error.failure.value, message, status=422)
        self.error = error
        self.what_we_sent = what_we_sent
        self.hint = hint

    @property
    def answer(self) -> str:
        """The provider's status and code, such as "401 invalid_api_key"; what kept an answer from
        coming where there was none.
        """
        none = (
            _("none (%(reason)s)") % {"reason": self.error.transport}
            if self.error.transport
            else ""
        )
        return FailureDetail.of(self.error).codes or none


class CheckFailed(Exception):
    """A check ended in a provider's error; `sent` is the request it failed at."""

    def __init__(self, error: ProviderError, sent: Sent | None) -> None:
        super().__init__(error.message)
        self.error = error
        self.sent = sent


def check(provider: Provider, access: Access, pool_key: str, probe: Probe | None = None) -> None:
    """Ask the provider whether this account works, or whether a model does; once, because a person
    waits. Raises CheckFailed.
    """
    if probe is not None and provider.check_model is not None:
        look = provider.check_model
        run(
            provider,
            lambda: look(provider, access, probe.model, probe.type),
            access,
            pool_key,
            retries=0,
        )
    elif probe is not None:
        facts = replace(probe.facts, name=probe.model, type=probe.type)
        run(
            provider,
            exchange_for(provider, _smallest_request(probe), access, facts),
            access,
            pool_key,
            retries=0,
        )
    elif provider.check is not None:
        ask = provider.check
        try:
            run(provider, lambda: ask(provider, access), access, pool_key, retries=0)
        except CheckFailed as failed:
            raise _without_a_model(failed) from None


def _without_a_model(failed: CheckFailed) -> CheckFailed:
    """Where a list was asked for and no model named, "not found" is said of the address."""
    error = failed.error
    if (
        error.failure is Failure.MODEL_NOT_FOUND
        and failed.sent is not None
        and failed.sent.method == "GET"
    ):
        error.failure = Failure.NOT_AN_API
    return failed


def is_own_address(access: Access) -> bool:
    """Whether the provider's own address is called, which nobody typed."""
    return not access.base_url and not access.model_values.get("base_url")


def is_keyless(provider: Provider, access: Access) -> bool:
    """Whether none of the fields that hold a key is filled."""
    names = {
        field.name
        for field in (*provider.credential_fields, *provider.model_fields)
        if field.secret
    }
    return not any(access.values.get(name) or access.model_values.get(name) for name in names)


def run(
    provider: Provider,
    make: Callable[[], Generator[Call, Reply, R]],
    access: Access,
    pool_key: str,
    *,
    deadline: float = DEADLINE,
    retries: int = RETRIES,
) -> R:
    """Run one exchange over our transport and keep what was last sent. Raises CheckFailed.

    The thread's database connection goes back to the pool first: a few hosts that never answer must
    not keep all of them.
    """
    if not connection.in_atomic_block:
        connection.close()
    calls: list[Call] = []
    try:
        return sync_client.perform(
            lambda: _recorded(make(), calls),
            provider=provider,
            pool_key=pool_key,
            secrets=secret_texts(provider, access),
            deadline=time.monotonic() + deadline,
            retries=retries,
        )
    except ProviderError as error:
        raise CheckFailed(error, _sent(calls)) from None


def _recorded(exchange: Generator[Call, Reply, R], calls: list[Call]) -> Generator[Call, Reply, R]:
    try:
        call = next(exchange)
        while True:
            calls.append(call)
            call = exchange.send((yield call))
    except StopIteration as stop:
        result: R = stop.value
        return result
    finally:
        exchange.close()


def _sent(calls: list[Call]) -> Sent | None:
    if not calls:
        return None
    url = urlsplit(calls[-1].url)
    return Sent(calls[-1].method, url.netloc.rpartition("@")[2], url.path or "/", url.scheme)


def _smallest_request(probe: Probe) -> Request:
    """The smallest request that proves a model works. The voice is the provider's own."""
    operation = operation_of(probe.type, probe.facts.features)
    body = {"model": probe.model, **operation.probe}
    if "max_tokens" in body and "reasoning" in probe.facts.features:
        body["max_tokens"] = FEW_TOKENS
    upload = operation.file.smallest() if operation.file else None
    return Request(operation.operation, probe.model, body, upload=upload)


# -------------------------------------------------------------------------------------------- check


def check_access(
    *,
    provider: Provider,
    access: Access,
    pool_key: str,
    model: Probe | None = None,
    storing: bool = True,
) -> None:
    """Ask the provider whether an account works, or with `model` whether that model does: the same
    code as a call.

    pool_key: keeps connections of different tenants and credentials apart. storing: whether
    something was to be saved after it, so that a refusal says it was not. Raises CredentialRefused;
    its hint says that a key looks wrong, whatever else went wrong. A key that is surely another
    vendor's is not sent to this one, unless to an address that was typed: a relay may want it.
    """
    foreign = validation.foreign_key(provider, access.values, registry.all_providers())
    if foreign and checking.is_own_address(access):
        unsent = _("%(hint)s It was not sent to %(provider)s.") % {
            "hint": foreign,
            "provider": provider.label,
        }
        raise CredentialRefused(
            provider, ProviderError(Failure.BAD_REQUEST, unsent, sent=False), None, storing=storing
        )
    hint = validation.shape_hint(provider, access.values, registry.all_providers())
    try:
        checking.check(provider, access, pool_key, model)
    except CheckFailed as failed:
        about = {
            "keyless": checking.is_keyless(provider, access),
            "own_address": checking.is_own_address(access),
        }
        raise CredentialRefused(
            provider, failed.error, failed.sent, hint, storing=storing, **about
        ) from None
