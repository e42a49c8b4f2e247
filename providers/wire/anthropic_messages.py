"""Neutral chat requests to Anthropic's messages format (https://docs.anthropic.com/en/api/messages)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from providers.errors import CannotExpress
from providers.spec import Access, Exchange, MakeExchange, ModelFacts, Provider, Request
from providers.wire.anthropic_answers import MessageDecoder, answer_of
from providers.wire.http import Auth, media_type, post_json, read_object, unreadable, url_of

Block = dict[str, Any]
Thinking = Literal["", "budget", "adaptive", "always"]

VERSION_WITH_SAMPLING = "2023-06-01"  # the last one that knows temperature, top_p and top_k
VERSION = "2026-10-21"
MAX_TOKENS = 4096  # where the model's maximum is not known: what the oldest models take
MAX_TOKENS_CAP = 32_000  # a default beyond this holds a place in rate limits that hardly any answer needs
MIN_BUDGET = 1024  # tokens
BUDGETS = {"low": 2048, "medium": 8192, "high": 16_384, "xhigh": 24_576, "max": 32_000}  # tokens of thinking
JSON_INSTRUCTION = "Answer with a single JSON object and nothing else."
REPLAYED = ("thinking", "redacted_thinking")


@dataclass(frozen=True, slots=True)
class Rules:
    """What one model takes. thinking: "" not at all, "budget" with a number of tokens, "adaptive", "always" on."""

    sampling: bool = False
    both_samplings: bool = False  # temperature and top_p in one request
    thinking: Thinking = "adaptive"


RulesOf = Callable[[str, ModelFacts], Rules]


def anthropic_messages(*, auth: Auth, rules_of: RulesOf, path: str = "/messages") -> MakeExchange:
    """A MakeExchange for chat. rules_of: model's name and facts -> what the model takes."""

    def exchange(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
        body = message_request(request, facts, rules_of(request.model, facts))
        version = VERSION_WITH_SAMPLING if body.keys() & {"temperature", "top_p", "top_k"} else VERSION
        headers = {**auth(access), "anthropic-version": version}
        reply = yield post_json(url_of(provider, access, path), headers, body, stream=request.stream)
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
    messages = given.get("messages")
    if not isinstance(messages, list) or not messages:
        raise CannotExpress("messages must be a list with at least one message.", param="messages")
    body: dict[str, Any] = {"model": request.model, "messages": turns_of(messages)}
    if system := system_of(messages, given):
        body["system"] = system
    body["max_tokens"] = given.get("max_completion_tokens") or given.get("max_tokens") or default_max_tokens(facts)
    body.update(tools_of(given))
    body.update(thinking_of(given, rules, body["max_tokens"]))
    body.update(sampling_of(given, rules, body))
    body.update(format_of(given, body))
    if stops := stops_of(given.get("stop")):
        body["stop_sequences"] = stops
    if isinstance(given.get("user"), str) and given["user"]:
        body["metadata"] = {"user_id": given["user"]}
    if request.stream:
        body["stream"] = True
    return body


def refuse_what_has_no_word(given: Mapping[str, Any]) -> None:
    if isinstance(given.get("n"), int) and given["n"] > 1:
        raise CannotExpress("This provider gives one choice per call.", param="n")
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
    chosen = {name: given[name] for name in ("temperature", "top_p", "top_k") if given.get(name) is not None}
    if "temperature" in chosen:
        if not rules.both_samplings:
            chosen.pop("top_p", None)
        if isinstance(chosen["temperature"], int | float):
            chosen["temperature"] = min(chosen["temperature"], 1)
    return chosen


def thinking_of(given: Mapping[str, Any], rules: Rules, max_tokens: int) -> dict[str, Any]:
    """`reasoning_effort` in the words of the model; a client's own `thinking` is left as it is."""
    if isinstance(given.get("thinking"), dict):
        return {"thinking": given["thinking"]}
    effort = given.get("reasoning_effort")
    if not isinstance(effort, str) or not rules.thinking:
        return {}
    effort = "low" if effort == "minimal" else effort
    if effort == "none":
        if rules.thinking == "always":
            raise CannotExpress("This model always reasons.", param="reasoning_effort")
        return {"thinking": {"type": "disabled"}} if rules.thinking == "adaptive" else {}
    if rules.thinking == "budget":
        budget = min(BUDGETS.get(effort, BUDGETS["medium"]), max_tokens - 1)
        return {"thinking": {"type": "enabled", "budget_tokens": budget}} if budget >= MIN_BUDGET else {}
    return {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": effort}}


def format_of(given: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    wanted = given.get("response_format")
    if not isinstance(wanted, dict) or wanted.get("type") != "json_schema":
        return {}
    schema = (wanted.get("json_schema") or {}).get("schema")
    if not isinstance(schema, dict):
        raise CannotExpress("response_format.json_schema.schema is missing.", param="response_format")
    return {"output_config": {**body.get("output_config", {}), "format": {"type": "json_schema", "schema": schema}}}


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
        "input_schema": {"type": "object", **schema} if "type" in schema else {"type": "object", "properties": {}, **schema},
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
    if isinstance(choice, dict) and choice.get("type") == "function" and isinstance(choice.get("function"), dict):
        return {"type": "tool", "name": choice["function"].get("name")}
    raise CannotExpress("This provider does not know this tool_choice.", param="tool_choice")


_CHOICES = {"auto": "auto", "required": "any", "none": "none"}


# Messages.


def system_of(messages: list[Any], given: Mapping[str, Any]) -> str | list[Block]:
    """All system and developer messages in one; blocks where one is marked for caching, else a text."""
    blocks = [
        block
        for message in messages
        if isinstance(message, dict) and message.get("role") in ("system", "developer")
        for block in content_blocks(message.get("content"))
    ]
    if any(block["type"] != "text" for block in blocks):
        raise CannotExpress("A system message holds text only.", param="messages")
    wanted = given.get("response_format")
    if isinstance(wanted, dict) and wanted.get("type") == "json_object":
        blocks.append({"type": "text", "text": JSON_INSTRUCTION})
    if any("cache_control" in block for block in blocks):
        return blocks
    return "\n\n".join(block["text"] for block in blocks)


def turns_of(messages: list[Any]) -> list[Block]:
    """User and assistant turns; neighbours of one role in one, tool results first in theirs."""
    turns: list[Block] = []
    for message in messages:
        if not isinstance(message, dict):
            raise CannotExpress("Each message must be an object.", param="messages")
        role, blocks = blocks_of(message)
        if not blocks:
            continue
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": role, "content": blocks})
    if not turns:
        raise CannotExpress("There is no message with text from the user.", param="messages")
    for turn in turns:
        if turn["role"] == "user":
            turn["content"].sort(key=lambda block: block["type"] != "tool_result")
    if turns[-1]["role"] == "assistant":
        strip_end(turns[-1]["content"])
    return turns


def strip_end(blocks: list[Block]) -> None:
    """A text that the model is to go on with must not end in blanks."""
    if blocks[-1]["type"] == "text":
        blocks[-1] = {**blocks[-1], "text": blocks[-1]["text"].rstrip()}


def blocks_of(message: Mapping[str, Any]) -> tuple[str, list[Block]]:
    match message.get("role"):
        case "system" | "developer":
            return "system", []
        case "user":
            return "user", content_blocks(message.get("content"))
        case "assistant":
            return "assistant", assistant_blocks(message)
        case "tool":
            return "user", [tool_result(message)]
    raise CannotExpress("A message has a role this provider does not know.", param="messages")


def assistant_blocks(message: Mapping[str, Any]) -> list[Block]:
    """Reasoning that must be replayed with its signature, then text, then tool calls."""
    blocks = [block for block in message.get("provider_blocks") or () if isinstance(block, dict) and block.get("type") in REPLAYED]
    blocks += content_blocks(message.get("content"))
    return blocks + [tool_use(call) for call in message.get("tool_calls") or ()]


def tool_use(call: Any) -> Block:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        raise CannotExpress("This provider takes tool calls of type function only.", param="messages")
    try:
        arguments = orjson.loads(function.get("arguments") or "{}")
    except orjson.JSONDecodeError:
        raise CannotExpress("A tool call's arguments are no JSON.", param="messages") from None
    if not isinstance(arguments, dict):
        raise CannotExpress("A tool call's arguments are no JSON object.", param="messages")
    return {"type": "tool_use", "id": tool_id(call.get("id")), "name": function.get("name"), "input": arguments}


def tool_result(message: Mapping[str, Any]) -> Block:
    block: Block = {"type": "tool_result", "tool_use_id": tool_id(message.get("tool_call_id"))}
    content = message.get("content")
    if isinstance(content, str):
        block["content"] = content
    elif content:
        block["content"] = content_blocks(content)
    return block


def tool_id(value: Any) -> str:
    """Ids of other providers may hold characters that are refused here."""
    return re.sub(r"[^a-zA-Z0-9_-]", "_", str(value or "")) or "call_0"


def content_blocks(content: Any) -> list[Block]:
    """A message's content, a text or parts; texts of nothing but blanks are left out, they would be refused."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content.strip() else []
    if content is None:
        return []
    if not isinstance(content, list):
        raise CannotExpress("A message's content must be a text or a list of parts.", param="messages")
    return [block for part in content for block in part_blocks(part)]


def part_blocks(part: Any) -> Iterator[Block]:
    kind = part.get("type") if isinstance(part, dict) else None
    match kind:
        case "text" | "refusal":
            block = {"type": "text", "text": str(part.get(kind) or "")}
            if not block["text"].strip():
                return
        case "image_url":
            block = image_block(part.get("image_url"))
        case "file":
            block = document_block(part.get("file"))
        case _:
            raise CannotExpress(f"This provider does not take content of type {str(kind)[:40]!r}.", param="messages")
    yield {**block, "cache_control": part["cache_control"]} if isinstance(part.get("cache_control"), dict) else block


_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)(?:;[\w=.+-]+)*;base64,(.*)\Z", re.S)


def image_block(image: Any) -> Block:
    url = image.get("url") if isinstance(image, dict) else image
    if not isinstance(url, str) or not url:
        raise CannotExpress("An image has no url.", param="messages")
    if match := _DATA_URL.match(url):
        return {"type": "image", "source": {"type": "base64", "media_type": match[1], "data": match[2]}}
    if url.startswith("https://"):
        return {"type": "image", "source": {"type": "url", "url": url}}
    raise CannotExpress("An image must be an https address or a base64 data URL.", param="messages")


def document_block(file: Any) -> Block:
    data = file.get("file_data") if isinstance(file, dict) else None
    match = _DATA_URL.match(data) if isinstance(data, str) else None
    if match is None:
        raise CannotExpress("A file must be given as file_data, a base64 data URL.", param="messages")
    block: Block = {"type": "document", "source": {"type": "base64", "media_type": match[1], "data": match[2]}}
    if isinstance(file.get("filename"), str):
        block["title"] = file["filename"]
    return block
