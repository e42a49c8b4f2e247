"""Build sentences from translated parts."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _
from django.utils.translation import pgettext


def listed(parts: Sequence[str]) -> str:
    """Join items into a list such as "a, b and c"; "" if there are none."""
    if len(parts) < 2:
        return "".join(parts)
    before = pgettext("between things of a list", ", ").join(parts[:-1])
    return _("%(before)s and %(last)s") % {"before": before, "last": parts[-1]}
