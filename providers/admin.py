"""Credentials in the operators' site: masks only. Operators check and deactivate; they never see, add or edit a key."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from providers import services
from providers.models import ProviderCredential
from tenants.audit import actor_of
from tenants.errors import ServiceError


@admin.register(ProviderCredential)
class ProviderCredentialAdmin(admin.ModelAdmin):
    list_display = ("tenant", "provider", "name", "mask", "state", "is_active", "checked", "last_used")
    list_display_links = ("name",)
    list_filter = ("provider", "state", "is_active")
    list_select_related = ("tenant",)
    search_fields = ("name", "tenant__name", "tenant__slug")
    ordering = ("tenant__name", "provider", "-is_active", "position")
    fields = (
        ("tenant", "provider", "name"),
        ("mask", "base_url"),
        ("state", "state_since", "state_message"),
        ("is_active", "position"),
        ("checked", "last_used"),
        ("created", "created_by"),
    )
    actions = ("check_again", "deactivate")
    show_full_result_count = False
    show_facets = admin.ShowFacets.ALLOW
    list_per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[ProviderCredential]:
        return super().get_queryset(request).defer("sealed", "values")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.action(description=gettext_lazy("Check again at the provider"), permissions=["view"])
    def check_again(self, request: HttpRequest, rows: QuerySet[ProviderCredential]) -> None:
        checked = [services.check_credential(tenant=row.tenant, actor=actor_of(request), credential=row) for row in rows]
        number = len(checked)
        self.message_user(request, ngettext("%d credential checked.", "%d credentials checked.", number) % number)

    @admin.action(description=gettext_lazy("Deactivate: the next standby credential takes over"), permissions=["view"])
    def deactivate(self, request: HttpRequest, rows: QuerySet[ProviderCredential]) -> None:
        for row in rows:
            try:
                services.deactivate_credential(tenant=row.tenant, actor=actor_of(request), credential=row)
            except ServiceError as error:
                self.message_user(request, _("%(row)s: %(why)s") % {"row": row, "why": error.message}, messages.WARNING)
