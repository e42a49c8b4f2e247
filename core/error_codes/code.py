"""What one error code is: its HTTP statuses, OpenAI's word for its kind, and its words for
people.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise as Promise

RECORDED: Final = (
    0  # in place of a status: nobody was left to answer, the code is only in call records
)
_TYPES: Final = {
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    429: "rate_limit_error",
}


def error_type(status: int) -> str:
    """OpenAI's `type` for errors of an HTTP status, the same under /v1 and /api/v1."""
    return _TYPES.get(status) or ("invalid_request_error" if status < 500 else "api_error")


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One thing that can go wrong.

    Args:
        code: what programs read; it never changes.
        statuses: the HTTP statuses it is sent with, the usual one first.
        title: a few words, for lists and headings.
        help: what it means and what to do. Markdown on the help page; call records show the codes
            of calls, whose help has no markup.
        says_all: pages show `help` in the reader's language instead of the message of the case,
            which for other codes quotes the provider.
        about_key: fixed on the provider's page of credentials.
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
        """OpenAI's word for the kind of error, with the usual status."""
        return error_type(self.status)
