"""Stands in for the network below `providers.transport.sync_client.perform`: answers are told
beforehand, calls are kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from providers.declaration.spec import Call, Reply
from providers.failures.reasons import Reason
from providers.transport.failures import FailureKind, TransportFailure

JSON = {"content-type": "application/json"}


def reply(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Reply:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, {**JSON, **(headers or {})}, content)


def model_list(*rows: str | Mapping[str, Any]) -> Reply:
    """A list of models in OpenAI's shape."""
    return reply(
        200,
        {
            "object": "list",
            "data": [{"id": row} if isinstance(row, str) else dict(row) for row in rows],
        },
    )


def openai_error(
    status: int, code: str, message: str = "No.", kind: str = "invalid_request_error"
) -> Reply:
    return reply(status, {"error": {"message": message, "type": kind, "code": code, "param": None}})


def unreachable() -> TransportFailure:
    return TransportFailure("dns", Reason("dns"), sent=False)


def no_connection(kind: FailureKind) -> TransportFailure:
    return TransportFailure(kind, Reason("connect"), sent=False)


@dataclass
class Answers:
    """`script` is used up first, then `otherwise` answers every call."""

    otherwise: Reply | Exception = field(default_factory=lambda: model_list("gpt-6-luna"))
    script: list[Reply | Exception] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    pool_keys: list[str] = field(default_factory=list)

    def send(self, call: Call, *, pool_key: str, deadline: float) -> Reply:
        self.calls.append(call)
        self.pool_keys.append(pool_key)
        answer = self.script.pop(0) if self.script else self.otherwise
        if isinstance(answer, Exception):
            raise answer
        return answer

    def then(self, answers: Iterable[Reply | Exception]) -> None:
        self.script.extend(answers)

    @property
    def keys(self) -> list[str]:
        """The Authorization headers that were sent."""
        return [
            call.headers.get("Authorization", call.headers.get("authorization", ""))
            for call in self.calls
        ]
