"""DashScope's images: Qwen-Image and newer Wan models at once, older ones as tasks to poll.

See https://www.alibabacloud.com/help/en/model-studio/qwen-image-api and
https://www.alibabacloud.com/help/en/model-studio/text-to-image-v2-api-reference
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any, Final

import orjson

from providers.declaration.errors import CannotExpress, Failure, ProviderError
from providers.declaration.spec import (
    Access,
    Call,
    Exchange,
    MakeExchange,
    ModelFacts,
    Operation,
    Provider,
    Reply,
    Request,
)
from providers.failures.reasons import Reason
from providers.wire.dialects.dashscope import dashscope_errors
from providers.wire.http import Auth, get, path_segment, post_json, read_object
from providers.wire.images.answers import Image, delivered, images_answer, images_in, no_image
from providers.wire.images.openai import image_urls
from providers.wire.images.requests import count_of, others_of, refuse_unsupported, size_of

MOST: Final = 6
_AT_ONCE: Final = re.compile(r"^(?:qwen-image|z-image|wan2\.[6-9])")
_RUNNING: Final = frozenset({"PENDING", "RUNNING"})
FIRST_DELAY: Final = 1.0  # seconds between two polls; grows by half each time
LONGEST_DELAY: Final = 5.0  # seconds

Body = Mapping[str, Any]


def dashscope_images(*, auth: Auth, root_of: Callable[[Provider, Access], str]) -> MakeExchange:
    """Make the exchange for generation and editing.

    Args:
        root_of: returns the base URL without the path of the compatible API.
    """

    def exchange(
        provider: Provider, request: Request, access: Access, facts: ModelFacts
    ) -> Exchange:
        refuse_unsupported(request, most=MOST)
        root, headers = root_of(provider, access), auth(access)
        if _AT_ONCE.match(request.model):
            url = f"{root}/api/v1/services/aigc/multimodal-generation/generation"
            body = read_object((yield post_json(url, headers, _conversation(request))))
            images = list(_in_choices(body))
        else:
            images = list(_in_results((yield from _finished_task(root, headers, request))))
        images = yield from delivered(images_in(images), request)
        return images_answer(images, request)

    return exchange


def _conversation(request: Request) -> Body:
    content: list[Body] = [{"text": request.body.get("prompt")}]
    if request.operation is Operation.IMAGE_EDITS:
        content = [*({"image": url} for url in image_urls(request)), *content]
    return {
        "model": request.model,
        "input": {"messages": [{"role": "user", "content": content}]},
        "parameters": _parameters(request),
    }


def _parameters(request: Request) -> Body:
    parameters = {"n": count_of(request.body), **others_of(request.body)}
    if (size := size_of(request.body)) is not None:
        parameters["size"] = f"{size[0]}*{size[1]}"
    return parameters


def _in_choices(body: Body) -> Iterator[Image]:
    output = body.get("output")
    choices = output.get("choices") if isinstance(output, dict) else None
    for choice in choices if isinstance(choices, list) else ():
        for part in choice["message"]["content"]:
            if isinstance(part, dict) and part.get("image"):
                yield {"url": part["image"]}


# Tasks


def _finished_task(
    root: str, headers: Mapping[str, str], request: Request
) -> Generator[Call, Reply, Body]:
    """Start a task and poll it to its end. Returns its output."""
    if request.operation is Operation.IMAGE_EDITS:
        raise CannotExpress("This model makes images and does not change any.", param="model")
    body = {
        "model": request.model,
        "input": {"prompt": request.body.get("prompt")},
        "parameters": _parameters(request),
    }
    url = f"{root}/api/v1/services/aigc/text2image/image-synthesis"
    output = _output((yield post_json(url, {**headers, "X-DashScope-Async": "enable"}, body)))
    identity = output.get("task_id")
    if not isinstance(identity, str):
        raise no_image()
    task = f"{root}/api/v1/tasks/{path_segment(identity)}"
    number = 0
    while output.get("task_status") in _RUNNING:
        poll = get(task, headers)
        poll.delay = min(FIRST_DELAY * 1.5**number, LONGEST_DELAY)
        poll.undo = post_json(f"{task}/cancel", headers, {})
        output, number = _output((yield poll)), number + 1
    if output.get("task_status") != "SUCCEEDED":
        raise _failed(output)
    return output


def _output(reply: Reply) -> Body:
    output = read_object(reply).get("output")
    if not isinstance(output, dict):
        raise no_image()
    return output


def _in_results(output: Body) -> Iterator[Image]:
    """Yield the images of a task, some of which may have failed.

    Raises:
        ProviderError: if all have.
    """
    results = output.get("results")
    rows = [row for row in results if isinstance(row, dict)] if isinstance(results, list) else []
    made = [row for row in rows if row.get("url")]
    if rows and not made:
        raise _failed(rows[0])
    for row in made:
        revised = row.get("actual_prompt")
        yield {"url": row["url"]} | ({"revised_prompt": revised} if revised else {})


def _failed(told: Body) -> ProviderError:
    """Return the error of a task or of one image."""
    error = {"code": told.get("code") or "", "message": told.get("message") or ""}
    found = dashscope_errors(Reply(400, {}, orjson.dumps(error))) if error["code"] else None
    return found or ProviderError(Failure.ERROR, Reason("no_image"), status=200)
