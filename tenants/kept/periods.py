"""How long a workspace keeps what its calls need later: not at all, unless it is switched on."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

# Hours -> label. 0 switches the store off.
PERIODS: Final = {
    0: _("Nothing"),
    6: _("For 6 hours"),
    24: _("For 24 hours"),
    168: _("For 7 days"),
}
