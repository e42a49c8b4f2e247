"""Registry of the model columns that hold sealed texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Any
from uuid import UUID

from django.db import models

from tenants.crypto import sealing
from tenants.models import TenantOwned

Getter = Callable[[Any], Any]


@dataclass(frozen=True)
class SealedColumn:
    """A model with columns `sealed` and `version`, and getters for the parts of a row's binding."""

    model: Any  # a model class
    name: str
    provider: Getter
    base_url: Getter  # the effective one
    tenant_id: Getter
    subject: Getter

    def keys_of(self, tenant_id: UUID) -> list[Any]:
        """Return the primary keys of the tenant's rows that hold a sealed text."""
        return self._values(tenant_id, "pk")

    def tokens_of(self, tenant_id: UUID) -> list[str]:
        """Return the tenant's sealed texts."""
        return self._values(tenant_id, "sealed")

    def _values(self, tenant_id: UUID, field: str) -> list[Any]:
        rows: Any = self.model.objects.exclude(sealed="").order_by("pk")
        if issubclass(self.model, TenantOwned):
            return list(rows.filter(tenant=tenant_id).values_list(field, flat=True))
        return [getattr(row, field) for row in rows if self.tenant_id(row) == tenant_id]

    def get(self, pk: Any) -> Any:
        """Return the row as it is now, or None if it is gone or no longer holds a sealed text."""
        return self.model.objects.exclude(sealed="").filter(pk=pk).first()

    def binding(self, row: Any) -> dict[str, Any]:
        """Return the keyword arguments of `sealing.seal` that identify the row."""
        return {
            "tenant_id": self.tenant_id(row),
            "provider": self.provider(row),
            "base_url": self.base_url(row),
            "name": self.name,
            "row_id": str(row.pk),
        }

    def open(self, row: Any, purpose: str) -> str:
        """Open the row's sealed text. Raises CredentialUnreadable."""
        return sealing.open_sealed(
            **self.binding(row),
            version=row.version,
            token=row.sealed,
            purpose=purpose,
            subject=self.subject(row),
        )


_columns: dict[type[models.Model], SealedColumn] = {}


def register_sealed(
    model: type[models.Model],
    *,
    name: str,
    provider: str | Getter,
    base_url: str | Getter,
    tenant_id: str | Getter = "tenant_id",
    subject: str | Getter | None = None,
) -> None:
    """Include a model's `sealed` column in rotation and verification. Call in AppConfig.ready().

    Args:
        model: The model class.
        name: The name passed to `seal`.
        provider: Attribute name, or function of a row, for the provider's slug.
        base_url: The same for the effective base URL.
        tenant_id: The same for the tenant's id.
        subject: The same for the row's name in KeyOpening, such as "credential:<id>"; by default
            `name` and the primary key.
    """
    _columns[model] = SealedColumn(
        model,
        name,
        _getter(provider),
        _getter(base_url),
        _getter(tenant_id),
        _getter(subject or (lambda row: f"{name}:{row.pk}")),
    )


def sealed_columns() -> tuple[SealedColumn, ...]:
    """Return all registered columns."""
    return tuple(_columns.values())


def sealed_rows(tenant_id: UUID) -> Iterator[tuple[SealedColumn, Any]]:
    """Yield (column, primary key) of every row of the tenant that holds a sealed text."""
    for column in sealed_columns():
        for pk in column.keys_of(tenant_id):
            yield column, pk


def _getter(source: str | Getter) -> Getter:
    return attrgetter(source) if isinstance(source, str) else source
