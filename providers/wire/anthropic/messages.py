"""Neutral chat requests to Anthropic's messages format
(https://docs.anthropic.com/en/api/messages).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from providers.declaration.errors import CannotExpress
from providers.declaration.spec import (
    Access,
    Exchange,
    MakeExchange,
    ModelFacts,
    Provider,
    Request,
)
from providers.wire.anthropic.blocks import REPLAYED, Block, system_of, turns_of
from providers.wire.anthropic.decoding import MessageDecoder, answer_of
from providers.wire.http import Auth, media_type, post_json, read_object, unreadable, url_of
from providers.wire.neutral import messages_of, refuse_several_choices
from providers.wire.thinking import thinking_budget

VERSION_WITH_SAMPLING = "2023-06-01"  # the last one that knows temperature, top_p and top_k
VERSION = "2026-10-21"
MAX_TOKENS = 4096  # where the model's maximum is not known: what the oldest models take
MAX_TOKENS_CAP = (
    32_000  # a default beyond this holds a place in rate limits that hardly any answer needs
)
MIN_BUDGET = 1024  # tokens
EFFORTS = ("low", "medium", "high", "xhigh", "max")
JSON_INSTRUCTION = "Answer with a single JSON object and nothing else."
SCHEMA_INSTRUCTION = "Answer with a single JSON value of this JSON schema and nothing else: "


@dataclass(frozen=True, slots=True)
class Rules:
    """What one model takes; as it stands, what the newest ones do."""

    sampling: bool = False
    both_samplings: bool = False  # temperature and top_p in one request
    adaptive: bool = True  # decides itself how long it thinks, told an effort
    budget: bool = False  # thinks up to a number of tokens
    always: bool = False  # cannot be told not to think
    efforts: tuple[str, ...] = EFFORTS
    schemas: bool = True  # answers by a JSON schema


RulesOf = Callable[[str, ModelFacts], Rules]


def anthropic_messages(*, auth: Auth, rules_of: RulesOf, path: str = "/messages") -> MakeExchange:
    """A MakeExchange for chat. rules_of: model's name and facts -> what the model takes."""

    def exchange(
        provider: Provider, request: Request, access: Access, facts: ModelFacts
    ) -> Exchange:
        body = message_request(request, facts, rules_of(request.model, facts))
        version = (
            VERSION_WITH_SAMPLING if body.keys() & {"temperature", "top_p", "top_k"} else VERSION
        )
        headers = {**auth(access), "anthropic-version": version}
        reply = yield post_json(
            url_of(provider, access, path), headers, body, stream=request.stream
        )
        if not request.stream:
            return answer_of(read_object(reply))
        if media_type(reply) in ("text/html", "application/json"):
            raise unreadable(reply)
        return MessageDecoder(provider.errors)

    return exchange


def message_request(request: Request, facts: ModelFacts, rules: Rules) -> dict[str, Any]:
    """The body of a messages request. Raises CannotExpress for what the format has no word for."""
    given = request.body
    refuse_what_has_no_word(given)
    messages = messages_of(given)
    body: dict[str, Any] = {"model": request.model, "messages": turns_of(messages)}
    if system := system_of(messages, instruction_of(given, rules)):
        body["system"] = system
    body["max_tokens"] = (
        given.get("max_completion_tokens") or given.get("max_tokens") or default_max_tokens(facts)
    )
    body.update(tools_of(given))
    body.update(thinking_of(given, rules, body))
    body.update(sampling_of(given, rules, body))
    if rules.schemas and (schema := schema_of(given)) is not None:
        body["output_config"] = {
            **body.get("output_config", {}),
            "format": {"type": "json_schema", "schema": closed(schema)},
        }
    if stops := stops_of(given.get("stop")):
        body["stop_sequences"] = stops
    if isinstance(given.get("user"), str) and given["user"]:
        body["metadata"] = {"user_id": given["user"]}
    if request.stream:
        body["stream"] = True
    return body


def refuse_what_has_no_word(given: Mapping[str, Any]) -> None:
    refuse_several_choices(given)
    if given.get("audio") or "audio" in (given.get("modalities") or ()):
        raise CannotExpress("This provider does not speak.", param="modalities")
    if given.get("functions"):
        raise CannotExpress("functions are out of use; say tools.", param="functions")


def default_max_tokens(facts: ModelFacts) -> int:
    return min(facts.max_output, MAX_TOKENS_CAP) if facts.max_output else MAX_TOKENS


def stops_of(stop: Any) -> list[str]:
    """Stop sequences that hold more than blanks: others are refused."""
    sequences = [stop] if isinstance(stop, str) else stop or []
    return [sequence for sequence in sequences if isinstance(sequence, str) and sequence.strip()]


def sampling_of(given: Mapping[str, Any], rules: Rules, body: Mapping[str, Any]) -> dict[str, Any]:
    """Sampling parameters for the models that still take them; never beside thinking."""
    if not rules.sampling or (body.get("thinking") or {}).get("type") in ("enabled", "adaptive"):
        return {}
    chosen = {
        name: given[name]
        for name in ("temperature", "top_p", "top_k")
        if given.get(name) is not None
    }
    if "temperature" in chosen:
        if not rules.both_samplings:
            chosen.pop("top_p", None)
        if isinstance(chosen["temperature"], int | float):
            chosen["temperature"] = min(chosen["temperature"], 1)
    return chosen


def thinking_of(given: Mapping[str, Any], rules: Rules, body: Mapping[str, Any]) -> dict[str, Any]:
    """`reasoning_effort`, or a client's own `thinking`, in the words of the model. Raises
    CannotExpress.
    """
    if isinstance(given.get("thinking"), dict):
        return own_thinking(given["thinking"], rules, body["max_tokens"])
    effort = given.get("reasoning_effort")
    if not isinstance(effort, str) or not (rules.adaptive or rules.budget):
        return {}
    if effort == "none":
        return without_thinking("reasoning_effort", rules)
    if rules.budget and (is_forced(body.get("tool_choice")) or is_unsigned(body["messages"])):
        return {}
    if rules.adaptive:
        return {
            "thinking": {"type": "adaptive", "display": "summarized"},
            "output_config": {"effort": nearest(effort, rules.efforts)},
        }
    return budgeted(effort, body["max_tokens"])


def own_thinking(wanted: Mapping[str, Any], rules: Rules, max_tokens: int) -> dict[str, Any]:
    """A client's own `thinking`: as it is where the model knows that kind, else in the kind it
    knows.
    """
    kind = wanted.get("type")
    if kind == "disabled":
        return without_thinking("thinking", rules)
    if kind == "enabled" and not rules.budget:
        return (
            {"thinking": {"type": "adaptive", "display": wanted.get("display", "summarized")}}
            if rules.adaptive
            else {}
        )
    if kind == "adaptive" and not rules.adaptive:
        return budgeted("medium", max_tokens) if rules.budget else {}
    return {"thinking": dict(wanted)}


def without_thinking(param: str, rules: Rules) -> dict[str, Any]:
    """Only models that decide themselves must be told. Raises CannotExpress for those that cannot
    be.
    """
    if rules.always:
        raise CannotExpress("This model always reasons.", param=param)
    return {"thinking": {"type": "disabled"}} if rules.adaptive else {}


def budgeted(effort: str, max_tokens: int) -> dict[str, Any]:
    """Nothing where the answer is too short to think before it."""
    budget = min(thinking_budget(effort), max_tokens - 1)
    return (
        {"thinking": {"type": "enabled", "budget_tokens": budget}} if budget >= MIN_BUDGET else {}
    )


def nearest(effort: str, known: tuple[str, ...]) -> str:
    """The effort, or the highest one below it that the model knows; the provider answers for what
    nobody knows.
    """
    if effort == "minimal":
        return "low"
    if effort in known or effort not in EFFORTS:
        return effort
    return [one for one in EFFORTS[: EFFORTS.index(effort)] if one in known][-1]


def is_forced(choice: Any) -> bool:
    """Models that think by a budget refuse to when they must call a tool."""
    return isinstance(choice, dict) and choice.get("type") in ("any", "tool")


def is_unsigned(turns: list[Block]) -> bool:
    """Whether tools were called without a thought that could be replayed, as by another provider:
    then thinking cannot go on.
    """
    if len(turns) < 2 or turns[-1]["content"][0]["type"] != "tool_result":
        return False
    return turns[-2]["content"][0]["type"] not in REPLAYED


# JSON.


def schema_of(given: Mapping[str, Any]) -> dict[str, Any] | None:
    """The schema that is asked for. Raises CannotExpress where one is announced and missing."""
    wanted = given.get("response_format")
    if not isinstance(wanted, dict) or wanted.get("type") != "json_schema":
        return None
    schema = (wanted.get("json_schema") or {}).get("schema")
    if not isinstance(schema, dict):
        raise CannotExpress(
            "response_format.json_schema.schema is missing.", param="response_format"
        )
    return schema


def closed(schema: Any) -> Any:
    """The schema with `additionalProperties` wherever it left them open: without it, it is
    refused.
    """
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: closed(value) for name, value in schema.items()}
    return (
        {**found, "additionalProperties": False}
        if found.get("type") == "object" and "additionalProperties" not in found
        else found
    )


def instruction_of(given: Mapping[str, Any], rules: Rules) -> str:
    """What is said in words, because there is no field for it."""
    wanted = given.get("response_format")
    if isinstance(wanted, dict) and wanted.get("type") == "json_object":
        return JSON_INSTRUCTION
    schema = None if rules.schemas else schema_of(given)
    return "" if schema is None else SCHEMA_INSTRUCTION + orjson.dumps(schema).decode()


# Tools.


def tools_of(given: Mapping[str, Any]) -> dict[str, Any]:
    tools = [tool_of(tool) for tool in given.get("tools") or ()]
    if not tools:
        return {}
    choice = choice_of(given.get("tool_choice"))
    if given.get("parallel_tool_calls") is False and (choice or {}).get("type") != "none":
        choice = {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}
    return {"tools": tools, "tool_choice": choice} if choice else {"tools": tools}


def tool_of(tool: Any) -> Block:
    function = tool.get("function") if isinstance(tool, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise CannotExpress("This provider takes tools of type function only.", param="tools")
    schema = function.get("parameters") or {}
    block: Block = {
        "name": function["name"],
        "input_schema": {"type": "object", **schema}
        if "type" in schema
        else {"type": "object", "properties": {}, **schema},
    }
    if function.get("description"):
        block["description"] = function["description"]
    if function.get("strict") is True:
        block["strict"] = True
    if isinstance(tool.get("cache_control"), dict):
        block["cache_control"] = tool["cache_control"]
    return block


def choice_of(choice: Any) -> Block | None:
    if choice is None:
        return None
    if isinstance(choice, str) and choice in _CHOICES:
        return {"type": _CHOICES[choice]}
    if (
        isinstance(choice, dict)
        and choice.get("type") == "function"
        and isinstance(choice.get("function"), dict)
    ):
        return {"type": "tool", "name": choice["function"].get("name")}
    raise CannotExpress("This provider does not know this tool_choice.", param="tool_choice")


_CHOICES = {"auto": "auto", "required": "any", "none": "none"}
