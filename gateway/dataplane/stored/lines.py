"""The lines of a batch's file: checked when it is uploaded, with the provider's names when it is
sent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final, NoReturn

import orjson

from core import strict_json
from gateway.dataplane.doors.registry import ENDPOINTS
from gateway.dataplane.errors import Refusal, bad_request
from gateway.dataplane.refusals import NoCredits
from gateway.dataplane.stored.creation.lines import for_trial
from providers.operations.fields import problem_of

MOST_LINES: Final = 50_000  # as OpenAI, Azure and Alibaba allow
LONGEST_LINE: Final = 8 * 1024 * 1024  # bytes
MOST_MODELS: Final = 16  # of one file; OpenAI allows one
ID_LENGTH: Final = 512  # characters of a custom_id
_ID: Final = f"a text of at most {ID_LENGTH} characters"


@dataclass(slots=True)
class Checked:
    """What the lines of a file have in common.

    Attributes:
        path: The endpoint that all of them call, as /v1/chat/completions.
        lines: How many call each model, by the names that the caller wrote.
    """

    path: str = ""
    lines: dict[str, int] = field(default_factory=dict)
    count: int = 0


def check(file: BinaryIO, *, paths: Collection[str]) -> Checked:
    """Check all lines of a file.

    Args:
        paths: The endpoints that a batch may call at some provider.

    Raises:
        Refusal: 400 that names the line and the field.
    """
    checked, ids = Checked(), set()
    for number, line in _lines(file):
        checked.count += 1
        if checked.count > MOST_LINES:
            raise bad_request(f"The file has more than {MOST_LINES:,} lines.", "file")
        ids.add(_check_line(number, _parsed(number, line), checked, paths))
        if len(ids) < checked.count:
            _refuse(number, "repeats the custom_id of an earlier line")
    if not checked.count:
        raise bad_request("The file is empty: write one request per line.", "file")
    return checked


def write(
    file: BinaryIO, into: BinaryIO, *, url: str, names: Mapping[str, str], on_trial: bool = False
) -> None:
    """Write checked lines as the provider takes them.

    Args:
        url: The endpoint as the provider's lines name it.
        names: The provider's name of each model.
        on_trial: Whether the operator's account is asked.

    Raises:
        Refusal: 400 that names a line for which a trial does not pay.
    """
    for number, line in _lines(file):
        request = strict_json.loads(line)
        if on_trial:
            request["body"] = _on_trial(number, request["url"], request["body"])
        request["url"] = url
        request["body"]["model"] = names[request["body"]["model"]]
        into.write(orjson.dumps(request) + b"\n")


def _on_trial(number: int, path: str, body: dict[str, Any]) -> dict[str, Any]:
    try:
        return for_trial(body, ENDPOINTS[path].door.name)
    except NoCredits as caught:
        refusal = caught.refusal
        raise bad_request(f"Line {number}: {refusal.message}", f"body.{refusal.param}") from None


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not blank, with their numbers."""
    file.seek(0)
    number = 0
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            _refuse(number, f"is longer than {LONGEST_LINE // 1024 // 1024} MiB")
        if line.strip():
            yield number, line


def _parsed(number: int, line: bytes) -> dict[str, Any]:
    try:
        request = strict_json.loads(line)
        orjson.dumps(request)
    except strict_json.BadJSON as error:
        _refuse(number, f"cannot be read: {error.message.removesuffix('.')}")
    except TypeError:
        _refuse(number, "contains a number that is too large")
    if not isinstance(request, dict):
        _refuse(number, "must be a JSON object")
    return request


def _check_line(
    number: int, request: dict[str, Any], checked: Checked, paths: Collection[str]
) -> str:
    """Return the line's custom_id. Raises Refusal (400)."""
    custom_id, url, body = request.get("custom_id"), request.get("url"), request.get("body")
    if not isinstance(custom_id, str) or not custom_id:
        _refuse_field(number, request, "custom_id", str, _ID)
    if len(custom_id) > ID_LENGTH:
        raise bad_request(f"Line {number}: custom_id must be {_ID}.", "file")
    if not isinstance(body, dict):
        _refuse_field(number, request, "body", dict, "the body of a call")
    if request.get("method") != "POST":
        _refuse(number, "must have the method POST")
    if not isinstance(url, str) or url not in paths:
        _refuse(number, f"must have a url that batches may call: {', '.join(sorted(paths))}")
    if checked.path not in ("", url):
        _refuse(number, f"calls {url}, and an earlier line {checked.path}: use one file for each")
    checked.path = url
    _check_body(number, url, body, checked)
    return custom_id


def _check_body(number: int, path: str, body: Any, checked: Checked) -> None:
    """Check a body as that of a call, and note its model."""
    endpoint = ENDPOINTS[path]
    try:
        read = endpoint.door.read(endpoint.operation, body)
    except Refusal as refusal:
        param = f"body.{refusal.param}" if refusal.param else "body"
        raise bad_request(f"Line {number}: {refusal.message}", param) from None
    if read.model is None:
        _refuse(number, "must name its model in body.model")
    if read.stream:
        _refuse(number, "cannot be streamed: omit body.stream")
    checked.lines[read.model] = checked.lines.get(read.model, 0) + 1
    if len(checked.lines) > MOST_MODELS:
        _refuse(number, f"names one model too many: a file may have {MOST_MODELS}")


def _refuse_field(
    number: int, request: Mapping[str, Any], name: str, kinds: type, expected: str
) -> NoReturn:
    problem = problem_of(request, name, kinds, expected)
    raise bad_request(f"Line {number}: {name} {problem}", "file")


def _refuse(number: int, problem: str) -> NoReturn:
    raise bad_request(f"Line {number} {problem}.", "file")
