"""Convert every exception raised in a REST view into the API's error body."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.core.signals import got_request_exception
from django.http import Http404, HttpRequest
from django.utils.translation import gettext_lazy as _
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import APIView

from core import error_codes
from core.api.parsers import TooLarge
from core.db.violations import is_slow, is_unavailable
from core.errors import ServiceError

if TYPE_CHECKING:
    pass


logger = logging.getLogger(__name__)


def error_body(
    code: str,
    message: Any,
    *,
    status: int | None = None,
    param: str | None = None,
    request_id: str = "",
    **more: Any,
) -> dict[str, dict[str, Any]]:
    """Build an error body; the REST API and /v1 share its shape.

    Args:
        status: HTTP status, if it is not the code's usual one.
        param: Name of the field at fault.
        more: Further members of the error.
    """
    return {
        "error": {
            "message": str(message),
            "type": error_codes.error_type(error_codes.status_of(code, status)),
            "code": code,
            "param": param,
            "request_id": request_id,
            **more,
        }
    }


CODES: tuple[tuple[type[exceptions.APIException], str], ...] = (
    (exceptions.ParseError, "invalid_json"),
    (exceptions.PermissionDenied, "key_scope"),
    (exceptions.NotFound, "not_found"),
    (exceptions.MethodNotAllowed, "method_not_allowed"),
    (exceptions.NotAcceptable, "not_acceptable"),
    (exceptions.UnsupportedMediaType, "unsupported_media_type"),
    (TooLarge, "too_large"),
)


def _flatten(detail: Any, path: str = "") -> Iterable[tuple[str, str]]:
    """Yield (path, message) for each error in a ValidationError's detail."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            here = (
                path
                if name == api_settings.NON_FIELD_ERRORS_KEY
                else f"{path}.{name}"
                if path
                else str(name)
            )
            yield from _flatten(inner, here)
    elif isinstance(detail, list | tuple):
        for number, inner in enumerate(detail):
            yield from _flatten(inner, f"{path}[{number}]" if isinstance(inner, Mapping) else path)
    else:
        yield path, str(detail)


def _validation(error: exceptions.ValidationError) -> tuple[str, str | None]:
    errors = list(_flatten(error.detail))
    message = " ".join(f"{path}: {text}" if path else text for path, text in errors[:5])
    return message, next((path for path, _text in errors if path), None)


def _as_api_exception(error: Exception) -> Exception:
    """Convert Django's own exceptions to their DRF equivalents."""
    if isinstance(error, Http404):
        return exceptions.NotFound(_("Not found in this workspace."))
    if isinstance(error, PermissionDenied):
        return exceptions.PermissionDenied()
    if isinstance(error, RequestDataTooBig):
        return TooLarge()
    return error


def _respond(
    request_id: str, code: str, message: Any, *, status: int | None = None, **more: Any
) -> Response:
    body = error_body(code, message, status=status, request_id=request_id, **more)
    return Response(body, status=error_codes.status_of(code, status))


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response:
    """Return the error response for an exception; log unexpected ones and hide their details."""
    request = getattr(context.get("request"), "_request", None)
    request_id = getattr(request, "id", "")
    error = _as_api_exception(error)
    if isinstance(error, ServiceError):
        return _service_error(error, request_id)
    if isinstance(error, exceptions.ValidationError):
        message, param = _validation(error)
        return _respond(request_id, "invalid_request", message, param=param)
    code = next((code for kind, code in CODES if isinstance(error, kind)), None)
    if code is not None and isinstance(error, exceptions.APIException):
        return _respond(request_id, code, error.detail)
    if is_unavailable(error):
        return _unavailable(error, request_id)
    return _unexpected(error, request, request_id)


def _unavailable(error: Exception, request_id: str) -> Response:
    logger.error("Database unavailable: %s", type(error).__name__)
    message = (
        _("The database took too long to answer. Try again later, or ask for less.")
        if is_slow(error)
        else _("The database is unavailable right now. Try again shortly.")
    )
    response = _respond(request_id, "database_unavailable", message)
    response["Retry-After"] = "2"
    return response


def _service_error(error: ServiceError, request_id: str) -> Response:
    # Set when a provider rejected a check.
    sent = getattr(error, "what_we_sent", None)
    more: dict[str, Any] = (
        {"what_we_sent": {"method": sent.method, "host": sent.host, "path": sent.path}}
        if sent
        else {}
    )
    if hint := getattr(error, "hint", ""):  # e.g. the key looks like another provider's
        more["hint"] = str(hint)
    response = _respond(
        request_id, error.code, error.message, status=error.status, param=error.field, **more
    )
    if error.status == 401:
        response["WWW-Authenticate"] = "Bearer"
    return response


def _unexpected(error: Exception, request: HttpRequest | None, request_id: str) -> Response:
    logger.error("Unexpected %s", type(error).__name__, exc_info=error)
    # Lets error trackers see the exception.
    got_request_exception.send(sender=APIView, request=request)
    return _respond(
        request_id,
        "internal_error",
        _("Something went wrong on this server. The log has the details."),
    )
