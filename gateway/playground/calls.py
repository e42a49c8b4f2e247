"""Calls made for forms submitted without JavaScript, and their results as pages show them."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final
from urllib.parse import unquote

from asgiref.sync import async_to_sync
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from core import error_codes
from core.asgi import large_bodies
from core.db.connection import release
from core.ids import new_request_id
from core.web.request import scope_of
from gateway.dataplane.attempts import CompleteResponse
from gateway.dataplane.errors import Refusal
from gateway.dataplane.refusals import internal_error
from gateway.dataplane.requests import schema
from gateway.dataplane.requests.request import GatewayRequest
from gateway.dataplane.runtime import Runtime
from gateway.playground.app import RUNTIME
from providers.declaration.spec import Operation, Upload
from providers.operations.images import image_type
from tenants.auth.principal import Principal
from tenants.auth.request import WorkspaceRequest

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Problem:
    """A failed call as a page shows it."""

    code: str
    message: str
    status: int
    request_id: str = ""

    @property
    def title(self) -> Any:
        return error_codes.find(self.code).title

    @property
    def is_ours(self) -> bool:
        """Whether this server wrote the help text; other messages mostly come from providers."""
        return error_codes.find(self.code).says_all

    @property
    def text(self) -> Any:
        """What the failure means and what to do."""
        return error_codes.find(self.code).help if self.is_ours else self.message

    @property
    def about_keys(self) -> bool:
        return error_codes.find(self.code).about_key


@dataclass(slots=True)
class Outcome:
    """The result of one call: JSON, bytes or a problem."""

    model: str
    body: dict[str, Any] = field(default_factory=dict)
    content: bytes = b""
    content_type: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    problem: Problem | None = None

    @property
    def provider(self) -> str:
        return self.model.partition("/")[0]

    @property
    def message(self) -> dict[str, Any]:
        first = next(iter(_rows(self.body.get("choices"))), {})
        message = first.get("message")
        return message if isinstance(message, dict) else {}

    @property
    def text(self) -> str:
        content = self.message.get("content", self.body.get("text"))
        return (
            content
            if isinstance(content, str)
            else ""
            if content is None
            else json.dumps(content, ensure_ascii=False)
        )

    @property
    def thought(self) -> str:
        return str(self.message.get("reasoning_content") or "")

    @property
    def calls(self) -> str:
        """The tool calls as JSON."""
        tool_calls = self.message.get("tool_calls")
        return json.dumps(tool_calls, ensure_ascii=False, indent=2) if tool_calls else ""

    @property
    def footer(self) -> str:
        """The usage line, such as "12 + 40 tokens · 0.8 s · trial, 37 left"."""
        parts = [
            _tokens(self.body.get("usage")),
            _("%(seconds)s s") % {"seconds": f"{self.seconds:.1f}"},
            _source(self.headers),
        ]
        return " · ".join(part for part in parts if part)


def _tokens(usage: Any) -> str:
    if not isinstance(usage, dict):
        return ""
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if isinstance(prompt, int) and isinstance(completion, int):
        return _("%(asked)s + %(said)s tokens") % {"asked": prompt, "said": completion}
    total = prompt if isinstance(prompt, int) else usage.get("total_tokens")
    return (
        ngettext("%(n)s token", "%(n)s tokens", total) % {"n": total}
        if isinstance(total, int)
        else ""
    )


def _source(headers: Mapping[str, str]) -> str:
    kind, _colon, name = unquote(headers.get("x-modelkeep-source", "")).partition(":")
    if kind != "trial":
        return name
    credits = headers.get("x-modelkeep-credits-remaining", "")
    return _("trial, %(left)s left") % {"left": credits} if credits else _("trial")


@dataclass(frozen=True, slots=True)
class Question:
    """One call to make."""

    operation: Operation
    model: str
    body: dict[str, Any]
    upload: Upload | None = None
    size: int = 0  # bytes of the body, if it is long


def ask(request: WorkspaceRequest, questions: Sequence[Question]) -> list[Outcome]:
    """Make calls concurrently through the relay; failures become outcomes, not exceptions.

    While the providers work, no database connection is held.
    """
    runtime: Runtime | None = scope_of(request).get(RUNTIME)
    if runtime is None:
        # Django runs on its own, without the gateway.
        refusal = Refusal(
            "unavailable",
            _("This process only serves pages. Start the server with `make run` to make calls."),
        )
        return [
            Outcome(question.model, problem=_problem(refusal, request.id)) for question in questions
        ]
    release()
    outcomes: list[Outcome] = async_to_sync(_ask_all)(runtime, request.principal, questions)
    return outcomes


async def _ask_all(
    runtime: Runtime, principal: Principal, questions: Sequence[Question]
) -> list[Outcome]:
    return list(
        await asyncio.gather(*(_ask(runtime, principal, question) for question in questions))
    )


async def _ask(runtime: Runtime, principal: Principal, question: Question) -> Outcome:
    request_id = new_request_id()
    began = time.monotonic()
    try:
        parsed = schema.read(question.operation, {**question.body, "model": question.model})
        gateway_request = GatewayRequest(
            principal,
            question.operation,
            parsed.model,
            parsed.body,
            request_id,
            upload=question.upload,
            unit_key=request_id,
            size=question.size,
        )
        answer = await runtime.relay.start(gateway_request)
    except Refusal as refusal:
        return Outcome(
            question.model, headers=_headers(refusal.headers), problem=_problem(refusal, request_id)
        )
    except Exception:
        logger.exception("Internal error in playground call %s", request_id)
        return Outcome(question.model, problem=_problem(internal_error(), request_id))
    assert isinstance(answer, CompleteResponse), "the playground does not stream here"
    is_json = answer.content_type.startswith(b"application/json")
    content = answer.content if is_json else b"{}"
    return Outcome(
        question.model,
        body=await large_bodies.run(
            len(content), partial(json.loads, content), owner=principal.tenant_id
        ),
        content=b"" if is_json else answer.content,
        content_type=answer.content_type.decode("latin-1"),
        headers=_headers(answer.headers),
        seconds=time.monotonic() - began,
    )


def _headers(pairs: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode(): value.decode("latin-1") for name, value in pairs}


def _problem(refusal: Refusal, request_id: str) -> Problem:
    return Problem(refusal.code, refusal.message, refusal.status, request_id)


# ----------------------------------------------------------------------- embeddings, rerank, images

FIRST_VALUES: Final = 3
LONGEST_TEXT: Final = 300  # characters of an image's alternative text


@dataclass(frozen=True, slots=True)
class Vector:
    text: str
    values: tuple[float, ...]

    @property
    def length(self) -> int:
        return len(self.values)

    @property
    def first(self) -> str:
        return ", ".join(f"{value:.4f}" for value in self.values[:FIRST_VALUES]) + (
            " …" if self.length > FIRST_VALUES else ""
        )


def vectors(lines: Sequence[str], body: Mapping[str, Any]) -> list[Vector]:
    """Pair each line with its embedding; malformed embeddings become empty vectors."""
    rows = enumerate(_rows(body.get("data")))
    by_line = {
        row["index"] if isinstance(row.get("index"), int) else number: row.get("embedding")
        for number, row in rows
    }
    return [Vector(line, _numbers(by_line.get(number))) for number, line in enumerate(lines)]


def _rows(value: Any) -> list[dict[str, Any]]:
    """Return the objects of a list, ignoring anything malformed."""
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _numbers(value: Any) -> tuple[float, ...]:
    if not isinstance(value, list):
        return ()
    numbers = tuple(number for number in map(_number, value) if number is not None)
    return numbers if len(numbers) == len(value) else ()


def _number(value: Any) -> float | None:
    """Return a finite float, or None."""
    try:
        number = float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def similarities(vectors: Sequence[Vector]) -> list[list[str]]:
    """Return the pairwise cosine similarities as text; a dash if undefined."""
    return [[_cosine(row.values, column.values) for column in vectors] for row in vectors]


def _cosine(first: Sequence[float], second: Sequence[float]) -> str:
    if len(first) != len(second) or not any(first) or not any(second):
        return "–"
    # Normalise first so that squaring cannot overflow.
    first_max, second_max = (max(map(abs, values)) for values in (first, second))
    first_norm, second_norm = (
        math.hypot(*(value / largest for value in values))
        for values, largest in ((first, first_max), (second, second_max))
    )
    product = math.fsum(
        a / first_max * (b / second_max) for a, b in zip(first, second, strict=True)
    )
    return f"{product / (first_norm * second_norm):.3f}"


@dataclass(frozen=True, slots=True)
class Ranked:
    place: int
    number: int  # of the document in the form, from 1
    text: str
    score: str


def ranking(documents: Sequence[str], body: Mapping[str, Any]) -> list[Ranked]:
    """Return the documents ordered by relevance score."""
    rows = [row for row in _rows(body.get("results")) if isinstance(row.get("index"), int)]
    scores = {
        row["index"]: _number(row.get("relevance_score")) or 0.0
        for row in rows
        if 0 <= row["index"] < len(documents)
    }
    ordered = sorted(scores.items(), key=lambda item: -item[1])
    return [
        Ranked(place, index + 1, documents[index], f"{score:.4f}")
        for place, (index, score) in enumerate(ordered, start=1)
    ]


@dataclass(frozen=True, slots=True)
class Picture:
    """One generated image.

    Args:
        url: A data URL.
        text: The description that it was made from.
        is_shown: Whether browsers show its format; otherwise it can only be saved.
    """

    url: str
    text: str
    caption: str
    filename: str
    is_shown: bool


def pictures(prompt: str, body: Mapping[str, Any]) -> list[Picture]:
    """Return the images of an answer; they came as data."""
    rows = [row for row in _rows(body.get("data")) if isinstance(row.get("b64_json"), str)]
    return [_picture(prompt, number, row) for number, row in enumerate(rows, start=1)]


def _picture(prompt: str, number: int, row: Mapping[str, Any]) -> Picture:
    data = row["b64_json"]
    kind = image_type(base64.b64decode(data[:64]))
    ending = kind.rpartition("/")[2] or "bin"
    return Picture(
        f"data:{kind or 'application/octet-stream'};base64,{data}",
        str(row.get("revised_prompt") or prompt)[:LONGEST_TEXT],
        _("%(format)s, %(size)s KB")
        % {"format": ending.upper(), "size": math.ceil(len(data) * 3 / 4 / 1024)},
        f"image-{number}.{ending}",
        bool(kind),
    )
