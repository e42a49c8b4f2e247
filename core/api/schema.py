"""Describe REST operations for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiResponse, extend_schema

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise
from core.api.serializers import NoQuery, StrictSerializer

T = TypeVar("T")


def refused(description: StrOrPromise) -> OpenApiResponse:
    """Describe an additional error response of an operation."""
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
    """Describe a view method for the OpenAPI document and declare its query parameters.

    Args:
        name: Operation id.
        answers: Maps an HTTP status, or (status, media type), to a serializer or OpenApiResponse.
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
