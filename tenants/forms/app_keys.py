"""Forms to create and rotate app keys."""

from __future__ import annotations

from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from core.web.forms import PageForm
from tenants.auth.permissions import Role, Scope, scopes_of
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
OVERLAPS = ((0, _("Stops at once")), (1, _("Works 1 more day")), (7, _("Works 7 more days")))


class AppKeyForm(PageForm):
    """A new app key. Limits left empty allow everything in the workspace."""

    names = {
        "expires": "days",
        "allowed_providers": "providers",
        "allowed_models": "models",
        "allowed_operations": "operations",
    }
    name = forms.CharField(
        label=pgettext_lazy("app key", "Name"),
        max_length=80,
        help_text=_("The application that will use it, such as “Support bot”."),
    )
    scopes = forms.MultipleChoiceField(
        label=_("May be used to"), widget=forms.CheckboxSelectMultiple
    )
    days = forms.TypedChoiceField(label=_("Expires after"), choices=DAYS, coerce=int, initial=90)
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

    def __init__(
        self, *args: Any, role: Role | None, offered: CallableModels, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        allowed = scopes_of(role) if role else frozenset()
        self.offered = offered
        self.set_choices(
            "scopes", [(scope.value, SCOPE_LABELS[scope]) for scope in Scope if scope in allowed]
        )
        self.fields["scopes"].initial = [Scope.USE.value]
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
        return any(
            self[name].errors or self[name].value()
            for name in ("providers", "models", "operations")
        )

    @property
    def expires(self) -> datetime | None:
        days = self.cleaned_data["days"]
        return timezone.now() + timedelta(days=days) if days else None


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
