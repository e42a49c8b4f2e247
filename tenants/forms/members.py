"""Forms for invitations and roles."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from core.web.forms import PageForm
from tenants.auth.permissions import RANK, ROLE_LABELS, Role


def role_choices(role: Role | None) -> list[tuple[str, Any]]:
    """Return choices of the roles that a person with `role` may assign, lowest first."""
    highest = RANK[role] if role else -1
    return [
        (choice.value, ROLE_LABELS[choice])
        for choice in sorted(RANK, key=lambda choice: RANK[choice])
        if RANK[choice] <= highest
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
    """An invitation on a server that sends e-mail."""

    send = forms.TypedChoiceField(
        label=_("The link"),
        choices=(
            ("1", _("Send it by e-mail, to the invited person only")),
            (
                "",
                _(
                    "Show it to me, to pass it on. Until the person signs in, anyone who has it "
                    "can set the first password"
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
