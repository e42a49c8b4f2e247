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
from providers.wire.chat_answers import Tidy, choices_of
from providers.wire.http import Auth, read_object, url_of
from providers.wire.openai.chat import Adjust, adjusted_body
from providers.wire.openai.stream import ChatDecoder, ReadyAnswer
from providers.wire.repairs.answers import as_list, complete_head, index_of, repair_usage
from providers.wire.repairs.asking import asked
from providers.wire.repairs.chunks import Repairs
from providers.wire.repairs.messages import repair_finish_reason
from providers.wire.usage import usage_in

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
        url = url_of(provider, access, path, version=version)
        reply = yield from asked(provider, url, auth(access), body, request)
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
    repairs = CompletionRepairs()
    repairs.repair(body)
    complete_head(body, KIND)
    if tidy is not None:
        tidy(body)
    usage = usage_in(body)
    repair_usage(body)
    repairs.finish(body)
    for choice in body["choices"]:
        choice["finish_reason"] = choice["finish_reason"] or "stop"
    return Answer(body, usage, finish_reason=body["choices"][0]["finish_reason"])


def completion_stream(reply: Reply, errors: ErrorMap, tidy: Tidy | None = None) -> Decoder:
    """Return the decoder of an open body, also for servers that do not stream."""
    return CompletionDecoder(errors, tidy)


def _length(choice: dict[str, Any]) -> int:
    text = choice.get("text")
    return len(text) if isinstance(text, str) else 0


class CompletionRepairs:
    """Repair completions and their chunks (see providers.wire.repairs.chunks.Repairs)."""

    __slots__ = ()

    def repair(self, chunk: dict[str, Any]) -> bool:
        choices = chunk.get("choices")
        listed = [choice for choice in as_list(choices) if isinstance(choice, dict)]
        changed = listed != choices
        if changed:
            chunk["choices"] = listed
        for number, choice in enumerate(listed):
            if choice.get("index") != index_of(choice, number):
                choice["index"] = number
                changed = True
            if not isinstance(choice.get("text"), str):
                choice["text"] = ""
                changed = True
        return changed

    def finish(self, chunk: dict[str, Any]) -> bool:
        changed = False
        for choice in chunk["choices"]:
            changed = repair_finish_reason(choice) or changed
        return changed

    def unfinished(self) -> list[dict[str, Any]]:
        return []


class CompletionDecoder(ChatDecoder):
    """Relay `text_completion` chunks."""

    __slots__ = ()
    kind = KIND

    def _new_repairs(self) -> Repairs:
        return CompletionRepairs()

    def characters_in(self, choice: dict[str, Any]) -> int:
        return _length(choice)

    def _only_text(self, chunk: dict[str, Any]) -> str:
        choice = chunk["choices"][0]
        alone = len(chunk["choices"]) == 1 and choice["finish_reason"] is None
        return choice["text"] if alone else ""

    def ready(self, body: dict[str, Any]) -> ReadyAnswer:
        return ReadyCompletion(completion_answer(body, self._tidy_whole))


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
