"""Filter form of the audit log."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from core import times
from core.web.forms import DAY_INPUT, PageForm
from tenants.audit.labels import AUDIT_KINDS, actor_label


class AuditFilterForm(PageForm):
    """Filters of the audit log.

    `q` searches actor and object, and `kind` is the start of an action. The days are in the
    reader's time zone and both included.
    """

    q = forms.CharField(
        label=_("Object or person"),
        required=False,
        max_length=80,
        widget=forms.TextInput(attrs={"type": "search"}),
    )
    actor = forms.ChoiceField(label=pgettext_lazy("audit", "Person"), required=False)
    kind = forms.ChoiceField(
        label=pgettext_lazy("audit", "Kind"),
        required=False,
        choices=lambda: [("", _("All")), *AUDIT_KINDS],
    )
    since = forms.DateField(label=pgettext_lazy("day", "From"), required=False, widget=DAY_INPUT)
    until = forms.DateField(label=pgettext_lazy("day", "To"), required=False, widget=DAY_INPUT)

    def __init__(self, *args: Any, actors: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.set_choices(
            "actor", [("", _("Everyone")), *((name, actor_label(name)) for name in actors)]
        )

    @property
    def filters(self) -> dict[str, Any]:
        """Keyword arguments for `queries.audit_entries`; invalid fields are left out."""
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
    """Return the start of a day, plus `days`, in the active time zone.

    Dates are clamped to a range that can be converted to UTC in any time zone.
    """
    if day is None:
        return None
    clamped = min(max(day, date(1970, 1, 2)), date(9999, 12, 28))
    return times.midnight(clamped + timedelta(days=days))
