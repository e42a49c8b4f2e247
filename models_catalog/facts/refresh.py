"""Load a newer snapshot of the shipped facts, or restore the previous one."""

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
from core.db.violations import is_duplicate
from core.errors import Conflict, ServiceError
from models_catalog.facts import library, snapshots
from models_catalog.facts.library import Shipped
from models_catalog.facts.snapshots import Change
from models_catalog.facts.values import BadFact
from models_catalog.models import CatalogSnapshot
from providers.declaration import registry
from tenants.audit import trail
from tenants.audit.trail import Actor
from tenants.models import Tenant
from tenants.scope import tenant_scope
from tenants.services.workspaces import system_tenant

logger = logging.getLogger(__name__)
MOST_BYTES: Final = 32 * 1024 * 1024
KEPT_SNAPSHOTS: Final = 10
_loaded: int | None = None  # id of the snapshot this process uses


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a refresh changes, or would change in a dry run.

    `date` is that of the facts in effect afterwards; `skipped` lists providers that this release
    does not know.
    """

    date: date
    changes: tuple[Change, ...]
    skipped: tuple[str, ...] = ()

    @property
    def grave(self) -> tuple[Change, ...]:
        return tuple(change for change in self.changes if change.is_grave)


class NeedsSecondLook(Conflict):
    """Changes so large that they may be mistakes; `outcome` holds all of them."""

    def __init__(self, outcome: Outcome) -> None:
        text = _(
            "%(number)d models would disappear, change type, lose their price, or change "
            "price by more than a factor of two."
        )
        super().__init__("needs_accept", text % {"number": len(outcome.grave)})
        self.outcome = outcome


# -------------------------------------------------------------------------------- what is in effect


@cache
def shipped_on() -> date:
    """Return the date of the newest facts in this release."""
    days = [
        facts.as_of
        for slug in _slugs()
        for facts in library.from_file(slug).models.values()
        if facts.as_of
    ]
    return max(days, default=date.min)


def in_effect() -> CatalogSnapshot | None:
    """Return the active snapshot, or None if the release's own facts are as new or newer."""
    row = CatalogSnapshot.objects.filter(in_effect=True).first()
    return row if row is not None and row.date >= shipped_on() else None


def reload() -> bool:
    """Load the active snapshot into this process if it changed; return whether it did.

    Costs one small query when nothing changed.
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
            "Cannot read the catalog snapshot of %s; using the release's own facts: %s",
            row.date,
            error,
        )
        return {}


def _slugs() -> list[str]:
    return [provider.slug for provider in registry.all_providers()]


def _all(parts: Mapping[str, Shipped]) -> dict[str, Shipped]:
    return {slug: parts[slug] if slug in parts else library.from_file(slug) for slug in _slugs()}


# ----------------------------------------------------------------------------------------- changes


def export() -> dict[str, Any]:
    """Return the facts in effect as a document that `load` accepts."""
    row = in_effect()
    loaded = row.document["providers"] if row is not None else {}
    return snapshots.export(row.date if row is not None else shipped_on(), loaded, _slugs())


def load(*, actor: Actor, data: bytes, accept: bool = False, dry_run: bool = False) -> Outcome:
    """Activate a snapshot for all workspaces in one transaction.

    Args:
        data: A file in the format of `models_catalog.facts.snapshots`.
        accept: Apply grave changes too.
        dry_run: Only report what would change.

    Raises:
        BadFact: The file is invalid.
        Conflict: The file is older than the facts in effect.
        NeedsSecondLook: There are grave changes and `accept` is false.
    """
    document = _parsed(data)
    snapshot = snapshots.read(document, _slugs())
    current = in_effect()
    newest = current.date if current is not None else shipped_on()
    if snapshot.date < newest:
        values = {"date": snapshot.date, "newest": newest}
        raise Conflict(
            "older",
            _("The snapshot is from %(date)s, older than the facts in effect (%(newest)s).")
            % values,
        )
    changes = snapshots.compare(_all(_parts(current)), _all(snapshot.providers))
    outcome = Outcome(snapshot.date, tuple(changes), snapshot.skipped)
    if dry_run:
        return outcome
    if outcome.grave and not accept:
        raise NeedsSecondLook(outcome)
    snapshots.keep_history(document, _all(_parts(current)), snapshot.date)
    row = CatalogSnapshot(
        date=snapshot.date,
        document=document,
        digest=hashlib.sha256(data).hexdigest(),
        previous=current,
    )
    _put(row, actor, "catalog.refreshed", outcome)
    return outcome


def restore_previous(*, actor: Actor, dry_run: bool = False) -> Outcome:
    """Restore the facts that were in effect before the active snapshot.

    Raises:
        Conflict: No snapshot is active.
    """
    current = in_effect()
    if current is None:
        raise Conflict(
            "no_snapshot", _("No snapshot is in effect; the release's own facts are used.")
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
    """Activate a snapshot, and bump the config versions so that every process reloads."""
    counts = dict(Counter(change.kind for change in outcome.changes))
    try:
        with transaction.atomic():
            CatalogSnapshot.objects.filter(in_effect=True).update(in_effect=False)
            if row is not None:
                row.in_effect, row.actor = True, row.actor or actor.label[:160]
                row.summary = row.summary if row.pk else counts
                row.save()
            Tenant.objects.update(config_version=F("config_version") + 1)
            _record(actor, action, outcome, counts)
            _prune()
            transaction.on_commit(reload)
    except IntegrityError as error:
        if not is_duplicate(error):
            raise
        raise Conflict(
            "busy", _("Another refresh finished first. Review its differences and try again.")
        ) from None


def _record(actor: Actor, action: str, outcome: Outcome, counts: Mapping[str, int]) -> None:
    tenant = system_tenant()
    with tenant_scope(tenant):
        trail.record(
            tenant=tenant,
            actor=actor,
            action=action,
            object_type="catalog",
            object_label=str(outcome.date),
            details=counts,
        )


def _prune() -> None:
    """Delete old snapshots except the active one and the one it would restore."""
    keep = list(
        CatalogSnapshot.objects.order_by("-loaded").values_list("pk", flat=True)[:KEPT_SNAPSHOTS]
    )
    for row in CatalogSnapshot.objects.filter(in_effect=True).only("pk", "previous_id"):
        keep += [row.pk] if row.previous_id is None else [row.pk, row.previous_id]
    CatalogSnapshot.objects.exclude(pk__in=keep).delete()
