"""The product's application, its calls to providers led to the playback server at
MODELKEEP_PLAYBACK: what adapters decide by the host of an address stays as it is, and nothing
leaves the machine. Waiting (for polls, after limits) is cut short. Run as `gunicorn
tests.fakes.detour:application`.
"""

from __future__ import annotations

import os

from yarl import URL

from config.asgi import application
from providers.declaration.spec import Call
from providers.transport import async_pool, steps
from providers.transport.steps import Pause
from providers.wire import tokens

__all__ = ["application"]

_PLAYBACK = os.environ["MODELKEEP_PLAYBACK"]


def _led_aside(text: str, allow: frozenset[str]) -> tuple[URL, str]:
    scheme, _, rest = text.partition("://")
    return URL(f"{_PLAYBACK}/{scheme}/{rest}", encoded=True), _PLAYBACK


def _short(seconds: float, call: Call) -> Pause:
    return Pause(min(seconds, 0.01), call)


async_pool.checked_url = _led_aside
steps.Pause = _short  # type: ignore[assignment, misc]
tokens.MAX_TOKENS = 0  # a case lists all of its calls, including those that fetch cached values
