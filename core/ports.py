"""Ports: calls from one app to another that it must not import.

An app declares its ports in its own `ports.py`; `gateway/wiring.py` connects the implementations
once the apps are ready.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Generic, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Port(Generic[P, R]):
    """A function whose implementation is connected once all apps are loaded.

    Args:
        default: Defines the signature, and runs until `connect` is called.
    """

    def __init__(self, default: Callable[P, R]) -> None:
        functools.update_wrapper(self, default)
        self._answer = default

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._answer(*args, **kwargs)

    def connect(self, answer: Callable[P, R]) -> None:
        """Use `answer` for all further calls. Connecting again replaces it."""
        self._answer = answer
