"""The credits of a batch on a trial: one hold for each model, of as many calls as there are lines.

They are held before the provider is asked, and settled by the batch's result (`recording.py`).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID, uuid4

import orjson

from gateway import page_urls
from gateway.dataplane.errors import Refusal
from gateway.dataplane.refusals import of_repeat
from gateway.dataplane.requests.request import key_of
from gateway.dataplane.store.base import Store
from gateway.dataplane.stored.creation.new import NewBatch
from gateway.dataplane.stored.outputs import outline
from gateway.dataplane.threads import in_thread
from providers.declaration import registry
from providers.models import StoredBatch
from quotas.ledger.records import Record
from quotas.ledger.states import Finish, HoldRequest, HoldState, UnknownHold
from quotas.trials import queries
from quotas.trials.queries import TrialView
from tenants.auth.principal import Principal
from tenants.scope import tenant_scope

# How long a provider may refuse to tell about a batch: then its usage is recorded as unknown.
GIVEN_UP_AFTER: Final = timedelta(days=30)
# A hold outlives that, so that the reaper never ends one about which the provider can be asked.
HELD_FOR: Final = GIVEN_UP_AFTER + timedelta(days=5)
MOST: Final = 2**31 - 1  # credits of one hold


@dataclass(frozen=True, slots=True)
class Part:
    """The lines of a batch that call one model.

    Attributes:
        credits: Of one line.
    """

    model: str
    hold_id: UUID
    lines: int
    credits: int

    @property
    def amount(self) -> int:
        return self.lines * self.credits


def parts_of(row: StoredBatch) -> list[Part]:
    """Return what is held for a batch; nothing with the workspace's own key."""
    holds: Mapping[str, Any] = row.holds or {}
    ordered = ((model, holds[model]) for model in row.model_names if model in holds)
    return [
        Part(model, UUID(hold["id"]), hold["lines"], hold["credits"]) for model, hold in ordered
    ]


def planned(trial: TrialView, lines: Mapping[str, int]) -> dict[str, Any]:
    """Return what is to be held, as StoredBatch.holds has it."""
    return {
        model: {"id": str(uuid4()), "lines": count, "credits": trial.models[model]}
        for model, count in lines.items()
    }


def require(trial: TrialView, lines: Mapping[str, int], principal: Principal) -> None:
    """Check that a trial may pay for a batch: it is on, has the models, and enough is left.

    Raises:
        Refusal: It may not; 402 names what is left and what is needed.
    """
    label = registry.get(trial.provider).label
    address = _address(trial, principal)
    if not trial.is_on:
        message = f"The {label} trial has ended. Add your own {label} key at {address}."
        raise Refusal("not_configured", message)
    absent = [model for model in lines if model not in trial.models]
    if absent:
        raise Refusal(
            "model_not_in_trial",
            f"{absent[0]} is not part of the {label} trial, which offers "
            f"{', '.join(trial.models)}. Choose one of these, or add your own key at {address}.",
            param="model",
        )
    needed = sum(count * trial.models[model] for model, count in lines.items())
    if needed > min(trial.left, MOST):
        raise too_little(trial, needed, trial.left, principal)


def too_little(trial: TrialView, needed: int, left: int, principal: Principal) -> Refusal:
    label = registry.get(trial.provider).label
    return Refusal(
        "trial_exhausted",
        f"The batch needs {needed:,} credits of the {label} trial, and {left:,} are left. Send "
        f"fewer lines, add your own {label} key at {_address(trial, principal)}, or ask the "
        "operator of this server for more credits.",
        headers=((b"x-modelkeep-credits-remaining", b"%d" % left),),
    )


def _address(trial: TrialView, principal: Principal) -> str:
    return page_urls.page(
        "provider-credentials", workspace=principal.tenant_slug, provider=trial.provider
    )


class Credits:
    """Holds the credits of batches, and gives them back if nothing was created."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def hold(self, new: NewBatch, trial: TrialView, row: StoredBatch) -> int:
        """Hold the credits of all lines, and note that the provider is about to be asked.

        Returns:
            What is left of the trial.

        Raises:
            Refusal: They don't fit any more, or the Idempotency-Key is in use. Some may be held.
            DatabaseUnavailable: The database is unavailable. Some may be held.
        """
        ours, needed = 0, sum(part.amount for part in parts_of(row))
        fingerprint = await asyncio.to_thread(_fingerprint, new, row)
        for request in _requests(new, trial, row, fingerprint):
            held = await self._store.hold(request)
            if held.state is HoldState.EXHAUSTED:
                raise too_little(trial, needed, held.left + ours, new.principal)
            if held.state is not HoldState.HELD:
                raise of_repeat(held)
            if not await self._store.mark_sent(tenant_id=row.tenant_id, hold_id=request.hold_id):
                raise Refusal("already_done", "The server ended this request. Send it again.")
            ours += request.amount
        return held.left

    async def give_back(self, row: StoredBatch, refusal: Refusal) -> None:
        """Void what is held for a batch that was not created.

        Raises:
            DatabaseUnavailable: The database is unavailable.
        """
        await self._end(row, refusal, is_void=True)

    async def charge_all(self, row: StoredBatch, refusal: Refusal) -> None:
        """Charge what is held for a batch that may have been created, and that nobody can find.

        Raises:
            DatabaseUnavailable: The database is unavailable.
        """
        await self._end(row, refusal, is_void=False)

    async def _end(self, row: StoredBatch, refusal: Refusal, *, is_void: bool) -> None:
        source = await in_thread(partial(source_of, row))
        reason = refusal.code if is_void else "unknown"
        for part in parts_of(row):
            record = Record(
                **outline(row, part.model, source),
                status="error",
                http_status=refusal.status,
                error_code=reason,
            )
            with suppress(UnknownHold):  # it was never made
                await self._store.write(Finish(record, part.hold_id, voided=is_void, reason=reason))


def _fingerprint(new: NewBatch, row: StoredBatch) -> str:
    """Return what is the same for a repeated request only."""
    asked = orjson.dumps([new.calls.path, new.request.body]) if new.key else row.pk.bytes
    return hashlib.sha256(asked).hexdigest()


def _requests(
    new: NewBatch, trial: TrialView, row: StoredBatch, fingerprint: str
) -> Iterator[HoldRequest]:
    key = key_of(new.principal, new.key) if new.key else str(row.pk)
    for number, part in enumerate(parts_of(row)):
        yield HoldRequest(
            tenant_id=row.tenant_id,
            pool_id=trial.pool_id,
            key=key if not number else f"{key}~{number}",
            fingerprint=fingerprint,
            amount=part.amount,
            model=part.model,
            request_id=row.request_id,
            deadline_seconds=HELD_FOR.total_seconds(),
            facts=_facts(row, part.model, f"trial:{trial.plan}"),
            hold_id=part.hold_id,
        )


def _facts(row: StoredBatch, model: str, source: str) -> dict[str, Any]:
    """Return what the reaper records in the end."""
    left_out = {"tenant_id", "request_id"}
    return {
        name: value for name, value in outline(row, model, source).items() if name not in left_out
    }


def trial_of(tenant_id: UUID, plan_id: int | None) -> TrialView | None:
    """Return a workspace's trial of a plan, also one that has ended."""
    with tenant_scope(tenant_id):
        trials = queries.trials(tenant_id=tenant_id)
    return next((trial for trial in trials if trial.plan_id == plan_id), None)


def source_of(row: StoredBatch) -> str:
    """Return what pays for a batch, as call records have it."""
    if row.credential is not None:
        return f"credential:{row.credential.name}"
    return f"trial:{queries.plan_slug(row.plan_id or 0)}"
