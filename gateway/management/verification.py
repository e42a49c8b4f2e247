"""Verify a database that was restored or upgraded."""

from __future__ import annotations

from quotas.ledger import invariants
from quotas.ledger.reap import reap
from tenants.crypto import keys
from tenants.crypto.keys import VerifyReport

ALL = 10_000_000  # holds


def verify() -> tuple[list[str], VerifyReport]:
    """Return what is wrong, and what was opened.

    Holds that expired meanwhile are finished first, as a running server does.
    """
    reap(limit=ALL)
    failures = [f"{entry.invariant}: {entry.message}" for entry in invariants.audit()]
    report = keys.verify()
    return failures + report.failures, report
