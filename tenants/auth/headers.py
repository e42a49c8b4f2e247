"""Read the app key from a request's headers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from core.errors import ServiceError
from tenants.auth.key_format import is_well_formed

HEADERS: Final = ("authorization", "x-api-key", "api-key")
_BEARER: Final = re.compile(r"bearer +(\S.*)", re.IGNORECASE | re.ASCII)


class BadCredential(ServiceError):
    """The request's credential is no good: 401, 403 for a suspended workspace, 400 for two
    different ones at once.
    """

    def __init__(self, code: str, message: Any) -> None:
        super().__init__(code, message)


def read_header(headers: Mapping[str, str]) -> str:
    """The key's text out of the request's headers (lower-case names).

    Raises BadCredential: 401 for none or a malformed one, 400 for two different ones.
    """
    found = {key for name in HEADERS for key in _keys_in(name, headers.get(name, ""))}
    if not found:
        raise BadCredential(
            "missing_key", _("No app key was sent. Send it as “Authorization: Bearer mk_live_…”.")
        )
    if len(found) > 1:
        raise BadCredential(
            "two_keys", _("Two different keys were sent. Send one app key, in one header.")
        )
    key = found.pop()
    if not is_well_formed(key):
        raise BadCredential(
            "malformed_key",
            _(
                "This is no Modelkeep app key. Check that you copied the whole key, from mk_live_ "
                "on."
            ),
        )
    return key


def _keys_in(name: str, value: str) -> list[str]:
    # Servers join repeated headers with commas; a second key hidden in there must be seen.
    parts = [part.strip() for part in value.split(",")]
    if name != "authorization":
        return [part for part in parts if part]
    return [_bearer(part) for part in parts if part and part.lower() != "bearer"]


def _bearer(value: str) -> str:
    match = _BEARER.fullmatch(value)
    # Any other scheme counts as a key that is none: it must not be skipped in favour of another
    # header.
    return match.group(1).strip() if match else f"not a bearer: {value}"
