"""Admin pages for app keys."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy, ngettext

from core.admin.base import ReadOnlyAdmin
from core.admin.columns import coded, column
from core.admin.confirm import confirm_first
from core.admin.filters import condition_filter
from core.admin.search import equals
from core.errors import ServiceError
from tenants import ports
from tenants.admin.search import by_key_prefix, by_workspace
from tenants.audit.labels import actor_label
from tenants.audit.trail import actor_of
from tenants.auth.permissions import SCOPE_LABELS, Scope
from tenants.limits.rates import described
from tenants.models import EXPIRES_SOON, AppKey
from tenants.services import app_keys

LONG_UNUSED = timedelta(days=90)


def _valid() -> Q:
    return Q(revoked=None) & (Q(expires=None) | Q(expires__gt=timezone.now()))


def _unused() -> Q:
    long_ago = timezone.now() - LONG_UNUSED
    return _valid() & Q(created__lt=long_ago) & (Q(last_used=None) | Q(last_used__lt=long_ago))


KeyUseFilter = condition_filter(
    "condition",
    gettext_lazy("condition"),
    {
        "valid": (gettext_lazy("Valid"), _valid),
        "expiring": (
            gettext_lazy("Ends within 14 days"),
            lambda: _valid() & Q(expires__lte=timezone.now() + EXPIRES_SOON),
        ),
        "unused": (gettext_lazy("Not used for 90 days"), _unused),
        "revoked": (gettext_lazy("Revoked"), lambda: Q(revoked__isnull=False)),
    },
)


KEY_SCOPES = coded(
    "scopes", gettext_lazy("may be used to"), lambda scope: SCOPE_LABELS[Scope(scope)]
)


@admin.register(AppKey)
class AppKeyAdmin(ReadOnlyAdmin[AppKey]):
    list_display = ("name", "tenant", "begins_with", KEY_SCOPES, "last_used", "expires", "revoked")
    list_filter = (KeyUseFilter, "last_used")
    search_fields = ("prefix", "name", "tenant")
    search_by = (by_key_prefix, by_workspace, equals("name"))
    search_help_text = gettext_lazy(
        "How a key begins (mk_live_ and four characters), a workspace's address or name, or the "
        "full name of a key."
    )
    list_select_related = ("tenant",)
    fields = (
        ("tenant", "name", "begins_with"),
        KEY_SCOPES,
        (
            coded(
                "allowed_providers",
                gettext_lazy("allowed providers"),
                partial(ports.label, "provider"),
            ),
            column("allowed_models", gettext_lazy("allowed models")),
            column("allowed_operations", gettext_lazy("allowed endpoints")),
        ),
        "shown_rates",
        ("created", "maker"),
        ("last_used", "expires", "revoked"),
    )
    actions = ("revoke",)

    @admin.display(description=gettext_lazy("made by"))
    def maker(self, key: AppKey) -> Any:
        if key.created_by is None:
            return actor_label("command") if key.made_by_command else gettext("someone who left")
        return key.created_by

    @admin.display(description=gettext_lazy("rate limits"))
    def shown_rates(self, key: AppKey) -> str:
        return "; ".join(described(key.rates))

    @admin.display(description=gettext_lazy("begins with"), ordering="prefix")
    def begins_with(self, key: AppKey) -> str:
        return f"{key.prefix}…"

    @admin.action(description=gettext_lazy("Revoke…"), permissions=["act"])
    @confirm_first(
        title=gettext_lazy("Revoke app keys"),
        consequence=gettext_lazy(
            "Applications that use these keys are refused from the next request on. This cannot "
            "be undone."
        ),
        button=gettext_lazy("Revoke"),
    )
    def revoke(self, request: HttpRequest, rows: QuerySet[AppKey]) -> None:
        count = 0
        for row in rows.filter(revoked=None).select_related("tenant"):
            try:
                app_keys.revoke_app_key_as_operator(app_key=row, actor=actor_of(request))
            except ServiceError as error:
                self.message_user(request, f"{row}: {error.message}", messages.ERROR)
            else:
                count += 1
        text = ngettext("%d app key revoked.", "%d app keys revoked.", count)
        self.message_user(request, text % count)
