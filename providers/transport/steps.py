"""Runs a wire's exchange step by step, without sockets: retries, error mapping and cleaning for
both transports.
"""

from __future__ import annotations

import base64
import logging
import random
import re
import time
import traceback
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar
from urllib.parse import quote

from providers.declaration.errors import CannotExpress, Failure, ProviderError
from providers.declaration.spec import (
    Access,
    Call,
    Continued,
    Decoder,
    ErrorMap,
    Exchange,
    Frame,
    ModelFacts,
    Provider,
    Reply,
    Request,
    Usage,
)
from providers.failures.reasons import Reason
from providers.wire.http import SHOWN_CHARACTERS, plain_error, wait_asked_for

R = TypeVar("R")

logger = logging.getLogger(__name__)

RETRIES = 2
LONGEST_PAUSE = 8.0  # seconds; a provider that asks for more is better answered by the next target
FIRST_PAUSE = 0.25  # seconds before the first repeated connect; doubles
MAX_STREAM = 64 * 1024 * 1024  # bytes of one streamed body
RETRIED_STATUSES = frozenset({429, 503})
RETRIED_FAILURES = frozenset({Failure.RATE_LIMIT, Failure.OVERLOADED})

FailureKind = Literal[
    "dns",
    "refused_address",
    "connect",
    "connect_timeout",
    "tls",
    "timeout",
    "broken",
    "too_large",
    "encoding",
    "redirect",
]


@dataclass(frozen=True, slots=True)
class Done(Generic[R]):
    """The exchange is over; `value` is what the wire returned."""

    value: R


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait so many seconds, then make the call."""

    seconds: float
    call: Call


class TransportFailure(Exception):
    """No whole answer came. reason: in our words, never the HTTP library's. sent: the request may
    have been processed.
    """

    def __init__(self, kind: FailureKind, reason: Reason, *, sent: bool) -> None:
        super().__init__(str(reason))
        self.kind: FailureKind = kind
        self.reason = reason
        self.sent = sent


_OF_KIND: dict[str, Failure] = {
    "dns": Failure.UNREACHABLE,
    "refused_address": Failure.NOT_AN_API,
    "connect": Failure.UNREACHABLE,
    "connect_timeout": Failure.UNREACHABLE,
    "tls": Failure.UNREACHABLE,
    "timeout": Failure.TIMEOUT,
    "broken": Failure.ERROR,
    "too_large": Failure.ERROR,
    "encoding": Failure.ERROR,
    "redirect": Failure.NOT_AN_API,
}


# What wires run into when JSON is well formed and of another shape than agreed (a number where an
# object is due).
MISSHAPEN = (TypeError, AttributeError, KeyError, IndexError, ValueError)


def _misshapen(problem: Exception, *, is_request: bool = False) -> ProviderError:
    """Not a crash of ours: JSON of a shape that nobody agreed on. The log says where, and holds no
    value.
    """
    frames = traceback.extract_tb(problem.__traceback__)
    logger.warning(
        "misshapen %s: %s in %s",
        "request" if is_request else "answer",
        type(problem).__name__,
        frames[-1].name if frames else "?",
    )
    if is_request:
        return CannotExpress("A part of the request is of the wrong type.")
    return ProviderError(Failure.ERROR, Reason("unreadable"))


def error_of(failure: TransportFailure) -> ProviderError:
    return ProviderError(
        _OF_KIND[failure.kind], failure.reason, sent=failure.sent, transport=failure.kind
    )


class Steps(Generic[R]):
    """Drives one exchange. The transport makes each Call it is given and reports `answered` or
    `failed`.

    make: starts the exchange anew (it is started once; wires are cheap to make lazily). errors: the
    provider's ErrorMap. secrets: opened key texts, never to be seen in an error. retries: how often
    a call is repeated at most, over the whole exchange. deadline: on `clock`, in seconds.
    Everything raised is a ProviderError with a cleaned message.
    """

    def __init__(
        self,
        make: Callable[[], Generator[Call, Reply, R]],
        *,
        errors: ErrorMap,
        secrets: Sequence[str] = (),
        retries: int = RETRIES,
        deadline: float,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random.random,
    ) -> None:
        self._make = make
        self._errors = errors
        self._secrets = tuple(secret for secret in secrets if secret)
        self._retries = retries
        self._deadline = deadline
        self._clock = clock
        self._random = random
        self._generator: Generator[Call, Reply, R] | None = None
        self._call: Call | None = None
        self._tries = 0
        self.sent = False
        self.attempts = 0
        self.undo: Call | None = (
            None  # to be made where the exchange, or the stream it led to, is given up now
        )

    def begin(self) -> Call | Pause | Done[R]:
        """The first call, or the result of a wire that needs none."""
        self._generator = self._make()
        return self._resume(None)

    def following(self, call: Call) -> Steps[Reply]:
        """The exchange of one more call that a Continued decoder asks for; its result is the whole
        reply.
        """
        self.undo = call.undo
        return Steps(
            lambda: _once(call),
            errors=self._errors,
            secrets=(*self._secrets, *call.secrets),
            retries=self._retries,
            deadline=self._deadline,
            clock=self._clock,
            random=self._random,
        )

    def answered(self, reply: Reply) -> Call | Pause | Done[R]:
        """Takes the answer to the last call. Raises ProviderError."""
        error = self._error_in(reply)
        if error is None:
            self.sent = self.sent or reply.status < 400
            return self._resume(reply)
        if reply.status >= 500 and reply.status != 503:
            self.sent = True
        pause = self._pause_for(reply, error)
        if pause is None:
            raise self._closed(error)
        return pause

    def failed(self, failure: TransportFailure) -> Call | Pause:
        """Takes a failure to get an answer: repeats what surely was not sent, else raises
        ProviderError.
        """
        self.sent = self.sent or failure.sent
        if not failure.sent and failure.kind in ("connect", "tls"):
            pause = self._pause(FIRST_PAUSE * 2**self._tries)
            if pause is not None:
                return pause
        raise self._closed(error_of(failure))

    def cleaned(self, error: ProviderError) -> ProviderError:
        """The same error, its texts cut and without any part of a key."""
        error.message = clean(error.message, self._secrets)
        error.args = (error.message,)
        if error.reason is not None:
            error.reason = error.reason.cleaned(lambda text: clean(text, self._secrets))
        error.provider_code = clean(error.provider_code, self._secrets)[:60]
        if error.param is not None:
            error.param = clean(error.param, self._secrets)[:100]
        error.sent = self.sent
        return error

    def close(self) -> None:
        """Ends an exchange that is given up."""
        if self._generator is not None:
            self._generator.close()

    def _closed(self, error: ProviderError) -> ProviderError:
        self.close()
        return self.cleaned(error)

    def _resume(self, reply: Reply | None) -> Call | Pause | Done[R]:
        generator = self._generator
        assert generator is not None, "begin() comes first"
        try:
            call = next(generator) if reply is None else generator.send(reply)
        except StopIteration as stop:
            return Done(self._guarded(stop.value))
        except ProviderError as error:
            self.undo = None  # the wire's own word: there is nothing left to end
            raise self.cleaned(error) from None
        except MISSHAPEN as problem:
            raise self.cleaned(_misshapen(problem, is_request=reply is None)) from None
        return self._next(call)

    def _next(self, call: Call) -> Call | Pause:
        self._call, self.undo = call, call.undo
        self._secrets += call.secrets
        if call.delay and self._clock() + call.delay >= self._deadline:
            raise self._closed(ProviderError(Failure.TIMEOUT, Reason("not_done")))
        self.attempts += 1
        return Pause(call.delay, call) if call.delay else call

    def _guarded(self, value: R) -> R:
        if hasattr(value, "feed") and hasattr(value, "finish"):
            return Guarded(value, self.cleaned)  # type: ignore[arg-type, return-value]  # a Decoder, by its methods
        self.undo = None
        return value

    def _error_in(self, reply: Reply) -> ProviderError | None:
        assert self._call is not None, "begin() comes first"
        if reply.open or reply.status in self._call.accept:
            return None
        if 300 <= reply.status < 400:
            return ProviderError(Failure.NOT_AN_API, Reason("redirect"), status=reply.status)
        error = self._errors(reply)
        return plain_error(reply) if error is None and reply.status >= 400 else error

    def _pause_for(self, reply: Reply, error: ProviderError) -> Pause | None:
        if reply.status not in RETRIED_STATUSES or error.failure not in RETRIED_FAILURES:
            return None
        if reply.headers.get("x-should-retry") == "false":
            return None
        wanted = wait_asked_for(reply)
        return None if wanted is None or wanted > LONGEST_PAUSE else self._pause(wanted)

    def _pause(self, seconds: float) -> Pause | None:
        """A pause of so many seconds and up to a quarter more, where a try and the time for it are
        left.
        """
        seconds += self._random() * max(seconds, 0.1) / 4
        if self._tries >= self._retries or self._clock() + seconds >= self._deadline:
            return None
        assert self._call is not None, "begin() comes first"
        self._tries += 1
        self.attempts += 1
        return Pause(seconds, self._call)


class Guarded:
    """A Decoder that counts its bytes and cleans the errors it raises."""

    __slots__ = ("_clean", "_decoder", "_left")

    def __init__(self, decoder: Decoder, clean: Callable[[ProviderError], ProviderError]) -> None:
        self._decoder = decoder
        self._clean = clean
        self._left = MAX_STREAM

    @property
    def usage(self) -> Usage | None:
        return self._decoder.usage

    @property
    def finish_reason(self) -> str | None:
        return self._decoder.finish_reason

    @property
    def output_characters(self) -> int:
        return self._decoder.output_characters

    @property
    def done(self) -> bool:
        return self._decoder.done

    @property
    def next_call(self) -> Call | None:
        """What a Continued decoder still has to ask; None for every other one."""
        return getattr(self._decoder, "next_call", None)

    def feed(self, data: bytes) -> Sequence[Frame]:
        self._left -= len(data)
        if self._left < 0:
            raise ProviderError(
                Failure.ERROR, Reason("stream_too_long", most=MAX_STREAM // 1024 // 1024)
            )
        try:
            return self._decoder.feed(data)
        except ProviderError as error:
            raise self._clean(error) from None
        except MISSHAPEN as problem:
            raise self._clean(_misshapen(problem)) from None

    def finish(self) -> Sequence[Frame]:
        return self._read(self._decoder.finish)

    def answered(self, reply: Reply) -> Sequence[Frame]:
        """Hands a Continued decoder the reply to its next_call."""
        decoder: Continued = self._decoder  # type: ignore[assignment]  # one that had a next_call
        return self._read(lambda: decoder.answered(reply))

    def _read(self, read: Callable[[], Sequence[Frame]]) -> Sequence[Frame]:
        try:
            return read()
        except ProviderError as error:
            raise self._clean(error) from None
        except MISSHAPEN as problem:
            raise self._clean(_misshapen(problem)) from None


def _once(call: Call) -> Generator[Call, Reply, Reply]:
    return (yield call)


def exchange_for(
    provider: Provider, request: Request, access: Access, facts: ModelFacts
) -> Callable[[], Exchange]:
    """What Steps takes as `make`. Raises CannotExpress where the provider does not offer the
    operation.
    """
    make = provider.operations.get(request.operation)
    if make is None:
        raise CannotExpress(
            f"{provider.slug} does not offer {request.operation.value}.", param="model"
        )
    return lambda: make(provider, request, access, facts)


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+")
_PART = 8  # characters of a key in a row that count as the key


def clean(text: str, secrets: Sequence[str] = ()) -> str:
    """A provider's text made fit to be shown: no key, no control characters, at most about 300
    characters.

    The key is looked for as it is, URL-encoded and in base64, and any eight of its characters in a
    row.
    """
    text = text[: 20 * SHOWN_CHARACTERS]
    for secret in secrets:
        text = _without(text, secret)
    text = _CONTROL.sub(" ", text).strip()
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS].rstrip() + "…"


def _without(text: str, secret: str) -> str:
    encoded = base64.b64encode(secret.encode()).decode().rstrip("=")
    for form in {secret, quote(secret, safe=""), encoded}:
        text = text.replace(form, "[key]")
    if len(secret) < _PART:
        return text
    found = [False] * len(text)
    for start in range(len(secret) - _PART + 1):
        part = secret[start : start + _PART]
        at = text.find(part)
        while at >= 0:
            found[at : at + _PART] = [True] * _PART
            at = text.find(part, at + 1)
    return _masked(text, found)


def _masked(text: str, found: Sequence[bool]) -> str:
    pieces: list[str] = []
    for index, character in enumerate(text):
        if not found[index]:
            pieces.append(character)
        elif index == 0 or not found[index - 1]:
            pieces.append("[key]")
    return "".join(pieces)
