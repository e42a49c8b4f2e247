"""Reads the same thing once while a page is put together: pages ask several parts, and each part
asks what it needs.
"""

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
    """Inside, functions marked with `once` ask the database once per arguments. For reading only:
    writes are not noticed.

    Within another: what that one knows is known here too.
    """
    outer = _known.get()
    token = _known.set({} if outer is None else outer)
    try:
        yield
    finally:
        _known.reset(token)


def once(function: Callable[P, R]) -> Callable[P, R]:
    """Remember the result inside `reading_once`; everywhere else the function is as it was. Results
    must not be changed.
    """

    @wraps(function)
    def remembered(*args: P.args, **kwargs: P.kwargs) -> R:
        known = _known.get()
        if known is None:
            return function(*args, **kwargs)
        key = (function, args, tuple(sorted(kwargs.items())))
        if key not in known:
            known[key] = function(*args, **kwargs)
        found: R = known[key]
        return found

    return remembered


def known(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | None:
    """What a function marked with `once` gave for these arguments inside `reading_once`; None where
    it was not asked yet.
    """
    found: R | None = (_known.get() or {}).get(
        (inspect.unwrap(function), args, tuple(sorted(kwargs.items())))
    )
    return found
