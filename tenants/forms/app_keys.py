"""Forms to create, change and rotate app keys."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from core.web.forms import PageForm
from tenants.auth.permissions import Role, Scope, scopes_of
from tenants.forms.rates import RatesForm, initial_rates
from tenants.models import AppKey
from tenants.ports import CallableModels

SCOPE_LABELS = {
    Scope.USE: _("Call models: the OpenAI-compatible endpoints under /v1"),
    Scope.READ: _("Read settings and usage: GET of the REST API"),
    Scope.MANAGE: _("Change settings: all of the REST API"),
}
DAYS = (
    (30, _("30 days")),
    (90, _("90 days")),
    (365, _("1 year")),
    (0, pgettext_lazy("expiry", "Never")),
)
SAME = -1  # of days: the expiry stays as it is
OVERLAPS = ((0, _("Stops at once")), (1, _("Works 1 more day")), (7, _("Works 7 more days")))


class LimitsForm(RatesForm):
    """What an app key is called and may do. Limits left empty allow everything in the workspace."""

    names = {
        "expires": "days",
        "allowed_providers": "providers",
        "allowed_models": "models",
        "allowed_operations": "operations",
        "rates": "requests_per_minute",
    }
    name = forms.CharField(
        label=pgettext_lazy("app key", "Name"),
        max_length=80,
        help_text=_("The application that will use it, such as “Support bot”."),
    )
    providers = forms.MultipleChoiceField(
        label=_("Providers"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("If none is ticked: all, including later ones."),
    )
    models = forms.CharField(
        label=_("Models"),
        required=False,
        widget=forms.Textarea(
            attrs={
                "rows": 3,
                "spellcheck": "false",
                "class": "mono",
                "placeholder": "openai/gpt-4o-mini",
            }
        ),
        help_text=_("One per line, as provider/model. Empty: all models of these providers."),
    )
    operations = forms.MultipleChoiceField(
        label=_("Endpoints"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("If none is ticked: all."),
    )

    def __init__(self, *args: Any, offered: CallableModels, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.offered = offered
        self.set_choices("providers", offered.providers)
        self.set_choices("operations", offered.operations)

    def clean_models(self) -> list[str]:
        """Refuse unknown models, because a key limited to a mistyped model could call nothing."""
        names = sorted(
            {line.strip() for line in self.cleaned_data["models"].splitlines() if line.strip()}
        )
        unknown = [name for name in names if name not in self.offered.models]
        if unknown:
            raise forms.ValidationError([self._unknown_model(name) for name in unknown[:5]])
        return names

    def _unknown_model(self, name: str) -> str:
        matches = get_close_matches(name, self.offered.models, n=1)
        if matches:
            text = _("“%(name)s” is not a model of this workspace. Did you mean “%(near)s”?")
            return text % {"name": name[:120], "near": matches[0]}
        text = _(
            "“%(name)s” is not a model of this workspace. Enter provider/model as on the Models "
            "page."
        )
        return text % {"name": name[:120]}

    @property
    def limits(self) -> dict[str, list[str]]:
        data = self.cleaned_data
        return {
            "allowed_providers": data["providers"],
            "allowed_models": data["models"],
            "allowed_operations": data["operations"],
        }

    @property
    def is_limited(self) -> bool:
        """Whether a limit is set or has an error, so that the page must show the limits."""
        return self.has_rates or any(
            self[name].errors or self[name].value()
            for name in ("providers", "models", "operations")
        )


class AppKeyForm(LimitsForm):
    """A new app key."""

    scopes = forms.MultipleChoiceField(
        label=_("May be used to"), widget=forms.CheckboxSelectMultiple
    )
    days = forms.TypedChoiceField(label=_("Expires after"), choices=DAYS, coerce=int, initial=90)

    def __init__(self, *args: Any, role: Role | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        allowed = scopes_of(role) if role else frozenset()
        self.set_choices(
            "scopes", [(scope.value, SCOPE_LABELS[scope]) for scope in Scope if scope in allowed]
        )
        self.fields["scopes"].initial = [Scope.USE.value]

    @property
    def expires(self) -> datetime | None:
        return _after(self.cleaned_data["days"])


class AppKeyChangeForm(LimitsForm):
    """Changes of an app key."""

    days = forms.TypedChoiceField(label=_("Expires"), coerce=int, initial=SAME)

    def __init__(self, *args: Any, key: AppKey, offered: CallableModels, **kwargs: Any) -> None:
        initial = {
            "name": key.name,
            "providers": key.allowed_providers,
            "models": "\n".join(key.allowed_models),
            "operations": key.allowed_operations,
            **initial_rates(key.rates),
        }
        super().__init__(*args, offered=_with_chosen(offered, key), initial=initial, **kwargs)
        self.set_choices("days", [(SAME, _same_expiry(key)), *_later_choices(key)])

    @property
    def values(self) -> dict[str, Any]:
        """What the service is given: the fields that can be changed."""
        days = self.cleaned_data["days"]
        expires = {} if days == SAME else {"expires": _after(days)}
        return {"name": self.cleaned_data["name"], **self.limits, "rates": self.rates, **expires}


def _after(days: int) -> datetime | None:
    return timezone.now() + timedelta(days=days) if days else None


def _same_expiry(key: AppKey) -> str:
    if key.expires is None:
        return gettext("Never, as it is now")
    return gettext("On %(day)s, as it is now") % {"day": date_format(localtime(key.expires))}


def _later_choices(key: AppKey) -> list[tuple[int, Any]]:
    """Return the other days to choose from, counted from today."""
    return [
        (days, _("%(time)s from now") % {"time": label} if days else label)
        for days, label in DAYS
        if days or key.expires is not None
    ]


def _with_chosen(offered: CallableModels, key: AppKey) -> CallableModels:
    """Return what is offered with what the key is limited to, such as a model that went away."""
    return replace(
        offered,
        providers=_with_values(offered.providers, key.allowed_providers),
        models={*offered.models, *key.allowed_models},
        operations=_with_values(offered.operations, key.allowed_operations),
    )


def _with_values(choices: list[tuple[str, Any]], values: list[str]) -> list[tuple[str, Any]]:
    known = {value for value, _label in choices}
    return [*choices, *((value, value) for value in values if value not in known)]


class RotateForm(PageForm):
    overlap = forms.TypedChoiceField(
        label=_("The old key"), choices=OVERLAPS, coerce=int, initial=1, widget=forms.RadioSelect
    )

    @property
    def duration(self) -> timedelta:
        return timedelta(days=self.cleaned_data["overlap"])

    @property
    def duration_label(self) -> Any:
        return dict(OVERLAPS)[self.cleaned_data["overlap"]]
