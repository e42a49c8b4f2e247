"""The table of error codes: nothing outside it can be sent, and everything in it is written
somewhere.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
from django.utils import translation

from core import error_codes
from core.api import errors, openapi
from core.error_codes import RECORDED
from core.errors import Conflict, NotAllowed, NotFound, ServiceError
from gateway.dataplane.errors import Refusal
from providers.declaration.errors import Failure
from tests.api import test_sent_codes as rest
from tests.core import test_sent_on_pages as pages
from tests.gateway.dataplane import test_sent_codes as v1
from tests.source import ROOT, files, name_of, nodes

SENDERS = {"Refusal", "error_body", "_respond"}
# These take the code first.
CODE_FIRST = {
    "ServiceError",
    "NotFound",
    "Conflict",
    "NotAllowed",
    "BadCredential",
    "Refusal",
    "error_body",
}


def test_a_code_that_is_not_in_the_table_fails_at_once() -> None:
    for refuse in (ServiceError, NotFound, Refusal):
        with pytest.raises(error_codes.UnknownErrorCode):
            refuse("no_such_code", "Words.")
    with pytest.raises(error_codes.UnknownErrorCode):
        errors.error_body("no_such_code", "Words.")


def test_a_status_that_is_not_in_the_table_fails_at_once() -> None:
    with pytest.raises(error_codes.UnknownErrorCode):
        ServiceError("bad_name", "Words.", status=402)
    with pytest.raises(error_codes.UnknownErrorCode):
        NotAllowed("bad_name", "Words.")


def test_status_and_type_come_from_the_table() -> None:
    assert (ServiceError("too_many_emails", "").status, Conflict("name_taken", "").status) == (
        429,
        409,
    )
    assert (Refusal("trial_exhausted", "").status, Refusal("trial_exhausted", "").type) == (
        402,
        "insufficient_quota",
    )
    assert (
        errors.error_body("provider_timeout", "", status=422)["error"]["type"]
        == "invalid_request_error"
    )


def test_every_code_that_is_written_is_in_the_table() -> None:
    missing = [
        f"{name_of(path)}:{node.lineno} {node.args[0].value}"
        for path in files()
        for node in nodes(path)
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", getattr(node.func, "attr", "")) in CODE_FIRST
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and not is_code(node.args[0])
    ]
    assert missing == []


def exceptions_of_services() -> set[str]:
    """Names of ServiceError and of every class below it."""
    found, left = set(), [ServiceError]
    while left:
        kind = left.pop()
        found.add(kind.__name__)
        left += kind.__subclasses__()
    return found


def sent_codes() -> Iterator[tuple[str, str]]:
    """(file, code) of every code that the product's source sends by name."""
    senders = SENDERS | exceptions_of_services()
    for path in files():
        for node in nodes(path):
            if isinstance(node, ast.Call) and node.args:
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                inside = (
                    name == "__init__"
                    and isinstance(node.func, ast.Attribute)
                    and "super()" in ast.unparse(node.func)
                )
                if name in senders or inside:
                    yield from ((name_of(path), one.value) for one in node.args[:2] if is_code(one))


def is_code(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value in error_codes.CODES
    )


def test_every_code_is_written_somewhere() -> None:
    written = (
        {code for _file, code in sent_codes()}
        | {str(failure) for failure in Failure}
        | {code for _kind, code in errors.CODES}
    )
    recorded = {entry.code for entry in error_codes.CODES.values() if entry.statuses == (RECORDED,)}
    assert error_codes.CODES.keys() - written - recorded == set()


def test_every_code_is_sent_by_a_case_with_each_of_its_statuses() -> None:
    """The cases provoke them for real; a code without one has no place in the help."""
    cases: set[tuple[str, int]] = set()
    for found in (rest.CASES, rest.RECORDED, pages.CASES, pages.PLAYGROUND, v1.CASES, v1.RECORDED):
        cases |= found.keys()
    table = {
        (entry.code, status) for entry in error_codes.CODES.values() for status in entry.statuses
    }
    assert table - cases == set(), "nothing sends it"
    assert cases - table == set()


def test_every_failure_of_a_provider_is_in_the_table() -> None:
    for failure in Failure:
        assert 422 in error_codes.find(failure.value).statuses, "a check in the settings answers it"


def test_calls_have_help_without_markup() -> None:
    """Lists of calls and the playground show it as it is."""
    shown = [
        entry
        for group in ("model", "trial", "provider", "outcome")
        for entry in error_codes.GROUPS[group]
    ]
    shown += [
        entry for entry in error_codes.CALLS if entry.says_all or "idempotency" in str(entry.help)
    ]
    assert [entry.code for entry in shown if "`" in str(entry.help)] == []


def test_the_openapi_document_knows_every_code_that_is_sent_in_the_readers_language() -> None:
    for language in ("en", "zh-hans"):
        with translation.override(language):
            fields = openapi.document()["components"]["schemas"]["Error"]["properties"]["error"]
            assert fields["properties"]["code"]["x-error-codes"] == {
                entry.code: {
                    "statuses": list(entry.statuses),
                    "title": str(entry.title),
                    "help": str(entry.help),
                }
                for entry in error_codes.CODES.values()
                if entry.statuses != (RECORDED,)
            }


def test_the_guide_for_integrators_names_codes_and_statuses_that_there_are() -> None:
    text = (ROOT / "docs" / "integrators.md").read_text("utf-8")
    section = text.partition("## Errors")[2].partition("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.split("|")[1:3]]
        for line in section.splitlines()
        if line.startswith("| ") and "`" in line
    ]
    assert rows
    for statuses, codes in rows:
        for code in codes.replace("`", "").split(","):
            if code.strip() != "provider_...":
                assert {int(one) for one in statuses.split(",")} <= set(
                    error_codes.find(code.strip()).statuses
                ), code
