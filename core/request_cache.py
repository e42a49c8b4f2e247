"""Cache reads while a page is rendered, because its parts often need the same data."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

_known: ContextVar[dict[Any, Any] | None] = ContextVar("modelkeep_read", default=None)


@contextmanager
def reading_once() -> Iterator[None]:
    """Cache the results of functions marked with `once` inside this block.

    Use it for reading only: writes do not invalidate the cache. Nested blocks share the outer
    cache.
    """
    outer = _known.get()
    token = _known.set({} if outer is None else outer)
    try:
        yield
    finally:
        _known.reset(token)


def once(function: Callable[P, R]) -> Callable[P, R]:
    """Cache a function's results inside `reading_once`. Callers must not modify them."""

    @wraps(function)
    def remembered(*args: P.args, **kwargs: P.kwargs) -> R:
        known = _known.get()
        if known is None:
            return function(*args, **kwargs)
        key = (function, args, tuple(sorted(kwargs.items())))
        if key not in known:
            known[key] = function(*args, **kwargs)
        result: R = known[key]
        return result

    return remembered


def known(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | None:
    """Return the cached result of a function marked with `once`, or None if there is none."""
    value: R | None = (_known.get() or {}).get(
        (inspect.unwrap(function), args, tuple(sorted(kwargs.items())))
    )
    return value
