"""`python -m bench.pages`: server time, queries and opened keys of the settings pages, with a key
for each provider and 500 models.

Django's test client calls the whole middleware in this process: what is measured is the server's
work for a page, without the network. SQLite in a temporary folder, or the empty database that
DATABASE_URL names.
"""

from __future__ import annotations

import atexit
import os
import shutil
import statistics
import tempfile
import time
from typing import Any

MODELS, CALLS = 500, 2000
REQUESTS = 60
GOAL = 50.0  # milliseconds, median
OPTIONAL = ("api_password", "api_key")  # a key where a provider takes one of several kinds
PAGES = (
    "",
    "models/",
    "settings/model-providers/",
    "settings/model-providers/openai/",
    "settings/model-providers/openai/credentials/",
    "settings/model-providers/openai/activity/",
    "settings/model-providers/openai/setup/",
    "settings/default-models/",
    "settings/app-keys/",
    "settings/members/",
    "settings/audit/",
    "usage/",
    "usage/calls/",
)


def prepare() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    if "DATABASE_URL" not in os.environ:
        folder = tempfile.mkdtemp(prefix="bench-pages-")
        atexit.register(
            shutil.rmtree, folder, ignore_errors=True
        )  # ten million records are some gigabytes
        os.environ["DATABASE_URL"] = f"sqlite:///{folder}/bench.sqlite3"
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command

    settings.ALLOWED_HOSTS = ["testserver"]
    call_command("migrate", verbosity=0)


def furnish() -> Any:
    """A workspace with a credential at each provider, 500 rows of models, and some calls; its
    owner.
    """
    from models_catalog.models import TenantModel
    from providers.declaration import registry
    from quotas.models import CallRecord
    from tenants.scope import tenant_scope
    from tests import factories

    space = factories.make_workspace("acme")
    slugs = [provider.slug for provider in registry.all_providers()]
    with tenant_scope(space.tenant):
        for provider in registry.all_providers():
            url = (
                ""
                if provider.default_base_url or provider.local
                else "https://models.example.com/v1"
            )
            secrets = [field for field in provider.credential_fields if field.secret]
            chosen = [field for field in secrets if field.required] or [
                field for field in secrets if field.name in OPTIONAL
            ][:1]
            values = {
                field.name: factories.marked_secret(f"{provider.slug} {field.name}")
                for field in chosen
            }
            factories.make_credential(
                space.tenant, provider=provider.slug, name="Bench", base_url=url, values=values
            )
        hosted = [slug for slug in slugs if slug not in ("demo", "anthropic", "chatglm")]
        TenantModel.objects.bulk_create(
            TenantModel(
                tenant=space.tenant,
                provider=hosted[number % len(hosted)],
                model=f"model-{number}",
                type="reasoning",
                origin="added",
            )
            for number in range(MODELS)
        )
        CallRecord.objects.bulk_create(
            CallRecord(
                tenant=space.tenant,
                request_id=f"bench-{number}",
                provider="openai",
                model="gpt-5",
                operation="chat",
                status="ok",
            )
            for number in range(CALLS)
        )
    return space.owner


def measure(client: Any, page: str) -> tuple[float, float, int]:
    """(median, 95th percentile in milliseconds, queries) of one page."""
    from django.db import connection

    url = f"/t/acme/{page}"
    client.get(url)  # a session's first visit also notes that the member was here
    queries: list[str] = []

    def count(execute: Any, sql: str, *rest: Any) -> Any:
        queries.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(count):
        answer = client.get(url)
    assert answer.status_code == 200, (url, answer.status_code)
    times = []
    for _ in range(REQUESTS):
        began = time.perf_counter()
        client.get(url)
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times), statistics.quantiles(times, n=20)[-1], len(queries)


def main() -> None:
    prepare()
    from django.db import connection
    from django.test import Client

    from providers.declaration import registry
    from tenants.crypto import keys

    client = Client()
    client.force_login(furnish())
    opened: list[object] = []
    open_sealed = keys.open_sealed

    def counted(**given: Any) -> keys.Secret:
        opened.append(given)
        return open_sealed(**given)

    keys.open_sealed = counted
    print(
        f"{len(registry.all_providers())} providers, {MODELS} models, {CALLS} calls, "
        f"{connection.vendor}; milliseconds of {REQUESTS} requests\n"
    )
    print(f"| {'page':<52} | p50 | p95 | queries | goal p50 |")
    print(f"|{'-' * 54}|----:|----:|--------:|---------:|")
    for page in PAGES:
        median, high, queries = measure(client, page)
        print(f"| /t/acme/{page:<44} | {median:3.0f} | {high:3.0f} | {queries:7} | {GOAL:8.0f} |")
    print(f"\nkeys opened: {len(opened)}")


if __name__ == "__main__":
    main()
