"""The stored form of a credential's or model list's last failure. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from core.text import joined
from providers.declaration.errors import ProviderError
from providers.failures.reasons import Reason, gettext_noop

_CODES: Final = gettext_noop(" (%(codes)s)")
LONGEST_TEXT: Final = 400  # characters


@dataclass(frozen=True, slots=True)
class FailureDetail:
    """A failure, turned into text when it is shown.

    Args:
        text: The provider's message, shortened and without keys.
        reason: Our own description, if the provider sent no message.
        status: The provider's HTTP status, if it replied.
        provider_code: The provider's own error code.
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
    def from_json(cls, data: Mapping[str, Any]) -> FailureDetail:
        """Read what `to_json` returned."""
        reason = Reason.from_json(data["reason"]) if "reason" in data else None
        return cls(data.get("text", ""), reason, data.get("status"), data.get("provider_code", ""))

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON without empty values; {} for no failure."""
        parts = {
            "text": self.text,
            "reason": self.reason.to_json() if self.reason else None,
            "status": self.status,
            "provider_code": self.provider_code,
        }
        return {name: value for name, value in parts.items() if value}

    @property
    def codes(self) -> str:
        """The provider's status and code, such as "401 invalid_api_key", or an empty text."""
        parts = (str(part) for part in (self.status, self.provider_code) if part)
        return " ".join(dict.fromkeys(parts))

    @property
    def code(self) -> str:
        """The name in the audit trail: the provider's codes, or else our reason's code."""
        return self.codes or (self.reason.code if self.reason else "")

    def codes_suffix(self, translate: Callable[[str], str]) -> str:
        """Return the codes in brackets, to follow a word; empty if there are none."""
        return translate(_CODES) % {"codes": self.codes} if self.codes else ""

    def describe(self, translate: Callable[[str], str]) -> str:
        """Return the text with the codes; the provider's own message is not translated."""
        if self.reason is not None:
            return self.reason.describe(translate) + self.codes_suffix(translate)
        return joined(self.text, f"({self.codes})" if self.codes else "")
