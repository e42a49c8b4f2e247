"""The playground in a browser, on a whole server with a fake provider: streams, Stop, hostile
answers, a microphone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.axe import violations
from tests.browser.checks import PHONE
from tests.browser.chromium import Watch, new_context, wait_until
from tests.fakes import provider as fakes
from tests.fakes.provider import FakeProvider, Running, compact
from tests.gateway.conftest import KEY, Hub, running_hub

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NARROW = {"viewport": PHONE}
CHAT = "/t/main/playground/"
MODEL = "openai/gpt-4o-mini"
SOUND = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(30)
# What a browser itself notes of a call that failed, as a test wanted it to.
EXPECTED = re.compile(r"status of (401|402|415|502)|ERR_INTERNET_DISCONNECTED")
HOSTILE = """# Done

<script>document.title = "stolen"</script><img src=x onerror="document.title = 'stolen'">

![pixel](https://evil.test/pixel.png) [run](javascript:document.title='stolen')
[page](https://evil.test/page "onmouseover=x")

<iframe src="https://evil.test/"></iframe><style>body { display: none }</style>

| a | b |
|---|--:|
| 1 | 2 |
"""


def too_wide(page: Page) -> int:
    return int(
        page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    )


class Talker(FakeProvider):
    """A provider that says what a test wants: the deltas of a chat's stream."""

    deltas: list[dict[str, Any]] | None = None

    def _reply(self, seen: Any, body: dict[str, Any]) -> Any:
        if (
            self.deltas is None
            or not body.get("stream")
            or not seen.path.endswith("/chat/completions")
        ):
            return super()._reply(seen, body)
        head = {
            "id": "chatcmpl-fake",
            "object": "chat.completion.chunk",
            "created": 1790000000,
            "model": body["model"],
        }
        chunks = [
            {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
            for delta in self.deltas
        ]
        chunks += [{**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]
        usage = {"prompt_tokens": 12, "completion_tokens": 40, "total_tokens": 52}
        frames = [
            b"data: " + compact(one) for one in [*chunks, {**head, "choices": [], "usage": usage}]
        ]
        return fakes.Reply(content_type="text/event-stream", frames=[*frames, b"data: [DONE]"])

    def says(self, text: str, piece: int = 7) -> None:
        self.deltas = [{"content": text[at : at + piece]} for at in range(0, len(text), piece)]


@pytest.fixture(scope="module")
def stage() -> Iterator[Hub]:
    with Running(Talker()) as fake:
        for hub in running_hub(
            fake, MODELKEEP_IDLE_TIMEOUT="20", ALLOWED_HOSTS="127.0.0.1,host.test"
        ):
            hub.seed(
                credentials=[
                    {
                        "provider": "openai",
                        "name": "Main",
                        "values": {"api_key": KEY},
                        "base_url": fake.url,
                    },
                    {"provider": "demo", "name": "Demo", "values": {}},
                ],
                models=[
                    {"provider": "openai", "model": f"gpt@{mode}", "type": "reasoning"}
                    for mode in ("status:401", "break:3", "status:429:7")
                ],
                defaults={"reasoning": [MODEL]},
            )
            yield hub


def sign_in(page: Page, stage: Hub) -> None:
    """On the page of signing in."""
    page.locator("input[name=username]").fill(stage.server.owner)
    page.locator("input[name=password]").fill(stage.server.password)
    page.locator("main button[type=submit]").click()
    page.wait_for_url(lambda url: "/accounts/login/" not in url)


@pytest.fixture(scope="module")
def owner(chromium: Browser, stage: Hub) -> Iterator[Any]:
    """The cookies of the owner, who signed in through the form."""
    with new_context(chromium) as context:
        page = context.new_page()
        page.goto(f"{stage.server.url}/accounts/login/")
        sign_in(page, stage)
        yield context.storage_state()


@pytest.fixture
def enter(chromium: Browser, stage: Hub, owner: Any) -> Iterator[Any]:
    """`enter(**options)`: a signed-in window; what it noticed fails the test."""
    stage.fake.reset()
    stage.fake.deltas, stage.fake.delay, stage.fake.frames = None, 0.0, 20  # type: ignore[attr-defined]
    opened: list[tuple[BrowserContext, Watch]] = []

    def start(path: str = CHAT, address: str = "", **options: Any) -> Page:
        """Opens a page; at another address of the server the owner signs in there."""
        state = {} if address else {"storage_state": owner}
        context, watch = new_context(chromium, **state, **options), Watch()
        opened.append((context, watch))
        page = context.new_page()
        watch.attach(page, address or stage.server.url)
        if address:
            page.goto(f"{address}/accounts/login/")
            sign_in(page, stage)
        page.goto((address or stage.server.url) + path)
        return page

    yield start
    noticed = [line for _context, watch in opened for line in [*watch.console, *watch.foreign]]
    for context, _watch in opened:
        context.close()
    assert [line for line in noticed if not EXPECTED.search(line)] == []


def say(page: Page, text: str = "Hello") -> None:
    page.get_by_label("Your message").fill(text)
    page.keyboard.press("Enter")


def done(page: Page) -> None:
    expect(page.locator("#status")).to_have_text("The answer is complete.")


# --------------------------------------------------------------------------------------------- chat


def test_an_answer_grows_and_its_end_is_announced(enter: Any, stage: Hub) -> None:
    stage.fake.stops, stage.fake.frames = frozenset({4, 14}), 30
    page = enter()
    say(page)
    answer = page.locator(".answer [data-text]")
    expect(answer).to_contain_text("word2")
    early = len(answer.inner_text())
    expect(page.locator("#status")).to_have_text("The model is answering.")
    assert page.locator(".answer").get_attribute("aria-busy") == "true"
    stage.fake.release()
    expect(answer).to_contain_text("word12")
    assert 0 < early < len(answer.inner_text()), "the text grew"
    assert "word29" not in answer.inner_text()
    stage.fake.release()
    done(page)
    expect(page.locator(".answer [data-footer]")).to_have_text(
        re.compile(r"^9 \+ 30 tokens · \d+\.\d s · Main$")
    )
    expect(answer.locator("p")).to_contain_text("word29")
    assert page.locator(".answer").get_attribute("aria-busy") is None
    expect(page.get_by_label("Your message")).to_be_focused()


def test_stop_ends_the_call_at_the_provider(enter: Any, stage: Hub) -> None:
    stage.fake.delay, stage.fake.frames = 0.1, 1000
    page = enter()
    say(page)
    expect(page.locator(".answer [data-text]")).to_contain_text("word2")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#status")).to_have_text("Stopped. The text received so far is kept.")
    expect(page.locator(".answer [data-footer]")).to_contain_text("stopped")
    expect(page.locator(".answer [data-text]")).to_contain_text("word2")
    wait_until(page, lambda: stage.fake.open_streams == 0)
    latest = "SELECT status FROM quotas_callrecord ORDER BY id DESC LIMIT 1"
    wait_until(page, lambda: stage.rows(latest) == [("cancelled",)])
    stage.fake.delay, stage.fake.frames = 0.0, 3
    say(page, "Go on")
    done(page)
    assert [one["role"] for one in stage.fake.calls[-1].json()["messages"]] == [
        "user",
        "assistant",
        "user",
    ]


def test_keys(enter: Any, stage: Hub) -> None:
    page = enter()
    box = page.get_by_label("Your message")
    box.fill("one")
    box.press("Shift+Enter")
    box.type("two")
    assert stage.fake.calls == []
    box.press("Control+Enter")
    done(page)
    assert stage.fake.calls[-1].json()["messages"] == [{"role": "user", "content": "one\ntwo"}]
    box.press("Enter")
    say(page, "three")
    expect(page.locator(".answer [data-footer]:not(:empty)")).to_have_count(2)
    assert len(stage.fake.calls) == 2, "nothing to say, nothing sent"


def test_a_hostile_answer_runs_and_fetches_nothing(enter: Any, stage: Hub) -> None:
    stage.fake.says(HOSTILE)  # type: ignore[attr-defined]
    page = enter()
    say(page)
    done(page)
    prose = page.locator(".answer [data-text]")
    expect(prose.get_by_role("heading", name="Done")).to_be_visible()
    expect(prose.locator("table td").nth(1)).to_have_text("2")
    expect(prose).to_contain_text("<script>")
    assert page.title().startswith("Chat")
    assert (
        prose.locator("script, img, iframe, style, [onerror], [onmouseover], [style]").count() == 0
    )
    links = prose.locator("a").evaluate_all(
        "all => all.map((one) => [one.getAttribute('href'), one.rel, one.target])"
    )
    assert [one[0] for one in links] == ["https://evil.test/pixel.png", "https://evil.test/page"]
    assert all(one[1:] == ["noopener noreferrer nofollow", "_blank"] for one in links)
    assert "stolen" not in page.title()


def test_thoughts_are_folded_and_tool_calls_shown(enter: Any, stage: Hub) -> None:
    stage.fake.deltas = [  # type: ignore[attr-defined]
        {"reasoning_content": "Let me "},
        {"reasoning_content": "think <b>hard</b>."},
        {"content": "I look it up."},
        {
            "tool_calls": [
                {
                    "index": 0,
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "weather", "arguments": ""},
                }
            ]
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"city": '}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '"Oslo"}'}}]},
    ]
    page = enter()
    page.locator("#beside summary").get_by_text("Tools", exact=True).click()
    tools = [
        {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    ]
    page.get_by_label("Tools", exact=False).last.fill("{}")
    say(page)
    expect(page.locator("#status")).to_contain_text("The tools are not a JSON list.")
    page.locator("#beside [name=tools]").fill(json.dumps(tools))
    say(page)
    done(page)
    assert stage.fake.calls[-1].json()["tools"] == tools
    thought = page.locator(".answer [data-thought]")
    assert thought.get_attribute("open") is None
    thought.locator("summary").click()
    expect(thought).to_contain_text("Let me think <b>hard</b>.")
    called = json.loads(page.locator(".answer [data-calls-text]").inner_text())
    assert called[0]["function"] == {"name": "weather", "arguments": '{"city": "Oslo"}'}
    assert violations(page) == []


def test_two_models_side_by_side_and_another_try(enter: Any, stage: Hub) -> None:
    page = enter()
    page.get_by_label("Side by side with").select_option("demo/demo-chat")
    expect(page).to_have_url(re.compile("beside=demo"))
    say(page)
    done(page)
    answers = page.locator(".turn .answer")
    expect(answers).to_have_count(2)
    left, right = answers.nth(0).bounding_box(), answers.nth(1).bounding_box()
    assert left is not None
    assert right is not None
    assert left["y"] == right["y"]
    assert left["x"] < right["x"]
    expect(answers.nth(1).locator("[data-footer]")).to_contain_text("Demo")
    page.locator("[data-again-model]").select_option("openai/gpt@status:401")
    page.locator("[data-again] button").click()
    expect(page.locator(".answer .note.bad")).to_contain_text("Key refused")
    expect(page.locator(".answer .note.bad a")).to_have_attribute(
        "href", "/t/main/settings/model-providers/openai/credentials/"
    )
    page.locator(".answer .note.bad summary").click()
    expect(page.locator(".answer .note.bad code")).to_contain_text(
        re.compile(r"HTTP 502 provider_auth_failed · request [0-9a-f]{24}")
    )
    assert violations(page) == []
    assert KEY not in page.content()


def test_parameters_follow_the_model(enter: Any, stage: Hub) -> None:
    page = enter()
    page.get_by_label("Temperature").fill("0.3")
    page.locator("#beside summary", has_text="System prompt").click()
    page.get_by_label("System prompt").fill("Be short.")
    say(page)
    done(page)
    sent = stage.fake.calls[-1].json()
    assert sent["temperature"] == 0.3
    assert sent["messages"][0] == {"role": "system", "content": "Be short."}
    assert "top_p" not in sent
    page.get_by_label("Temperature").fill("9")
    say(page)
    assert len(stage.fake.calls) == 1, "9 is beyond the model's range"
    page.get_by_label("Temperature").fill("0.4")
    # In the very moment in which the new column is there, what was typed is in it: whoever goes on
    # typing would lose it otherwise.
    page.evaluate(
        """() => document.addEventListener("htmx:afterSwap", () => {
            const fields = "#beside [name=system], #beside [name=p-temperature]";
            window.atOnce = [...document.querySelectorAll(fields)].map((one) => one.value);
        })"""
    )
    page.locator("#pick-model-model").select_option("demo/demo-chat")
    expect(page.locator("#code-model-curl")).to_contain_text("demo/demo-chat")
    assert page.evaluate("window.atOnce") == ["Be short.", "0.4"]
    assert page.get_by_label("System prompt").input_value() == "Be short."
    assert page.get_by_label("Temperature").input_value() == "0.4"
    expect(page.locator("#beside").get_by_role("button", name="Copy").first).to_be_visible()


def test_a_stream_that_breaks_keeps_what_came(enter: Any) -> None:
    page = enter(f"{CHAT}?model=openai/gpt@break:3")
    say(page)
    expect(page.locator(".answer .note.bad")).to_be_visible()
    expect(page.locator(".answer [data-text]")).to_contain_text("word0")


def test_offline(enter: Any) -> None:
    page = enter()
    page.context.set_offline(True)
    say(page)
    expect(page.locator(".answer .note.bad")).to_contain_text("The server could not be reached.")
    expect(page.get_by_role("button", name="Send")).to_be_enabled()
    page.context.set_offline(False)
    page.locator("[data-again] button").click()
    done(page)


def test_a_conversation_outlives_its_session(enter: Any, stage: Hub) -> None:
    """Signing in again changes the token of forms too: the page reads the new one by itself, and
    the conversation goes on.
    """
    page = enter()
    say(page, "First")
    done(page)
    page.context.clear_cookies(name="session")
    say(page, "Second")
    problem = page.locator(".answer .note.bad")
    expect(problem).to_contain_text("Your session has ended.")
    with page.context.expect_page() as opened:
        problem.get_by_role("link", name="Sign in").click()
    other = opened.value
    sign_in(other, stage)
    other.close()
    page.locator("[data-again] button").click()
    expect(page.locator(".turn").last.locator(".answer")).to_have_count(2)
    done(page)
    assert problem.count() == 1, "the second try was answered"
    assert [
        one["content"] for one in stage.fake.calls[-1].json()["messages"] if one["role"] == "user"
    ] == ["First", "Second"]


def test_what_is_wrong_in_a_folded_part_is_unfolded(enter: Any, stage: Hub) -> None:
    page = enter(**NARROW)
    parameters = page.locator("#beside details", has_text="Parameters")
    parameters.locator("summary").click()
    page.get_by_label("Temperature").fill("9")
    parameters.locator("summary").click()
    expect(page.get_by_label("Temperature")).to_be_hidden()
    say(page)
    expect(page.get_by_label("Temperature")).to_be_visible()
    expect(page.get_by_label("Temperature")).to_be_focused()
    page.get_by_label("Temperature").fill("")
    tools = page.locator("#beside details").filter(has=page.locator("[name=tools]"))
    tools.locator("summary").click()
    tools.locator("textarea").fill("{")
    tools.locator("summary").click()
    page.locator("#send").click()
    expect(tools.locator("textarea")).to_be_focused()
    assert tools.locator("textarea").get_attribute("aria-invalid") == "true"
    expect(page.locator("#status")).to_contain_text("The tools are not a JSON list.")
    assert stage.fake.calls == []


def test_nothing_is_kept(enter: Any) -> None:
    page = enter()
    say(page, "my secret question")
    done(page)
    assert "secret" not in page.evaluate("JSON.stringify([localStorage, sessionStorage])")
    page.reload()
    assert "my secret question" not in page.content()


# ---------------------------------------------------------------------------------- without scripts


def test_without_scripts(enter: Any, stage: Hub) -> None:
    page = enter(java_script_enabled=False)
    page.get_by_label("Your message").fill("Hello")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".answer [data-text]")).to_contain_text("Hello from the fake provider.")
    page.get_by_label("Your message").fill("And more")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".turn")).to_have_count(2)
    assert len(stage.fake.calls[-1].json()["messages"]) == 3
    page.locator("#pick-model-model").select_option("demo/demo-chat")
    page.get_by_role("button", name="Choose").click()
    expect(page).to_have_url(re.compile("model=demo"))
    for path in ("embeddings/", "speech/", "rerank/"):
        page.goto(stage.server.url + CHAT + path)
        assert page.locator("#recorder").is_hidden()


# ----------------------------------------------------------------------------------- the other tabs


def test_embeddings(enter: Any) -> None:
    page = enter(f"{CHAT}embeddings/")
    page.get_by_label("Texts").fill("coffee\ntea\na chair")
    page.get_by_role("button", name="Embed").click()
    expect(page.locator("#result tbody tr")).to_have_count(6)
    expect(page.get_by_role("heading", name="Vectors")).to_be_focused()
    expect(page.locator(".similar td.num").first).to_have_text("1.000")
    assert violations(page) == []
    page.get_by_label("Texts").fill("1\n2\n3\n4\n5\n6")
    page.get_by_role("button", name="Embed").click()
    expect(page.get_by_text("Enter at most five lines.")).to_be_visible()
    expect(page.get_by_label("Texts")).to_be_focused()


def test_rerank(enter: Any) -> None:
    page = enter(f"{CHAT}rerank/")
    page.get_by_label("Query").fill("good coffee")
    page.get_by_label("Documents").fill("a chair\ngood coffee is here")
    page.get_by_role("button", name="Rank documents").click()
    expect(page.locator("#result tbody tr").first).to_contain_text("good coffee is here")


def test_a_recording_becomes_text_and_goes_to_the_chat(enter: Any, stage: Hub) -> None:
    page = enter(f"{CHAT}speech/?model=openai/whisper-1")
    page.get_by_role("button", name="Record").click()
    expect(page.locator("#record-status")).to_have_text(
        re.compile(r"Listening… (?!0:00)\d+:\d\d · (level \d+ %|no sound yet)")
    )
    expect(page.get_by_role("button", name="Transcribe")).to_be_disabled()
    page.get_by_role("button", name="Stop and send").click()
    expect(page.locator("#transcript-text")).to_have_text("What the fake provider heard.")
    sent = stage.fake.calls[-1].body
    at = sent.index(b"RIFF")
    assert sent[at + 8 : at + 16] == b"WAVEfmt "
    assert int.from_bytes(sent[at + 22 : at + 24], "little") == 1, "mono"
    assert int.from_bytes(sent[at + 24 : at + 28], "little") == 16_000
    assert any(sent[at + 44 : -100]), "the microphone's beeps are in it"
    page.get_by_role("button", name="Send to chat").click()
    expect(page.get_by_label("Your message")).to_have_value("What the fake provider heard.")
    assert "What" not in page.url


def test_a_recording_can_be_discarded(enter: Any, stage: Hub) -> None:
    page = enter(f"{CHAT}speech/?model=openai/whisper-1")
    page.get_by_role("button", name="Record").click()
    page.get_by_role("button", name="Discard").click()
    expect(page.get_by_role("button", name="Record")).to_be_visible()
    page.locator("#hear input[type=file]").set_input_files(
        {"name": "sound.wav", "mimeType": "audio/wav", "buffer": SOUND}
    )
    page.get_by_role("button", name="Transcribe").click()
    expect(page.locator("#transcript-text")).to_have_text("What the fake provider heard.")
    assert [SOUND in call.body for call in stage.fake.calls] == [True], "the file alone was sent"


def test_a_file_becomes_text(enter: Any, tmp_path: Path) -> None:
    page = enter(f"{CHAT}speech/?model=openai/whisper-1")
    wrong = tmp_path / "notes.wav"
    wrong.write_text("not a sound")
    page.locator("#hear input[type=file]").set_input_files(wrong)
    page.get_by_role("button", name="Transcribe").click()
    expect(page.locator("#hear-problem")).to_contain_text("Recordings can be flac")
    large = tmp_path / "large.wav"
    large.write_bytes(b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(25 * 1024 * 1024))
    page.locator("#hear input[type=file]").set_input_files(large)
    page.get_by_role("button", name="Transcribe").click()
    expect(page.locator("#hear-problem")).to_contain_text(
        "The file is larger than 25 MB. Nothing was sent.", use_inner_text=True
    )
    right = tmp_path / "sound.wav"
    right.write_bytes(SOUND)
    page.locator("#hear input[type=file]").set_input_files(right)
    page.get_by_role("button", name="Transcribe").click()
    expect(page.locator("#transcript-text")).to_have_text("What the fake provider heard.")


def test_no_microphone_on_plain_http(enter: Any, stage: Hub) -> None:
    address = f"http://host.test:{stage.server.port}"
    page = enter(f"{CHAT}speech/", address=address)
    expect(
        page.get_by_text("Recording needs HTTPS (or localhost). Upload a file instead.")
    ).to_be_visible()
    expect(page.get_by_role("button", name="Record")).to_be_hidden()


@pytest.mark.parametrize(
    ("name", "said"),
    [("NotAllowedError", "was not allowed"), ("NotFoundError", "No microphone was found")],
)
def test_a_microphone_that_is_refused_or_missing(enter: Any, name: str, said: str) -> None:
    page = enter(f"{CHAT}speech/")
    page.evaluate(
        "name => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new "
        "DOMException('x', name)); }",
        name,
    )
    page.get_by_role("button", name="Record").click()
    expect(page.locator("#no-recorder")).to_contain_text(said)
    expect(page.get_by_role("button", name="Record")).to_be_visible()


def test_a_text_is_spoken(enter: Any) -> None:
    page = enter(f"{CHAT}speech/?voice_model=demo/demo-speech")
    page.get_by_label("Text", exact=True).fill("Hello there")
    page.get_by_role("button", name="Speak").click()
    expect(page.locator("#player")).to_be_visible()
    assert page.locator("#player").evaluate("one => one.src.startsWith('blob:')")
    expect(page.locator("#speak-status")).to_contain_text("Ready")
    assert (
        page.locator("#player").evaluate(
            "one => new Promise((done) => one.readyState > 0 ? done(one.duration) : "
            "(one.onloadedmetadata = () => done(one.duration)))"
        )
        > 0
    )
    assert violations(page) == []


# ----------------------------------------------------------------------------------- below a prefix


def test_below_a_prefix(chromium: Browser) -> None:
    """Every request of the playground's scripts stays below the prefix that the server is mounted
    under.
    """
    with Running(Talker()) as fake:
        for hub in running_hub(fake, SCRIPT_NAME="/hub"):
            hub.seed(
                credentials=[{"provider": "demo", "name": "Demo", "values": {}}],
                defaults={"reasoning": ["demo/demo-chat"]},
            )
            address, watch = f"{hub.server.url}/hub", Watch()
            page = new_context(chromium).new_page()
            watch.attach(page, f"{address}/")
            page.goto(f"{address}/accounts/login/")
            sign_in(page, hub)
            page.goto(address + CHAT)
            say(page, "**Hello**")
            done(page)
            expect(page.locator(".answer strong")).to_have_text("Hello")
            page.get_by_label("Side by side with").select_option(index=1)
            expect(page).to_have_url(re.compile(re.escape(f"{address}{CHAT}?") + ".*beside=demo"))
            page.goto(f"{address}{CHAT}embeddings/")
            page.get_by_label("Texts").fill("coffee\ntea")
            page.get_by_role("button", name="Embed").click()
            expect(page.locator("#result tbody tr")).to_have_count(4)
            page.goto(f"{address}{CHAT}speech/")
            expect(page.locator("#code-hear-curl")).to_contain_text(
                f"{address}/v1/audio/transcriptions", use_inner_text=False
            )
            page.get_by_label("Text", exact=True).fill("Hello there")
            page.get_by_role("button", name="Speak").click()
            expect(page.locator("#player")).to_be_visible()
            page.context.close()
            assert watch.everything() == []


# -------------------------------------------------------------------------------------------- looks


@pytest.mark.parametrize(
    "options",
    [{}, {"color_scheme": "dark"}, NARROW, {"locale": "zh-CN"}],
    ids=["light", "dark", "narrow", "chinese"],
)
def test_accessible_and_not_too_wide(options: dict[str, Any], enter: Any, stage: Hub) -> None:
    """With an answer that is hard to lay out; all tabs without one are rows of the sitemap."""
    stage.fake.says(
        "# Title\n\n"
        + "a-very-long-word" * 30
        + "\n\n```\n"
        + "x = 1; " * 60
        + "\n```\n\n| a | b | c | d | e |\n|-|-|-|-|-|\n"
        + "| "
        + "cell-text | " * 5
    )  # type: ignore[attr-defined]
    page = enter(**options)
    page.locator("#id_message").fill("long" * 200)
    page.keyboard.press("Enter")
    page.locator("[data-again]").wait_for()
    assert violations(page) == []
    assert too_wide(page) == 0
