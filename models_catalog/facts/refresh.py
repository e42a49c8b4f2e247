"""Operators load a newer state of the shipped facts, and take it back; every process notices within
seconds.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils.translation import gettext as _

from core import strict_json
from core.errors import Conflict, ServiceError
from models_catalog.facts import library, snapshots
from models_catalog.facts.library import Shipped
from models_catalog.facts.schema import BadFact
from models_catalog.facts.snapshots import Change
from models_catalog.models import CatalogSnapshot
from providers.declaration import registry
from tenants.audit import trail
from tenants.audit.trail import Actor
from tenants.models import Tenant
from tenants.scope import tenant_scope
from tenants.services.workspaces import system_tenant

logger = logging.getLogger(__name__)
MOST_BYTES: Final = 32 * 1024 * 1024
KEPT: Final = 10  # snapshots in the database
_loaded: int | None = None  # the snapshot whose facts this process uses


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a refresh changes, or would. date: of the facts that are in effect after it; skipped:
    providers unknown here.
    """

    date: date
    changes: tuple[Change, ...]
    skipped: tuple[str, ...] = ()

    @property
    def grave(self) -> tuple[Change, ...]:
        return tuple(change for change in self.changes if change.is_grave)


class NeedsSecondLook(Conflict):
    """Changes that are rather slips than facts. outcome: all that would change."""

    def __init__(self, outcome: Outcome) -> None:
        text = _(
            "%(number)d models vanish, change their type or lose their price, or cost more than "
            "twice or less than half of before."
        )
        super().__init__("needs_accept", text % {"number": len(outcome.grave)})
        self.outcome = outcome


# -------------------------------------------------------------------------------- what is in effect


@cache
def shipped_on() -> date:
    """The newest day of the facts that this release ships."""
    days = [
        known.as_of
        for slug in _slugs()
        for known in library.from_file(slug).models.values()
        if known.as_of
    ]
    return max(days, default=date.min)


def in_effect() -> CatalogSnapshot | None:
    """The snapshot whose facts count; None for the release's own, also where a later release has
    outdated the snapshot.
    """
    row = CatalogSnapshot.objects.filter(in_effect=True).first()
    return row if row is not None and row.date >= shipped_on() else None


def reload() -> bool:
    """Take over what is in effect; one small query where nothing is new. Returns whether this
    process's facts changed.
    """
    global _loaded
    row = CatalogSnapshot.objects.filter(in_effect=True, date__gte=shipped_on()).only("pk").first()
    key = row.pk if row is not None else None
    if key == _loaded:
        return False
    library.use(_parts(row))
    _loaded = key
    return True


def _parts(row: CatalogSnapshot | None) -> Mapping[str, Shipped]:
    if row is None:
        return {}
    try:
        return snapshots.read(row.document, _slugs()).providers
    except BadFact as error:  # written by another release
        logger.error(
            "The catalog snapshot of %s cannot be read, the release's own facts count: %s",
            row.date,
            error,
        )
        return {}


def _slugs() -> list[str]:
    return [provider.slug for provider in registry.all_providers()]


def _all(parts: Mapping[str, Shipped]) -> dict[str, Shipped]:
    return {slug: parts[slug] if slug in parts else library.from_file(slug) for slug in _slugs()}


# -------------------------------------------------------------------------------------- changing it


def export() -> dict[str, Any]:
    """What is in effect, as a file that `load` takes."""
    row = in_effect()
    loaded = row.document["providers"] if row is not None else {}
    return snapshots.export(row.date if row is not None else shipped_on(), loaded, _slugs())


def load(*, actor: Actor, data: bytes, accept: bool = False, dry_run: bool = False) -> Outcome:
    """Let a snapshot be in effect for all workspaces, at once or not at all.

    data: a file as models_catalog.facts.snapshots describes it. accept: grave changes too. dry_run:
    only say what would change. Raises BadFact for what cannot be read, Conflict for what is older,
    NeedsSecondLook for grave changes.
    """
    document = _parsed(data)
    snapshot = snapshots.read(document, _slugs())
    current = in_effect()
    newest = current.date if current is not None else shipped_on()
    if snapshot.date < newest:
        values = {"date": snapshot.date, "newest": newest}
        raise Conflict(
            "older", _("The snapshot is of %(date)s, and what is in effect of %(newest)s.") % values
        )
    changes = snapshots.compare(_all(_parts(current)), _all(snapshot.providers))
    outcome = Outcome(snapshot.date, tuple(changes), snapshot.skipped)
    if dry_run:
        return outcome
    if outcome.grave and not accept:
        raise NeedsSecondLook(outcome)
    row = CatalogSnapshot(
        date=snapshot.date,
        document=document,
        digest=hashlib.sha256(data).hexdigest(),
        previous=current,
    )
    _put(row, actor, "catalog.refreshed", outcome)
    return outcome


def restore_previous(*, actor: Actor, dry_run: bool = False) -> Outcome:
    """Bring back what was in effect before the snapshot that is. Raises Conflict where there is
    none.
    """
    current = in_effect()
    if current is None:
        raise Conflict(
            "no_snapshot", _("No snapshot is in effect: the facts are those of the release.")
        )
    previous = current.previous
    before, after = _all(_parts(current)), _all(_parts(previous))
    outcome = Outcome(
        previous.date if previous else shipped_on(), tuple(snapshots.compare(before, after))
    )
    if not dry_run:
        _put(previous, actor, "catalog.restored", outcome)
    return outcome


def _parsed(data: bytes) -> Any:
    if len(data) > MOST_BYTES:
        raise ServiceError(
            "too_large",
            _("The file is larger than %(most)d MB.") % {"most": MOST_BYTES // 1024 // 1024},
        )
    try:
        return strict_json.loads(data)
    except strict_json.BadJSON as error:
        raise BadFact("file", str(error)) from None


def _put(row: CatalogSnapshot | None, actor: Actor, action: str, outcome: Outcome) -> None:
    """Switch over in one transaction: the facts, and the number by which every route notices."""
    numbers = dict(Counter(change.kind for change in outcome.changes))
    try:
        with transaction.atomic():
            CatalogSnapshot.objects.filter(in_effect=True).update(in_effect=False)
            if row is not None:
                row.in_effect, row.actor = True, row.actor or actor.label[:160]
                row.summary = row.summary if row.pk else numbers
                row.save()
            Tenant.objects.update(config_version=F("config_version") + 1)
            _record(actor, action, outcome, numbers)
            _prune()
            transaction.on_commit(reload)
    except IntegrityError:
        raise Conflict(
            "busy", _("Another refresh came first. Look at its differences and try again.")
        ) from None


def _record(actor: Actor, action: str, outcome: Outcome, numbers: Mapping[str, int]) -> None:
    tenant = system_tenant()
    with tenant_scope(tenant):
        trail.record(
            tenant=tenant,
            actor=actor,
            action=action,
            object_type="catalog",
            object_label=str(outcome.date),
            details=numbers,
        )


def _prune() -> None:
    """Keep the newest ones, and whatever is in effect or would come back."""
    kept = list(CatalogSnapshot.objects.order_by("-loaded").values_list("pk", flat=True)[:KEPT])
    for row in CatalogSnapshot.objects.filter(in_effect=True).only("pk", "previous_id"):
        kept += [row.pk] if row.previous_id is None else [row.pk, row.previous_id]
    CatalogSnapshot.objects.exclude(pk__in=kept).delete()
