"""A batch's lines: bounded, and sent with nothing changed but names."""

from __future__ import annotations

import io
import json

import pytest

from gateway.dataplane.errors import Refusal
from gateway.dataplane.stored import lines
from gateway.dataplane.stored.choosing import batch_paths
from tests.gateway.dataplane.stored.conftest import jsonl

PATH = "/v1/chat/completions"


def check(content: bytes) -> lines.Checked:
    return lines.check(io.BytesIO(content), paths=batch_paths())


def test_names_and_urls_are_replaced_and_nothing_else() -> None:
    content = jsonl("a/b", "b", "a/b", temperature=0.1, own={"model": "b", "n": 1e-7, "é": [None]})
    checked = check(content.replace(b"\n", b"\r\n\r\n"))
    assert (checked.path, checked.count) == (PATH, 3)
    assert checked.lines == {"a/b": 2, "b": 1}
    written = io.BytesIO()
    names = {"a/b": "x", "b": "y"}
    lines.write(io.BytesIO(content), written, url="/v4/chat/completions", names=names)
    before = [json.loads(line) for line in content.splitlines()]
    for line in before:
        line["url"], line["body"]["model"] = "/v4/chat/completions", names[line["body"]["model"]]
    assert [json.loads(line) for line in written.getvalue().splitlines()] == before


@pytest.mark.parametrize(
    ("name", "most", "said"),
    [
        ("MOST_LINES", 2, "more than 2 lines"),
        ("LONGEST_LINE", 100, "Line 1 is longer"),
        ("MOST_MODELS", 2, "Line 3 names one model too many"),
    ],
)
def test_a_file_has_bounds(
    monkeypatch: pytest.MonkeyPatch, name: str, most: int, said: str
) -> None:
    monkeypatch.setattr(lines, name, most)
    with pytest.raises(Refusal, match=said):
        check(jsonl("a", "b", "c"))


@pytest.mark.parametrize(
    "line", [b"[]", b"null", b'{"a":1,"a":2}', b"\xff", b"{" * 3000, b'{"custom_id": 7}', b"NaN"]
)
def test_what_is_no_request_is_refused_by_its_number(line: bytes) -> None:
    with pytest.raises(Refusal, match="Line 2"):
        check(jsonl("a") + line)
