"""The operators' site: Django's admin with our name and six figures on its first page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.admin import AdminSite
from django.db.models import Count, F, Q
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

KEY_PAIR_AGE = timedelta(days=365)  # older ones are due for rotation
BAD_STATES = ("rejected", "no_funds", "unreachable", "wrong_url", "not_allowed", "unreadable")
TRIAL_WARNING = 0.8  # share of a trial's credits


@dataclass(frozen=True, slots=True)
class Figure:
    label: str
    value: str
    url: str
    note: str = ""


class OperatorSite(AdminSite):
    site_title = site_header = gettext_lazy("Modelkeep operations")
    index_title = gettext_lazy("Operations")

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        return super().index(request, {**(extra_context or {}), "figures": figures()})


def figures() -> list[Figure]:
    """Six figures, one query each, each leading to the list behind it."""
    today = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    return [*_tenants(), _providers(), *_calls(today), _trials(), _key_pairs()]


def _tenants() -> list[Figure]:
    from tenants.models import Membership, Tenant

    count = Tenant.objects.filter(is_system=False).count()
    active = Membership.objects.filter(last_active__gte=timezone.now() - timedelta(days=7)).values("tenant").distinct().count()
    return [Figure(_("Workspaces"), f"{count:,}", _list("tenants", "tenant"), _("%(count)d active in 7 days") % {"count": active})]


def _providers() -> Figure:
    from providers.models import ProviderCredential

    count = ProviderCredential.objects.filter(state__in=BAD_STATES, is_active=True).count()
    return Figure(_("Providers in error"), f"{count:,}", _list("providers", "providercredential", "is_active__exact=1"))


def _calls(today: Any) -> list[Figure]:
    from quotas.models import CallRecord

    found = CallRecord.objects.filter(time__gte=today).aggregate(all=Count("pk"), errors=Count("pk", filter=Q(status="error")))
    rate = f"{100 * found['errors'] / found['all']:.1f} %" if found["all"] else "–"
    address = _list("quotas", "callrecord")
    return [Figure(_("Calls today"), f"{found['all']:,}", address), Figure(_("Error rate today"), rate, f"{address}?status__exact=error")]


def _trials() -> Figure:
    from quotas.models import CreditPool

    low = CreditPool.objects.filter(plan__is_on=True, limit__gt=0, settled__gte=F("limit") * TRIAL_WARNING - F("held")).count()
    return Figure(_("Trials over 80 %"), f"{low:,}", _list("quotas", "creditpool"))


def _key_pairs() -> Figure:
    from tenants.models import KeyPair

    due = KeyPair.objects.filter(state=KeyPair.State.CURRENT, created__lt=timezone.now() - KEY_PAIR_AGE).count()
    return Figure(_("Key pairs older than a year"), f"{due:,}", _list("tenants", "keypair"))


def _list(app: str, model: str, query: str = "") -> str:
    """The list's address; the first page where a model has no list."""
    try:
        address = reverse(f"admin:{app}_{model}_changelist")
    except NoReverseMatch:
        return reverse("admin:index")
    return f"{address}?{query}" if query else address
