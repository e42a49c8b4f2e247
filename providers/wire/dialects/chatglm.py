"""Formats of the first ChatGLM servers: `api.py` (one prompt, one answer), ChatGLM3's
`function_call`.

See https://github.com/THUDM/ChatGLM2-6B (api.py, openai_api.py) and
https://github.com/THUDM/ChatGLM3 (openai_api_demo).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import orjson

from providers.declaration.errors import CannotExpress, Failure, ProviderError
from providers.declaration.spec import Answer, Reply, Request
from providers.failures.reasons import Reason
from providers.wire.chat_answers import choices_of
from providers.wire.http import json_or_none, unreadable

SMALLEST_TEMPERATURE = 0.01  # api.py replaces 0 by its default of 0.95


def text_of(message: Any) -> str:
    """Return a message's text.

    Raises:
        CannotExpress: if it contains anything else.
    """
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    if any(not isinstance(part, dict) or part.get("type") != "text" for part in parts):
        raise CannotExpress("This server accepts only text.", param="messages")
    return "\n".join(str(part.get("text") or "") for part in parts)


def prompt_body(request: Request) -> dict[str, Any]:
    """Build the body of api.py: a prompt, and the earlier pairs of questions and answers."""
    if request.body.get("tools"):
        raise CannotExpress("This server does not support tools.", param="tools")
    prompt, history = conversation(request.body.get("messages") or [])
    body: dict[str, Any] = {"prompt": prompt, "history": history}
    if isinstance(temperature := request.body.get("temperature"), int | float):
        body["temperature"] = max(temperature, SMALLEST_TEMPERATURE)
    if isinstance(top_p := request.body.get("top_p"), int | float):
        body["top_p"] = top_p
    return body


def conversation(messages: list[Any]) -> tuple[str, list[list[str]]]:
    """Return prompt and history; a system message goes before the first question."""
    system = [
        text_of(message) for message in messages if message.get("role") in ("system", "developer")
    ]
    turns = [message for message in messages if message.get("role") not in ("system", "developer")]
    if not turns or turns[-1].get("role") != "user":
        raise CannotExpress(
            "At this server, the last message must be the user's.", param="messages"
        )
    history: list[list[str]] = []
    question: list[str] = []
    for turn in turns[:-1]:
        if turn.get("role") == "user":
            question.append(text_of(turn))
        elif turn.get("role") == "assistant":
            history.append(["\n".join(question), text_of(turn)])
            question = []
        else:
            raise CannotExpress("This server does not support tool messages.", param="messages")
    prompt = "\n".join([*question, text_of(turns[-1])])
    if system and history:
        history[0][0] = "\n".join([*system, history[0][0]])
    elif system:
        prompt = "\n".join([*system, prompt])
    return prompt, history


def prompt_answer(reply: Reply, model: str) -> Answer:
    """Convert api.py's answer to the neutral form.

    Raises:
        ProviderError: if it is not one.
    """
    body = json_or_none(reply.body)
    if not isinstance(body, dict):
        raise unreadable(reply)
    if not isinstance(body.get("response"), str):
        raise ProviderError(Failure.NOT_AN_API, Reason("not_chatglm"), status=reply.status)
    message = {"role": "assistant", "content": body["response"], "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return Answer({"model": model, "choices": [choice]}, finish_reason="stop")


# function_call, the older shape of tool calls


def with_functions(body: dict[str, Any]) -> None:
    """Rewrite messages for ChatGLM3: role `function` for tool results, `function_call` for
    calls.
    """
    names = {
        call.get("id"): call["function"].get("name")
        for message in body["messages"]
        for call in message.get("tool_calls") or ()
        if isinstance(call.get("function"), dict)
    }
    body["messages"] = [_old_shape(message, names) for message in body["messages"]]


def _old_shape(message: Mapping[str, Any], names: Mapping[Any, Any]) -> dict[str, Any]:
    if message.get("role") == "tool":
        return {
            "role": "function",
            "name": names.get(message.get("tool_call_id")) or "tool",
            "content": text_of(message),
        }
    calls = message.get("tool_calls")
    if not calls:
        return dict(message)
    if len(calls) > 1:
        raise CannotExpress(
            "This server supports only one tool call per message.", param="messages"
        )
    call = calls[0]["function"]
    # The server reads the tool's name from the first line of the text, and fails without it.
    text = f"{call['name']}\n```python\ntool_call({_arguments(call.get('arguments'))})\n```"
    return {
        "role": "assistant",
        "content": text,
        "function_call": {"name": call["name"], "arguments": call.get("arguments") or "{}"},
    }


def _arguments(text: Any) -> str:
    arguments = orjson.loads(text or "{}")
    return ", ".join(f"{name}={value!r}" for name, value in arguments.items())


def tidy_function_calls(body: dict[str, Any]) -> bool:
    """Convert `function_call` of an answer or chunk to `tool_calls`."""
    changed = False
    for choice in choices_of(body):
        part = choice.get("message") or choice.get("delta")
        call = part.pop("function_call", None) if isinstance(part, dict) else None
        if isinstance(call, dict) and isinstance(part, dict):
            tool_call: dict[str, Any] = {
                "id": f"call_{uuid.uuid4().hex[:24]}",
                "type": "function",
                "function": call,
            }
            part["tool_calls"] = [tool_call if "message" in choice else {"index": 0, **tool_call}]
            part["content"] = None  # the server repeats the call's raw text here
            changed = True
        if choice.get("finish_reason") == "function_call":
            choice["finish_reason"] = "tool_calls"
            changed = True
    return changed
