"""The header that https requires in responses that Django does not make."""

from __future__ import annotations

from django.conf import settings


def strict_transport() -> list[tuple[bytes, bytes]]:
    """Return the Strict-Transport-Security header as Django sends it; nothing over plain http."""
    if not settings.SECURE_HSTS_SECONDS:
        return []
    value = f"max-age={settings.SECURE_HSTS_SECONDS}"
    if settings.SECURE_HSTS_INCLUDE_SUBDOMAINS:
        value += "; includeSubDomains"
    if settings.SECURE_HSTS_PRELOAD:
        value += "; preload"
    return [(b"strict-transport-security", value.encode())]
