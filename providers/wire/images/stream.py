"""Streams of images: OpenAI's events with partial images, and whole answers as such events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from providers.declaration.errors import ProviderError
from providers.declaration.spec import ErrorMap, Frame, Operation, Reply, Request, Usage
from providers.wire.decoding import EventStream, ReadyStream, error_event, error_in_stream
from providers.wire.http import read_object
from providers.wire.images.answers import MAX_IMAGES, image_usage, images_answer, images_in
from providers.wire.openai.errors import error_object
from providers.wire.repairs.json_text import Repaired

# https://platform.openai.com/docs/api-reference/images-streaming
_EVENTS: Final[Mapping[Operation, str]] = {
    Operation.IMAGES: "image_generation",
    Operation.IMAGE_EDITS: "image_edit",
}


class ImageDecoder(EventStream):
    """Relay the events of partial and complete images."""

    def __init__(self, errors: ErrorMap, request: Request) -> None:
        super().__init__()
        self._errors = errors
        self._request = request
        self._wanted = request.body.get("n") or 1
        self._completed = 0

    def _error_of(self, body: bytes) -> ProviderError | None:
        return self._errors(Reply(200, {}, body))

    def _read_whole(self, limit: int = MAX_IMAGES) -> None:
        super()._read_whole(limit)

    def _convert(self, name: bytes, data: bytes) -> Sequence[Frame]:
        if name == b"error":
            raise error_event(self._errors, data)
        event = self._parsed(data)
        if event is None:
            return ()
        if error_object(event) is not None:
            raise error_in_stream(self._errors, data)
        if str(event.get("type")).endswith(".completed"):
            self._note(event)
        if isinstance(event, Repaired) or b"\n" in data:
            data = orjson.dumps(event)
        return [Frame(data, content=isinstance(event.get("b64_json"), str))]

    def _note(self, event: Mapping[str, Any]) -> None:
        self._completed += 1
        details = {**self._request.body, **event}
        self.usage = image_usage(event.get("usage"), self._completed, details)
        self.finish_reason, self.done = "stop", self._completed >= self._wanted

    def _unended(self) -> Sequence[Frame]:
        if not self._completed:
            return super()._unended()
        self.done = True  # fewer images than were wanted
        return ()

    def _whole_body(self, body: bytes) -> Sequence[Frame]:
        answer = read_object(Reply(200, {"content-type": "application/json"}, body))
        if error_object(answer) is not None:
            raise error_in_stream(self._errors, body)
        whole = images_answer(images_in(answer.get("data")), self._request, answer)
        assert whole.body is not None
        return self._answered(ReadyImages(whole.body, whole.usage, self._request.operation))


class ReadyImages(ReadyStream):
    """Decoder of a whole answer for a client that wants events.

    Args:
        partial: base64 of partial images.
    """

    def __init__(
        self,
        body: Mapping[str, Any],
        usage: Usage | None,
        operation: Operation,
        partial: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.usage, self.finish_reason = usage, "stop"
        self._body = body
        self._name = _EVENTS[operation]
        self._partial = partial

    def finish(self) -> Sequence[Frame]:
        self.done = True
        details = {name: value for name, value in self._body.items() if name != "data"}
        details["created_at"] = details.pop("created", 0)
        partial = [
            _event(f"{self._name}.partial_image", b64_json=data, partial_image_index=number)
            for number, data in enumerate(self._partial)
        ]
        completed = [
            _event(f"{self._name}.completed", **details, **image) for image in self._body["data"]
        ]
        return [*partial, *completed]


def _event(kind: str, **values: Any) -> Frame:
    return Frame(orjson.dumps({"type": kind, **values}), content=True)
