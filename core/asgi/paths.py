"""Where a request's path begins when a proxy puts a prefix in front."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings


def path_of(scope: Mapping[str, Any]) -> str:
    """The request's path below the prefix the server is mounted under (SCRIPT_NAME, or the server's
    root path).
    """
    path: str = scope["path"]
    prefix = (settings.FORCE_SCRIPT_NAME or scope.get("root_path") or "").rstrip("/")
    return path[len(prefix) :] if prefix and path.startswith(prefix + "/") else path
