"""Ports: questions that one app asks and another app, which it must not import, answers.

An app declares its ports in its own `ports.py`; `gateway/wiring.py` connects the answers when the
apps are ready.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Generic, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Port(Generic[P, R]):
    """A function whose body can be replaced once all apps are loaded.

    Args:
        default: Answers until `connect` is called, and states the signature.
    """

    def __init__(self, default: Callable[P, R]) -> None:
        functools.update_wrapper(self, default)
        self._answer = default

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._answer(*args, **kwargs)

    def connect(self, answer: Callable[P, R]) -> None:
        """Let `answer` serve all further calls. Connecting again replaces it."""
        self._answer = answer
