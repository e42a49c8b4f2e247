"""`GET /models` in OpenAI's form: to list models, and as a free check of a key."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from providers.declaration.errors import Failure, ProviderError
from providers.declaration.spec import (
    Access,
    Call,
    ListedModel,
    ListExchange,
    ModelType,
    Provider,
    Reply,
)
from providers.failures.reasons import Reason
from providers.wire.http import (
    NO_ROUTE,
    Auth,
    get,
    is_web_page,
    json_or_none,
    not_a_list,
    post_json,
    unreadable,
    url_of,
)

MAX_MODELS = 5000

Guess = Callable[[str], ModelType | None]


def rows_of(reply: Reply) -> list[dict[str, Any]]:
    """Return the rows of a list.

    Raises:
        ProviderError: NOT_AN_API if the answer is not a list.
    """
    body = json_or_none(reply.body)
    rows = body.get("data") if isinstance(body, dict) else None
    if not isinstance(rows, list):
        raise unreadable(reply) if is_web_page(reply) else not_a_list()
    return [
        row
        for row in rows[:MAX_MODELS]
        if isinstance(row, dict) and isinstance(row.get("id"), str) and row["id"]
    ]


def positive(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def listed(row: dict[str, Any], guess: Guess) -> ListedModel | None:
    kind = guess(row["id"])
    if kind is None:
        return None
    window = (
        positive(row.get("max_model_len"))
        or positive(row.get("context_length"))
        or positive(row.get("context_window"))
    )
    retires = row.get("shutdown_date")
    return ListedModel(
        row["id"],
        kind,
        context_window=window,
        retires=retires[:10] if isinstance(retires, str) else "",
    )


def list_models(
    *, auth: Auth, guess: Guess, version: str = "/v1"
) -> Callable[[Provider, Access], ListExchange]:
    """Make the exchange that lists models of the supported types; others (images, video) are left
    out.
    """

    def exchange(provider: Provider, access: Access) -> ListExchange:
        reply = yield get(url_of(provider, access, "/models", version=version), auth(access))
        models = (listed(row, guess) for row in rows_of(reply))
        return [model for model in models if model is not None]

    return exchange


def check_by_list(
    *, auth: Auth, version: str = "/v1", chats: bool = False
) -> Callable[[Provider, Access], Generator[Call, Reply, None]]:
    """Make the exchange that checks a key by listing the models.

    Args:
        chats: whether the server chats: if it has no list, an empty conversation is sent, which
            it refuses without charging for it.
    """

    def exchange(provider: Provider, access: Access) -> Generator[Call, Reply, None]:
        call = get(url_of(provider, access, "/models", version=version), auth(access))
        if chats:
            call.accept = NO_ROUTE
        reply = yield call
        if reply.status < 400:
            rows_of(reply)
            return
        missing = error_or(reply, provider)
        url = url_of(provider, access, "/chat/completions", version=version)
        call = post_json(url, auth(access), {"model": "", "messages": []})
        call.accept = _NO_ANSWER
        reply = yield call
        if reply.status >= 400 and error_or(reply, provider).failure is Failure.NOT_AN_API:
            raise missing

    return exchange


# Statuses of a server that has read a request and refuses it.
_NO_ANSWER = frozenset({400, 404, 405, 422})


def error_or(reply: Reply, provider: Provider) -> ProviderError:
    """Return the provider's error in a reply whose status was accepted."""
    return provider.errors(reply) or ProviderError(
        Failure.ERROR, Reason("http_status", status=reply.status), status=reply.status
    )
