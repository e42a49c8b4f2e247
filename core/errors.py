"""Errors that services raise; pages and the REST API each translate them in one place."""

from __future__ import annotations

from typing import Any, ClassVar

from core import error_codes


class ServiceError(Exception):
    """A service refused or failed to do what it was asked.

    Args:
        code: For programs; one of core.error_codes.
        message: For people; lazy text.
        field: Name of the input at fault.
        status: HTTP status, if it is not the code's usual one.

    Raises:
        UnknownErrorCode: The code is not registered, or not with this status.
    """

    usual_status: ClassVar[int | None] = None

    def __init__(
        self, code: str, message: Any, field: str | None = None, status: int | None = None
    ) -> None:
        super().__init__(code)
        self.code = code
        self.message = message
        self.field = field
        self.status = error_codes.status_of(code, status or self.usual_status)

    def __str__(self) -> str:
        return str(self.message)


class NotAllowed(ServiceError):
    usual_status = 403


class NotFound(ServiceError):
    usual_status = 404


class Conflict(ServiceError):
    usual_status = 409


def drop_frames(error: BaseException) -> None:
    """Let go of the frames that an error came through, once it has been dealt with.

    A frame often refers to the error that it raised. The two would live on until the garbage
    collector comes by, which is seldom, and with them all that such frames hold: a decoder, or a
    body of many megabytes.
    """
    before: BaseException | None = error
    while before is not None and before.__traceback__ is not None:
        before.__traceback__ = None
        before = before.__cause__ or before.__context__
