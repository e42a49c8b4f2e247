"""Cases through the whole gateway, over sockets: every recording, and every streamed answer in
hostile framing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from core import error_codes
from providers.declaration import registry
from providers.declaration.errors import Failure
from providers.declaration.spec import Operation
from tests.fakes import framing
from tests.gateway.stage import Stage, ask, check_usage, code_of, compare, outcome_of, set_stage
from tests.providers import comparing
from tests.providers.case import PLAYED, Case, parameters

pytestmark = [pytest.mark.slow, pytest.mark.one_database]

SERVED = [
    case
    for case in PLAYED
    if case.operation in set(Operation)
    and case.slug in {one.slug for one in registry.all_providers()}
]
RECORDED = [case for case in SERVED if case.recorded]
STREAMED = [
    case for case in SERVED if case.stream and "error" not in case.expect and not case.recorded
]


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with set_stage([*RECORDED, *STREAMED]) as stage:
        yield stage


def check(stage: Stage, case: Case, **options: Any) -> None:
    stage.playback.begin(stage.scene_of(case, **options))
    response = ask(stage, case)
    if "error" in case.expect:
        check_error(case, response.status_code, response.json()["error"])
        # What is plainly wrong is refused before it is sent.
        assert stage.playback.played or case.expect["error"]["failure"] == Failure.BAD_REQUEST
        return
    stage.playback.check(response.text)
    assert response.status_code == 200, response.text
    compare(seen_in(response.headers["content-type"], response.content), case)
    check_usage(stage, case, response.headers["x-request-id"])


def seen_in(content_type: str, content: bytes) -> comparing.Outcome:
    if content_type.startswith("text/event-stream"):
        assert (
            content.endswith(b"data: [DONE]\n\n") or b'"choices"' not in content
        )  # audio has an event of its own at the end
        return outcome_of(None, [json.loads(data) for data in framing.data_of(content)])
    return outcome_of(
        json.loads(content) if content_type.startswith("application/json") else content
    )


def check_error(case: Case, status: int, error: dict[str, Any]) -> None:
    expected = case.expect["error"]
    assert (status, error["code"]) == (error_codes.find(code_of(case)).status, code_of(case)), error
    assert error["param"] == expected.get("param", error["param"])
    assert expected.get("message", "") in error["message"]


@pytest.mark.parametrize("case", parameters(RECORDED))
def test_recorded_answers_reach_the_client(stage: Stage, case: Case) -> None:
    check(stage, case)


FRAMES = [
    framing.crlf,
    framing.carriage_returns,
    framing.comments,
    framing.byte_order_mark,
    framing.no_blank_line,
    framing.several_lines,
]


@pytest.mark.parametrize("case", parameters(STREAMED))
def test_streams_reach_the_client_however_they_are_framed(stage: Stage, case: Case) -> None:
    check(stage, case, slowly=True)
    for frame in FRAMES:
        check(stage, case, frame=frame, again=True)
