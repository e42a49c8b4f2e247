"""What a password has to be beyond Django's own rules, in words of ours."""

from __future__ import annotations

from django.contrib.auth.password_validation import MinimumLengthValidator
from django.utils.translation import ngettext


class LongEnough(MinimumLengthValidator):
    """Django's rule. Its message has another msgid since 5.2 than its catalogs, so that Chinese
    pages would say it in English.
    """

    def get_error_message(self) -> str:
        text = ngettext(
            "This password is too short. It needs at least %(number)d character.",
            "This password is too short. It needs at least %(number)d characters.",
            self.min_length,
        )
        return text % {"number": self.min_length}
