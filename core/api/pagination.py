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


def page(
    items: Sequence[T], *, key: Callable[[T], str], after: str | None, limit: int
) -> tuple[list[T], str | None]:
    """Return one page of a list held in memory.

    Args:
        key: Sort key, also used as the cursor, so rows added or removed in between shift nothing.
        after: Cursor of the previous page, or None for the first page.
        limit: Maximum number of rows.

    Returns:
        The rows, and the next cursor or None at the end.
    """
    rest = [item for item in sorted(items, key=key) if after is None or key(item) > after]
    selected = rest[:limit]
    return selected, key(selected[-1]) if len(rest) > limit else None


def listing(
    kind: type[serializers.Serializer[Any]],
    rows: Iterable[Any],
    following: str | None,
    **context: Any,
) -> Response:
    return Response({"results": kind(rows, many=True, context=context).data, "next": following})


def listed(row: type[serializers.BaseSerializer[Any]], name: str) -> Any:
    """Return the response schema of a list."""
    return inline_serializer(
        name,
        {
            "results": row(many=True),
            "next": serializers.CharField(
                allow_null=True,
                help_text=_(
                    "Send it as `after` to get the next page; `null` means there are no more."
                ),
            ),
        },
    )
