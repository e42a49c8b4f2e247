"""What the pages say at the moments that matter, to the letter, in both languages; each is made to
happen.
"""

from __future__ import annotations

import html
import json
import re
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from models_catalog import queries
from models_catalog.models import DefaultModel
from providers.declaration.spec import Reply
from providers.failures.reasons import Reason
from providers.models import CredentialState, ProviderCredential, StoredBatch, StoredFile
from providers.transport import sync_client as provider_client
from providers.transport.failures import TransportFailure
from quotas.models import CreditPool
from tenants.scope import all_tenants, tenant_scope
from tests import factories
from tests.browser.scene import furnish, trial

# On PostgreSQL, core/test_furnished_pages.py opens every page.
pytestmark = [pytest.mark.django_db, pytest.mark.one_database]
ENGLISH, CHINESE = "en", "zh-hans"
PROVIDERS = "/t/acme/settings/model-providers"


def shown(browser: Client, language: str, path: str, form: dict[str, str] | None = None) -> str:
    """The text of a page, or of the one that a form leads to, as a person reads it: without
    markup.
    """
    headers = {"Accept-Language": language}
    answer = (
        browser.get(path, headers=headers)
        if form is None
        else browser.post(path, form, headers=headers, follow=True)
    )
    assert answer.status_code in (200, 403, 422), answer.status_code
    return read(answer.content.decode())


def read(text: str) -> str:
    text = re.sub(r'<span class="visually-hidden">.*?</span>', "", text)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def tight(text: str) -> str:
    """For Chinese: where markup stood between two signs, no blank is read."""
    return text.replace(" ", "")


def check(text: str, language: str, english: str, chinese: str) -> None:
    if language == ENGLISH:
        assert english in text
    else:
        assert tight(chinese) in tight(text)


both = pytest.mark.parametrize("language", [ENGLISH, CHINESE])


@pytest.fixture
def space(acme: factories.Workspace) -> factories.Workspace:
    return acme


@pytest.fixture
def browser(space: factories.Workspace) -> Client:
    found = Client()
    found.force_login(space.owner)
    return found


def answer_with(monkeypatch: pytest.MonkeyPatch, *answers: Any) -> None:
    """The provider's answers in order, the last one for ever: (status, code) or a failure of the
    network.
    """
    left = list(answers)

    def send(call: Any, *args: Any, **kwargs: Any) -> Reply:
        one = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(one, Exception):
            raise one
        status, code = one
        body = (
            {"object": "list", "data": []}
            if status == 200
            else {"error": {"message": "No.", "code": code, "type": code}}
        )
        return Reply(status, {"content-type": "application/json"}, json.dumps(body).encode())

    monkeypatch.setattr(provider_client, "send", send)


def set_up(browser: Client, language: str, key: str = "sk-typed-into-the-form", **more: str) -> str:
    form = {"name": "Default", "values-api_key": key} | {
        f"values-{name}": value for name, value in more.items()
    }
    return shown(browser, language, f"{PROVIDERS}/openai/setup/", form)


@both
def test_title_and_intro(language: str, browser: Client) -> None:
    text = shown(browser, language, f"{PROVIDERS}/")
    check(text, language, "Model providers", "模型供应商")
    english = "Add your keys once; every application in this workspace can use the models."
    check(text, language, english, "只需添加一次密钥，本工作空间的所有应用即可使用这些模型。")


STATES = {
    CredentialState.CONNECTED: ("Connected", "已连接"),
    CredentialState.REJECTED: ("Key rejected", "密钥被拒绝"),
    CredentialState.UNREACHABLE: ("Unreachable", "无法连接"),
}


@both
def test_states(language: str, space: factories.Workspace, browser: Client, settings: Any) -> None:
    furnish(space)
    text = shown(browser, language, f"{PROVIDERS}/")
    check(text, language, "Not set up", "未配置")
    check(text, language, "Trial", "试用中")
    for state, words in STATES.items():
        with tenant_scope(space.tenant):
            ProviderCredential.objects.update(state=state, state_detail={})
        check(shown(browser, language, f"{PROVIDERS}/openai/credentials/"), language, *words)
    settings.MODELKEEP_DEMO_PROVIDER = False
    text = shown(browser, language, f"{PROVIDERS}/demo/credentials/")
    check(
        text, language, "Disabled Default", "已停用 Default"
    )  # the badge, and the name of the key beside it
    check(text, language, "Disabled by the operator", "已被运维人员停用")


@both
def test_a_trial_that_ends_soon_and_one_that_is_over(
    language: str, space: factories.Workspace, browser: Client
) -> None:
    with all_tenants():
        trial(space.tenant, "openai", "OpenAI", 500, 462, {"gpt-3.5-turbo": 1})
    english = (
        "OpenAI trial: 38 of 500 calls left. Add your own OpenAI key before the trial ends, "
        "and your applications keep working without interruption."
    )
    chinese = (
        "OpenAI 试用：500 次中还剩 38 次。请在试用结束前添加你自己的 OpenAI 密钥，应用将不受影响。"
    )
    check(shown(browser, language, f"{PROVIDERS}/"), language, english, chinese)
    with all_tenants():
        CreditPool.objects.filter(tenant=space.tenant).update(settled=500)
    english = "The OpenAI trial is used up (500 of 500). Calls are refused until you add a key."
    check(
        shown(browser, language, f"{PROVIDERS}/"),
        language,
        english,
        "OpenAI 试用已用完（500/500）。添加密钥之前，调用将被拒绝。",
    )


@both
def test_a_bad_key(language: str, browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    answer_with(monkeypatch, (401, "invalid_api_key"))
    english = (
        "OpenAI refused this key (401 invalid_api_key). Nothing was saved. "
        "Check that you copied the whole key and that it has not been revoked."
    )
    chinese = (
        "OpenAI 拒绝了该密钥（401 invalid_api_key），未保存任何内容。请确认密钥复制完整且未被吊销。"
    )
    check(set_up(browser, language), language, english, chinese)


@both
def test_a_key_of_another_provider(
    language: str, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_with(monkeypatch, (401, "invalid_api_key"))
    english = "This looks like an Anthropic key (sk-ant-…). OpenAI keys start with sk-."
    chinese = "这看起来是 Anthropic 的密钥（sk-ant-…），OpenAI 密钥以 sk- 开头。"
    check(set_up(browser, language, key="sk-ant-typed-into-the-form"), language, english, chinese)


@both
def test_no_funds(language: str, browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    answer_with(monkeypatch, (429, "insufficient_quota"))
    english = (
        "The key is valid, but the OpenAI account has no credit (429 insufficient_quota). "
        "Saved; calls will fail until the account is topped up."
    )
    chinese = (
        "密钥有效，但 OpenAI 账户余额不足（429 insufficient_quota）。已保存；充值前调用会失败。"
    )
    check(set_up(browser, language), language, english, chinese)


@both
def test_an_unreachable_server(
    language: str, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_with(
        monkeypatch, TransportFailure("connect_timeout", Reason("connect_timeout"), sent=False)
    )
    english = (
        "This server could not reach api.openai.com within 10 s. Check the network or the API "
        "base URL. Nothing was saved."
    )
    chinese = "服务器在 10 秒内无法连接 api.openai.com。请检查网络或 API 基础地址，未保存任何内容。"
    check(set_up(browser, language), language, english, chinese)


@both
def test_an_unreachable_region(
    language: str, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_with(
        monkeypatch, TransportFailure("connect_timeout", Reason("connect_timeout"), sent=False)
    )
    form = {
        "name": "Default",
        "values-api_key": "sk-typed-into-the-form",
        "values-region": "cn-beijing",
    }
    text = shown(browser, language, f"{PROVIDERS}/tongyi/setup/", form)
    check(
        text,
        language,
        "Check the network, the region or the API base URL. Nothing was saved.",
        "请检查网络、地域或 API 基础地址，未保存任何内容。",
    )
    form = {"name": "Default", "values-api_key": "typed-into-the-form", "values-region": "cn"}
    text = shown(browser, language, f"{PROVIDERS}/minimax/setup/", form)
    check(
        text,
        language,
        "Check the network, the platform or the API base URL.",
        "请检查网络、平台或 API 基础地址",
    )


@both
def test_a_wrong_url(language: str, browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    answer_with(monkeypatch, (404, "nothing_here"))
    english = "https://x.example/v1/models answered 404. The base URL usually ends in /v1."
    chinese = "https://x.example/v1/models 返回 404。基础地址通常以 /v1 结尾。"
    check(set_up(browser, language, base_url="https://x.example/v1"), language, english, chinese)


@both
@pytest.mark.django_db(transaction=True)  # the list is fetched once the key is committed
def test_a_key_without_its_list_of_models(
    language: str, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_with(monkeypatch, (200, ""), (503, ""))
    text = set_up(browser, language)
    english = (
        "Key saved. The model list could not be fetched (503); the built-in list is used. Retry"
    )
    check(text, language, english, "密钥已保存。无法获取模型列表（503），暂用内置列表。重试")


@both
def test_privacy(language: str, browser: Client) -> None:
    text = shown(browser, language, f"{PROVIDERS}/openai/setup/")
    english = "Keys are encrypted with this workspace's own key pair and are never shown again."
    check(text, language, english, "密钥使用本工作空间独立的密钥对加密，保存后不再显示。")


@both
def test_deleting_the_last_key(language: str, space: factories.Workspace, browser: Client) -> None:
    row = factories.make_credential(space.tenant, provider="openai", name="Production")
    with tenant_scope(space.tenant):
        DefaultModel.objects.create(
            tenant=space.tenant, scenario="reasoning", model="openai/gpt-4o"
        )
        number = len(queries.entries(tenant_id=space.tenant.pk, provider="openai"))
    text = shown(browser, language, f"{PROVIDERS}/openai/credentials/{row.pk}/delete/")
    english = (
        f"Delete “Production”? {number} models and the default reasoning model use it. They "
        f"stop at once."
    )
    check(
        text,
        language,
        english,
        f"删除“Production”？{number} 个模型和默认推理模型正在使用它，删除后立即停用。",
    )


@both
def test_deleting_a_key_with_files_and_batches(
    language: str, space: factories.Workspace, browser: Client
) -> None:
    row = factories.make_credential(space.tenant, provider="openai", name="Production")
    other = factories.make_credential(
        space.tenant, provider="openai", name="Other", is_active=False
    )
    with tenant_scope(space.tenant):
        for number in range(2):
            kept = {"tenant": space.tenant, "credential": row, "provider_id": f"id-{number}"}
            StoredFile.objects.create(**kept, filename="lines.jsonl")
            StoredBatch.objects.create(
                **kept, input_id="id-0", recorded=timezone.now() if number else None
            )
    text = shown(browser, language, f"{PROVIDERS}/openai/credentials/{row.pk}/delete/")
    english = (
        "2 files that are stored with this key can no longer be listed or downloaded here. At the "
        "provider, nothing is deleted. 2 batches of this key can no longer be shown or canceled "
        "here. They go on at the provider. 1 batch is not recorded yet: what it uses will be "
        "missing from your usage."
    )
    chinese = (
        "用此密钥保存的2个文件将无法再从这里列出或下载。供应商处的内容不会被删除。此密钥的2个批处理将无法再从这里"
        "查看或取消，但会在供应商处继续执行。其中1个批处理尚未记入用量，其用量将不会出现在统计中。"
    )
    check(text, language, english, chinese)
    text = shown(browser, language, f"{PROVIDERS}/openai/credentials/{other.pk}/delete/")
    assert "provider, nothing is deleted" not in text
    assert "供应商处的内容" not in text


@both
def test_no_default(language: str, space: factories.Workspace, browser: Client) -> None:
    factories.make_credential(space.tenant, provider="demo", name="Default")
    text = shown(browser, language, "/t/acme/settings/default-models/")
    english = "No default speech-to-text model. Voice input is off until you choose one."
    check(text, language, english, "未设置默认语音转文本模型，选择之前语音输入不可用。")


@both
def test_a_lost_network(language: str, browser: Client) -> None:
    text = browser.get(f"{PROVIDERS}/", headers={"Accept-Language": language}).content.decode()
    words = {
        ENGLISH: "The server could not be reached. Nothing was changed.",
        CHINESE: "无法连接服务器，未做任何更改。",
    }
    assert f'data-offline="{words[language]}"' in text


@both
def test_a_forbidden_page(language: str, space: factories.Workspace) -> None:
    viewer = Client()
    viewer.force_login(space.viewer)
    text = shown(viewer, language, f"{PROVIDERS}/openai/setup/")
    names = re.search(r"(?:Ask an admin: |请联系管理员：)(.+?)[.。]", text)
    assert names is not None
    english = f"Your role (Viewer) cannot change providers. Ask an admin: {names[1]}."
    check(text, language, english, f"你的角色（查看者）不能修改供应商，请联系管理员：{names[1]}。")
