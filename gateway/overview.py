"""What the overview page shows: four steps ticked by data, the health of the providers, and recent problems."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists
from django.utils.translation import gettext_lazy as _

from models_catalog import queries as catalog
from models_catalog.models import DefaultModel
from providers import queries as provider_queries
from providers.cards import Card
from providers.queries import State
from providers.reading import reading_once
from providers.spec import ModelType
from quotas import queries as quota_queries
from quotas.models import CallRecord
from tenants.models import AppKey, Tenant
from tenants.permissions import Action

PROBLEMS = 5
_PLAIN = re.compile(r"[A-Za-z0-9._:/@+-]+\Z")


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do once. `action` is the right that it takes, `url_name` the page to do it on."""

    title: Any
    text: Any
    button: Any
    url_name: str
    action: Action
    done: bool


@dataclass(frozen=True, slots=True)
class Overview:
    steps: list[Step]
    cards: list[Card]  # of the providers that are set up
    problems: list[CallRecord]
    today: Any
    model: str  # for the example of a call: "default" where that is answered, else one that can be called; "" where there is none

    @property
    def done(self) -> int:
        return sum(step.done for step in self.steps)

    @property
    def next_step(self) -> Step | None:
        return next((step for step in self.steps if not step.done), None)

    @property
    def broken(self) -> list[Card]:
        return [card for card in self.cards if card.is_bad]

    @property
    def healthy(self) -> int:
        return sum(card.status.state in (State.CONNECTED, State.TRIAL, State.UNCHECKED) for card in self.cards)

    @property
    def low_trials(self) -> list[Card]:
        return [card for card in self.cards if card.trial_is_low]


def overview(*, tenant: Tenant) -> Overview:
    """Everything in a fixed number of queries, whatever the number of providers and calls."""
    with reading_once():
        statuses = provider_queries.statuses(tenant_id=tenant.pk).values()
        progress = _progress(tenant)
        model = "default" if progress.pop("answers_default") else _model_to_call(tenant)
        return Overview(
            steps=_steps(connected=any(status.is_set_up for status in statuses), **progress),
            cards=sorted((Card(status) for status in statuses if status.is_set_up), key=lambda card: card.urgency),
            problems=quota_queries.calls(tenant_id=tenant.pk, status="error", limit=PROBLEMS),
            today=quota_queries.totals(tenant_id=tenant.pk, days=1),
            model=model,
        )


def _model_to_call(tenant: Tenant) -> str:
    works = catalog.can_call(tenant_id=tenant.pk)
    enabled = catalog.entries(tenant_id=tenant.pk, type=ModelType.REASONING, enabled=True)
    # The name stands in a command for a shell: one with quotes or blanks in it is not offered.
    found = catalog.suggestion(
        tenant_id=tenant.pk, scenario="reasoning", among=[one for one in enabled if works(one) and _PLAIN.match(one.id)]
    )
    return found.id if found else ""


def _progress(tenant: Tenant) -> dict[str, bool]:
    """What has happened in the workspace so far, in one query."""
    found = {
        "chosen": Exists(DefaultModel.objects.filter(tenant=tenant)),
        "answers_default": Exists(DefaultModel.objects.filter(tenant=tenant, scenario="reasoning")),
        "keyed": Exists(AppKey.objects.filter(tenant=tenant, revoked=None)),
        "called": Exists(CallRecord.objects.filter(tenant=tenant, status=CallRecord.Status.OK)),
    }
    row: dict[str, bool] = Tenant.objects.filter(pk=tenant.pk).values(**found).get()  # type: ignore[assignment]
    return row


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
            _("Each application signs in with a key of its own."),
            _("Make an app key"),
            "app-key-new",
            Action.MANAGE_OWN_APP_KEYS,
            keyed,
        ),
        Step(
            _("Make the first call"),
            _("Paste the command below into a terminal. This step is ticked when an answer has arrived."),
            "",
            "",
            Action.USE_MODELS,
            called,
        ),
    ]
