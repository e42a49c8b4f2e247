"""Tries an account at a provider, by the same exchange as a call, and says in words what came of it."""

from __future__ import annotations

import io
import time
import wave
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import urlsplit

from django.conf import settings
from django.db import connection
from django.utils.translation import gettext as _

from providers import client, egress
from providers.access import secret_texts
from providers.errors import Failure, ProviderError
from providers.exchange import RETRIES, exchange_for
from providers.models import CredentialState
from providers.spec import Access, Call, ModelFacts, ModelType, Operation, Provider, Reply, Request, Upload
from tenants.errors import ServiceError

R = TypeVar("R")

_NOTHING_KNOWN = ModelFacts()
DEADLINE = 25.0  # seconds, for one check with all its requests
LIST_DEADLINE = 40.0  # seconds, for a whole list of models

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
class Sent:
    """The last request that was made: what to tell an administrator, and nothing that is secret."""

    method: str
    host: str
    path: str
    scheme: str = "https"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}{self.path}"

    def __str__(self) -> str:
        return f"{self.method} {self.host}{self.path}"


@dataclass(frozen=True, slots=True)
class Probe:
    """A model to be tried with the smallest request of its type. facts: what the catalog knows of it."""

    model: str
    type: ModelType
    facts: ModelFacts = _NOTHING_KNOWN


class CredentialRefused(ServiceError):
    """A check failed and nothing was stored.

    error: the provider's. what_we_sent: the request it failed at, None where none was made. hint: a guess at the cause, or "".
    keyless: no key was typed.
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
    ) -> None:
        message = message_for(provider, error, what_we_sent, saved=False if storing else None, keyless=keyless)
        super().__init__(error.failure.value, message, status=422)
        self.error = error
        self.what_we_sent = what_we_sent
        self.hint = hint

    @property
    def answer(self) -> str:
        """The provider's status and code, such as "401 invalid_api_key"; what kept an answer from coming where there was none."""
        return codes(self.error).strip(" ()") or self.error.transport


class CheckFailed(Exception):
    """A check ended in a provider's error; `sent` is the request it failed at."""

    def __init__(self, error: ProviderError, sent: Sent | None) -> None:
        super().__init__(error.message)
        self.error = error
        self.sent = sent


def check(provider: Provider, access: Access, pool_key: str, probe: Probe | None = None) -> None:
    """Ask the provider whether this account works, or whether a model does; once, because a person waits. Raises CheckFailed."""
    if probe is not None and provider.check_model is not None:
        look = provider.check_model
        run(provider, lambda: look(provider, access, probe.model, probe.type), access, pool_key, retries=0)
    elif probe is not None:
        facts = replace(probe.facts, name=probe.model, type=probe.type)
        run(provider, exchange_for(provider, _probe(probe), access, facts), access, pool_key, retries=0)
    elif provider.check is not None:
        ask = provider.check
        try:
            run(provider, lambda: ask(provider, access), access, pool_key, retries=0)
        except CheckFailed as failed:
            raise _without_a_model(failed) from None


def _without_a_model(failed: CheckFailed) -> CheckFailed:
    """Where a list was asked for and no model named, "not found" is said of the address."""
    error = failed.error
    if error.failure is Failure.MODEL_NOT_FOUND and failed.sent is not None and failed.sent.method == "GET":
        error.failure = Failure.NOT_AN_API
    return failed


def is_keyless(provider: Provider, access: Access) -> bool:
    """Whether none of the fields that hold a key is filled."""
    names = {field.name for field in (*provider.credential_fields, *provider.model_fields) if field.secret}
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

    The thread's database connection goes back to the pool first: a few hosts that never answer must not keep all of them.
    """
    if not connection.in_atomic_block:
        connection.close()
    calls: list[Call] = []
    try:
        return client.perform(
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


def message_for(provider: Provider, error: ProviderError, sent: Sent | None, *, saved: bool | None = False, keyless: bool = False) -> str:
    """What happened, what it means, what to do; the provider's status and code stand in brackets for searching.

    saved: whether the message speaks of a credential that was (True) or was not (False) stored; None where nothing was to be.
    keyless: no key was typed, so that a refusal asks for one.
    """
    outcome = {True: " " + _("Saved."), False: " " + _("Nothing was saved."), None: ""}[saved]
    if keyless and error.failure is Failure.AUTH:
        template = _("%(host)s asks for a key%(code)s.%(saved)s Enter the key that this server gave you.")
    else:
        template = _template(error, sent)
    return template % {
        "provider": provider.label,
        "host": sent.host if sent else provider.label,
        "url": sent.url if sent else "",
        "code": codes(error),
        "status": error.status,
        "message": _sentence(egress.in_words(error.message, _)),
        "seconds": round(settings.MODELKEEP_CONNECT_TIMEOUT),
        "saved": outcome,
    }


def _sentence(text: str) -> str:
    """A provider's own words with a full stop, since ours follow."""
    text = text.rstrip()
    return text if not text or text[-1] in ".!?。！？…" else f"{text}."


def _template(error: ProviderError, sent: Sent | None) -> str:
    match error.failure:
        case Failure.AUTH:
            return _(
                "%(provider)s refused this key%(code)s.%(saved)s Check that you copied the whole key and that it has not been revoked."
            )
        case Failure.NO_FUNDS:
            return _(
                "The key is valid, but the %(provider)s account has no credit%(code)s.%(saved)s "
                "Calls will fail until the account is topped up."
            )
        case Failure.UNREACHABLE:
            return _unreachable(error.transport)
        case Failure.TIMEOUT:
            return _("%(host)s did not answer in time. Try again, or check the API base URL.%(saved)s")
        case Failure.NOT_AN_API if error.status is not None and error.status < 300 and sent is not None:
            return _("%(url)s does not answer as an API.%(saved)s Check the API base URL.")
        case Failure.NOT_AN_API if error.status is not None and sent is not None:
            return _("%(url)s answered %(status)s.%(saved)s Check the API base URL.")
        case Failure.NOT_AN_API:
            return _("The API base URL cannot be used: %(message)s%(saved)s")
        case Failure.PERMISSION | Failure.MODEL_NOT_FOUND:
            return _(
                "%(provider)s knows this key, but does not allow what was asked%(code)s: %(message)s%(saved)s "
                "Check the key's permissions and which models the account may use."
            )
        case Failure.BAD_REQUEST | Failure.CONTENT_FILTER if error.status is not None:
            return _("%(provider)s did not accept the test request%(code)s: %(message)s%(saved)s Check what was entered.")
        case Failure.BAD_REQUEST if sent is None:  # nobody was asked: what was typed cannot be right
            return "%(message)s%(saved)s"
        case Failure.RATE_LIMIT:
            return _("%(provider)s is limiting requests just now%(code)s.%(saved)s Try again in a minute.")
        case _:
            return _("%(provider)s could not check this key%(code)s: %(message)s%(saved)s Try again later.")


def _unreachable(transport: str) -> str:
    match transport:
        case "dns":
            return _("This server could not look up the host name %(host)s. Check the API base URL for a typing mistake.%(saved)s")
        case "connect":
            return _(
                "This server could not connect to %(host)s: nothing answers there, or a firewall is in between. "
                "Check the API base URL, and that the server there runs.%(saved)s"
            )
        case "tls":
            return _("No trusted TLS connection to %(host)s could be made. Check its certificate or the API base URL.%(saved)s")
        case _:
            return _("This server could not reach %(host)s within %(seconds)s s. Check the network or the API base URL.%(saved)s")


def codes(error: ProviderError) -> str:
    """The brackets of a message, such as “ (401 invalid_api_key)”; "" where the provider gave neither."""
    parts = " ".join(dict.fromkeys(str(part) for part in (error.status, error.provider_code) if part))
    return f" ({parts})" if parts else ""


def _probe(probe: Probe) -> Request:
    """The smallest request that proves a model works: one token, one word, or one second of silence. The voice is the provider's own."""
    operation, body = _PROBES[probe.type]
    if operation is Operation.CHAT and "completion_only" in probe.facts.features:
        operation, body = Operation.COMPLETION, {"prompt": "ping", "max_tokens": 1}
    if operation is Operation.CHAT and "reasoning" in probe.facts.features:
        body = body | {"max_tokens": FEW_TOKENS}
    upload = Upload("silence.wav", "audio/wav", _silence()) if operation is Operation.TRANSCRIPTION else None
    return Request(operation, probe.model, {"model": probe.model} | body, upload=upload)


FEW_TOKENS = 16  # for models that think before they say the first word: some refuse to be given less
_PROBES: dict[ModelType, tuple[Operation, dict[str, Any]]] = {
    ModelType.REASONING: (Operation.CHAT, {"messages": [{"role": "user", "content": "ping"}], "max_tokens": 1}),
    ModelType.EMBEDDING: (Operation.EMBEDDINGS, {"input": "ping"}),
    ModelType.SPEECH_TO_TEXT: (Operation.TRANSCRIPTION, {}),
    ModelType.RERANK: (Operation.RERANK, {"query": "ping", "documents": ["ping", "pong"]}),
    ModelType.TEXT_TO_SPEECH: (Operation.SPEECH, {"input": "ping"}),
    ModelType.MODERATION: (Operation.MODERATION, {"input": "ping"}),
}


def _silence() -> bytes:
    """A WAV file of a second of silence: 16 kHz, 16 bits, one channel."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16000)
        out.writeframes(bytes(2 * 16000))
    return file.getvalue()
