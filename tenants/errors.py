"""What a service refuses: pages and the REST API have one translator each for these."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _


class ServiceError(Exception):
    """A service did not do what it was asked.

    `code` is for programs, `message` (lazy text) for people, `field` names the input at fault, `status` is the HTTP status
    that a surface answers.
    """

    code = "refused"
    status = 400

    def __init__(self, code: str, message: Any, field: str | None = None, status: int | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.message = message
        self.field = field
        self.status = status or type(self).status

    def __str__(self) -> str:
        return str(self.message)


class _Usual(ServiceError):
    """A refusal with a code and words of its own kind where none are given."""

    usual_code = "refused"
    usual_message: Any = ""

    def __init__(self, code: str | None = None, message: Any = None, field: str | None = None) -> None:
        super().__init__(code or self.usual_code, message or self.usual_message, field)


class NotAllowed(_Usual):
    status = 403
    usual_code = "not_allowed"
    usual_message = _("You are not allowed to do this.")


class NotFound(_Usual):
    status = 404
    usual_code = "not_found"
    usual_message = _("There is no such thing here.")


class Conflict(_Usual):
    status = 409
    usual_code = "conflict"
    usual_message = _("This is there already.")
