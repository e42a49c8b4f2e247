"""Access tokens that are fetched with a credential (OAuth client credentials): kept in this process
until shortly before they expire.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Sequence

from providers.declaration.spec import Call, Reply

KEPT = 1024  # tokens of one process
MARGIN = 60.0  # seconds before its end in which a token is no longer used
LONGEST = (
    24 * 3600.0
)  # seconds; a token is fetched anew each day even where the provider lets it live for a month

_tokens: OrderedDict[bytes, tuple[str, float]] = OrderedDict()
_lock = threading.Lock()


def fetched_token(
    parts: Sequence[str],
    ask: Call,
    read: Callable[[Reply], tuple[str, float]],
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Generator[Call, Reply, str]:
    """The token that belongs to `parts`, from memory or by one call. Use with `yield from`.

    parts: everything that decides which token it is: the address, the id, and the secret itself, so
    that nobody gets a token who could not have fetched it. read: the reply -> (token, seconds it
    lives); raises ProviderError.
    """
    key = _key(parts)
    with _lock:
        kept = _tokens.get(key)
        if kept is not None and clock() < kept[1]:
            _tokens.move_to_end(key)
            return kept[0]
    token, seconds = read((yield ask))
    with _lock:
        _tokens[key] = (token, clock() + min(max(seconds - MARGIN, 0.0), LONGEST))
        _tokens.move_to_end(key)
        while len(_tokens) > KEPT:
            _tokens.popitem(last=False)
    return token


def forget_token(parts: Sequence[str]) -> None:
    """The provider no longer takes it: the next call fetches a new one."""
    with _lock:
        _tokens.pop(_key(parts), None)


def _key(parts: Sequence[str]) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode()
        digest.update(b"%d:" % len(data))
        digest.update(data)
    return digest.digest()
