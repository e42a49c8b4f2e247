"""Workspace catalogs in the operators' site; changes go through the same services as the pages."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext, gettext_lazy, ngettext

from core.admin.base import ReadOnlyAdmin
from core.admin.columns import coded, column, flag
from core.admin.confirm import confirm_first
from core.admin.filters import choice_filter
from core.admin.search import equals
from core.errors import ServiceError
from models_catalog import queries
from models_catalog.facts import refresh
from models_catalog.models import CatalogSnapshot, DefaultModel, TenantModel
from models_catalog.scenarios import SCENARIOS
from models_catalog.services import defaults
from models_catalog.services import models as model_services
from providers.admin import PROVIDER, ProviderFilter
from providers.operations.table import MODEL_TYPES
from providers.templatetags.provider_ui import type_label
from tenants.admin.search import by_workspace
from tenants.audit.trail import actor_of

LABELS = {scenario.slug: scenario.label for scenario in SCENARIOS}
TYPE = coded("type", gettext_lazy("type"), type_label)
SCENARIO = coded("scenario", gettext_lazy("scenario"), lambda slug: LABELS.get(slug, slug))
ENABLED = flag("enabled", gettext_lazy("enabled"))
SYNCED = column("synced", gettext_lazy("seen in the provider's list"))


TypeFilter = choice_filter(
    "type",
    gettext_lazy("type"),
    lambda: [(type.value, row.label) for type, row in MODEL_TYPES.items()],
)


@admin.register(TenantModel)
class TenantModelAdmin(ReadOnlyAdmin[TenantModel]):
    list_select_related = ("tenant",)
    list_display = ("tenant", PROVIDER, "model", TYPE, ENABLED, "context", "origin", SYNCED)
    list_display_links = ("model",)
    list_filter = (ProviderFilter, TypeFilter, "origin", "enabled")
    search_fields = ("model", "tenant")
    search_by = (by_workspace, equals("model"))
    ordering = ("tenant_id", "provider", "model")  # as an index has them
    fields = (
        ("tenant", PROVIDER, "model"),
        (TYPE, "origin", ENABLED),
        column("facts", gettext_lazy("what the provider says")),
        column("overrides", gettext_lazy("changed by the workspace")),
        (
            column("base_url", gettext_lazy("base URL")),
            column("mask", gettext_lazy("own key")),
        ),
        (SYNCED, column("missing_since", gettext_lazy("missing from the provider's list since"))),
    )
    actions = ("enable", "disable", "make_default")

    def get_queryset(self, request: HttpRequest) -> QuerySet[TenantModel]:
        return super().get_queryset(request).defer("sealed", "values")

    @admin.display(description=gettext_lazy("context"))
    def context(self, row: TenantModel) -> str:
        """Show the override or the provider's value; shipped facts are not looked up."""
        window = row.overrides.get("context_window") or row.facts.get("context_window")
        return f"{window:,}" if window else "–"

    @admin.action(description=gettext_lazy("Switch on"), permissions=["act"])
    def enable(self, request: HttpRequest, rows: QuerySet[TenantModel]) -> None:
        self._switch(request, rows, True)

    @admin.action(description=gettext_lazy("Switch off…"), permissions=["act"])
    @confirm_first(
        title=gettext_lazy("Switch models off"),
        consequence=gettext_lazy(
            "Calls to these models will be refused in the workspaces shown. Calls to a "
            "default model that is switched off will fail, too."
        ),
        button=gettext_lazy("Switch off"),
    )
    def disable(self, request: HttpRequest, rows: QuerySet[TenantModel]) -> None:
        self._switch(request, rows, False)

    @admin.action(description=gettext_lazy("Make the default of its type…"), permissions=["act"])
    @confirm_first(
        title=gettext_lazy("Set default models"),
        consequence=gettext_lazy(
            "Each of these models replaces its workspace's current default for its type, and "
            "the current fallbacks are removed. Vectors from different embedding models "
            "cannot be compared: index your documents again after a change."
        ),
        button=gettext_lazy("Set as default"),
    )
    def make_default(self, request: HttpRequest, rows: QuerySet[TenantModel]) -> None:
        count = 0
        for row in rows.select_related("tenant"):
            try:
                _make_default(row, request)
                count += 1
            except ServiceError as error:
                self.message_user(request, f"{row.tenant}: {error.message}", messages.ERROR)
        if count:
            self.message_user(
                request, ngettext("%d default model set.", "%d default models set.", count) % count
            )

    def _switch(self, request: HttpRequest, rows: QuerySet[TenantModel], enabled: bool) -> None:
        actor, number = actor_of(request), 0
        for row in rows.select_related("tenant"):
            try:
                model_services.set_enabled(
                    tenant=row.tenant,
                    actor=actor,
                    provider=row.provider,
                    model=row.model,
                    enabled=enabled,
                )
                number += 1
            except ServiceError as error:
                self.message_user(request, f"{row.tenant}: {error.message}", messages.ERROR)
        self.message_user(
            request, ngettext("%d model switched.", "%d models switched.", number) % number
        )


def _make_default(row: TenantModel, request: HttpRequest) -> None:
    # The entry, because a row may leave the type to the catalog.
    entry = queries.entry(tenant_id=row.tenant_id, provider=row.provider, model=row.model)
    slugs = (item.slug for item in SCENARIOS if entry is not None and item.type == entry.type)
    scenario = next(slugs, "")
    defaults.set_default(
        tenant=row.tenant, actor=actor_of(request), scenario=scenario, model=str(row)
    )


ScenarioFilter = choice_filter("scenario", gettext_lazy("scenario"), LABELS.items)


@admin.register(DefaultModel)
class DefaultModelAdmin(ReadOnlyAdmin[DefaultModel]):
    list_select_related = ("tenant",)
    list_display = (
        "tenant",
        SCENARIO,
        "model",
        column("fallbacks", gettext_lazy("fallbacks")),
        "updated",
    )
    list_display_links = (SCENARIO,)
    list_filter = (ScenarioFilter,)
    fields = (
        ("tenant", SCENARIO),
        "model",
        column("fallbacks", gettext_lazy("fallbacks")),
        "updated",
    )
    search_fields = ("model", "tenant")
    search_by = (by_workspace, equals("model"))
    ordering = ("tenant_id", "scenario")


@admin.register(CatalogSnapshot)
class CatalogSnapshotAdmin(ReadOnlyAdmin[CatalogSnapshot]):
    """Snapshots loaded with `manage.py refresh_catalog`; read-only."""

    list_select_related = ("previous",)
    list_display = ("date", "counts", "loaded", "actor", "differences")
    fields = (
        ("date", "counts", "models"),
        ("loaded", "actor"),
        "digest",
        "differences",
        "previous",
    )
    readonly_fields = ("counts", "models", "differences")
    ordering = ("-loaded",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[CatalogSnapshot]:
        return super().get_queryset(request).defer("document", "previous__document")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        row = refresh.in_effect()
        of_release = gettext("In effect: the facts of this release, as of %(date)s") % {
            "date": refresh.shipped_on()
        }
        title = (
            gettext("In effect: the snapshot of %(date)s") % {"date": row.date}
            if row
            else of_release
        )
        return super().changelist_view(request, {"title": title} | (extra_context or {}))

    @admin.display(description=gettext_lazy("in effect"), boolean=True)
    def counts(self, row: CatalogSnapshot) -> bool:
        return bool(row.in_effect and row.date >= refresh.shipped_on())

    @admin.display(description=gettext_lazy("models"))
    def models(self, row: CatalogSnapshot) -> int:
        return sum(len(part.get("model", ())) for part in row.document["providers"].values())

    @admin.display(description=gettext_lazy("differences"))
    def differences(self, row: CatalogSnapshot) -> str:
        return ", ".join(f"{kind}: {number}" for kind, number in sorted(row.summary.items())) or "–"
