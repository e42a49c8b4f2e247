"""Neutral chat requests to OpenAI's Responses format
(https://developers.openai.com/api/reference/resources/responses).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from providers.declaration.errors import CannotExpress
from providers.declaration.spec import (
    Access,
    Exchange,
    MakeExchange,
    ModelFacts,
    Provider,
    Reply,
    Request,
)
from providers.wire.http import (
    Auth,
    json_or_none,
    media_type,
    post_json,
    read_object,
    unreadable,
    url_of,
)
from providers.wire.neutral import messages_of
from providers.wire.openai.chat import drop_unsupported
from providers.wire.openai.errors import error_object
from providers.wire.openai.model_list import error_or
from providers.wire.openai.responses_decoding import ResponseDecoder, WholeResponse, answer_of

Item = dict[str, Any]

MIN_OUTPUT_TOKENS = 16  # the least that max_output_tokens may say
ENCRYPTED = "reasoning.encrypted_content"
LOGPROBS = "message.output_text.logprobs"
# What is called the same in both formats.
SAME = (
    "metadata",
    "moderation",
    "parallel_tool_calls",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "temperature",
    "top_logprobs",
    "top_p",
    "user",
)
# What Responses has no word for, with the values that change nothing. `seed` and `prediction`
# promise nothing: they are left out.
NO_WORD: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "stop": ("", []),
    "logit_bias": ({},),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "audio": (),
    "functions": ([],),
}


def openai_responses(*, auth: Auth, path: str = "/responses", version: str = "/v1") -> MakeExchange:
    """A MakeExchange for chat: asked and answered in Responses, which clients do not see."""

    def exchange(
        provider: Provider, request: Request, access: Access, facts: ModelFacts
    ) -> Exchange:
        body = response_request(request, facts)
        url = url_of(provider, access, path, version=version)
        while True:
            call = post_json(url, auth(access), body, stream=request.stream)
            call.accept = frozenset({400})
            reply = yield call
            if reply.status != 400:
                break
            if not repair(body, reply):
                raise error_or(reply, provider)
        if not request.stream:
            return answer_of(read_object(reply))
        if media_type(reply) == "text/html":
            raise unreadable(reply)
        return (
            WholeResponse(reply, provider.errors, None)
            if media_type(reply) == "application/json"
            else ResponseDecoder(provider.errors)
        )

    return exchange


def repair(body: dict[str, Any], reply: Reply) -> bool:
    """Takes out what only some accounts may send; True where something was there to take out.

    Summaries are for verified organizations; encrypted reasoning can be read by the account that
    made it only, and the turn before may have been answered by another one.
    """
    error = error_object(json_or_none(reply.body)) or {}
    if error.get("param") == "reasoning.summary" and "summary" in body.get("reasoning", {}):
        body["reasoning"] = {
            name: value for name, value in body["reasoning"].items() if name != "summary"
        }
        return True
    if error.get("code") == "invalid_encrypted_content":
        kept = [item for item in body["input"] if item.get("type") != "reasoning"]
        changed = len(kept) < len(body["input"])
        body["input"] = kept
        return changed
    return False


def response_request(request: Request, facts: ModelFacts) -> dict[str, Any]:
    """The body of a Responses request. Raises CannotExpress for what the format has no word for."""
    given = dict(request.body)
    drop_unsupported(given, facts)
    refuse_what_has_no_word(given)
    # Nothing is kept at the provider: what the next turn needs travels in the message's
    # provider_blocks.
    body: dict[str, Any] = {
        "model": request.model,
        "input": input_of(messages_of(given)),
        "store": False,
    }
    body.update({name: given[name] for name in SAME if given.get(name) is not None})
    limit = given.get("max_completion_tokens") or given.get("max_tokens")
    if limit:
        body["max_output_tokens"] = max(limit, MIN_OUTPUT_TOKENS)
    reasons = not facts.features or "reasoning" in facts.features
    if reasoning := reasoning_of(given, reasons):
        body["reasoning"] = reasoning
    if text := text_of(given):
        body["text"] = text
    body.update(tools_of(given))
    include = [
        name for name, wanted in ((ENCRYPTED, reasons), (LOGPROBS, given.get("logprobs"))) if wanted
    ]
    if include:
        body["include"] = include
    if request.stream:
        body["stream"] = True
        options = given.get("stream_options") or {}
        if "include_obfuscation" in options:
            body["stream_options"] = {"include_obfuscation": options["include_obfuscation"]}
    return body


def refuse_what_has_no_word(given: Mapping[str, Any]) -> None:
    for name, harmless in NO_WORD.items():
        if given.get(name) is not None and given[name] not in harmless:
            raise CannotExpress(
                f"This model is asked by the Responses API, which does not know {name}.", param=name
            )
    if "audio" in (given.get("modalities") or ()):
        raise CannotExpress("This model does not speak.", param="modalities")


def reasoning_of(given: Mapping[str, Any], reasons: bool) -> Item:
    """Effort as it was asked for, and a summary, which is all of the reasoning that may be read."""
    own = given.get("reasoning")
    reasoning: Item = {"summary": "auto"} if reasons else {}
    if isinstance(own, dict):
        reasoning |= own
    if reasons and given.get("reasoning_effort") is not None:
        reasoning["effort"] = given["reasoning_effort"]
    if reasoning.get("effort") == "none":
        reasoning.pop("summary", None)
    return reasoning


def text_of(given: Mapping[str, Any]) -> Item:
    """The form of the answer and its verbosity."""
    text: Item = {}
    wanted = given.get("response_format") or {}
    if wanted.get("type") == "json_schema":
        schema = wanted.get("json_schema")
        if not isinstance(schema, dict) or not isinstance(schema.get("schema"), dict):
            raise CannotExpress(
                "response_format.json_schema.schema is missing.", param="response_format"
            )
        text["format"] = {"name": "answer", **schema, "type": "json_schema"}
    elif wanted.get("type", "text") != "text":
        text["format"] = {"type": wanted["type"]}
    if given.get("verbosity") is not None:
        text["verbosity"] = given["verbosity"]
    return text


# Tools.


def tools_of(given: Mapping[str, Any]) -> dict[str, Any]:
    tools = [tool_of(tool) for tool in given.get("tools") or ()]
    if isinstance(given.get("web_search_options"), dict):
        tools.append(web_search(given["web_search_options"]))
    found: dict[str, Any] = {"tools": tools} if tools else {}
    if tools and given.get("tool_choice") is not None:
        found["tool_choice"] = choice_of(given["tool_choice"])
    return found


def tool_of(tool: Any) -> Item:
    """A tool with its fields side by side. Tools that only Responses has (web_search, mcp, ...) are
    written so already.
    """
    kind = tool.get("type") if isinstance(tool, dict) else None
    if not isinstance(kind, str):
        raise CannotExpress("Each tool must be an object with a type.", param="tools")
    if kind not in ("function", "custom"):
        return dict(tool)
    inner = tool.get(kind)
    if not isinstance(inner, dict) or not isinstance(inner.get("name"), str):
        raise CannotExpress(f"A tool of type {kind} has a {kind} with a name.", param="tools")
    if kind == "function":
        # Responses would take a missing `strict` for true and refuse schemas that were not written
        # for it.
        return {
            "parameters": {"type": "object", "properties": {}},
            "strict": False,
            **_without_none(inner),
            "type": kind,
        }
    flat = {**inner, "type": kind}
    grammar = inner.get("format") or {}
    if isinstance(grammar.get("grammar"), dict):
        flat["format"] = {**grammar["grammar"], "type": "grammar"}
    return flat


def _without_none(values: Mapping[str, Any]) -> Item:
    return {name: value for name, value in values.items() if value is not None}


def web_search(options: Mapping[str, Any]) -> Item:
    tool: Item = {**options, "type": "web_search"}
    where = options.get("user_location")
    if isinstance(where, dict) and isinstance(where.get("approximate"), dict):
        tool["user_location"] = {**where["approximate"], "type": "approximate"}
    return tool


def choice_of(choice: Any) -> Any:
    if not isinstance(choice, dict):
        return choice
    kind = choice.get("type")
    inner = choice.get(kind) if isinstance(kind, str) else None
    if not isinstance(inner, dict):
        return choice
    if kind == "allowed_tools":
        return {
            "type": kind,
            "mode": inner.get("mode"),
            "tools": [choice_of(tool) for tool in inner.get("tools") or ()],
        }
    return {"type": kind, "name": inner.get("name")}


# Messages.


def input_of(messages: list[Any]) -> list[Item]:
    """Messages as input items: texts, tool calls and tool results stand side by side, reasoning
    where it was.
    """
    items: list[Item] = []
    custom: set[str] = (
        set()
    )  # ids of calls of custom tools, whose results are called something else
    for message in messages:
        if not isinstance(message, dict):
            raise CannotExpress("Each message must be an object.", param="messages")
        match message.get("role"):
            case "system" | "developer" | "user" as role:
                items.append({"role": role, "content": content_of(message.get("content"))})
            case "assistant":
                said = list(assistant_items(message))
                custom.update(
                    item["call_id"] for item in said if item.get("type") == "custom_tool_call"
                )
                items += said
            case "tool":
                items.append(tool_result(message, custom))
            case _:
                raise CannotExpress(
                    "A message has a role this model does not know.", param="messages"
                )
    return items


def assistant_items(message: Mapping[str, Any]) -> Iterator[Item]:
    """What the model once put out: in the order its provider_blocks tell, where it was Responses
    that answered.
    """
    calls = [tool_call(call) for call in message.get("tool_calls") or ()]
    said = said_of(message)
    for block in message.get("provider_blocks") or ():
        kind = block.get("type") if isinstance(block, dict) else None
        if kind == "reasoning" and isinstance(block.get("encrypted_content"), str):
            yield block
        elif kind == "message" and said:
            yield {**said, "phase": block["phase"]} if block.get("phase") else said
            said = {}
        elif kind == "call":
            known = [
                number
                for number, call in enumerate(calls)
                if call["call_id"] == block.get("call_id")
            ]
            if known:
                yield calls.pop(known[0])
    if said:
        yield said
    yield from calls


def said_of(message: Mapping[str, Any]) -> Item:
    """The assistant's own words as one item; empty where there are none."""
    content = message.get("content")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
    if not isinstance(parts, list):
        raise _no_content()
    if message.get("refusal"):
        parts = [*parts, {"type": "refusal", "refusal": message["refusal"]}]
    said = [block for part in parts if (block := said_part(part))]
    return {"role": "assistant", "content": said} if said else {}


def said_part(part: Any) -> Item:
    match part:
        case {"type": "text", "text": str(text)}:
            return {"type": "output_text", "text": text} if text else {}
        case {"type": "refusal", "refusal": str(text)}:
            return {"type": "refusal", "refusal": text}
    raise CannotExpress("An assistant's message holds texts and refusals only.", param="messages")


def tool_call(call: Any) -> Item:
    match call:
        case {
            "id": str(identity),
            "type": "custom",
            "custom": {"name": str(name), "input": str(text)},
        }:
            return {"type": "custom_tool_call", "call_id": identity, "name": name, "input": text}
        case {"id": str(identity), "function": {"name": str(name), "arguments": str(arguments)}}:
            return {
                "type": "function_call",
                "call_id": identity,
                "name": name,
                "arguments": arguments,
            }
    raise CannotExpress(
        "A tool call has an id and a function with name and arguments.", param="messages"
    )


def tool_result(message: Mapping[str, Any], custom: set[str]) -> Item:
    identity = message.get("tool_call_id")
    if not isinstance(identity, str):
        raise CannotExpress("A tool's message has a tool_call_id.", param="messages")
    kind = "custom_tool_call_output" if identity in custom else "function_call_output"
    return {"type": kind, "call_id": identity, "output": content_of(message.get("content"))}


def content_of(content: Any) -> str | list[Item]:
    """A text, or parts."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        raise _no_content()
    return [part_of(part) for part in content]


def _no_content() -> CannotExpress:
    return CannotExpress("A message's content must be a text or a list of parts.", param="messages")


def part_of(part: Any) -> Item:
    match part:
        case {"type": "text", "text": str(text)}:
            item: Item = {"type": "input_text", "text": text}
        case {"type": "image_url", "image_url": {"url": str(url)} as image}:
            item = {
                "type": "input_image",
                "image_url": url,
                "detail": image.get("detail") or "auto",
            }
        case {"type": "image_url", "image_url": str(url)}:
            item = {"type": "input_image", "image_url": url, "detail": "auto"}
        case {"type": "file", "file": dict(file)}:
            item = {
                "type": "input_file",
                **{
                    name: file[name]
                    for name in ("file_id", "file_data", "filename")
                    if file.get(name)
                },
            }
        case _:
            kind = part.get("type") if isinstance(part, dict) else part
            raise CannotExpress(
                f"This model does not take content of type {str(kind)[:40]!r}.", param="messages"
            )
    if isinstance(part.get("prompt_cache_breakpoint"), dict):
        item["prompt_cache_breakpoint"] = part["prompt_cache_breakpoint"]
    return item
