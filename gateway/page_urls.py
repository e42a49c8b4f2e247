"""Paths of settings pages, for messages that say where to fix a problem."""

from __future__ import annotations

from django.conf import settings
from django.urls import get_script_prefix, reverse


def page(name: str, *, workspace: str, **kwargs: str) -> str:
    """Return the path of a page, including the prefix the installation is mounted under.

    Calls are served outside Django requests, where `reverse` does not know that prefix, so it is
    read from the settings.
    """
    path = reverse(name, kwargs={"workspace": workspace, **kwargs}).removeprefix(
        get_script_prefix()
    )
    return f"{(settings.FORCE_SCRIPT_NAME or '').rstrip('/')}/{path}"
