"""Presentation of providers on pages: the labels, tone and order of their states."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from providers.declaration.spec import Kind
from providers.models import CredentialState, ProviderCredential
from providers.operations.table import MODEL_TYPES
from providers.queries import ProviderStatus, State, is_resting

STATE_LABELS: dict[State, Any] = {
    State.NOT_SET_UP: _("Not set up"),
    State.TRIAL: pgettext_lazy("provider state", "Trial"),
    State.CONNECTED: _("Connected"),
    State.UNCHECKED: _("Not checked"),
    State.REJECTED: _("Key rejected"),
    State.NO_FUNDS: _("Out of funds"),
    State.UNREACHABLE: _("Unreachable"),
    State.WRONG_URL: _("Wrong address"),
    State.NOT_ALLOWED: _("Not allowed"),
    State.RESTING: _("Resting"),
    State.UNREADABLE: _("Cannot be read"),
    State.DISABLED: pgettext_lazy("provider state", "Disabled"),
}
BAD = (
    State.UNREADABLE,
    State.REJECTED,
    State.NOT_ALLOWED,
    State.WRONG_URL,
    State.UNREACHABLE,
    State.NO_FUNDS,
)
TONES: dict[State, str] = {
    **dict.fromkeys(BAD, "bad"),
    State.RESTING: "warn",
    State.TRIAL: "trial",
    State.CONNECTED: "ok",
    State.UNCHECKED: "warn",
    State.DISABLED: "off",
    State.NOT_SET_UP: "none",
}
REMEDIES: dict[State, Any] = {
    State.REJECTED: _("Replace the key to use these models again."),
    State.NO_FUNDS: _(
        "Top up the account at the provider. You don't need to change anything here."
    ),
    State.UNREACHABLE: _("Check the network and the base URL, then test the credential."),
    State.WRONG_URL: _("Correct the base URL."),
    State.NOT_ALLOWED: _("Check what the key and the account may use at the provider."),
    State.UNREADABLE: _("This workspace's key pair cannot decrypt it. Enter the key again."),
    State.RESTING: _(
        "The provider is limiting requests. Calls use the next credential in the meantime."
    ),
    State.DISABLED: _("This server does not offer it. Stored credentials are kept."),
}
# Headlines for states that need no more detail than the provider's codes.
HEADLINES: dict[State, Any] = {
    State.REJECTED: _("%(provider)s refused the key%(code)s."),
    State.NO_FUNDS: _("The %(provider)s account has no credit%(code)s."),
    State.UNREACHABLE: _("%(provider)s could not be reached%(code)s."),
    State.WRONG_URL: _("The server at the base URL does not respond like %(provider)s%(code)s."),
    State.DISABLED: _("Disabled by the operator"),
}
KIND_LABELS = {Kind.OWN: _("Own models"), Kind.HOSTING: pgettext_lazy("provider kind", "Hosting")}
TRIAL_WARNING = 80  # percent used
# For a server that was set up without a key and now requires one, so that no key was rejected.
KEY_NEEDED = _("Key needed")
KEY_NEEDED_REMEDY = _("The server now requires a key. Enter the one it gave you.")


class StateFilter(StrEnum):
    """Filters of the list of providers; the values are part of URLs."""

    ATTENTION = "attention"
    TRIAL = "trial"
    CONNECTED = "connected"
    AVAILABLE = "available"


STATE_FILTERS: dict[StateFilter, Any] = {
    StateFilter.ATTENTION: _("Needs attention"),
    StateFilter.TRIAL: STATE_LABELS[State.TRIAL],
    StateFilter.CONNECTED: STATE_LABELS[State.CONNECTED],
    StateFilter.AVAILABLE: STATE_LABELS[State.NOT_SET_UP],
}
_STATES_OF: dict[StateFilter, frozenset[State]] = {
    StateFilter.ATTENTION: frozenset({*BAD, State.RESTING, State.UNCHECKED, State.DISABLED}),
    StateFilter.TRIAL: frozenset({State.TRIAL}),
    StateFilter.CONNECTED: frozenset({State.CONNECTED}),
    StateFilter.AVAILABLE: frozenset({State.NOT_SET_UP}),
}


def label_of(state: State, credential: ProviderCredential | None) -> Any:
    return KEY_NEEDED if _lacks_key(state, credential) else STATE_LABELS[state]


def remedy_of(state: State, credential: ProviderCredential | None) -> Any:
    return KEY_NEEDED_REMEDY if _lacks_key(state, credential) else REMEDIES.get(state, "")


def _lacks_key(state: State, credential: ProviderCredential | None) -> bool:
    return state is State.REJECTED and credential is not None and not credential.mask


@dataclass(frozen=True, slots=True)
class Card:
    """A provider on a page."""

    status: ProviderStatus

    @property
    def slug(self) -> str:
        return self.status.slug

    @property
    def label(self) -> Any:
        return self.status.provider.label if self.status.provider else self.status.slug

    @property
    def state_label(self) -> Any:
        return label_of(self.status.state, self.status.active)

    @property
    def tone(self) -> str:
        if self.status.state is State.TRIAL and self.trial_percent >= TRIAL_WARNING:
            return "warn" if self.trial_percent < 100 else "bad"
        return TONES[self.status.state]

    @property
    def is_bad(self) -> bool:
        return self.status.state in BAD

    @property
    def remedy(self) -> Any:
        return remedy_of(self.status.state, self.status.active)

    @property
    def needs_key(self) -> bool:
        """Whether another key would help."""
        return self.status.state in (State.REJECTED, State.UNREADABLE)

    @property
    def since(self) -> datetime | None:
        """When the state of its credential began."""
        return self.status.since if self.status.state is not State.DISABLED else None

    @property
    def headline(self) -> Any:
        """The problem in one line: our headline, the provider's last message or the state."""
        headline = HEADLINES.get(self.status.state)
        if _lacks_key(self.status.state, self.status.active):
            headline = _("%(provider)s asks for a key%(code)s.")
        if headline is None:
            return self.status.failure.describe(gettext) or self.state_label
        return headline % {
            "provider": self.label,
            "code": self.status.failure.codes_suffix(gettext),
        }

    def problem_with(self, model: str) -> str:
        """Why a model cannot be called with only the trial; an empty text if it can."""
        trial = self.status.trial
        if self.status.credentials or trial is None or not trial.is_on:
            return ""
        if model not in trial.models:
            return gettext("The trial does not include this model: calls fail until you add a key.")
        return (
            gettext("The trial is used up: calls fail until you add a key.")
            if trial.left <= 0
            else ""
        )

    @property
    def list_failed(self) -> str:
        """Message that the model list could not be fetched, and which list is used."""
        code = {"code": self.status.list_failure.codes_suffix(gettext)}
        if self.status.models_fetched:
            return (
                gettext("The model list could not be fetched%(code)s; the older list is used.")
                % code
            )
        return (
            gettext("The model list could not be fetched%(code)s; the built-in list is used.")
            % code
        )

    @property
    def list_failure(self) -> str:
        """Why the last fetch of the model list failed; an empty text if it succeeded."""
        return self.status.list_failure.describe(gettext)

    @property
    def types(self) -> list[Any]:
        return (
            [MODEL_TYPES[model_type].label for model_type in self.status.provider.model_types]
            if self.status.provider
            else []
        )

    def offers(self, model_type: str) -> bool:
        return self.status.provider is not None and model_type in self.status.provider.model_types

    @property
    def kind_label(self) -> Any:
        return KIND_LABELS[self.status.provider.kind] if self.status.provider else ""

    @property
    def hosting(self) -> bool:
        return self.status.provider is not None and self.status.provider.kind is Kind.HOSTING

    @property
    def can_refresh(self) -> bool:
        """Whether the provider can list its models. A template would call `list_models` itself."""
        return self.status.provider is not None and self.status.provider.list_models is not None

    @property
    def trial_percent(self) -> float:
        trial = self.status.trial
        return 100 * (trial.settled + trial.held) / trial.limit if trial and trial.limit else 0.0

    @property
    def trial_is_low(self) -> bool:
        trial = self.status.trial
        return (
            trial is not None
            and trial.is_on
            and trial.limit > 0
            and self.trial_percent >= TRIAL_WARNING
        )

    @property
    def shows_trial(self) -> bool:
        return (
            self.status.trial is not None
            and self.status.trial.is_on
            and self.status.trial.limit > 0
        )

    @property
    def urgency(self) -> tuple[int, int]:
        """Sort key: problems, trials that end soon, warnings, trials, and working providers."""
        state = self.status.state
        if state in BAD:
            return 0, BAD.index(state)
        if state is State.TRIAL:
            return (1, 0) if self.trial_is_low else (3, 0)
        return {State.RESTING: 2, State.UNCHECKED: 2, State.CONNECTED: 4}.get(state, 5), 0


@dataclass(frozen=True, slots=True)
class CredentialCard:
    """A stored credential on a page."""

    row: ProviderCredential

    @property
    def state(self) -> State:
        if self.row.state == CredentialState.COOLING:
            return State.RESTING if is_resting(self.row, timezone.now()) else State.CONNECTED
        return State(self.row.state)

    @property
    def state_label(self) -> Any:
        return label_of(self.state, self.row)

    @property
    def tone(self) -> str:
        return TONES[self.state]

    @property
    def remedy(self) -> Any:
        return remedy_of(self.state, self.row)

    @property
    def message(self) -> str:
        """The provider's last error message."""
        return self.row.failure_words if self.state is not State.CONNECTED else ""

    @property
    def rests(self) -> bool:
        return self.row.resting_until is not None and self.row.resting_until > timezone.now()


def sorted_cards(statuses: Iterable[ProviderStatus]) -> tuple[list[Card], list[Card]]:
    """Return the configured cards, worst state first, and the available ones in registry order."""
    cards = [Card(status) for status in statuses]
    configured = [card for card in cards if card.status.is_set_up]
    return sorted(configured, key=lambda card: card.urgency), [
        card for card in cards if not card.status.is_set_up
    ]


def matching(cards: Sequence[Card], search: str, model_type: str, state: str = "") -> list[Card]:
    term = search.strip().lower()
    return [
        card
        for card in cards
        if _has_name(card, term)
        and (not model_type or card.offers(model_type))
        and (not state or card.status.state in _STATES_OF[StateFilter(state)])
    ]


def _has_name(card: Card, term: str) -> bool:
    return not term or term in str(card.label).lower() or term in card.slug
