"""The operators' pages that take several apps: the list of workspaces with what each has and uses,
the ledger by provider.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.db.models import Count, Model, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy

from core.admin.filters import choice_filter, condition_filter
from core.admin.generic import ModelAdmin
from core.ids import first_of
from providers.admin import ProviderFilter
from providers.declaration import registry
from providers.models import ProviderCredential
from quotas.admin.calls import CallRecordAdmin
from quotas.admin.plans import TrialPlanAdmin
from quotas.admin.pools import grant_trial
from quotas.models import CallRecord, CreditPool, RolledUntil, Span, TrialPlan, UsageRollup
from tenants.admin.csv import as_csv
from tenants.admin.workspaces import TenantAdmin
from tenants.models import Membership, Tenant

WEEK = timedelta(days=7)


@dataclass(slots=True)
class InUse:
    """What a workspace has and uses, for one row of the list."""

    providers: int = 0
    calls: int = 0
    limit: int = 0  # credits of all its trials
    used: int = 0

    @property
    def trial_percent(self) -> int | None:
        """None without a trial."""
        return 100 * self.used // self.limit if self.limit else None


def in_use(tenants: Collection[UUID]) -> dict[UUID, InUse]:
    """Of each of these workspaces; four queries, however many they are."""
    found = {tenant: InUse() for tenant in tenants}
    for tenant, number in _per_tenant(
        ProviderCredential.objects.filter(tenant__in=tenants), Count("provider", distinct=True)
    ):
        found[tenant].providers = number
    for tenant, limit, used in (
        CreditPool.objects.filter(tenant__in=tenants, plan__is_on=True)
        .values("tenant")
        .annotate(limit=Sum("limit"), used=Sum("settled") + Sum("held"))
        .values_list("tenant", "limit", "used")
    ):
        found[tenant].limit, found[tenant].used = limit, used
    for tenant, number in _calls_of_a_week(tenants):
        found[tenant].calls += number
    return found


def _per_tenant(rows: QuerySet[Any], number: Any) -> Iterator[tuple[UUID, int]]:
    yield from (
        rows.order_by().values("tenant").annotate(number=number).values_list("tenant", "number")
    )


def _calls_of_a_week(tenants: Collection[UUID]) -> Iterator[tuple[UUID, int]]:
    """Sums of hours where they are made, records from there on: a list must not count millions of
    rows.
    """
    since = timezone.now() - WEEK
    hours = UsageRollup.objects.filter(tenant__in=tenants, span=Span.HOUR, start__gte=since)
    yield from _per_tenant(hours, Sum("calls"))
    until = RolledUntil.objects.filter(tenant=OuterRef("tenant")).values("until")
    recent = CallRecord.objects.filter(tenant__in=tenants, pk__gte=first_of(since), time__gte=since)
    yield from _per_tenant(recent.filter(time__gte=Coalesce(Subquery(until), since)), Count("pk"))


def _active() -> Q:
    """Somebody was there within a week: what the figure on the first page counts."""
    recent = Membership.objects.filter(last_active__gte=timezone.now() - WEEK)
    return Q(pk__in=recent.values("tenant"))


ActiveFilter = condition_filter(
    "active",
    gettext_lazy("activity"),
    {
        "week": (gettext_lazy("In the last 7 days"), _active),
        "no": (gettext_lazy("Not in the last 7 days"), lambda: ~_active()),
    },
)


PlanFilter = choice_filter(
    "plan",
    gettext_lazy("trial plan"),
    lambda: TrialPlan.objects.order_by("label").values_list("slug", "label"),
    lambda slug: Q(pk__in=CreditPool.objects.filter(plan__slug=slug).values("tenant")),
)


class WorkspaceAdmin(TenantAdmin):
    list_display = (
        "name",
        "slug",
        "status",
        "member_count",
        "providers",
        "calls",
        "trial_used",
        "created",
    )
    list_filter = ("status", ActiveFilter, PlanFilter, "created")
    actions = (*TenantAdmin.actions, grant_trial, "export")

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """The page's rows only are looked up, all of them at once."""
        changelist = super().get_changelist_instance(request)
        rows: Any = changelist.result_list
        found = in_use([row.pk for row in rows])
        for row in rows:
            row.in_use = found[row.pk]
        return changelist

    @admin.display(description=gettext_lazy("providers"))
    def providers(self, tenant: Any) -> int:
        number: int = tenant.in_use.providers
        return number

    @admin.display(description=gettext_lazy("calls, 7 days"))
    def calls(self, tenant: Any) -> str:
        return f"{tenant.in_use.calls:,}"

    @admin.display(description=gettext_lazy("trials used"))
    def trial_used(self, tenant: Any) -> str:
        percent = tenant.in_use.trial_percent
        return "–" if percent is None else f"{percent} %"

    @admin.action(description=gettext_lazy("Download as CSV"), permissions=["view"])
    def export(self, request: HttpRequest, rows: QuerySet[Tenant]) -> Any:
        header = (
            "workspace",
            "name",
            "status",
            "created",
            "members",
            "providers",
            "calls_7_days",
            "trial_credits",
            "trial_credits_used",
        )
        return as_csv(request, name="workspaces", header=header, rows=_exported(rows))


def _exported(rows: QuerySet[Any]) -> Iterator[tuple[Any, ...]]:
    tenants = list(rows)
    found = in_use([tenant.pk for tenant in tenants])
    for tenant in tenants:
        has = found[tenant.pk]
        about = (
            tenant.slug,
            tenant.name,
            tenant.status,
            tenant.created.isoformat(),
            tenant.member_count,
        )
        yield (*about, has.providers, has.calls, has.limit, has.used)


class PlanAdmin(TrialPlanAdmin):
    """A provider is chosen by its name: a mistyped slug would make a plan that nothing can
    answer.
    """

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name != "provider":
            return super().formfield_for_dbfield(db_field, request, **kwargs)
        choices = [("", "---------"), *((one.slug, one.label) for one in registry.offered())]
        return forms.ChoiceField(label=capfirst(db_field.verbose_name), choices=choices)


class LedgerAdmin(CallRecordAdmin):
    list_filter = ("status", ProviderFilter, *CallRecordAdmin.list_filter[2:])


def register() -> None:
    """In place of what the apps registered. Called once, when their modules are loaded."""
    pages: dict[type[Model], type[ModelAdmin[Any]]] = {
        Tenant: WorkspaceAdmin,
        CallRecord: LedgerAdmin,
        TrialPlan: PlanAdmin,
    }
    for model, page in pages.items():
        admin.site.unregister(model)
        admin.site.register(model, page)
