"""The operators' list of each workspace's credits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html_join
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from core.admin.base import ReadOnlyAdmin
from core.admin.columns import column
from core.admin.confirm import confirm_first
from core.admin.filters import choice_filter, condition_filter
from core.errors import ServiceError
from quotas.models import CreditPool, Grant, Hold, TrialPlan
from quotas.trials import plans
from tenants.admin.search import by_workspace
from tenants.audit.labels import actor_label
from tenants.audit.trail import actor_of
from tenants.models import Tenant

# -- filters ---------------------------------------------------------------------------------------

COUNTED = (
    ("reported", gettext_lazy("reported")),
    ("estimated", gettext_lazy("estimated")),
    ("none", gettext_lazy("unknown")),
)


StateFilter = choice_filter("state", gettext_lazy("state"), lambda: Hold.State.choices)


CountedFilter = choice_filter(
    "tokens",
    gettext_lazy("tokens"),
    lambda: COUNTED,
    lambda source: Q(usage_source=source),
)


def _providers_of_plans() -> list[tuple[str, str]]:
    slugs = TrialPlan.objects.order_by("provider").values_list("provider", flat=True).distinct()
    return [(slug, slug) for slug in slugs]


# This app doesn't know the providers' names: console/admin.py uses the registry's instead.
ProviderNameFilter = choice_filter("provider", gettext_lazy("provider"), _providers_of_plans)


# -- credits ---------------------------------------------------------------------------------------


class GrantForm(forms.Form):
    """The credits to grant and the reason; both appear in the workspace's audit log."""

    credits = forms.IntegerField(
        label=gettext_lazy("Credits"),
        help_text=gettext_lazy(
            "A negative number takes credits back, at most as many as are left."
        ),
    )
    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=200)

    def clean_credits(self) -> int:
        if not self.cleaned_data["credits"]:
            raise forms.ValidationError(_("Enter a number of credits other than 0."))
        return int(self.cleaned_data["credits"])


class TrialGrantForm(GrantForm):
    """For workspaces, which may have several trials."""

    plan = forms.ModelChoiceField(
        TrialPlan.objects.filter(is_on=True), label=gettext_lazy("Trial plan")
    )
    field_order = ("plan", "credits", "reason")


class ResetForm(forms.Form):
    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=200)


def give(
    page: admin.ModelAdmin[Any],
    request: HttpRequest,
    pools: Iterable[CreditPool],
    *,
    credits: int | None,
    reason: str,
) -> None:
    """Grant credits to each pool and report how many changed; show refusals by workspace.

    Args:
        credits: Credits per pool; None tops each pool up to its plan's limit.
    """
    count = 0
    for pool in pools:
        amount = pool.plan.limit - pool.left if credits is None else credits
        try:
            if amount:
                plans.grant(actor=actor_of(request), pool=pool, amount=amount, reason=reason)
                count += 1
        except ServiceError as error:
            page.message_user(request, f"{pool.tenant}: {error}", messages.ERROR)
    text = ngettext(
        "Credits of %(number)d workspace changed.",
        "Credits of %(number)d workspaces changed.",
        count,
    )
    page.message_user(
        request, text % {"number": count}, messages.SUCCESS if count else messages.WARNING
    )


@admin.action(description=gettext_lazy("Grant trial credits…"), permissions=["grant"])
@confirm_first(
    title=gettext_lazy("Grant trial credits"),
    consequence=gettext_lazy(
        "Each of these workspaces gets the credits immediately. All of its members can see them."
    ),
    button=gettext_lazy("Grant"),
    form=TrialGrantForm,
    dangerous=False,
)
def grant_trial(
    page: admin.ModelAdmin[Any],
    request: HttpRequest,
    rows: QuerySet[Tenant],
    *,
    plan: TrialPlan,
    credits: int,
    reason: str,
) -> None:
    """An action of the list of workspaces."""
    pools = CreditPool.objects.filter(plan=plan, tenant__in=rows.values("pk")).select_related(
        "tenant", "plan"
    )
    give(page, request, pools, credits=credits, reason=reason)


NEARLY_USED = 0.8  # share of a trial's credits


def nearly_used() -> Q:
    """Trials of which four fifths are used or held, in plans that are on."""
    return Q(plan__is_on=True, limit__gt=0, settled__gte=F("limit") * NEARLY_USED - F("held"))


UseFilter = condition_filter(
    "use",
    gettext_lazy("use"),
    {
        "nearly": (gettext_lazy("At least 80 %"), nearly_used),
        "up": (gettext_lazy("Used up"), lambda: Q(settled__gte=F("limit") - F("held"))),
        "none": (gettext_lazy("Not used"), lambda: Q(settled=0, held=0)),
    },
)


PlanFilter = choice_filter(
    "plan__id__exact",
    gettext_lazy("trial plan"),
    lambda: [
        (str(pk), label)
        for pk, label in TrialPlan.objects.order_by("label").values_list("pk", "label")
    ],
    lambda plan: Q(plan=int(plan)) if plan.isdigit() else None,
)


MOST_GRANTS = 100  # that a page names


def _when(grant: Grant) -> str:
    return date_format(timezone.localtime(grant.created), "SHORT_DATETIME_FORMAT")


PLAN = column("plan", gettext_lazy("trial plan"))


@admin.register(CreditPool)
class CreditPoolAdmin(ReadOnlyAdmin[CreditPool]):
    list_display = ("tenant", PLAN, "limit", "settled", "held", "left", "percent")
    list_display_links = ("tenant", PLAN)
    list_filter = (PlanFilter, UseFilter)
    list_select_related = ("tenant", "plan")
    search_fields = ("tenant",)
    search_by = (by_workspace,)
    fields = (("tenant", PLAN), ("limit", "plan_share"), ("settled", "held", "left"), "grants")
    actions = ("grant_credits", "reset")

    @admin.display(description=gettext_lazy("left"))
    def left(self, pool: CreditPool) -> int:
        return pool.left

    @admin.display(description=gettext_lazy("grants"))
    def grants(self, pool: CreditPool) -> Any:
        """The newest first: when, how many, why, by whom."""
        rows = pool.grants.all()[:MOST_GRANTS]
        lines = (
            (_when(row), f"{row.amount:+,}", row.reason, actor_label(row.actor)) for row in rows
        )
        return format_html_join(mark_safe("<br>"), "{} · {} · {} · {}", lines) or "-"

    @admin.display(description="%")
    def percent(self, pool: CreditPool) -> int:
        return 100 if pool.left <= 0 else 100 * (pool.settled + pool.held) // pool.limit

    @admin.action(description=gettext_lazy("Grant credits…"), permissions=["act"])
    @confirm_first(
        title=gettext_lazy("Grant trial credits"),
        consequence=gettext_lazy(
            "Each of these workspaces gets the credits immediately. All of its members can see "
            "them."
        ),
        button=gettext_lazy("Grant"),
        form=GrantForm,
        dangerous=False,
    )
    def grant_credits(
        self, request: HttpRequest, pools: QuerySet[CreditPool], *, credits: int, reason: str
    ) -> None:
        give(self, request, pools.select_related("tenant", "plan"), credits=credits, reason=reason)

    @admin.action(description=gettext_lazy("Reset to the plan's limit…"), permissions=["act"])
    @confirm_first(
        title=gettext_lazy("Reset trial credits"),
        consequence=gettext_lazy(
            "Afterwards, each of these workspaces has exactly as many credits left as the plan "
            "gives a new workspace. Usage records are kept."
        ),
        button=gettext_lazy("Reset"),
        form=ResetForm,
        dangerous=False,
    )
    def reset(self, request: HttpRequest, pools: QuerySet[CreditPool], *, reason: str) -> None:
        give(self, request, pools.select_related("tenant", "plan"), credits=None, reason=reason)
