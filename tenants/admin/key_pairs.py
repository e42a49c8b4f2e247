"""Admin pages for key pairs."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy

from core.admin.base import ReadOnlyAdmin
from core.admin.columns import coded, shown
from core.admin.filters import choice_filter, condition_filter
from core.admin.search import equals
from tenants.admin.search import by_workspace
from tenants.admin.workspaces import KEY_PAIR_AGE, confirm_rotation, rotate_key_pairs
from tenants.models import KeyPair, Tenant

PairStateFilter = choice_filter(
    "state__exact", gettext_lazy("state"), lambda: KeyPair.State.choices
)


AgeFilter = condition_filter(
    "age",
    gettext_lazy("age"),
    {"due": (gettext_lazy("In use for more than a year"), lambda: due())},
)


def due() -> Q:
    """Return the condition for key pairs that should be rotated."""
    return Q(state=KeyPair.State.CURRENT, created__lt=timezone.now() - KEY_PAIR_AGE)


PAIR_STATE = coded("state", gettext_lazy("state"), lambda state: KeyPair.State(state).label)


@admin.register(KeyPair)
class KeyPairAdmin(ReadOnlyAdmin[KeyPair]):
    list_display = ("short_id", "tenant", PAIR_STATE, "fingerprint", "created", "retired_on")
    list_filter = (PairStateFilter, AgeFilter, "created")
    search_fields = ("kid", "tenant")
    search_by = (equals("kid"), by_workspace)
    list_select_related = ("tenant",)
    fields = ("tenant", "short_id", PAIR_STATE, "fingerprint", "created", "retired_on")
    actions = ("rotate",)

    @admin.display(description=gettext_lazy("key pair"), ordering="kid")
    def short_id(self, pair: KeyPair) -> str:
        return pair.kid

    @admin.display(description=gettext_lazy("retired"), ordering="retired")
    def retired_on(self, pair: KeyPair) -> Any:
        return shown(pair.retired)

    @admin.action(description=gettext_lazy("Rotate…"), permissions=["act"])
    @confirm_rotation
    def rotate(self, request: HttpRequest, rows: QuerySet[KeyPair]) -> None:
        rotate_key_pairs(self, request, Tenant.objects.filter(pk__in=rows.values("tenant")))
