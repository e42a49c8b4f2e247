"""Password validators."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.password_validation import MinimumLengthValidator
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

PRODUCT: Final = "modelkeep"
SHORTEST_WORD: Final = 4  # of a part of the host's name
OTHER_LETTERS: Final = 8  # that a password needs besides these words


class LongEnough(MinimumLengthValidator):
    """Django's minimum length with a translated message.

    Since Django 5.2 the original msgid is missing from Django's own Chinese catalog.
    """

    def get_error_message(self) -> str:
        text = ngettext(
            "This password is too short. It needs at least %(number)d character.",
            "This password is too short. It needs at least %(number)d characters.",
            self.min_length,
        )
        return text % {"number": self.min_length}


class NotTheServersName:
    """Refuse passwords that hold little else than the product's name or the server's.

    The list is in docs/operators.md.
    """

    def validate(self, password: str, user: object | None = None) -> None:
        """Raise ValidationError if too little is left of the password without these words."""
        rest = password.casefold()
        for word in context_words():
            rest = rest.replace(word, "")
        if len(rest) < OTHER_LETTERS and rest != password.casefold():
            raise ValidationError(
                _("This password is little more than the name of this server."), "servers_name"
            )

    def get_help_text(self) -> str:
        return _("Not the name of this server.")


def context_words() -> list[str]:
    """Return the words that a stranger would try first on this server, the longest first."""
    host = urlsplit(settings.SITE_URL).hostname or ""
    words = {PRODUCT, host, *(label for label in host.split(".") if len(label) >= SHORTEST_WORD)}
    return sorted(filter(None, words), key=len, reverse=True)
