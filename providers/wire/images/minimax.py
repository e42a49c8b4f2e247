"""MINIMAX's images (https://platform.minimax.io/docs/api-reference/image-generation-t2i)."""

from __future__ import annotations

from typing import Any, Final

from providers.declaration.spec import (
    Access,
    Exchange,
    MakeExchange,
    ModelFacts,
    Provider,
    Request,
)
from providers.wire.http import Auth, post_json, read_object, url_of
from providers.wire.images.answers import (
    MAX_IMAGES,
    Image,
    delivered,
    images_answer,
    images_in,
    wants_data,
)
from providers.wire.images.requests import count_of, others_of, refuse_unsupported, size_of

MOST: Final = 9


def minimax_images(*, auth: Auth) -> MakeExchange:
    def exchange(
        provider: Provider, request: Request, access: Access, facts: ModelFacts
    ) -> Exchange:
        refuse_unsupported(request, most=MOST)
        call = post_json(
            url_of(provider, access, "/image_generation"), auth(access), _body(request)
        )
        call.limit = MAX_IMAGES
        answer = read_object((yield call))
        images = yield from delivered(images_in(_images(answer.get("data"))), request)
        return images_answer(images, request)

    return exchange


def _body(request: Request) -> dict[str, Any]:
    body = {
        "model": request.model,
        "prompt": request.body.get("prompt"),
        "n": count_of(request.body),
        "response_format": "base64" if wants_data(request) else "url",
        **others_of(request.body),
    }
    if (size := size_of(request.body)) is not None:
        body["width"], body["height"] = size
    return body


def _images(data: Any) -> list[Image]:
    if not isinstance(data, dict):
        return []
    urls, texts = data.get("image_urls") or (), data.get("image_base64") or ()
    return [*({"url": url} for url in urls), *({"b64_json": text} for text in texts)]
