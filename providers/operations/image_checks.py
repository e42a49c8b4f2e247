"""Checks of requests for images. They refuse only what no provider could understand."""

from __future__ import annotations

import re
from typing import Any, Final

from core.api.json_schema import INTEGER, TEXT, list_of, object_of, one_of
from providers.operations.fields import InvalidBody, Required, Values, only_if, problem_of
from providers.operations.images import MOST_IMAGES
from providers.operations.request_checks import FLAG, BodyCheck

LONGEST_PROMPT: Final = 32_000  # characters, as OpenAI has it
MOST_ANSWERS: Final = 10
SHORTEST_SIDE: Final = 16  # pixels
LONGEST_SIDE: Final = 4096
_SIZE: Final = re.compile(r"auto|[1-4][kK]|(\d{1,5})x(\d{1,5})")
_TEXTS: Final = ("quality", "output_format", "background", "moderation", "style", "user")
_PICTURES: Final = f"a list of 1 to {MOST_IMAGES} images"
_URL: Final = "an https: or a data: URL"
_PICTURE: Final = re.compile(r"https?://\S|data:image/[\w.+-]+;base64,\S")


def _check_prompt(prompt: Any, name: str) -> None:
    if len(prompt) > LONGEST_PROMPT:
        raise InvalidBody(f"prompt must have at most {LONGEST_PROMPT} characters.", name)


def _check_size(size: Any, name: str) -> None:
    match = _SIZE.fullmatch(size) if isinstance(size, str) else None
    sides = [int(side) for side in match.groups() if side] if match else [0]
    if not all(SHORTEST_SIDE <= side <= LONGEST_SIDE for side in sides):
        raise InvalidBody(
            f'size must be "auto" or width x height, such as 1024x1024, with {SHORTEST_SIDE} to '
            f"{LONGEST_SIDE} pixels each.",
            name,
        )


def _check_pictures(images: Any, name: str) -> None:
    if len(images) > MOST_IMAGES:
        raise InvalidBody(f"images must be {_PICTURES}.", name)
    for number, image in enumerate(images):
        _check_picture(image, f"{name}[{number}]")


def _check_picture(image: Any, name: str) -> None:
    if isinstance(image, dict) and image.get("file_id"):
        message = "Send the image as image_url: files stored at the provider cannot be named here."
        raise InvalidBody(message, name)
    if not isinstance(image, dict):
        raise InvalidBody(f"{name} must be an object with an image_url.", name)
    url = image.get("image_url")
    if not isinstance(url, str) or not url:
        problem = problem_of(image, "image_url", str, _URL)
        raise InvalidBody(f"{name}.image_url {problem}", name)
    if not _PICTURE.match(url):
        raise InvalidBody(f"{name}.image_url must be {_URL}.", name)


def _whole(least: int, most: int) -> Values:
    """Return the whole numbers in a range."""

    def accepts(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most

    problem = f"must be a whole number from {least} to {most}."
    return Values({**INTEGER, "minimum": least, "maximum": most}, only_if(accepts, problem))


_TEXT: Final = Values(TEXT, only_if(lambda value: isinstance(value, str), "must be a string."))
_PROMPT: Final = Required(
    schema={**TEXT, "minLength": 1, "maxLength": LONGEST_PROMPT},
    kinds=str,
    expected="the description of the image",
    is_filled=str.strip,
    check=_check_prompt,
)
_OPTIONS: Final = {
    "n": _whole(1, MOST_ANSWERS),
    "size": Values({**TEXT, "pattern": f"^({_SIZE.pattern})$"}, _check_size),
    **dict.fromkeys(_TEXTS, _TEXT),
    "response_format": Values(
        one_of("url", "b64_json"),
        only_if(lambda value: value in ("url", "b64_json"), "must be url or b64_json."),
    ),
    "output_compression": _whole(0, 100),
    "partial_images": _whole(0, 3),
    "stream": FLAG,
}
_PICTURE_SCHEMA: Final = object_of({"image_url": {**TEXT, "pattern": f"^({_PICTURE.pattern})"}})

check_images: Final = BodyCheck({"prompt": _PROMPT}, _OPTIONS)
check_image_edits: Final = BodyCheck(
    {
        "prompt": _PROMPT,
        "images": Required(
            schema=list_of(_PICTURE_SCHEMA, minItems=1, maxItems=MOST_IMAGES),
            kinds=list,
            expected=_PICTURES,
            check=_check_pictures,
        ),
    },
    {**_OPTIONS, "mask": Values(_PICTURE_SCHEMA, _check_picture)},
    misnamed={"image": "In JSON, send images: a list of objects with an image_url."},
)
