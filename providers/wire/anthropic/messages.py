"""Neutral chat requests in Anthropic's messages format.

See https://docs.anthropic.com/en/api/messages
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from providers.declaration.errors import CannotExpress
from providers.declaration.spec import (
    Access,
    Answer,
    Exchange,
    MakeExchange,
    ModelFacts,
    Provider,
    Reply,
    Request,
)
from providers.wire.anthropic.blocks import REPLAYED, Block, system_of, turns_of, with_own_ids
from providers.wire.anthropic.decoding import MessageDecoder, answer_of
from providers.wire.compatibility import thinking_budget
from providers.wire.http import Auth, post_json, read_object, url_of
from providers.wire.preconditions import messages_of, refuse_several_choices
from providers.wire.repairs import exact_json
from providers.wire.repairs.bodies import is_event_stream
from providers.wire.stream_accumulation import collected

VERSION_WITH_SAMPLING = "2023-06-01"  # the last one with temperature, top_p and top_k
VERSION = "2026-10-21"
MAX_TOKENS = 4096  # if the model's maximum is unknown; even the oldest models accept it
MAX_TOKENS_CAP = 32_000  # a higher default would use up rate limits for no benefit
MIN_BUDGET = 1024  # tokens
EFFORTS = ("low", "medium", "high", "xhigh", "max")
JSON_INSTRUCTION = "Answer with a single JSON object and nothing else."
SCHEMA_INSTRUCTION = "Answer with a single JSON value of this JSON schema and nothing else: "


@dataclass(frozen=True, slots=True)
class Rules:
    """What one model accepts; the defaults are those of the newest models."""

    sampling: bool = False
    both_samplings: bool = False  # accepts temperature and top_p in one request
    adaptive: bool = True  # chooses how long it thinks, guided by an effort
    budget: bool = False  # thinks up to a number of tokens
    always: bool = False  # thinking cannot be disabled
    efforts: tuple[str, ...] = EFFORTS
    schemas: bool = True  # can follow a JSON schema


RulesOf = Callable[[str, ModelFacts], Rules]


def anthropic_messages(*, auth: Auth, rules_of: RulesOf, path: str = "/messages") -> MakeExchange:
    """Make the exchange for chat.

    Args:
        rules_of: returns the rules of a model by its name and facts.
    """

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
            return whole_answer(reply, provider)
        return MessageDecoder(provider.errors)

    return exchange


def whole_answer(reply: Reply, provider: Provider) -> Answer:
    """Convert a whole answer, also of a server that streams it unasked.

    Raises:
        ProviderError: if it is an error, or no message.
    """
    if not is_event_stream(reply.body):
        return answer_of(exact_json.exact(reply.body, read_object(reply)))
    return collected(MessageDecoder(provider.errors), reply.body)


def message_request(request: Request, facts: ModelFacts, rules: Rules) -> dict[str, Any]:
    """Build the body of a messages request.

    Raises:
        CannotExpress: if the format does not support the request.
    """
    chat = request.body
    refuse_unsupported(chat)
    messages = with_own_ids(messages_of(chat))
    body: dict[str, Any] = {"model": request.model, "messages": turns_of(messages)}
    if system := system_of(messages, instruction_of(chat, rules)):
        body["system"] = system
    body["max_tokens"] = (
        chat.get("max_completion_tokens") or chat.get("max_tokens") or default_max_tokens(facts)
    )
    body.update(tools_of(chat))
    body.update(thinking_of(chat, rules, body))
    body.update(sampling_of(chat, rules, body))
    if rules.schemas and (schema := schema_of(chat)) is not None:
        body["output_config"] = {
            **body.get("output_config", {}),
            "format": {"type": "json_schema", "schema": closed(schema)},
        }
    if stops := stops_of(chat.get("stop")):
        body["stop_sequences"] = stops
    if isinstance(chat.get("user"), str) and chat["user"]:
        body["metadata"] = {"user_id": chat["user"]}
    if request.stream:
        body["stream"] = True
    return body


def refuse_unsupported(chat: Mapping[str, Any]) -> None:
    refuse_several_choices(chat)
    if chat.get("audio") or "audio" in (chat.get("modalities") or ()):
        raise CannotExpress("This provider cannot generate audio.", param="modalities")
    if chat.get("logprobs"):
        raise CannotExpress("This provider returns no log probabilities.", param="logprobs")
    if chat.get("functions"):
        raise CannotExpress("functions is deprecated. Use tools.", param="functions")


def default_max_tokens(facts: ModelFacts) -> int:
    return min(facts.max_output, MAX_TOKENS_CAP) if facts.max_output else MAX_TOKENS


def stops_of(stop: Any) -> list[str]:
    """Return the stop sequences that are not only whitespace, which would be refused."""
    sequences = [stop] if isinstance(stop, str) else stop or []
    return [sequence for sequence in sequences if isinstance(sequence, str) and sequence.strip()]


def sampling_of(chat: Mapping[str, Any], rules: Rules, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return sampling parameters for models that still accept them, and never together with
    thinking.
    """
    if not rules.sampling or (body.get("thinking") or {}).get("type") in ("enabled", "adaptive"):
        return {}
    chosen = {
        name: chat[name] for name in ("temperature", "top_p", "top_k") if chat.get(name) is not None
    }
    if "temperature" in chosen:
        if not rules.both_samplings:
            chosen.pop("top_p", None)
        if isinstance(chosen["temperature"], int | float):
            chosen["temperature"] = min(chosen["temperature"], 1)
    return chosen


def thinking_of(chat: Mapping[str, Any], rules: Rules, body: Mapping[str, Any]) -> dict[str, Any]:
    """Convert `reasoning_effort`, or a client's own `thinking`, to what the model accepts.

    Raises:
        CannotExpress: if thinking should be off and the model cannot do that.
    """
    if isinstance(chat.get("thinking"), dict):
        return own_thinking(chat["thinking"], rules, body["max_tokens"])
    effort = chat.get("reasoning_effort")
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


def own_thinking(thinking: Mapping[str, Any], rules: Rules, max_tokens: int) -> dict[str, Any]:
    """Pass on a client's own `thinking`, converted to the kind that the model supports."""
    kind = thinking.get("type")
    if kind == "disabled":
        return without_thinking("thinking", rules)
    if kind == "enabled" and not rules.budget:
        return (
            {"thinking": {"type": "adaptive", "display": thinking.get("display", "summarized")}}
            if rules.adaptive
            else {}
        )
    if kind == "adaptive" and not rules.adaptive:
        return budgeted("medium", max_tokens) if rules.budget else {}
    return {"thinking": dict(thinking)}


def without_thinking(param: str, rules: Rules) -> dict[str, Any]:
    """Disable thinking for models that would otherwise choose.

    Raises:
        CannotExpress: if the model always thinks.
    """
    if rules.always:
        raise CannotExpress("This model always reasons.", param=param)
    return {"thinking": {"type": "disabled"}} if rules.adaptive else {}


def budgeted(effort: str, max_tokens: int) -> dict[str, Any]:
    """Return a budget, or nothing if the answer is too short for thinking."""
    budget = min(thinking_budget(effort), max_tokens - 1)
    return (
        {"thinking": {"type": "enabled", "budget_tokens": budget}} if budget >= MIN_BUDGET else {}
    )


def nearest(effort: str, supported: tuple[str, ...]) -> str:
    """Return the effort or the next lower one that the model supports; pass on unknown
    efforts.
    """
    if effort == "minimal":
        return "low"
    if effort in supported or effort not in EFFORTS:
        return effort
    return [lower for lower in EFFORTS[: EFFORTS.index(effort)] if lower in supported][-1]


def is_forced(choice: Any) -> bool:
    """Tell whether a tool call is forced, which models with a budget refuse."""
    return isinstance(choice, dict) and choice.get("type") in ("any", "tool")


def is_unsigned(turns: list[Block]) -> bool:
    """Tell whether the last tool call has no thought to replay, as from another provider.

    Then thinking cannot continue.
    """
    if len(turns) < 2 or turns[-1]["content"][0]["type"] != "tool_result":
        return False
    return turns[-2]["content"][0]["type"] not in REPLAYED


# JSON


def schema_of(chat: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the requested schema.

    Raises:
        CannotExpress: if the format is json_schema and the schema is missing.
    """
    answer_format = chat.get("response_format")
    if not isinstance(answer_format, dict) or answer_format.get("type") != "json_schema":
        return None
    schema = (answer_format.get("json_schema") or {}).get("schema")
    if not isinstance(schema, dict):
        raise CannotExpress(
            "response_format.json_schema.schema is missing.", param="response_format"
        )
    return schema


def closed(schema: Any) -> Any:
    """Add `additionalProperties: false` to every object that leaves it out, which would be
    refused.
    """
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {name: closed(value) for name, value in schema.items()}
    if result.get("type") == "object":
        result.setdefault("additionalProperties", False)
    return result


def instruction_of(chat: Mapping[str, Any], rules: Rules) -> str:
    """Return an instruction for formats that have no field of their own."""
    answer_format = chat.get("response_format")
    if isinstance(answer_format, dict) and answer_format.get("type") == "json_object":
        return JSON_INSTRUCTION
    schema = None if rules.schemas else schema_of(chat)
    return "" if schema is None else SCHEMA_INSTRUCTION + orjson.dumps(schema).decode()


# Tools


def tools_of(chat: Mapping[str, Any]) -> dict[str, Any]:
    tools = [tool_of(tool) for tool in chat.get("tools") or ()]
    if not tools:
        return {}
    choice = choice_of(chat.get("tool_choice"))
    if chat.get("parallel_tool_calls") is False and (choice or {}).get("type") != "none":
        choice = {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}
    return {"tools": tools, "tool_choice": choice} if choice else {"tools": tools}


def tool_of(tool: Any) -> Block:
    function = tool.get("function") if isinstance(tool, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise CannotExpress("This provider supports only tools of type function.", param="tools")
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
    raise CannotExpress("This provider does not support this tool_choice.", param="tool_choice")


_CHOICES = {"auto": "auto", "required": "any", "none": "none"}
