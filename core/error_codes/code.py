"""An error code with its HTTP statuses, OpenAI type and texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise as Promise

# Used as a status if the client had disconnected; the code appears only in call records.
RECORDED: Final = 0
_TYPES: Final = {
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    429: "rate_limit_error",
}


def error_type(status: int) -> str:
    """Return OpenAI's `type` for an HTTP status, the same under /v1 and /api/v1."""
    return _TYPES.get(status) or ("invalid_request_error" if status < 500 else "api_error")


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """A kind of error.

    Args:
        code: For programs; never changes.
        statuses: HTTP statuses it is sent with, the usual one first.
        title: A few words, for lists and headings.
        help: What it means and what to do, as Markdown; codes of calls use no markup, because call
            records show their help as plain text.
        says_all: Pages show `help` in the reader's language instead of the error's own message,
            which for other codes quotes the provider.
        about_key: The fix is on the provider's credentials page.
    """

    code: str
    statuses: tuple[int, ...]
    title: str | Promise
    help: str | Promise
    says_all: bool = False
    about_key: bool = False

    @property
    def status(self) -> int:
        """The usual HTTP status."""
        return self.statuses[0]

    @property
    def type(self) -> str:
        """OpenAI's `type` for the usual status."""
        return error_type(self.status)
