"""The demo's images: a symmetric pattern that depends on the prompt; nothing is painted."""

from __future__ import annotations

import base64
import colorsys
import hashlib
from collections.abc import Sequence
from typing import Final

from providers.declaration.errors import CannotExpress
from providers.declaration.spec import Answer, Operation, Request
from providers.operations.images import png
from providers.wire.demo.texts import tokens_in
from providers.wire.images.answers import images_answer
from providers.wire.images.openai import image_urls

IMAGE_NOTE: Final = "Modelkeep demonstration: a pattern, no model was called."
CELLS: Final = 8  # in each direction
LONGEST_SIDE: Final = 256  # pixels; larger images are made smaller, in proportion
TOKENS: Final = CELLS * CELLS  # of one image

Pixel = bytes  # red, green, blue


def drawing(request: Request) -> Answer:
    """Return the images of a request.

    Raises:
        CannotExpress: if they were not to be PNG.
    """
    if request.body.get("output_format") not in (None, "png"):
        raise CannotExpress("The demo draws only PNG files.", param="output_format")
    width, height = _size(request)
    images = [{"b64_json": _drawn(request, number)} for number in range(_count(request))]
    asked, edited = tokens_in(str(request.body.get("prompt"))), len(_edited(request)) * TOKENS
    drawn = len(images) * TOKENS
    usage = {
        "input_tokens": asked + edited,
        "input_tokens_details": {"text_tokens": asked, "image_tokens": edited},
        "output_tokens": drawn,
        "total_tokens": asked + edited + drawn,
    }
    head = {"background": "opaque", "output_format": "png", "size": f"{width}x{height}"}
    body = {**head, "quality": "low", "usage": usage, "note": IMAGE_NOTE}
    answer = images_answer(images, request, body)
    answer.finish_reason = "stop"
    return answer


def sketches(request: Request) -> Sequence[str]:
    """Return the partial images of the first image: more and more of its rows."""
    count = request.body.get("partial_images") or 0
    return [_drawn(request, 0, rows=CELLS * (number + 1) // (count + 1)) for number in range(count)]


def _count(request: Request) -> int:
    count = request.body.get("n")
    return count if type(count) is int else 1


def _size(request: Request) -> tuple[int, int]:
    """Return width and height, in the proportion of the requested size."""
    width, cross, height = str(request.body.get("size") or "").partition("x")
    if not cross:
        return LONGEST_SIDE, LONGEST_SIDE
    sides = int(width), int(height)
    longest = max(*sides, LONGEST_SIDE)
    across, down = (max(CELLS, side * LONGEST_SIDE // longest) for side in sides)
    return across, down


def _edited(request: Request) -> Sequence[str]:
    return image_urls(request) if request.operation is Operation.IMAGE_EDITS else ()


def _drawn(request: Request, number: int, *, rows: int = CELLS) -> str:
    """Draw an image.

    Args:
        number: Of the image in the answer; each is different.
        rows: How many rows of cells have their pattern; the others are blank.

    Returns:
        The base64 of a PNG file.
    """
    seed = hashlib.shake_256(str(request.body.get("prompt")).encode(errors="replace"))
    for part in (*_edited(request), str(number)):
        seed.update(part.encode())
    hue, *cells = seed.digest(1 + TOKENS // 2)
    colors = _palette(hue / 256)
    width, height = _size(request)
    half = CELLS // 2
    lines = [
        _line(cells[row * half : (row + 1) * half], colors, width)
        if row < rows
        else colors[0] * width
        for row in range(CELLS)
    ]
    picture = [lines[y * CELLS // height] for y in range(height)]
    return base64.b64encode(png(picture, IMAGE_NOTE)).decode()


def _palette(hue: float) -> Sequence[Pixel]:
    """Return a pale background and three colors that go with it."""
    tones = ((0.0, 0.95, 0.25), (0.0, 0.55, 0.7), (0.12, 0.7, 0.75), (0.5, 0.4, 0.6))
    return [
        bytes(
            round(255 * part)
            for part in colorsys.hls_to_rgb((hue + turn) % 1, lightness, saturation)
        )
        for turn, lightness, saturation in tones
    ]


def _line(half: Sequence[int], colors: Sequence[Pixel], width: int) -> bytes:
    """Return one line of pixels, its right half mirroring the left."""
    cells = [colors[value % len(colors)] for value in (*half, *reversed(half))]
    return b"".join(cells[x * CELLS // width] for x in range(width))
