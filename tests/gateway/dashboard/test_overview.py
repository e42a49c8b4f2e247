"""The overview's first visit: few queries in every state of a workspace, and the same page as a
later one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from gateway.dashboard import overview as overviews
from models_catalog.models import DefaultModel
from quotas.models import StaleHour
from quotas.usage import summaries, totals
from quotas.usage.rollups import roll_up
from tenants.models import Tenant, User
from tenants.scope import all_tenants, tenant_scope
from tests import walk
from tests.browser.site import KINDS
from tests.browser.world import make
from tests.core.pages import MOST_QUERIES
from tests.module_rows import module_rows

pytestmark = [pytest.mark.django_db, pytest.mark.slow]  # the worlds take seconds to make


@pytest.fixture(scope="module")
def worlds(django_db_setup: None, django_db_blocker: Any) -> Iterator[dict[str, dict[str, str]]]:
    with module_rows(django_db_blocker):
        yield {slug: make(kind, slug) for slug, kind in KINDS.items()}


def first_visit(slug: str, email: str) -> Any:
    """The page with nothing cached, by somebody who was here before: that itself is noted once."""
    client: Client = walk.browser(User.objects.get(email=email))
    client.get(f"/t/{slug}/")
    cache.clear()
    with CaptureQueriesContext(connection) as asked:
        answer = client.get(f"/t/{slug}/")
    assert answer.status_code == 200
    assert answer.context["overview"].unread == []
    assert len(asked) <= MOST_QUERIES, "\n".join(one["sql"][:160] for one in asked)
    return answer


@pytest.mark.parametrize("person", ["owner", "viewer"])
@pytest.mark.parametrize("slug", KINDS)
def test_a_first_visit_takes_few_queries(
    slug: str, person: str, worlds: dict[str, dict[str, str]]
) -> None:
    first_visit(slug, worlds[slug][person])


@pytest.mark.parametrize("slug", ["acme", "huge"])
def test_so_it_does_once_usage_is_summed(slug: str, worlds: dict[str, dict[str, str]]) -> None:
    with all_tenants():
        assert StaleHour.objects.exists(), "calls of the past were written just now"
    first_visit(slug, worlds[slug]["owner"])
    roll_up()
    before = first_visit(slug, worlds[slug]["owner"]).context["overview"]
    assert before.problems
    with tenant_scope(Tenant.objects.get(slug=slug)):
        DefaultModel.objects.all().delete()
    assert not first_visit(slug, worlds[slug]["owner"]).context["overview"].steps[1].done


def test_what_was_read_at_once_is_what_each_would_say(worlds: dict[str, dict[str, str]]) -> None:
    tenants = {slug: Tenant.objects.get(slug=slug) for slug in worlds}
    found = {}
    for slug, tenant in tenants.items():
        with tenant_scope(tenant):
            found[slug] = overviews._past(tenant.pk)
            assert found[slug].rollup_state == totals.rollup_state(tenant_id=tenant.pk)
            assert {row.key: row.calls for row in overviews._days(tenant)} == {
                row.key: row.calls
                for row in summaries.summary(tenant_id=tenant.pk, days=overviews.DAYS).rows
            }
    assert found["acme"].progress == {"chosen": True, "keyed": True, "called": True}
    assert found["fresh"].progress == {"chosen": False, "keyed": False, "called": False}
