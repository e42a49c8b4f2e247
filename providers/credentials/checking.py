"""Checks of accounts and models at a provider, with the same exchanges as calls."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from core.db.connection import release
from core.errors import ServiceError
from providers.credentials import validation
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

_UNKNOWN_FACTS = ModelFacts()
DEADLINE = 25.0  # seconds, for one check with all its requests
LIST_DEADLINE = 40.0  # seconds, for a whole list of models
REASONING_TOKENS = 16  # limit for reasoning models: some reject a lower one

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
    """A model to check with the smallest request of its type. facts: from the catalog."""

    model: str
    type: ModelType
    facts: ModelFacts = _UNKNOWN_FACTS


class CredentialRefused(ServiceError):
    """A check failed and nothing was stored.

    Args:
        provider: The provider that was asked.
        error: Its error.
        what_we_sent: The request that failed, if one was made.
        hint: A guess at the cause, or an empty text.
        storing: Whether the credential was to be stored.
        keyless: No key was entered.
        own_address: The provider's default address was called.
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
        """The provider's codes, such as "401 invalid_api_key", or why it did not reply."""
        codes = FailureDetail.of(self.error).codes
        if codes or not self.error.transport:
            return codes
        return _("none (%(reason)s)") % {"reason": self.error.transport}


class CheckFailed(Exception):
    """A check ended in a provider's error; `sent` is the request that failed."""

    def __init__(self, error: ProviderError, sent: Sent | None) -> None:
        super().__init__(error.message)
        self.error = error
        self.sent = sent


def check(provider: Provider, access: Access, pool_key: str, probe: Probe | None = None) -> None:
    """Ask the provider once, without retries, whether an account or a model works.

    Raises:
        CheckFailed: The provider did not confirm it.
    """
    make = _check_exchange(provider, access, probe)
    if make is None:
        return
    try:
        run(provider, make, access, pool_key, retries=0)
    except CheckFailed as failed:
        raise (failed if probe is not None else _wrong_address(failed)) from None


def _check_exchange(
    provider: Provider, access: Access, probe: Probe | None
) -> Callable[[], Generator[Call, Reply, Any]] | None:
    """Return the exchange that checks the account or the model; None if there is no check."""
    if probe is None:
        check_account = provider.check
        return None if check_account is None else lambda: check_account(provider, access)
    if provider.check_model is not None:
        check_model = provider.check_model
        return lambda: check_model(provider, access, probe.model, probe.type)
    facts = replace(probe.facts, name=probe.model, type=probe.type)
    return exchange_for(provider, _smallest_request(probe), access, facts)


def _wrong_address(failed: CheckFailed) -> CheckFailed:
    """Treat "not found" as a wrong address if the request listed models instead of naming one."""
    error = failed.error
    if (
        error.failure is Failure.MODEL_NOT_FOUND
        and failed.sent is not None
        and failed.sent.method == "GET"
    ):
        error.failure = Failure.NOT_AN_API
    return failed


def is_own_address(access: Access) -> bool:
    """Return whether calls go to the provider's default address."""
    return not access.base_url and not access.model_values.get("base_url")


def is_keyless(provider: Provider, access: Access) -> bool:
    """Return whether all secret fields are empty."""
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
    """Run one exchange and remember its last request.

    The thread's database connection is returned to the pool first, so that a few unresponsive hosts
    cannot hold all of them.

    Raises:
        CheckFailed: The exchange failed.
    """
    release()
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
    """Return the smallest request that proves a model works, with the provider's default voice."""
    operation = operation_of(probe.type, probe.facts.features)
    body = {"model": probe.model, **operation.probe}
    if "max_tokens" in body and "reasoning" in probe.facts.features:
        body["max_tokens"] = REASONING_TOKENS
    file = operation.file
    upload = file.smallest() if file and file.as_json is None else None
    return Request(operation.operation, probe.model, body, upload=upload)


def check_access(
    *,
    provider: Provider,
    access: Access,
    pool_key: str,
    model: Probe | None = None,
    storing: bool = True,
) -> None:
    """Ask the provider whether an account works, or whether `model` works.

    A key that certainly belongs to another provider is not sent, except to a custom address, which
    may be a relay.

    Args:
        provider: The provider to ask.
        access: The account.
        pool_key: Keeps the connections of tenants and credentials apart.
        model: The model to check instead of the account.
        storing: Whether something was to be stored; a refusal then says that it was not.

    Raises:
        CredentialRefused: The check failed. Its hint says whether the key looks wrong.
    """
    foreign_hint = validation.foreign_key(provider, access.values, registry.all_providers())
    if foreign_hint and is_own_address(access):
        unsent = _("%(hint)s It was not sent to %(provider)s.") % {
            "hint": foreign_hint,
            "provider": provider.label,
        }
        raise CredentialRefused(
            provider, ProviderError(Failure.BAD_REQUEST, unsent, sent=False), None, storing=storing
        )
    hint = validation.shape_hint(provider, access.values, registry.all_providers())
    try:
        check(provider, access, pool_key, model)
    except CheckFailed as failed:
        raise CredentialRefused(
            provider,
            failed.error,
            failed.sent,
            hint,
            storing=storing,
            keyless=is_keyless(provider, access),
            own_address=is_own_address(access),
        ) from None
