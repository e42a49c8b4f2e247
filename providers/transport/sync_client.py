"""The synchronous transport, for checks, imports and commands. `perform` is the seam that tests
replace.
"""

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

from providers.declaration.spec import Call, Provider, Reply
from providers.failures.reasons import Reason
from providers.transport import egress
from providers.transport.steps import RETRIES, Done, Pause, Steps, TransportFailure

R = TypeVar("R")

MAX_SESSIONS = 64
PIECE = 64 * 1024  # bytes read at once
UNDO_SECONDS = 5.0  # for ending at the provider what was given up here

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
    """Runs one exchange to its end and returns the wire's result.

    make: starts the exchange. pool_key: tenant and credential; connections are never shared beyond
    it. secrets: opened key texts, which no error will show. deadline: on time.monotonic(). retries:
    how often a call is repeated at most. Raises ProviderError.
    """
    steps = Steps(make, errors=provider.errors, secrets=secrets, retries=retries, deadline=deadline)
    try:
        return _drive(steps, pool_key, deadline)
    except BaseException:
        _undo(steps, pool_key)
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
            step = steps.failed(failure)
        else:
            step = steps.answered(reply)
    return step.value


def _undo(steps: Steps[Any], pool_key: str) -> None:
    """Ends what goes on at the provider for an exchange that was given up; that it could not be
    ended is only logged.
    """
    if steps.undo is None:
        return
    try:
        send(steps.undo, pool_key=pool_key, deadline=time.monotonic() + UNDO_SECONDS)
    except TransportFailure as failure:
        logger.warning("work given up could not be ended at the provider: %s", failure)


def send(call: Call, *, pool_key: str, deadline: float) -> Reply:
    """Makes one call and reads its whole answer. Raises TransportFailure."""
    if call.stream:
        raise ValueError("Streams are made by the gateway's transport.")
    egress.check_url(call.url, allow=_allow(), tenant_typed=True)
    left = deadline - time.monotonic()
    if left <= 0:
        raise TransportFailure("timeout", Reason("no_time_left"), sent=False)
    with _Watch(left) as watch:
        try:
            return _exchange(call, pool_key, left, watch)
        except TransportFailure:  # first: a refused address is a ValueError too
            raise
        except (
            requests.RequestException,
            urllib3.exceptions.HTTPError,
            OSError,
            ValueError,
        ) as problem:
            raise _failure_of(problem, watch) from None


def _exchange(call: Call, pool_key: str, left: float, watch: _Watch) -> Reply:
    response = _session(pool_key).request(
        call.method,
        call.url,
        data=call.body,
        headers={"User-Agent": "modelkeep", **call.headers, "Accept-Encoding": "identity"},
        stream=True,
        allow_redirects=False,
        timeout=(
            min(settings.MODELKEEP_CONNECT_TIMEOUT, left),
            min(settings.MODELKEEP_IDLE_TIMEOUT, left),
        ),
    )
    with response:
        headers = {name.lower(): value for name, value in response.headers.items()}
        if headers.get("content-encoding", "identity").lower() not in ("", "identity"):
            raise TransportFailure("encoding", Reason("encoding"), sent=True)
        body = _read(response, headers, watch, call.limit)
    return Reply(response.status_code, headers, body)


def _read(response: requests.Response, headers: dict[str, str], watch: _Watch, limit: int) -> bytes:
    """The body, undecoded, up to the cap."""
    too_large = TransportFailure(
        "too_large", Reason("too_long", most=limit // (1024 * 1024)), sent=True
    )
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit:
        raise too_large
    body = bytearray()
    while piece := response.raw.read(PIECE, decode_content=False):
        body += piece
        if len(body) > limit:
            raise too_large
    if watch.expired:  # a cut connection without a length looks like the end of the body
        raise OSError
    return bytes(body)


def _failure_of(problem: Exception, watch: _Watch) -> TransportFailure:
    """In our words: the texts of HTTP libraries hold header values."""
    if watch.expired or (watch.sent and _is_timeout(problem)):
        return TransportFailure("timeout", Reason("timeout"), sent=watch.sent)
    if watch.sent:
        return TransportFailure("broken", Reason("broken"), sent=True)
    if isinstance(problem, requests.exceptions.SSLError):
        return TransportFailure("tls", Reason("tls"), sent=False)
    return (
        _too_slow()
        if _is_timeout(problem)
        else TransportFailure("connect", Reason("connect"), sent=False)
    )


def _is_timeout(problem: Exception) -> bool:
    kinds = (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)
    return isinstance(problem, kinds) or any(
        isinstance(argument, kinds) for argument in problem.args
    )


def _allow() -> frozenset[str]:
    return frozenset(settings.MODELKEEP_EGRESS_ALLOW)


class _Watch:
    """Cuts the connection when the total time is over, whatever keeps dripping in; knows whether
    anything was sent.
    """

    def __init__(self, seconds: float) -> None:
        self.ends = time.monotonic() + seconds
        self.expired = False
        self.sent = False
        # Kept here: http.client lets go of it once the head of an answer that ends with its
        # connection is read.
        self.sock: Any = None
        self._timer = threading.Timer(seconds, self._expire)
        self._timer.daemon = True

    def __enter__(self) -> _Watch:
        self._token = _watch.set(self)
        self._timer.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._timer.cancel()
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
    """A socket to an address that was looked up once and checked."""
    host, port = connection._dns_host, connection.port
    timeout = (
        connection.timeout
        if isinstance(connection.timeout, int | float)
        else settings.MODELKEEP_CONNECT_TIMEOUT
    )
    ends = time.monotonic() + timeout
    where = egress.origin(f"{scheme}://{_bracket(host)}:{port}")
    answers = egress.resolve_checked(
        host, port, origin=where, allow=_allow(), look_up=_look_up_within(timeout)
    )
    for family, kind, protocol, _name, address in answers:
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
    raise (
        _too_slow()
        if time.monotonic() >= ends
        else TransportFailure("connect", Reason("connect"), sent=False)
    )


def _too_slow() -> TransportFailure:
    return TransportFailure("connect_timeout", Reason("connect_timeout"), sent=False)


def _bracket(host: str) -> str:
    return f"[{host.strip('[]')}]" if ":" in host else host


def _look_up_within(seconds: float) -> Callable[..., Sequence[Any]]:
    """getaddrinfo with a limit of time: it has none of its own, so it runs beside in a thread."""

    def look_up(*arguments: Any) -> Sequence[Any]:
        answers: queue.SimpleQueue[Sequence[Any] | OSError] = queue.SimpleQueue()

        def ask() -> None:
            try:
                answers.put(socket.getaddrinfo(*arguments))
            except (OSError, UnicodeError):
                answers.put(OSError())

        threading.Thread(target=ask, daemon=True).start()
        try:
            found = answers.get(timeout=seconds)
        except queue.Empty:
            raise _too_slow() from None
        if isinstance(found, OSError):
            raise found
        return found

    return look_up


class _Watched(HTTPConnection):
    """A connection of urllib3 that registers with the watch of the call under way."""

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
    """The session of one tenant and credential; the one that rested longest is closed when there
    are many.
    """
    with _lock:
        session = _sessions.pop(pool_key, None) or _new_session()
        _sessions[pool_key] = session
        if len(_sessions) > MAX_SESSIONS:
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


def close_sessions() -> None:
    """Closes every kept connection."""
    with _lock:
        while _sessions:
            _sessions.popitem()[1].close()
