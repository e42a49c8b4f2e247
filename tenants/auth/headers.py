"""Read the app key from request headers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from core.errors import ServiceError
from tenants.auth.key_format import is_well_formed

# The last three are those of Anthropic's, Azure's and Google's SDKs.
HEADERS: Final = ("authorization", "x-api-key", "api-key", "x-goog-api-key")
_BEARER: Final = re.compile(r"bearer +(\S.*)", re.IGNORECASE | re.ASCII)


class BadCredential(ServiceError):
    """A rejected credential.

    Status 401, except 403 for a suspended workspace and 400 for two different keys at once.
    """

    def __init__(self, code: str, message: Any) -> None:
        super().__init__(code, message)


def read_header(headers: Mapping[str, str]) -> str:
    """Return the app key from the request headers.

    Args:
        headers: Request headers with lower-case names.

    Raises:
        BadCredential: 401 for a missing or malformed key, 400 for two different keys.
    """
    keys = {key for name in HEADERS if name in headers for key in _keys_in(name, headers[name])}
    if not keys:
        raise BadCredential(
            "missing_key", _("No app key was sent. Send it as “Authorization: Bearer mk_live_…”.")
        )
    if len(keys) > 1:
        raise BadCredential(
            "two_keys", _("Two different keys were sent. Send one app key, in one header.")
        )
    key = keys.pop()
    if not is_well_formed(key):
        raise BadCredential(
            "malformed_key",
            _(
                "This is not a Modelkeep app key. Check that you copied the whole key, starting "
                "with mk_live_."
            ),
        )
    return key


def _keys_in(name: str, value: str) -> list[str]:
    # Servers join repeated headers with commas; a second key in such a list must be detected.
    parts = [part.strip() for part in value.split(",")]
    if name != "authorization":
        return [part for part in parts if part]
    return [_bearer(part) for part in parts if part and part.lower() != "bearer"]


def _bearer(value: str) -> str:
    match = _BEARER.fullmatch(value)
    # Any other scheme counts as a malformed key; skipping it would let another header win.
    return match.group(1).strip() if match else f"not a bearer: {value}"
