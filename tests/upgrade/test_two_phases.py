"""Each migration leaves tables that the release before it can go on using, because machines are
upgraded one after the other: new columns fill themselves, and nothing is taken away in the release
that stops using it. Large tables get their indexes without a lock.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection, migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState

from core.db.columns import AddUncheckedField
from core.db.indexes import AddIndexConcurrently

# Earlier ones were meant to run with all machines stopped.
LAST_BEFORE = {"tenants": 17, "providers": 5, "quotas": 9, "models_catalog": 2}
LARGE = {"callrecord", "hold", "auditentry", "usagerollup"}
loader = MigrationLoader(None)
Columns = dict[str, Any]  # models.Field by column


def number(name: str) -> int:
    return int(name.partition("_")[0])


def later() -> list[tuple[str, str]]:
    return [
        (app, name)
        for app, name in sorted(loader.disk_migrations)
        if app in LAST_BEFORE and number(name) > LAST_BEFORE[app]
    ]


def tables(state: ProjectState) -> dict[str, Columns]:
    return {
        model._meta.db_table: {field.column: field for field in model._meta.concrete_fields}
        for model in state.apps.get_models()
    }


def breaks(before: dict[str, Columns], after: dict[str, Columns]) -> list[str]:
    """What code that knows the tables as before can't do with them after."""
    found = []
    for table, old in before.items():
        if table not in after:
            found.append(f"{table} is gone")
            continue
        new = after[table]
        found += [f"{table}.{column} is gone" for column in old.keys() - new.keys()]
        found += [
            f"{table}.{column} must be filled in: give it a db_default"
            for column, field in new.items()
            if not (field.null or field.has_db_default() or field.primary_key)
            and (column not in old or old[column].null)
        ]
    return found


def operations(migration: Any) -> list[Any]:
    found = []
    for operation in migration.operations:
        if isinstance(operation, migrations.SeparateDatabaseAndState):
            found += operation.database_operations
        else:
            found.append(operation)
    return found


def made_by(migration: Any) -> set[str]:
    return {
        operation.name_lower
        for operation in migration.operations
        if isinstance(operation, migrations.CreateModel)
    }


@pytest.mark.parametrize("key", later(), ids="-".join)
def test_the_release_before_can_go_on(key: tuple[str, str]) -> None:
    migration = loader.disk_migrations[key]
    before = loader.project_state(key, at_end=False)
    assert breaks(tables(before), tables(migration.mutate_state(before))) == []


@pytest.mark.parametrize("key", later(), ids="-".join)
def test_large_tables_are_not_locked_for_long(key: tuple[str, str]) -> None:
    migration = loader.disk_migrations[key]
    large = LARGE - made_by(migration)
    for operation in operations(migration):
        table = getattr(operation, "model_name_lower", "")
        if table not in large:
            continue
        if not isinstance(operation, AddIndexConcurrently):
            assert not isinstance(operation, migrations.AddIndex | migrations.AddConstraint)
        if isinstance(operation, migrations.AddField):  # a check reads the table under its lock
            assert isinstance(operation, AddUncheckedField) or not operation.field.db_check(
                connection
            )


class TestTheRuleItself:
    @staticmethod
    def state(*fields: tuple[str, Any]) -> ProjectState:
        state = ProjectState()
        key = ("id", models.AutoField(primary_key=True))
        operation = migrations.CreateModel("Thing", [key, *fields])
        operation.state_forwards("tenants", state)
        return state

    @pytest.mark.parametrize(
        ("old", "new", "says"),
        [
            ([], [("size", models.IntegerField(default=1))], "must be filled in"),
            ([], [("size", models.IntegerField(db_default=1))], ""),
            ([], [("size", models.IntegerField(null=True))], ""),
            (
                [("size", models.IntegerField(null=True))],
                [("size", models.IntegerField())],
                "must be filled in",
            ),
            ([("size", models.IntegerField())], [("size", models.IntegerField(null=True))], ""),
            ([("size", models.IntegerField())], [], "size is gone"),
        ],
    )
    def test_it_tells_what_breaks(self, old: Any, new: Any, says: str) -> None:
        found = breaks(tables(self.state(*old)), tables(self.state(*new)))
        assert (says in "".join(found)) if says else found == []
