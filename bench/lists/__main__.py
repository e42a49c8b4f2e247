"""`python -m bench.lists [--calls N]`: operators' and workspaces' lists, searches and filters with
10,000 workspaces, a million app keys, audit entries and holds, 100,000 credentials and N calls.

PostgreSQL generates the rows, in a database of its own. Pages are asked for with Django's test
client, which calls the whole middleware in this process; the times are of REQUESTS requests each.
"""

from __future__ import annotations

import argparse
import os
import secrets
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from bench.__main__ import cpu_seconds, postgres_pid, say, table
from bench.lists import rows
from bench.pages import prepare

REQUESTS = 20
GOALS = 100.0, 300.0  # milliseconds: median, and the slowest of a hundred
APP_KEYS = "/admin/tenants/appkey/"
AUDIT = "/admin/tenants/auditentry/"
CALLS = "/admin/quotas/callrecord/"
HOLDS = "/admin/quotas/hold/"
ADMIN = (
    "/admin/",
    "/admin/tenants/tenant/",
    "/admin/tenants/tenant/?q=workspace-77",
    "/admin/tenants/tenant/?q=person-77@example.test",
    "/admin/tenants/tenant/?active=week",
    "/admin/tenants/user/",
    "/admin/tenants/user/?q=person-77",
    "/admin/tenants/user/?role=owner",
    APP_KEYS,
    f"{APP_KEYS}?p=2",
    f"{APP_KEYS}?q=mk_live_c4ca",
    f"{APP_KEYS}?q=workspace-77",
    f"{APP_KEYS}?q=Key 77",
    f"{APP_KEYS}?q=nothing",
    *(f"{APP_KEYS}?condition={each}" for each in ("valid", "expiring", "unused", "revoked")),
    AUDIT,
    f"{AUDIT}?q=person-77@example.test",
    f"{AUDIT}?q=workspace-77",
    f"{AUDIT}?q=Object 77",
    f"{AUDIT}?q=nothing",
    f"{AUDIT}?action=member",
    "/admin/tenants/keypair/",
    "/admin/tenants/keypair/?q=workspace-77",
    "/admin/tenants/keypair/?age=due",
    "/admin/providers/providercredential/",
    "/admin/providers/providercredential/?q=workspace-77",
    "/admin/providers/providercredential/?q=Credential 77",
    "/admin/providers/providercredential/?state__exact=rejected",
    "/admin/models_catalog/tenantmodel/",
    "/admin/models_catalog/tenantmodel/?q=workspace-77",
    "/admin/models_catalog/tenantmodel/?enabled__exact=0",
    CALLS,
    f"{CALLS}?q=request-77",
    f"{CALLS}?q=workspace-77",
    f"{CALLS}?q=model-7",
    f"{CALLS}?q=nothing",
    f"{CALLS}?status__exact=error",
    f"{CALLS}?status__exact=cancelled",
    f"{CALLS}?provider=openai",
    f"{CALLS}?provider=anthropic",
    f"{CALLS}?tokens=estimated",
    f"{CALLS}?{{day}}",
    f"{CALLS}?{{day}}&status__exact=error",
    f"{CALLS}?{{day}}&provider=anthropic",
    HOLDS,
    f"{HOLDS}?q=hold-77",
    f"{HOLDS}?q=nothing",
    f"{HOLDS}?state=held",
    "/admin/quotas/creditpool/",
    "/admin/quotas/creditpool/?q=workspace-77",
    "/admin/quotas/creditpool/?use=nearly",
)
WORKSPACE = (
    "",
    "usage/",
    "usage/calls/",
    "usage/calls/?status=error",
    "usage/calls/?status=cancelled",
    "usage/calls/?model=model-7",
    "usage/calls/?request_id=request-77",
    "settings/app-keys/",
    "settings/audit/",
    "settings/members/",
    "models/",
    "settings/model-providers/",
    "settings/model-providers/openai/credentials/",
)


@dataclass(frozen=True)
class Cost:
    """Milliseconds: the median and the slowest request; CPU of a request here and in PostgreSQL.

    On a machine with other work, only the CPU tells what a page costs.
    """

    median: float
    slowest: float
    ours: float
    theirs: float


def measure(client: Any, url: str, postgres: int | None) -> Cost:
    times: list[float] = []
    ours, theirs = time.process_time(), cpu_seconds(postgres)
    for _number in range(REQUESTS):
        began = time.perf_counter()
        answer = client.get(url)
        times.append(1000 * (time.perf_counter() - began))
        if answer.status_code != 200:
            raise SystemExit(f"{url}: {answer.status_code}")
        if times[0] > 10_000:
            break
    used = time.process_time() - ours, cpu_seconds(postgres) - theirs
    each = [1000 * seconds / len(times) for seconds in used]
    return Cost(statistics.median(times), max(times), *each)


def clients() -> list[tuple[Any, str]]:
    """Return a client and URL of each page: a superuser's, and those of a workspace's owner."""
    from django.test import Client
    from django.utils import timezone

    from tenants.models import Membership, Tenant, User
    from tenants.scope import tenant_scope

    operator, owner, token = Client(), Client(), secrets.token_hex(4)
    operator.force_login(User.objects.create_superuser(f"operator{token}@example.test", "x" * 20))
    tenant = Tenant.objects.get(slug="workspace-77")
    person = User.objects.create_user(f"owner{token}@example.test", "x" * 20)
    with tenant_scope(tenant):
        Membership.objects.create(tenant=tenant, user=person, role="owner")
    owner.force_login(person)
    day = timezone.localdate() - timedelta(days=20)
    when = f"time__year={day.year}&time__month={day.month}&time__day={day.day}"
    pages = [(operator, url.replace("{day}", when)) for url in ADMIN]
    return pages + [(owner, f"/t/workspace-77/{url}") for url in WORKSPACE]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.lists")
    parser.add_argument("--calls", type=int, default=5_000_000)
    parser.add_argument("--again", action="store_true", help="DATABASE_URL has the rows already")
    options = parser.parse_args()
    if not os.environ.get("DATABASE_URL"):
        command = [sys.executable, "-m", "bench.lists", *sys.argv[1:]]
        command = [sys.executable, "-m", "tests.postgres", *command]
        raise SystemExit(subprocess.run(command, check=False).returncode)
    prepare()
    began = time.perf_counter()
    if not options.again:
        rows.generate(options.calls)
    say(f"{options.calls:,} calls; the rows were made in {time.perf_counter() - began:.0f} s")
    found = [("page", "p50", "slowest", "CPU here", "CPU in PostgreSQL")]
    postgres = postgres_pid(os.environ["DATABASE_URL"])
    for client, url in clients():
        cost = measure(client, url, postgres)
        numbers = (cost.median, cost.slowest, cost.ours, cost.theirs)
        median, slowest, ours, theirs = (f"{number:.0f} ms" for number in numbers)
        found.append((url, median, slowest, ours, theirs))
        say(" | ".join(found[-1]))
    say(table(found))
    say("Goals: {:.0f} ms and {:.0f} ms.".format(*GOALS))


if __name__ == "__main__":
    main()
