"""Access tokens fetched with a credential (OAuth client credentials), cached in this process."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Sequence

from providers.declaration.spec import Call, Reply

MAX_TOKENS = 1024  # in the cache of one process
MARGIN = 60.0  # seconds before its expiry in which a token is no longer used
LONGEST = 24 * 3600.0  # seconds a token is cached, even if it is valid for a month

_tokens: OrderedDict[bytes, tuple[str, float]] = OrderedDict()
_lock = threading.Lock()


def fetched_token(
    parts: Sequence[str],
    ask: Call,
    read: Callable[[Reply], tuple[str, float]],
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Generator[Call, Reply, str]:
    """Return the token for `parts`, from the cache or by one call. Use with `yield from`.

    Args:
        parts: everything that identifies the token: URL, id, and the secret itself, so that
            only a caller who could fetch the token gets it.
        ask: the call that fetches the token.
        read: returns the token and its lifetime in seconds; may raise ProviderError.
    """
    key = _key(parts)
    with _lock:
        entry = _tokens.get(key)
        if entry is not None and clock() < entry[1]:
            _tokens.move_to_end(key)
            return entry[0]
    token, seconds = read((yield ask))
    with _lock:
        _tokens[key] = (token, clock() + min(max(seconds - MARGIN, 0.0), LONGEST))
        _tokens.move_to_end(key)
        while len(_tokens) > MAX_TOKENS:
            _tokens.popitem(last=False)
    return token


def forget_token(parts: Sequence[str]) -> None:
    """Drop a token that the provider no longer accepts, so that the next call fetches a new
    one.
    """
    with _lock:
        _tokens.pop(_key(parts), None)


def _key(parts: Sequence[str]) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode()
        digest.update(b"%d:" % len(data))
        digest.update(data)
    return digest.digest()
