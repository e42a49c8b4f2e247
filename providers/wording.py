"""Sentences with a list in them, in the reader's language."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext


def listed(parts: Sequence[str]) -> str:
    """Things one after the other, as a sentence lists them; "" for none."""
    if len(parts) < 2:
        return "".join(parts)
    before = pgettext("between things of a list", ", ").join(parts[:-1])
    return _("%(before)s and %(last)s") % {"before": before, "last": parts[-1]}


def what_stops(models: int, defaults: Sequence[str]) -> str:
    """What the deletion of a provider's last key stops. defaults: the default models among it, as a sentence names them."""
    counted = [ngettext("%(n)s model", "%(n)s models", models) % {"n": f"{models:,}"}] if models else []
    names = [*counted, *defaults]
    if not names:
        return _("No model uses it.")
    text = ngettext("%(what)s uses it. It stops at once.", "%(what)s use it. They stop at once.", max(models, len(names)))
    return text % {"what": listed(names)}
