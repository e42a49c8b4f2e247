"""Strict serializers for the REST API: unknown fields and wrong JSON types are errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from core.api.pagination import PAGE_LIMIT

# A serializer field whose name is also an attribute of DRF's classes. DRF removes declared fields
# from the class, so nothing is overridden.
ShadowingField = Any


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


class QueryFlag(serializers.BooleanField):
    """`true` or `false` in a query."""

    def to_internal_value(self, data: Any) -> bool:
        if data not in ("true", "false"):
            self.fail("invalid", input=data)
        return bool(data == "true")


class Whole(serializers.IntegerField):
    """A JSON integer; neither "1" nor 1.0 nor true."""

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int:
            self.fail("invalid")
        return int(super().to_internal_value(data))


class WholeChoice(serializers.ChoiceField):
    """One of some JSON integers; not "1"."""

    def to_internal_value(self, data: Any) -> Any:
        if type(data) is not int:
            self.fail("invalid_choice", input=data)
        return super().to_internal_value(data)


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses fields it does not know: a mistyped name must not be a silent no-op."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            known = {name for name, field in self.fields.items() if not field.read_only}
            unknown = sorted(str(name) for name in data if name not in known)
            if unknown:
                raise serializers.ValidationError(
                    {name: [_("Unknown field.")] for name in unknown}, code="unknown_field"
                )
        return super().to_internal_value(data)


class ChangeSerializer(StrictSerializer):
    """What a PATCH changes: at least one field."""

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs:
            raise serializers.ValidationError(_("Send at least one field to change."))
        return attrs


class PageQuery(StrictSerializer):
    """Query of every list."""

    after: serializers.Field[Any, Any, Any, Any] = serializers.CharField(
        required=False,
        max_length=300,
        help_text=_("Cursor: `next` from the previous page. Omit it for the first page."),
    )
    limit = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=PAGE_LIMIT,
        default=PAGE_LIMIT,
        help_text=_("Maximum number of rows per page."),
    )


class NoQuery(StrictSerializer):
    """Endpoints that know no query parameter."""


class NoBody(StrictSerializer):
    """Endpoints that take no field: nothing, or an empty object."""


def read(
    kind: type[StrictSerializer], data: Any, *, partial: bool = False, **context: Any
) -> dict[str, Any]:
    """Validate a body or query and return its data.

    Raises:
        ValidationError: DRF's; the data is invalid.
    """
    serializer = kind(
        data=data.dict() if hasattr(data, "dict") else data, partial=partial, context=context
    )
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)
