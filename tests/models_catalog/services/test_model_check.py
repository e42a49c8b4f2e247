"""The test behind a button: one smallest request of the model's type, with the workspace's own key,
and never on a trial.
"""

from __future__ import annotations

import io
import json
import re
import wave
from typing import Any

import pytest

from core.errors import Conflict
from models_catalog.errors import ModelDisabled, ModelNotFound
from models_catalog.models import TenantModel
from models_catalog.services import adding, defaults, models
from models_catalog.services.model_check import try_model
from providers.credentials.checking import CredentialRefused
from providers.declaration.spec import ModelType, Reply
from tenants.audit.trail import COMMAND
from tenants.models import Tenant
from tenants.scope import tenant_scope
from tests import walk
from tests.answers import Answers, openai_error, reply
from tests.factories import Workspace, make_credential, make_user, marked_secret

SERVER = "https://models.example/v1"
CHAT = reply(
    200,
    {
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "p"},
                "finish_reason": "length",
            }
        ]
    },
)
ANSWERS = {
    "reasoning": (
        "/chat/completions",
        CHAT,
        {"messages": [{"role": "user", "content": "ping"}], "max_tokens": 1},
    ),
    "embedding": (
        "/embeddings",
        reply(200, {"data": [{"index": 0, "embedding": [0.1]}]}),
        {"input": "ping"},
    ),
    "speech-to-text": ("/audio/transcriptions", reply(200, {"text": ""}), None),
    "text-to-speech": (
        "/audio/speech",
        Reply(200, {"content-type": "audio/mpeg"}, b"ID3"),
        {"input": "ping", "voice": "alloy"},
    ),
    "rerank": (
        "/rerank",
        reply(
            200,
            {"results": [{"index": 0, "relevance_score": 1}, {"index": 1, "relevance_score": 0}]},
        ),
        {"query": "ping", "documents": ["ping", "pong"]},
    ),
    "moderation": (
        "/moderations",
        reply(200, {"results": [{"flagged": False}]}),
        {"input": "ping"},
    ),
    "image": (
        "/images/generations",
        reply(200, {"created": 1, "data": [{"b64_json": "iVBORw=="}]}),
        {"prompt": "a red dot"},
    ),
}


@pytest.fixture
def server(tenant: Tenant) -> Any:
    return make_credential(
        tenant,
        provider="openai_compatible",
        values={"api_key": marked_secret("server key")},
        base_url=SERVER,
    )


def add(tenant: Tenant, kind: str, **values: str) -> TenantModel:
    return adding.add_model(
        tenant=tenant,
        actor=COMMAND,
        provider="openai_compatible",
        model="m",
        type=kind,
        values=values,
    )


@pytest.mark.parametrize("kind", ANSWERS)
def test_each_type_is_tried_with_its_own_smallest_request(
    tenant: Tenant, server: Any, answers: Answers, kind: str
) -> None:
    path, answers.otherwise, body = ANSWERS[kind]
    add(tenant, kind)
    assert try_model(tenant=tenant, name="openai_compatible/m") >= 0
    assert [call.url for call in answers.calls] == [SERVER + path] * 2  # when it was added, and now
    sent = answers.calls[-1].body or b""
    if body is not None:
        assert json.loads(sent) == {"model": "m", **body}
        return
    with wave.open(io.BytesIO(sent[sent.index(b"RIFF") :])) as sound:
        assert sound.getnframes() == sound.getframerate()  # a second
        assert not any(sound.readframes(sound.getnframes()))


def test_every_type_has_its_test() -> None:
    assert set(ANSWERS) == set(ModelType)


@pytest.mark.parametrize("kind", ANSWERS)
def test_a_failure_says_what_the_server_said(
    tenant: Tenant, server: Any, answers: Answers, kind: str
) -> None:
    answers.otherwise = openai_error(400, "bad_voice", "There is no such voice")
    with pytest.raises(
        CredentialRefused,
        match=r"did not accept the test request \(400 bad_voice\): There is no such voice",
    ):
        add(tenant, kind)
    assert TenantModel.objects.filter(tenant=tenant).count() == 0


def test_the_models_own_voice_is_used(tenant: Tenant, server: Any, answers: Answers) -> None:
    answers.otherwise = ANSWERS["text-to-speech"][1]
    add(tenant, "text-to-speech", voice="af_sky")
    try_model(tenant=tenant, name="openai_compatible/m")
    assert [json.loads(call.body or b"")["voice"] for call in answers.calls] == ["af_sky", "af_sky"]


def test_known_facts_shape_the_request(tenant: Tenant, answers: Answers) -> None:
    make_credential(tenant)
    answers.otherwise = reply(
        200, {"choices": [{"index": 0, "text": "p", "finish_reason": "length"}]}
    )
    try_model(tenant=tenant, name="openai/gpt-3.5-turbo-instruct")
    assert answers.calls[-1].url.endswith("/v1/completions")
    answers.otherwise = CHAT
    try_model(tenant=tenant, name="openai/gpt-5-mini")
    assert json.loads(answers.calls[-1].body or b"")["max_completion_tokens"] == 16


@pytest.mark.parametrize(
    "kind", ["chat", "embedding", "transcribe", "speech", "rerank", "moderation"]
)
def test_the_demonstration_answers_all_tests_without_a_network(
    tenant: Tenant, answers: Answers, kind: str
) -> None:
    make_credential(tenant, provider="demo", values={})
    assert try_model(tenant=tenant, name=f"demo/demo-{kind}") >= 0
    assert answers.calls == []


def test_what_cannot_be_tried(tenant: Tenant, answers: Answers) -> None:
    with pytest.raises(ModelNotFound):
        try_model(tenant=tenant, name="openai/nothing")
    with pytest.raises(Conflict, match="Add your own"):
        try_model(tenant=tenant, name="openai/gpt-4o-mini")
    make_credential(tenant)
    models.set_enabled(
        tenant=tenant, actor=COMMAND, provider="openai", model="gpt-4o-mini", enabled=False
    )
    with pytest.raises(ModelDisabled):
        try_model(tenant=tenant, name="openai/gpt-4o-mini")
    assert answers.calls == []


def test_a_strangers_key_is_never_used(tenant: Tenant, globex: Workspace, answers: Answers) -> None:
    with tenant_scope(globex.tenant):
        make_credential(globex.tenant)
    with pytest.raises(Conflict):
        try_model(tenant=tenant, name="openai/gpt-4o-mini")
    assert answers.calls == []


# --------------------------------------------------------------------- the button on a model's page

PAGE = "/t/acme/settings/model-providers/openai_compatible/models/"


def pressed(workspace: Workspace, model: str) -> str:
    answer = walk.browser(workspace.admin).post(f"{PAGE}{model}/test/", follow=True)
    assert answer.redirect_chain == [(f"{PAGE}{model}/", 302)]
    return str(answer.content.decode())


def test_a_models_page_tests_it_as_a_call_would_be_made(
    acme: Workspace, tenant: Tenant, server: Any, answers: Answers
) -> None:
    answers.otherwise = CHAT
    adding.add_model(
        tenant=tenant,
        actor=COMMAND,
        provider="openai_compatible",
        model="family/m",
        type="reasoning",
        values={},
    )
    assert (
        f'action="{PAGE}family/m/test/"'
        in walk.browser(acme.admin).get(f"{PAGE}family/m/").content.decode()
    )
    assert re.search(r"openai_compatible/family/m answered in \d+ ms\.", pressed(acme, "family/m"))
    assert json.loads(answers.calls[-1].body or b"")["model"] == "family/m"
    answers.otherwise = openai_error(401, "invalid_api_key", "No such key")
    assert "(401 invalid_api_key)" in pressed(acme, "family/m")
    sent = len(answers.calls)
    models.set_enabled(
        tenant=tenant, actor=COMMAND, provider="openai_compatible", model="family/m", enabled=False
    )
    assert "/test/" not in walk.browser(acme.admin).get(f"{PAGE}family/m/").content.decode()
    assert "switched off" in pressed(acme, "family/m")
    assert len(answers.calls) == sent, "what is switched off is not asked"


def test_a_default_that_is_switched_off_says_so(
    acme: Workspace, tenant: Tenant, server: Any, answers: Answers
) -> None:
    answers.otherwise = CHAT
    add(tenant, "reasoning")
    defaults.set_default(
        tenant=tenant, actor=COMMAND, scenario="reasoning", model="openai_compatible/m"
    )
    models.set_enabled(
        tenant=tenant, actor=COMMAND, provider="openai_compatible", model="m", enabled=False
    )
    answer = walk.browser(acme.admin).post(
        "/t/acme/settings/default-models/reasoning/test/", follow=True
    )
    assert answer.status_code == 200
    assert "switched off" in answer.content.decode()


def test_who_may_not_change_models_may_not_test_them(
    acme: Workspace, tenant: Tenant, server: Any, answers: Answers
) -> None:
    answers.otherwise = CHAT
    add(tenant, "reasoning")
    sent = len(answers.calls)
    for person in (acme.viewer, acme.editor):
        assert b"/test/" not in walk.browser(person).get(f"{PAGE}m/").content
        assert walk.browser(person).post(f"{PAGE}m/test/").status_code == 403
    assert walk.browser(acme.admin).get(f"{PAGE}m/test/").status_code == 405
    assert walk.browser(acme.admin).post(f"{PAGE}nothing/test/").status_code == 404
    assert (
        walk.browser(make_user("stranger@nowhere.test")).post(f"{PAGE}m/test/").status_code == 404
    )
    assert len(answers.calls) == sent
