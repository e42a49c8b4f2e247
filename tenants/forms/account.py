"""Forms for sign-in, joining, profile and preferences."""

from __future__ import annotations

from itertools import groupby
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.utils.translation import gettext_lazy as _

from core.admin.generic import SetPasswordForm
from core.web.forms import PageForm
from tenants.auth.throttle import normalised
from tenants.models import User
from tenants.models.user import validate_name

THEMES = (("", _("Same as the system")), ("light", _("Light")), ("dark", _("Dark")))
PASSWORD_RULES = _(
    "At least 10 characters. Not a common password, not only digits, not similar to your name or "
    "e-mail address."
)


class SignInForm(AuthenticationForm):
    """The sign-in form. Its only error message doesn't reveal whether an account exists."""

    error_messages = {
        "invalid_login": _("Wrong e-mail address or password."),
        "inactive": _("Wrong e-mail address or password."),
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = _("E-mail address")
        self.fields["username"].widget.attrs |= {
            "autocomplete": "username",
            "inputmode": "email",
            "spellcheck": "false",
        }
        self.fields["password"].widget.attrs |= {"autocomplete": "current-password"}


def time_zones() -> list[tuple[str, Any]]:
    """Return the choices of time zones: the server's, UTC, then all others by region."""
    names = sorted(
        name
        for name in available_timezones()
        if "/" in name and not name.startswith(("Etc/", "SystemV/", "posix/", "right/"))
    )
    regions = groupby(names, key=lambda name: name.partition("/")[0])
    groups = [
        (region, [(name, name.partition("/")[2].replace("_", " ")) for name in members])
        for region, members in regions
    ]
    first = _("Same as the server (%(zone)s)") % {"zone": settings.TIME_ZONE}
    return [("", first), ("UTC", "UTC"), *groups]


class ProfileForm(PageForm):
    unmarked = ("language", "theme", "time_zone")  # one is always chosen
    name = forms.CharField(
        label=_("Name"),
        max_length=120,
        required=False,
        help_text=_("Shown to the other members."),
        validators=[validate_name],
    )
    language = forms.ChoiceField(
        label=_("Language"),
        required=False,
        choices=lambda: [("", _("Same as the browser")), *settings.LANGUAGES],
    )
    theme = forms.ChoiceField(label=_("Theme"), required=False, choices=THEMES)
    time_zone = forms.ChoiceField(
        label=_("Time zone"),
        required=False,
        choices=time_zones,
        help_text=_("For times and dates on your pages. Downloads use UTC."),
    )


class PasswordForm(PasswordChangeForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["old_password"].widget.attrs.pop("autofocus", None)
        self.fields["old_password"].label = _("Current password")
        self.fields["new_password1"].help_text = PASSWORD_RULES
        self.fields["new_password2"].label = _("New password again")
        self.fields["new_password2"].help_text = ""

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if "old_password" in cleaned and cleaned.get("new_password1") == cleaned["old_password"]:
            self.add_error("new_password1", _("This is your current password. Choose another."))
        return cleaned


class NewPasswordForm(SetPasswordForm[User]):
    """A new password, without the current one, for whoever has proven to own the mailbox."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["new_password1"].help_text = PASSWORD_RULES
        self.fields["new_password2"].label = _("New password again")
        self.fields["new_password2"].help_text = ""


class ForgottenForm(PageForm):
    email = forms.EmailField(
        label=_("E-mail address"),
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "username", "spellcheck": "false"}),
    )

    def clean_email(self) -> str:
        return normalised(self.cleaned_data["email"])


class ThemeForm(PageForm):
    theme = forms.ChoiceField(required=False, choices=THEMES)


class JoinForm(PageForm):
    """A new account for an invited address."""

    name = forms.CharField(
        label=_("Your name"),
        max_length=120,
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
        validators=[validate_name],
    )
    password = forms.CharField(
        label=_("Password"),
        strip=False,
        help_text=PASSWORD_RULES,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
