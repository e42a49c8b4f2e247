"""The workspace whose routes the tests of this folder open."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from providers.transport import sync_client as provider_client
from tests import walk
from tests.module_rows import for_one_test, module_rows


@pytest.fixture(scope="module")
def made_side(django_db_setup: None, django_db_blocker: Any) -> Iterator[walk.Side]:
    with module_rows(django_db_blocker):
        yield walk.make_side("acme", "acmark")


@pytest.fixture
def side(made_side: walk.Side, monkeypatch: pytest.MonkeyPatch) -> walk.Side:
    """A workspace; whichever provider is asked answers that all is well."""
    monkeypatch.setattr(provider_client, "send", walk.friendly_provider)
    return for_one_test(made_side, made_side.workspace)
