"""Checks of requests for images. They refuse only what no provider could understand."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from providers.operations.images import MOST_IMAGES
from providers.operations.request_checks import InvalidBody, flag

Body = Mapping[str, Any]

LONGEST_PROMPT: Final = 32_000  # characters, as OpenAI has it
MOST_ANSWERS: Final = 10
SHORTEST_SIDE: Final = 16  # pixels
LONGEST_SIDE: Final = 4096
_SIZE: Final = re.compile(r"auto|[1-4][kK]|(\d{1,5})x(\d{1,5})")
_TEXTS: Final = ("quality", "output_format", "background", "moderation", "style", "user")
_PICTURE: Final = re.compile(r"https?://\S|data:image/[\w.+-]+;base64,\S")


def check_images(body: Body) -> None:
    prompt = body.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise InvalidBody("prompt must be the description of the image.", "prompt")
    if len(prompt) > LONGEST_PROMPT:
        raise InvalidBody(f"prompt must have at most {LONGEST_PROMPT} characters.", "prompt")
    _check_whole_number(body, "n", 1, MOST_ANSWERS)
    _check_size(body.get("size"))
    for name in _TEXTS:
        if body.get(name) is not None and not isinstance(body[name], str):
            raise InvalidBody(f"{name} must be a string.", name)
    if body.get("response_format") not in (None, "url", "b64_json"):
        raise InvalidBody("response_format must be url or b64_json.", "response_format")
    _check_whole_number(body, "output_compression", 0, 100)
    _check_whole_number(body, "partial_images", 0, 3)
    flag(body, "stream")


def check_image_edits(body: Body) -> None:
    check_images(body)
    if "image" in body:
        message = "In JSON, send images: a list of objects with an image_url."
        raise InvalidBody(message, "image")
    images = body.get("images")
    if not isinstance(images, list) or not 1 <= len(images) <= MOST_IMAGES:
        raise InvalidBody(f"images must be a list of 1 to {MOST_IMAGES} images.", "images")
    for number, image in enumerate(images):
        _check_image(image, f"images[{number}]")
    if body.get("mask") is not None:
        _check_image(body["mask"], "mask")


def _check_whole_number(body: Body, name: str, least: int, most: int) -> None:
    value = body.get(name)
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InvalidBody(f"{name} must be a whole number from {least} to {most}.", name)


def _check_size(size: Any) -> None:
    if size is None:
        return
    match = _SIZE.fullmatch(size) if isinstance(size, str) else None
    sides = [int(side) for side in match.groups() if side] if match else [0]
    if not all(SHORTEST_SIDE <= side <= LONGEST_SIDE for side in sides):
        raise InvalidBody(
            f'size must be "auto" or width x height, such as 1024x1024, with {SHORTEST_SIDE} to '
            f"{LONGEST_SIDE} pixels each.",
            "size",
        )


def _check_image(image: Any, name: str) -> None:
    if isinstance(image, dict) and image.get("file_id"):
        message = "Send the image as image_url: files stored at the provider cannot be named here."
        raise InvalidBody(message, name)
    url = image.get("image_url") if isinstance(image, dict) else None
    if not isinstance(url, str) or not _PICTURE.match(url):
        message = "An image must be an object with an image_url: an https: or a data: URL."
        raise InvalidBody(message, name)
