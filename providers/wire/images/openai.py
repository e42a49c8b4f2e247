"""OpenAI's image generation and editing: passed through, changed only where needed.

See https://platform.openai.com/docs/api-reference/images
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any

from providers.declaration.errors import CannotExpress
from providers.declaration.spec import (
    Access,
    Call,
    ErrorMap,
    Exchange,
    MakeExchange,
    ModelFacts,
    Provider,
    Reply,
    Request,
    Upload,
)
from providers.wire.audio.transcriptions import multipart
from providers.wire.decoding import error_in_stream
from providers.wire.http import Auth, post_json, read_object, url_of
from providers.wire.images.answers import (
    MAX_IMAGES,
    delivered,
    images_answer,
    images_in,
    refuse_url,
)
from providers.wire.images.stream import ImageDecoder
from providers.wire.openai.chat import drop_unsupported
from providers.wire.openai.errors import error_object

Adjust = Callable[[dict[str, Any], Provider, Access, ModelFacts], None]
_EDITED = ("images", "mask")


def openai_images(
    *,
    auth: Auth,
    path: str = "/images/generations",
    version: str = "/v1",
    adjust: Adjust | None = None,
) -> MakeExchange:
    """Make the exchange for image generation, or with another path for editing in JSON.

    Args:
        adjust: fits requests to the provider.
    """

    def exchange(
        provider: Provider, request: Request, access: Access, facts: ModelFacts
    ) -> Exchange:
        body = _body(provider, request, access, facts, adjust)
        url = url_of(provider, access, path, version=version)
        call = post_json(url, auth(access), body, stream=request.stream)
        return (yield from _asked(provider, request, call))

    return exchange


def openai_image_edits(
    *, auth: Auth, path: str = "/images/edits", version: str = "/v1", adjust: Adjust | None = None
) -> MakeExchange:
    """Make the exchange for image editing: a form, as all servers take it, unless an image is
    named by its URL.
    """
    in_json = openai_images(auth=auth, path=path, version=version, adjust=adjust)

    def exchange(
        provider: Provider, request: Request, access: Access, facts: ModelFacts
    ) -> Exchange:
        files = files_of(request)
        if files is None:
            return (yield from in_json(provider, request, access, facts))
        body = _body(provider, request, access, facts, adjust)
        fields = {name: value for name, value in body.items() if name not in _EDITED}
        content_type, form = multipart(fields, *files)
        accept = "text/event-stream" if request.stream else "application/json"
        headers = {**auth(access), "Content-Type": content_type, "Accept": accept}
        url = url_of(provider, access, path, version=version)
        return (yield from _asked(provider, request, Call("POST", url, headers, form)))

    return exchange


def _body(
    provider: Provider,
    request: Request,
    access: Access,
    facts: ModelFacts,
    adjust: Adjust | None,
) -> dict[str, Any]:
    body = {**request.body, "model": request.model}
    body.pop("stream", None)
    if request.stream:
        body["stream"] = True
    drop_unsupported(body, facts)
    if adjust is not None:
        adjust(body, provider, access, facts)
    return body


def _asked(provider: Provider, request: Request, call: Call) -> Exchange:
    call.stream, call.limit = request.stream, MAX_IMAGES
    reply = yield call
    if request.stream:
        return ImageDecoder(provider.errors, request)
    body = body_of(reply, provider.errors)
    images = yield from delivered(images_in(body.get("data")), request)
    return images_answer(images, request, body)


def body_of(reply: Reply, errors: ErrorMap) -> dict[str, Any]:
    """Return the body of a whole answer. Raises ProviderError if it is an error."""
    body = read_object(reply)
    if error_object(body) is not None:
        raise error_in_stream(errors, reply.body)
    return body


def return_data(body: dict[str, Any]) -> None:
    """Remove response_format for a model that always returns data.

    Raises:
        CannotExpress: if the request wants URLs.
    """
    refuse_url(body)
    body.pop("response_format", None)


# Images to edit


def image_urls(request: Request) -> list[str]:
    """Return the URLs of the images to edit.

    Raises:
        CannotExpress: if there is none.
    """
    images = request.body.get("images")
    urls = [_url_of(image) for image in images] if isinstance(images, list) else []
    if not urls:
        raise CannotExpress("An image to edit is missing.", param="image")
    return urls


def _url_of(image: Any) -> str:
    url = image.get("image_url") if isinstance(image, dict) else None
    if not isinstance(url, str):
        raise CannotExpress("An image must have an image_url.", param="images")
    return url


def files_of(request: Request) -> Sequence[tuple[str, Upload]] | None:
    """Return the images as files of a form; None if one of them is named by its URL."""
    urls, mask = image_urls(request), request.body.get("mask")
    masks = [_url_of(mask)] if mask is not None else []
    if not all(url.startswith("data:") for url in (*urls, *masks)):
        return None
    # Servers with one image per request only know the name without brackets.
    name = "image" if len(urls) == 1 else "image[]"
    files = [(name, upload_of_url(url)) for url in urls]
    return [*files, *(("mask", upload_of_url(url)) for url in masks)]


def upload_of_url(url: str) -> Upload:
    """Decode a data URL. Raises CannotExpress."""
    head, _comma, data = url.partition(",")
    kind = head.removeprefix("data:").partition(";")[0]
    try:
        image = base64.b64decode(data, validate=True)
    except ValueError:
        raise CannotExpress("An image's data URL is not valid base64.", param="images") from None
    return Upload(f"image.{kind.rpartition('/')[2]}", kind, image)
