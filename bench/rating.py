"""`python -m bench.rating [--rows N]`: a million calls are priced again, and once more; the CPU is
that of this process.

The records and the database are those of bench.usage; every call with a model gets another cost.
"""

from __future__ import annotations

import argparse
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from bench import usage
from bench.__main__ import say
from bench.pages import prepare
from bench.usage import generate, timed

GOAL = 60.0  # seconds for a million calls


def with_versions() -> None:
    """Let the records say by which price they were calculated."""
    for name in ("POSTGRES", "SQLITE"):
        sql = getattr(usage, name).replace("user_id)", "user_id, price_version)")
        setattr(
            usage,
            name,
            sql.replace("n % 8 % 5 + 1", "n % 8 % 5 + 1, 'before'").replace(
                "n %% 8 %% 5 + 1", "n %% 8 %% 5 + 1, 'before'"
            ),
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.rating")
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    prepare()
    from django.db import connection

    from models_catalog.resolution.entries import Price, PriceHistory, PriceVersion, Rates
    from quotas import ports
    from quotas.rating import services
    from tenants.audit.trail import COMMAND
    from tenants.scope import tenant_scope
    from tests import factories

    price = Price("USD", Rates(Decimal("2.5"), Decimal(10), Decimal("1.25")), version="now")
    history = PriceHistory(listed=(PriceVersion(None, price),))
    ports.prices.connect(lambda tenant_id, provider, model: history)
    with_versions()
    space = factories.make_workspace("acme")
    generate(space.tenant, rows)
    period = services.Period(
        tenant=space.tenant,
        since=datetime(2020, 1, 1, tzinfo=UTC),
        before=datetime(2100, 1, 1, tzinfo=UTC),
    )

    def rated(work: Any) -> tuple[str, services.Outcome]:
        began = time.process_time()
        with tenant_scope(space.tenant):
            seconds, outcome = timed(work)
        return f"{seconds:.1f} s ({time.process_time() - began:.1f} s CPU)", outcome

    shown, preview = rated(lambda: services.preview(period=period))
    first, made = rated(lambda: services.rate(period=period, actor=COMMAND))
    second, again = rated(lambda: services.rate(period=period, actor=COMMAND))
    assert (made.calls, made.new, again.corrected, again.old) == (rows, preview.new, 0, made.new)
    say(
        f"{connection.vendor}: of {rows:,} calls {made.corrected:,} corrected in {first} "
        f"(preview {shown}, again {second}); goal {GOAL:.0f} s for a million"
    )


if __name__ == "__main__":
    main()
