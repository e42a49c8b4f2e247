"""The ledger against its model; and damaged copies of its holds, each of which the model must
catch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from django.db import DatabaseError
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from quotas.ledger import groups, holds
from quotas.ledger import reap as reaper
from quotas.ledger.records import record_calls
from tests.quotas.ledger.machine import LedgerMachine

USUAL = settings(
    max_examples=25,
    stateful_step_count=30,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
# A mutant only has to be noticed: no time is spent on making its example small.
HUNT = settings(
    USUAL, max_examples=200, phases=(Phase.generate,), print_blob=False, report_multiple_bugs=False
)


@seed(8)
class SeededLedger(LedgerMachine):
    """The same, with examples that don't change with the names and places of modules: Hypothesis
    derives its own seed from those, and one of its sequences missed the rarest mutant.
    """


# What is changed, in the parts of which names.
MUTANTS = {
    # the guard
    "guard: one credit too many": ("NEW", "<= pools.free", "<= pools.free + 1"),
    "guard: one credit too few": ("NEW", "<= pools.free", "< pools.free"),
    "guard: forgets what is held": ("POOLS", "- settled - held", "- settled"),
    "guard: forgets what is used": ("POOLS", "- settled - held", "- held"),
    "guard: any tenant": ("NEW", "pools.tenant_id = running.tenant_id", "TRUE"),
    # the state check
    "state: settles what is finished": ("DONE", "quotas_hold.state = 'held'", "TRUE"),
    "state: settles what was voided": ("DONE", "state = 'held'", "state <> 'settled'"),
    "state: sends what is finished": ("SENT", "quotas_hold.state = 'held'", "TRUE"),
    "state: any tenant settles": ("DONE", "quotas_hold.tenant_id = ends.tenant_id", "TRUE"),
    "state: any tenant sends": ("SENT", "quotas_hold.tenant_id = marks.tenant_id", "TRUE"),
    "state: reaps what is finished": ("EXPIRED OPEN", "state = 'held'", "state <> 'voided'"),
    # the amount
    "amount: holds 1": ("TAKEN", "held + sums.amount", "held + 1"),
    "amount: gives back what was used": ("CHARGED", "held - sums.amount", "held - sums.used"),
    "amount: charges what was held": ("CHARGED", "settled + sums.used", "settled + sums.amount"),
    "amount: charges 1": ("DONE", "COALESCE(ends.used, amount)", "COALESCE(ends.used, 1)"),
    "amount: records what was held": ("TRIAL_RECORD", "done.used FROM", "done.amount FROM"),
    "amount: records 0": ("TRIAL_RECORD", "done.used FROM", "0 FROM"),
    # many calls at once
    "group: the running sum is one short": ("NEW", "AS total", "- 1 AS total"),
    "group: each fits alone": ("NEW", "PARTITION BY pool_id", "PARTITION BY pool_id, number"),
    "group: holds one member only": ("TAKEN", "SUM(amount)", "MAX(amount)"),
    "group: holds each twice": ("TAKEN", "SUM(amount)", "2 * SUM(amount)"),
    "group: gives one member back only": ("CHARGED", "SUM(amount)", "MAX(amount)"),
    "group: charges one member only": ("CHARGED", "SUM(used)", "MAX(used)"),
    "group: charges each twice": ("CHARGED", "SUM(used)", "2 * SUM(used)"),
    "group: the record of another": ("TRIAL_RECORD", "ended.of_hold = done.id", "TRUE"),
    # the fingerprint
    "fingerprint: never compared": ("EXISTING", "hold.fingerprint", "'x'"),
    "fingerprint: another key's hold": ("EXISTING", "hold.key = {p}", "hold.key <> {p}"),
    # the expiry
    "expiry: too early": ("EXPIRED", "expires < {now}", "created < {now}"),
    "expiry: never": ("EXPIRED", "expires < {now}", "expires < {now} AND FALSE"),
    "expiry: the wrong ones": ("EXPIRED", "expires < {now}", "expires > {now}"),
    # what is written
    "written: held is settled": ("NEW", "0, 'held', ''", "0, 'settled', ''"),
    "written: sent from the start": ("NEW", "'', FALSE", "'', TRUE"),
    "written: never sent": ("SENT", "sent = TRUE", "sent = FALSE"),
    "written: always settled": ("DONE", "SET state = ends.state", "SET state = 'settled'"),
    "written: no reason": ("DONE", "reason = ends.reason", "reason = ''"),
}


@pytest.mark.slow
@pytest.mark.django_db
def test_the_ledger_does_what_its_model_does() -> None:
    run_state_machine_as_test(LedgerMachine, settings=USUAL)


@pytest.mark.slow
@pytest.mark.one_database  # it tests the test above, with thousands of statements
@pytest.mark.django_db
@pytest.mark.parametrize("mutant", MUTANTS)
def test_each_mutant_is_caught(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names, text, other = MUTANTS[mutant]
    for name in names.split():
        module = holds if hasattr(holds, name) else reaper
        part: Any = getattr(module, name)
        assert part.sql.count(text) == 1
        monkeypatch.setattr(module, name, part._replace(sql=part.sql.replace(text, other)))
    with pytest.raises((AssertionError, DatabaseError, pytest.fail.Exception)):
        run_state_machine_as_test(SeededLedger, settings=HUNT)


def _loses_the_last(records: Sequence[Any], dialect: Any) -> Any:
    return (
        record_calls(records[:-1], dialect) if len(records) > 1 else record_calls(records, dialect)
    )


@pytest.mark.slow
@pytest.mark.one_database
@pytest.mark.django_db
def test_a_lost_record_of_a_group_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "record_calls", _loses_the_last)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(SeededLedger, settings=HUNT)


@pytest.mark.slow
@pytest.mark.django_db
def test_a_wrong_margin_of_the_expiry_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holds, "EXPIRY_MARGIN_SECONDS", 0)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(SeededLedger, settings=HUNT)
