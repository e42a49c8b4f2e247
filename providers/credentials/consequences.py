"""What deleting a credential stops, in words."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from core.i18n.sentences import listed


def what_stops(models: int, defaults: Sequence[str]) -> str:
    """What the deletion of a provider's last key stops. defaults: the default models among it, as a
    sentence names them.
    """
    counted = (
        [ngettext("%(n)s model", "%(n)s models", models) % {"n": f"{models:,}"}] if models else []
    )
    names = [*counted, *defaults]
    if not names:
        return _("No model uses it.")
    text = ngettext(
        "%(what)s uses it. It stops at once.",
        "%(what)s use it. They stop at once.",
        max(models, len(names)),
    )
    return text % {"what": listed(names)}
