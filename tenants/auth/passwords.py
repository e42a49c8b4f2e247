"""Password validators."""

from __future__ import annotations

from django.contrib.auth.password_validation import MinimumLengthValidator
from django.utils.translation import ngettext


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
