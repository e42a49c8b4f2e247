"""Fields that several providers declare."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from providers.declaration.spec import Field


def base_url_field(
    *,
    help_text: Any = None,
    placeholder: str = "",
    required: bool = False,
    env: tuple[str, ...] = (),
) -> Field:
    """Return the base URL field, which is advanced unless it is required."""
    return Field(
        "base_url",
        _("Base URL"),
        required=required,
        advanced=not required,
        # `is None`: even a truth test would evaluate the lazy text before Django is set up.
        help_text=help_text
        if help_text is not None
        else _(
            "Leave empty for the provider's own address. Set it for a regional host or a relay."
        ),
        placeholder=placeholder,
        env=env,
    )
