"""The figures on the operators' dashboard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.template.defaultfilters import filesizeformat
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from core.times import midnight

BACKUP_AGE = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Figure:
    label: str
    value: str
    url: str  # or ""
    note: str = ""
    is_bad: bool = False  # needs attention


def figures(user: Any) -> list[Figure]:
    """Return the figures whose lists the operator may see, each linked to its list."""
    by_permission: dict[str, Callable[[], list[Figure]]] = {
        "tenants.view_tenant": lambda: [_tenants()],
        "providers.view_providercredential": lambda: [_providers()],
        "quotas.view_callrecord": lambda: [*_calls(), _ledger()],
        "quotas.view_creditpool": lambda: [_trials()],
        "tenants.view_keypair": lambda: [_key_pairs(), _backup()],
    }
    return [
        figure
        for permission, make in by_permission.items()
        if user.has_perm(permission)
        for figure in make()
    ]


def _tenants() -> Figure:
    from tenants.models import Membership, Tenant

    count = Tenant.objects.filter(is_system=False).count()
    active = (
        Membership.objects.filter(last_active__gte=timezone.now() - timedelta(days=7))
        .values("tenant")
        .distinct()
        .count()
    )
    return Figure(
        _("Workspaces"),
        f"{count:,}",
        _list("tenants", "tenant"),
        _("%(count)d active in 7 days") % {"count": active},
    )


def _providers() -> Figure:
    from providers.admin import in_trouble
    from providers.models import ProviderCredential

    rows = ProviderCredential.objects.filter(in_trouble())
    return _problem(_("Providers with errors"), rows, "calls=fail")


def _calls() -> list[Figure]:
    from core.ids import first_of
    from quotas.models import CallRecord

    day = midnight(timezone.localdate())
    # Ids sort by time and are made after the call begins, so the primary key's index finds today's
    # calls of all workspaces.
    today = CallRecord.objects.filter(pk__gte=first_of(day), time__gte=day)
    totals = today.aggregate(all=Count("pk"), errors=Count("pk", filter=Q(status="error")))
    rate = f"{100 * totals['errors'] / totals['all']:.1f} %" if totals["all"] else "–"
    when = f"time__year={day.year}&time__month={day.month}&time__day={day.day}"
    failed = ngettext("%(count)s call failed", "%(count)s calls failed", totals["errors"]) % {
        "count": f"{totals['errors']:,}"
    }
    return [
        Figure(_("Calls today"), f"{totals['all']:,}", _list("quotas", "callrecord", when)),
        Figure(
            _("Error rate today"),
            rate,
            _list("quotas", "callrecord", f"{when}&status__exact=error"),
            failed,
        ),
    ]


def _trials() -> Figure:
    from quotas.admin.pools import nearly_used
    from quotas.models import CreditPool

    rows = CreditPool.objects.filter(nearly_used())
    return _problem(_("Trials over 80 %"), rows, "use=nearly")


def _backup() -> Figure:
    from tenants.installation import last_backup

    made = last_backup()
    if made is None:
        return Figure(_("Last backup"), "–", "", _("None made with manage.py backup"))
    old = timezone.now() - made > BACKUP_AGE
    return Figure(_("Last backup"), date_format(timezone.localtime(made)), "", is_bad=old)


def _ledger() -> Figure:
    from quotas.retention.overview import Ledger

    ledger = Ledger.read()
    notes = (
        (_("Oldest call: %(date)s"), ledger.oldest),
        (_("Last archive: %(date)s"), ledger.archived),
    )
    return Figure(
        _("Size of the ledger"),
        filesizeformat(ledger.size),
        _list("quotas", "callrecord"),
        " · ".join(
            text % {"date": date_format(timezone.localtime(time))}
            for text, time in notes
            if time is not None
        ),
        is_bad=ledger.is_overdue,
    )


def _key_pairs() -> Figure:
    from tenants.admin.key_pairs import due
    from tenants.models import KeyPair

    rows = KeyPair.objects.filter(due())
    return _problem(_("Key pairs older than a year"), rows, "age=due")


def _problem(label: str, rows: QuerySet[Any], query: str) -> Figure:
    """Return a figure that is bad unless it is 0."""
    count = rows.count()
    opts = rows.model._meta
    page = _list(opts.app_label, str(opts.model_name), query)
    return Figure(label, f"{count:,}", page, is_bad=count > 0)


def _list(app: str, model: str, query: str = "") -> str:
    """Return the URL of a model's list, or the admin index if it has none."""
    try:
        address = reverse(f"admin:{app}_{model}_changelist")
    except NoReverseMatch:
        return reverse("admin:index")
    return f"{address}?{query}" if query else address
