"""A model of the ledger in plain Python, driven beside the real one; rows and states are compared
after each step.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import transaction
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from quotas.ledger import invariants
from quotas.ledger.groups import Member, key_of
from quotas.ledger.invariants import grace_seconds
from quotas.ledger.reap import reap
from quotas.ledger.states import Finish, HoldState, Mark, UnknownHold, UnknownPool
from quotas.models import CallRecord, CreditPool, Grant, Hold
from quotas.trials import plans
from quotas.trials.plans import BelowUsed
from tenants.audit.trail import COMMAND
from tenants.scope import all_tenants
from tests import ledger
from tests.factories import make_tenant
from tests.quotas.conftest import make_plan, make_pool, record_for, request_for

START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
MARGIN = timedelta(seconds=60)
KEYS = st.sampled_from("abcdef")
PICKS = st.integers(0, 5)  # which of the holds that are there
POOLS = st.integers(0, 1)


@dataclass
class ModelHold:
    """What a row of Hold must say."""

    id: UUID
    amount: int
    fingerprint: str
    expires: datetime
    state: str = "held"
    used: int = 0
    reason: str = ""
    sent: bool = False

    def finish(self, state: str, used: int, reason: str) -> None:
        self.state, self.used, self.reason = state, used, reason


@dataclass
class ModelPool:
    """What a row of CreditPool, its grants and call records must say."""

    limit: int
    holds: dict[str, ModelHold] = field(default_factory=dict)
    records: dict[str, tuple[int, str, str]] = field(
        default_factory=dict
    )  # key -> credits, status, error code
    grants: list[int] = field(default_factory=list)
    own: int = 0  # records of calls with the tenant's own key

    @property
    def settled(self) -> int:
        return sum(hold.used for hold in self.holds.values())

    @property
    def held(self) -> int:
        return sum(hold.amount for hold in self.holds.values() if hold.state == "held")

    @property
    def left(self) -> int:
        return self.limit - self.settled - self.held


class LedgerMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.contexts: list[Any] = [transaction.atomic(), all_tenants()]
        for context in self.contexts:
            context.__enter__()
        self.now = START
        plan = make_plan(limit=5)
        self.rows = [
            make_pool(make_tenant(slug, with_keys=False), limit=5, plan=plan)
            for slug in ("one", "two")
        ]
        self.models = [ModelPool(5, grants=[5]) for _row in self.rows]

    def teardown(self) -> None:
        transaction.set_rollback(True)
        for context in reversed(self.contexts):
            context.__exit__(None, None, None)

    def _picked(self, number: int, pick: int) -> tuple[str, ModelHold | None]:
        """A hold of the pool and its key; None as long as there is none."""
        holds = sorted(self.models[number].holds.items())
        return holds[pick % len(holds)] if holds else ("a", None)

    # -- steps -------------------------------------------------------------------------------------

    @rule(
        number=POOLS,
        key=KEYS,
        amount=st.integers(1, 4),
        fingerprint=st.sampled_from("xy"),
        seconds=st.sampled_from((5, 300)),
    )
    def hold(self, number: int, key: str, amount: int, fingerprint: str, seconds: int) -> None:
        row, model = self.rows[number], self.models[number]
        request = request_for(
            row, key, amount=amount, fingerprint=fingerprint, deadline_seconds=seconds
        )
        result = ledger.hold(request, now=self.now)
        known = model.holds.get(key)
        if known is None and model.left >= amount:
            expected, known = (
                HoldState.HELD,
                ModelHold(
                    request.hold_id,
                    amount,
                    fingerprint,
                    self.now + timedelta(seconds=seconds) + MARGIN,
                ),
            )
            model.holds[key] = known
        elif known is None:
            expected = HoldState.EXHAUSTED
        elif known.fingerprint != fingerprint:
            expected = HoldState.MISMATCH
        else:
            expected = HoldState.IN_PROGRESS if known.state == "held" else HoldState.DONE
        assert result.state is expected
        assert result.hold_id == (known and known.id)
        assert (result.settled, result.held, result.left) == (model.settled, model.held, model.left)
        if expected is HoldState.DONE:
            assert result.used == (known and known.used)

    @rule(number=POOLS, pick=PICKS)
    def mark_sent(self, number: int, pick: int) -> None:
        known = self._picked(number, pick)[1]
        open_ = known is not None and known.state == "held"
        hold_id = known.id if known else uuid4()
        assert ledger.mark_sent(tenant_id=self.rows[number].tenant_id, hold_id=hold_id) is open_
        if known and open_:
            known.sent = True

    @rule(number=POOLS, pick=PICKS, share=st.sampled_from((None, 0, 1)))
    def settle(self, number: int, pick: int, share: int | None) -> None:
        key, known = self._picked(number, pick)
        used = None if share is None or known is None else min(share, known.amount)
        charged = known.amount if known and used is None else used or 0
        self._finish(
            number,
            key,
            "settled",
            charged,
            lambda given: ledger.settle(used=used, **given),
            ("ok", ""),
            "",
        )

    @rule(number=POOLS, pick=PICKS)
    def void(self, number: int, pick: int) -> None:
        key, _known = self._picked(number, pick)
        self._finish(
            number,
            key,
            "voided",
            0,
            lambda given: ledger.void(reason="broken", **given),
            ("error", "broken"),
            "broken",
        )

    def _finish(
        self,
        number: int,
        key: str,
        state: str,
        used: int,
        call: Any,
        outcome: tuple[str, str],
        reason: str,
    ) -> None:
        row, model = self.rows[number], self.models[number]
        known = model.holds.get(key)
        record = record_for(row.tenant, status=outcome[0], error_code=outcome[1])
        try:
            result = call({"hold_id": known.id if known else uuid4(), "record": record})
        except UnknownHold:
            assert known is None
            return
        assert known is not None
        assert result.applied is (known.state == "held")
        if known.state == "held":
            known.finish(state, used, reason)
            model.records[key] = (used, *outcome)
        assert (result.state, result.used) == (known.state, known.used)
        assert (result.settled, result.held, result.left) == (model.settled, model.held, model.left)

    @rule(
        asked=st.lists(
            st.tuples(
                st.sampled_from(("hold", "hold", "mark", "settle", "void", "own")),
                POOLS,
                KEYS,
                st.integers(1, 4),
            ),
            min_size=2,
            max_size=6,
        )
    )
    def many_at_once(self, asked: list[tuple[str, int, str, int]]) -> None:
        members: dict[UUID, tuple[Any, tuple[str, int, str, int]]] = {}
        for step in asked:
            member = self._member(*step)
            members.setdefault(key_of(member), (member, step))
        results = ledger.write([member for member, _step in members.values()], now=self.now)
        pairs = [(*pair, result) for pair, result in zip(members.values(), results, strict=True)]
        for member, (kind, number, key, _amount), result in pairs:
            if kind in ("settle", "void"):
                self._ends(number, key, member, result)
        for _member, (kind, number, key, _amount), result in pairs:
            if kind == "mark":
                known = self.models[number].holds.get(key)
                is_open = known is not None and known.state == "held"
                assert result is is_open
                if known and is_open:
                    known.sent = True
            elif kind == "own":
                self.models[number].own += 1
        self._holds([pair for pair in pairs if pair[1][0] == "hold"])

    @rule(number=POOLS)
    def all_open_calls_end_at_once(self, number: int) -> None:
        holds = self.models[number].holds.items()
        steps = [
            ("settle", number, key, hold.amount) for key, hold in holds if hold.state == "held"
        ]
        if steps:
            self.many_at_once(steps)

    def _member(self, kind: str, number: int, key: str, amount: int) -> Member:
        row, known = self.rows[number], self.models[number].holds.get(key)
        hold_id = known.id if known else uuid4()
        if kind == "hold":
            return request_for(row, key, amount=amount, fingerprint="x", deadline_seconds=5)
        if kind == "mark":
            return Mark(row.tenant_id, hold_id)
        if kind == "own":
            return Finish(record_for(row.tenant, request_id="own"))
        used = None if known is None else amount % (known.amount + 1)
        is_void = kind == "void"
        record = record_for(row.tenant, status="error" if is_void else "ok", error_code=kind)
        return Finish(record, hold_id, voided=is_void, used=used, reason=kind)

    def _ends(self, number: int, key: str, end: Finish, result: Any) -> None:
        model = self.models[number]
        known = model.holds.get(key)
        if known is None:
            assert isinstance(result, UnknownHold)
            return
        assert result.applied is (known.state == "held")
        if known.state == "held":
            used = 0 if end.voided else end.used or 0
            known.finish("voided" if end.voided else "settled", used, end.reason)
            model.records[key] = (used, end.record.status, end.record.error_code)
        assert (result.state, result.used) == (known.state, known.used)

    def _holds(self, pairs: list[tuple[Any, tuple[str, int, str, int], Any]]) -> None:
        """First those that fit with all before them, then the others, each alone."""
        free = {number: model.left for number, model in enumerate(self.models)}
        later = []
        for request, (_kind, number, key, amount), result in pairs:
            free[number] -= amount
            if free[number] >= 0 and key not in self.models[number].holds:
                self._new_hold(number, request)
                assert (result.state, result.hold_id) == (HoldState.HELD, request.hold_id)
            else:
                later.append((request, number, key, result))
        for request, number, key, result in later:
            model, known = self.models[number], self.models[number].holds.get(key)
            if known is None and model.left >= request.amount:
                known = self._new_hold(number, request)
                expected = HoldState.HELD
            elif known is None:
                expected = HoldState.EXHAUSTED
            elif known.fingerprint != request.fingerprint:
                expected = HoldState.MISMATCH
            else:
                expected = HoldState.IN_PROGRESS if known.state == "held" else HoldState.DONE
            assert (result.state, result.hold_id) == (expected, known and known.id)

    def _new_hold(self, number: int, request: Any) -> ModelHold:
        expires = self.now + timedelta(seconds=request.deadline_seconds) + MARGIN
        new = ModelHold(request.hold_id, request.amount, request.fingerprint, expires)
        self.models[number].holds[request.key] = new
        return new

    @rule(seconds=st.sampled_from((1, 59, 61, 240, 400)))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(
        number=POOLS,
        key=KEYS,
        amount=st.integers(1, 4),
        sent=st.booleans(),
        seconds=st.sampled_from((-1, 0, 1)),
    )
    def a_worker_dies(self, number: int, key: str, amount: int, sent: bool, seconds: int) -> None:
        """Single steps seldom meet in this order: a hold, enough time, the reaper."""
        self.hold(number, key, amount, "x", 5)
        known = self.models[number].holds.get(key)
        if known is None:
            return
        if sent:
            self.mark_sent(number, sorted(self.models[number].holds).index(key))
        self.now = max(self.now, known.expires + timedelta(seconds=seconds))
        self.reap()

    @rule(
        number=POOLS,
        key=KEYS,
        lines=st.integers(1, 3),
        answered=st.integers(0, 3),
        days=st.sampled_from((0, 1, 36)),
    )
    def a_batch_ends(self, number: int, key: str, lines: int, answered: int, days: int) -> None:
        """It is held for weeks, which the reaper lets pass, and settled by its answered lines."""
        self.hold(number, key, lines, "x", 35 * 86_400)
        if key not in self.models[number].holds:
            return
        pick = sorted(self.models[number].holds).index(key)
        self.mark_sent(number, pick)
        self.now += timedelta(days=days)
        self.reap()
        if answered:
            self.settle(number, pick, answered)
        else:
            self.void(number, pick)

    @rule()
    def reap(self) -> None:
        reaped = reap(now=self.now)
        voided = settled = 0
        for model in self.models:
            for key, known in model.holds.items():
                if known.state != "held" or known.expires >= self.now:
                    continue
                if known.sent:
                    known.finish("settled", known.amount, "unknown")
                    model.records[key] = (known.amount, "error", "unknown")
                    settled += 1
                else:
                    known.finish("voided", 0, "not_sent")
                    model.records[key] = (0, "error", "not_sent")
                    voided += 1
        assert (reaped.voided, reaped.settled) == (voided, settled)

    @rule(number=POOLS, amount=st.sampled_from((-3, -1, 1, 4)))
    def grant(self, number: int, amount: int) -> None:
        model = self.models[number]
        try:
            plans.grant(actor=COMMAND, pool=self.rows[number], amount=amount, reason="test")
        except BelowUsed:
            assert model.left + amount < 0
            return
        assert model.left + amount >= 0
        model.limit += amount
        model.grants.append(amount)

    @rule(number=POOLS, pick=PICKS)
    def a_stranger_tries(self, number: int, pick: int) -> None:
        """The other workspace, with this one's ids."""
        row, foreign = self.rows[number], self.rows[1 - number].tenant
        key, known = self._picked(number, pick)
        with pytest.raises(UnknownPool):
            ledger.hold(request_for(row, key, tenant_id=foreign.pk), now=self.now)
        if known is None:
            return
        assert ledger.mark_sent(tenant_id=foreign.pk, hold_id=known.id) is False
        with pytest.raises(UnknownHold):
            ledger.settle(hold_id=known.id, record=record_for(foreign))

    # -- comparison --------------------------------------------------------------------------------

    @invariant()
    def rows_agree(self) -> None:
        """One query a table, because reading the rows is most of the machine's work."""
        pools, tenants = zip(*((row.pk, row.tenant_id) for row in self.rows), strict=True)
        sums = {
            pk: tuple(values)
            for pk, *values in CreditPool.objects.filter(pk__in=pools).values_list(
                "pk", "limit", "settled", "held"
            )
        }
        holds: dict[Any, dict[str, ModelHold]] = defaultdict(dict)
        for pool, key, *values in Hold.objects.filter(pool__in=pools).values_list(
            "pool_id", "key", *(one.name for one in fields(ModelHold))
        ):
            holds[pool][key] = ModelHold(*values)
        records: dict[Any, dict[str, tuple[int, str, str]]] = defaultdict(dict)
        own = Counter[Any]()
        for tenant, key, *outcome in CallRecord.objects.filter(tenant__in=tenants).values_list(
            "tenant_id", "hold__key", "credits", "status", "error_code"
        ):
            if key is None:
                own[tenant] += 1
            else:
                records[tenant][key] = tuple(outcome)
        grants: dict[Any, list[int]] = defaultdict(list)
        for pool, amount in Grant.objects.filter(pool__in=pools).values_list("pool_id", "amount"):
            grants[pool].append(amount)
        for row, model in zip(self.rows, self.models, strict=True):
            assert sums[row.pk] == (model.limit, model.settled, model.held)
            assert holds[row.pk] == model.holds
            assert records[row.tenant_id] == model.records
            assert own[row.tenant_id] == model.own
            assert sorted(grants[row.pk]) == sorted(model.grants)

    @invariant()
    def audit_agrees(self) -> None:
        grace = timedelta(seconds=grace_seconds())
        late = any(
            hold.state == "held" and hold.expires + grace < self.now
            for model in self.models
            for hold in model.holds.values()
        )
        assert {violation.invariant for violation in invariants.audit(now=self.now)} == (
            {"I6"} if late else set()
        )
