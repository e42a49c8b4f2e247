"""OpenAI's legacy completions, which continue a prompt: passed through with all their fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from providers.declaration.errors import Failure, ProviderError
from providers.declaration.spec import (
    Access,
    Answer,
    Decoder,
    ErrorMap,
    Exchange,
    Frame,
    MakeExchange,
    ModelFacts,
    Provider,
    Reply,
    Request,
)
from providers.failures.reasons import Reason
from providers.wire.chat_answers import Tidy, choices_of, complete_head, usage_of
from providers.wire.http import (
    Auth,
    is_web_page,
    media_type,
    post_json,
    read_object,
    unreadable,
    url_of,
)
from providers.wire.openai.chat import Adjust, adjusted_body
from providers.wire.openai.stream import ChatDecoder, ReadyAnswer, WholeBody

KIND = "text_completion"  # `object` of whole answers and of chunks


def openai_completions(
    *,
    auth: Auth,
    path: str = "/completions",
    version: str = "/v1",
    adjust: Adjust | None = None,
    tidy: Tidy | None = None,
    usage_option: bool = True,
) -> MakeExchange:
    """Make the exchange for completions.

    Args:
        adjust: fits requests to the provider.
        tidy: repairs the provider's answers.
        usage_option: whether to request usage in streams by `stream_options`.
    """

    def exchange(
        provider: Provider, request: Request, access: Access, facts: ModelFacts
    ) -> Exchange:
        body = adjusted_body(
            provider, request, access, facts, adjust=adjust, usage_option=usage_option
        )
        reply = yield post_json(
            url_of(provider, access, path, version=version),
            auth(access),
            body,
            stream=request.stream,
        )
        if request.stream:
            return completion_stream(reply, provider.errors, tidy)
        return completion_answer(read_object(reply), tidy)

    return exchange


def completion_answer(body: dict[str, Any], tidy: Tidy | None = None) -> Answer:
    """Convert a whole answer.

    Raises:
        ProviderError: if the body is not a completion.
    """
    choices = choices_of(body)
    if not choices or not isinstance(choices[0].get("text"), str):
        raise ProviderError(Failure.ERROR, Reason("no_text"), status=200)
    complete_head(body, KIND)
    if tidy is not None:
        tidy(body)
    finish = choices[0].get("finish_reason")
    return Answer(
        body, usage_of(body.get("usage")), finish_reason=finish if isinstance(finish, str) else None
    )


def completion_stream(reply: Reply, errors: ErrorMap, tidy: Tidy | None = None) -> Decoder:
    """Return the decoder of an open body, also for servers that do not stream.

    Raises:
        ProviderError: if the body is a web page.
    """
    kind = media_type(reply)
    if is_web_page(reply):
        raise unreadable(reply)
    return (
        _WholeCompletion(reply, errors, tidy)
        if kind == "application/json"
        else CompletionDecoder(errors, tidy)
    )


def _length(choice: dict[str, Any]) -> int:
    text = choice.get("text")
    return len(text) if isinstance(text, str) else 0


class CompletionDecoder(ChatDecoder):
    """Relay `text_completion` chunks."""

    __slots__ = ()
    kind = KIND

    def characters_in(self, choice: dict[str, Any]) -> int:
        return _length(choice)


class ReadyCompletion(ReadyAnswer):
    """Decoder of a completion that came whole although the client wants a stream."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer)
        self.output_characters = sum(map(_length, choices_of(self._body)))

    def finish(self) -> Sequence[Frame]:
        self.done = True
        head = {name: value for name, value in self._body.items() if name != "usage"}
        frames = [Frame(orjson.dumps(head), content=True)]
        if isinstance(self._body.get("usage"), dict):
            frames.append(
                Frame(
                    orjson.dumps({**head, "choices": [], "usage": self._body["usage"]}),
                    usage_only=True,
                )
            )
        return frames


class _WholeCompletion(WholeBody):
    def ready(self, body: dict[str, Any]) -> ReadyAnswer:
        return ReadyCompletion(completion_answer(body, self._tidy))
