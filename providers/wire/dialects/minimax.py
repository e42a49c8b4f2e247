"""What MINIMAX makes of OpenAI's format, and its own formats for embeddings and speech.
https://platform.minimax.io/docs
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from providers.declaration.errors import CannotExpress, Failure, ProviderError
from providers.declaration.spec import Decoder, ModelFacts, Reply, Request
from providers.failures.reasons import Reason
from providers.wire.audio.speech import format_of
from providers.wire.chat_answers import choices_of
from providers.wire.decoding import error_in_stream
from providers.wire.http import failure_of_status, json_or_none, plain_error, wait_asked_for
from providers.wire.openai.errors import error_object, text_of
from providers.wire.openai.stream import ChatDecoder, stream_of
from providers.wire.subset import use_max_tokens, use_system_role
from providers.wire.think_tags import ThinkTagDecoder, tidy_thinking

SMALLEST_TEMPERATURE = 0.01  # 0 is refused by models whose range begins above it
_THINKERS = re.compile(r"MiniMax-M\d")  # models that think, where no fact says so


# Requests


def fit(body: dict[str, Any], facts: ModelFacts, *, legacy: bool) -> None:
    """Changes a fresh copy of a chat request. legacy: for the service before the OpenAI-compatible
    one. Raises CannotExpress.
    """
    if body.pop("n", None) not in (None, 1):
        raise CannotExpress("This provider gives one answer: n must be 1.", param="n")
    for name in ("functions", "function_call"):
        if body.get(name):
            raise CannotExpress(
                "This provider knows tools, and not their older form functions.", param=name
            )
    if body.get("temperature") == 0 and facts.parameters.get("temperature", {}).get("min") != 0:
        body["temperature"] = SMALLEST_TEMPERATURE
    if legacy:
        use_max_tokens(body)
    elif (limit := body.pop("max_tokens", None)) is not None:
        body.setdefault("max_completion_tokens", limit)
    use_system_role(body)
    if not legacy and (
        "reasoning" in facts.features or (not facts.features and _THINKERS.match(body["model"]))
    ):
        body.setdefault("reasoning_split", True)
    body["messages"] = [
        replayed(message, body.get("reasoning_split")) for message in body.get("messages") or ()
    ]


def replayed(message: Any, split: Any) -> Any:
    """An earlier answer, with its reasoning where the provider looks for it: models that miss it
    get worse from call to call.

    split: the request's reasoning_split; None for a model that does not think.
    """
    if not isinstance(message, dict) or "reasoning_content" not in message:
        return message
    kept = {name: value for name, value in message.items() if name != "reasoning_content"}
    thought = message["reasoning_content"]
    if not thought or split is None or kept.get("reasoning_details"):
        return kept
    if split:
        return {**kept, "reasoning_details": [{"type": "reasoning.text", "text": thought}]}
    return {**kept, "content": f"<think>\n{thought}\n</think>\n\n{kept.get('content') or ''}"}


def embedding_body(request: Request, texts: list[str]) -> dict[str, Any]:
    """`type` tells what the texts are for: "db" for documents, "query" for what is searched for. It
    may stand in the request.
    """
    given = request.body.get("type") or request.body.get("input_type") or "db"
    kind = (
        {"db": "db", "document": "db", "query": "query"}.get(given)
        if isinstance(given, str)
        else None
    )
    if kind is None:
        raise CannotExpress('type must be "db" or "query".', param="type")
    return {"model": request.model, "texts": texts, "type": kind}


DEFAULT_VOICE = "male-qn-qingse"
PCM_RATE = 24000  # Hz; what OpenAI's clients take a pcm answer for
FORMATS = ("mp3", "flac", "wav", "pcm")


def speech_body(request: Request) -> dict[str, Any]:
    """Raises CannotExpress for formats and instructions that are not to be had."""
    asked, wanted = request.body, format_of(request)
    if wanted not in FORMATS:
        raise CannotExpress(
            f"This provider speaks {', '.join(FORMATS)}, not {wanted}.", param="response_format"
        )
    if asked.get("instructions"):
        raise CannotExpress(
            "This provider takes no instructions for its voice.", param="instructions"
        )
    voice = asked.get("voice") or DEFAULT_VOICE
    if not isinstance(voice, str):
        raise CannotExpress("voice must be the id of one of the provider's voices.", param="voice")
    speed = {"speed": asked["speed"]} if asked.get("speed") is not None else {}
    rate = {"sample_rate": PCM_RATE, "channel": 1} if wanted == "pcm" else {}
    return {
        "model": request.model,
        "text": asked.get("input"),
        "stream": False,
        "voice_setting": {"voice_id": voice, **speed},
        "audio_setting": {"format": wanted, **rate},
    }


# Answers

LONGEST_WORD = 8
_SHOWN = ("id", "object", "created", "model", "choices", "usage")


def stream_of_chat(reply: Reply) -> Decoder:
    """The decoder of a body that was left open. Raises ProviderError for a web page."""
    decoder = stream_of(reply, errors, tidy)
    return ThinkTagDecoder(errors, TidyStream()) if isinstance(decoder, ChatDecoder) else decoder


def tidy(body: dict[str, Any]) -> bool:
    """Repairs a whole answer: one place for the reasoning, OpenAI's names of finish reasons."""
    for choice in choices_of(body):
        message = choice.get("message")
        if isinstance(message, dict):
            thought = _thought_in(message)
            if thought:
                message["reasoning_content"] = thought
        _name_finish(choice, body)
    return tidy_thinking(body) or True


def _thought_in(part: dict[str, Any]) -> str:
    """The reasoning of a message or delta, taken out of it: in its own field, or in a list of
    details, or in both.
    """
    said, details = part.pop("reasoning_content", None), part.pop("reasoning_details", None)
    if isinstance(said, str) and said:
        return said
    texts = (
        [one.get("text") for one in details if isinstance(one, dict)]
        if isinstance(details, list)
        else []
    )
    return "".join(text for text in texts if isinstance(text, str))


def _name_finish(choice: dict[str, Any], body: dict[str, Any]) -> None:
    if choice.get("finish_reason") == "max_output":
        choice["finish_reason"] = "length"
    if choice.get("finish_reason") and (
        body.get("output_sensitive") is True or _base_code(body) == "1027"
    ):
        choice["finish_reason"] = "content_filter"


class TidyStream:
    """Repairs the chunks of one stream, of one choice."""

    def __init__(self) -> None:
        self._thought = ""
        self._is_cumulative: bool | None = None  # of the reasoning; None until that is clear
        self._said = False
        self._ended = False

    def __call__(self, chunk: dict[str, Any]) -> bool:
        """Raises ProviderError for a chunk that reports an error."""
        choices = choices_of(chunk)
        if _base_code(chunk) and not (choices and self._said and _base_code(chunk) == "1027"):
            raise error_in_stream(errors, orjson.dumps(chunk))
        for choice in choices:
            self._repair(choice, chunk)
        if (
            choices
            and self._ended
            and not any(choice["delta"] or choice.get("finish_reason") for choice in choices)
        ):
            chunk["choices"] = []
            for name in chunk.keys() - set(_SHOWN):
                del chunk[name]
        return True

    def _repair(self, choice: dict[str, Any], chunk: dict[str, Any]) -> None:
        if "delta" not in choice:
            # The older service ends its stream with the whole answer once more.
            choice["delta"] = _delta_of(choice.pop("message", None)) if not self._said else {}
            chunk["object"] = "chat.completion.chunk"
        delta = choice["delta"] = choice["delta"] if isinstance(choice["delta"], dict) else {}
        thought = self._new_part(_thought_in(delta))
        if thought:
            delta["reasoning_content"] = thought
        self._said = self._said or bool(thought or delta.get("content") or delta.get("tool_calls"))
        _name_finish(choice, chunk)
        if self._ended and not delta:
            choice["finish_reason"] = None
        self._ended = self._ended or bool(choice.get("finish_reason"))

    def _new_part(self, thought: str) -> str:
        """Some versions repeat all of the reasoning in each chunk, others send what is new."""
        before = self._thought
        if self._is_cumulative is None and before and thought:
            # The same again is a repetition, but for a short word that was said twice.
            self._is_cumulative = thought.startswith(before) and (
                thought != before or len(before) > LONGEST_WORD
            )
        new = thought
        if self._is_cumulative:
            new = thought.removeprefix(before) if thought.startswith(before) else ""
        self._thought += new
        return new


def _delta_of(message: Any) -> dict[str, Any]:
    if not isinstance(message, dict):
        return {}
    calls = message.get("tool_calls")
    return (
        {**message, "tool_calls": [{"index": number, **call} for number, call in enumerate(calls)]}
        if calls
        else message
    )


def vectors_of(body: dict[str, Any]) -> list[list[float]]:
    vectors = body.get("vectors")
    if not isinstance(vectors, list) or not all(
        isinstance(vector, list) and vector for vector in vectors
    ):
        raise ProviderError(Failure.ERROR, Reason("no_embeddings"), status=200)
    return vectors


def audio_of(body: dict[str, Any]) -> bytes:
    """The sound, which comes as hexadecimal digits. Raises ProviderError."""
    data = body.get("data")
    text = data.get("audio") if isinstance(data, dict) else None
    try:
        audio = bytes.fromhex(text) if isinstance(text, str) else b""
    except ValueError:
        audio = b""
    if not audio:
        raise ProviderError(Failure.ERROR, Reason("no_audio"), status=200)
    return audio


# Errors

# https://platform.minimax.io/docs/api-reference/errorcode; in base_resp, mostly with status 200, or
# at the end of a message.
CODES: dict[str, Failure] = {
    **dict.fromkeys(("1000", "1013", "1024", "1033"), Failure.ERROR),
    "1001": Failure.TIMEOUT,
    **dict.fromkeys(("1002", "1039", "1041", "2045"), Failure.RATE_LIMIT),
    **dict.fromkeys(("1004", "2049"), Failure.AUTH),
    **dict.fromkeys(("1008", "2056"), Failure.NO_FUNDS),
    **dict.fromkeys(("1026", "1027"), Failure.CONTENT_FILTER),
    **dict.fromkeys(
        ("1042", "1043", "1044", "2013", "20132", "2037", "2039", "2042", "2048"),
        Failure.BAD_REQUEST,
    ),
    "2061": Failure.PERMISSION,
    "2064": Failure.OVERLOADED,
}
# Types of errors in Anthropic's form, which the compatible services answer with.
KINDS: dict[str, Failure] = {
    "authentication_error": Failure.AUTH,
    "permission_error": Failure.PERMISSION,
    "billing_error": Failure.NO_FUNDS,
    "rate_limit_error": Failure.RATE_LIMIT,
    "not_found_error": Failure.MODEL_NOT_FOUND,
    "invalid_request_error": Failure.BAD_REQUEST,
    "overloaded_error": Failure.OVERLOADED,
    "api_error": Failure.ERROR,
}
_SUFFIX = re.compile(r"\((\d{4,5})\)\s*\Z")
_CONTEXT = re.compile(r"context (?:window|length)|too many tokens|prompt is too long", re.I)
_MODEL = re.compile(
    r"unknown model|no such model|\bmodel\b.{0,60}\b(?:not found|not exist|not support)", re.I
)


def errors(reply: Reply) -> ProviderError | None:
    """An ErrorMap. A filtered answer that came with its text is no error: it ends with
    content_filter.
    """
    body = json_or_none(reply.body)
    body = body if isinstance(body, dict) else {}
    code, message, kind = _base_code(body), _base_message(body), ""
    if code == "1027" and any(choice.get("message") for choice in choices_of(body)):
        return None
    error = error_object(body) if not code and not choices_of(body) else None
    if error is not None:
        message, kind = text_of(error, "message"), text_of(error, "type")
        suffix = _SUFFIX.search(message)
        code = suffix[1] if suffix else text_of(error, "code")
    elif not code:
        return plain_error(reply) if reply.status >= 400 else None
    return ProviderError(
        _meaning(reply.status, code, kind, message),
        message or Reason("error_code", number=code),
        status=reply.status,
        provider_code=code or kind,
        retry_after=wait_asked_for(reply),
    )


def _meaning(status: int, code: str, kind: str, message: str) -> Failure:
    """By code, then by type, then by status; "invalid params" says by its text only what is
    wrong.
    """
    if code in ("", "2013"):
        if _CONTEXT.search(message):
            return Failure.CONTEXT_LENGTH
        if _MODEL.search(message):
            return Failure.MODEL_NOT_FOUND
    known = CODES.get(code) or KINDS.get(kind)
    return known or (failure_of_status(status) if status >= 400 else Failure.ERROR)


def _base_code(body: dict[str, Any]) -> str:
    """The code in `base_resp`; "" where there is none, or it says that all is well."""
    base = body.get("base_resp")
    code = base.get("status_code") if isinstance(base, dict) else None
    return str(code) if code and isinstance(code, int | str) and str(code) != "0" else ""


def _base_message(body: dict[str, Any]) -> str:
    base = body.get("base_resp")
    return text_of(base, "status_msg") if isinstance(base, dict) else ""
