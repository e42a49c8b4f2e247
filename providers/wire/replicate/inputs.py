"""What one of Replicate's models takes and gives, read from its schema, and our requests put into
those words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from providers.declaration.errors import CannotExpress, Failure, ProviderError
from providers.declaration.spec import Answer, ModelType, Operation, Reply, Request
from providers.failures.reasons import Reason
from providers.wire.audio.transcriptions import TEXT_TYPES
from providers.wire.http import json_or_none
from providers.wire.neutral import upload_of
from providers.wire.openai.embeddings import batches
from providers.wire.replicate.predictions import text_of

HASH = re.compile(r"[0-9a-f]{64}")

# Names of inputs for one thing, the usual first: models are free in naming them.
PROMPT = ("prompt", "text", "message")
SYSTEM = ("system_prompt", "system_instruction")
LIMIT = ("max_tokens", "max_new_tokens", "max_completion_tokens", "max_output_tokens", "max_length")
STOP = ("stop_sequences", "stop")
IMAGES = ("image_input", "images", "image")
TEXTS = ("texts", "text_batch", "inputs")
TEXT = ("text", "input", "prompt")
AUDIO = ("audio", "audio_file", "file")
SAMPLING = ("temperature", "top_p", "top_k", "seed")
MESSAGES_OWNERS = frozenset(
    {"openai", "anthropic"}
)  # whose official models take a conversation as it is


@dataclass(frozen=True, slots=True)
class Shape:
    """version: what a prediction must name, "" for an official model. inputs: by name, None where
    nothing is known. output: its schema.
    """

    version: str = ""
    inputs: Mapping[str, Mapping[str, Any]] | None = None
    required: Sequence[str] = ()
    output: Mapping[str, Any] = field(default_factory=dict)

    def first(self, names: Sequence[str]) -> str | None:
        """The model's word for a thing: of these names the first it knows; where nothing is known,
        the usual one.
        """
        if self.inputs is None:
            return names[0]
        return next((name for name in names if name in self.inputs), None)

    def takes(self, name: str) -> bool:
        return self.inputs is not None and name in self.inputs

    def is_list(self, name: str) -> bool:
        return (self.inputs or {}).get(name, {}).get("type") == "array"


# The schema


def shape_text(reply: Reply, version: str) -> str:
    """What is kept of a model's (or a version's) description: a Shape as JSON. version: the one
    that was asked for, "" for the latest.
    """
    body = json_or_none(reply.body) if reply.status < 300 else None
    body = body if isinstance(body, dict) else {}
    described = body if version else body.get("latest_version")
    described = described if isinstance(described, dict) else {}
    identity = described.get("id")
    if (
        not version
        and body.get("is_official") is not True
        and isinstance(identity, str)
        and HASH.fullmatch(identity)
    ):
        version = identity
    return orjson.dumps({"version": version, **_schema(described.get("openapi_schema"))}).decode()


def shape_from(text: str) -> Shape:
    return Shape(**orjson.loads(text))


def _schema(openapi: Any) -> dict[str, Any]:
    components = openapi.get("components") if isinstance(openapi, dict) else None
    schemas = components.get("schemas") if isinstance(components, dict) else None
    if not isinstance(schemas, dict):
        return {}
    inputs = schemas.get("Input")
    properties = inputs.get("properties") if isinstance(inputs, dict) else None
    if not isinstance(inputs, dict) or not isinstance(properties, dict):
        return {}
    required = inputs.get("required")
    output = schemas.get("Output")
    return {
        "inputs": {name: _property(one) for name, one in properties.items()},
        "required": [name for name in required if isinstance(name, str)]
        if isinstance(required, list)
        else [],
        "output": _property(output)
        | ({"title": output["title"]} if isinstance(output, dict) and "title" in output else {}),
    }


def _property(schema: Any) -> dict[str, Any]:
    """Type, format and least value of one property, also where they stand in a list of
    alternatives.
    """
    if not isinstance(schema, dict):
        return {}
    for name in ("anyOf", "allOf", "oneOf"):
        for one in schema.get(name) or ():
            if (
                "type" not in schema
                and isinstance(one, dict)
                and one.get("type") not in (None, "null")
            ):
                return _property(one)
    kept = {name: schema[name] for name in ("type", "format", "minimum") if name in schema}
    return kept | ({"items": _property(schema["items"])} if "items" in schema else {})


def check_fits(shape: Shape, kind: ModelType) -> None:
    """Raises ProviderError where the schema says that the model is of another type; a schema that
    says nothing passes.
    """
    if shape.inputs is None:
        return
    fits = {
        ModelType.REASONING: shape.first((*PROMPT, "messages")) is not None
        and _may_be(shape.output, "string"),
        ModelType.EMBEDDING: shape.first((*TEXTS, *TEXT)) is not None
        and not _is_file(shape.output),
        ModelType.SPEECH_TO_TEXT: audio_name(shape) is not None and not _is_file(shape.output),
    }
    if not fits.get(kind, True):
        raise ProviderError(Failure.MODEL_NOT_FOUND, Reason("other_type", type=kind.value))


def _is_file(output: Mapping[str, Any]) -> bool:
    return output.get("format") == "uri" or (output.get("items") or {}).get("format") == "uri"


def _may_be(output: Mapping[str, Any], kind: str) -> bool:
    """Whether an output may be a text or a list of texts, and no file."""
    inner = output.get("items") or output
    return not _is_file(output) and inner.get("type", kind) == kind


# Chat


def refuse(body: Mapping[str, Any]) -> None:
    """Raises CannotExpress for what no model here can be asked for."""
    for name in ("tools", "functions"):
        if body.get(name):
            raise CannotExpress("Models at this provider call no tools.", param=name)
    wanted = body.get("response_format")
    if isinstance(wanted, dict) and wanted.get("type") not in (None, "text"):
        raise CannotExpress(
            "Models at this provider cannot be held to JSON: leave response_format out.",
            param="response_format",
        )
    if body.get("n") not in (None, 1):
        raise CannotExpress("This provider gives one answer: n must be 1.", param="n")
    if body.get("logprobs"):
        raise CannotExpress("This provider gives no logprobs.", param="logprobs")


def chat_input(request: Request, shape: Shape) -> dict[str, Any]:
    """The `input` of a prediction. Raises CannotExpress."""
    body = request.body
    turns, images = conversation(body.get("messages"))
    inputs = dict(_named(body, shape))
    if shape.takes("messages") and request.model.partition("/")[0] in MESSAGES_OWNERS:
        said = [{"role": role, "content": text} for role, text in turns]
        inputs["messages"] = said if shape.is_list("messages") else orjson.dumps(said).decode()
        if "prompt" in shape.required:
            inputs["prompt"] = turns[-1][1]
    else:
        inputs |= _prompted(turns, shape)
    if images:
        inputs |= _pictured(images, shape)
    _limit(inputs, body, shape)
    _stop(inputs, body, shape)
    return inputs


def conversation(messages: Any) -> tuple[list[tuple[str, str]], list[str]]:
    """(role, text) of each message, and the addresses of all images. Raises CannotExpress for
    anything else.
    """
    turns: list[tuple[str, str]] = []
    images: list[str] = []
    for message in messages if isinstance(messages, list) else ():
        role = {"developer": "system"}.get(message.get("role"), message.get("role"))
        if role not in ("system", "user", "assistant") or message.get("tool_calls"):
            raise CannotExpress("Models at this provider call no tools.", param="messages")
        texts: list[str] = []
        for part in _parts(message.get("content")):
            if part.get("type") == "text":
                texts.append(str(part.get("text") or ""))
            elif part.get("type") == "image_url":
                images.append(_image(part))
            else:
                raise CannotExpress(
                    "Models at this provider take text and images only.", param="messages"
                )
        turns.append((role, "\n".join(texts)))
    if not turns:
        raise CannotExpress("messages must be a list of at least one message.", param="messages")
    return turns, images


def _parts(content: Any) -> list[dict[str, Any]]:
    if content is None or isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [part if isinstance(part, dict) else {} for part in content]


def _image(part: Mapping[str, Any]) -> str:
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, dict) else image
    if not isinstance(url, str) or not url.startswith(("https://", "http://", "data:")):
        raise CannotExpress("An image must be an https address or a data URI.", param="messages")
    return url


def _named(body: Mapping[str, Any], shape: Shape) -> Iterator[tuple[str, Any]]:
    """The parameters that the model takes by the name they have in the request; no other one is
    sent.
    """
    ours = {"messages", "model", "stream", *PROMPT, *SYSTEM, *LIMIT, *STOP, *IMAGES}
    for name, value in body.items():
        if (
            value is not None
            and name not in ours
            and (shape.takes(name) or (shape.inputs is None and name in SAMPLING))
        ):
            least = (shape.inputs or {}).get(name, {}).get("minimum")
            # Some models take no temperature of 0 but 0.01, which means the same.
            yield (
                name,
                least
                if name == "temperature"
                and value == 0
                and isinstance(least, int | float)
                and least > 0
                else value,
            )


def _prompted(turns: list[tuple[str, str]], shape: Shape) -> dict[str, Any]:
    """One text for models without a conversation: each turn behind its role, the system text where
    the model has a place for it.
    """
    prompt = shape.first(PROMPT)
    if prompt is None:
        raise CannotExpress("This model takes no prompt: it is no language model.", param="model")
    system = "\n\n".join(text for role, text in turns if role == "system")
    place = shape.first(SYSTEM) if shape.inputs is not None else None
    said = [(role, text) for role, text in turns if role != "system"]
    if len(said) == 1 and said[0][0] == "user":
        text = said[0][1]
    else:
        lines = [f"{'User' if role == 'user' else 'Assistant'}: {text}" for role, text in said]
        text = "\n\n".join([*lines, "Assistant:"] if said and said[-1][0] == "user" else lines)
    if not system:
        return {prompt: text}
    return {place: system, prompt: text} if place else {prompt: f"{system}\n\n{text}"}


def _pictured(images: list[str], shape: Shape) -> dict[str, Any]:
    name = shape.first(IMAGES)
    if name is None:
        raise CannotExpress("This model takes no images.", param="messages")
    if shape.is_list(name) or shape.inputs is None:
        return {name: images}
    if len(images) > 1:
        raise CannotExpress("This model takes one image only.", param="messages")
    return {name: images[0]}


def _limit(inputs: dict[str, Any], body: Mapping[str, Any], shape: Shape) -> None:
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    name = shape.first(LIMIT)
    if limit is not None and name is not None:
        inputs[name] = limit


def _stop(inputs: dict[str, Any], body: Mapping[str, Any], shape: Shape) -> None:
    stop = body.get("stop")
    if not stop:
        return
    stops = [stop] if isinstance(stop, str) else stop
    name = shape.first(STOP)
    if name is None:
        raise CannotExpress("This model takes no stop sequences.", param="stop")
    if shape.is_list(name):
        inputs[name] = stops
    elif any("," in text for text in stops):
        raise CannotExpress("This provider takes stop sequences without commas only.", param="stop")
    else:
        inputs[name] = ",".join(stops)


# Embeddings


def embedding_inputs(
    texts: list[str], shape: Shape, size: int | None
) -> Iterator[tuple[list[str], dict[str, Any]]]:
    """(texts, `input`) of each prediction: as many texts at once as the model takes. Raises
    CannotExpress.
    """
    several, one = shape.first(TEXTS), shape.first(TEXT)
    if several is None and one is None:
        raise CannotExpress("This model takes no texts: it is no embedding model.", param="model")
    for batch in batches(texts, size if several else 1):
        if several is None:
            yield batch, {str(one): batch[0]}
        else:
            yield (
                batch,
                {several: batch if shape.is_list(several) else orjson.dumps(batch).decode()},
            )


def vectors_of(output: Any) -> list[list[float]]:
    """The vectors of an output: lists of numbers, rows with an `embedding`, or one of both below a
    name. Raises ProviderError.
    """
    if isinstance(output, dict):
        output = next(
            (output[name] for name in ("embeddings", "embedding", "vectors") if name in output),
            None,
        )
    rows = output if isinstance(output, list) and output else [None]
    if isinstance(rows[0], int | float):
        rows = [rows]
    vectors: list[Any] = [row.get("embedding") if isinstance(row, dict) else row for row in rows]
    if all(
        isinstance(vector, list)
        and vector
        and all(isinstance(number, int | float) for number in vector)
        for vector in vectors
    ):
        return vectors
    raise ProviderError(Failure.ERROR, Reason("output_no_embeddings"), status=200)


# Speech to text


def audio_name(shape: Shape) -> str | None:
    """The input for the recording."""
    known = shape.first(AUDIO)
    if known is not None:
        return known
    names = [
        name
        for name, one in (shape.inputs or {}).items()
        if one.get("format") == "uri" and "audio" in name
    ]
    return names[0] if names else None


def check_transcription(request: Request) -> None:
    """Raises CannotExpress for forms of the answer that are not to be had."""
    upload_of(request)
    if request.stream:
        raise CannotExpress("This provider does not stream transcriptions.", param="stream")
    if request.body.get("response_format") not in (None, "json", "text", "verbose_json"):
        raise CannotExpress(
            "Here response_format can be json, text or verbose_json.", param="response_format"
        )


def audio_input(request: Request, shape: Shape, address: str) -> dict[str, Any]:
    """The `input` of a transcription or translation. address: of the recording. Raises
    CannotExpress.
    """
    name = audio_name(shape)
    if name is None:
        raise CannotExpress("This model takes no audio.", param="model")
    inputs: dict[str, Any] = {name: address}
    for given in ("language", "prompt", "temperature"):
        if request.body.get(given) is not None and shape.takes(given):
            inputs[given] = _typed(request.body[given], (shape.inputs or {})[given])
    if request.body.get("prompt") and shape.takes("initial_prompt"):
        inputs["initial_prompt"] = request.body["prompt"]
    if request.operation is Operation.TRANSLATION:
        inputs |= _translated(shape)
    return inputs


def _typed(value: Any, schema: Mapping[str, Any]) -> Any:
    """A form's text as the number the model wants."""
    return (
        float(value)
        if isinstance(value, str) and schema.get("type") in ("number", "integer")
        else value
    )


def _translated(shape: Shape) -> dict[str, Any]:
    if shape.takes("translate"):
        return {"translate": True}
    if shape.takes("task"):
        return {"task": "translate"}
    raise CannotExpress("This model does not translate.", param="model")


def transcript(output: Any, request: Request) -> Answer:
    """An output of any of the usual shapes as OpenAI's clients know it. Raises ProviderError."""
    details: dict[str, Any] = output if isinstance(output, dict) else {}
    said = (
        next((details[name] for name in ("text", "transcription") if name in details), None)
        if details
        else output
    )
    text = text_of(said).strip()
    wanted = request.body.get("response_format")
    if wanted == "text":
        return Answer(None, content=text.encode(), content_type=TEXT_TYPES["text"])
    body: dict[str, Any] = {"text": text}
    if wanted == "verbose_json":
        task = "translate" if request.operation is Operation.TRANSLATION else "transcribe"
        language = (
            details.get("detected_language")
            or details.get("language")
            or request.body.get("language")
        )
        body |= {"task": task, "language": language, "segments": list(_segments(details))}
    return Answer(body)


def _segments(details: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    rows = details.get("segments") or details.get("chunks")
    for number, row in enumerate(rows if isinstance(rows, list) else ()):
        if isinstance(row, dict):
            start, end = (
                row["timestamp"][:2]
                if isinstance(row.get("timestamp"), list)
                else (row.get("start"), row.get("end"))
            )
            yield {"id": number, "start": start, "end": end, "text": str(row.get("text") or "")}
