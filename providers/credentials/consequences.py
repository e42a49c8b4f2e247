"""Text about what stops when a credential is deleted."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from core.i18n.sentences import listed


def what_stops(models: int, defaults: Sequence[str]) -> str:
    """Describe what stops when a provider's last key is deleted.

    Args:
        models: The number of models.
        defaults: The labels of the default models.
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
