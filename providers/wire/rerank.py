"""Rerank documents by a query, in the form that Jina, Cohere and vLLM share, with hooks for others.

Neutral request: {model, query, documents: [text or {"text"}], top_n, return_documents}. Neutral
answer: {id, object, model, results: [{index, relevance_score, document?}], usage?}, the best first.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from providers.declaration.errors import CannotExpress, Failure, ProviderError
from providers.declaration.spec import (
    Access,
    Answer,
    Exchange,
    MakeExchange,
    ModelFacts,
    Provider,
    Request,
    Usage,
)
from providers.failures.reasons import Reason
from providers.wire.http import Auth, json_or_none, post_json, unreadable, url_of
from providers.wire.usage import input_tokens_of, later

_NEUTRAL_FIELDS = frozenset({"model", "query", "documents", "top_n", "return_documents", "stream"})


@dataclass(frozen=True, slots=True)
class Question:
    """A parsed neutral request.

    Attributes:
        others: fields outside the neutral form, which are passed through.
    """

    model: str
    query: str
    documents: list[str]
    top_n: int | None = None
    return_documents: bool = False
    others: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ranking:
    """A provider's answer.

    Attributes:
        scores: (index of the document, score), in any order.
        tokens: None if not reported.
    """

    scores: list[tuple[int, float]]
    tokens: int | None = None
    id: str = ""


# Builds the body to send.
Build = Callable[[Question, ModelFacts], dict[str, Any]]
# Reads the ranking from the parsed JSON of the answer; may raise ProviderError.
Read = Callable[[Any], Ranking]


def rerank(
    *,
    auth: Auth,
    path: str = "/rerank",
    version: str = "/v1",
    build: Build | None = None,
    read: Read | None = None,
) -> MakeExchange:
    """Make the exchange for rerank.

    Args:
        build: builds the body for providers with another form.
        read: reads the answer of providers with another form.
    """

    def exchange(
        provider: Provider, request: Request, access: Access, facts: ModelFacts
    ) -> Exchange:
        question = question_of(request)
        body = (build or plain_body)(question, facts)
        reply = yield post_json(url_of(provider, access, path, version=version), auth(access), body)
        answer = json_or_none(reply.body)
        if not isinstance(answer, dict | list):
            raise unreadable(reply)
        return rerank_answer(question, (read or ranking_of)(answer))

    return exchange


def question_of(request: Request) -> Question:
    """Parse a neutral request.

    Raises:
        CannotExpress: if a document has no text.
    """
    body = request.body
    documents = [
        _text(document, number) for number, document in enumerate(body.get("documents") or ())
    ]
    others = {name: value for name, value in body.items() if name not in _NEUTRAL_FIELDS}
    return Question(
        request.model,
        body["query"],
        documents,
        body.get("top_n"),
        body.get("return_documents") is True,
        others,
    )


def _text(document: Any, number: int) -> str:
    text = document.get("text") if isinstance(document, dict) else document
    if not isinstance(text, str):
        raise CannotExpress(
            "Each document must be a text or an object with a text.",
            param=f"documents[{number}]",
        )
    return text


def plain_body(question: Question, facts: ModelFacts) -> dict[str, Any]:
    """Build the body in the shared form; documents are added here, as servers return them
    differently.
    """
    body = {
        **question.others,
        "model": question.model,
        "query": question.query,
        "documents": question.documents,
    }
    return body if question.top_n is None else {**body, "top_n": question.top_n}


def ranking_of(answer: Any) -> Ranking:
    """Read {index, relevance_score or score} rows from `results`, `data` (Voyage) or a bare list
    (TEI).

    Raises:
        ProviderError: if the answer contains no ranking.
    """
    rows = answer if isinstance(answer, list) else answer.get("results", answer.get("data"))
    if not isinstance(rows, list):
        raise _no_ranking()
    scores: list[Any] = [
        (row["index"], row.get("relevance_score", row.get("score")))
        for row in rows
        if isinstance(row, dict) and "index" in row
    ]
    if len(scores) != len(rows):
        raise _no_ranking()
    if isinstance(answer, list):
        return Ranking(scores)
    return Ranking(
        scores, _tokens(answer), answer["id"] if isinstance(answer.get("id"), str) else ""
    )


def _tokens(answer: dict[str, Any]) -> int | None:
    """Read the tokens from usage (Jina, vLLM) or meta.tokens (Cohere, Xinference)."""
    meta = answer.get("meta")
    in_meta = meta.get("tokens") if isinstance(meta, dict) else None
    return input_tokens_of(later(in_meta, answer.get("usage")))


def _no_ranking() -> ProviderError:
    return ProviderError(Failure.ERROR, Reason("no_ranking"), status=200)


def rerank_answer(question: Question, ranking: Ranking) -> Answer:
    """Build the neutral answer: the best first, at most top_n.

    Raises:
        ProviderError: if an index or a score is invalid.
    """
    seen: set[int] = set()
    for index, score in ranking.scores:
        if (
            not _is_number(score)
            or not isinstance(index, int)
            or not 0 <= index < len(question.documents)
            or index in seen
        ):
            raise _no_ranking()
        seen.add(index)
    best = sorted(ranking.scores, key=lambda row: -row[1])[: question.top_n]
    body: dict[str, Any] = {
        "id": ranking.id or f"rerank-{uuid.uuid4().hex}",
        "object": "rerank",
        "model": question.model,
        "results": [_result(question, index, score) for index, score in best],
    }
    if ranking.tokens is None:
        return Answer(body)
    return Answer(
        {**body, "usage": {"prompt_tokens": ranking.tokens, "total_tokens": ranking.tokens}},
        Usage(prompt_tokens=ranking.tokens),
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _result(question: Question, index: int, score: float) -> dict[str, Any]:
    result: dict[str, Any] = {"index": index, "relevance_score": score}
    return result | (
        {"document": {"text": question.documents[index]}} if question.return_documents else {}
    )
