"""Hugging Face's text-to-image task: a prompt in, one image out as bytes.

See https://huggingface.co/docs/inference-providers/tasks/text-to-image
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from providers.declaration.spec import Exchange, Request
from providers.wire.http import post_json
from providers.wire.images.answers import (
    MAX_IMAGE,
    image_bytes,
    images_answer,
    refuse_url,
)
from providers.wire.images.requests import others_of, refuse_unsupported, size_of


def text_to_image(url: str, headers: Mapping[str, str], request: Request) -> Exchange:
    """Generate an image at a model's own URL."""
    refuse_unsupported(request, most=1)
    refuse_url(request.body)
    parameters: dict[str, Any] = others_of(request.body)
    if (size := size_of(request.body)) is not None:
        parameters["width"], parameters["height"] = size
    body = {"inputs": request.body.get("prompt")} | (
        {"parameters": parameters} if parameters else {}
    )
    call = post_json(url, headers, body)
    call.headers["Accept"], call.limit = "image/png", MAX_IMAGE
    image = image_bytes((yield call))
    return images_answer([{"b64_json": base64.b64encode(image).decode()}], request)
