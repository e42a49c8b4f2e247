"""Requests for images in formats other than OpenAI's: sizes, and what they cannot express."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import gcd
from typing import Any, Final

from providers.declaration.errors import CannotExpress
from providers.declaration.spec import Request

# Fields that change the image, so that leaving them out would change the answer. Hints such as user
# and moderation are left out.
_CHANGING: Final = (
    *("quality", "style", "background", "output_format", "output_compression"),
    *("mask", "input_fidelity"),
)
# Fields of OpenAI's form; what remains is the provider's own.
_KNOWN: Final = frozenset(
    (*_CHANGING, "model", "prompt", "n", "size", "images", "response_format", "stream")
) | {"partial_images", "moderation", "user"}


def refuse_unsupported(request: Request, *, most: int, takes: Collection[str] = ()) -> None:
    """Refuse what a format cannot express.

    Args:
        most: images in one answer.
        takes: fields besides prompt, n, size and response_format that it has.

    Raises:
        CannotExpress: names the field.
    """
    body = request.body
    if request.stream:
        raise CannotExpress(
            "This provider does not stream images. Leave out stream.", param="stream"
        )
    if count_of(body) > most:
        images = "one image" if most == 1 else f"at most {most} images"
        raise CannotExpress(f"This provider returns {images} per call.", param="n")
    for name in _CHANGING:
        if name not in takes and body.get(name) not in (None, "auto"):
            raise CannotExpress(f"This provider does not support {name} for images.", param=name)


def count_of(body: Mapping[str, Any]) -> int:
    """Return how many images are wanted."""
    count = body.get("n")
    return count if type(count) is int else 1


def size_of(body: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return the wanted width and height; None if the model is to choose.

    Raises:
        CannotExpress: if the size is not in pixels.
    """
    size = body.get("size")
    if size in (None, "auto"):
        return None
    width, _cross, height = str(size).partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise CannotExpress("size must be width x height, such as 1024x1024.", param="size")
    return int(width), int(height)


def ratio_of(size: tuple[int, int]) -> str:
    """Return the proportion of a size, such as 16:9."""
    divisor = gcd(*size)
    return f"{size[0] // divisor}:{size[1] // divisor}"


def others_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that OpenAI's form does not have."""
    return {name: value for name, value in body.items() if name not in _KNOWN}
