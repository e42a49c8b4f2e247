"""Forms of sign-in, people, app keys and preferences: they validate, services decide."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from tenants.permissions import RANK, ROLE_LABELS, Role, Scope, scopes_of
from tenants.wording import AUDIT_KINDS

THEMES = (("", _("As the system")), ("light", _("Light")), ("dark", _("Dark")))
SCOPE_LABELS = {
    Scope.USE: _("Use models: the OpenAI-compatible endpoint /v1"),
    Scope.READ: _("Read the configuration: GET of the REST API"),
    Scope.MANAGE: _("Change the configuration: all of the REST API"),
}
SCOPE_SHORT = {
    Scope.USE: pgettext_lazy("scope", "Use models"),
    Scope.READ: pgettext_lazy("scope", "Read"),
    Scope.MANAGE: pgettext_lazy("scope", "Change"),
}
DAYS = ((30, _("30 days")), (90, _("90 days")), (365, _("1 year")), (0, _("Never")))
OVERLAPS = ((0, _("Stops at once")), (1, _("Works 1 more day")), (7, _("Works 7 more days")))


class SignInForm(AuthenticationForm):
    """One text for every failure: whether an account exists is nobody's business."""

    error_messages = {"invalid_login": _("E-mail address or password is wrong."), "inactive": _("E-mail address or password is wrong.")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = _("E-mail address")
        self.fields["username"].widget.attrs |= {"autocomplete": "username", "inputmode": "email", "spellcheck": "false"}
        self.fields["password"].widget.attrs |= {"autocomplete": "current-password"}


class ProfileForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=120, required=False, help_text=_("Shown to the other members."))
    language = forms.ChoiceField(label=_("Language"), required=False, choices=lambda: [("", _("As the browser")), *settings.LANGUAGES])
    theme = forms.ChoiceField(label=_("Theme"), required=False, choices=THEMES)


class PasswordForm(PasswordChangeForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["old_password"].widget.attrs.pop("autofocus", None)


class ThemeForm(forms.Form):
    theme = forms.ChoiceField(required=False, choices=THEMES)


class JoinForm(forms.Form):
    """A new account for an invited address."""

    name = forms.CharField(label=_("Your name"), max_length=120, widget=forms.TextInput(attrs={"autocomplete": "name"}))
    password = forms.CharField(
        label=_("Password"),
        strip=False,
        help_text=_("At least 10 characters; not a common password, not only digits."),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )


def role_choices(role: Role | None) -> list[tuple[str, Any]]:
    """The roles that somebody of this role may give, the lowest first."""
    top = RANK[role] if role else -1
    return [(one.value, ROLE_LABELS[one]) for one in sorted(RANK, key=lambda each: RANK[each]) if RANK[one] <= top]


class InviteForm(forms.Form):
    email = forms.EmailField(label=_("E-mail address"), widget=forms.EmailInput(attrs={"autocomplete": "off"}))
    role = forms.ChoiceField(label=pgettext_lazy("member", "Role"))

    def __init__(self, *args: Any, role: Role | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"].choices = role_choices(role)


class RoleForm(forms.Form):
    role = forms.ChoiceField(label=pgettext_lazy("member", "Role"), choices=[(role.value, label) for role, label in ROLE_LABELS.items()])


class AppKeyForm(forms.Form):
    """A new app key. `names`: where the service's words for an input belong. Limits are optional: nothing chosen means everything the workspace has."""

    names = {"expires": "days", "allowed_providers": "allowed", "allowed_models": "allowed"}
    name = forms.CharField(
        label=pgettext_lazy("app key", "Name"), max_length=80, help_text=_("The application that will use it, such as “Support bot”.")
    )
    scopes = forms.MultipleChoiceField(label=_("May be used to"), widget=forms.CheckboxSelectMultiple)
    days = forms.TypedChoiceField(label=_("Expires after"), choices=DAYS, coerce=int, initial=90)
    allowed = forms.CharField(
        label=_("Only these providers or models"),
        required=False,
        widget=forms.Textarea(
            attrs={"rows": 3, "spellcheck": "false", "class": "mono", "placeholder": "openai\nanthropic/claude-sonnet-4-5"}
        ),
        help_text=_("One a line: a provider, or provider/model. Empty: everything in this workspace."),
    )

    def __init__(self, *args: Any, role: Role | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        allowed = scopes_of(role) if role else frozenset()
        self.fields["scopes"].choices = [(scope.value, SCOPE_LABELS[scope]) for scope in Scope if scope in allowed]
        self.fields["scopes"].initial = [Scope.USE.value]

    @property
    def limits(self) -> dict[str, list[str]]:
        lines = [line.strip() for line in self.cleaned_data["allowed"].splitlines() if line.strip()]
        return {
            "allowed_providers": [line for line in lines if "/" not in line],
            "allowed_models": [line for line in lines if "/" in line],
        }

    @property
    def expires(self) -> datetime | None:
        days = self.cleaned_data["days"]
        return timezone.now() + timedelta(days=days) if days else None


class RotateForm(forms.Form):
    overlap = forms.TypedChoiceField(label=_("The old key"), choices=OVERLAPS, coerce=int, initial=1, widget=forms.RadioSelect)

    @property
    def duration(self) -> timedelta:
        return timedelta(days=self.cleaned_data["overlap"])


class AuditFilterForm(forms.Form):
    """`q` looks in who and what; `kind` is the start of an action; `day` is one day in the installation's time zone."""

    q = forms.CharField(label=_("Person or object"), required=False, max_length=80, widget=forms.TextInput(attrs={"type": "search"}))
    kind = forms.ChoiceField(label=pgettext_lazy("audit", "Kind"), required=False, choices=lambda: [("", _("All")), *AUDIT_KINDS])
    day = forms.DateField(label=pgettext_lazy("audit", "Day"), required=False, widget=forms.DateInput(attrs={"type": "date"}))
