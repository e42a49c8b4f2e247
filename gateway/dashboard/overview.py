"""The overview page: first steps, provider health, recent problems and today's calls.

Each part is read independently. If one fails, the page names it and still shows the others.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar
from uuid import UUID

from django.core.cache import cache
from django.db.models import Exists, Value
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from core.error_codes import ErrorCode, describe
from core.request_cache import once, reading_once
from core.times import NEVER
from models_catalog.models import DefaultModel
from providers import ports as provider_ports
from providers import queries as provider_queries
from providers.cards import Card
from providers.queries import State
from quotas.models import CallRecord, RolledUntil, StaleHour
from quotas.usage import call_list, charts, summaries
from quotas.usage.summaries import SummaryRow
from quotas.usage.totals import RollupState
from tenants import ports as tenant_ports
from tenants.auth.permissions import Action
from tenants.models import AppKey, Tenant

logger = logging.getLogger(__name__)
T = TypeVar("T")
PROBLEMS: Final = 5
KEPT_SECONDS: Final = 60
DAYS: Final = 14  # covered by the small chart


@dataclass(frozen=True, slots=True)
class Step:
    """A one-time setup step.

    Args:
        url_name: The page to do it on.
        action: The permission it requires.
    """

    title: Any
    text: Any
    button: Any
    url_name: str
    action: Action
    done: bool


@dataclass(frozen=True, slots=True)
class Problem:
    """A failed call and the description of its error code."""

    call: CallRecord
    words: ErrorCode


@dataclass(slots=True)
class Overview:
    """The content of the overview page; a part that could not be read is None.

    Args:
        example: A call that works now; None if nothing can be called.
    """

    steps: list[Step] | None = None
    cards: list[Card] | None = None  # configured providers
    problems: list[Problem] | None = None
    days: list[SummaryRow] | None = None
    example: tenant_ports.Example | None = None
    counts: dict[str, int] = field(default_factory=dict)  # number of models by provider
    unread: list[Any] = field(default_factory=list)  # names of the parts that could not be read

    @property
    def today(self) -> SummaryRow | None:
        return self.days[-1] if self.days else None

    @property
    def chart(self) -> charts.Chart | None:
        """The calls per day; None if there are none."""
        return (
            charts.calls_per_day(self.days)
            if self.days and any(day.calls for day in self.days)
            else None
        )

    @property
    def done(self) -> int:
        return sum(step.done for step in self.steps or ())

    @property
    def next_step(self) -> Step | None:
        return next((step for step in self.steps or () if not step.done), None)

    @property
    def broken(self) -> list[Card]:
        return [card for card in self.cards or () if card.is_bad]

    @property
    def healthy(self) -> int:
        return sum(
            card.status.state in (State.CONNECTED, State.TRIAL, State.UNCHECKED)
            for card in self.cards or ()
        )

    @property
    def low_trials(self) -> list[Card]:
        return [card for card in self.cards or () if card.trial_is_low]


def overview(*, tenant: Tenant) -> Overview:
    """Read the whole page in a fixed number of queries; never raises."""
    page = Overview()
    with reading_once():
        statuses = _part(
            page,
            _("providers"),
            lambda: list(
                provider_queries.statuses(tenant_id=tenant.pk, with_counts=False).values()
            ),
        )
        page.example, page.counts = _part(page, _("example"), lambda: _example(tenant)) or (
            None,
            {},
        )
        if statuses is not None:
            page.cards = sorted(
                (Card(status) for status in statuses if status.is_set_up),
                key=lambda card: card.urgency,
            )
            page.steps = _part(
                page,
                _("first steps"),
                lambda: _steps(connected=bool(page.cards), **_past(tenant.pk).progress),
            )
        page.problems = _part(page, _("recent problems"), lambda: _problems(tenant))
        page.days = _part(page, _("calls"), lambda: _days(tenant))
    return page


def _part(page: Overview, name: Any, read: Callable[[], T]) -> T | None:
    """Read a part of the page; on failure, add its name to `unread` and return None."""
    try:
        return read()
    except Exception:
        # The log has the details; the page names the missing part.
        logger.exception("Could not load the overview's %s", name)
        page.unread.append(name)
        return None


def _example(tenant: Tenant) -> tuple[tenant_ports.Example | None, dict[str, int]]:
    """Return an example call and the number of models by provider.

    Both are cached for a minute or until the configuration changes, because reading them takes as
    many queries as the rest of the page.
    """
    key = f"overview:{tenant.pk}:{tenant.config_version}:{get_language()}"
    cached: tuple[tenant_ports.Example | None, dict[str, int]] | None = cache.get(key)
    if cached is None:
        cached = (tenant_ports.example(tenant.pk), dict(provider_ports.model_counts(tenant.pk)))
        cache.set(key, cached, KEPT_SECONDS)
    return cached


def _problems(tenant: Tenant) -> list[Problem]:
    calls = call_list.calls(
        tenant_id=tenant.pk,
        status="error",
        limit=PROBLEMS,
        rollup_state=_past(tenant.pk).rollup_state,
    )
    return [Problem(call, describe(call.error_code)) for call in calls]


def _days(tenant: Tenant) -> list[SummaryRow]:
    return list(
        summaries.summary(
            tenant_id=tenant.pk, days=DAYS, rollup_state=_past(tenant.pk).rollup_state
        ).rows
    )


@dataclass(frozen=True, slots=True)
class Past:
    """What has happened in a workspace so far.

    Args:
        progress: Which steps are done.
        rollup_state: How far usage has been rolled up.
    """

    progress: dict[str, bool]
    rollup_state: RollupState


_DONE: Final = ("chosen", "keyed", "called")
_UNTIL, _STALE, _PRUNED = 3, 4, 5


@once
def _past(tenant_id: UUID) -> Past:
    """Run six small queries as one union of (query number, time) rows."""
    querysets = (
        DefaultModel.objects.filter(tenant=tenant_id),
        AppKey.objects.filter(tenant=tenant_id, revoked=None),
        CallRecord.objects.filter(tenant=tenant_id, status=CallRecord.Status.OK),
    )
    row = Tenant.objects.filter(pk=tenant_id).order_by()
    first, *others = (
        row.filter(Exists(rows)).values_list(Value(number), "created")
        for number, rows in enumerate(querysets)
    )
    until = RolledUntil.objects.filter(tenant=tenant_id).values_list(Value(_UNTIL), "until")
    stale = StaleHour.objects.filter(tenant=tenant_id).values_list(Value(_STALE), "start")
    pruned = RolledUntil.objects.filter(tenant=tenant_id).exclude(pruned=None)
    results = list(first.union(*others, until, stale, pruned.values_list(Value(_PRUNED), "pruned")))
    bounds = {number: time for number, time in results if number in (_UNTIL, _PRUNED)}
    rollup_state = RollupState(
        bounds.get(_UNTIL, NEVER),
        frozenset(time for number, time in results if number == _STALE),
        bounds.get(_PRUNED, NEVER),
    )
    numbers = {number for number, _time in results}
    progress = {name: index in numbers for index, name in enumerate(_DONE)}
    # Calls that were deleted because they are old count too.
    progress["called"] |= _PRUNED in numbers
    return Past(progress, rollup_state)


def _steps(*, connected: bool, chosen: bool, keyed: bool, called: bool) -> list[Step]:
    return [
        Step(
            _("Set up a provider"),
            _("Enter a key once. Or start with the built-in demo, which needs none."),
            _("Set up a provider"),
            "provider-list",
            Action.MANAGE_PROVIDERS,
            connected,
        ),
        Step(
            _("Choose the default model"),
            _("For applications that do not name a model themselves."),
            _("Choose the default model"),
            "default-models",
            Action.MANAGE_DEFAULTS,
            chosen,
        ),
        Step(
            _("Make an app key"),
            _("Each application uses its own key. You don't need one for the playground."),
            _("Make an app key"),
            "app-key-new",
            Action.MANAGE_OWN_APP_KEYS,
            keyed,
        ),
        Step(
            _("Make the first call"),
            _(
                "In the playground, or with the command below. This step is ticked when the first "
                "answer arrives."
            ),
            _("Open the playground"),
            "playground",
            Action.USE_MODELS,
            called,
        ),
    ]
