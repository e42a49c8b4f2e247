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

# Audit trail


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
        help_text=_("Rows of one page at most."),
    )
    action = serializers.CharField(
        required=False,
        max_length=48,
        help_text=_('How the action starts: "credential." or "credential.added".'),
    )
    search = serializers.CharField(
        required=False, max_length=160, help_text=_("Part of who acted or of what was acted on.")
    )
    actor = serializers.CharField(
        required=False, max_length=160, help_text=_("Who acted, as the entries name it.")
    )
    since = serializers.DateTimeField(
        required=False, help_text=_("Entries of this moment and later.")
    )
    before = serializers.DateTimeField(required=False, help_text=_("Entries before this moment."))


class AuditView(ApiView):
    required_actions = {"GET": Action.VIEW_AUDIT}

    @operation(
        "audit_list",
        _("Who did what, newest first"),
        tag=AUDIT,
        query=AuditQuery,
        answers={200: listed(AuditEntryOut, "AuditList")},
    )
    def get(self, request: Request) -> Response:
        given = {
            name: self.query[name]
            for name in ("action", "search", "actor", "since", "before")
            if name in self.query
        }
        rows = queries.audit_entries(tenant=self.tenant, **given)
        if "after" in self.query:
            rows = rows.filter(_older_than(self.query["after"]))
        limit = self.query["limit"]
        found = list(rows.order_by("-time", "-pk")[: limit + 1])
        following = _audit_cursor(found[limit - 1]) if len(found) > limit else None
        return listing(AuditEntryOut, found[:limit], following)


def _audit_cursor(row: AuditEntry) -> str:
    return f"{row.time.astimezone(UTC):%Y%m%dT%H%M%S.%f}-{row.pk.hex}"


def _older_than(cursor: str) -> Q:
    try:
        when, _separator, pk = cursor.partition("-")
        time, row = datetime.strptime(when, "%Y%m%dT%H%M%S.%f").replace(tzinfo=UTC), UUID(pk)
    except ValueError:
        raise serializers.ValidationError(
            {"after": [_("This is no cursor of this list.")]}
        ) from None
    return Q(time__lt=time) | Q(time=time, pk__lt=row)
