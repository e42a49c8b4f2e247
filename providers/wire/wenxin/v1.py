"""The first generation of Baidu Qianfan's API: a token for two keys, one path per model.

See https://cloud.baidu.com/doc/WENXINWORKSHOP/s/jlil56u11 (ERNIE-Bot) and
https://cloud.baidu.com/doc/WENXINWORKSHOP/s/Ilkkrb0i5 (token).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from providers.declaration.errors import CannotExpress
from providers.declaration.spec import (
    Access,
    Answer,
    Call,
    ErrorMap,
    Exchange,
    Frame,
    ModelFacts,
    Provider,
    Reply,
    Request,
)
from providers.wire.chat_answers import answer_of
from providers.wire.http import (
    json_or_none,
    path_segment,
    post_json,
    read_object,
    unreadable,
)
from providers.wire.openai.embeddings import batches, embedding_answer, embedding_body, merged
from providers.wire.openai.stream import ReadyAnswer
from providers.wire.preconditions import messages_of, refuse_several_choices
from providers.wire.repairs.bodies import is_event_stream
from providers.wire.rerank import plain_body, question_of, ranking_of, rerank_answer
from providers.wire.stream_accumulation import collected
from providers.wire.tokens import fetched_token, forget_token
from providers.wire.wenxin.v1_decoding import STALE, StreamDecoder, any_error_in, chat_answer

HOST = "https://aip.baidubce.com"
SERVICE = "/rpc/2.0/ai_custom/v1/wenxinworkshop"
MONTH = 30 * 24 * 3600.0  # a token's lifetime in seconds if the answer does not say

# Tokens and calls


def token_call(access: Access) -> Call:
    """Build the call that fetches a token; the vendor accepts id and secret only in the
    query.
    """
    values = {
        "grant_type": "client_credentials",
        "client_id": access.values["api_key"],
        "client_secret": access.values["secret_key"],
    }
    return Call(
        "POST",
        f"{host_of(access)}/oauth/2.0/token?{urlencode(values)}",
        {"Accept": "application/json"},
        b"",
    )


def token_in(reply: Reply) -> tuple[str, float]:
    """Read the token and its lifetime in seconds.

    Raises:
        ProviderError: if the reply contains no token.
    """
    body = read_object(reply)
    token, seconds = body.get("access_token"), body.get("expires_in")
    if not isinstance(token, str) or not token:
        raise unreadable(reply)
    return token, float(seconds) if isinstance(seconds, int | float) else MONTH


def host_of(access: Access) -> str:
    return access.base_url.rstrip("/") or HOST


def post_with_token(
    access: Access, path: str, body: Mapping[str, Any], *, stream: bool = False
) -> Generator[Call, Reply, Reply]:
    """POST with a token, and fetch a new one once if it is no longer accepted."""
    parts = (host_of(access), access.values["api_key"], access.values["secret_key"])
    for is_last in (False, True):
        token = yield from fetched_token(parts, token_call(access), token_in)
        call = post_json(
            f"{host_of(access)}{SERVICE}{path}?access_token={quote(token, safe='')}",
            {},
            body,
            stream=stream,
        )
        call.secrets = (token,)
        call.accept = frozenset({200})  # failures have this status too; some are retried
        reply = yield call
        error = None if reply.open else any_error_in(json_or_none(reply.body), reply.status)
        if error is None:
            return reply
        if error.provider_code not in STALE:
            raise error
        forget_token(parts)
        if is_last:
            raise error
    raise AssertionError("the last try returns or raises")


# Chat


def chat(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    path, body = path_of("chat", request.model, facts), chat_body(request)
    reply = yield from post_with_token(access, path, body, stream=request.stream)
    if not request.stream:
        if is_event_stream(reply.body):
            return collected(StreamDecoder(request.model, provider.errors), reply.body)
        return answer_of(chat_answer(read_object(reply), request.model))
    return ChatDecoder(
        request.model,
        provider.errors,
        access,
        lambda: post_with_token(access, path, {**body, "stream": False}),
    )


def path_of(kind: str, model: str, facts: ModelFacts) -> str:
    """Return the model's path: its name, or for custom models the endpoint entered at
    publication.
    """
    return f"/{kind}/{path_segment(facts.values.get('endpoint') or model)}"


_SUPPORTED = (
    "top_p",
    "top_k",
    "penalty_score",
    "disable_search",
    "enable_citation",
    "enable_trace",
)


def chat_body(request: Request) -> dict[str, Any]:
    """Build the body of a chat.

    Raises:
        CannotExpress: if the service does not support the request.
    """
    chat = request.body
    refuse_several_choices(chat)
    body: dict[str, Any] = {"messages": turns_of(messages_of(chat))}
    if system := "\n".join(text_of(message) for message in chat["messages"] if is_system(message)):
        body["system"] = system
    body |= {name: chat[name] for name in _SUPPORTED if chat.get(name) is not None}
    if isinstance(temperature := chat.get("temperature"), int | float):
        body["temperature"] = min(max(temperature, 0.01), 1.0)
    if isinstance(limit := chat.get("max_completion_tokens") or chat.get("max_tokens"), int):
        body["max_output_tokens"] = max(limit, 2)
    if stop := chat.get("stop"):
        body["stop"] = [stop] if isinstance(stop, str) else stop
    if chat.get("user"):
        body["user_id"] = chat["user"]
    body |= format_of(chat.get("response_format")) | functions_of(chat)
    if request.stream:
        body["stream"] = True
    return body


def format_of(response_format: Any) -> dict[str, str]:
    kind = response_format.get("type") if isinstance(response_format, dict) else None
    if kind == "json_schema":
        raise CannotExpress(
            "This service does not support schemas. Use json_object.", param="response_format"
        )
    return {"response_format": "json_object"} if kind == "json_object" else {}


def functions_of(chat: Mapping[str, Any]) -> dict[str, Any]:
    """Convert tools to `functions`; the model can be made to call only a named one."""
    choice = chat.get("tool_choice")
    if not chat.get("tools") or choice == "none":
        return {}
    if choice == "required":
        raise CannotExpress(
            "This service cannot require a call: tool_choice must be auto, none or a function.",
            param="tool_choice",
        )
    functions = [_function(tool.get("function") or {}) for tool in chat["tools"]]
    return {"functions": functions} | ({"tool_choice": choice} if isinstance(choice, dict) else {})


def _function(function: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a function; the service requires a description, and parameters with properties."""
    parameters = {"type": "object", "properties": {}, **(function.get("parameters") or {})}
    return {
        "name": function["name"],
        "description": function.get("description") or function["name"],
        "parameters": parameters,
    }


def is_system(message: Any) -> bool:
    return isinstance(message, dict) and message.get("role") in ("system", "developer")


def text_of(message: Mapping[str, Any]) -> str:
    """Return a message's text.

    Raises:
        CannotExpress: if it contains images, audio or files.
    """
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    if any(not isinstance(part, dict) or part.get("type") != "text" for part in parts):
        raise CannotExpress("This service accepts only text.", param="messages")
    return (
        content if isinstance(content, str) else "\n".join(part.get("text") or "" for part in parts)
    )


def turns_of(messages: list[Any]) -> list[dict[str, Any]]:
    """Convert the conversation to alternating turns, with the user (or a function's result) first
    and last.

    Raises:
        CannotExpress: if the messages do not alternate.
    """
    names = {
        call.get("id"): call["function"]["name"]
        for message in messages
        for call in (isinstance(message, dict) and message.get("tool_calls")) or ()
    }
    turns: list[dict[str, Any]] = []
    for message in messages:
        if is_system(message):
            continue
        turn = _turn(message, names)
        if (
            turns
            and turns[-1]["role"] == turn["role"]
            and turn.keys() | turns[-1].keys() == {"role", "content"}
        ):
            turns[-1]["content"] += "\n" + turn["content"]
        else:
            turns.append(turn)
    is_user = [turn["role"] != "assistant" for turn in turns]
    if len(turns) % 2 == 0 or is_user != [number % 2 == 0 for number in range(len(turns))]:
        raise CannotExpress(
            "At this service, user and assistant must alternate, with the user first and last.",
            param="messages",
        )
    return turns


def _turn(message: Mapping[str, Any], names: Mapping[Any, Any]) -> dict[str, Any]:
    if message.get("role") == "tool":
        name = names.get(message.get("tool_call_id")) or message.get("name")
        return {"role": "function", "name": name, "content": text_of(message)}
    calls = message.get("tool_calls")
    if not calls:
        return {"role": message["role"], "content": text_of(message)}
    if len(calls) > 1:
        raise CannotExpress(
            "This service supports only one tool call per message.", param="messages"
        )
    call = calls[0]["function"]
    function = {"name": call["name"], "arguments": call.get("arguments") or "{}"}
    return {"role": "assistant", "content": text_of(message), "function_call": function}


class ChatDecoder(StreamDecoder):
    """Decoder of a stream, and of one JSON body instead of it, usually an error.

    If the token is stale, repeat the call without streaming.
    """

    def __init__(
        self,
        model: str,
        errors: ErrorMap,
        access: Access,
        retry: Callable[[], Generator[Call, Reply, Reply]],
    ) -> None:
        super().__init__(model, errors)
        self._access = access
        self._retry = retry
        self._retrying: Generator[Call, Reply, Reply] | None = None
        self.next_call: Call | None = None

    def _whole_body(self, body: bytes) -> Sequence[Frame]:
        answer = json_or_none(body)
        error = any_error_in(answer, 200)
        if error is not None and error.provider_code in STALE:
            forget_token(
                (
                    host_of(self._access),
                    self._access.values["api_key"],
                    self._access.values["secret_key"],
                )
            )
            self._retrying = self._retry()
            self.next_call = next(self._retrying)
            return ()
        if error is not None:
            raise error
        if answer is None and body.lstrip().startswith(b"{"):
            return self._lines(body)
        return self._whole_answer(Reply(200, {}, body))

    def answered(self, reply: Reply) -> Sequence[Frame]:
        """Read the reply to next_call: first the token's, then the answer."""
        assert self._retrying is not None, "answered() needs a pending next_call"
        self.next_call = None
        try:
            self.next_call = self._retrying.send(reply)
        except StopIteration as stop:
            return self._whole_answer(stop.value)
        return ()

    def _whole_answer(self, reply: Reply) -> Sequence[Frame]:
        answer = answer_of(chat_answer(read_object(reply), self._model))
        return self._answered(ReadyAnswer(answer))


# Embeddings and rerank


def embeddings(
    provider: Provider, request: Request, access: Access, facts: ModelFacts, *, max_inputs: int
) -> Exchange:
    path, body = path_of("embeddings", request.model, facts), embedding_body(request, facts)
    texts = [body["input"]] if isinstance(body.get("input"), str) else body.get("input")
    user = {"user_id": body["user"]} if body.get("user") else {}
    answers: list[Answer] = []
    for inputs in batches(texts, facts.max_inputs or max_inputs):
        reply = yield from post_with_token(access, path, {"input": inputs, **user})
        answers.append(
            embedding_answer({**read_object(reply), "object": "list", "model": request.model})
        )
    return merged(answers, request)


def rerank(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    question = question_of(request)
    body = {name: value for name, value in plain_body(question, facts).items() if name != "model"}
    reply = yield from post_with_token(access, path_of("reranker", request.model, facts), body)
    return rerank_answer(question, ranking_of(read_object(reply)))
