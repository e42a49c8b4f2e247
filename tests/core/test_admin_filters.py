"""Filters of the operators' lists: by a column, by a condition, and what an unknown value does."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.db.models import Q
from django.test import RequestFactory

from core.admin.filters import choice_filter, condition_filter
from tenants.models import User
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> User:
    return factories.make_user("ada@example.org")


@pytest.fixture
def bob() -> User:
    return factories.make_user("bob@example.org", is_active=False)


def shown(kind: type[admin.SimpleListFilter], value: str | None) -> set[str]:
    request = RequestFactory().get("/")
    params: Any = {} if value is None else {kind.parameter_name: [value]}
    chosen = kind(request, params, User, admin.site.get_model_admin(User))
    users = chosen.queryset(request, User.objects.all())
    assert users is not None
    return set(users.values_list("email", flat=True))


def test_a_choice_filters_by_its_column(ada: User, bob: User) -> None:
    kind = choice_filter("email", "e-mail", lambda: [(ada.email, "Ada"), (bob.email, "Bob")])
    assert shown(kind, None) == {ada.email, bob.email}
    assert shown(kind, ada.email) == {ada.email}
    assert shown(kind, "nobody@example.org") == set()


def test_a_condition_is_made_when_it_is_chosen(ada: User, bob: User) -> None:
    kind = condition_filter("access", "access", {"off": ("Off", lambda: Q(is_active=False))})
    assert shown(kind, None) == {ada.email, bob.email}
    assert shown(kind, "off") == {bob.email}
    assert shown(kind, "made up") == {ada.email, bob.email}
