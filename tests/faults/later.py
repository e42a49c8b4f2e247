"""`python -m tests.faults.later`: finish the holds that will have expired in an hour."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from quotas.ledger.reap import reap  # noqa: E402

if __name__ == "__main__":
    reap(now=datetime.now(UTC) + timedelta(hours=1))
