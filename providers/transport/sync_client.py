"""The synchronous transport, for checks, imports and commands. Tests replace `perform`."""

from __future__ import annotations

import logging
import queue
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Sequence
from contextvars import ContextVar
from http.cookiejar import DefaultCookiePolicy
from typing import Any, TypeVar

import requests
import urllib3
from django.conf import settings
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from core.errors import drop_frames
from providers.declaration.error_bodies import MAX_ERROR_BODY
from providers.declaration.errors import ProviderError
from providers.declaration.spec import Call, Provider, Reply
from providers.failures.reasons import Reason
from providers.transport import egress, failures
from providers.transport.failures import TransportFailure
from providers.transport.framing import BoundedResponse
from providers.transport.inflating import inflater_of
from providers.transport.limits import (
    READ_SIZE,
    RETRIES,
    SYNC_POOLS,
    UNDO_SECONDS,
    USER_AGENT,
)
from providers.transport.steps import Done, Pause, Steps

R = TypeVar("R")

logger = logging.getLogger(__name__)


def perform(
    make: Callable[[], Generator[Call, Reply, R]],
    *,
    provider: Provider,
    pool_key: str,
    secrets: Sequence[str],
    deadline: float,
    retries: int = RETRIES,
) -> R:
    """Run one exchange to its end and return the wire's result.

    Args:
        make: Starts the exchange.
        provider: Maps the error replies.
        pool_key: Tenant and credential; connections are shared only within it.
        secrets: Opened keys, removed from every error.
        deadline: On time.monotonic(), in seconds.
        retries: Most repeated calls in the whole exchange.

    Raises:
        ProviderError: The exchange failed.
    """
    steps = Steps(make, errors=provider.errors, secrets=secrets, retries=retries, deadline=deadline)
    try:
        return _drive(steps, pool_key, deadline)
    except BaseException as error:
        _undo(steps, pool_key)
        if isinstance(error, ProviderError):
            drop_frames(error)
        raise


def _drive(steps: Steps[R], pool_key: str, deadline: float) -> R:
    step: Call | Pause | Done[R] = steps.begin()
    while not isinstance(step, Done):
        if isinstance(step, Pause):
            time.sleep(step.seconds)
            step = step.call
        try:
            reply = send(step, pool_key=pool_key, deadline=deadline)
        except TransportFailure as failure:
            drop_frames(failure)
            step = steps.failed(failure)
        else:
            step = steps.answered(reply)
    return step.value


def _undo(steps: Steps[Any], pool_key: str) -> None:
    """Cancel an abandoned exchange's work at the provider; log a failure to do so."""
    if steps.undo is None:
        return
    try:
        send(steps.undo, pool_key=pool_key, deadline=time.monotonic() + UNDO_SECONDS)
    except TransportFailure as failure:
        logger.warning("Could not cancel abandoned work at the provider: %s", failure)


def send(call: Call, *, pool_key: str, deadline: float) -> Reply:
    """Make one call and read its whole reply.

    Raises:
        TransportFailure: No complete reply arrived.
    """
    if call.stream:
        raise ValueError("Streams are opened only by the gateway's transport.")
    egress.check_url(call.url, allow=_allow(), tenant_typed=True)
    left = deadline - time.monotonic()
    if left <= 0:
        raise failures.no_time_left()
    with _Watch(left) as watch:
        try:
            return _exchange(call, pool_key, left, watch)
        except TransportFailure:  # comes first: a refused address is also a ValueError
            raise
        except (
            requests.RequestException,
            urllib3.exceptions.HTTPError,
            OSError,
            ValueError,
        ) as error:
            drop_frames(error)
            raise _failure_of(error, watch) from None


def _exchange(call: Call, pool_key: str, left: float, watch: _Watch) -> Reply:
    response = _session(pool_key).request(
        call.method,
        call.url,
        data=call.body,
        headers={"User-Agent": USER_AGENT, **call.headers, "Accept-Encoding": "identity"},
        stream=True,
        allow_redirects=False,
        timeout=(
            min(settings.MODELKEEP_CONNECT_TIMEOUT, left),
            min(settings.MODELKEEP_IDLE_TIMEOUT, left),
        ),
    )
    with response:
        headers = {name.lower(): value for name, value in response.headers.items()}
        body = _read(response, headers, watch, call.limit)
    return Reply(response.status_code, headers, body)


def _read(response: requests.Response, headers: dict[str, str], watch: _Watch, limit: int) -> bytes:
    """Read the raw body, up to `limit` bytes; of an error only the start."""
    is_error = response.status_code >= 300
    if is_error:
        limit = MAX_ERROR_BODY
    inflater = inflater_of(headers.get("content-encoding", ""))
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit and not is_error:
        raise failures.too_large(limit)
    body = bytearray()
    while piece := response.raw.read(READ_SIZE, decode_content=False):
        body += piece if inflater is None else inflater.feed(piece)
        while inflater is not None and inflater.waits and len(body) <= limit:
            body += inflater.feed(b"")
        if len(body) > limit:
            if is_error:
                return bytes(body[:limit])
            raise failures.too_large(limit)
    if watch.expired:  # without a length, a closed connection looks like the end of the body
        raise OSError
    return bytes(body)


def _failure_of(error: Exception, watch: _Watch) -> TransportFailure:
    """Describe a failure of requests or urllib3 in our own words."""
    is_timeout = _is_timeout(error)
    if watch.expired or (watch.sent and is_timeout):
        return TransportFailure("timeout", Reason("timeout"), sent=watch.sent)
    if watch.sent:
        return failures.sent("broken")
    if isinstance(error, requests.exceptions.SSLError):
        return failures.not_sent("tls")
    return failures.not_sent("connect_timeout" if is_timeout else "connect")


def _is_timeout(error: Exception) -> bool:
    kinds = (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)
    return isinstance(error, kinds) or any(isinstance(argument, kinds) for argument in error.args)


def _allow() -> frozenset[str]:
    return frozenset(settings.MODELKEEP_EGRESS_ALLOW)


class _Watch:
    """Close the connection when the time for the call is over, even while data keeps arriving.

    Attributes:
        expired: Whether the time is over.
        sent: Whether any part of the request was sent.
    """

    def __init__(self, seconds: float) -> None:
        self.expired = False
        self.sent = False
        # http.client drops its own reference after the headers of a reply that ends when the
        # connection is closed.
        self.sock: Any = None
        self._timer = threading.Timer(seconds, self._expire)
        self._timer.daemon = True

    def __enter__(self) -> _Watch:
        self._token = _watch.set(self)
        self._timer.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._timer.cancel()
        del self._timer  # it refers to this watch
        _watch.reset(self._token)
        self.sock = None

    def _expire(self) -> None:
        self.expired = True
        if self.sock is not None:
            try:
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)
            except OSError:  # closed already
                return


_watch: ContextVar[_Watch | None] = ContextVar("watch", default=None)


def _connect(connection: HTTPConnection, scheme: str) -> socket.socket:
    """Connect to an address that was resolved once and checked."""
    host, port = connection._dns_host, connection.port
    timeout = (
        connection.timeout
        if isinstance(connection.timeout, int | float)
        else settings.MODELKEEP_CONNECT_TIMEOUT
    )
    ends = time.monotonic() + timeout
    origin = egress.origin(f"{scheme}://{_bracket(host)}:{port}")
    infos = egress.resolve_checked(
        host, port, origin=origin, allow=_allow(), look_up=_look_up_within(timeout)
    )
    for family, kind, protocol, _name, address in infos:
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(max(0.05, ends - time.monotonic()))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.connect(address)
        except OSError:
            sock.close()
            continue
        sock.settimeout(timeout)
        return sock
    raise failures.not_sent("connect_timeout" if time.monotonic() >= ends else "connect")


def _bracket(host: str) -> str:
    return f"[{host.strip('[]')}]" if ":" in host else host


def _look_up_within(seconds: float) -> Callable[..., Sequence[Any]]:
    """Return getaddrinfo with a time limit: it has none of its own, so it runs in a thread."""

    def look_up(*arguments: Any) -> Sequence[Any]:
        results: queue.SimpleQueue[Sequence[Any] | OSError] = queue.SimpleQueue()

        def resolve() -> None:
            try:
                results.put(socket.getaddrinfo(*arguments))
            except (OSError, UnicodeError):
                results.put(OSError())

        threading.Thread(target=resolve, daemon=True).start()
        try:
            result = results.get(timeout=seconds)
        except queue.Empty:
            raise failures.not_sent("connect_timeout") from None
        if isinstance(result, OSError):
            raise result
        return result

    return look_up


class _Watched(HTTPConnection):
    """A urllib3 connection that registers with the watch of the current call."""

    response_class = BoundedResponse

    def send(self, data: Any) -> None:
        watch = _watch.get()
        if watch is not None:
            if self.sock is None:
                self.connect()
            watch.sock, watch.sent = self.sock, True
        super().send(data)


class _PlainConnection(_Watched):
    def _new_conn(self) -> socket.socket:
        return _connect(self, "http")


class _SecureConnection(_Watched, HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _connect(self, "https")


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}


_sessions: OrderedDict[str, requests.Session] = OrderedDict()
_lock = threading.Lock()


def _session(pool_key: str) -> requests.Session:
    """Return the session of one tenant and credential.

    Above SYNC_POOLS sessions, the least recently used one is closed.
    """
    with _lock:
        session = _sessions.pop(pool_key, None) or _new_session()
        _sessions[pool_key] = session
        if len(_sessions) > SYNC_POOLS:
            _sessions.popitem(last=False)[1].close()
    return session


def _new_session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # neither proxies nor netrc
    session.headers.clear()
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = _Adapter(pool_connections=2, pool_maxsize=4, max_retries=0)
    for prefix in ("http://", "https://"):
        session.mount(prefix, adapter)
    return session
