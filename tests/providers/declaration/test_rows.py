"""Providers declared by their TOML file alone: what a row becomes, and how its mistakes are
answered.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.utils import translation

from config import start
from providers import checks
from providers.declaration import files, registry, tables
from providers.declaration.quirks import QUIRKS
from providers.declaration.rows import KEYS, provider_of
from providers.declaration.spec import (
    ORDER,
    Access,
    Kind,
    ModelFacts,
    ModelType,
    Operation,
    Provider,
    Reply,
    Request,
)
from tests.providers.driving import Outcome, drive, run

FOLDER = files.FOLDER
ROW = """
[provider]
label = "Example"
description.en = "Models of Example."
description.zh-hans = "Example 的模型。"
kind = "own"
key_url = "https://console.example.com/keys"
base_url = "https://api.example.com/v1"
operations = ["chat.completions", "embeddings"]
"""
REGIONS = """
[provider.regions.eu]
label.en = "Europe"
label.zh-hans = "欧洲"
base_url = "https://eu.example.com/v1"

[provider.regions.asia]
label.en = "Asia"
label.zh-hans = "亚洲"
base_url = "https://asia.example.com/v1"
"""
ANSWER = {
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
    ]
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(files, "FOLDER", tmp_path)
    yield tmp_path
    registry._registry.cache_clear()


def row(folder: Path, text: str = ROW) -> Provider:
    (folder / "example.toml").write_text(text, encoding="utf-8")
    return provider_of("example")


def chat(provider: Provider, body: dict[str, Any], answer: Any = ANSWER) -> Outcome:
    request = Request(
        Operation.CHAT, "m", {"messages": [{"role": "user", "content": "Hi"}], **body}
    )
    replies = [Reply(200, {"content-type": "application/json"}, json.dumps(answer).encode())]
    return run(provider, request, Access({"api_key": "k" * 20}), ModelFacts(), replies)


def sent(outcome: Outcome) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(outcome.calls[0].body or b"")
    return body


def test_a_row_is_a_provider(folder: Path) -> None:
    provider = row(folder)
    assert registry.problems_of(provider, "example") == []
    assert (provider.kind, provider.order, provider.allow_unchecked) == (Kind.OWN, ORDER, False)
    assert provider.model_types == (ModelType.REASONING, ModelType.EMBEDDING)
    assert set(provider.operations) == {Operation.CHAT, Operation.EMBEDDINGS}
    key, address = provider.credential_fields
    assert (key.name, key.secret, key.required) == ("api_key", True, True)
    assert key.help_url == provider.key_url == "https://console.example.com/keys"
    assert (address.name, address.required) == ("base_url", False)
    assert provider.base_url_of is None
    [call] = chat(provider, {}).calls
    assert call.url == "https://api.example.com/v1/chat/completions"
    assert call.headers["Authorization"] == f"Bearer {'k' * 20}"


def test_its_texts_are_in_the_readers_language(folder: Path) -> None:
    provider = row(
        folder, ROW.replace('label = "Example"', 'label = {en = "Example", zh-hans = "样例"}')
    )
    texts = {}
    for language in ("en", "zh-hans", "fr"):
        with translation.override(language):
            texts[language] = (str(provider.label), str(provider.description))
    assert texts["en"] == texts["fr"] == ("Example", "Models of Example.")
    assert texts["zh-hans"] == ("样例", "Example 的模型。")
    assert set(tables.LANGUAGES) == {code for code, _name in settings.LANGUAGES}


def test_types_that_are_not_offered_are_not_listed(folder: Path) -> None:
    provider = row(folder)
    names = ["chat-1", "text-embed-1", "rerank-1", "whisper-1"]
    reply = Reply(200, {}, json.dumps({"data": [{"id": name} for name in names]}).encode())
    ask = provider.list_models
    assert ask is not None
    access = Access({"api_key": "k" * 20})
    listed: Any = drive(lambda: ask(provider, access), provider, [reply]).answer
    assert [model.name for model in listed] == ["chat-1", "text-embed-1"]


def test_regions_name_the_address_and_the_first_is_the_default(folder: Path) -> None:
    provider = row(folder, ROW.replace('base_url = "https://api.example.com/v1"\n', "") + REGIONS)
    field = provider.credential_fields[1]
    assert field.name == "region"
    assert [(name, str(label)) for name, label in field.choices] == [
        ("eu", "Europe"),
        ("asia", "Asia"),
    ]
    assert provider.default_base_url == "https://eu.example.com/v1"
    ask = provider.base_url_of
    assert ask is not None
    addresses = [ask({}), ask({"region": "eu"}), ask({"region": "asia"})]
    assert addresses == ["", "", "https://asia.example.com/v1"]


def test_every_quirk_does_something(folder: Path) -> None:
    schema = {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}
    thoughts = {"role": "assistant", "content": "<think>hm</think>Hi"}
    renamed = {"role": "assistant", "content": "Hi", "reasoning": "hm"}
    body = {
        "messages": [{"role": "developer", "content": "Be terse"}],
        "max_completion_tokens": 9,
        "response_format": schema,
    }
    answers = {"think_tags": thoughts}
    plain = row(folder)
    for name in QUIRKS:
        choice = {**ANSWER["choices"][0], "message": answers.get(name, renamed)}
        odd = row(folder, f'{ROW}quirks = ["{name}"]\n')
        outcomes = [chat(provider, body, {"choices": [choice]}) for provider in (plain, odd)]
        requests, messages = [sent(one) for one in outcomes], [one.message for one in outcomes]
        assert (requests[0] != requests[1]) is (QUIRKS[name].fit is not None), name
        assert (messages[0] != messages[1]) is (name in answers), name


def test_a_limit_of_minus_one_is_for_servers_that_know_it(folder: Path) -> None:
    body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": -1}
    assert "max_tokens" not in sent(chat(row(folder), body))
    assert sent(chat(row(folder, f'{ROW}quirks = ["unlimited"]\n'), body))["max_tokens"] == -1


def test_quirks_come_before_the_providers_own_functions(folder: Path) -> None:
    seen: list[dict[str, Any]] = []

    def adjust(body: dict[str, Any], *_others: Any) -> None:
        seen.append(dict(body))
        body["own"] = True

    def tidy(body: dict[str, Any]) -> bool:
        seen.append(body["choices"][0]["message"])
        return False

    row(folder, f'{ROW}quirks = ["max_tokens"]\n')
    message = {"role": "assistant", "content": "Hi", "reasoning": "hm"}
    provider = provider_of("example", adjust=adjust, tidy=tidy)
    outcome = chat(
        provider, {"max_completion_tokens": 9}, {"choices": [{"index": 0, "message": message}]}
    )
    assert seen[0]["max_tokens"] == 9
    assert seen[1]["reasoning_content"] == "hm"
    assert sent(outcome)["own"] is True


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("kind =", "kindd =", "[provider] has no key “kindd”; allowed: label, description, kind, "),
        ('"own"', '"onw"', "[provider] kind holds “onw”; allowed: own, hosting."),
        ('"own"', "1", "[provider] kind must be a text in quotes."),
        ('kind = "own"\n', "", "[provider] kind is missing."),
        (
            'kind = "own"\n',
            'kind = "own"\norder = "1"\n',
            "[provider] order must be a whole number.",
        ),
        (
            'kind = "own"\n',
            'kind = "own"\norder = true\n',
            "[provider] order must be a whole number.",
        ),
        (
            'kind = "own"\n',
            'kind = "own"\nself_hosted = 1\n',
            "[provider] has no key “base_url”; allowed: ",
        ),
        (
            '"embeddings"',
            '"images"',
            "[provider] operations holds “images”; allowed: chat.completions, ",
        ),
        (
            '"embeddings"',
            '"chat.completions"',
            "[provider] operations must be a list of texts, each of them once.",
        ),
        (
            '["chat.completions", "embeddings"]',
            '"chat"',
            "[provider] operations must be a list of texts.",
        ),
        ('["chat.completions", "embeddings"]', "[]", "no operation"),
        (
            "https://api",
            "http://api",
            "[provider] base_url must be an address that begins with https://.",
        ),
        ('base_url = "https://api.example.com/v1"\n', "", "[provider] base_url is missing."),
        (
            "description.zh-hans",
            "description.zh",
            "[provider.description] has no key “zh”; allowed: en, zh-hans.",
        ),
        (
            'description.zh-hans = "Example 的模型。"\n',
            "",
            "[provider.description] zh-hans is missing.",
        ),
        (
            "[provider]\n",
            '[provider]\nquirks = ["odd"]\n',
            "[provider] quirks holds “odd”; allowed: json_object, ",
        ),
        (
            "[provider]\n",
            '[provider]\nmodel_fields = ["x"]\n',
            "[provider] model_fields holds “x”; allowed: ",
        ),
        (
            "[provider]\n",
            '[provider]\nversion = "v1"\n',
            "[provider] version must be a path such as “/v1”, or empty.",
        ),
        (
            "[provider]\n",
            "[provider]\napi_key.suffix = 1\n",
            "[provider.api_key] has no key “suffix”; allowed: ",
        ),
        ("[provider]\n", "[provider]\napi_key = 1\n", "[provider.api_key] must be a table."),
        (
            "[provider]\n",
            "[provider]\nregions.eu = {}\n",
            "[provider] has no key “base_url”; allowed: ",
        ),
        (
            "[provider]\n",
            "[somebody]\n",
            "There is neither a [provider] table nor providers/adapters/example.py.",
        ),
        ("[provider]\n", "[provider\n", "Expected "),
    ],
)
def test_a_mistake_is_answered_with_file_key_and_what_is_allowed(
    folder: Path, old: str, new: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert old in ROW
    (folder / "example.toml").write_text(ROW.replace(old, new, 1), encoding="utf-8")
    registry._registry.cache_clear()
    [message] = checks.adapters_are_sound(None)
    assert message.id == "modelkeep.E101"
    assert message.msg.startswith(
        f"Could not load a provider: models_catalog/data/example.toml: {problem}"
    )
    with pytest.raises(SystemExit) as stopped:
        start.load_providers()
    assert stopped.value.code == message.msg


def test_description_and_region_labels_are_in_every_language(folder: Path) -> None:
    problem = r"must be a table with a text for each of en, zh-hans\.$"
    with pytest.raises(files.BadFile, match=rf"\[provider\] description {problem}"):
        row(
            folder, ROW.replace("description.en", "description").replace("description.zh-hans", "#")
        )
    regions = 'regions.eu = {label = "Europe", base_url = "https://eu.example.com"}\n'
    with pytest.raises(files.BadFile, match=rf"\[provider\.regions\.eu\] label {problem}"):
        row(folder, ROW.replace("base_url", f"{regions}#"))


@pytest.mark.parametrize(
    ("slug", "words"),
    [
        ("anthropic", "models_catalog/data/anthropic.toml is missing."),
        ("deepseek", "deepseek.toml: The file is missing."),
    ],
)
def test_an_adapter_without_a_file_is_found(
    folder: Path, monkeypatch: pytest.MonkeyPatch, slug: str, words: str
) -> None:
    for path in FOLDER.glob("*.toml"):
        if path.stem != slug:
            (folder / path.name).write_bytes(path.read_bytes())
    monkeypatch.delitem(sys.modules, f"providers.adapters.{slug}", raising=False)
    registry._registry.cache_clear()
    [message] = checks.adapters_are_sound(None)
    assert words in message.msg


def test_contributing_names_every_key_and_quirk() -> None:
    text = (settings.BASE_DIR / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert [name for name in (*KEYS, *QUIRKS) if f"`{name}`" not in text] == []
