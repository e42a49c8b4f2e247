"""Forms of sign-in, people, app keys and preferences: they validate, services decide."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from difflib import get_close_matches
from itertools import groupby
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from core import times
from tenants.hooks import Callables
from tenants.pages import PageForm
from tenants.permissions import RANK, ROLE_LABELS, Role, Scope, scopes_of
from tenants.wording import AUDIT_KINDS, actor_label

THEMES = (("", _("Same as the system")), ("light", _("Light")), ("dark", _("Dark")))
SCOPE_LABELS = {
    Scope.USE: _("Call models: the OpenAI-compatible endpoints under /v1"),
    Scope.READ: _("Read settings and usage: GET of the REST API"),
    Scope.MANAGE: _("Change settings: all of the REST API"),
}
PASSWORD_RULES = _("At least 10 characters; not a common password, not only digits, not like your name or address.")
DAYS = ((30, _("30 days")), (90, _("90 days")), (365, _("1 year")), (0, pgettext_lazy("expiry", "Never")))
DAY = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
OVERLAPS = ((0, _("Stops at once")), (1, _("Works 1 more day")), (7, _("Works 7 more days")))


class SignInForm(AuthenticationForm):
    """One text for every failure: whether an account exists is nobody's business."""

    error_messages = {"invalid_login": _("E-mail address or password is wrong."), "inactive": _("E-mail address or password is wrong.")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = _("E-mail address")
        self.fields["username"].widget.attrs |= {"autocomplete": "username", "inputmode": "email", "spellcheck": "false"}
        self.fields["password"].widget.attrs |= {"autocomplete": "current-password"}


def time_zones() -> list[tuple[str, Any]]:
    """All zones by region: what a person may choose, the server's own first."""
    names = sorted(name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "SystemV/", "posix/", "right/")))
    regions = groupby(names, key=lambda name: name.partition("/")[0])
    groups = [(region, [(name, name.partition("/")[2].replace("_", " ")) for name in members]) for region, members in regions]
    first = _("Same as the server (%(zone)s)") % {"zone": settings.TIME_ZONE}
    return [("", first), ("UTC", "UTC"), *groups]


class ProfileForm(PageForm):
    unmarked = ("language", "theme", "time_zone")  # one is always chosen
    name = forms.CharField(label=_("Name"), max_length=120, required=False, help_text=_("Shown to the other members."))
    language = forms.ChoiceField(label=_("Language"), required=False, choices=lambda: [("", _("Same as the browser")), *settings.LANGUAGES])
    theme = forms.ChoiceField(label=_("Theme"), required=False, choices=THEMES)
    time_zone = forms.ChoiceField(
        label=_("Time zone"), required=False, choices=time_zones, help_text=_("For times and dates on your pages. Downloads use UTC.")
    )


class PasswordForm(PasswordChangeForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["old_password"].widget.attrs.pop("autofocus", None)
        self.fields["old_password"].label = _("Current password")
        self.fields["new_password1"].help_text = PASSWORD_RULES
        self.fields["new_password2"].label = _("New password again")
        self.fields["new_password2"].help_text = ""


class ThemeForm(PageForm):
    theme = forms.ChoiceField(required=False, choices=THEMES)


class JoinForm(PageForm):
    """A new account for an invited address."""

    name = forms.CharField(label=_("Your name"), max_length=120, widget=forms.TextInput(attrs={"autocomplete": "name"}))
    password = forms.CharField(
        label=_("Password"),
        strip=False,
        help_text=PASSWORD_RULES,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )


def role_choices(role: Role | None) -> list[tuple[str, Any]]:
    """The roles that somebody of this role may give, the lowest first."""
    top = RANK[role] if role else -1
    return [(one.value, ROLE_LABELS[one]) for one in sorted(RANK, key=lambda each: RANK[each]) if RANK[one] <= top]


class InviteForm(PageForm):
    email = forms.EmailField(label=_("E-mail address"), widget=forms.EmailInput(attrs={"autocomplete": "off"}))
    role = forms.ChoiceField(label=pgettext_lazy("member", "Role"))

    def __init__(self, *args: Any, role: Role | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.set_choices("role", role_choices(role))


class MailInviteForm(InviteForm):
    """Where this server sends e-mail."""

    send = forms.TypedChoiceField(
        label=_("The link"),
        choices=(
            ("1", _("Send it by e-mail: only the invited person gets it")),
            ("", _("Show it to me: I pass it on. Until the person signs in, whoever has it can set the first password")),
        ),
        coerce=bool,
        required=False,
        initial="1",
        widget=forms.RadioSelect,
    )


class RoleForm(PageForm):
    role = forms.ChoiceField(label=pgettext_lazy("member", "Role"), choices=[(role.value, label) for role, label in ROLE_LABELS.items()])


class AppKeyForm(PageForm):
    """A new app key. Limits are optional: nothing chosen means everything the workspace has."""

    names = {"expires": "days", "allowed_providers": "providers", "allowed_models": "models", "allowed_operations": "operations"}
    name = forms.CharField(
        label=pgettext_lazy("app key", "Name"), max_length=80, help_text=_("The application that will use it, such as “Support bot”.")
    )
    scopes = forms.MultipleChoiceField(label=_("May be used to"), widget=forms.CheckboxSelectMultiple)
    days = forms.TypedChoiceField(label=_("Expires after"), choices=DAYS, coerce=int, initial=90)
    providers = forms.MultipleChoiceField(
        label=_("Providers"), required=False, widget=forms.CheckboxSelectMultiple, help_text=_("None ticked: all, later ones too.")
    )
    models = forms.CharField(
        label=_("Models"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "class": "mono", "placeholder": "openai/gpt-4o-mini"}),
        help_text=_("One a line, as provider/model. Empty: all of these providers."),
    )
    operations = forms.MultipleChoiceField(
        label=_("Endpoints"), required=False, widget=forms.CheckboxSelectMultiple, help_text=_("None ticked: all.")
    )

    def __init__(self, *args: Any, role: Role | None, offered: Callables, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        allowed = scopes_of(role) if role else frozenset()
        self.offered = offered
        self.set_choices("scopes", [(scope.value, SCOPE_LABELS[scope]) for scope in Scope if scope in allowed])
        self.fields["scopes"].initial = [Scope.USE.value]
        self.set_choices("providers", offered.providers)
        self.set_choices("operations", offered.operations)

    def clean_models(self) -> list[str]:
        """Names that are in the catalog: a mistyped one would make a key that may call nothing."""
        names = sorted({line.strip() for line in self.cleaned_data["models"].splitlines() if line.strip()})
        unknown = [name for name in names if name not in self.offered.models]
        if unknown:
            raise forms.ValidationError([self._unknown(name) for name in unknown[:5]])
        return names

    def _unknown(self, name: str) -> str:
        near = get_close_matches(name, self.offered.models, n=1)
        if near:
            return _("“%(name)s” is no model of this workspace. Is “%(near)s” meant?") % {"name": name[:120], "near": near[0]}
        return _("“%(name)s” is no model of this workspace. Write provider/model as on the Models page.") % {"name": name[:120]}

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
        """Whether the form comes back with limits, or with an error in them: they are to be seen then."""
        return any(self[name].errors or self[name].value() for name in ("providers", "models", "operations"))

    @property
    def expires(self) -> datetime | None:
        days = self.cleaned_data["days"]
        return timezone.now() + timedelta(days=days) if days else None


class RotateForm(PageForm):
    overlap = forms.TypedChoiceField(label=_("The old key"), choices=OVERLAPS, coerce=int, initial=1, widget=forms.RadioSelect)

    @property
    def duration(self) -> timedelta:
        return timedelta(days=self.cleaned_data["overlap"])

    @property
    def duration_label(self) -> Any:
        return dict(OVERLAPS)[self.cleaned_data["overlap"]]


class AuditFilterForm(PageForm):
    """`q` looks in who and what; `kind` is the start of an action; the days are of the reader's time zone, both included."""

    q = forms.CharField(label=_("Object or person"), required=False, max_length=80, widget=forms.TextInput(attrs={"type": "search"}))
    actor = forms.ChoiceField(label=pgettext_lazy("audit", "Person"), required=False)
    kind = forms.ChoiceField(label=pgettext_lazy("audit", "Kind"), required=False, choices=lambda: [("", _("All")), *AUDIT_KINDS])
    since = forms.DateField(label=pgettext_lazy("day", "From"), required=False, widget=DAY)
    until = forms.DateField(label=pgettext_lazy("day", "To"), required=False, widget=DAY)

    def __init__(self, *args: Any, actors: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.set_choices("actor", [("", _("Everybody")), *((name, actor_label(name)) for name in actors)])

    @property
    def filters(self) -> dict[str, Any]:
        """What queries.audit_entries takes. A field that makes no sense filters nothing; the form says so beside it."""
        self.is_valid()
        data = getattr(self, "cleaned_data", {})
        since, until = data.get("since"), data.get("until")
        return {
            "search": data.get("q", ""),
            "actor": data.get("actor", ""),
            "action": data.get("kind", ""),
            "since": midnight(since),
            "before": midnight(until, days=1),
        }

    @property
    def is_filtered(self) -> bool:
        return any(self.filters.values())


def midnight(day: date | None, *, days: int = 0) -> datetime | None:
    """The beginning of a day in the active time zone, or of so many days later.

    Years that no record has stand for the first and the last that any zone can turn into UTC.
    """
    if day is None:
        return None
    known = min(max(day, date(1970, 1, 2)), date(9999, 12, 28))
    return times.midnight(known + timedelta(days=days))


class WorkspaceForm(PageForm):
    """A workspace's name, address and language."""

    unmarked = ("default_language",)  # one is always chosen
    name = forms.CharField(label=pgettext_lazy("workspace", "Name"), max_length=120)
    slug = forms.CharField(
        label=pgettext_lazy("workspace", "Address"),
        max_length=50,
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocapitalize": "none", "autocomplete": "off"}),
        help_text=_("Part of the address of every page. The old address leads to the new one, so links keep working."),
    )
    default_language = forms.ChoiceField(
        label=_("Default language"),
        required=False,
        choices=lambda: [("", _("Same as the browser")), *settings.LANGUAGES],
        help_text=_("For people who are invited from now on. Everybody can choose another one in the profile."),
    )


class TypedForm(PageForm):
    """What cannot be undone asks to type the workspace's address."""

    typed = forms.CharField(
        label=pgettext_lazy("workspace", "Address"),
        max_length=60,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}),
    )

    def __init__(self, *args: Any, slug: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.slug = slug
        self.fields["typed"].label = _("Type %(slug)s to go on") % {"slug": slug}

    def clean_typed(self) -> str:
        typed: str = self.cleaned_data["typed"].strip()
        if typed != self.slug:
            raise forms.ValidationError(_("This is not the workspace's address. Nothing was changed."))
        return typed
