"""The playground's pages without a server of calls: what they offer, of whom, and at what cost."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import html5lib
import pytest
from django.db import connection
from django.template.loader import render_to_string
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from gateway.playground import views
from gateway.playground.calls import (
    Outcome,
    Problem,
    Vector,
    pictures,
    ranking,
    similarities,
    vectors,
)
from gateway.playground.choices import Offer, chat_parameters
from gateway.playground.forms import ChatForm, messages_of
from gateway.playground.script_texts import texts
from models_catalog.facts.library import shipped
from models_catalog.models import DefaultModel, TenantModel
from models_catalog.queries import entry
from models_catalog.resolution.entries import Entry, merge
from providers.declaration import registry
from providers.declaration.spec import Access, ModelType, Operation, Request
from tenants.scope import tenant_scope
from tests import factories, walk
from tests.page_text import folded

PAGES = ["", "embeddings/", "speech/", "images/", "rerank/"]
MOST_QUERIES = 12


@pytest.fixture
def demo(acme: factories.Workspace) -> factories.Workspace:
    with tenant_scope(acme.tenant):
        factories.make_credential(acme.tenant, provider="demo", name="Demo")
        factories.make_credential(acme.tenant, provider="openai", name="Main")
        DefaultModel.objects.create(
            tenant=acme.tenant, scenario="reasoning", model="openai/gpt-4o-mini"
        )
    return acme


def opened(user: Any, path: str = "", slug: str = "acme") -> Any:
    return walk.browser(user).get(f"/t/{slug}/playground/{path}")


def options(answer: Any, name: str = "model") -> list[str]:
    tree = html5lib.parse(answer.content, namespaceHTMLElements=False)
    return [
        one.get("value")
        for select in tree.iter("select")
        if select.get("name") == name
        for one in select.iter("option")
    ]


# On PostgreSQL, core/test_furnished_pages.py opens every page.
pytestmark = [pytest.mark.django_db, pytest.mark.one_database]


@pytest.mark.parametrize("path", PAGES)
def test_queries_do_not_grow(path: str, demo: factories.Workspace) -> None:
    browser = walk.browser(demo.owner)
    browser.get(f"/t/acme/playground/{path}")
    counts = []
    for number in range(2):
        with CaptureQueriesContext(
            connection,
        ) as made:
            assert browser.get(f"/t/acme/playground/{path}").status_code == 200
        counts.append(len(made))
        with tenant_scope(demo.tenant):
            for more in range(30):
                TenantModel.objects.create(
                    tenant=demo.tenant,
                    provider="openai",
                    model=f"gpt-{number}-{more}",
                    type="reasoning",
                    origin=TenantModel.Origin.ADDED,
                )
    assert counts[0] == counts[1] <= MOST_QUERIES


@pytest.mark.parametrize("path", PAGES)
def test_without_a_model_there_is_a_way_out(
    path: str, acme: factories.Workspace, settings: Any
) -> None:
    settings.MODELKEEP_DEMO_PROVIDER = False
    text = folded(opened(acme.owner, path))
    assert "yet</h2>" in text
    assert "/t/acme/settings/model-providers/?type=" in text
    assert "data-busy" not in text
    assert "Only an admin can do this." in folded(opened(acme.editor, path))


def test_without_any_model_for_speech_it_is_said_once(
    acme: factories.Workspace, settings: Any
) -> None:
    settings.MODELKEEP_DEMO_PROVIDER = False
    text = folded(opened(acme.owner, "speech/"))
    assert text.count("yet</h2>") == 1
    assert text.count('class="btn primary"') == 1
    assert "/help/playground/" in text


@pytest.mark.parametrize(
    ("path", "given"),
    [
        ("embeddings/", {"texts": "1\n2\n3\n4\n5\n6"}),
        ("images/", {"prompt": "", "n": "1"}),
        ("rerank/", {"query": "", "documents": "a"}),
    ],
)
def test_the_first_wrong_field_has_the_focus(
    path: str, given: dict[str, str], demo: factories.Workspace
) -> None:
    with tenant_scope(demo.tenant):
        shown = opened(demo.owner, path).context["offer"].model.id
    answer = walk.browser(demo.owner).post(f"/t/acme/playground/{path}", {"model": shown, **given})
    assert answer.status_code == 422
    (focused,) = re.findall(r"<(?:input|textarea)[^>]* autofocus[^>]*>", folded(answer))
    assert f'name="{next(iter(given))}"' in focused
    assert 'aria-invalid="true"' in focused


def test_the_default_is_chosen_and_another_can_be(demo: factories.Workspace) -> None:
    answer = opened(demo.owner)
    assert '<option value="openai/gpt-4o-mini" selected>' in folded(answer)
    assert '<option value="demo/demo-chat" selected>' in folded(
        opened(demo.owner, "?model=demo/demo-chat")
    )
    assert not [name for name in options(answer) if "embedding" in name or "davinci" in name]


def test_a_model_that_cannot_be_called_is_told(demo: factories.Workspace) -> None:
    with tenant_scope(demo.tenant):
        TenantModel.objects.create(
            tenant=demo.tenant, provider="openai", model="gpt-4o", type="reasoning", enabled=False
        )
    text = folded(opened(demo.owner, "?model=openai/gpt-4o"))
    assert "openai/gpt-4o cannot be called." in text
    assert "openai/gpt-4o-mini is used instead." in text
    assert "openai/gpt-4o" not in options(opened(demo.owner))
    hostile = folded(opened(demo.owner, "?model=<script>alert(1)</script>"))
    assert "<script>alert" not in hostile


def test_two_workspaces_see_their_own_models(
    demo: factories.Workspace, globex: factories.Workspace, stranger: Any
) -> None:
    with tenant_scope(demo.tenant):
        TenantModel.objects.create(
            tenant=demo.tenant,
            provider="openai",
            model="acme-secret-model",
            type="reasoning",
            origin=TenantModel.Origin.ADDED,
        )
    assert "openai/acme-secret-model" in options(opened(demo.owner))
    assert b"acme-secret-model" not in opened(globex.owner, slug="globex").content
    assert "openai/acme-secret-model" not in options(
        opened(globex.owner, "?model=openai/acme-secret-model", slug="globex")
    )
    for path in PAGES:
        assert opened(globex.owner, path).status_code == 404
        assert opened(stranger, path).status_code == 404


def test_viewers_may_not(demo: factories.Workspace) -> None:
    for path in PAGES:
        answer = opened(demo.viewer, path)
        assert answer.status_code == 403
        assert "cannot use models" in folded(answer)
    assert "/t/acme/playground/" not in folded(walk.browser(demo.viewer).get("/t/acme/"))
    assert "/t/acme/playground/" in folded(walk.browser(demo.editor).get("/t/acme/"))


def test_a_call_without_the_server_in_front_makes_none(demo: factories.Workspace) -> None:
    browser = walk.browser(demo.owner)
    assert browser.post("/t/acme/playground/call/chat.completions/").status_code == 204
    page = folded(
        browser.post("/t/acme/playground/", {"model": "openai/gpt-4o-mini", "message": "Hello"})
    )
    assert "make run" in page


def test_a_forged_form_is_refused(demo: factories.Workspace) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(demo.owner)
    for path in (*PAGES, "render/", "call/chat.completions/"):
        assert browser.post(f"/t/acme/playground/{path}", {"message": "Hello"}).status_code == 403


@pytest.mark.parametrize(
    "field",
    [
        {"history": "[" * 5000},
        {"history": '[{"user": "\\ud800", "answers": []}]'},
        {"history": '[{"user": "a", "answers": [{"slot": 0, "model": "\\udfff", "text": "b"}]}]'},
        {"history": '[{"user": "a", "answers": [{"slot": 1e999, "model": "m", "text": "b"}]}]'},
        {"history": '[{"user": "a", "answers": [{"slot": NaN, "model": "m", "text": "b"}]}]'},
        {"tools": "[" * 5000},
        {"tools": '[{"a": NaN}]'},
        {"tools": '["\\ud800"]'},
    ],
)
def test_json_that_means_no_good_is_an_error_of_the_form(
    field: dict[str, str], demo: factories.Workspace
) -> None:
    answer = walk.browser(demo.owner).post(
        "/t/acme/playground/", {"model": "openai/gpt-4o-mini", "message": "Hello", **field}
    )
    assert answer.status_code == 422
    assert answer.context["form"].errors.keys() == field.keys()


def test_of_a_long_conversation_the_last_answers_are_formatted(
    demo: factories.Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "LONGEST", 40)
    turns = [
        {"user": "u", "answers": [{"slot": 0, "model": "m", "text": f"**answer {number}** <b>"}]}
        for number in range(3)
    ]
    form = {"model": "openai/gpt-4o-mini", "message": "", "history": json.dumps(turns)}
    page = walk.browser(demo.owner).post("/t/acme/playground/", form).content.decode()
    assert "<pre>**answer 0** &lt;b&gt;</pre>" in page
    assert "<strong>answer 1</strong> &lt;b&gt;" in page
    assert "<strong>answer 2</strong> &lt;b&gt;" in page


def test_a_draft_from_another_page(demo: factories.Workspace) -> None:
    page = folded(
        walk.browser(demo.owner).post(
            "/t/acme/playground/", {"action": "draft", "message": "<b>heard</b>"}
        )
    )
    assert "&lt;b&gt;heard&lt;/b&gt;</textarea>" in page


def test_what_this_server_says_itself_is_in_the_readers_language() -> None:
    """The API's message is English; the page tells the same in its own words, and keeps the message
    among the details.
    """
    ours, theirs = (
        Problem(code, "A message in English.", 402, "r1")
        for code in ("trial_exhausted", "provider_error")
    )
    with translation.override("zh-hans"):
        page = folded(render_to_string("gateway/_problem.html", {"problem": ours}))
        assert "试用点数已用完" in page
        assert '<p lang="en">A message in English.</p></details>' in page
        assert "<p>A message in English.</p>" in folded(
            render_to_string("gateway/_problem.html", {"problem": theirs})
        )
        assert texts()["words"]["trial_exhausted"] == ours.text


# --------------------------------------------------------------------------------------- parameters


def parameters(acme: factories.Workspace, provider: str, model: str) -> dict[str, Any]:
    with tenant_scope(acme.tenant):
        found = entry(tenant_id=acme.tenant.pk, provider=provider, model=model)
    assert found is not None
    return {one.name: one for one in chat_parameters(found)}


def test_parameters_follow_the_models_rules(acme: factories.Workspace) -> None:
    usual = parameters(acme, "openai", "gpt-4o-mini")
    assert set(usual) == {
        "temperature",
        "max_tokens",
        "top_p",
        "presence_penalty",
        "frequency_penalty",
    }
    assert (
        usual["temperature"].minimum,
        usual["temperature"].maximum,
        usual["temperature"].default,
    ) == (0, 2, 1)
    assert usual["max_tokens"].maximum == 16_384


def test_what_a_model_does_not_take_is_not_offered(acme: factories.Workspace) -> None:
    with tenant_scope(acme.tenant):
        rules = {
            "temperature": {"supported": False},
            "top_p": {"supported": False},
            "max_tokens": {"supported": False},
        }
    silent = Entry(
        "openai",
        "x",
        ModelType.REASONING,
        "x",
        True,
        "shipped",
        parameters=rules,
        features=frozenset({"always_thinking", "reasoning"}),
    )
    (effort,) = chat_parameters(silent)
    assert effort.name == "reasoning_effort"
    assert "none" not in dict(effort.choices)


def test_every_effort_that_is_offered_can_be_said(acme: factories.Workspace) -> None:
    """On the wire of every provider, for every model that is shipped; of models that cannot be told
    so, no "none".
    """
    offered: dict[str, set[str]] = {}
    for provider in registry.all_providers():
        fields = [one.name for one in provider.credential_fields]
        key = next((one for one in ("api_password", "api_key", *fields) if one in fields), "")
        access = Access({key: "x" * 20}, "https://example.org/v1")
        for name, facts in shipped(provider.slug).models.items():
            model = merge(provider.slug, name, shipped=facts)
            efforts = [one for one in chat_parameters(model) if one.name == "reasoning_effort"]
            for value, _label in (
                efforts[0].choices if efforts and model.type is ModelType.REASONING else ()
            ):
                body = {
                    "model": name,
                    "messages": [{"role": "user", "content": "Hi"}],
                    "reasoning_effort": value,
                    "temperature": 0.5,
                }
                next(
                    provider.operations[Operation.CHAT](
                        provider, Request(Operation.CHAT, name, body), access, model.facts
                    )
                )
                offered.setdefault(model.id, set()).add(value)
    assert len({model.partition("/")[0] for model in offered}) >= 9
    assert all({"low", "medium", "high"} <= values for values in offered.values())
    assert (
        "none"
        in offered["openai/gpt-5.1"]
        & offered["anthropic/claude-sonnet-4-6"]
        & offered["tongyi/qwen3-max"]
    )
    assert (
        "none"
        not in offered["openai/gpt-5"]
        | offered["azure_openai/gpt-5-codex"]
        | offered["anthropic/claude-fable-5-2"]
    )


def test_a_range_is_held(acme: factories.Workspace) -> None:
    rules = {"temperature": {"min": Decimal("0.1"), "max": 1, "default": Decimal("0.95")}}
    one = Entry("wenxin", "ernie", ModelType.REASONING, "x", True, "shipped", parameters=rules)
    offer = Offer(ModelType.REASONING, (one,), one)
    form = ChatForm(
        {"model": one.id, "p-temperature": "0"}, offer=offer, parameters=chat_parameters(one)
    )
    assert "p-temperature" in form.errors
    assert 'placeholder="0.95"' in str(form["p-temperature"])
    form = ChatForm(
        {"model": one.id, "p-temperature": "0.5", "p-top_p": ""},
        offer=offer,
        parameters=chat_parameters(one),
    )
    assert form.is_valid(), form.errors
    assert form.body([{"user": "Hi", "answers": []}], 0) == {
        "messages": [{"role": "user", "content": "Hi"}],
        "temperature": 0.5,
    }


def test_each_of_two_models_goes_on_with_its_own_answers() -> None:
    turns = [
        {
            "user": "a",
            "answers": [
                {"slot": 0, "text": "left"},
                {"slot": 1, "text": "right"},
                {"slot": 0, "text": "better"},
            ],
        },
        {"user": "b", "answers": [{"slot": 0, "text": "alone"}]},
        {"user": "c", "answers": []},
    ]
    assert [one["content"] for one in messages_of(turns, 0)] == ["a", "better", "b", "alone", "c"]
    assert [one["content"] for one in messages_of(turns, 1)] == ["a", "right", "b", "alone", "c"]


# ------------------------------------------------------------------------------------------ answers


def test_cosines() -> None:
    found = [
        Vector("a", (1.0, 0.0)),
        Vector("b", (0.0, 2.0)),
        Vector("c", (-1.0, 0.0)),
        Vector("d", ()),
        Vector("e", (0.0, 0.0)),
    ]
    assert similarities(found)[0] == ["1.000", "0.000", "-1.000", "–", "–"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"data": None},
        {"data": [{"embedding": "AAAA"}, 3]},
        {"data": [{"index": 0, "embedding": [None]}]},
        {"data": 5},
        {"data": [{"index": [1], "embedding": [10**400]}]},
    ],
)
def test_an_answer_without_vectors(body: dict[str, Any]) -> None:
    assert [one.length for one in vectors(["a", "b"], body)] == [0, 0]


@pytest.mark.parametrize(
    "body",
    [
        {"choices": ["x"]},
        {"choices": {"a": 1}},
        {"choices": [{"message": "x"}]},
        {"choices": [{}]},
        {},
    ],
)
def test_an_answer_without_a_message(body: dict[str, Any]) -> None:
    assert (Outcome("openai/x", body=body).text, Outcome("openai/x", body=body).thought) == ("", "")


def test_great_numbers_have_an_angle_too() -> None:
    found = [Vector("a", (1e300, 0.0)), Vector("b", (1e300, 1e300)), Vector("c", (1e-300, 1e-300))]
    assert similarities(found)[0] == ["1.000", "0.707", "0.707"]


@pytest.mark.parametrize("score", ["abc", {"a": 1}, 10**400, None])
def test_an_order_without_scores(score: Any) -> None:
    rows = [
        {"index": 1, "relevance_score": score},
        {"index": 0, "relevance_score": 0.5},
        {"index": 0, "relevance_score": 0.5},
    ]
    assert [(one.number, one.score) for one in ranking(["a", "b"], {"results": rows})] == [
        (1, "0.5000"),
        (2, "0.0000"),
    ]
    assert ranking(["a"], {"results": 7}) == []


def test_an_order_with_what_is_not_there() -> None:
    rows = [
        {"index": 5, "relevance_score": 1},
        {"index": 1, "relevance_score": 0.5},
        {"index": 0},
        {"index": None},
        3,
    ]
    assert [(one.place, one.number) for one in ranking(["a", "b"], {"results": rows})] == [
        (1, 2),
        (2, 1),
    ]


@pytest.mark.parametrize(
    ("headers", "usage", "wanted"),
    [
        (
            {"x-modelkeep-source": "trial:openai", "x-modelkeep-credits-remaining": "37"},
            (12, 40),
            "12 + 40 tokens · 0.8 s · trial, 37 left",
        ),
        (
            {"x-modelkeep-source": "credential:My%20%22key%22"},
            (1, 2),
            '1 + 2 tokens · 0.8 s · My "key"',
        ),
        ({"x-modelkeep-source": "credential:Main"}, None, "0.8 s · Main"),
    ],
)
def test_footer(headers: dict[str, str], usage: Any, wanted: str) -> None:
    body = {"usage": {"prompt_tokens": usage[0], "completion_tokens": usage[1]}} if usage else {}
    assert Outcome("openai/x", body=body, headers=headers, seconds=0.83).footer == wanted


def test_the_pages_have_no_inline_code(demo: factories.Workspace) -> None:
    for path in PAGES:
        text = folded(opened(demo.owner, path))
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=", text)


def test_an_image_of_an_unknown_format_can_only_be_saved() -> None:
    rows = [{"b64_json": "PHN2Zz4="}, {"b64_json": "R0lGODlh", "revised_prompt": "b" * 999}, {}, 1]
    svg, gif = pictures("a", {"data": rows})
    assert (svg.url, svg.is_shown) == ("data:application/octet-stream;base64,PHN2Zz4=", False)
    assert (gif.url[:15], gif.filename, gif.is_shown) == ("data:image/gif;", "image-2.gif", True)
    assert (svg.text, gif.text) == ("a", "b" * 300)
