"""REST: the audit trail."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.pagination import listed, listing
from core.api.schema import operation
from core.api.serializers import PageQuery
from tenants import queries
from tenants.api.base import ApiView
from tenants.api.workspace import AUDIT
from tenants.auth.permissions import Action
from tenants.models import AuditEntry

FILTERS = ("action", "search", "actor", "since", "before")


class AuditEntryOut(serializers.ModelSerializer[AuditEntry]):
    details = serializers.DictField(child=serializers.JSONField())

    class Meta:
        model = AuditEntry
        fields = (
            "id",
            "time",
            "actor",
            "action",
            "object_type",
            "object_id",
            "object_label",
            "address",
            "details",
        )


class AuditQuery(PageQuery):
    limit = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=1000,
        default=100,
        help_text=_("Maximum number of rows per page."),
    )
    action = serializers.CharField(
        required=False,
        max_length=48,
        help_text=_('The start of the action: "credential." or "credential.added".'),
    )
    search = serializers.CharField(
        required=False,
        max_length=160,
        help_text=_("Part of the name of who acted or what was changed."),
    )
    actor = serializers.CharField(
        required=False, max_length=160, help_text=_("Who acted, exactly as in the entries.")
    )
    since = serializers.DateTimeField(required=False, help_text=_("Entries at or after this time."))
    before = serializers.DateTimeField(required=False, help_text=_("Entries before this time."))


class AuditView(ApiView):
    required_actions = {"GET": Action.VIEW_AUDIT}

    @operation(
        "audit_list",
        _("Who did what, newest first"),
        tag=AUDIT,
        description=_(
            "Every change to the workspace's settings, with who made it and from which address."
        ),
        query=AuditQuery,
        answers={200: listed(AuditEntryOut, "AuditList")},
    )
    def get(self, request: Request) -> Response:
        filters = {name: self.query[name] for name in FILTERS if name in self.query}
        rows = queries.audit_entries(tenant=self.tenant, **filters)
        if "after" in self.query:
            rows = rows.filter(_older_than(self.query["after"]))
        limit = self.query["limit"]
        entries = list(rows.order_by("-time", "-pk")[: limit + 1])
        next_cursor = _audit_cursor(entries[limit - 1]) if len(entries) > limit else None
        return listing(AuditEntryOut, entries[:limit], next_cursor)


def _audit_cursor(row: AuditEntry) -> str:
    return f"{row.time.astimezone(UTC):%Y%m%dT%H%M%S.%f}-{row.pk.hex}"


def _older_than(cursor: str) -> Q:
    try:
        when, _separator, pk = cursor.partition("-")
        time, row = datetime.strptime(when, "%Y%m%dT%H%M%S.%f").replace(tzinfo=UTC), UUID(pk)
    except ValueError:
        raise serializers.ValidationError(
            {"after": [_("This cursor is not from this list.")]}
        ) from None
    return Q(time__lt=time) | Q(time=time, pk__lt=row)
