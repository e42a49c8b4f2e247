"""Chat by OpenAI's Responses API
(https://developers.openai.com/api/reference/resources/responses).
"""

from __future__ import annotations

from collections.abc import Mapping
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
from providers.wire.http import Auth, json_or_none, post_json, read_object, url_of
from providers.wire.openai.chat import drop_unsupported
from providers.wire.openai.errors import error_object
from providers.wire.openai.model_list import error_or
from providers.wire.openai.responses.answers import answer_of
from providers.wire.openai.responses.input import Item, input_of
from providers.wire.openai.responses.stream import ResponseDecoder
from providers.wire.preconditions import messages_of
from providers.wire.repairs.bodies import is_event_stream
from providers.wire.stream_accumulation import collected

MIN_OUTPUT_TOKENS = 16  # lowest allowed max_output_tokens
ENCRYPTED = "reasoning.encrypted_content"
LOGPROBS = "message.output_text.logprobs"
# Parameters with the same name in both formats.
SHARED = (
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
# Parameters that Responses lacks, with the values that have no effect. `seed` and `prediction`
# are only hints: they are dropped.
UNSUPPORTED: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "stop": ("", []),
    "logit_bias": ({},),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "audio": (),
    "functions": ([],),
}


def openai_responses(*, auth: Auth, path: str = "/responses", version: str = "/v1") -> MakeExchange:
    """Make the exchange for chats that use the Responses API; clients see chat completions."""

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
            if is_event_stream(reply.body):
                return collected(ResponseDecoder(provider.errors), reply.body)
            return answer_of(read_object(reply))
        return ResponseDecoder(provider.errors)

    return exchange


def repair(body: dict[str, Any], reply: Reply) -> bool:
    """Remove what only some accounts may send, and tell whether anything was removed.

    Summaries are for verified organizations. Encrypted reasoning is readable only by the account
    that created it, and another one may have answered the previous turn.
    """
    error = error_object(json_or_none(reply.body)) or {}
    if error.get("param") == "reasoning.summary" and "summary" in body.get("reasoning", {}):
        body["reasoning"] = {
            name: value for name, value in body["reasoning"].items() if name != "summary"
        }
        return True
    if error.get("code") == "invalid_encrypted_content":
        others = [item for item in body["input"] if item.get("type") != "reasoning"]
        changed = len(others) < len(body["input"])
        body["input"] = others
        return changed
    return False


def response_request(request: Request, facts: ModelFacts) -> dict[str, Any]:
    """Build the body of a Responses request.

    Raises:
        CannotExpress: if the format does not support the request.
    """
    chat = dict(request.body)
    drop_unsupported(chat, facts)
    refuse_unsupported(chat)
    # Store nothing at the provider: the message's provider_blocks carry what the next turn needs.
    body: dict[str, Any] = {
        "model": request.model,
        "input": input_of(messages_of(chat)),
        "store": False,
    }
    body.update({name: chat[name] for name in SHARED if chat.get(name) is not None})
    limit = chat.get("max_completion_tokens") or chat.get("max_tokens")
    if limit:
        body["max_output_tokens"] = max(limit, MIN_OUTPUT_TOKENS)
    reasons = not facts.features or "reasoning" in facts.features
    if reasoning := reasoning_of(chat, reasons):
        body["reasoning"] = reasoning
    if text := text_of(chat):
        body["text"] = text
    body.update(tools_of(chat))
    conditions = ((ENCRYPTED, reasons), (LOGPROBS, chat.get("logprobs")))
    include = [name for name, condition in conditions if condition]
    if include:
        body["include"] = include
    if request.stream:
        body["stream"] = True
        options = chat.get("stream_options") or {}
        if "include_obfuscation" in options:
            body["stream_options"] = {"include_obfuscation": options["include_obfuscation"]}
    return body


def refuse_unsupported(chat: Mapping[str, Any]) -> None:
    for name, harmless in UNSUPPORTED.items():
        if chat.get(name) is not None and chat[name] not in harmless:
            raise CannotExpress(
                f"This model uses the Responses API, which does not support {name}.", param=name
            )
    if "audio" in (chat.get("modalities") or ()):
        raise CannotExpress("This model cannot generate audio.", param="modalities")


def reasoning_of(chat: Mapping[str, Any], reasons: bool) -> Item:
    """Return the effort, and ask for a summary: the reasoning itself is not returned."""
    own = chat.get("reasoning")
    reasoning: Item = {"summary": "auto"} if reasons else {}
    if isinstance(own, dict):
        reasoning |= own
    if reasons and chat.get("reasoning_effort") is not None:
        reasoning["effort"] = chat["reasoning_effort"]
    if reasoning.get("effort") == "none":
        reasoning.pop("summary", None)
    return reasoning


def text_of(chat: Mapping[str, Any]) -> Item:
    """Return the answer's format and verbosity."""
    text: Item = {}
    answer_format = chat.get("response_format") or {}
    if answer_format.get("type") == "json_schema":
        schema = answer_format.get("json_schema")
        if not isinstance(schema, dict) or not isinstance(schema.get("schema"), dict):
            raise CannotExpress(
                "response_format.json_schema.schema is missing.", param="response_format"
            )
        text["format"] = {"name": "answer", **schema, "type": "json_schema"}
    elif answer_format.get("type", "text") != "text":
        text["format"] = {"type": answer_format["type"]}
    if chat.get("verbosity") is not None:
        text["verbosity"] = chat["verbosity"]
    return text


# Tools


def tools_of(chat: Mapping[str, Any]) -> dict[str, Any]:
    tools = [tool_of(tool) for tool in chat.get("tools") or ()]
    if isinstance(chat.get("web_search_options"), dict):
        tools.append(web_search(chat["web_search_options"]))
    fields: dict[str, Any] = {"tools": tools} if tools else {}
    if tools and chat.get("tool_choice") is not None:
        fields["tool_choice"] = choice_of(chat["tool_choice"])
    return fields


def tool_of(tool: Any) -> Item:
    """Flatten a tool; tools that only Responses has (web_search, mcp, ...) are flat already."""
    kind = tool.get("type") if isinstance(tool, dict) else None
    if not isinstance(kind, str):
        raise CannotExpress("Each tool must be an object with a type.", param="tools")
    if kind not in ("function", "custom"):
        return dict(tool)
    inner = tool.get(kind)
    if not isinstance(inner, dict) or not isinstance(inner.get("name"), str):
        raise CannotExpress(f"A tool of type {kind} needs a {kind} with a name.", param="tools")
    if kind == "function":
        # Without `strict`, Responses assumes true and refuses schemas not written for it.
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
    location = options.get("user_location")
    if isinstance(location, dict) and isinstance(location.get("approximate"), dict):
        tool["user_location"] = {**location["approximate"], "type": "approximate"}
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
