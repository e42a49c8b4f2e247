"""The product's application, its calls to providers led to the playback server at
MODELKEEP_PLAYBACK: what adapters decide by the host of an address stays as it is, and nothing
leaves the machine. Waiting (for polls, after limits) is cut short. Run as `gunicorn
tests.fakes.detour:application`.
"""

from __future__ import annotations

import os

from config.asgi import application
from providers.declaration.spec import Call
from providers.transport import steps
from providers.transport.http1 import request
from providers.transport.steps import Pause
from providers.wire import tokens

__all__ = ["application"]

_PLAYBACK = os.environ["MODELKEEP_PLAYBACK"]
_target_of = request.target_of


def _led_aside(url: str, allow: frozenset[str]) -> request.Target:
    scheme, _, rest = url.partition("://")
    return _target_of(f"{_PLAYBACK}/{scheme}/{rest}", allow)


def _short(seconds: float, call: Call) -> Pause:
    return Pause(min(seconds, 0.01), call)


request.target_of = _led_aside  # type: ignore[assignment]  # without its cache
steps.Pause = _short  # type: ignore[assignment, misc]
tokens.MAX_TOKENS = 0  # a case lists all of its calls, including those that fetch cached values
