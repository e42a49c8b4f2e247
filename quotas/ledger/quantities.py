"""What a call used, as its record keeps it. Pure.

Tokens in, out and cached and images have columns, as sums are made of them. What few calls have is
in one JSON object, so that a record without it costs nothing more. From a record alone, with the
price of its `price_version`, its cost can be calculated again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from operator import attrgetter
from typing import Any, Final, Protocol

from quotas.ledger.protocols import Usage

# Names in the JSON object -> attributes of a usage.
COUNTS: Final = {
    "cache_write_1h": "cache_write_1h_tokens",
    "reasoning": "reasoning_tokens",
    "audio_input": "audio_input_tokens",
    "audio_output": "audio_output_tokens",
    "image_input": "image_input_tokens",
    "image_output": "image_output_tokens",
    "characters": "characters",
}
TEXTS: Final = ("image_size", "image_quality", "service_tier", "region")
AMOUNTS: Final = {"seconds": "audio_seconds", "batch": "batch", "provider_cost": "cost"}
COLUMNS: Final = ("prompt_tokens", "completion_tokens", "cached_tokens", "images")
LONGEST: Final = 40  # characters of a text
MOST_PORTIONS: Final = 20
MOST_TOKENS: Final = 2**40


_all_rare = attrgetter("cache_write_tokens", *COUNTS.values(), *TEXTS, *AMOUNTS.values(), "tools")


class ReportedUsage(Usage, Protocol):
    @property
    def cost(self) -> Decimal | None: ...


class Portions:
    """Sums of the calls of a batch that are priced alike.

    A price may depend on the length of each prompt, on tiers and on whether the model reasoned: the
    sum of all calls would not tell what they cost.
    """

    def __init__(self) -> None:
        self._sums: dict[Any, Quantities] = {}
        self._unread = 0

    def add(self, usage: ReportedUsage | None, step: Any) -> None:
        """Add a call.

        Args:
            step: Equal for prompts of lengths that are priced alike.
        """
        if usage is None or usage.prompt_tokens is None:
            self._unread += 1
            return
        key = (step, usage.service_tier, usage.region, bool(usage.reasoning_tokens))
        if len(self._sums) >= MOST_PORTIONS and key not in self._sums:
            self._unread += 1
            return
        self._sums.setdefault(key, Quantities(prompts=(MOST_TOKENS, 0))).add(usage)

    def stored(self, share: Decimal | None, unread: int) -> dict[str, Any]:
        """Return them as a record keeps them.

        Args:
            share: Of the list price that a batch costs; None if unknown.
            unread: More calls, whose usage could not be read.
        """
        found: dict[str, Any] = {
            "portions": [_portion(each, share) for each in self._sums.values()]
        }
        if unread := self._unread + unread:
            found["unread"] = unread
        return found


class Recorded(Protocol):
    """The columns of a call record that say what was used."""

    @property
    def prompt_tokens(self) -> int | None: ...
    @property
    def completion_tokens(self) -> int | None: ...
    @property
    def cached_tokens(self) -> int | None: ...
    @property
    def images(self) -> int | None: ...
    @property
    def quantities(self) -> Mapping[str, Any] | None: ...


def rare(usage: ReportedUsage) -> dict[str, Any] | None:
    """Return what has no column of its own; None if there is nothing."""
    if usage.cost is None and not any(_all_rare(usage)):
        return None
    found: dict[str, Any] = {}
    if usage.cache_write_tokens:
        hour = min(usage.cache_write_1h_tokens or 0, usage.cache_write_tokens)
        if minutes := usage.cache_write_tokens - hour:
            found["cache_write_5m"] = minutes
    for name, attribute in COUNTS.items():
        if number := getattr(usage, attribute):
            found[name] = number
    for name in TEXTS:
        if text := getattr(usage, name):
            found[name] = text[:LONGEST]
    for name, attribute in AMOUNTS.items():
        if (amount := getattr(usage, attribute)) is not None:
            found[name] = str(amount)
    if usage.tools:
        found["tools"] = dict(usage.tools)
    return found or None


@dataclass(slots=True, kw_only=True)
class Quantities:
    """A record's quantities, as pricing reads them."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_seconds: Decimal | None = None
    characters: int | None = None
    images: int | None = None
    image_size: str = ""
    image_quality: str = ""
    image_input_tokens: int | None = None
    image_output_tokens: int | None = None
    audio_input_tokens: int | None = None
    audio_output_tokens: int | None = None
    tools: Mapping[str, int] = field(default_factory=dict)
    service_tier: str = ""
    region: str = ""
    batch: Decimal | None = None
    cost: Decimal | None = None
    prompts: tuple[int, int] | None = None

    def add(self, usage: ReportedUsage) -> None:
        for name in _SUMMED:
            if (number := getattr(usage, name)) is not None:
                setattr(self, name, (getattr(self, name) or 0) + number)
        if self.prompts is not None:
            length = usage.prompt_tokens or 0
            shortest, longest = self.prompts
            self.prompts = (min(shortest, length), max(longest, length))
        self.service_tier, self.region = usage.service_tier, usage.region
        for name, uses in (usage.tools or {}).items():
            self.tools = {**self.tools, name: self.tools.get(name, 0) + uses}

    def read(self, found: Mapping[str, Any]) -> None:
        """Read what `rare` made."""
        hour = found.get("cache_write_1h") or 0
        self.cache_write_tokens = (found.get("cache_write_5m") or 0) + hour or None
        for name, attribute in COUNTS.items():
            setattr(self, attribute, found.get(name))
        for name in TEXTS:
            setattr(self, name, found.get(name) or "")
        for name, attribute in AMOUNTS.items():
            setattr(self, attribute, _amount(found.get(name)))
        self.tools = found.get("tools") or {}


_SUMMED: Final = (
    *("prompt_tokens", "completion_tokens", "cached_tokens", "cache_write_tokens"),
    *COUNTS.values(),
    *("audio_seconds", "images", "cost"),
)


def _portion(quantities: Quantities, share: Decimal | None) -> dict[str, Any]:
    quantities.batch = share
    if share is None and not quantities.service_tier:
        quantities.service_tier = "batch"  # whose price is unknown
    columns = {name: getattr(quantities, name) for name in COLUMNS}
    known = {name: value for name, value in columns.items() if value is not None}
    return known | (rare(quantities) or {}) | {"prompts": list(quantities.prompts or ())}


def of_record(record: Recorded) -> list[Quantities]:
    """Return what a call used: one row of quantities, or one for each portion of a batch."""
    found = record.quantities or {}
    if (portions := found.get("portions")) is None:
        made = Quantities(**{name: getattr(record, name) for name in COLUMNS})
        if found:
            made.read(found)
        return [made]
    rows = []
    for portion in portions:
        shortest, longest = portion["prompts"]
        row = Quantities(
            **{name: portion.get(name) for name in COLUMNS}, prompts=(shortest, longest)
        )
        row.read(portion)
        rows.append(row)
    return [*rows, Quantities()] if found.get("unread") else rows


def _amount(text: Any) -> Decimal | None:
    try:
        return None if text is None else Decimal(text)
    except (InvalidOperation, TypeError):  # written by another release
        return None
