"""Repairs of what surrounds messages: the head, the usage and the choices of answers. Pure."""

from __future__ import annotations

import time
import uuid
from typing import Any, Final

from providers.wire.repairs.messages import finish_reason_of, repair_message

IMPOSSIBLE: Final = -9999.0  # OpenAI's logarithm of 0, which JSON cannot express
MOST: Final = 2**53  # every parser of JSON keeps whole numbers up to this one
_COUNTS: Final = ("prompt_tokens", "completion_tokens", "total_tokens")
_DETAILS: Final = ("prompt_tokens_details", "completion_tokens_details")
SERVICE_TIERS: Final = frozenset({"auto", "default", "flex", "scale", "priority", "fast"})


def new_id() -> str:
    return f"chatcmpl-{uuid.uuid4().hex}"


def complete_head(body: dict[str, Any], kind: str, identity: str = "") -> bool:
    """Fill in the fields that clients expect and some servers leave out or write otherwise;
    return whether any was changed.
    """
    found = (body.get("id"), body.get("created"), body.get("model"))
    changed = False
    if not isinstance(found[0], str) or not found[0]:
        body["id"] = str(found[0]) if isinstance(found[0], int) else identity or new_id()
        changed = True
    if body.get("object") != kind:
        body["object"] = kind
        changed = True
    if type(found[1]) is not int or not found[1]:
        body["created"] = _whole_number(found[1]) or int(time.time())
        changed = True
    if not isinstance(found[2], str):
        body["model"] = ""
        changed = True
    tier = body.get("service_tier")
    if tier is not None and not (isinstance(tier, str) and tier in SERVICE_TIERS):
        del body["service_tier"]
        changed = True
    if not isinstance(body.get("system_fingerprint"), str | None):
        del body["system_fingerprint"]
        changed = True
    return changed


def _whole_number(value: Any) -> int | None:
    """Return a number, also of a float or a text; None for one that is beyond MOST."""
    if isinstance(value, bool):
        return None
    try:
        number = int(float(value))
    except (TypeError, ValueError, OverflowError):
        return None
    return number if abs(number) <= MOST else None


def repair_usage(body: dict[str, Any]) -> bool:
    """Repair the usage that clients see: counts that are missing, or not whole numbers."""
    usage = body.get("usage")
    if usage is None:
        return False
    if not isinstance(usage, dict) or not usage:
        del body["usage"]
        return True
    changed = False
    for name in _COUNTS:
        count = usage.get(name)
        if type(count) is not int or count > MOST:
            usage[name] = _whole_number(count)
            changed = True
    if changed:
        _complete_counts(usage)
    for name in _DETAILS:
        details = usage.get(name)
        if isinstance(details, dict):
            changed = _repair_details(details) or changed
        elif details is not None:
            del usage[name]
            changed = True
    return changed


def _complete_counts(usage: dict[str, Any]) -> None:
    prompt, completion, total = (usage[name] for name in _COUNTS)
    if prompt is None:
        prompt = max(total - completion, 0) if None not in (total, completion) else 0
    if completion is None:
        completion = 0 if total is None else max(total - prompt, 0)
    usage.update(zip(_COUNTS, (prompt, completion, total or prompt + completion), strict=True))


def _repair_details(details: dict[str, Any]) -> bool:
    odd = [
        name
        for name, value in details.items()
        if name.endswith("_tokens") and value is not None and type(value) is not int
    ]
    for name in odd:
        details[name] = _whole_number(details[name])
    return bool(odd)


def index_of(choice: dict[str, Any], number: int) -> int:
    index = choice.get("index")
    return index if type(index) is int and index >= 0 else number


def repair_answer(body: dict[str, Any]) -> None:
    """Repair a whole chat answer in place."""
    choices = body.get("choices")
    listed = [choice for choice in as_list(choices) if _is_choice(choice)]
    if listed != choices:
        body["choices"] = listed
    for number, choice in enumerate(listed):
        _repair_choice(choice, number)


def _is_choice(choice: Any) -> bool:
    """Tell whether an item holds a message, or says at least how it ended."""
    return isinstance(choice, dict) and (
        choice.get("message") is not None
        or any(choice.get(name) is not None for name in ("delta", "text", "finish_reason"))
    )


def as_list(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def repair_logprobs(choice: dict[str, Any]) -> bool:
    """Complete the log probabilities of a choice, or drop them if they are malformed."""
    logprobs = choice.get("logprobs")
    if logprobs is None:
        return False
    changed = not isinstance(logprobs, dict)
    if changed:
        choice["logprobs"] = None
        return True
    for name in ("content", "refusal"):
        for entry in as_list(logprobs.get(name)):
            if not isinstance(entry, dict):
                continue
            if not isinstance(entry.get("top_logprobs"), list):
                entry["top_logprobs"] = []
                changed = True
            for token in (entry, *entry["top_logprobs"]):
                if isinstance(token, dict) and token.get("logprob") is None:
                    token["logprob"] = IMPOSSIBLE
                    changed = True
    return changed


def _repair_choice(choice: dict[str, Any], number: int) -> None:
    choice["index"] = index_of(choice, number)
    if "logprobs" in choice:
        repair_logprobs(choice)
    message = choice.get("message")
    if not isinstance(message, dict):
        delta = choice.pop("delta", None)
        message = delta if isinstance(delta, dict) else {"content": choice.pop("text", message)}
        choice["message"] = message
    repair_message(message)


def name_finish(body: dict[str, Any]) -> None:
    """Give every choice of a whole answer one of OpenAI's finish reasons."""
    for choice in body["choices"]:
        calls = choice["message"].get("tool_calls")
        choice["finish_reason"] = finish_reason_of(choice.get("finish_reason")) or (
            "tool_calls" if calls else "stop"
        )
