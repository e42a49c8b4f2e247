"""The workspaces' catalogs in the operators' site: switches by the same services as the pages, never a key."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext, gettext_lazy, ngettext

from models_catalog import refreshing, services
from models_catalog.models import CatalogSnapshot, DefaultModel, TenantModel
from tenants.audit import actor_of


class ReadOnlyAdmin(admin.ModelAdmin):
    """Rows that workspaces make: operators look at them."""

    list_select_related = ("tenant",)
    show_full_result_count = False
    show_facets = admin.ShowFacets.ALLOW
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(TenantModel)
class TenantModelAdmin(ReadOnlyAdmin):
    list_display = ("tenant", "provider", "model", "type", "enabled", "origin", "synced")
    list_display_links = ("model",)
    list_filter = ("provider", "type", "origin", "enabled")
    search_fields = ("model", "tenant__name", "tenant__slug")
    ordering = ("tenant__name", "provider", "model")
    fields = (
        ("tenant", "provider", "model"),
        ("type", "origin", "enabled"),
        "facts",
        "overrides",
        ("base_url", "mask"),
        ("synced", "missing_since"),
    )
    actions = ("enable", "disable")

    def get_queryset(self, request: HttpRequest) -> QuerySet[TenantModel]:
        return super().get_queryset(request).defer("sealed", "values")

    @admin.action(description=gettext_lazy("Switch on"), permissions=["view"])
    def enable(self, request: HttpRequest, rows: QuerySet[TenantModel]) -> None:
        self._switch(request, rows, True)

    @admin.action(description=gettext_lazy("Switch off: calls of these models are refused"), permissions=["view"])
    def disable(self, request: HttpRequest, rows: QuerySet[TenantModel]) -> None:
        self._switch(request, rows, False)

    def _switch(self, request: HttpRequest, rows: QuerySet[TenantModel], enabled: bool) -> None:
        actor = actor_of(request)
        for row in rows:
            services.set_enabled(tenant=row.tenant, actor=actor, provider=row.provider, model=row.model, enabled=enabled)
        number = len(rows)
        self.message_user(request, ngettext("%d model switched.", "%d models switched.", number) % number)


@admin.register(DefaultModel)
class DefaultModelAdmin(ReadOnlyAdmin):
    list_display = ("tenant", "scenario", "model", "fallbacks", "updated")
    list_display_links = ("scenario",)
    list_filter = ("scenario",)
    search_fields = ("model", "tenant__name", "tenant__slug")
    ordering = ("tenant__name", "scenario")


@admin.register(CatalogSnapshot)
class CatalogSnapshotAdmin(ReadOnlyAdmin):
    """Loaded with `manage.py refresh_catalog`, which shows the differences first; here is what is in effect."""

    list_select_related = ("previous",)
    list_display = ("date", "counts", "loaded", "actor", "differences")
    fields = (("date", "counts", "models"), ("loaded", "actor"), "digest", "differences", "previous")
    readonly_fields = ("counts", "models", "differences")
    ordering = ("-loaded",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[CatalogSnapshot]:
        return super().get_queryset(request).defer("document", "previous__document")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        row = refreshing.in_effect()
        of_release = gettext("In effect: the facts of this release, as of %(date)s") % {"date": refreshing.shipped_on()}
        title = gettext("In effect: the snapshot of %(date)s") % {"date": row.date} if row else of_release
        return super().changelist_view(request, {"title": title} | (extra_context or {}))

    @admin.display(description=gettext_lazy("in effect"), boolean=True)
    def counts(self, row: CatalogSnapshot) -> bool:
        return bool(row.in_effect and row.date >= refreshing.shipped_on())

    @admin.display(description=gettext_lazy("models"))
    def models(self, row: CatalogSnapshot) -> int:
        return sum(len(part.get("model", ())) for part in row.document["providers"].values())

    @admin.display(description=gettext_lazy("differences"))
    def differences(self, row: CatalogSnapshot) -> str:
        return ", ".join(f"{kind}: {number}" for kind, number in sorted(row.summary.items())) or "–"
