"""System checks of the environment."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Final

from django.conf import settings
from django.core.checks import CheckMessage, Warning, register

from console.doctor import variables
from gateway.dataplane.tracing import exporting

# Variables of our deployment files and tests, which are no settings.
OTHER_VARIABLES: Final = frozenset(
    {
        "MODELKEEP_HOST",
        "MODELKEEP_NODES",
        "MODELKEEP_READ_DOTENV",
        "MODELKEEP_RECORDED",
        "MODELKEEP_TEST_RUN",
    }
)


@register(deploy=True)
def check_tracing(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """Warn if spans are wanted, but the packages for them are missing."""
    if not exporting.is_missing():
        return []
    return [Warning(exporting.MISSING, hint=exporting.INSTALL, id="modelkeep.W012")]


@register(deploy=True)
def check_variable_names(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """Warn about variables that look like settings and are none, and settings given twice."""
    known: frozenset[str] = settings.KNOWN_VARIABLES | OTHER_VARIABLES
    messages: list[CheckMessage] = []
    for name in variables.unknown(known, os.environ, settings.DOTENV):
        meant = variables.meant_by(name, known)
        hint = f"Did you mean {meant}?" if meant else ".env.example lists all settings."
        message = f"There is no setting {name}; it has no effect."
        messages.append(Warning(message, hint=hint, id="modelkeep.W010"))
    for name in sorted(settings.KNOWN_VARIABLES & os.environ.keys()):
        if os.environ[name] and f"{name}_FILE" in os.environ:
            message = f"{name} and {name}_FILE are both set; {name}_FILE counts."
            hint = "Remove the one that you do not want."
            messages.append(Warning(message, hint=hint, id="modelkeep.W011"))
    return messages
