"""Credentials in the operators' site, with masks only: operators check and deactivate them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from core.admin.base import ReadOnlyAdmin
from core.admin.columns import coded, column, flag
from core.admin.confirm import confirm_first
from core.admin.filters import choice_filter, condition_filter
from core.admin.search import equals
from core.errors import ServiceError
from providers.credentials import services
from providers.declaration import registry
from providers.models import CredentialState, ProviderCredential, StoredBatch
from tenants.admin.search import by_workspace
from tenants.audit.trail import actor_of

TROUBLE = (
    CredentialState.REJECTED,
    CredentialState.NO_FUNDS,
    CredentialState.UNREACHABLE,
    CredentialState.WRONG_URL,
    CredentialState.NOT_ALLOWED,
    CredentialState.UNREADABLE,
)


# The same credentials that the dashboard counts: active ones whose calls fail.
TroubleFilter = condition_filter(
    "calls", gettext_lazy("calls"), {"fail": (gettext_lazy("Fail"), lambda: in_trouble())}
)


ProviderFilter = choice_filter(
    "provider",
    gettext_lazy("provider"),
    lambda: [(provider.slug, provider.label) for provider in registry.all_providers()],
)


RecordedFilter = condition_filter(
    "recorded",
    gettext_lazy("call record"),
    {
        "yes": (gettext_lazy("Written"), lambda: Q(recorded__isnull=False)),
        "no": (gettext_lazy("Not written yet"), lambda: Q(recorded=None)),
    },
)


def in_trouble() -> Q:
    return Q(is_active=True, state__in=TROUBLE)


def provider_name(slug: str) -> Any:
    """Return a provider's label, or the slug of an unknown one."""
    try:
        return registry.get(slug).label
    except registry.UnknownProvider:
        return slug


ACTIVE = flag("is_active", gettext_lazy("active"))
PROVIDER = coded("provider", gettext_lazy("provider"), provider_name)


@admin.register(ProviderCredential)
class ProviderCredentialAdmin(ReadOnlyAdmin[ProviderCredential]):
    list_display = ("tenant", PROVIDER, "name", "mask", "state", ACTIVE, "checked", "last_used")
    list_display_links = ("name",)
    list_filter = (ProviderFilter, TroubleFilter, "state", "is_active")
    list_select_related = ("tenant",)
    search_fields = ("name", "tenant")
    search_by = (by_workspace, equals("name"))
    ordering = ("tenant_id", "provider", "-is_active", "position")
    fields = (
        ("tenant", PROVIDER, "name"),
        ("mask", "base_url"),
        ("state", "state_since"),
        column("failure_words", gettext_lazy("last error message")),
        (ACTIVE, column("position", gettext_lazy("position among the standby credentials"))),
        ("checked", "last_used"),
        ("created", column("created_by", gettext_lazy("made by"))),
    )
    actions = ("check_again", "deactivate")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ProviderCredential]:
        return super().get_queryset(request).defer("sealed", "values")

    @admin.action(description=gettext_lazy("Check again at the provider"), permissions=["act"])
    def check_again(self, request: HttpRequest, rows: QuerySet[ProviderCredential]) -> None:
        checked = [
            services.check_credential(tenant=row.tenant, actor=actor_of(request), credential=row)
            for row in rows
        ]
        count = len(checked)
        self.message_user(
            request, ngettext("%d credential checked.", "%d credentials checked.", count) % count
        )

    @admin.action(description=gettext_lazy("Deactivate…"), permissions=["act"])
    @confirm_first(
        title=gettext_lazy("Deactivate credentials"),
        consequence=gettext_lazy(
            "The provider's next standby credential takes over at once and pays for the "
            "calls. A provider's only credential is not deactivated: only the workspace "
            "itself can delete it."
        ),
        button=gettext_lazy("Deactivate"),
    )
    def deactivate(self, request: HttpRequest, rows: QuerySet[ProviderCredential]) -> None:
        count = 0
        for row in rows:
            try:
                services.deactivate_credential(
                    tenant=row.tenant, actor=actor_of(request), credential=row
                )
                count += 1
            except ServiceError as error:
                self.message_user(
                    request,
                    _("%(row)s: %(why)s") % {"row": row, "why": error.message},
                    messages.WARNING,
                )
        if count:
            self.message_user(
                request,
                ngettext("%d credential deactivated.", "%d credentials deactivated.", count)
                % count,
            )


@admin.register(StoredBatch)
class StoredBatchAdmin(ReadOnlyAdmin[StoredBatch]):
    """Without what its workspace wrote about it, and without ids that open anything."""

    list_display = ("created", "tenant", PROVIDER, "status", "recorded")
    list_filter = (ProviderFilter, RecordedFilter)
    list_select_related = ("tenant",)
    search_fields = ("request_id__exact",)
    search_help_text = gettext_lazy("Enter a full request ID.")
    ordering = ("-pk",)
    fields = (
        ("tenant", PROVIDER, "credential"),
        ("status", column("model_names", gettext_lazy("models"))),
        ("request_id", "app_key_name"),
        ("created", column("checked", gettext_lazy("last check")), "recorded"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[StoredBatch]:
        return super().get_queryset(request).select_related("credential").defer("answer")
