"""Failures are kept as codes and values, and put into words when they are shown; sentences of
before are read once.
"""

from __future__ import annotations

import ast
from importlib import import_module
from typing import Any

import pytest
from django.utils import translation

from providers.declaration.errors import Failure, ProviderError
from providers.failures.detail import FailureDetail
from providers.failures.reasons import TEMPLATES, Reason
from providers.models import ProviderChoice, ProviderCredential
from tenants.scope import tenant_scope
from tests import factories
from tests.migrating import migrate, migrate_all
from tests.source import files, name_of, nodes

read = import_module("providers.migrations.0003_read_failure_sentences")
SENTENCES: list[tuple[str, dict[str, Any]]] = [
    (
        "Incorrect API key. (401 invalid_api_key)",
        {"text": "Incorrect API key.", "status": 401, "provider_code": "invalid_api_key"},
    ),
    ("No balance is left. (402)", {"text": "No balance is left.", "status": 402}),
    ("Busy (1302)", {"text": "Busy", "provider_code": "1302"}),
    ("It said (why, and then", {"text": "It said (why, and then"}),
    ("The provider did not answer in time.", {"reason": {"code": "timeout"}}),
    (
        "The provider's answer could not be read. (200)",
        {"reason": {"code": "unreadable"}, "status": 200},
    ),
]


@pytest.mark.parametrize(("sentence", "detail"), SENTENCES)
def test_sentences_of_before_are_read_and_written_back(
    sentence: str, detail: dict[str, Any]
) -> None:
    assert read.detail_of(sentence) == detail
    assert read.sentence_of(detail) == sentence
    assert FailureDetail.from_json(detail).describe(str) == sentence


def test_our_own_words_are_those_of_the_product() -> None:
    assert {code: TEMPLATES[code] for code in read.OURS.values()} == {
        code: sentence for sentence, code in read.OURS.items()
    }


@pytest.mark.parametrize(
    "error",
    [
        ProviderError(Failure.AUTH, "No.", status=401, provider_code="bad"),
        ProviderError(Failure.NOT_AN_API, Reason("not_public", allow="https://x", host="x")),
        ProviderError(Failure.ERROR, Reason("too_long", most=4), status=200),
    ],
)
def test_what_is_stored_is_what_is_read(error: ProviderError) -> None:
    detail = FailureDetail.of(error)
    assert FailureDetail.from_json(detail.to_json()) == detail


def test_the_reader_gets_our_words_in_their_language_and_the_providers_as_they_are() -> None:
    ours = FailureDetail(reason=Reason("timeout"), status=504)
    theirs = FailureDetail("Incorrect API key.", status=401)
    with translation.override("zh-hans"):
        assert ours.describe(translation.gettext) == "供应商未及时响应。（504）"
        assert theirs.describe(translation.gettext) == "Incorrect API key. (401)"


def test_a_reason_without_words_fails_at_once_and_a_stored_one_is_left_out() -> None:
    with pytest.raises(KeyError):
        Reason("no_such_reason")
    with pytest.raises(KeyError):
        Reason("not_public")
    assert (
        FailureDetail.from_json({"reason": {"code": "no_such_reason"}, "status": 500}).codes
        == "500"
    )


def test_our_own_words_are_reasons_wherever_a_provider_fails() -> None:
    """A sentence of ours in a failure would be stored, and shown in English to everybody."""
    written = [
        f"{name_of(path)}:{node.lineno}"
        for path in files("providers", "gateway", "models_catalog")
        for node in nodes(path)
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") in ("ProviderError", "TransportFailure")
        and holds_words(node.args[1])
    ]
    assert written == []


def holds_words(node: ast.AST) -> bool:
    """Whether an expression may give a text that is written in the code itself."""
    if isinstance(node, ast.Call | ast.Subscript):
        return False
    if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and bool(node.value)):
        return True
    return any(map(holds_words, ast.iter_child_nodes(node)))


def test_a_key_among_the_values_is_not_kept() -> None:
    reason = Reason("no_demo_model", model="sk-secret")
    assert str(reason.cleaned(lambda text: text.replace("sk-secret", "[key]"))) == (
        "The demo provider has no model [key] for this."
    )


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_an_upgraded_database_says_what_it_said(acme: factories.Workspace) -> None:
    row = factories.make_credential(acme.tenant, state_detail=SENTENCES[0][1])
    with tenant_scope(acme.tenant):
        ProviderChoice.objects.get_or_create(tenant=acme.tenant, provider="openai")
    try:
        before = migrate("providers", "0001_initial")
        assert (
            before.get_model("providers", "ProviderCredential").objects.get(pk=row.pk).state_message
            == SENTENCES[0][0]
        )
        before.get_model("providers", "ProviderChoice").objects.update(
            models_error="Down for a while. (503)"
        )
    finally:
        migrate_all()
    with tenant_scope(acme.tenant):
        assert ProviderCredential.objects.get(pk=row.pk).failure_words == SENTENCES[0][0]
        assert ProviderChoice.objects.get().list_failure == FailureDetail(
            "Down for a while.", status=503
        )
