"""Read the usage that a provider reports, in every dialect and wherever it stands in an answer.

Figures that are not counts (negative, not finite, beyond MOST_TOKENS) are left out: unknown, not 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from providers.declaration.spec import Usage
from providers.wire.usage import billed
from providers.wire.usage.billed import MOST_TOKENS as MOST_TOKENS

MOST_NAMES: Final = 200  # of a usage object; what exceeds them is not merged
MOST_SECONDS: Final = 2**31  # of one recording

# Names of each figure; the first that holds a count is read.
_PROMPT: Final = ("prompt_tokens", "input_tokens", "input_token_count", "prompt_eval_count")
_COMPLETION: Final = ("completion_tokens", "output_tokens", "output_token_count", "eval_count")
_TOTAL: Final = ("total_tokens", "total_token_count")
_CACHED: Final = (
    "cached_tokens",  # OpenAI in the details; Moonshot beside the totals
    "prompt_cache_hit_tokens",  # DeepSeek
    "cache_read_input_tokens",  # Anthropic
    "cache_read_tokens",
    "cached_input_tokens",
)
_WRITTEN: Final = (
    "cache_write_tokens",
    "cache_creation_input_tokens",  # Anthropic
    "cache_creation_tokens",
    "cached_creation_tokens",
)
_REASONING: Final = ("reasoning_tokens", "thinking_tokens", "thoughts_tokens")
_PROMPT_DETAILS: Final = ("prompt_tokens_details", "input_tokens_details", "input_token_details")
_COMPLETION_DETAILS: Final = (
    "completion_tokens_details",
    "output_tokens_details",
    "output_token_details",
)
_AUDIO: Final = ("audio_tokens",)
_IMAGES: Final = ("image_tokens",)


def usage_in(body: Mapping[str, Any]) -> Usage | None:
    """Return the usage that an answer or a chunk reports, or None."""
    usage = usage_of(reported_in(body))
    if "output" in body:
        billed.add_items(usage, body["output"])
    return usage


def input_usage_in(body: Mapping[str, Any]) -> Usage | None:
    """Return the usage of an operation without generated tokens: the total is the input."""
    reported = reported_in(body)
    usage, tokens = usage_of(reported), input_tokens_of(reported)
    if usage is None or usage.prompt_tokens == tokens:
        return usage
    return Usage(tokens)


def input_tokens_of(reported: Any) -> int | None:
    """Return the tokens that an operation without generated tokens reports, or None."""
    if not isinstance(reported, dict):
        return None
    counts = (_first(reported, _PROMPT), _first(reported, _TOTAL))
    return max((count for count in counts if count is not None), default=None)


def reported_in(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the usage object of an answer or a chunk, or None.

    It stands at the top, in a choice (Moonshot) or in `x_groq`.
    """
    top = body.get("usage")
    reported: Mapping[str, Any] | None = top if top and isinstance(top, dict) else None
    choices = body.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict) and "usage" in choice:
            reported = later(choice["usage"], reported)
    if "x_groq" in body and isinstance(extra := body["x_groq"], dict):
        reported = later(extra.get("usage"), reported)
    return billed.with_tier(reported, body)


def later(old: Any, new: Any, *, depth: int = 1) -> Mapping[str, Any] | None:
    """Merge usage objects of one answer: later figures replace earlier ones, zeros replace none.

    Args:
        depth: How deep objects inside them are merged: details, but nothing in these.
    """
    if not isinstance(old, dict) or not old:
        return dict(new) if new and isinstance(new, dict) else None
    if not isinstance(new, dict) or len(old) + len(new) > MOST_NAMES:
        return old
    merged = dict(old)
    for name, value in new.items():
        if isinstance(value, dict) and depth:
            merged[name] = later(merged.get(name), value, depth=depth - 1) or {}
        elif value or merged.get(name) is None:
            merged[name] = value
    return merged


def usage_of(reported: Any) -> Usage | None:
    """Convert a usage object of any dialect, or return None if it reports nothing.

    Dialects disagree whether prompts include cached tokens, and whether the output includes
    reasoning: the total decides.
    """
    if not isinstance(reported, dict):
        return None
    prompt, completion = _first(reported, _PROMPT), _first(reported, _COMPLETION)
    details = _details(reported, _PROMPT_DETAILS)
    cached = _in_details(details, reported, _CACHED)
    written = _in_details(details, reported, _WRITTEN) or None
    out_details = _details(reported, _COMPLETION_DETAILS)
    reasoning = _in_details(out_details, reported, _REASONING)
    total = _first(reported, _TOTAL)
    if prompt is None and completion is None:
        return Usage(total_tokens=total) if total else None
    lasting = billed.written_for_an_hour(details, reported)
    if lasting is not None:
        written = max(written or 0, lasting.total) or None
    if prompt is not None and _excludes_cache(reported, prompt, cached):
        prompt += (cached or 0) + (written or 0)
    if total is not None:
        prompt, completion = _completed(
            prompt, completion, total, in_cache=(cached or 0) + (written or 0)
        )
    elif completion is not None and reasoning is not None and reasoning > completion:
        completion += reasoning
    usage = Usage(prompt, completion, cached, reasoning, cache_write_tokens=written)
    if lasting is not None:
        usage.cache_write_1h_tokens = lasting.hour or None
    if details.get("audio_tokens") or details.get("image_tokens"):
        usage.audio_input_tokens = _first(details, _AUDIO) or None
        usage.image_input_tokens = _first(details, _IMAGES) or None
    if out_details.get("audio_tokens") or out_details.get("image_tokens"):
        usage.audio_output_tokens = _first(out_details, _AUDIO) or None
        usage.image_output_tokens = _first(out_details, _IMAGES) or None
    billed.note(usage, reported)
    return usage


def _excludes_cache(reported: Mapping[str, Any], prompt: int, cached: int | None) -> bool:
    """Tell whether the prompt's tokens are only those that no cache was used for."""
    if "prompt_tokens" in reported:
        return cached is not None and cached > prompt and _first(reported, _TOTAL) is None
    return "cache_read_input_tokens" in reported or "cache_creation_input_tokens" in reported


def _completed(
    prompt: int | None, completion: int | None, total: int, *, in_cache: int
) -> tuple[int | None, int | None]:
    """Add what the total counts and the parts leave out.

    Args:
        in_cache: cached and written tokens.
    """
    missing = total - (prompt or 0) - (completion or 0)
    if missing <= 0:
        return prompt, completion
    if prompt is None or (completion is not None and missing == in_cache):
        return (prompt or 0) + missing, completion
    return prompt, (completion or 0) + missing


def seconds_of(value: Any) -> float | None:
    """Return a duration in seconds, or None if the value is not one."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < MOST_SECONDS:
        return float(value)
    return None


def usage_object(usage: Usage | None) -> dict[str, Any] | None:
    """Return usage in OpenAI's form, or None if either count is unknown."""
    if usage is None or usage.prompt_tokens is None or usage.completion_tokens is None:
        return None
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }


def _details(reported: Mapping[str, Any], names: Iterable[str]) -> Mapping[str, Any]:
    for name in names:
        if isinstance(value := reported.get(name), dict):
            return value
    return {}


def _in_details(
    details: Mapping[str, Any], reported: Mapping[str, Any], names: Iterable[str]
) -> int | None:
    """Return a figure of the details, or if they lack it, one beside them."""
    count = _first(details, names) if details else None
    return _first(reported, names) if count is None else count


def _first(holder: Mapping[str, Any], names: Iterable[str]) -> int | None:
    for name in names:
        if name in holder and (count := billed.count(holder[name])) is not None:
            return count
    return None
