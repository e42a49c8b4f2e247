"""Forms of workspace settings."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from core.web.forms import PageForm
from tenants.forms.rates import RatesForm
from tenants.kept.periods import PERIODS


class WorkspaceForm(RatesForm):
    """A workspace's name, address, language and rates."""

    unmarked = (*RatesForm.unmarked, "default_language", "kept_hours")  # one is always chosen
    name = forms.CharField(label=pgettext_lazy("workspace", "Name"), max_length=120)
    slug = forms.CharField(
        label=pgettext_lazy("workspace", "Address"),
        max_length=50,
        widget=forms.TextInput(
            attrs={"spellcheck": "false", "autocapitalize": "none", "autocomplete": "off"}
        ),
        help_text=_(
            "Part of every page's URL. The old address redirects to the new one, so links keep "
            "working."
        ),
    )
    default_language = forms.ChoiceField(
        label=_("Default language"),
        required=False,
        choices=lambda: [("", _("Same as the browser")), *settings.LANGUAGES],
        help_text=_(
            "For people invited from now on. They can choose another language in their profile."
        ),
    )
    kept_hours = forms.TypedChoiceField(
        label=_("Keep for later calls"),
        required=False,
        coerce=int,
        empty_value=None,
        choices=lambda: list(PERIODS.items()),
        help_text=_(
            "Reasoning that is too long to travel in the IDs of tool calls, and what /v1/responses "
            "was asked and answered. It is encrypted with this workspace's key. Choosing "
            "“Nothing” deletes it."
        ),
    )
    allowed_origins = forms.CharField(
        label=_("Allowed origins"),
        required=False,
        max_length=8000,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "autocapitalize": "none"}),
        help_text=_(
            "Web pages that may call models, one per line, such as https://app.example. Others "
            "can't. Whoever opens such a page can read the app key it uses."
        ),
    )


class TypedForm(PageForm):
    """Confirmation of an irreversible change by typing the workspace's address."""

    typed = forms.CharField(
        label=pgettext_lazy("workspace", "Address"),
        max_length=60,
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}
        ),
    )

    def __init__(self, *args: Any, slug: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.slug = slug
        self.fields["typed"].label = _("Type %(slug)s to continue") % {"slug": slug}

    def clean_typed(self) -> str:
        typed: str = self.cleaned_data["typed"].strip()
        if typed != self.slug:
            raise forms.ValidationError(
                _("This is not the workspace's address. Nothing was changed.")
            )
        return typed
