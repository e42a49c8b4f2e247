"""Pages of usage: figures with their change, the log with its filters, one call, and CSV; each
workspace its own.
"""

from __future__ import annotations

import asyncio
import csv
import io
import time
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from asgiref.sync import ThreadSensitiveContext
from django.core.handlers.asgi import ASGIRequest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from core import error_codes
from core.csv import AT_ONCE, download, text_of
from quotas.ledger import pricing, quantities
from quotas.models import CreditPool, TrialPlan
from quotas.templatetags import usage_ui
from quotas.usage import presentation, rollups, summaries
from quotas.usage.charts import calls_per_day, nice
from quotas.usage.summaries import Cost, SummaryRow
from tenants.models import AuditEntry, User
from tenants.scope import tenant_scope
from tests import factories, walk
from tests.page_text import folded

pytestmark = pytest.mark.django_db
USAGE = "/t/acme/usage/"


@pytest.fixture(autouse=True)
def no_providers() -> None:
    """Leave the ports connected, unlike the other tests of this app: pages show names and
    prices.
    """


@pytest.fixture
def browser(acme: factories.Workspace) -> Client:
    return walk.browser(acme.owner)


def record(space: factories.Workspace, **changes: Any) -> Any:
    return factories.make_call(space.tenant, **{"latency_ms": 1200} | changes)


def text(browser: Client, path: str) -> str:
    answer = browser.get(path)
    assert answer.status_code == 200
    return folded(answer)


def rows(answer: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))


# -- figures ---------------------------------------------------------------------------------------


def test_figures_are_compared_with_the_period_before(
    acme: factories.Workspace, browser: Client
) -> None:
    for number in range(6):
        record(
            acme,
            status="error" if number == 0 else "ok",
            error_code="provider_timeout" if number == 0 else "",
            cost=Decimal(1),
            currency="USD",
        )
    for _number in range(4):
        record(acme, time=timezone.now() - timedelta(days=8), cost=Decimal(2), currency="USD")
    with tenant_scope(acme.tenant):
        found = presentation.of(summaries.usage(tenant_id=acme.tenant.pk, days=7))
    assert [figure.value for figure in found] == ["6", "312", "16.7 %", "1.2 s", "6.00 USD"]
    assert [figure.change for figure in found] == [
        "+50 %",
        "+50 %",
        "+16.7 points",
        "±0 %",
        "−25 %",
    ]
    shown = text(browser, f"{USAGE}?days=7")
    assert "+50 %" in shown
    assert "Timed out" in shown
    assert str(error_codes.find("provider_timeout").help) in shown


def test_costs_of_two_currencies_are_neither_added_nor_compared(acme: factories.Workspace) -> None:
    record(acme, cost=Decimal(1), currency="USD")
    record(acme, cost=Decimal(2), currency="CNY")
    with tenant_scope(acme.tenant):
        cost = presentation.of(summaries.usage(tenant_id=acme.tenant.pk, days=7))[-1]
    assert (list(cost.parts), cost.change) == (["2.00 CNY", "1.00 USD"], "")


@pytest.mark.parametrize("by", presentation.BREAKDOWNS)
def test_breakdowns_name_what_they_sum(by: str, acme: factories.Workspace, browser: Client) -> None:
    record(acme, user=acme.editor)
    record(acme, user_id=987654, provider="gone", model="m", source="trial:openai", app_key_name="")
    shown = text(browser, f"{USAGE}?by={by}")
    expected = {
        "model": ("openai/gpt-4o", "gone/m"),
        "provider": ("OpenAI", "gone"),
        "app_key": ("CI", "Playground or no app key"),
        "member": (acme.editor.name, "Former member (987654)"),
        "source": ("Own key: Main", "Trial: openai"),
    }[by]
    for name in expected:
        assert f">{name}<" in shown


def test_filters_leave_other_calls_out_and_still_offer_them(
    acme: factories.Workspace, browser: Client
) -> None:
    record(acme)
    record(acme, provider="anthropic", model="claude")
    shown = text(browser, f"{USAGE}?provider=anthropic")
    assert "anthropic/claude" in shown
    assert "openai/gpt-4o" not in shown
    assert '<option value="openai">' in shown
    assert "No call matches these filters." in text(browser, f"{USAGE}?provider=nowhere")


def test_the_forecast_of_a_trial_is_shown(acme: factories.Workspace, browser: Client) -> None:
    TrialPlan.objects.filter(slug="openai").update(is_on=True)
    with tenant_scope(acme.tenant):
        CreditPool.objects.update_or_create(
            tenant=acme.tenant,
            plan=TrialPlan.objects.get(slug="openai"),
            defaults={"limit": 500, "settled": 490},
        )
    shown = text(browser, USAGE)
    assert "10 of 500 left" in shown
    assert "Ends soon" in shown
    assert "Nothing was used in the last 7 days." in shown


@pytest.mark.slow
def test_queries_do_not_grow_with_the_calls(acme: factories.Workspace, browser: Client) -> None:
    paths = (
        USAGE,
        f"{USAGE}?by=member&days=90&model=gpt-4o",
        f"{USAGE}calls/",
        f"{USAGE}calls/?status=error&since=2026-01-01",
    )
    counts = []
    for number in range(1, 4):
        for hours in range(0, 200, 20):
            record(
                acme,
                time=timezone.now() - timedelta(hours=hours),
                model=f"model-{number}",
                user=acme.editor,
                status="error",
                error_code="x",
            )
        rollups.roll_up()
        record(acme, time=timezone.now() - timedelta(hours=99))
        found = []
        for path in paths:
            with CaptureQueriesContext(connection) as captured:
                assert browser.get(path).status_code == 200
            found.append(len(captured))
        counts.append(found)
    assert counts[1] == counts[2]
    assert max(counts[2]) <= 12


def test_an_empty_workspace_is_told_how_to_begin(
    acme: factories.Workspace, browser: Client
) -> None:
    """Where nothing can be called, a provider comes first; no command is shown that would be
    refused. Within the budget of queries.
    """
    for path in (USAGE, f"{USAGE}calls/"):
        page = text(browser, path)
        assert "No model can be called yet" in page
        assert 'class="btn primary" href="/t/acme/settings/model-providers/"' in page
        assert "/v1/chat/completions" not in page
    factories.make_credential(acme.tenant, provider="demo")
    for path in (USAGE, f"{USAGE}calls/"):
        with CaptureQueriesContext(connection) as captured:
            page = text(browser, path)
        assert "http://testserver/v1/chat/completions" in page
        assert "demo/demo-chat" in page
        assert page.count('class="btn primary"') == 1
        assert "/help/usage/" in page
        assert len(captured) <= 12


@pytest.mark.parametrize(
    ("language", "tokens", "cost"),
    [
        ("en", ("99,999", "300 K", "4.1 M", "1.2 G"), "1.50 USD + 2.00 CNY"),
        ("zh-hans", ("99,999", "30 万", "410 万", "12 亿"), "1.50 美元 + 2.00 元"),
    ],
)
def test_numbers_and_money_in_each_language(
    language: str, tokens: tuple[str, ...], cost: str
) -> None:
    with translation.override(language):
        assert (
            tuple(usage_ui.compact(value) for value in (99_999, 300_000, 4_100_000, 1_200_000_000))
            == tokens
        )
        assert usage_ui.costs([Cost("USD", Decimal("1.5")), Cost("CNY", Decimal(2))]) == cost
        assert usage_ui.price(Decimal("0.1"), "EUR") == "0.10 EUR"


def test_the_chart_reads_well() -> None:
    days = [SummaryRow("2026-11-21", calls=13, errors=3), SummaryRow("2026-11-22")]
    chart = calls_per_day(days)
    assert (chart.most, chart.top) == (13, 20)
    assert (chart.bars[0].ok, chart.bars[0].ok_y, chart.bars[0].bad, chart.bars[0].bad_y) == (
        "60.00",
        "60.00",
        "18.00",
        "42.00",
    )
    assert [bar.is_today for bar in chart.bars] == [False, True]
    assert [nice(value) for value in (0, 1, 3, 10, 11, 501)] == [1, 1, 5, 10, 20, 1000]


# -- the log and one call --------------------------------------------------------------------------


@pytest.mark.slow
def test_the_log_is_filtered_by_everything_it_shows(
    acme: factories.Workspace, browser: Client
) -> None:
    early = timezone.localtime() - timedelta(days=3)
    record(
        acme,
        request_id="wanted-1",
        time=early,
        app_key_name="Bot",
        source="trial:openai",
        status="error",
        error_code="provider_timeout",
    )
    for number in range(3):
        record(acme, request_id=f"other-{number}")
    day = early.date().isoformat()
    for query in (
        f"since={day}&until={day}",
        f"until={day}",
        "app_key=Bot",
        "source=trial",
        "status=error",
        "error_code=provider_timeout",
        "request_id=wanted-1",
        f"request_id=wanted-1&status=error&until={day}",
    ):
        shown = rows(browser.get(f"{USAGE}calls/export.csv?{query}"))
        assert [row["request_id"] for row in shown] == ["wanted-1"], query
        assert text(browser, f"{USAGE}calls/?{query}").count("<tr>") == 2, query
    assert "No call matches these filters." in text(
        browser, f"{USAGE}calls/?request_id=other-0&status=error"
    )
    assert (
        text(browser, f"{USAGE}calls/?since=nonsense&until=31.12.2026&source=x&after=y").count(
            "<tr>"
        )
        == 5
    )


@pytest.mark.parametrize("zone", ["", "Pacific/Pago_Pago", "Pacific/Kiritimati", "Asia/Kathmandu"])
@pytest.mark.parametrize(
    "path",
    ["usage/calls/", "usage/calls/export.csv", "settings/audit/", "settings/audit/export.csv"],
)
def test_days_at_the_ends_of_time_are_days_too(
    path: str, zone: str, acme: factories.Workspace, browser: Client
) -> None:
    User.objects.filter(pk=acme.owner.pk).update(time_zone=zone)
    record(acme)
    for query, is_in_it in (
        ("since=0001-01-01", True),
        ("until=9999-12-31", True),
        ("since=0001-01-01&until=9999-12-31", True),
        ("since=9999-12-31", False),
        ("until=0001-01-01", False),
    ):
        answer = browser.get(f"/t/acme/{path}?{query}")
        assert answer.status_code == 200, query
        content = b"".join(answer.streaming_content) if answer.streaming else answer.content
        assert path != "usage/calls/export.csv" or (b"request-1" in content) is is_in_it, query


def test_who_sends_the_same_request_id_is_not_in_the_way(
    acme: factories.Workspace, globex: factories.Workspace, browser: Client
) -> None:
    own, other = record(acme, request_id="theirs-too"), record(globex, request_id="theirs-too")
    with CaptureQueriesContext(connection) as made:
        assert f"{USAGE}calls/{own.pk}/" in text(browser, f"{USAGE}calls/?request_id=theirs-too")
    assert any(own.pk.hex in one["sql"].replace("-", "") for one in made.captured_queries)
    assert not any(other.pk.hex in one["sql"].replace("-", "") for one in made.captured_queries), (
        "not even its id is read"
    )
    if connection.vendor == "sqlite":
        [asked] = [
            one["sql"]
            for one in made.captured_queries
            if one["sql"].startswith("SELECT id FROM quotas_callrecord")
        ]
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {asked}")
            assert "call_request" in str(cursor.fetchall())


def test_pages_of_the_log_go_on_without_gaps(acme: factories.Workspace, browser: Client) -> None:
    for number in range(53):
        record(acme, request_id=f"r{number}")
    first = browser.get(f"{USAGE}calls/")
    following = first.context["next"]
    second = browser.get(f"{USAGE}calls/?after={following}")
    assert len(first.context["calls"]), len(second.context["calls"]) == (50, 3)
    assert (
        len({call.request_id for call in [*first.context["calls"], *second.context["calls"]]}) == 53
    )


def test_the_page_of_a_call_says_what_happened(acme: factories.Workspace, browser: Client) -> None:
    log = [
        {
            "provider": "anthropic",
            "model": "claude",
            "source": "trial:anthropic",
            "failure": "provider_rate_limited",
            "message": "Slow down, <b>please</b>.",
            "status": 429,
            "ms": 200,
        },
        {
            "provider": "openai",
            "model": "gpt-4o",
            "source": "credential:Main",
            "failure": "",
            "status": 200,
            "ms": 900,
        },
    ]
    call = record(
        acme,
        attempts=2,
        attempt_log=log,
        usage_source="estimated",
        user=acme.editor,
        first_token_ms=340,
        cost=Decimal("0.1"),
        currency="USD",
    )
    shown = text(browser, f"{USAGE}calls/{call.pk}/")
    for part in (
        "request-1",
        "Rate limit",
        "Slow down, &lt;b&gt;please&lt;/b&gt;.",
        "429",
        "Trial: anthropic",
        "an estimate",
        acme.editor.name,
        "340 ms",
        "0.10 USD",
        "As of",
    ):
        assert part in shown
    assert "gives a different amount" in shown
    assert 'href="/t/acme/settings/model-providers/openai/?q=gpt-4o"' in shown


def test_the_page_of_a_failed_call_quotes_the_provider(
    acme: factories.Workspace, browser: Client
) -> None:
    said = {"error_message": "<script>alert(1)</script> " + "x" * 470, "error_param": "<i>tools"}
    call = record(acme, status="error", error_code="invalid_request", **said)
    shown = text(browser, f"{USAGE}calls/{call.pk}/")
    assert f"&lt;script&gt;alert(1)&lt;/script&gt; {'x' * 470}</bdi>" in shown
    assert "&lt;i&gt;tools</code>" in shown
    answered = record(acme, request_id="later", **said)
    assert "Why it failed" not in text(browser, f"{USAGE}calls/{answered.pk}/")
    [row] = rows(browser.get(f"{USAGE}calls/export.csv?request_id=later"))
    assert (row["error_message"], row["error_param"]) == tuple(said.values())


def test_a_price_of_now_that_gives_the_recorded_cost_is_told_so(
    acme: factories.Workspace, browser: Client
) -> None:
    with tenant_scope(acme.tenant):
        found = presentation.ports.prices(acme.tenant.pk, "openai", "gpt-4o").at(timezone.now())
    assert found is not None
    assert found.as_of is not None
    call = record(acme)
    cost = pricing.bill_of(quantities.of_record(call), found).cost
    assert cost
    call = record(acme, cost=cost, currency="USD")
    assert "The price for the time of the call gives the same" in text(
        browser, f"{USAGE}calls/{call.pk}/"
    ).replace("'", "&#x27;")


def test_a_call_of_what_is_gone_has_a_page_too(acme: factories.Workspace, browser: Client) -> None:
    call = record(
        acme,
        provider="gone",
        model="",
        status="error",
        error_code="strange_code",
        http_status=0,
        attempt_log=[1, {}],
    )
    shown = text(browser, f"{USAGE}calls/{call.pk}/")
    assert "strange_code" in shown
    assert "unknown" in shown


def test_another_workspaces_call_is_not_there(
    acme: factories.Workspace, globex: factories.Workspace, browser: Client, stranger: User
) -> None:
    theirs = record(globex, request_id="theirs")
    assert browser.get(f"{USAGE}calls/{theirs.pk}/").status_code == 404
    assert rows(browser.get(f"{USAGE}calls/export.csv?request_id=theirs")) == []
    for path in ("export.csv", "calls/export.csv", "calls/", f"calls/{theirs.pk}/"):
        assert walk.browser(stranger).get(f"/t/globex/usage/{path}").status_code == 404


# -- CSV -------------------------------------------------------------------------------------------


def test_the_csv_of_calls_is_whole_harmless_and_audited(
    acme: factories.Workspace, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quotas.usage.call_list.BATCH", 4)
    for number in range(9):
        record(
            acme,
            request_id=f"r{number}",
            app_key_name="=HYPERLINK(1)",
            cost=Decimal("0.0000000001"),
            currency="USD",
        )
    answer = browser.get(f"{USAGE}calls/export.csv")
    assert answer.streaming
    assert answer["Content-Disposition"].startswith('attachment; filename="acme-calls-')
    found = rows(answer)
    assert [row["request_id"] for row in found] == [f"r{number}" for number in reversed(range(9))]
    assert {row["app_key"] for row in found} == {"'=HYPERLINK(1)"}
    assert {row["cost"] for row in found} == {"0.0000000001"}
    with tenant_scope(acme.tenant):
        assert AuditEntry.objects.get(action="usage.exported").object_label == "calls"


def test_the_csv_of_sums_is_audited(acme: factories.Workspace, browser: Client) -> None:
    record(acme, user=acme.editor)
    assert [row["key"] for row in rows(browser.get(f"{USAGE}export.csv?by=member"))] == [
        acme.editor.name
    ]
    assert len(rows(browser.get(f"{USAGE}export.csv?days=7"))) == 7
    with tenant_scope(acme.tenant):
        assert AuditEntry.objects.filter(action="usage.exported").count() == 2


@pytest.mark.parametrize(
    "cell",
    [
        "=1+1",
        "+1+1",
        "-1+1",
        "@SUM(1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "＝1+1",
        "＋1",
        "－1+1",
        "＠SUM(1)",
    ],
)
def test_a_cell_is_no_formula(cell: str) -> None:
    assert next(csv.reader(io.StringIO(text_of([[cell]]), newline="")))[0] == f"'{cell}"


def test_a_number_stays_a_number() -> None:
    assert text_of([[-5, "-0.25", None, "a"]]) == "-5,-0.25,,a\r\n"


def downloaded(pieces: Iterator[bytes]) -> Any:
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}
    return download(ASGIRequest(scope, io.BytesIO()), pieces, name="x")


def test_only_a_few_downloads_make_a_piece_at_a_time() -> None:
    """Those whose readers are slow keep no turn."""
    working: set[object] = set()
    most = 0

    def pieces() -> Iterator[bytes]:
        nonlocal most
        for _number in range(3):
            mine = object()
            working.add(mine)
            most = max(most, len(working))
            time.sleep(0.002)
            working.discard(mine)
            yield b"a"

    async def read(answer: Any) -> bytes:
        async with ThreadSensitiveContext():  # as in a request: each has a thread of its own
            return b"".join([part async for part in answer])

    async def main() -> list[bytes]:
        slow = [aiter(downloaded(pieces())) for _number in range(AT_ONCE)]
        for reader in slow:
            await anext(reader)
        return await asyncio.gather(*(read(downloaded(pieces())) for _number in range(6)))

    assert asyncio.run(main()) == [b"aaa"] * 6
    assert most == AT_ONCE


def test_under_asgi_the_pieces_come_one_by_one() -> None:
    """Django would collect a synchronous iterator before it sends anything."""
    made = []

    def pieces() -> Iterator[bytes]:
        for number in range(3):
            made.append(number)
            yield b"%d" % number

    async def read() -> None:
        answer = downloaded(pieces())
        assert answer.is_async
        parts = aiter(answer)
        assert await anext(parts) == b"0"
        assert made == [0]
        assert [part async for part in parts] == [b"1", b"2"]

    asyncio.run(read())
