"""The request path when a proxy adds a prefix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings


def path_of(scope: Mapping[str, Any]) -> str:
    """Return the request path without the mount prefix (SCRIPT_NAME or the server's root path)."""
    path: str = scope["path"]
    prefix = (settings.FORCE_SCRIPT_NAME or scope.get("root_path") or "").rstrip("/")
    return path[len(prefix) :] if prefix and path.startswith(prefix + "/") else path
