"""Forms for invitations and roles."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from core.web.forms import PageForm
from tenants.auth.permissions import RANK, ROLE_LABELS, Role


def role_choices(role: Role | None) -> list[tuple[str, Any]]:
    """The roles that somebody of this role may give, the lowest first."""
    top = RANK[role] if role else -1
    return [
        (one.value, ROLE_LABELS[one])
        for one in sorted(RANK, key=lambda each: RANK[each])
        if RANK[one] <= top
    ]


class InviteForm(PageForm):
    email = forms.EmailField(
        label=_("E-mail address"), widget=forms.EmailInput(attrs={"autocomplete": "off"})
    )
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
            (
                "",
                _(
                    "Show it to me: I pass it on. Until the person signs in, whoever has it can "
                    "set the first password"
                ),
            ),
        ),
        coerce=bool,
        required=False,
        initial="1",
        widget=forms.RadioSelect,
    )


class RoleForm(PageForm):
    role = forms.ChoiceField(
        label=pgettext_lazy("member", "Role"),
        choices=[(role.value, label) for role, label in ROLE_LABELS.items()],
    )
