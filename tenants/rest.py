"""Common ground of the REST API's views: strict input, cursor lists, and the one translator of errors."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeVar

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.core.signals import got_request_exception
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiResponse, extend_schema, inline_serializer
from rest_framework import exceptions, serializers
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import APIView

from core import error_codes
from tenants.audit import Actor, actor_of
from tenants.auth.request import WorkspaceAPIRequest
from tenants.errors import ServiceError
from tenants.models import Tenant
from tenants.parsers import TooLarge
from tenants.permissions import Action, Scope

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

logger = logging.getLogger(__name__)
T = TypeVar("T")
# A serializer's field whose name DRF's own classes use as well. DRF takes fields out of the class, so nothing is replaced.
ShadowingField = Any

PAGE_LIMIT = 1000  # rows


# Input


class Text(serializers.CharField):
    """A JSON string; numbers are not taken for one."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Flag(serializers.BooleanField):
    """true or false, not "yes" or 1."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class Whole(serializers.IntegerField):
    """A JSON integer; neither "1" nor 1.0 nor true."""

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int:
            self.fail("invalid")
        return int(super().to_internal_value(data))


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses fields it does not know: a mistyped name must not be a silent no-op."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            known = {name for name, field in self.fields.items() if not field.read_only}
            unknown = sorted(str(name) for name in data if name not in known)
            if unknown:
                raise serializers.ValidationError({name: [_("There is no such field.")] for name in unknown}, code="unknown_field")
        return super().to_internal_value(data)


class PageQuery(StrictSerializer):
    """Query of every list."""

    after: serializers.Field[Any, Any, Any, Any] = serializers.CharField(
        required=False, max_length=300, help_text=_("Cursor: the `next` of the page before. Leave it out for the first page.")
    )
    limit = serializers.IntegerField(
        required=False, min_value=1, max_value=PAGE_LIMIT, default=PAGE_LIMIT, help_text=_("Rows of one page at most.")
    )


class NoQuery(StrictSerializer):
    """Endpoints that know no query parameter."""


class NoBody(StrictSerializer):
    """Endpoints that take no field: nothing, or an empty object."""


def read(kind: type[StrictSerializer], data: Any, *, partial: bool = False, **context: Any) -> dict[str, Any]:
    """The validated data of a body or query; raises DRF's ValidationError."""
    serializer = kind(data=data.dict() if hasattr(data, "dict") else data, partial=partial, context=context)
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


# Lists


def page(items: Sequence[T], *, key: Callable[[T], str], after: str | None, limit: int) -> tuple[list[T], str | None]:
    """One page of a list that is in memory. Rows are ordered by `key`, which is the cursor too, so that a row that was
    added or removed between two pages shifts nothing.
    """
    rest = [item for item in sorted(items, key=key) if after is None or key(item) > after]
    found = rest[:limit]
    return found, key(found[-1]) if len(rest) > limit else None


def listing(kind: type[serializers.Serializer[Any]], rows: Iterable[Any], following: str | None, **context: Any) -> Response:
    return Response({"results": kind(rows, many=True, context=context).data, "next": following})


def listed(row: type[serializers.BaseSerializer[Any]], name: str) -> Any:
    """The schema of a list's answer."""
    return inline_serializer(
        name,
        {
            "results": row(many=True),
            "next": serializers.CharField(allow_null=True, help_text=_("Send it as `after` for the page that follows; null is the end.")),
        },
    )


def refused(description: StrOrPromise) -> OpenApiResponse:
    """A further error that an operation answers."""
    return OpenApiResponse({"$ref": "#/components/schemas/Error"}, description)


def operation(
    name: str,
    summary: StrOrPromise,
    *,
    tag: str,
    body: Any = None,
    answers: Mapping[Any, Any] | None = None,
    query: type[StrictSerializer] = NoQuery,
    description: StrOrPromise = "",
) -> Callable[[T], T]:
    """Describe a view's method for the OpenAPI document, and say which query parameters it knows.

    name: the operation's id. answers: HTTP status (or status and media type) -> serializer or OpenApiResponse.
    """

    def describe(method: Any) -> Any:
        parameters = [] if query is NoQuery else [query]
        method = extend_schema(
            operation_id=name,
            summary=summary,
            description=description,
            tags=[tag],
            request=body,
            responses=dict(answers or {204: OpenApiResponse(description=_("No response body"))}),
            parameters=parameters,
        )(method)
        method.query_serializer = query
        return method

    return describe


class ApiView(APIView):
    """Base of every view: `required_actions` says by method what the key must be allowed to do."""

    http_method_names = ["get", "head", "post", "put", "patch", "delete"]
    required_actions: ClassVar[dict[str, Action]] = {}
    request: WorkspaceAPIRequest

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if any(isinstance(value, str) and not value.isprintable() for value in kwargs.values()):
            raise Http404
        handler = getattr(self, (request.method or "").lower(), None)
        if handler is not None:
            self.query = read(getattr(handler, "query_serializer", NoQuery), request.query_params)

    def handle_exception(self, exc: Exception) -> Response:
        response: Response = super().handle_exception(exc)
        # An error is JSON, whatever the answer would have been.
        self.request.accepted_renderer, self.request.accepted_media_type = JSONRenderer(), JSONRenderer.media_type
        return response

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        response["Cache-Control"] = "no-store"
        return response

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        try:
            return super().perform_content_negotiation(request, force)
        except Http404:  # what the query parameter names is not there
            raise serializers.ValidationError({"format": [_("This form is not offered here.")]}) from None

    def check_permissions(self, request: Request) -> None:
        method = (request.method or "").lower()
        if method not in self.http_method_names or not hasattr(self, method):
            raise exceptions.MethodNotAllowed(method.upper())
        super().check_permissions(request)

    def permission_denied(self, request: Request, message: Any = None, code: str | None = None) -> NoReturn:
        scope = Scope.READ if request.method in ("GET", "HEAD") else Scope.MANAGE
        text = _("This app key may not do this. It takes the scope “%(scope)s”, and an owner whose role allows it.")
        raise exceptions.PermissionDenied(text % {"scope": scope.value})

    def body(self, kind: type[StrictSerializer], *, partial: bool = False) -> dict[str, Any]:
        """The request's body, validated."""
        return read(kind, self.request.data, partial=partial)

    @property
    def paging(self) -> dict[str, Any]:
        """Keyword arguments of page()."""
        return {"after": self.query.get("after"), "limit": self.query["limit"]}

    @property
    def tenant(self) -> Tenant:
        return self.request.tenant

    @property
    def actor(self) -> Actor:
        return actor_of(self.request)


# Errors


def error_body(
    code: str,
    message: Any,
    *,
    status: int | None = None,
    param: str | None = None,
    request_id: str = "",
    **more: Any,
) -> dict[str, dict[str, Any]]:
    """The one shape of an error, the same as under /v1. status: where it is not the code's usual one."""
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
    """(path, message) of each error inside a ValidationError's detail."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            here = path if name == api_settings.NON_FIELD_ERRORS_KEY else f"{path}.{name}" if path else str(name)
            yield from _flatten(inner, here)
    elif isinstance(detail, list | tuple):
        for number, inner in enumerate(detail):
            yield from _flatten(inner, f"{path}[{number}]" if isinstance(inner, Mapping) else path)
    else:
        yield path, str(detail)


def _validation(error: exceptions.ValidationError) -> tuple[str, str | None]:
    found = list(_flatten(error.detail))
    message = " ".join(f"{path}: {text}" if path else text for path, text in found[:5])
    return message, next((path for path, _text in found if path), None)


def _as_api_exception(error: Exception) -> Exception:
    """Django's own exceptions in the words of DRF."""
    if isinstance(error, Http404):
        return exceptions.NotFound(_("There is no such object in this workspace."))
    if isinstance(error, PermissionDenied):
        return exceptions.PermissionDenied()
    if isinstance(error, RequestDataTooBig):
        return TooLarge()
    return error


def _respond(request_id: str, code: str, message: Any, *, status: int | None = None, **more: Any) -> Response:
    body = error_body(code, message, status=status, request_id=request_id, **more)
    return Response(body, status=error_codes.status_of(code, status))


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response:
    """Every exception of a view as the one error body. What nobody expected is logged and answered without details."""
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
    if isinstance(error, OperationalError | InterfaceError):
        logger.error("The database could not be used: %s", type(error).__name__)
        response = _respond(request_id, "database_unavailable", _("The database cannot be reached at the moment. Try again."))
        response["Retry-After"] = "2"
        return response
    return _unexpected(error, request, request_id)


def _service_error(error: ServiceError, request_id: str) -> Response:
    sent = getattr(error, "what_we_sent", None)  # a check that a provider refused says what it tried
    more: dict[str, Any] = {"what_we_sent": {"method": sent.method, "host": sent.host, "path": sent.path}} if sent else {}
    if hint := getattr(error, "hint", ""):  # such as a key that looks like another provider's
        more["hint"] = str(hint)
    response = _respond(request_id, error.code, error.message, status=error.status, param=error.field, **more)
    if error.status == 401:
        response["WWW-Authenticate"] = "Bearer"
    return response


def _unexpected(error: Exception, request: HttpRequest | None, request_id: str) -> Response:
    logger.error("Unexpected %s", type(error).__name__, exc_info=error)
    got_request_exception.send(sender=ApiView, request=request)  # so that whoever collects errors hears of it
    return _respond(request_id, "internal_error", _("Something went wrong on this server. The log has the details."))
