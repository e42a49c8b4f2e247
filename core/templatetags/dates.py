"""Template filters for relative times and durations."""

from __future__ import annotations

from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.timesince import timesince, timeuntil
from django.utils.translation import gettext as _

register = template.Library()


@register.filter
def timesince_short(moment: datetime | None) -> str:
    """Format the time since a moment in one unit: "3 hours ago", "just now"."""
    if moment is None:
        return "–"
    if (timezone.now() - moment).total_seconds() < 60:
        return _("just now")
    return _("%(time)s ago") % {"time": timesince(moment, depth=1)}


@register.filter
def timeuntil_short(moment: datetime) -> str:
    """Format the time until a moment in one unit: "12 days"."""
    return timeuntil(moment, depth=1)


@register.filter
def seconds(milliseconds: int | None) -> str:
    """Format a duration as 340 ms or 1.2 s; a dash if unknown."""
    if milliseconds is None:
        return "–"
    return f"{milliseconds} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"
