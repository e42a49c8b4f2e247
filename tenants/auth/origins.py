"""Origins of web pages that may call models: none, unless a workspace allows them (CORS)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from django.utils.translation import gettext_lazy as _

from core.errors import ServiceError

MAX_ORIGINS: Final = 20
MAX_LENGTH: Final = 255
# Apps and extensions have schemes of their own, such as chrome-extension://.
_ORIGIN: Final = re.compile(
    r"[a-z][a-z0-9+.-]*://(?:[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:]+\])(?::[0-9]{1,5})?",
    re.ASCII,
)
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}
# One row if any workspace allows the origin: preflights don't say whose key will follow.
ANY_SQL: Final = (
    "SELECT 1 FROM tenants_allowedorigin o JOIN tenants_tenant t ON t.id = o.tenant_id "
    "WHERE o.origin = {p} AND t.status = 'active' LIMIT 1"
)
OWN_SQL: Final = "SELECT 1 FROM tenants_allowedorigin WHERE tenant_id = {p} AND origin = {p}"


def checked_origins(texts: Iterable[str]) -> list[str]:
    """Return origins as browsers send them, sorted and without repetitions.

    Raises:
        ServiceError: One is not an origin, or there are too many.
    """
    origins = sorted({_checked(text) for text in texts})
    if len(origins) > MAX_ORIGINS:
        raise _invalid(_("Allow at most %(count)s origins.") % {"count": MAX_ORIGINS})
    return origins


def _checked(text: str) -> str:
    origin = text.strip().lower().removesuffix("/")
    if len(origin) > MAX_LENGTH or not _ORIGIN.fullmatch(origin):
        raise _invalid(
            _(
                "“%(text)s” is not an origin. Enter a scheme and a host, such as https://app.example."
            )
            % {"text": text.strip()[:80]}
        )
    return origin.removesuffix(_DEFAULT_PORTS.get(origin.partition(":")[0], ""))


def _invalid(message: str) -> ServiceError:
    return ServiceError("invalid_value", message, field="allowed_origins")
