"""Chat requests as the `input` of a Replicate prediction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from providers.declaration.errors import CannotExpress
from providers.declaration.spec import Request
from providers.wire.replicate.schema import PROMPT, Shape

# Models name their inputs freely: the names in use for each purpose, the most common first.
SYSTEM = ("system_prompt", "system_instruction")
LIMIT = ("max_tokens", "max_new_tokens", "max_completion_tokens", "max_output_tokens", "max_length")
STOP = ("stop_sequences", "stop")
IMAGES = ("image_input", "images", "image")
SAMPLING = ("temperature", "top_p", "top_k", "seed")
# Owners whose official models take a list of messages.
MESSAGES_OWNERS = frozenset({"openai", "anthropic"})


def refuse_unsupported(body: Mapping[str, Any]) -> None:
    """Refuse parameters that no model at this provider supports.

    Raises:
        CannotExpress: if the request contains one.
    """
    for name in ("tools", "functions"):
        if body.get(name):
            raise CannotExpress("Models at this provider cannot call tools.", param=name)
    answer_format = body.get("response_format")
    if isinstance(answer_format, dict) and answer_format.get("type") not in (None, "text"):
        raise CannotExpress(
            "Models at this provider cannot guarantee JSON. Leave out response_format.",
            param="response_format",
        )
    if body.get("n") not in (None, 1):
        raise CannotExpress("This provider returns one answer per call: n must be 1.", param="n")
    if body.get("logprobs"):
        raise CannotExpress("This provider does not return logprobs.", param="logprobs")


def chat_input(request: Request, shape: Shape) -> dict[str, Any]:
    """Build the `input` of a prediction.

    Raises:
        CannotExpress: if the model cannot serve the request.
    """
    body = request.body
    turns, images = conversation(body.get("messages"))
    inputs = dict(_same_named(body, shape))
    if shape.takes("messages") and request.model.partition("/")[0] in MESSAGES_OWNERS:
        sent = [{"role": role, "content": text} for role, text in turns]
        inputs["messages"] = sent if shape.is_list("messages") else orjson.dumps(sent).decode()
        if "prompt" in shape.required:
            inputs["prompt"] = turns[-1][1]
    else:
        inputs |= _prompt(turns, shape)
    if images:
        inputs |= _images(images, shape)
    _set_limit(inputs, body, shape)
    _set_stop(inputs, body, shape)
    return inputs


def conversation(messages: Any) -> tuple[list[tuple[str, str]], list[str]]:
    """Split messages into (role, text) turns and the URLs of all images.

    Raises:
        CannotExpress: if a message contains anything else.
    """
    turns: list[tuple[str, str]] = []
    images: list[str] = []
    for message in messages if isinstance(messages, list) else ():
        role = {"developer": "system"}.get(message.get("role"), message.get("role"))
        if role not in ("system", "user", "assistant") or message.get("tool_calls"):
            raise CannotExpress("Models at this provider cannot call tools.", param="messages")
        texts: list[str] = []
        for part in _parts(message.get("content")):
            if part.get("type") == "text":
                texts.append(str(part.get("text") or ""))
            elif part.get("type") == "image_url":
                images.append(_image(part))
            else:
                raise CannotExpress(
                    "Models at this provider accept only text and images.", param="messages"
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
        raise CannotExpress("An image must be an https URL or a data URI.", param="messages")
    return url


def _same_named(body: Mapping[str, Any], shape: Shape) -> Iterator[tuple[str, Any]]:
    """Yield the parameters whose name is the same in the request and at the model; no others are
    sent.
    """
    handled = {"messages", "model", "stream", *PROMPT, *SYSTEM, *LIMIT, *STOP, *IMAGES}
    for name, value in body.items():
        if (
            value is not None
            and name not in handled
            and (shape.takes(name) or (shape.inputs is None and name in SAMPLING))
        ):
            is_zero_temperature = name == "temperature" and value == 0
            yield name, (_lowest_temperature(shape) if is_zero_temperature else value)


def _lowest_temperature(shape: Shape) -> float:
    """Return 0, or the model's minimum: some models refuse 0 and accept 0.01, which means the
    same.
    """
    minimum = (shape.inputs or {}).get("temperature", {}).get("minimum")
    return minimum if isinstance(minimum, int | float) and minimum > 0 else 0


def _prompt(turns: list[tuple[str, str]], shape: Shape) -> dict[str, Any]:
    """Write the turns as one text, each after its role, with the system text in its own input if
    the model has one.
    """
    prompt = shape.first(PROMPT)
    if prompt is None:
        raise CannotExpress(
            "This model does not accept a prompt: it is not a language model.", param="model"
        )
    system = "\n\n".join(text for role, text in turns if role == "system")
    system_input = shape.first(SYSTEM) if shape.inputs is not None else None
    text = _dialogue([(role, text) for role, text in turns if role != "system"])
    if not system:
        return {prompt: text}
    if system_input:
        return {system_input: system, prompt: text}
    return {prompt: f"{system}\n\n{text}"}


def _dialogue(turns: list[tuple[str, str]]) -> str:
    if len(turns) == 1 and turns[0][0] == "user":
        return turns[0][1]
    lines = [f"{'User' if role == 'user' else 'Assistant'}: {text}" for role, text in turns]
    return "\n\n".join([*lines, "Assistant:"] if turns and turns[-1][0] == "user" else lines)


def _images(images: list[str], shape: Shape) -> dict[str, Any]:
    name = shape.first(IMAGES)
    if name is None:
        raise CannotExpress("This model does not accept images.", param="messages")
    if shape.is_list(name) or shape.inputs is None:
        return {name: images}
    if len(images) > 1:
        raise CannotExpress("This model accepts only one image.", param="messages")
    return {name: images[0]}


def _set_limit(inputs: dict[str, Any], body: Mapping[str, Any], shape: Shape) -> None:
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    name = shape.first(LIMIT)
    if limit is not None and name is not None:
        inputs[name] = limit


def _set_stop(inputs: dict[str, Any], body: Mapping[str, Any], shape: Shape) -> None:
    stop = body.get("stop")
    if not stop:
        return
    stops = [stop] if isinstance(stop, str) else stop
    name = shape.first(STOP)
    if name is None:
        raise CannotExpress("This model does not accept stop sequences.", param="stop")
    if shape.is_list(name):
        inputs[name] = stops
    elif any("," in text for text in stops):
        raise CannotExpress(
            "At this provider, stop sequences must not contain commas.", param="stop"
        )
    else:
        inputs[name] = ",".join(stops)
