"""Images, all the way: generated, edited, streamed, fetched; and what no client may get."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from providers.operations.images import white_square
from tests.fakes.provider import IMAGE
from tests.gateway.conftest import Hub

pytestmark = [pytest.mark.slow, pytest.mark.one_database]

PAINTER = "openai_compatible/painter"
BY_URL = "openai_compatible/painter-by-url"
PROMPT = {"prompt": "A lighthouse"}
PNG = white_square().data
DATA = base64.b64encode(IMAGE).decode()


@pytest.fixture(scope="module")
def served(shared_hub: Hub) -> Hub:
    base = f"{shared_hub.fake.url}/v1"
    shared_hub.seed(
        models=[
            {"provider": "openai_compatible", "model": model, "type": "image", "base_url": base}
            for model in ("painter", "painter-by-url")
        ]
    )
    return shared_hub


@pytest.fixture
def ready(served: Hub, hub: Hub) -> Iterator[Hub]:
    with hub.compared():
        yield hub


def paths(hub: Hub) -> list[str]:
    return [call.path for call in hub.fake.calls]


# ---------------------------------------------------------------------------- generated and edited


def test_the_sdk_generates_images(ready: Hub) -> None:
    answer = ready.sdk().images.generate(
        model="openai/gpt-image-2", prompt="A lighthouse", n=2, size="1024x1536", quality="low"
    )
    assert [base64.b64decode(image.b64_json or "") for image in answer.data or ()] == [IMAGE] * 2
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (12, 40)
    [call] = ready.fake.calls
    assert call.path == "/v1/images/generations"
    assert call.json() == {
        **PROMPT,
        "model": "gpt-image-2",
        "n": 2,
        "size": "1024x1536",
        "quality": "low",
    }
    record = ready.wait_for_record(answer._request_id)  # type: ignore[arg-type]  # there is one
    assert (record["images"], record["prompt_tokens"], record["completion_tokens"]) == (2, 12, 40)
    assert (record["usage_source"], record["status"]) == ("reported", "ok")
    assert record["cost"] is not None


def test_the_sdk_edits_images_with_a_mask(ready: Hub) -> None:
    files = [("a.png", PNG), ("b.png", PNG)]
    answer = ready.sdk().images.edit(
        model=PAINTER, prompt="Add a hat", image=files, mask=("mask.png", PNG), n=1
    )
    assert [image.b64_json for image in answer.data or ()] == [DATA]
    [call] = ready.fake.calls
    assert call.path == "/v1/images/edits"
    assert call.headers["content-type"].startswith("multipart/form-data")
    assert call.body.count(PNG) == 3
    assert call.body.count(b'name="image[]"; filename=') == 2
    assert call.body.count(b'name="mask"; filename=') == 1
    assert b'name="n"\r\n\r\n1\r\n' in call.body


def test_images_to_edit_may_be_sent_in_json(ready: Hub) -> None:
    url = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    body = {"model": PAINTER, "prompt": "Add a hat", "images": [{"image_url": url}]}
    assert ready.post("/images/edits", body).status_code == 200
    assert PNG in ready.fake.calls[0].body
    body["images"] = [{"image_url": "https://pictures.example/1.png"}]
    assert ready.post("/images/edits", body).status_code == 200
    assert ready.fake.calls[1].json() == {**body, "model": "painter"}


@pytest.mark.parametrize("edits", [False, True])
def test_partial_images_are_streamed(ready: Hub, edits: bool) -> None:
    images: Any = ready.sdk().images
    options: dict[str, Any] = {"image": ("a.png", PNG)} if edits else {}
    method = images.edit if edits else images.generate
    stream = method(model=PAINTER, prompt="Hello", stream=True, partial_images=1, **options)
    kind = "image_edit" if edits else "image_generation"
    events = list(stream)
    assert [event.type for event in events] == [f"{kind}.partial_image", f"{kind}.completed"]
    assert events[-1].b64_json == DATA
    record = ready.wait_for_record(stream.response.headers["x-request-id"])
    assert (record["images"], record["completion_tokens"], record["status"]) == (1, 40, "ok")


def test_demo_draws_without_a_network(ready: Hub) -> None:
    sdk = ready.sdk().images
    images = [
        sdk.generate(model="demo/demo-image", prompt=prompt, size="512x512")
        for prompt in ("a cat", "a cat", "a dog")
    ]
    drawn = [base64.b64decode((image.data or [])[0].b64_json or "") for image in images]
    assert drawn[0].startswith(b"\x89PNG")
    assert drawn[0] == drawn[1] != drawn[2]
    edited = sdk.edit(model="demo/demo-image", prompt="a cat", image=("a.png", PNG))
    assert (edited.data or [])[0].b64_json not in (None, base64.b64encode(drawn[0]).decode())
    assert ready.fake.count == 0


# -------------------------------------------------------------------------------------------- URLs


def test_a_url_is_passed_on_or_fetched_as_the_client_wants(ready: Hub) -> None:
    answer = ready.post("/images/generations", {"model": BY_URL, **PROMPT}).json()
    url = f"{ready.fake.url}/pictures/1.png"
    assert answer["data"] == [{"url": url}]
    assert paths(ready) == ["/v1/images/generations"]
    wanted = {"model": BY_URL, **PROMPT, "n": 2, "response_format": "b64_json"}
    answer = ready.post("/images/generations", wanted).json()
    assert answer["data"] == [{"b64_json": DATA}] * 2
    assert paths(ready)[2:] == ["/pictures/1.png"] * 2
    assert "authorization" not in ready.fake.calls[-1].headers  # nobody else gets the key


def refusal(hub: Hub, *modes: str) -> dict[str, Any]:
    """The error of a call whose images were to be fetched."""
    hub.fake.script(*modes)
    body = {"model": PAINTER, **PROMPT, "response_format": "b64_json"}
    response = hub.post("/images/generations", body)
    assert response.status_code == 502, response.text
    error: dict[str, Any] = response.json()["error"]
    record = hub.record(response)
    assert (record["status"], record["images"], record["credits"]) == ("error", None, 0)
    return error


def answering(*images: Any) -> str:
    return f"body:200:{json.dumps({'created': 1, 'data': images})}"


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/a.png",
        "https://127.0.0.1/a.png",
        "https://[::1]/a.png",
        "http://169.254.169.254/latest/meta-data/",
        "https://localhost/a.png",
        "https://user:word@pictures.example/a.png",
        "file:///etc/passwd",
        "https://",
        "https://pictures.example:22/a.png",
    ],
)
def test_no_internal_address_is_fetched(ready: Hub, url: str) -> None:
    error = refusal(ready, answering({"url": url}))
    assert error["code"] == "provider_error"
    assert paths(ready) == ["/v1/images/generations"]


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("large:25", "longer than 24 MiB"),
        ("status:403", "could not be fetched"),
        ("redirect:http://10.0.0.1/", "could not be fetched"),
        ("html", "no image"),
        ("body:200:{}", "no image"),
    ],
)
def test_what_is_no_image_is_not_passed_on(ready: Hub, mode: str, words: str) -> None:
    url = f"{ready.fake.url}/pictures/1.png"
    error = refusal(ready, answering({"url": url}), mode)
    assert error["code"] == "provider_error"
    assert words in error["message"]
    assert ready.chat().status_code == 200  # the credential does not rest for it


@pytest.mark.parametrize(
    "images",
    [
        [],
        [None],
        [{}],
        [{"b64_json": "not base64!"}],
        [{"b64_json": base64.b64encode(b"<!doctype html>").decode()}],
        [{"url": "javascript:alert(1)"}],
        [{"url": "https://pictures.example/" + "a" * 9000}],
    ],
)
def test_hostile_answers(ready: Hub, images: list[Any]) -> None:
    error = refusal(ready, answering(*images))
    assert "contains no image" in error["message"]


def test_an_answer_of_100_mb_is_not_read(ready: Hub) -> None:
    assert "longer than 64 MiB" in refusal(ready, "large:100")["message"]


# ---------------------------------------------------------------------------------------- refusals


def test_forms_that_cannot_be_edited(ready: Hub) -> None:
    def post(files: list[tuple[str, Any]], **fields: str) -> tuple[int, str]:
        data = {"model": PAINTER, "prompt": "Hello", **fields}
        response = ready.post("/images/edits", data=data, files=files)
        return response.status_code, response.json()["error"]["param"]

    image = ("image", ("a.png", PNG, "image/png"))
    assert post([("mask", image[1])]) == (400, "image")
    assert post([image, ("mask", image[1]), ("mask", image[1])]) == (400, "mask")
    assert post([("image[]", image[1])] * 17) == (400, "image")
    assert post([("image", ("a.png", b"MZ", "image/png"))]) == (415, "image")
    assert post([image], n="many") == (400, "n")
    assert post([image], n="0") == (400, "n")
    assert post([image, ("other", image[1])]) == (400, "other")
    assert ready.fake.count == 0


def test_a_model_of_another_type_is_named(ready: Hub) -> None:
    response = ready.post("/images/generations", {"model": "demo/demo-chat", **PROMPT})
    assert response.status_code == 400
    assert "demo/demo-chat is a model of type reasoning" in response.json()["error"]["message"]


def test_editing_is_refused_where_the_provider_has_none(ready: Hub) -> None:
    base = f"{ready.fake.url}/api/paas/v4"
    model = {"provider": "chatglm", "model": "glm-image", "type": "image"}
    ready.seed(
        credentials=[{"provider": "chatglm", "name": "GLM", "values": {}, "base_url": base}],
        models=[model],
    )
    url = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    body = {"model": "chatglm/glm-image", **PROMPT, "images": [{"image_url": url}]}
    response = ready.post("/images/edits", body)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (
        400,
        "invalid_request",
        "model",
    )
    assert "ChatGLM does not offer images.edits" in error["message"]
    assert "OpenAI, Azure OpenAI Service" in error["message"]
    assert not [path for path in paths(ready) if "images" in path]
