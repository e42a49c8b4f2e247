"""Reasoning comes back byte for byte through clients that keep nothing but the ids of calls."""

from __future__ import annotations

import base64
import operator
import random
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dataplane.continuity import ids
from gateway.dataplane.continuity.answers import ThoughtIds
from gateway.dataplane.doors.interface import Carries
from providers.declaration.spec import Answer, ModelFacts, Operation, Request
from providers.wire.anthropic.messages import Rules, message_request
from providers.wire.openai.responses.exchange import response_request
from tenants.crypto.keys import Seal
from tests.gateway.dataplane.continuity.forgetful import (
    ACME,
    GLOBEX,
    Client,
    Streamed,
    of_anthropic,
    of_openai,
)

pytestmark = pytest.mark.one_database
Item = dict[str, Any]


def signature(length: int) -> str:
    """Return what cannot be compressed, as signatures and encrypted reasoning cannot."""
    return base64.b64encode(random.Random(1).randbytes(length)).decode()[:length]


SIGNED = {"type": "thinking", "thinking": "I need f.", "signature": "EqQBCgIYAhIM1gbc"}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"x": 1}}
texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=300)
thoughts = st.lists(
    st.one_of(
        st.builds(
            lambda text, mark: SIGNED | {"thinking": text, "signature": mark},
            texts,
            texts.filter(bool),
        ),
        st.builds(lambda data: {"type": "redacted_thinking", "data": data}, texts),
    ),
    min_size=1,
    max_size=3,
)


def sent_to_anthropic(body: Item) -> list[Item]:
    request = Request(Operation.CHAT, "claude", body, False, None)
    turns: list[Item] = message_request(request, ModelFacts(), Rules())["messages"]
    return turns


def sent_to_openai(body: Item) -> list[Item]:
    request = Request(Operation.CHAT, "gpt", body, False, None)
    items: list[Item] = response_request(request, ModelFacts())["input"]
    return items


@settings(max_examples=20)
@given(first=thoughts, second=thoughts, streamed=st.booleans())
def test_signed_thoughts_are_the_same_after_two_turns(
    first: list[Item], second: list[Item], streamed: bool
) -> None:
    client = Client(stores=True)
    answered = [
        [*first, {"type": "text", "text": "Wait."}, CALL, CALL | {"id": "toolu_2"}],
        [*second, CALL | {"id": "toolu_3"}],
    ]
    turns = [client.hear(of_anthropic(blocks, streamed=streamed)) for blocks in answered]
    body = client.ask(*turns)
    sent = sent_to_anthropic(body)
    assert orjson.dumps([turn["content"] for turn in sent if turn["role"] == "assistant"]) == (
        orjson.dumps(answered)
    )
    assert [block["tool_use_id"] for turn in (sent[2], sent[4]) for block in turn["content"]] == [
        "toolu_1",
        "toolu_2",
        "toolu_3",
    ]
    assert not client.lost
    assert orjson.dumps(client.ask(*turns)) == orjson.dumps(body)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("longest", [40, 615])
def test_encrypted_reasoning_keeps_its_place(streamed: bool, longest: int) -> None:
    def reasoning(number: int) -> Item:
        sealed = "gAAAAAB" + signature(2000)
        return {
            "type": "reasoning",
            "id": f"rs_{number}",
            "summary": [],
            "encrypted_content": sealed,
        }

    def call(number: int) -> Item:
        return {
            "type": "function_call",
            "call_id": f"call_{number}",
            "name": "f",
            "arguments": '{"x":1}',
        }

    output = [reasoning(1), call(1), reasoning(2), call(2), call(3)]
    client = Client(stores=True, longest=longest)
    turn = client.hear(of_openai(output, streamed=streamed))
    assert all(len(call["id"]) <= 64 for call in turn["tool_calls"])
    sent = sent_to_openai(client.ask(turn))
    assert orjson.dumps(sent[1:6]) == orjson.dumps(output)
    assert [item["call_id"] for item in sent[6:]] == ["call_1", "call_2", "call_3"]
    assert not client.lost


def test_ids_have_the_length_that_clients_keep() -> None:
    client = Client(stores=True)
    for length in (0, 100, 300, 400, 5000):
        thought = SIGNED | {"signature": signature(length)}
        turn = client.hear(of_anthropic([thought, CALL], streamed=False))
        [call] = turn["tool_calls"]
        assert len(call["id"]) <= ids.LONGEST
        assert call["id"].replace("-", "").replace("_", "").isalnum()
        assert client.ask(turn)["messages"][1]["provider_blocks"] == [thought]
    assert client.rows.keys() == {key[: ids.KEY_LENGTH] for key in client.rows}


@pytest.mark.parametrize("damage", ["cut", "forged", "another workspace's", "expired"])
def test_what_does_not_open_is_left_out_and_told(damage: str) -> None:
    client = Client(stores=damage == "expired", longest=40 if damage == "cut" else 615)
    thought = SIGNED | {"signature": signature(8000 if damage == "expired" else 80)}
    turn = client.hear(of_anthropic([thought, CALL, CALL | {"id": "toolu_2"}], streamed=False))
    client.rows.clear()
    if damage == "forged":
        turn["tool_calls"][0]["id"] = turn["tool_calls"][0]["id"][:-4] + "AAAA"
    body = client.ask(turn, tenant_id=GLOBEX if damage.startswith("another") else ACME)
    _question, asked, *results = body["messages"]
    assert client.lost
    assert "provider_blocks" not in asked
    names = [call["id"] for call in asked["tool_calls"]]
    assert names == [result["tool_call_id"] for result in results]
    assert names[1] == "toolu_2"
    assert len(names[0]) <= 64
    assert sent_to_anthropic(body)[1]["content"][0]["type"] == "tool_use"


def test_reasoning_that_is_too_long_is_told_without_a_store() -> None:
    client = Client()
    turn = client.hear(
        of_anthropic([SIGNED | {"signature": signature(4000)}, CALL], streamed=False)
    )
    body = client.ask(turn)
    assert client.lost
    assert not client.rows
    assert body["messages"][1]["tool_calls"][0]["id"] == "toolu_1"
    assert "provider_blocks" not in body["messages"][1]


@pytest.mark.parametrize("name", ["provider_blocks", "reasoning_content"])
def test_what_the_caller_brings_back_is_not_doubled(name: str) -> None:
    client = Client()
    thoughts = {"provider_blocks": [SIGNED], "reasoning_content": "I need f."}
    message = {"role": "assistant", "content": None, "tool_calls": [openai_call("call_9")]}
    given = {"choices": [{"index": 0, "message": message | {name: thoughts[name]}}]}
    turn = client.hear(answer(given), texts=True) | {name: thoughts[name]}
    restored = client.ask(turn)["messages"][1]
    assert restored == turn | {"tool_calls": [openai_call("call_9")]}
    assert not client.lost


def test_servers_that_want_their_reasoning_as_a_text_get_it() -> None:
    client = Client()
    message = {"role": "assistant", "content": None, "tool_calls": [openai_call("call_9")]}
    given = answer({"choices": [{"index": 0, "message": message | {"reasoning_content": "Hm."}}]})
    turn = client.hear(given, texts=True)
    assert client.ask(turn)["messages"][1]["reasoning_content"] == "Hm."
    assert client.hear(given, texts=False)["tool_calls"] == [openai_call("call_9")]
    assert client.hear(given, texts=True, carries=Carries.ANTHROPIC)["tool_calls"] == [
        openai_call("call_9")
    ]


def test_signatures_of_single_calls_come_back() -> None:
    extra = {"google": {"thought_signature": "c2ln"}}
    calls = [openai_call("c1") | {"extra_content": extra}, openai_call("c2")]
    message = {"role": "assistant", "content": None, "tool_calls": calls}
    client = Client()
    turn = client.hear(answer({"choices": [{"index": 0, "message": message}]}))
    assert client.ask(turn)["messages"][1]["tool_calls"] == calls
    assert turn["tool_calls"][1]["id"] == "c2"


def test_formats_that_carry_reasoning_need_no_ids() -> None:
    client = Client()
    given = of_anthropic([SIGNED, CALL], streamed=True)
    for carries in (Carries.ANTHROPIC, Carries.ALL):
        assert client.hear(given, carries=carries)["tool_calls"][0]["id"] == "toolu_1"


def test_calls_without_reasoning_pass_as_they_are() -> None:
    given = of_anthropic([CALL, CALL | {"id": "toolu_2"}], streamed=True)
    assert isinstance(given, Streamed)
    new_ids = ThoughtIds(Seal(ACME), carries=Carries.NOTHING, stores=True, texts=True)
    assert all(map(operator.is_, new_ids.frames(given.frames), given.frames))
    assert not new_ids.taken_rows()


def test_ids_are_found_as_whole_strings_only() -> None:
    identity, _row = ids.id_of(ids.Thought("c", text="Hm."), Seal(ACME), stores=False)
    data = orjson.dumps({"id": identity, "text": f"It was {identity}.", "other": "call_mk2s"})
    assert ids.ids_in(data) == {identity}
    assert ids.with_ids(data, {identity: "c"}) == data.replace(f'"{identity}"'.encode(), b'"c"')
    assert ids.ids_in(b'{"id": "call_1"}') == frozenset()


def openai_call(identity: str) -> Item:
    return {"id": identity, "type": "function", "function": {"name": "f", "arguments": "{}"}}


def answer(body: Item) -> Any:
    return Answer(body)
