"""Sessions in the database, which are asked for by keys that can be ones only."""

from __future__ import annotations

import re
from typing import Any, Final

from django.contrib.sessions.backends.db import SessionStore as DatabaseStore

_KEY: Final = re.compile(r"[a-z0-9]{8,40}", re.ASCII)


class SessionStore(DatabaseStore):
    """A cookie is anybody's text: PostgreSQL answers one with a NUL in it, which a quoted cookie
    can spell, with an error.
    """

    def _validate_session_key(self, key: Any) -> bool:
        return isinstance(key, str) and _KEY.fullmatch(key) is not None
