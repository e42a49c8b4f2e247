"""Many keys at once: what pasted lines are recognised as, what a page shows of them, and what is
stored.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.test import Client

from core.errors import ServiceError
from providers.imports import env_file, services
from providers.imports.env_file import How
from providers.models import ProviderCredential
from tenants.audit.trail import COMMAND
from tenants.crypto.keys import CredentialUnreadable
from tenants.models import AuditEntry
from tenants.scope import all_tenants, tenant_scope
from tests import walk
from tests.answers import Answers, openai_error, reply
from tests.factories import Workspace, make_credential, marked_secret

pytestmark = pytest.mark.django_db
PATH = "/t/acme/settings/model-providers/import/"
LIST = reply(200, {"object": "list", "data": [{"id": "gpt-4o", "object": "model"}]})


def recognised(text: str) -> list[tuple[How, str, str, dict[str, str]]]:
    return [
        (one.how, one.provider, one.label, one.values)
        for one in env_file.recognise(env_file.read(text))
    ]


KEY = "k1Zz" * 8


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (f"OPENAI_API_KEY={KEY}", (How.NAME, "openai", "Imported", {"api_key": KEY})),
        (
            f"export OPENAI_API_KEY = '{KEY}'  # ours",
            (How.NAME, "openai", "Imported", {"api_key": KEY}),
        ),
        (f'OPENAI_API_KEY_BACKUP: "{KEY}"', (How.NAME, "openai", "Backup", {"api_key": KEY})),
        (f"openai.api-key={KEY} # a remark", (How.NAME, "openai", "Imported", {"api_key": KEY})),
        (f"DASHSCOPE_API_KEY={KEY},", (How.NAME, "tongyi", "Imported", {"api_key": KEY})),
        (
            f"MY_THING=sk-ant-{KEY}",
            (How.SHAPE, "anthropic", "Imported", {"api_key": f"sk-ant-{KEY}"}),
        ),
        (f"hf_{KEY}", (How.SHAPE, "huggingface_hub", "Imported", {"api_token": f"hf_{KEY}"})),
        (f"r8_{KEY}==", (How.SHAPE, "replicate", "Imported", {"api_token": f"r8_{KEY}=="})),
        (
            f"MY_THING=sk-{KEY}",
            (How.UNKNOWN, "", "Imported", {"": f"sk-{KEY}"}),
        ),  # OpenAI, DeepSeek and TONGYI begin so
        (f"SOME_API_KEY={KEY}", (How.UNKNOWN, "", "Imported", {"": KEY})),
        (f"DATABASE_URL=postgres://me:{KEY}@db/x", (How.NO_KEY, "", "", {})),
        (f"STRIPE_API_KEY={KEY}", (How.NO_KEY, "", "", {})),
        ("DEBUG=true", (How.NO_KEY, "", "", {})),
        ("OPENAI_BASE_URL=https://relay.example/v1", (How.NO_KEY, "", "Imported", {})),
    ],
)
def test_a_line_is_recognised_by_its_name_and_by_the_shape_of_its_key(
    line: str, found: Any
) -> None:
    [one] = recognised(line)
    if found[3] and set(found[3]) == {"api_token"}:  # whatever the adapter calls its one key
        one = (*one[:3], {"api_token": next(iter(one[3].values()))})
    assert one == found


@pytest.mark.parametrize(
    "line",
    [
        f"r8_{KEY}==",
        f"sk-ant-{KEY}= # mine",
        f"{KEY}: a remark",
        f"sk-{KEY} = x",
        f"AKIA{'Q2W3' * 5}=1234567890123456789",
        f"OPENAI_API_KEY_{KEY}={KEY}",
    ],
)
def test_a_key_before_an_equals_sign_is_no_name_to_show(line: str) -> None:
    assert all(
        len(name) < 10
        for one in env_file.recognise(env_file.read(line))
        for name in (*one.names, one.label)
    )


def test_lines_of_one_account_go_together() -> None:
    text = f"""
    # Azure, and SPARK's three
    AZURE_OPENAI_ENDPOINT=https://acme.openai.azure.com
    AZURE_OPENAI_API_KEY={KEY}
    SPARK_API_KEY={KEY}
    SPARK_API_SECRET={KEY}2
    SPARK_APP_ID=1234
    OPENAI_API_KEY={KEY}
    OPENAI_API_KEY={KEY}3
    """
    found = recognised(text)
    assert [(provider, values) for _how, provider, _label, values in found] == [
        ("azure_openai", {"base_url": "https://acme.openai.azure.com", "api_key": KEY}),
        ("spark", {"api_key": KEY, "api_secret": f"{KEY}2", "app_id": "1234"}),
        ("openai", {"api_key": KEY}),
        ("openai", {"api_key": f"{KEY}3"}),
    ]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "nothing_found"),
        ("# nothing\nhello there", "nothing_found"),
        ("x" * 70_000, "too_long"),
        ("A=1\n" * 51, "too_many"),
    ],
)
def test_what_is_refused_as_a_whole(text: str, code: str) -> None:
    with pytest.raises(ServiceError) as refused:
        env_file.read(text)
    assert refused.value.code == code


@pytest.mark.parametrize("line", ["A={}{}b", "a{}{}b", "export{}{}b", "A='{}{}b", "A: {}{}# b"])
def test_a_long_run_of_blanks_takes_no_time(line: str) -> None:
    began = time.process_time()
    with contextlib.suppress(ServiceError):
        env_file.recognise(env_file.read(line.format(" " * 30_000, "\t" * 30_000)))
    assert time.process_time() - began < 1


def test_no_representation_holds_a_key() -> None:
    lines = env_file.read(f"OPENAI_API_KEY={KEY}")
    assert KEY not in repr(lines) + repr(env_file.recognise(lines))


def test_a_preview_opens_for_its_own_workspace_and_nonce_only(
    acme: Workspace, globex: Workspace
) -> None:
    with tenant_scope(acme.tenant):
        found = services.preview(tenant=acme.tenant, text=f"OPENAI_API_KEY={KEY}", nonce="one")
        assert KEY not in found.token + repr(found)
        with pytest.raises(CredentialUnreadable):
            services.save(
                tenant=acme.tenant, actor=COMMAND, token=found.token, nonce="two", chosen=[]
            )
    with tenant_scope(globex.tenant), pytest.raises(CredentialUnreadable):
        services.save(
            tenant=globex.tenant, actor=COMMAND, token=found.token, nonce="one", chosen=[]
        )


def test_what_is_not_reached_in_time_is_kept_for_another_go(
    acme: Workspace, answers: Answers
) -> None:
    answers.script = [LIST, LIST]
    chosen = [services.Chosen(0, "openai", "One")]
    with tenant_scope(acme.tenant):
        found = services.preview(tenant=acme.tenant, text=f"OPENAI_API_KEY={KEY}", nonce="n")
        results, token = services.save(
            tenant=acme.tenant,
            actor=COMMAND,
            token=found.token,
            nonce="n",
            chosen=chosen,
            deadline=-1,
        )
        assert [one.is_saved for one in results] == [None]
        results, token = services.save(
            tenant=acme.tenant, actor=COMMAND, token=token, nonce="n", chosen=chosen
        )
        assert [one.is_saved for one in results] == [True]
        assert token == "", "nothing is left to be kept"


# ----------------------------------------------------------------------------------------- the page


@pytest.fixture
def page(acme: Workspace) -> Client:
    return walk.browser(acme.admin)


def test_keys_are_looked_at_first_then_checked_and_saved_one_by_one(
    page: Client, acme: Workspace, answers: Answers
) -> None:
    good, bad, other = (marked_secret(name) for name in ("good", "bad", "other"))
    make_credential(acme.tenant, provider="openai", name="Imported")
    text = f"OPENAI_API_KEY={good}\nANTHROPIC_API_KEY={bad}\nSOME_API_KEY={other}\nDEBUG=1"
    answer = page.post(PATH, {"do": "read", "text": text}, follow=True)
    shown = answer.content.decode()
    assert [key for key in (good, bad, other) if key in shown] == []
    assert "Imported 2" in shown, "the name is free"
    assert "Check and save 2" in shown
    assert "no-store" in answer.headers["Cache-Control"]
    with all_tenants():
        assert ProviderCredential.objects.count() == 1, "looking stores nothing"
        assert not answers.calls
    kept = str([one.get_decoded() for one in Session.objects.all()])
    assert [key for key in (good, bad, other) if key in kept] == []

    answers.script = [
        LIST,
        openai_error(401, "", kind="authentication_error"),
        openai_error(402, "", "Insufficient Balance"),
    ]
    choices = {
        "take-0": "1",
        "name-0": "Mine",
        "take-1": "1",
        "name-1": "Theirs",
        "take-2": "1",
        "provider-2": "deepseek",
        "name-2": "Deep",
    }
    answer = page.post(PATH, {"do": "save", **choices}, follow=True)
    shown = answer.content.decode()
    assert [key for key in (good, bad, other) if key in shown] == []
    assert "Anthropic refused this key" in shown
    assert "2 keys saved." in shown
    assert "the account has no credit" in shown
    with all_tenants():
        assert set(ProviderCredential.objects.values_list("provider", "name")) == {
            ("openai", "Imported"),
            ("openai", "Mine"),
            ("deepseek", "Deep"),
        }
        added = AuditEntry.objects.filter(tenant=acme.tenant, action="credential.added")
        assert added.filter(user=acme.admin).count() == 2

    page.post(PATH, {"do": "discard"})
    assert not [
        key
        for one in Session.objects.all()
        for key in one.get_decoded()
        if key.startswith("import:")
    ]


def test_a_key_that_is_there_is_not_chosen_again(page: Client, acme: Workspace) -> None:
    secret = marked_secret("the same")
    make_credential(acme.tenant, provider="openai", name="Production", values={"api_key": secret})
    shown = page.post(
        PATH, {"do": "read", "text": f"OPENAI_API_KEY={secret}"}, follow=True
    ).content.decode()
    assert "“Production” ends with the same characters." in shown
    assert " checked" not in shown.partition("<tbody>")[2].partition("</tbody>")[0]


def test_a_refused_paste_says_why_and_does_not_come_back(page: Client) -> None:
    answer = page.post(PATH, {"do": "read", "text": "hello, this is private"})
    assert answer.status_code == 422
    assert "No line of the form NAME=value was found." in answer.content.decode()
    assert "private" not in answer.content.decode()
    assert page.post(PATH, {"do": "read"}).status_code == 422


def test_a_preview_is_of_one_workspace_and_ends(
    page: Client, acme: Workspace, globex: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    page.post(PATH, {"do": "read", "text": f"OPENAI_API_KEY={KEY}"})
    with all_tenants():
        from tenants.models import Membership

        Membership.objects.create(tenant=globex.tenant, user=acme.admin, role="admin")
    assert b"OPENAI_API_KEY</code>" not in page.get(PATH.replace("acme", "globex")).content
    assert b"OPENAI_API_KEY</code>" in page.get(PATH).content
    monkeypatch.setattr(services, "KEPT_FOR", -1)
    page.post(PATH, {"do": "read", "text": f"OPENAI_API_KEY={KEY}"})
    assert b"OPENAI_API_KEY</code>" not in page.get(PATH).content
    assert (
        "have expired"
        in page.post(PATH, {"do": "save", "take-0": "1"}, follow=True).content.decode()
    )


def test_a_file_is_as_good(page: Client) -> None:
    from django.core.files.uploadedfile import SimpleUploadedFile

    file = SimpleUploadedFile("keys.env", f"OPENAI_API_KEY={KEY}\n".encode())
    assert (
        b"OPENAI_API_KEY</code>"
        in page.post(PATH, {"do": "read", "text": "", "file": file}, follow=True).content
    )
    page.post(PATH, {"do": "discard"})
    assert (
        page.post(
            PATH, {"do": "read", "file": SimpleUploadedFile("x.bin", b"\xff\xfe\x00")}
        ).status_code
        == 422
    )
    assert (
        page.post(
            PATH, {"do": "read", "file": SimpleUploadedFile("x.env", b"A=1\n" * 30_000)}
        ).status_code
        == 422
    )


def test_who_may_not_manage_providers_may_not_import(acme: Workspace) -> None:
    for user, status in ((acme.editor, 403), (acme.viewer, 403)):
        client = walk.browser(user)
        assert client.get(PATH).status_code == status
        assert (
            client.post(PATH, {"do": "read", "text": f"OPENAI_API_KEY={KEY}"}).status_code == status
        )


def test_the_page_takes_few_queries(page: Client, django_assert_max_num_queries: Any) -> None:
    text = "\n".join(f"OPENAI_API_KEY_{number}={KEY}{number}" for number in range(50))
    page.post(PATH, {"do": "read", "text": text}, follow=True)
    with django_assert_max_num_queries(12):
        assert page.get(PATH).content.count(b"OPENAI_API_KEY_") == 50
