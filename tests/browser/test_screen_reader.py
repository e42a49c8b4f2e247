"""What a screen reader is told: the tree of roles and names that Chromium makes of a page, in both
languages.

A snapshot here names what must be there, in its order; what stands between may grow.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.acts import chat, open_dialog
from tests.browser.site import Site, Window
from tests.browser.sitemap import PROVIDERS

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@dataclass(frozen=True)
class Words:
    """What the pages say in one language."""

    locale: str
    setup: str
    url: str
    key: str
    model: str
    kind: str
    cancel: str
    save: str
    refused: str
    remedy: str
    sent: str
    types: str
    rejected: str
    replace: str
    credentials: str
    models: str
    not_set_up: str
    set_up: str
    trial: str
    trial_left: str
    switch: str
    choose: str
    attempt: str
    talk: str
    message: str
    send: str
    done: str
    per_day: str
    chart: str
    table: str


ENGLISH = Words(
    locale="en-GB",
    setup="Set up OpenAI-compatible server",
    url="Base URL",
    key="API key (optional)",
    model="Model name (optional)",
    kind="Model type",
    cancel="Cancel",
    save="Check and save",
    refused="asks for a key \\(401 invalid_api_key\\)",
    remedy="Nothing was saved.",
    sent="What we sent",
    types="Model types",
    rejected="Key rejected",
    replace="Replace the key to use these models again. OpenAI",
    credentials="Credentials OpenAI",
    models="\\d+ models",
    not_set_up="Not set up",
    set_up="Set up DeepSeek",
    trial="Anthropic trial",
    trial_left="120 of 1,000 left",
    switch="demo-chat enabled",
    choose="Select demo-chat",
    attempt="Try demo-chat",
    talk="Conversation",
    message="Your message",
    send="Send",
    done="The answer is complete.",
    per_day="Calls per day",
    chart="Calls per day; at most \\d+. The table below has every number.",
    table="Show as table",
)
CHINESE = Words(
    locale="zh-CN",
    setup="配置 OpenAI 兼容服务器",
    url="基础地址",
    key="API 密钥 （选填）",
    model="模型名称 （选填）",
    kind="模型类型",
    cancel="取消",
    save="检查并保存",
    refused="401 invalid_api_key）?，未保存",
    remedy="请输入该服务器提供的密钥",
    sent="发送的内容",
    types="模型类型",
    rejected="密钥被拒绝",
    replace="更换密钥即可重新使用这些模型。 OpenAI",
    credentials="凭据 OpenAI",
    models="\\d+ 个模型",
    not_set_up="未配置",
    set_up="配置 DeepSeek",
    trial="Anthropic 试用",
    trial_left="剩余 120/1,000",
    switch="启用 demo-chat",
    choose="选择 demo-chat",
    attempt="试用 demo-chat",
    talk="对话",
    message="你的消息",
    send="发送",
    done="回答已完成。",
    per_day="每日调用",
    chart="每日调用，最多 \\d+ 次。下方表格列出每个数字。",
    table="以表格显示",
)
both = pytest.mark.parametrize("words", [ENGLISH, CHINESE], ids=lambda words: words.locale)


@pytest.fixture
def reader(site: Site, person: Callable[..., Window]) -> Callable[..., Page]:
    """`reader(words, path, space)`: a page as its owner hears it."""
    site.fake.reset()

    def opened(words: Words, path: str, space: str = "acme") -> Page:
        return person(site.person(space), locale=words.locale).open(f"/t/{space}/{path}")

    return opened


@both
def test_the_dialog_before_and_after_a_refused_key(
    words: Words, reader: Callable[..., Page], site: Site
) -> None:
    page = reader(words, f"{PROVIDERS}/", "fresh")
    open_dialog(page)
    dialog = page.locator("dialog:modal")
    expect(dialog).to_match_aria_snapshot(f"""
      - dialog "{words.setup}":
        - heading "{words.setup}" [level=1]
        - textbox "{words.url}"
        - textbox "{words.key}"
        - group:
          - textbox "{words.model}"
          - combobox "{words.kind}"
        - link "{words.cancel}"
        - button "{words.save}"
    """)
    expect(dialog.get_by_role("alert")).to_have_count(0)
    assert named(page) == {"field": words.url, "described": True, "modal": True}
    site.fake.script("status:401")
    dialog.locator("input[name=values-base_url]").fill(site.fake.url + "/v1")
    dialog.locator("input[name=model]").fill("gpt-4o-mini")
    dialog.get_by_role("button", name=words.save).click()
    alert = dialog.get_by_role("alert")
    expect(alert).to_match_aria_snapshot(f"""
      - alert:
        - paragraph: /{words.refused}.*{words.remedy}/
        - group: {words.sent}
    """)
    expect(dialog).to_match_aria_snapshot(f"""
      - dialog "{words.setup}":
        - heading "{words.setup}" [level=1]
        - alert
        - textbox "{words.url}"
        - textbox "{words.key}"
        - link "{words.cancel}"
        - button "{words.save}"
    """)
    assert page.evaluate("document.querySelector('dialog').contains(document.activeElement)"), (
        "who hears the alert is still in the dialog"
    )
    page.keyboard.press("Escape")


def named(page: Page) -> dict[str, Any]:
    """What has the focus, and whether a screen reader is told what else belongs to it."""
    found: dict[str, Any] = page.evaluate(
        """() => {
          const one = document.activeElement;
          const describedBy = one.getAttribute('aria-describedby') || '';
          const described = describedBy.split(/\\s+/).filter(Boolean);
          const text = (id) => document.getElementById(id).textContent.trim();
          const modal = document.querySelector('dialog').matches(':modal');
          return {
            field: [...one.labels].map((label) => label.innerText.trim()).join(' '),
            described: described.length > 0 && described.every(text),
            modal: modal && one.closest('dialog') !== null,
          };
        }"""
    )
    return found


@both
def test_a_card_of_the_list_of_providers(words: Words, reader: Callable[..., Page]) -> None:
    page = reader(words, f"{PROVIDERS}/")
    expect(page.locator("#provider-openai")).to_match_aria_snapshot(f"""
      - article "OpenAI":
        - heading "OpenAI" [level=3]
        - text: /{words.rejected}/
        - list "{words.types}":
          - listitem
        - strong: /401 invalid_api_key/
        - paragraph:
          - link "{words.replace}"
        - link "{words.credentials}"
        - link /{words.models}/
    """)
    expect(page.locator("#provider-deepseek")).to_match_aria_snapshot(f"""
      - article "DeepSeek":
        - heading "DeepSeek" [level=3]
        - text: /{words.not_set_up}/
        - link "{words.set_up}"
    """)
    trial = page.locator("#provider-anthropic")
    expect(trial).to_match_aria_snapshot(f"""
      - article "Anthropic":
        - text: /{words.trial_left}/
        - meter "{words.trial}"
    """)
    meter = trial.get_by_role("meter")
    assert (meter.get_attribute("aria-valuenow"), meter.get_attribute("aria-valuemax")) == (
        "880",
        "1000",
    )


@both
def test_the_switch_of_a_model(words: Words, reader: Callable[..., Page]) -> None:
    page = reader(words, f"{PROVIDERS}/demo/")
    row = page.locator("main tbody tr").first
    checked, unchecked = (
        f"""
      - row:
        - cell:
          - checkbox "{words.choose}"
        - rowheader:
          - link "demo-chat"
        - cell:
          - switch "{words.switch}"{state}
        - cell:
          - link "{words.attempt}"
    """
        for state in (" [checked]", "")
    )
    expect(row).to_match_aria_snapshot(checked)
    switch = page.get_by_role("switch", name=words.switch)
    switch.press("Space")
    expect(switch).to_have_attribute("aria-checked", "false")
    expect(row).to_match_aria_snapshot(unchecked)
    switch.press("Space")
    expect(row).to_match_aria_snapshot(checked)


@both
def test_the_log_of_the_playground(words: Words, reader: Callable[..., Page]) -> None:
    page = reader(words, "playground/?model=demo/demo-chat")
    talk = page.locator(".talk")
    expect(talk).to_match_aria_snapshot(f"""
      - region "{words.talk}":
        - heading "{words.talk}" [level=2]
        - log "{words.talk}"
        - textbox "{words.message}"
        - button "{words.send}"
    """)
    chat(page)
    expect(page.get_by_role("status").filter(has_text=words.done)).to_be_visible()
    expect(talk).to_match_aria_snapshot(f"""
      - region "{words.talk}":
        - log "{words.talk}":
          - text: /Say hello/
          - article:
            - paragraph: demo/demo-chat
            - paragraph: /Demo answer .* Say hello/
            - text: /tokens? · .* · Default/
        - textbox "{words.message}"
        - status: {words.done}
    """)
    assert page.locator(".answer[aria-busy]").count() == 0, "the log is not held back any more"


@both
def test_the_chart_of_the_usage(words: Words, reader: Callable[..., Page]) -> None:
    page = reader(words, "usage/")
    chart = page.locator("section[aria-labelledby=per-day]")
    expect(chart).to_match_aria_snapshot(f"""
      - region "{words.per_day}":
        - heading "{words.per_day}" [level=2]
        - img /{words.chart}/
        - group: {words.table}
    """)
    chart.locator("summary").press("Enter")
    rows = chart.locator("tbody tr")
    expect(chart.get_by_role("table")).to_match_aria_snapshot("""
      - table:
        - rowgroup:
          - row:
            - columnheader
        - rowgroup:
          - row:
            - rowheader
            - cell
    """)
    numbers = [
        int(re.sub(r"\D", "", text) or 0)
        for text in rows.locator("td:nth-of-type(1)").all_inner_texts()
    ]
    most = re.search(r"\d+", chart.get_by_role("img").get_attribute("aria-label") or "")
    assert most is not None
    assert max(numbers) == int(most[0]), "the picture tells what the table says"
