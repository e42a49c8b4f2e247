"""Cursor pagination of the REST API's lists."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import inline_serializer
from rest_framework import serializers
from rest_framework.response import Response

if TYPE_CHECKING:
    pass


T = TypeVar("T")

PAGE_LIMIT = 1000  # rows


# Lists


def page(
    items: Sequence[T], *, key: Callable[[T], str], after: str | None, limit: int
) -> tuple[list[T], str | None]:
    """One page of a list that is in memory. Rows are ordered by `key`, which is the cursor too, so
    that a row that was added or removed between two pages shifts nothing.
    """
    rest = [item for item in sorted(items, key=key) if after is None or key(item) > after]
    found = rest[:limit]
    return found, key(found[-1]) if len(rest) > limit else None


def listing(
    kind: type[serializers.Serializer[Any]],
    rows: Iterable[Any],
    following: str | None,
    **context: Any,
) -> Response:
    return Response({"results": kind(rows, many=True, context=context).data, "next": following})


def listed(row: type[serializers.BaseSerializer[Any]], name: str) -> Any:
    """The schema of a list's answer."""
    return inline_serializer(
        name,
        {
            "results": row(many=True),
            "next": serializers.CharField(
                allow_null=True,
                help_text=_("Send it as `after` for the page that follows; null is the end."),
            ),
        },
    )
