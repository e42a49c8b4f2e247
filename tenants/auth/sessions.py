"""Database sessions: rows are found by a hash of the cookie and hold data for that cookie only."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, Final

from asgiref.sync import sync_to_async
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.utils import timezone

from core.db.violations import is_unavailable

if TYPE_CHECKING:
    from django.contrib.sessions.base_session import AbstractBaseSession

_KEY: Final = re.compile(r"[a-z0-9]{8,40}", re.ASCII)
_ROW: Final = "_row"  # in the signed data: the row that it was written for


def row_key(session_key: str) -> str:
    """Return the primary key of a session's row, from which its cookie cannot be derived.

    A session key has 165 random bits, so a slow hash is not needed. The column holds 40 characters.
    """
    return hashlib.sha256(b"modelkeep/session/v1/" + session_key.encode()).hexdigest()[:40]


class SessionStore(DatabaseStore):
    """Django's session store, with hashed keys and data that cannot be moved to another row.

    Whoever reads the table or a backup finds no value that works as a cookie. Whoever can write to
    it cannot give the data of somebody else's session to their own. Malformed keys are rejected
    before they reach the database: a quoted cookie can contain a NUL, which makes PostgreSQL raise
    an error.
    """

    def _validate_session_key(self, key: Any) -> bool:
        return isinstance(key, str) and _KEY.fullmatch(key) is not None

    def _get_session_from_db(self) -> AbstractBaseSession | None:
        key = self.session_key
        rows = self.model.objects.filter(expire_date__gt=timezone.now())
        row = rows.filter(session_key=row_key(key)).first() if key else None
        if row is None:
            self._session_key = None  # a new session gets a key of its own
        return row

    def encode(self, session_dict: dict[str, Any]) -> str:
        key = self.session_key
        return super().encode({**session_dict, _ROW: row_key(key)} if key else session_dict)

    def decode(self, session_data: bytes | str) -> dict[str, Any]:
        data = super().decode(session_data)
        key = self.session_key
        return data if key and data.pop(_ROW, None) == row_key(key) else {}

    def create_model_instance(self, data: dict[str, Any]) -> AbstractBaseSession:
        row = super().create_model_instance(data)
        row.session_key = row_key(row.session_key)
        return row

    def save(self, must_create: bool = False) -> None:
        try:
            super().save(must_create=must_create)
        except UpdateError as error:
            # Django takes any refusal for a session that was deleted meanwhile.
            if is_unavailable(error.__context__):
                raise error.__context__ from error  # type: ignore[misc]  # it is not None
            raise

    def exists(self, session_key: str) -> bool:
        return super().exists(row_key(session_key))

    def delete(self, session_key: str | None = None) -> None:
        key = session_key or self.session_key
        if key:
            super().delete(row_key(key))

    async def _aget_session_from_db(self) -> AbstractBaseSession | None:
        return await sync_to_async(self._get_session_from_db)()

    async def acreate_model_instance(self, data: dict[str, Any]) -> AbstractBaseSession:
        return await sync_to_async(self.create_model_instance)(data)

    async def aexists(self, session_key: str) -> bool:
        return await super().aexists(row_key(session_key))

    async def adelete(self, session_key: str | None = None) -> None:
        key = session_key or self.session_key
        if key:
            await super().adelete(row_key(key))
