"""Transcription by Replicate's models: inputs of predictions, and transcripts in their outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from providers.declaration.errors import CannotExpress
from providers.declaration.spec import Answer, Operation, Request
from providers.wire.audio.transcriptions import TEXT_TYPES
from providers.wire.preconditions import upload_of
from providers.wire.replicate.predictions import text_of
from providers.wire.replicate.schema import Shape, audio_name


def check_transcription(request: Request) -> None:
    """Refuse response formats that this provider does not support.

    Raises:
        CannotExpress: if the request asks for one, or for a stream, or has no file.
    """
    upload_of(request)
    if request.stream:
        raise CannotExpress("This provider does not stream transcriptions.", param="stream")
    if request.body.get("response_format") not in (None, "json", "text", "verbose_json"):
        raise CannotExpress(
            "At this provider, response_format must be json, text or verbose_json.",
            param="response_format",
        )


def audio_input(request: Request, shape: Shape, url: str) -> dict[str, Any]:
    """Build the `input` of a transcription or translation.

    Args:
        url: address of the recording.

    Raises:
        CannotExpress: if the model cannot serve the request.
    """
    name = audio_name(shape)
    if name is None:
        raise CannotExpress("This model does not accept audio.", param="model")
    inputs: dict[str, Any] = {name: url}
    for option in ("language", "prompt", "temperature"):
        if request.body.get(option) is not None and shape.takes(option):
            inputs[option] = _typed(request.body[option], (shape.inputs or {})[option])
    if request.body.get("prompt") and shape.takes("initial_prompt"):
        inputs["initial_prompt"] = request.body["prompt"]
    if request.operation is Operation.TRANSLATION:
        inputs |= _translation_input(shape)
    return inputs


def _typed(value: Any, schema: Mapping[str, Any]) -> Any:
    """Convert a form's text to a number if the model expects one."""
    return (
        float(value)
        if isinstance(value, str) and schema.get("type") in ("number", "integer")
        else value
    )


def _translation_input(shape: Shape) -> dict[str, Any]:
    if shape.takes("translate"):
        return {"translate": True}
    if shape.takes("task"):
        return {"task": "translate"}
    raise CannotExpress("This model does not translate.", param="model")


def transcript(output: Any, request: Request) -> Answer:
    """Convert an output of any common shape to OpenAI's form.

    Raises:
        ProviderError: if the output contains no text.
    """
    details: dict[str, Any] = output if isinstance(output, dict) else {}
    spoken = (
        next((details[name] for name in ("text", "transcription") if name in details), None)
        if details
        else output
    )
    text = text_of(spoken).strip()
    response_format = request.body.get("response_format")
    if response_format == "text":
        return Answer(None, content=text.encode(), content_type=TEXT_TYPES["text"])
    body: dict[str, Any] = {"text": text}
    if response_format == "verbose_json":
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
