"""Template filters for durations and times ago."""

from __future__ import annotations

from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.timesince import timesince, timeuntil
from django.utils.translation import gettext as _

register = template.Library()


@register.filter
def timesince_short(moment: datetime | None) -> str:
    """How long ago, in one unit: "3 hours ago", "just now"."""
    if moment is None:
        return "–"
    if (timezone.now() - moment).total_seconds() < 60:
        return _("just now")
    return _("%(time)s ago") % {"time": timesince(moment, depth=1)}


@register.filter
def timeuntil_short(moment: datetime) -> str:
    """How long until then, in one unit: "12 days"."""
    return timeuntil(moment, depth=1)


@register.filter
def seconds(milliseconds: int | None) -> str:
    """A duration for people: 340 ms, 1.2 s; unknown is a dash."""
    if milliseconds is None:
        return "–"
    return f"{milliseconds} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"
