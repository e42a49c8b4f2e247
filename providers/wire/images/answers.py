"""Answers with images in OpenAI's form, as URLs or as base64; URLs are fetched if base64 is wanted.

See https://platform.openai.com/docs/api-reference/images/object
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from providers.declaration.errors import CannotExpress, Failure, ProviderError
from providers.declaration.spec import Answer, Call, Reply, Request, Usage
from providers.failures.reasons import Reason
from providers.wire.http import begins_web_page, media_type
from providers.wire.usage import usage_of

MAX_IMAGE: Final = 24 * 1024 * 1024  # bytes of one image that is fetched
MAX_IMAGES: Final = 64 * 1024 * 1024  # bytes of an answer, in which images are base64
LONGEST_URL: Final = 8192  # characters; those of object stores are signed and long
_HANDLED: Final = frozenset(range(200, 600))  # what a store answers is no error of the provider

Image = Mapping[str, Any]  # an item of an answer's `data`
# Returns the images of an answer, after the calls that fetch them.
Fetching = Generator[Call, Reply, list[Image]]


def wants_data(request: Request) -> bool:
    return request.body.get("response_format") == "b64_json"


def refuse_url(body: Mapping[str, Any]) -> None:
    """Raise CannotExpress if a request wants URLs of a provider that has none."""
    if body.get("response_format") == "url":
        raise CannotExpress(
            "This model returns images as data. Set response_format to b64_json, or leave it out.",
            param="response_format",
        )


def no_image() -> ProviderError:
    return ProviderError(Failure.ERROR, Reason("no_image"), status=200)


def images_in(items: Any) -> list[Image]:
    """Check the images of an answer, and take base64 out of data URLs.

    Raises:
        ProviderError: if there is none, or one of them is neither a URL nor base64.
    """
    if not isinstance(items, list) or not items:
        raise no_image()
    return [_checked(item) for item in items]


def _checked(item: Any) -> Image:
    if not isinstance(item, dict):
        raise no_image()
    data, url = item.get("b64_json"), item.get("url")
    for text in (data, url):
        if isinstance(text, str) and text.startswith("data:"):
            data = text.partition(",")[2]
    others = {name: value for name, value in item.items() if name not in ("b64_json", "url")}
    if isinstance(data, str) and data:
        check_base64(data)
        return {"b64_json": data, **others}
    return {"url": checked_url(url), **others}


def check_base64(data: str) -> None:
    """Raise ProviderError unless the text is the base64 of something other than a web page."""
    try:
        image = binascii.a2b_base64(data, strict_mode=True)
    except ValueError:
        raise no_image() from None
    if not image or begins_web_page(image):
        raise no_image()


def checked_url(url: Any) -> str:
    """Return the URL of an image. Raises ProviderError if it is none."""
    if (
        not isinstance(url, str)
        or not url.startswith(("https://", "http://"))
        or len(url) > LONGEST_URL
        or not url.isprintable()
    ):
        raise no_image()
    return url


def delivered(images: Sequence[Image], request: Request) -> Fetching:
    """Fetch what was returned as a URL, if the client wants data."""
    if not wants_data(request):
        return list(images)
    left = MAX_IMAGES * 3 // 4  # before they are base64
    fetched: list[Image] = []
    for image in images:
        if "b64_json" not in image:
            others = {name: value for name, value in image.items() if name != "url"}
            data = yield from _fetched(image["url"], min(MAX_IMAGE, left))
            left -= len(data)
            image = {"b64_json": base64.b64encode(data).decode(), **others}
        fetched.append(image)
    return fetched


def _fetched(url: str, limit: int) -> Generator[Call, Reply, bytes]:
    """Fetch an image, without the account's key: it is at another host."""
    call = Call("GET", url, {"Accept": "image/*"}, accept=_HANDLED, limit=limit, of_answer=True)
    reply = yield call
    if reply.status != 200:
        raise ProviderError(
            Failure.ERROR, Reason("image_not_fetched", status=reply.status), status=reply.status
        )
    return image_bytes(reply)


def image_bytes(reply: Reply) -> bytes:
    """Return the image that is a reply's whole body.

    Raises:
        ProviderError: if it is something else, such as an error with status 200.
    """
    is_text = media_type(reply).startswith("text/") or media_type(reply).endswith("json")
    if not reply.body or is_text or begins_web_page(reply.body):
        raise no_image()
    return reply.body


def images_answer(
    images: Sequence[Image], request: Request, body: Mapping[str, Any] | None = None
) -> Answer:
    """Make the answer.

    Args:
        body: the provider's own, if it is in OpenAI's form.
    """
    body = body or {}
    created = body.get("created")
    if not isinstance(created, int) or isinstance(created, bool):
        created = int(time.time())
    usage = image_usage(body.get("usage"), len(images), {**request.body, **body})
    return Answer({**body, "created": created, "data": list(images)}, usage)


def image_usage(reported: Any, count: int, details: Mapping[str, Any]) -> Usage:
    """Return the usage of a call: its images, and tokens if they were reported.

    Args:
        details: with the size and the quality of the images.
    """
    usage = usage_of(reported) or Usage()
    size, quality = details.get("size"), details.get("quality")
    return replace(
        usage,
        images=count,
        image_size=size if isinstance(size, str) else "",
        image_quality=quality if isinstance(quality, str) else "",
        image_input_tokens=_tokens_of_images(reported, "input_tokens_details"),
        image_output_tokens=_tokens_of_images(reported, "output_tokens_details"),
    )


def _tokens_of_images(reported: Any, name: str) -> int | None:
    details = reported.get(name) if isinstance(reported, dict) else None
    tokens = details.get("image_tokens") if isinstance(details, dict) else None
    is_count = isinstance(tokens, int) and not isinstance(tokens, bool) and tokens >= 0
    return tokens if is_count else None
