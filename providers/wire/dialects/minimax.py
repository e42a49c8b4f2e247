"""MINIMAX's variant of OpenAI's chat format, and its own formats for embeddings and speech.

See https://platform.minimax.io/docs
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
from providers.wire.compatibility import use_max_tokens, use_system_role
from providers.wire.decoding import error_in_stream
from providers.wire.http import failure_of_status, json_or_none, plain_error, wait_asked_for
from providers.wire.openai.errors import generic_error, message_of, text_of
from providers.wire.thinking.streams import ThinkTagDecoder
from providers.wire.thinking.tags import tidy_thinking

SMALLEST_TEMPERATURE = 0.01  # for models that refuse 0
_THINKERS = re.compile(r"MiniMax-M\d")  # thinking models without facts


# Requests


def fit(body: dict[str, Any], facts: ModelFacts, *, legacy: bool) -> None:
    """Fit a copy of a chat request.

    Args:
        legacy: whether it goes to the service before the OpenAI-compatible one.

    Raises:
        CannotExpress: if the provider does not support the request.
    """
    if body.pop("n", None) not in (None, 1):
        raise CannotExpress("This provider returns one answer per call: n must be 1.", param="n")
    for name in ("functions", "function_call"):
        if body.get(name):
            raise CannotExpress(
                "This provider does not support the older functions. Use tools.", param=name
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
    """Put an earlier answer's reasoning where the provider expects it; without it, models get
    worse.

    Args:
        split: the request's reasoning_split; None for a model that does not think.
    """
    if not isinstance(message, dict) or "reasoning_content" not in message:
        return message
    rest = {name: value for name, value in message.items() if name != "reasoning_content"}
    thought = message["reasoning_content"]
    if not thought or split is None or rest.get("reasoning_details"):
        return rest
    if split:
        return {**rest, "reasoning_details": [{"type": "reasoning.text", "text": thought}]}
    return {**rest, "content": f"<think>\n{thought}\n</think>\n\n{rest.get('content') or ''}"}


def embedding_body(request: Request, texts: list[str]) -> dict[str, Any]:
    """Build an embedding request; its `type`, from the request, is "db" for documents or "query".

    Raises:
        CannotExpress: if the type is neither.
    """
    purpose = request.body.get("type") or request.body.get("input_type") or "db"
    kinds = {"db": "db", "document": "db", "query": "query"}
    kind = kinds.get(purpose) if isinstance(purpose, str) else None
    if kind is None:
        raise CannotExpress('type must be "db" or "query".', param="type")
    return {"model": request.model, "texts": texts, "type": kind}


DEFAULT_VOICE = "male-qn-qingse"
PCM_RATE = 24000  # Hz; OpenAI's clients expect it
FORMATS = ("mp3", "flac", "wav", "pcm")


def speech_body(request: Request) -> dict[str, Any]:
    """Build a speech request.

    Raises:
        CannotExpress: if the provider does not support the format, the voice or instructions.
    """
    body, audio_format = request.body, format_of(request)
    if audio_format not in FORMATS:
        raise CannotExpress(
            f"This provider generates {', '.join(FORMATS)}, not {audio_format}.",
            param="response_format",
        )
    if body.get("instructions"):
        raise CannotExpress(
            "This provider does not accept instructions for its voice.", param="instructions"
        )
    voice = body.get("voice") or DEFAULT_VOICE
    if not isinstance(voice, str):
        raise CannotExpress("voice must be the id of one of the provider's voices.", param="voice")
    speed = {"speed": body["speed"]} if body.get("speed") is not None else {}
    rate = {"sample_rate": PCM_RATE, "channel": 1} if audio_format == "pcm" else {}
    return {
        "model": request.model,
        "text": body.get("input"),
        "stream": False,
        "voice_setting": {"voice_id": voice, **speed},
        "audio_setting": {"format": audio_format, **rate},
    }


# Answers

LONGEST_WORD = 8
_REASONING = frozenset({"reasoning_content", "reasoning_details"})
_SHOWN = ("id", "object", "created", "model", "choices", "usage")


def stream_of_chat(model: str) -> Decoder:
    """Return the decoder of an open body."""
    return StreamDecoder(errors, TidyStream(), tidies_shape=True, tidy_whole=tidy, model=model)


class StreamDecoder(ThinkTagDecoder):
    """Decode chunks; those of the answer's text differ in nothing else."""

    __slots__ = ()

    def _only_text(self, chunk: dict[str, Any]) -> str:
        # What TidyStream makes of reasoning depends on the reasoning before.
        text = super()._only_text(chunk)
        return text if chunk["choices"][0]["delta"].get("content") == text else ""


def tidy(body: dict[str, Any]) -> bool:
    """Repair a whole answer: the reasoning in one place, OpenAI's names of finish reasons."""
    for choice in choices_of(body):
        message = choice.get("message")
        if isinstance(message, dict):
            thought = _thought_in(message)
            if thought:
                message["reasoning_content"] = thought
        _name_finish(choice, body)
    return tidy_thinking(body) or True


def _thought_in(part: dict[str, Any]) -> str:
    """Take the reasoning out of a message or delta: from its field, a list of details, or
    both.
    """
    thought, details = part.pop("reasoning_content", None), part.pop("reasoning_details", None)
    if isinstance(thought, str) and thought:
        return thought
    texts = (
        [detail.get("text") for detail in details if isinstance(detail, dict)]
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
    """Repair the chunks of one stream with one choice."""

    def __init__(self) -> None:
        self._thought = ""
        self._is_cumulative: bool | None = None  # of the reasoning; None while unknown
        self._has_answered = False
        self._ended = False

    def __call__(self, chunk: dict[str, Any]) -> bool:
        """Repair a chunk; return whether that changed it.

        Raises:
            ProviderError: if the chunk reports an error.
        """
        choices = choices_of(chunk)
        if _base_code(chunk) and not (
            choices and self._has_answered and _base_code(chunk) == "1027"
        ):
            raise error_in_stream(errors, orjson.dumps(chunk))
        changed = False
        for choice in choices:
            changed = self._repair(choice, chunk) or changed
        if (
            choices
            and self._ended
            and not any(choice["delta"] or choice.get("finish_reason") for choice in choices)
        ):
            chunk["choices"] = []
            for name in chunk.keys() - set(_SHOWN):
                del chunk[name]
            return True
        return changed

    def _repair(self, choice: dict[str, Any], chunk: dict[str, Any]) -> bool:
        before = choice.get("delta"), choice.get("finish_reason")
        changed = not isinstance(before[0], dict) or not _REASONING.isdisjoint(before[0])
        if "delta" not in choice:
            # The older service repeats the whole answer at the end of its stream.
            choice["delta"] = (
                _delta_of(choice.pop("message", None)) if not self._has_answered else {}
            )
            chunk["object"] = "chat.completion.chunk"
        delta = choice["delta"] = choice["delta"] if isinstance(choice["delta"], dict) else {}
        thought = self._new_part(_thought_in(delta))
        if thought:
            delta["reasoning_content"] = thought
        self._has_answered = self._has_answered or bool(
            thought or delta.get("content") or delta.get("tool_calls")
        )
        _name_finish(choice, chunk)
        if self._ended and not delta:
            choice["finish_reason"] = None
        self._ended = self._ended or bool(choice.get("finish_reason"))
        return changed or choice.get("finish_reason") != before[1]

    def _new_part(self, thought: str) -> str:
        """Return the new part of the reasoning, which some versions repeat whole in each
        chunk.
        """
        before = self._thought
        if self._is_cumulative is None and before and thought:
            # The same text again means cumulative, unless it is a short word said twice.
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
    """Decode the audio, which is sent as hexadecimal digits.

    Raises:
        ProviderError: if there is none.
    """
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
# Types of errors in Anthropic's form, which the compatible services use.
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
    """Map errors; a filtered answer that contains its text is not one, but ends with
    content_filter.
    """
    whole = json_or_none(reply.body)
    body = whole if isinstance(whole, dict) else {}
    code, message, kind = _base_code(body), _base_message(body), ""
    if code == "1027" and any(choice.get("message") for choice in choices_of(body)):
        return None
    error = generic_error(whole, reply.status) if not code and not choices_of(body) else None
    if error is not None:
        message, kind = message_of(error), text_of(error, "type")
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
    """Classify by code, type, then status; for "invalid params" only the text says what is
    wrong.
    """
    if code in ("", "2013"):
        if _CONTEXT.search(message):
            return Failure.CONTEXT_LENGTH
        if _MODEL.search(message):
            return Failure.MODEL_NOT_FOUND
    failure = CODES.get(code) or KINDS.get(kind)
    return failure or (failure_of_status(status) if status >= 400 else Failure.ERROR)


def _base_code(body: dict[str, Any]) -> str:
    """Return the error code in `base_resp`, or "" if there is none or it means success."""
    base = body.get("base_resp")
    code = base.get("status_code") if isinstance(base, dict) else None
    return str(code) if code and isinstance(code, int | str) and str(code) != "0" else ""


def _base_message(body: dict[str, Any]) -> str:
    base = body.get("base_resp")
    return text_of(base, "status_msg") if isinstance(base, dict) else ""
