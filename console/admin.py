"""Admin pages that combine several apps: workspaces with their usage, calls by provider."""

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
    """Usage figures of a workspace, for its row in the list."""

    providers: int = 0
    calls: int = 0
    limit: int = 0  # credits of all trials
    used: int = 0

    @property
    def trial_percent(self) -> int | None:
        """Percentage of trial credits used, or None without a trial."""
        return 100 * self.used // self.limit if self.limit else None


def in_use(tenants: Collection[UUID]) -> dict[UUID, InUse]:
    """Return the usage figures of workspaces, in four queries regardless of their number."""
    usage = {tenant: InUse() for tenant in tenants}
    for tenant, number in _per_tenant(
        ProviderCredential.objects.filter(tenant__in=tenants), Count("provider", distinct=True)
    ):
        usage[tenant].providers = number
    for tenant, limit, used in (
        CreditPool.objects.filter(tenant__in=tenants, plan__is_on=True)
        .values("tenant")
        .annotate(limit=Sum("limit"), used=Sum("settled") + Sum("held"))
        .values_list("tenant", "limit", "used")
    ):
        usage[tenant].limit, usage[tenant].used = limit, used
    for tenant, number in _calls_of_a_week(tenants):
        usage[tenant].calls += number
    return usage


def _per_tenant(rows: QuerySet[Any], number: Any) -> Iterator[tuple[UUID, int]]:
    yield from (
        rows.order_by().values("tenant").annotate(number=number).values_list("tenant", "number")
    )


def _calls_of_a_week(tenants: Collection[UUID]) -> Iterator[tuple[UUID, int]]:
    """Yield call counts of the last week per workspace.

    Hourly rollups cover the past and records only the time since the last rollup, so the list need
    not count millions of rows.
    """
    since = timezone.now() - WEEK
    hours = UsageRollup.objects.filter(tenant__in=tenants, span=Span.HOUR, start__gte=since)
    yield from _per_tenant(hours, Sum("calls"))
    until = RolledUntil.objects.filter(tenant=OuterRef("tenant")).values("until")
    recent = CallRecord.objects.filter(tenant__in=tenants, pk__gte=first_of(since), time__gte=since)
    yield from _per_tenant(recent.filter(time__gte=Coalesce(Subquery(until), since)), Count("pk"))


def _active() -> Q:
    """Match workspaces with an active member within a week, as on the dashboard."""
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

    def has_grant_permission(self, request: HttpRequest) -> bool:
        user: Any = request.user
        allowed: bool = user.has_perm("quotas.change_creditpool")
        return allowed

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Add usage figures to the rows of the current page only, all at once."""
        changelist = super().get_changelist_instance(request)
        rows: Any = changelist.result_list
        usage = in_use([row.pk for row in rows])
        for row in rows:
            row.in_use = usage[row.pk]
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
    usage = in_use([tenant.pk for tenant in tenants])
    for tenant in tenants:
        figures = usage[tenant.pk]
        about = (
            tenant.slug,
            tenant.name,
            tenant.status,
            tenant.created.isoformat(),
            tenant.member_count,
        )
        yield (*about, figures.providers, figures.calls, figures.limit, figures.used)


class PlanAdmin(TrialPlanAdmin):
    """A trial plan form with a list of providers, so that a slug cannot be mistyped."""

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name != "provider":
            return super().formfield_for_dbfield(db_field, request, **kwargs)
        choices = [
            ("", "---------"),
            *((provider.slug, provider.label) for provider in registry.offered()),
        ]
        return forms.ChoiceField(label=capfirst(db_field.verbose_name), choices=choices)


class LedgerAdmin(CallRecordAdmin):
    list_filter = ("status", ProviderFilter, *CallRecordAdmin.list_filter[2:])


def register() -> None:
    """Replace the apps' own admin pages. Call once, after the apps are loaded."""
    pages: dict[type[Model], type[ModelAdmin[Any]]] = {
        Tenant: WorkspaceAdmin,
        CallRecord: LedgerAdmin,
        TrialPlan: PlanAdmin,
    }
    for model, page in pages.items():
        admin.site.unregister(model)
        admin.site.register(model, page)
