"""Addresses of settings pages, for messages that tell where something is mended."""

from __future__ import annotations

from django.conf import settings
from django.urls import get_script_prefix, reverse


def page(name: str, *, workspace: str, **kwargs: str) -> str:
    """The path of a page, with the prefix that the installation is mounted under.

    Calls are served outside Django's requests, where `reverse` does not know that prefix; the
    settings do.
    """
    path = reverse(name, kwargs={"workspace": workspace, **kwargs}).removeprefix(
        get_script_prefix()
    )
    return f"{(settings.FORCE_SCRIPT_NAME or '').rstrip('/')}/{path}"
