"""Steps of a wire's exchange for both transports: retries, error mapping and redaction. Pure."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from providers.declaration.error_bodies import bounded
from providers.declaration.errors import CannotExpress, Failure, ProviderError
from providers.declaration.spec import (
    Access,
    Call,
    ErrorMap,
    Exchange,
    ModelFacts,
    Provider,
    Reply,
    Request,
)
from providers.failures.context_length import tells_context_length
from providers.failures.reasons import Reason
from providers.transport.failures import MALFORMED, TransportFailure, malformed, provider_error
from providers.transport.limits import FIRST_PAUSE, LONGEST_PAUSE, RETRIES
from providers.transport.redaction import RECORDED, clean
from providers.transport.safe_decoder import SafeDecoder
from providers.wire.http import (
    NO_ROUTE,
    GuessedUrl,
    plain_error,
    wait_asked_for,
)
from providers.wire.repairs.bodies import error_reply
from providers.wire.repairs.requests import repaired

R = TypeVar("R")

RETRIED_STATUSES = frozenset({429, 503})
RETRIED_FAILURES = frozenset({Failure.RATE_LIMIT, Failure.OVERLOADED})
# What error maps make of a prompt that is too long if the server tells it only in words.
VAGUE = frozenset({Failure.BAD_REQUEST, Failure.ERROR})


@dataclass(frozen=True, slots=True)
class Done(Generic[R]):
    """The end of an exchange; `value` is the wire's result."""

    value: R


@dataclass(frozen=True, slots=True)
class Pause:
    """A wait before the call is made."""

    seconds: float
    call: Call


class Steps(Generic[R]):
    """Drive one exchange: the transport makes each Call and reports `answered` or `failed`.

    Args:
        make: Starts the exchange.
        errors: The provider's ErrorMap.
        secrets: Opened keys, removed from every error.
        retries: Most repeated calls in the whole exchange.
        deadline: In seconds on `clock`.
        size: Bytes of the request that begin() writes.

    Raises:
        ProviderError: From every method, with a cleaned message.
    """

    def __init__(
        self,
        make: Callable[[], Generator[Call, Reply, R]],
        *,
        errors: ErrorMap,
        secrets: Sequence[str] = (),
        retries: int = RETRIES,
        deadline: float,
        size: int = 0,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random.random,
    ) -> None:
        self._make = make
        self._errors = bounded(errors)
        self._secrets = tuple(secret for secret in secrets if secret)
        self._retries = retries
        self._deadline = deadline
        self.size = size
        self._clock = clock
        self._random = random
        self._generator: Generator[Call, Reply, R] | None = None
        self._call: Call | None = None
        self._guessed: GuessedUrl | None = None  # what was called just before, without success
        self._tries = 0
        self.sent = False
        self.attempts = 0
        # The call to make if the exchange, or the stream it opened, is abandoned now.
        self.undo: Call | None = None

    def begin(self) -> Call | Pause | Done[R]:
        """Return the first call, or the result of a wire that makes no calls."""
        return self._resume(None)

    def following(self, call: Call) -> Steps[Reply]:
        """Return the steps of a Continued decoder's next call; their result is its reply."""
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
        """Take the reply to the last call and return the next step."""
        if reply.status >= 400:
            reply = error_reply(reply)
        if (call := self._at_other_url(reply)) is not None:
            return self._next(call)
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
        """Repeat a call that certainly was not sent; raise ProviderError for any other."""
        self.sent = self.sent or failure.sent
        if not failure.sent and failure.kind in ("connect", "tls"):
            pause = self._pause(FIRST_PAUSE * 2**self._tries)
            if pause is not None:
                return pause
        error = provider_error(failure)
        if self._call is not None and self._call.of_answer and error.failure is not Failure.TIMEOUT:
            error.failure = Failure.ERROR
        raise self._closed(error)

    def cleaned(self, error: ProviderError) -> ProviderError:
        """Shorten the error's texts, remove keys from them, and return the error."""
        if error.reason is None and error.failure in VAGUE and tells_context_length(error.message):
            error.failure = Failure.CONTEXT_LENGTH
        error.message = clean(error.message, self._secrets, RECORDED)
        error.args = (error.message,)
        if error.reason is not None:
            error.reason = error.reason.cleaned(lambda text: clean(text, self._secrets))
        error.provider_code = clean(error.provider_code, self._secrets)[:60]
        if error.param is not None:
            error.param = clean(error.param, self._secrets)[:100]
        error.sent = self.sent
        return error

    def close(self) -> None:
        """End an abandoned exchange."""
        if self._generator is not None:
            self._generator.close()

    def _closed(self, error: ProviderError) -> ProviderError:
        self.close()
        return self.cleaned(error)

    def _resume(self, reply: Reply | None) -> Call | Pause | Done[R]:
        try:
            if reply is None:
                self._generator = self._make()
                call = next(self._generator)
            else:
                assert self._generator is not None, "call begin() first"
                call = self._generator.send(reply)
        except StopIteration as stop:
            return Done(self._guarded(stop.value))
        except ProviderError as error:
            self.undo = None  # the wire raised it: nothing is left running at the provider
            raise self.cleaned(error) from None
        except MALFORMED as error:
            raise self.cleaned(malformed(error, is_request=reply is None)) from None
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
            return SafeDecoder(value, self.cleaned)  # type: ignore[arg-type, return-value]  # a Decoder
        self.undo = None
        return value

    def _at_other_url(self, reply: Reply) -> Call | None:
        """Return the call to the other URL that a server without this one may have."""
        assert self._call is not None, "call begin() first"
        url, guessed = self._call.url, self._guessed
        self._guessed = None
        if guessed is not None and reply.status not in NO_ROUTE:
            guessed.note_wrong()
        if reply.status not in NO_ROUTE or not isinstance(url, GuessedUrl):
            return None
        error = self._errors(reply) or plain_error(reply)
        if error.failure is not Failure.NOT_AN_API:
            return None
        self._guessed = url
        return replace(self._call, url=url.other)

    def _error_in(self, reply: Reply) -> ProviderError | None:
        assert self._call is not None, "call begin() first"
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
        seconds = wait_asked_for(reply)
        return None if seconds is None or seconds > LONGEST_PAUSE else self._pause(seconds)

    def _pause(self, seconds: float) -> Pause | None:
        """Return a pause with up to a quarter of jitter; None without a retry or time left."""
        seconds += self._random() * max(seconds, 0.1) / 4
        if self._tries >= self._retries or self._clock() + seconds >= self._deadline:
            return None
        assert self._call is not None, "call begin() first"
        self._tries += 1
        self.attempts += 1
        return Pause(seconds, self._call)


def _once(call: Call) -> Generator[Call, Reply, Reply]:
    return (yield call)


def exchange_for(
    provider: Provider, request: Request, access: Access, facts: ModelFacts
) -> Callable[[], Exchange]:
    """Return the `make` argument of Steps.

    Raises:
        CannotExpress: The provider does not offer the operation.
    """
    if request.native is not None:
        native = provider.dialects[request.native.dialect]
        return lambda: native(provider, request, access, facts)
    make = provider.operations.get(request.operation)
    if make is None:
        raise CannotExpress(
            f"{provider.slug} does not offer {request.operation.value}.", param="model"
        )

    def exchange() -> Exchange:
        # Here, because begin() runs in a thread for large bodies and reports what it cannot read.
        sent = repaired(request, unlimited=provider.unlimited)
        return make(provider, sent, access, facts)

    return exchange
