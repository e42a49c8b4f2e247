"""Which tables a backup holds, and how their values are written for either database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from graphlib import TopologicalSorter
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.models import DecimalField, Field, ForeignKey, Model

Convert = Callable[[Any], Any]
# In a backup: whole and true numbers, booleans, null, and text for everything else. Times are in
# UTC, as SQLite has them.
KINDS: Final[Mapping[str, str]] = {
    "UUIDField": "uuid",
    "DateTimeField": "time",
    "BooleanField": "boolean",
    "FloatField": "float",
} | {
    f"{size}{kind}": "whole"
    for size in ("", "Big", "Small", "Positive", "PositiveBig", "PositiveSmall")
    for kind in ("IntegerField", "AutoField")
}


@dataclass(frozen=True)
class Table:
    """columns: kind of each, by name; a decimal's has its places: "decimal:10"."""

    name: str
    columns: dict[str, str]
    refers_to_itself: bool = False


def tables() -> list[Table]:
    """Return all tables, each after those that it refers to: as the database has them now, which
    may not be migrated yet.
    """
    loader = MigrationLoader(connection)
    applied = [key for key in loader.applied_migrations if key in loader.graph.nodes]
    models = {
        model._meta.db_table: model
        for model in loader.project_state(applied).apps.get_models(include_auto_created=True)
        if model._meta.managed and not model._meta.proxy
    }
    order = TopologicalSorter({name: _refers_to(model) - {name} for name, model in models.items()})
    return [_table(models[name]) for name in order.static_order()]


def _refers_to(model: type[Model]) -> set[str]:
    return {
        field.related_model._meta.db_table
        for field in model._meta.concrete_fields
        if isinstance(field, ForeignKey) and getattr(field, "db_constraint", True)
    }


def _table(model: type[Model]) -> Table:
    name = model._meta.db_table
    columns = {str(field.column): _kind(field) for field in model._meta.concrete_fields}
    return Table(name, columns, name in _refers_to(model))


def _kind(field: Field[Any, Any]) -> str:
    while isinstance(field, ForeignKey):
        field = field.target_field
    if isinstance(field, DecimalField):
        return f"decimal:{field.decimal_places}"
    return KINDS.get(field.get_internal_type(), "text")


def _same(value: Any) -> Any:
    return value


def _seconds(text: str) -> str:
    """Write a fraction of a second as Django does on SQLite: with six digits, or not at all."""
    whole, dot, fraction = text.partition(".")
    return f"{whole}.{fraction:0<6}" if dot else whole


def _decimal(places: str) -> Convert:
    step = Decimal(1).scaleb(-int(places))
    return lambda value: str(Decimal(repr(value)).quantize(step))


FROM_POSTGRES: Final[Mapping[str, Convert]] = {  # from the text of COPY
    "whole": int,
    "float": float,
    "boolean": "t".__eq__,
    "time": lambda text: _seconds(text.removesuffix("+00")),
}
FROM_SQLITE: Final[Mapping[str, Convert]] = {
    "boolean": bool,
    "uuid": lambda text: str(UUID(text)),
}
TO_POSTGRES: Final[Mapping[str, Convert]] = {"time": "{}+00".format}
TO_SQLITE: Final[Mapping[str, Convert]] = {"uuid": lambda text: text.replace("-", "")}


def converters(table: Table, by_kind: Mapping[str, Convert]) -> list[Convert]:
    """Return a function for each column. Values that are null are not converted."""
    found = []
    for kind in table.columns.values():
        name, _colon, places = kind.partition(":")
        exact = by_kind is FROM_SQLITE and name == "decimal"
        found.append(_decimal(places) if exact else by_kind.get(name, _same))
    return found


def convert(row: Any, functions: list[Convert]) -> list[Any]:
    return [
        value if value is None or function is _same else function(value)
        for value, function in zip(row, functions, strict=True)
    ]
