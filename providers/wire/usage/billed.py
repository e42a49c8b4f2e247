"""Read what a usage object says besides tokens: tools, service tier, region, cost and the like.

Such figures are rare: an ordinary usage object is asked for them by one look at its names.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

from providers.declaration.spec import Usage

MOST_TOKENS: Final = 2**40  # of one call; a larger figure is nonsense
MOST_COST: Final = 100_000_000
_LONGEST: Final = 20  # characters of the name of a tier, a region or a tool
TICKS: Final = Decimal(10) ** 10  # of xAI, in a dollar

# Names of the tier with list prices; what a batch costs is known from its being one.
LIST_TIERS: Final = frozenset(
    {"", "default", "standard", "auto", "standard_only", "on_demand", "batch"}
)
_ANYWHERE: Final = frozenset({"global", "not_available"})
_RARE: Final = frozenset(
    {
        *("server_tool_use", "plugins", "num_search_queries", "service_tier", "speed"),
        *("inference_geo", "cost", "cost_in_usd_ticks"),
    }
)
# Anthropic's, in an object of its own; of relays in OpenAI's form (New API), beside the totals.
_HOUR: Final = ("ephemeral_1h_input_tokens", "claude_cache_creation_1_h_tokens")
_MINUTES: Final = ("ephemeral_5m_input_tokens", "claude_cache_creation_5_m_tokens")
_BY_DURATION: Final = frozenset({"cache_creation", "cache_creation_token_details"})
_TOOLS: Final = {
    "web_search_requests": "web_search",
    "code_execution_requests": "code_execution",
}  # web_fetch_requests cost nothing
# Items in the output of OpenAI's responses.
_ITEMS: Final = {
    "web_search_call": "web_search",
    "file_search_call": "file_search",
    "code_interpreter_call": "code_interpreter",
    "image_generation_call": "image_generation",
}


class Written(NamedTuple):
    """Tokens written to a cache: for an hour, and in total."""

    hour: int
    total: int


def count(value: Any) -> int | None:
    """Return a count, or None if the value is none."""
    if type(value) is int:  # nearly always
        return value if 0 <= value <= MOST_TOKENS else None
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20:
        return count(int(value))
    if isinstance(value, float) and math.isfinite(value):
        return count(round(value))
    return None


def written_for_an_hour(details: Mapping[str, Any], reported: Mapping[str, Any]) -> Written | None:
    """Return how much was written to a cache for how long, or None if that is not reported."""
    for holder in (details, reported):
        if _BY_DURATION.isdisjoint(holder):
            continue
        for name in _BY_DURATION:
            if isinstance(value := holder.get(name), dict):
                return _written(value)
    return _written(reported) if _HOUR[1] in reported else None


def _written(holder: Mapping[str, Any]) -> Written:
    hour = _first(holder, _HOUR)
    return Written(hour, hour + _first(holder, _MINUTES))


def _first(holder: Mapping[str, Any], names: Iterable[str]) -> int:
    return next((number for name in names if (number := count(holder.get(name)))), 0)


def with_tier(
    reported: Mapping[str, Any] | None, body: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    """Add the service tier, which OpenAI reports beside the usage."""
    tier = body.get("service_tier")
    if reported is None or not isinstance(tier, str) or tier in LIST_TIERS:
        return reported
    return {**reported, "service_tier": tier}


def note(usage: Usage, reported: Mapping[str, Any]) -> None:
    """Note tools, tier, region and the provider's own cost, where they are reported."""
    if _RARE.isdisjoint(reported):
        return
    usage.tools = _tools(reported) or None
    tier = _name(reported.get("service_tier"))
    usage.service_tier = "" if tier in LIST_TIERS else tier
    if _name(reported.get("speed")) == "fast":  # Anthropic's
        usage.service_tier = "fast"
    region = _name(reported.get("inference_geo"))
    usage.region = "" if region in _ANYWHERE else region
    usage.cost = _cost(reported)


def add_items(usage: Usage | None, output: Any) -> None:
    """Count the uses of tools in the output of a response, whose usage doesn't."""
    if usage is None or not isinstance(output, list):
        return
    tools: dict[str, int] = {}
    for item in output:
        name = _ITEMS.get(item.get("type") or "") if isinstance(item, dict) else None
        if name is not None and not _is_free(item):
            tools[name] = tools.get(name, 0) + 1
    if tools:
        usage.tools = tools


def _is_free(item: Mapping[str, Any]) -> bool:
    """Tell whether a search only opened a page or looked into one."""
    action = item.get("action")
    return isinstance(action, dict) and action.get("type") in ("open_page", "find", "find_in_page")


def _tools(reported: Mapping[str, Any]) -> dict[str, int]:
    used = reported.get("server_tool_use")
    used = used if isinstance(used, dict) else {}
    tools = {ours: number for name, ours in _TOOLS.items() if (number := count(used.get(name)))}
    plugins = reported.get("plugins")  # DashScope's
    search = plugins.get("search") if isinstance(plugins, dict) else None
    searches = search.get("count") if isinstance(search, dict) else None
    if number := count(searches) or count(reported.get("num_search_queries")):  # Perplexity's
        tools.setdefault("web_search", number)
    return tools


def _name(value: Any) -> str:
    is_name = isinstance(value, str) and value.isascii() and value.isprintable()
    return value[:_LONGEST].lower() if is_name else ""


def _cost(reported: Mapping[str, Any]) -> Decimal | None:
    """Return what the provider charged: OpenRouter's number, Perplexity's object, xAI's ticks."""
    cost = reported.get("cost")
    if isinstance(cost, dict):
        cost = cost.get("total_cost")
    if (amount := _amount(cost)) is not None:
        return amount
    ticks = count(reported.get("cost_in_usd_ticks"))
    return None if ticks is None else ticks / TICKS


def _amount(value: Any) -> Decimal | None:
    """Return a number as the decimal that its JSON said, which its shortest form is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return Decimal(repr(value)) if 0 <= value <= MOST_COST else None
