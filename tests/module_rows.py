"""Rows that the tests of a module share, because making them takes longer than most of its
tests.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from django.db import transaction

from tests import factories
from tests.pairs import stored_pairs

T = TypeVar("T")


@contextmanager
def module_rows(blocker: Any) -> Iterator[None]:
    """Keep what is written within for all tests of the module, then roll it back.

    The transaction of each test is a savepoint in this one.

    Args:
        blocker: pytest-django's `django_db_blocker`.
    """
    with blocker.unblock(), stored_pairs(), transaction.atomic():
        yield
        transaction.set_rollback(True)


def for_one_test(made: T, *workspaces: factories.Workspace) -> T:
    """A copy of objects made once. The canary looks for the app keys of `workspaces` again."""
    factories.app_keys += [workspace.app_key[1] for workspace in workspaces]
    return copy.deepcopy(made)
