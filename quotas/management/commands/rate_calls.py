"""Price the calls of a period again."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.timezone import get_current_timezone, is_naive

from quotas.ledger import pricing
from quotas.models import Rating
from quotas.rating import services
from quotas.rating.services import AnotherRating, Outcome, Period
from tenants.audit.trail import COMMAND
from tenants.models import Tenant
from tenants.scope import tenant_scope


class Command(BaseCommand):
    help = (
        "Show what the calls of a workspace cost at the prices in force at their time, as the "
        "catalog has them now, and with --apply correct what they cost. Call records stay as they "
        "are; pages, sums and exports show the corrected costs."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("workspace", help="its address, as in /t/<address>/")
        parser.add_argument("--since", required=True, help="a date or time, inclusive")
        parser.add_argument("--before", required=True, help="a date or time, exclusive")
        parser.add_argument("--provider", default="", help="only calls with this provider")
        parser.add_argument("--model", default="", help="only calls of this model")
        parser.add_argument("--prices-of", help="use the prices of an earlier rating, by its ID")
        parser.add_argument("--reason", default="", help="why, for the audit log")
        parser.add_argument("--apply", action="store_true", help="write the corrections")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = Tenant.objects.filter(slug=options["workspace"]).first()
        if tenant is None:
            raise CommandError(f"There is no workspace “{options['workspace']}”.")
        period = Period(
            tenant=tenant,
            since=_time(options["since"]),
            before=_time(options["before"]),
            provider=options["provider"],
            model=options["model"],
        )
        with tenant_scope(tenant):
            prices_of = _rating(options["prices_of"]) if options["prices_of"] else None
            if options["apply"]:
                outcome = _rate(period, options["reason"], prices_of)
            else:
                outcome = services.preview(period=period, prices_of=prices_of)
        self.stdout.write(json.dumps(_document(outcome)) if options["json"] else _text(outcome))


def _rate(period: Period, reason: str, prices_of: Rating | None) -> Outcome:
    try:
        return services.rate(period=period, actor=COMMAND, reason=reason, prices_of=prices_of)
    except AnotherRating:
        raise CommandError(
            "Another rating is correcting the same calls. Run this again when it has ended."
        ) from None


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(f"“{text}” is not a date or a time, such as 2026-11-30.") from None
    return time.replace(tzinfo=get_current_timezone()) if is_naive(time) else time


def _rating(text: str) -> Rating:
    rating = Rating.objects.filter(pk=text).first()
    if rating is None:
        raise CommandError(f"The workspace has no rating {text}.")
    return rating


def _document(outcome: Outcome) -> dict[str, Any]:
    return {
        "rating": str(outcome.rating.pk) if outcome.rating else None,
        "calls": outcome.calls,
        "corrected": outcome.corrected,
        "unpriced": outcome.unpriced,
        "incomplete": outcome.incomplete,
        "old": _amounts(outcome.old),
        "new": _amounts(outcome.new),
    }


def _amounts(sums: Mapping[str, Decimal]) -> dict[str, str]:
    return {currency: pricing.plain(amount) for currency, amount in sums.items()}


def _text(outcome: Outcome) -> str:
    document = _document(outcome)
    sums = [
        f"{currency}: {document['old'].get(currency, '0')} -> {document['new'].get(currency, '0')}"
        for currency in sorted({*document["old"], *document["new"]})
    ]
    verb = "were" if outcome.rating else "would be"
    lines = [
        f"{outcome.calls:,} calls, of which {outcome.corrected:,} {verb} corrected.",
        f"{outcome.unpriced:,} keep their cost: there is no price for their time.",
        f"{outcome.incomplete:,} keep their cost: their records do not say all that was used.",
        *sums,
    ]
    if outcome.rating:
        lines.append(f"Rating {outcome.rating.pk}")
    return "\n".join(lines)
