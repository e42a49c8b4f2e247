"""Images of Replicate's models: inputs of predictions, and files in their outputs."""

from __future__ import annotations

from typing import Any, Final

from providers.declaration.errors import CannotExpress
from providers.declaration.spec import Request
from providers.wire.images.answers import Image, images_in
from providers.wire.images.requests import (
    count_of,
    others_of,
    ratio_of,
    refuse_unsupported,
    size_of,
)
from providers.wire.replicate.schema import PROMPT, Shape

MOST: Final = 10
# Models name these inputs freely.
_COUNTS: Final = ("num_outputs", "number_of_images", "num_images", "n")
_IMAGES: Final = ("image_input", "input_images", "images", "input_image", "image")
_OWN: Final = ("quality", "background", "output_format", "output_compression", "style", "mask")


def image_input(request: Request, shape: Shape) -> dict[str, Any]:
    """Build the `input` of a prediction, without images to edit.

    Raises:
        CannotExpress: if the model lacks an input for something.
    """
    body = request.body
    refuse_unsupported(request, most=MOST, takes=[name for name in _OWN if shape.takes(name)])
    prompt = shape.first(PROMPT)
    if prompt is None:
        raise CannotExpress("This model does not accept a prompt.", param="model")
    own = {name: body[name] for name in (*_OWN, *others_of(body)) if shape.takes(name)}
    wanted = {name: value for name, value in own.items() if value is not None}
    return {**wanted, prompt: body.get("prompt"), **_count(request, shape), **_size(request, shape)}


def _count(request: Request, shape: Shape) -> dict[str, Any]:
    count = count_of(request.body)
    name = next((name for name in _COUNTS if shape.takes(name)), None)
    if name is not None:
        return {name: count}
    if count > 1:
        raise CannotExpress("This model makes one image per call. Leave out n.", param="n")
    return {}


def _size(request: Request, shape: Shape) -> dict[str, Any]:
    size = size_of(request.body)
    if size is None:
        return {}
    if shape.takes("width") and shape.takes("height"):
        return {"width": size[0], "height": size[1]}
    if shape.takes("aspect_ratio"):
        return {"aspect_ratio": ratio_of(size)}
    if shape.takes("size"):
        return {"size": request.body["size"]}
    raise CannotExpress("This model chooses the size itself. Leave out size.", param="size")


def edited_input(shape: Shape, urls: list[str]) -> dict[str, Any]:
    """Build the input that takes the images to edit.

    Raises:
        CannotExpress: if the model takes none, or fewer.
    """
    name = next((name for name in _IMAGES if shape.takes(name)), None)
    if name is None:
        raise CannotExpress("This model makes images and does not change any.", param="model")
    if shape.is_list(name):
        return {name: urls}
    if len(urls) > 1:
        raise CannotExpress("This model changes one image per call.", param="images")
    return {name: urls[0]}


def images_of(output: Any) -> list[Image]:
    """Return the images of a prediction: one address, or a list.

    Raises:
        ProviderError: if the output is something else.
    """
    outputs = output if isinstance(output, list) else [output]
    return images_in([{"url": url} for url in outputs])
