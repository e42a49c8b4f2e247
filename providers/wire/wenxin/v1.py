"""The first generation of Baidu Qianfan's API: a token for two keys, one path per model, chats that
go strictly by turns.

https://cloud.baidu.com/doc/WENXINWORKSHOP/s/jlil56u11 (ERNIE-Bot),
https://cloud.baidu.com/doc/WENXINWORKSHOP/s/Ilkkrb0i5 (token)
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
    Exchange,
    Frame,
    ModelFacts,
    Provider,
    Reply,
    Request,
)
from providers.wire.chat_answers import answer_of, frames_of
from providers.wire.decoding import WholeStream
from providers.wire.http import (
    is_web_page,
    json_or_none,
    media_type,
    path_segment,
    post_json,
    read_object,
    unreadable,
)
from providers.wire.neutral import messages_of, refuse_several_choices
from providers.wire.openai.embeddings import batches, embedding_answer, embedding_body, merged
from providers.wire.rerank import plain_body, question_of, ranking_of, rerank_answer
from providers.wire.tokens import fetched_token, forget_token
from providers.wire.wenxin.v1_decoding import STALE, StreamDecoder, chat_answer, error_in

HOST = "https://aip.baidubce.com"
SERVICE = "/rpc/2.0/ai_custom/v1/wenxinworkshop"
MONTH = 30 * 24 * 3600.0  # seconds a token lives where the answer does not say

# Tokens and calls


def token_call(access: Access) -> Call:
    """What fetches a token. The vendor takes id and secret in the query only."""
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
    """The token, and the seconds it lives. Raises ProviderError."""
    body = read_object(reply)
    token, seconds = body.get("access_token"), body.get("expires_in")
    if not isinstance(token, str) or not token:
        raise unreadable(reply)
    return token, float(seconds) if isinstance(seconds, int | float) else MONTH


def host_of(access: Access) -> str:
    return access.base_url.rstrip("/") or HOST


def asked(
    access: Access, path: str, body: Mapping[str, Any], *, stream: bool = False
) -> Generator[Call, Reply, Reply]:
    """The reply to a POST with a token. A token that is no longer taken is fetched anew, once."""
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
        call.accept = frozenset(
            {200}
        )  # a failure has this status too, and one kind of it is tried again
        reply = yield call
        error = None if reply.open else error_in(json_or_none(reply.body), reply.status)
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
    reply = yield from asked(access, path, body, stream=request.stream)
    if not request.stream:
        return answer_of(chat_answer(read_object(reply), request.model))
    if is_web_page(reply):
        raise unreadable(reply)
    if media_type(reply) != "application/json":
        return StreamDecoder(request.model, provider.errors)
    return LateBody(request.model, access, lambda: asked(access, path, {**body, "stream": False}))


def path_of(kind: str, model: str, facts: ModelFacts) -> str:
    """The path is the model's name; for models of one's own it is what was typed when they were
    published.
    """
    return f"/{kind}/{path_segment(facts.values.get('endpoint') or model)}"


_TAKEN = ("top_p", "top_k", "penalty_score", "disable_search", "enable_citation", "enable_trace")


def chat_body(request: Request) -> dict[str, Any]:
    """The body of a chat. Raises CannotExpress."""
    given = request.body
    refuse_several_choices(given)
    body: dict[str, Any] = {"messages": turns_of(messages_of(given))}
    if system := "\n".join(text_of(message) for message in given["messages"] if is_system(message)):
        body["system"] = system
    body |= {name: given[name] for name in _TAKEN if given.get(name) is not None}
    if isinstance(temperature := given.get("temperature"), int | float):
        body["temperature"] = min(max(temperature, 0.01), 1.0)
    if isinstance(limit := given.get("max_completion_tokens") or given.get("max_tokens"), int):
        body["max_output_tokens"] = max(limit, 2)
    if stop := given.get("stop"):
        body["stop"] = [stop] if isinstance(stop, str) else stop
    if given.get("user"):
        body["user_id"] = given["user"]
    body |= format_of(given.get("response_format")) | functions_of(given)
    if request.stream:
        body["stream"] = True
    return body


def format_of(wanted: Any) -> dict[str, str]:
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if kind == "json_schema":
        raise CannotExpress(
            "This service knows no schemas: ask for json_object.", param="response_format"
        )
    return {"response_format": "json_object"} if kind == "json_object" else {}


def functions_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """Tools are `functions` here. The model cannot be made to call any of them, but one by its
    name.
    """
    choice = given.get("tool_choice")
    if not given.get("tools") or choice == "none":
        return {}
    if choice == "required":
        raise CannotExpress(
            "This service cannot require a call: tool_choice can be auto, none or a function.",
            param="tool_choice",
        )
    functions = [_function(tool.get("function") or {}) for tool in given["tools"]]
    return {"functions": functions} | ({"tool_choice": choice} if isinstance(choice, dict) else {})


def _function(function: Mapping[str, Any]) -> dict[str, Any]:
    """Description and parameters are required here, and parameters must have properties."""
    parameters = {"type": "object", "properties": {}, **(function.get("parameters") or {})}
    return {
        "name": function["name"],
        "description": function.get("description") or function["name"],
        "parameters": parameters,
    }


def is_system(message: Any) -> bool:
    return isinstance(message, dict) and message.get("role") in ("system", "developer")


def text_of(message: Mapping[str, Any]) -> str:
    """Raises CannotExpress for pictures, sound and files."""
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    if any(not isinstance(part, dict) or part.get("type") != "text" for part in parts):
        raise CannotExpress("This service takes text only.", param="messages")
    return (
        content if isinstance(content, str) else "\n".join(part.get("text") or "" for part in parts)
    )


def turns_of(messages: list[Any]) -> list[dict[str, Any]]:
    """The conversation as it must be: the user (or a function's result) and the assistant by turns,
    the user first and last.
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
    asks = [turn["role"] != "assistant" for turn in turns]
    if len(turns) % 2 == 0 or asks != [number % 2 == 0 for number in range(len(turns))]:
        raise CannotExpress(
            "This service wants user and assistant by turns, the user first and last.",
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
        raise CannotExpress("This service knows one tool call per message.", param="messages")
    call = calls[0]["function"]
    function = {"name": call["name"], "arguments": call.get("arguments") or "{}"}
    return {"role": "assistant", "content": text_of(message), "function_call": function}


class LateBody(WholeStream):
    """One JSON body where a stream was asked for: mostly an error. For a stale token the question
    is put once more, as a whole.
    """

    def __init__(
        self, model: str, access: Access, again: Callable[[], Generator[Call, Reply, Reply]]
    ) -> None:
        super().__init__()
        self._model = model
        self._access = access
        self._again = again
        self._asking: Generator[Call, Reply, Reply] | None = None
        self.next_call: Call | None = None

    def _read(self, data: bytes) -> Sequence[Frame]:
        body = json_or_none(data)
        error = error_in(body, 200)
        if error is not None and error.provider_code in STALE:
            forget_token(
                (
                    host_of(self._access),
                    self._access.values["api_key"],
                    self._access.values["secret_key"],
                )
            )
            self._asking = self._again()
            self.next_call = next(self._asking)
            return ()
        if error is not None:
            raise error
        return self._whole(read_object(Reply(200, {}, data)))

    def answered(self, reply: Reply) -> Sequence[Frame]:
        """Takes the reply to next_call: first that of the token, then the answer."""
        assert self._asking is not None, "only what next_call asked for is answered"
        self.next_call = None
        try:
            self.next_call = self._asking.send(reply)
        except StopIteration as stop:
            return self._whole(read_object(stop.value))
        return ()

    def _whole(self, body: Mapping[str, Any]) -> Sequence[Frame]:
        answer = answer_of(chat_answer(body, self._model))
        self.usage, self.finish_reason, self.done = answer.usage, answer.finish_reason, True
        self.output_characters = len(body["result"])
        return frames_of(answer.body or {})


# Embeddings and rerank


def embeddings(
    provider: Provider, request: Request, access: Access, facts: ModelFacts, *, max_inputs: int
) -> Exchange:
    path, body = path_of("embeddings", request.model, facts), embedding_body(request, facts)
    given = [body["input"]] if isinstance(body.get("input"), str) else body.get("input")
    user = {"user_id": body["user"]} if body.get("user") else {}
    answers: list[Answer] = []
    for inputs in batches(given, facts.max_inputs or max_inputs):
        reply = yield from asked(access, path, {"input": inputs, **user})
        answers.append(
            embedding_answer({**read_object(reply), "object": "list", "model": request.model})
        )
    return merged(answers, request)


def rerank(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    question = question_of(request)
    body = {name: value for name, value in plain_body(question, facts).items() if name != "model"}
    reply = yield from asked(access, path_of("reranker", request.model, facts), body)
    return rerank_answer(question, ranking_of(read_object(reply)))
