"""OpenAI's files and batches, which many providers have under the same paths.

See https://platform.openai.com/docs/api-reference/files and .../batch
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from providers.declaration.spec import (
    Access,
    Answer,
    Call,
    Exchange,
    Frame,
    Provider,
    Reply,
    Usage,
)
from providers.declaration.storage import Storage, StorageRequest
from providers.wire.http import Auth, post_json, read_object, url_of
from providers.wire.openai.model_list import error_or

MOST_CONTENT: Final = 1024 * 1024 * 1024  # bytes of a file that is read


class Content:
    """Passes a file's content on as it comes."""

    usage: Usage | None = None
    finish_reason: str | None = None
    output_characters = 0
    done = False
    most = MOST_CONTENT

    def feed(self, data: bytes) -> Sequence[Frame]:
        return (Frame(data, content=True),)

    def finish(self) -> Sequence[Frame]:
        return ()


def openai_storage(
    *,
    auth: Auth,
    paths: Iterable[str],
    version: str = "/v1",
    url: str = "{path}",
    price: Decimal | None = None,
) -> Storage:
    """Make a provider's files and batches.

    Args:
        paths: The endpoints that batches may call.
        url: How their lines name an endpoint: {path} is its path here.
        price: The share of the list price that a batch costs.
    """

    def exchange(provider: Provider, request: StorageRequest, access: Access) -> Exchange:
        address = url_of(provider, access, request.path, version=version)
        reply = yield from _sent(address, auth(access), request)
        if reply.open:
            return Content()
        if reply.status == 404:
            if request.method == "POST" and request.path.count("/") == 1:
                raise error_or(reply, provider)  # there are no files or batches at all
            return Answer(None)
        return Answer(read_object(reply))

    urls = {path: url.format(path=path, below=path.removeprefix("/v1")) for path in paths}
    return Storage(exchange, urls, price, has_metadata=True)


def _sent(
    url: str, headers: Mapping[str, str], request: StorageRequest
) -> Generator[Call, Reply, Reply]:
    absent = frozenset({404})
    if request.body is not None:
        call = post_json(url, headers, request.body)
        call.accept = absent
        return (yield call)
    accept = "*/*" if request.is_content else "application/json"
    call = Call(
        request.method,
        url,
        {**headers, "Accept": accept},
        stream=request.is_content,
        accept=absent,
    )
    if request.form is not None:
        call.file, content_type = request.form
        call.headers |= {"Content-Type": content_type, "Content-Length": str(call.file.size)}
    return (yield call)
