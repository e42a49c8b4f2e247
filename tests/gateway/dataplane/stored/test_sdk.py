"""Files and batches through the official SDK, for two workspaces on one account and a stranger."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import openai
import pytest
import requests

from tests.gateway.dataplane.stored.conftest import MODEL, Stage, jsonl

pytestmark = pytest.mark.slow


def wait_for(seen: Callable[[], Any]) -> Any:
    until = time.monotonic() + 10
    while not (found := seen()):
        assert time.monotonic() < until, "nothing came"
        time.sleep(0.02)
    return found


def test_a_file_is_sent_with_the_providers_names_and_read_back(stage: Stage) -> None:
    file = stage.upload()
    assert file.purpose == "batch"
    assert file.filename == "lines.jsonl"
    (kept,) = [kept for kept in stage.fake.files.values() if kept.said["id"] not in file.id][-1:]
    sent = [json.loads(line) for line in kept.content.splitlines()]
    assert [line["body"]["model"] for line in sent] == [MODEL, MODEL]
    assert [line["custom_id"] for line in sent] == ["line-0", "line-1"]
    assert stage.acme.files.content(file.id).read() == kept.content
    shown = stage.acme.files.retrieve(file.id)
    assert (shown.id, shown.bytes) == (file.id, len(kept.content))
    assert stage.acme.files.list().data[0].id == file.id
    assert stage.acme.files.delete(file.id).deleted
    assert file.id not in [listed.id for listed in stage.acme.files.list()]
    with pytest.raises(openai.NotFoundError):
        stage.acme.files.retrieve(file.id)


def test_a_batch_is_recorded_once_at_half_the_price(stage: Stage) -> None:
    before = len(stage.records())
    batch = stage.begin()
    assert batch.status == "in_progress"
    assert batch.endpoint == "/v1/chat/completions"
    assert stage.acme.files.retrieve(batch.input_file_id).id == batch.input_file_id
    stage.fake.finish()
    done = stage.acme.batches.retrieve(batch.id)
    assert done.status == "completed"
    output = stage.acme.files.content(done.output_file_id).text
    assert [json.loads(line)["custom_id"] for line in output.splitlines()] == ["line-0", "line-1"]
    (record,) = wait_for(lambda: stage.records()[before:])
    assert (record["prompt_tokens"], record["completion_tokens"]) == (200, 40)
    assert (record["model"], record["status"]) == (MODEL, "ok")
    assert record["usage_source"] == "reported"
    # gpt-4o-mini: 0.15 and 0.60 USD per million, for a batch half of that.
    assert Decimal(str(record["cost"])) == Decimal("0.000027")
    for _again in range(3):
        stage.acme.batches.retrieve(batch.id)
    wait_for(lambda: recorded(stage) == 0)
    assert len(stage.records()) == before + 1
    assert stage.acme.batches.list().data[0].id == batch.id
    assert stage.acme.files.delete(done.output_file_id).deleted


def recorded(stage: Stage) -> int:
    """How many batches are not recorded yet."""
    ((count,),) = stage.hub.rows(
        "SELECT count(*) FROM providers_storedbatch WHERE recorded IS NULL"
        " AND status IN ('completed', 'cancelled')"
    )
    return int(count)


def test_the_server_itself_asks_about_a_batch_that_nobody_asks_about(stage: Stage) -> None:
    before = len(stage.records())
    stage.begin()
    stage.fake.finish()
    stage.hub.execute("UPDATE providers_storedbatch SET checked = '2026-01-01 00:00:00+00:00'")
    (record,) = wait_for(lambda: stage.records()[before:])
    assert record["prompt_tokens"] == 200


def test_a_cancelled_batch_costs_nothing(stage: Stage) -> None:
    before = len(stage.records())
    batch = stage.begin()
    assert stage.acme.batches.cancel(batch.id).status == "cancelled"
    (record,) = wait_for(lambda: stage.records()[before:])
    assert (record["status"], record["prompt_tokens"]) == ("cancelled", None)
    assert not Decimal(str(record["cost"]))


def test_nobody_else_gets_to_a_file_or_a_batch(stage: Stage) -> None:
    """Not even a workspace on the same account: it has ids, but none of its own."""
    batch = stage.begin()
    stage.fake.finish()
    done = stage.acme.batches.retrieve(batch.id)
    ids = [batch.input_file_id, done.output_file_id]
    own = list(stage.fake.files)
    stranger = stage.client("mk_live_nobody")
    narrow = stage.narrow(allowed_models=["openai/gpt-3.5-turbo"])
    embeds = stage.narrow(allowed_operations=["embeddings"])
    for client in (stage.globex, narrow, embeds):
        assert not list(client.files.list())
        assert not list(client.batches.list())
        for file_id in ids:
            for ask in (client.files.retrieve, client.files.content, client.files.delete):
                with pytest.raises(openai.NotFoundError):
                    ask(file_id)
            with pytest.raises(openai.NotFoundError):
                client.batches.create(
                    input_file_id=file_id,
                    endpoint="/v1/chat/completions",
                    completion_window="24h",
                )
        for ask in (client.batches.retrieve, client.batches.cancel):
            with pytest.raises(openai.NotFoundError):
                ask(batch.id)
    changed = (ids[0][:-1], ids[0] + "A", ids[0].swapcase(), f"file-{batch.id[6:]}", "file-")
    for file_id in (*own[-2:], *changed):
        with pytest.raises(openai.NotFoundError):
            stage.acme.files.content(file_id)
    with pytest.raises(openai.AuthenticationError):
        stranger.files.list()
    messages = [refusal(stage, client, ids[0]) for client in (stage.globex, narrow)]
    assert messages[0] == messages[1]
    assert stage.acme.files.retrieve(ids[0]).id == ids[0]
    same_model = stage.narrow(allowed_models=[f"openai/{MODEL}"])
    assert same_model.files.retrieve(ids[0]).id == ids[0]


def refusal(stage: Stage, client: openai.OpenAI, file_id: str) -> Any:
    with pytest.raises(openai.NotFoundError) as caught:
        client.files.retrieve(file_id)
    assert isinstance(caught.value.body, dict)
    return caught.value.body["message"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"not json\n", "Line 1 cannot be read"),
        (b"\n\n", "The file is empty"),
        (jsonl(MODEL) * 2, "Line 2 repeats the custom_id"),
        (jsonl(MODEL).replace(b"POST", b"GET"), "Line 1 must have the method POST"),
        (jsonl(MODEL, path="/v1/rerank"), "Line 1 must have a url that batches may call"),
        (jsonl(MODEL) + jsonl("x", path="/v1/embeddings").replace(b"-0", b"-1"), "Line 2 calls"),
        (jsonl(""), "Line 1 must name its model"),
        (jsonl(MODEL, stream=True), "Line 1 cannot be streamed"),
        (jsonl(MODEL, api_key="sk-other"), "Line 1: api_key"),
        (jsonl(MODEL, messages=[]), "Line 1: "),
        (jsonl("openai/unknown"), "unknown"),
        (jsonl(MODEL, seed=2**70), "Line 1 contains a number that is too large"),
        (jsonl("demo/demo-chat"), "has no batches here"),
        (jsonl(f"openai/{MODEL}", "demo/demo-chat"), "must be of one provider"),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_sent(stage: Stage, content: bytes, said: str) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        stage.upload(content=content)
    assert caught.value.status_code in (400, 404)
    assert said in str(caught.value)
    assert not stage.fake.calls


def test_a_key_uploads_only_what_it_may_use(stage: Stage) -> None:
    narrow = stage.narrow(allowed_models=["openai/gpt-3.5-turbo"])
    with pytest.raises(openai.PermissionDeniedError):
        stage.upload(narrow)
    with pytest.raises(openai.BadRequestError, match="may use: none"):
        narrow.files.create(
            file=("a.txt", b"a"), purpose="user_data", extra_body={"provider": "openai"}
        )


def test_other_files_name_their_provider_or_need_not(stage: Stage) -> None:
    for named in ({}, {"provider": "openai"}):
        file = stage.acme.files.create(
            file=("notes.txt", b"What I know"), purpose="user_data", extra_body=named
        )
        assert stage.acme.files.content(file.id).read() == b"What I know"
        assert b"provider" not in stage.fake.calls[0].body
    with pytest.raises(openai.BadRequestError, match="provider must be one that keeps files"):
        stage.acme.files.create(
            file=("notes.txt", b""), purpose="user_data", extra_body={"provider": "anthropic"}
        )
    with pytest.raises(openai.BadRequestError, match="was not uploaded with the purpose batch"):
        stage.acme.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        )


def test_lists_have_pages(stage: Stage) -> None:
    made = [stage.upload().id for _number in range(3)]
    page = stage.acme.files.list(limit=2)
    assert [file.id for file in page.data] == made[:0:-1]
    assert page.has_more
    assert [file.id for file in stage.acme.files.list(limit=2)][:3] == made[::-1]
    oldest = stage.acme.files.list(order="asc", limit=1, after=made[1])
    assert oldest.data[0].id == made[2]
    assert not list(stage.acme.files.list(purpose="nothing"))
    with pytest.raises(openai.BadRequestError):
        stage.acme.files.list(limit=0)
    with pytest.raises(openai.NotFoundError):
        stage.globex.files.list(after=made[0])


def test_a_file_that_is_too_long_is_refused(stage: Stage) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        stage.acme.files.create(file=("a", bytes(4 * 1024 * 1024 + 1)), purpose="user_data")
    assert caught.value.status_code == 413
    assert not stage.fake.calls
    whole = bytes(4 * 1024 * 1024)
    file = stage.acme.files.create(file=("a", whole), purpose="user_data")
    assert stage.acme.files.content(file.id).read() == whole


@pytest.mark.parametrize("id", ["", "../models", "a/b", "a b", "..", "file-000001"])
def test_an_id_that_is_none_or_taken_is_refused(stage: Stage, id: str) -> None:
    if id.startswith("file-"):
        stage.upload()
        id = list(stage.fake.files)[-1]
    elif not id:
        id = "x" * 300
    stage.fake.gives_id = id
    with pytest.raises(openai.APIStatusError) as caught:
        stage.upload()
    assert caught.value.status_code == 502
    assert "no usable ID" in str(caught.value)


def test_a_batch_that_names_another_file_gets_no_id_for_nonsense(stage: Stage) -> None:
    batch = stage.begin()
    kept = list(stage.fake.batches.values())[-1]
    kept.said |= {"output_file_id": "../../v1/models", "id": "batch_other", "error_file_id": 7}
    shown = stage.acme.batches.retrieve(batch.id)
    assert (shown.id, shown.output_file_id, shown.error_file_id) == (batch.id, None, None)


def test_an_answer_that_no_database_stores_is_passed_on(stage: Stage) -> None:
    batch = stage.begin()
    kept = list(stage.fake.batches.values())[-1]
    for odd in ({"metadata": {"a": "\0"}}, {"metadata": {"a": "x" * 50_000}}):
        kept.said |= odd
        shown = stage.acme.batches.retrieve(batch.id)
        assert shown.to_dict().items() >= odd.items()
    listed = stage.acme.batches.list(limit=1).data[0]
    assert (listed.id, listed.status) == (batch.id, "in_progress")
    kept.said["status"] = "done\0" * 50
    assert stage.acme.batches.retrieve(batch.id).id == batch.id


def test_a_content_that_breaks_off_is_not_taken_for_whole(stage: Stage) -> None:
    file = stage.upload()
    stage.fake.script("break")
    headers = {"Authorization": f"Bearer {stage.acme.api_key}"}
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        requests.get(f"{stage.hub.base}/files/{file.id}/content", headers=headers, timeout=30)
    assert stage.acme.files.content(file.id).read()


def test_garbage_in_an_output_is_recorded_as_estimated(stage: Stage) -> None:
    before = len(stage.records())
    batch = stage.begin()
    good = stage.fake._answered({"custom_id": "a", "body": {"model": MODEL}})
    error = b'{"custom_id": "b", "response": {"status_code": 400, "body": {"error": {}}}}\n'
    stage.fake.output = good + error + b'[]\nnot json\n{"response": 7}\n' + b"x" * 100_000
    stage.fake.finish()
    stage.acme.batches.retrieve(batch.id)
    (record,) = wait_for(lambda: stage.records()[before:])
    assert (record["prompt_tokens"], record["usage_source"]) == (100, "estimated")
    assert record["cost"] is None


def test_a_removed_credential_takes_its_files_along(stage: Stage) -> None:
    account = {
        "provider": "tongyi",
        "name": "Soon gone",
        "values": {"api_key": "sk-canary7f3a-soon-gone-0123456789"},
        "base_url": f"{stage.fake.url}/compatible-mode/v1",
    }
    stage.hub.seed(credentials=[account])
    file = stage.upload(content=jsonl("tongyi/qwen-plus"))
    assert stage.acme.files.retrieve(file.id).id == file.id
    api = f"{stage.hub.server.url}/api/v1/providers/tongyi/credentials/"
    headers = {"Authorization": f"Bearer {stage.acme.api_key}"}
    (row,) = requests.get(api, headers=headers, timeout=30).json()["results"]
    assert requests.delete(f"{api}{row['id']}/", headers=headers, timeout=30).status_code == 204
    with pytest.raises(openai.NotFoundError, match="its credential was removed"):
        stage.acme.files.retrieve(file.id)
    assert file.id not in [listed.id for listed in stage.acme.files.list()]


def test_other_methods_and_paths_are_refused(stage: Stage) -> None:
    headers = {"Authorization": f"Bearer {stage.acme.api_key}"}
    for method, path, status in (
        ("PUT", "/files", 405),
        ("DELETE", "/batches/batch_x", 405),
        ("GET", "/batches/x/cancel", 405),
        ("GET", "/files/x/nothing", 404),
        ("GET", "/../openai/files?api-version=2024-10-21", 200),
        ("GET", "/../openai/v1/batches", 200),
        ("POST", "/files", 415),
        ("POST", "/batches", 400),
    ):
        answer = requests.request(method, stage.hub.base + path, headers=headers, timeout=30)
        assert answer.status_code == status, (path, answer.text)
        assert ("error" in answer.json()) is (status != 200)
