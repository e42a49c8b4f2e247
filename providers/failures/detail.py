"""What is stored of the last failure of a credential, or of a list of models. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from core.text import joined
from providers.declaration.errors import ProviderError
from providers.failures.reasons import Reason, gettext_noop

IN_BRACKETS: Final = gettext_noop(" (%(codes)s)")
LONGEST_TEXT: Final = 400  # characters


@dataclass(frozen=True, slots=True)
class FailureDetail:
    """A failure as it is kept: put into words when it is shown.

    Args:
        text: the provider's own words, cut, without any part of a key.
        reason: ours, where the provider said nothing.
        status: the provider's HTTP status; None where none came.
        provider_code: the provider's own code.
    """

    text: str = ""
    reason: Reason | None = None
    status: int | None = None
    provider_code: str = ""

    def __bool__(self) -> bool:
        return bool(self.text or self.reason)

    @classmethod
    def of(cls, error: ProviderError) -> FailureDetail:
        text = "" if error.reason else error.message[:LONGEST_TEXT]
        return cls(text, error.reason, error.status, error.provider_code)

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> FailureDetail:
        """What `stored` gave."""
        reason = Reason.read(stored["reason"]) if "reason" in stored else None
        return cls(
            stored.get("text", ""), reason, stored.get("status"), stored.get("provider_code", "")
        )

    def stored(self) -> dict[str, Any]:
        """Plain JSON without what is empty; {} for no failure."""
        parts = {
            "text": self.text,
            "reason": self.reason.stored() if self.reason else None,
            "status": self.status,
            "provider_code": self.provider_code,
        }
        return {name: value for name, value in parts.items() if value}

    @property
    def codes(self) -> str:
        """The provider's status and code, such as "401 invalid_api_key"; "" where it gave neither."""
        parts = (str(part) for part in (self.status, self.provider_code) if part)
        return " ".join(dict.fromkeys(parts))

    @property
    def code(self) -> str:
        """What identifies it in the audit trail: the provider's status and code, or the code of our
        reason.
        """
        return self.codes or (self.reason.code if self.reason else "")

    def in_brackets(self, translate: Callable[[str], str]) -> str:
        """Status and code as they follow a word; "" for none. translate: such as gettext."""
        return translate(IN_BRACKETS) % {"codes": self.codes} if self.codes else ""

    def in_words(self, translate: Callable[[str], str]) -> str:
        """Who said what, with status and code: the provider's own words as they are."""
        if self.reason is not None:
            return self.reason.in_words(translate) + self.in_brackets(translate)
        return joined(self.text, f"({self.codes})" if self.codes else "")
