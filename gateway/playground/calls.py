"""Calls of forms that are sent without scripts, and what pages say of answers and refusals."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

from asgiref.sync import async_to_sync
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from core import error_codes
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
from tenants.auth.principal import Principal
from tenants.auth.request import WorkspaceRequest

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Problem:
    """A call that failed, as a page tells it."""

    code: str
    message: str
    status: int
    request_id: str = ""

    @property
    def title(self) -> Any:
        return error_codes.find(self.code).title

    @property
    def is_ours(self) -> bool:
        """Whether this server says what it means; other messages are mostly the provider's own
        words.
        """
        return error_codes.find(self.code).says_all

    @property
    def text(self) -> Any:
        """What it means and what to do."""
        return error_codes.find(self.code).help if self.is_ours else self.message

    @property
    def about_keys(self) -> bool:
        return error_codes.find(self.code).about_key


@dataclass(slots=True)
class Outcome:
    """What came of one call: an answer's JSON or bytes, or a problem."""

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
        """Tool calls as they came."""
        called = self.message.get("tool_calls")
        return json.dumps(called, ensure_ascii=False, indent=2) if called else ""

    @property
    def footer(self) -> str:
        """ "12 + 40 tokens · 0.8 s · trial, 37 left"."""
        parts = [
            _tokens(self.body.get("usage")),
            _("%(seconds)s s") % {"seconds": f"{self.seconds:.1f}"},
            _source(self.headers),
        ]
        return " · ".join(part for part in parts if part)


def _tokens(usage: Any) -> str:
    if not isinstance(usage, dict):
        return ""
    asked, said = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if isinstance(asked, int) and isinstance(said, int):
        return _("%(asked)s + %(said)s tokens") % {"asked": asked, "said": said}
    total = asked if isinstance(asked, int) else usage.get("total_tokens")
    return (
        ngettext("%(n)s token", "%(n)s tokens", total) % {"n": total}
        if isinstance(total, int)
        else ""
    )


def _source(headers: Mapping[str, str]) -> str:
    kind, _colon, name = unquote(headers.get("x-modelkeep-source", "")).partition(":")
    if kind != "trial":
        return name
    left = headers.get("x-modelkeep-credits-remaining", "")
    return _("trial, %(left)s left") % {"left": left} if left else _("trial")


@dataclass(frozen=True, slots=True)
class Question:
    """One call to be made."""

    operation: Operation
    model: str
    body: dict[str, Any]
    upload: Upload | None = None


def ask(request: WorkspaceRequest, questions: Sequence[Question]) -> list[Outcome]:
    """Make the calls side by side, each through the relay as any other call; whatever happens is in
    the outcomes.
    """
    runtime: Runtime | None = scope_of(request).get(RUNTIME)
    if runtime is None:
        # Django runs by itself, without the server that makes calls.
        refusal = Refusal(
            "unavailable",
            _("Calls are made by the server that `make run` starts. This one only shows pages."),
        )
        return [Outcome(one.model, problem=_problem(refusal, request.id)) for one in questions]
    outcomes: list[Outcome] = async_to_sync(_ask_all)(runtime, request.principal, questions)
    return outcomes


async def _ask_all(
    runtime: Runtime, principal: Principal, questions: Sequence[Question]
) -> list[Outcome]:
    return list(await asyncio.gather(*(_ask(runtime, principal, one) for one in questions)))


async def _ask(runtime: Runtime, principal: Principal, question: Question) -> Outcome:
    request_id = new_request_id()
    began = time.monotonic()
    try:
        asked = schema.read(question.operation, {**question.body, "model": question.model})
        gateway_request = GatewayRequest(
            principal,
            question.operation,
            asked.model,
            asked.body,
            request_id,
            upload=question.upload,
            unit_key=request_id,
        )
        answer = await runtime.relay.start(gateway_request)
    except Refusal as refusal:
        return Outcome(
            question.model, headers=_headers(refusal.headers), problem=_problem(refusal, request_id)
        )
    except Exception:
        logger.exception("Call %s of the playground failed by a mistake of ours", request_id)
        return Outcome(question.model, problem=_problem(internal_error(), request_id))
    assert isinstance(answer, CompleteResponse), "nothing here asks for a stream"
    is_json = answer.content_type.startswith(b"application/json")
    return Outcome(
        question.model,
        body=json.loads(answer.content) if is_json else {},
        content=b"" if is_json else answer.content,
        content_type=answer.content_type.decode("latin-1"),
        headers=_headers(answer.headers),
        seconds=time.monotonic() - began,
    )


def _headers(pairs: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode(): value.decode("latin-1") for name, value in pairs}


def _problem(refusal: Refusal, request_id: str) -> Problem:
    return Problem(refusal.code, refusal.message, refusal.status, request_id)


# ------------------------------------------------------------------------------- embeddings, rerank

FIRST_VALUES: Final = 3


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
    """The vectors of an embedding's answer beside their lines; what is no list of numbers is left
    empty.
    """
    rows = enumerate(_rows(body.get("data")))
    by_line = {
        row["index"] if isinstance(row.get("index"), int) else number: row.get("embedding")
        for number, row in rows
    }
    return [Vector(line, _numbers(by_line.get(number))) for number, line in enumerate(lines)]


def _rows(value: Any) -> list[dict[str, Any]]:
    """What a list of objects should be, whatever a provider sent."""
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _numbers(value: Any) -> tuple[float, ...]:
    if not isinstance(value, list):
        return ()
    numbers = tuple(number for number in map(_number, value) if number is not None)
    return numbers if len(numbers) == len(value) else ()


def _number(value: Any) -> float | None:
    """None for what is no number that can be counted with."""
    try:
        number = float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def similarities(vectors: Sequence[Vector]) -> list[list[str]]:
    """The cosine of the angle between each two vectors, as text; a dash where there is none."""
    return [[_cosine(row.values, column.values) for column in vectors] for row in vectors]


def _cosine(one: Sequence[float], other: Sequence[float]) -> str:
    if len(one) != len(other) or not any(one) or not any(other):
        return "–"
    # Made short first: the squares of great numbers are beyond all numbers.
    near, far = (max(map(abs, values)) for values in (one, other))
    near_size, far_size = (
        math.hypot(*(a / most for a in values)) for values, most in ((one, near), (other, far))
    )
    product = math.fsum(a / near * (b / far) for a, b in zip(one, other, strict=True))
    return f"{product / (near_size * far_size):.3f}"


@dataclass(frozen=True, slots=True)
class Ranked:
    place: int
    number: int  # of the document as it was typed, from 1
    text: str
    score: str


def ranking(documents: Sequence[str], body: Mapping[str, Any]) -> list[Ranked]:
    """The documents in the order of a rerank's answer."""
    rows = [row for row in _rows(body.get("results")) if isinstance(row.get("index"), int)]
    known = {
        row["index"]: _number(row.get("relevance_score")) or 0.0
        for row in rows
        if 0 <= row["index"] < len(documents)
    }
    ordered = sorted(known.items(), key=lambda one: -one[1])
    return [
        Ranked(place, index + 1, documents[index], f"{score:.4f}")
        for place, (index, score) in enumerate(ordered, start=1)
    ]
