"""Whether the person whose key is being checked still waits: what was cancelled must not be saved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.utils.translation import gettext as _

from tenants.errors import ServiceError

LEFT: Final = "modelkeep.left"  # in the ASGI scope: an event that is set when the browser hangs up (config/leaving.py)


def stays(request: Any) -> Callable[[], None]:
    """For `still_wanted` of a service: raises ServiceError once the browser has given the request up.

    Where the server does not notice that (WSGI, tests), everybody stays.
    """
    left = getattr(request, "scope", {}).get(LEFT)

    def still_wanted() -> None:
        if left is not None and left.is_set():
            raise ServiceError("cancelled", _("The page was left before the check had ended. Nothing was saved."))

    return still_wanted
