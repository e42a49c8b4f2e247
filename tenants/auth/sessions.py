"""Database sessions with strict session keys."""

from __future__ import annotations

import re
from typing import Any, Final

from django.contrib.sessions.backends.db import SessionStore as DatabaseStore

_KEY: Final = re.compile(r"[a-z0-9]{8,40}", re.ASCII)


class SessionStore(DatabaseStore):
    """Django's session store, rejecting malformed keys before they reach the database.

    A quoted cookie can contain a NUL, which makes PostgreSQL raise an error.
    """

    def _validate_session_key(self, key: Any) -> bool:
        return isinstance(key, str) and _KEY.fullmatch(key) is not None
