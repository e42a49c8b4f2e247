"""REST: the workspace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.schema import operation
from core.api.serializers import ChangeSerializer, Text, WholeChoice
from tenants import queries
from tenants.api.base import ApiView
from tenants.api.rates import RatesField, RatesIn
from tenants.auth.origins import MAX_LENGTH, MAX_ORIGINS
from tenants.auth.permissions import Action
from tenants.kept.periods import PERIODS
from tenants.models import Tenant
from tenants.services import settings as workspace_settings

AUDIT, WORKSPACE = gettext_noop("Audit trail"), gettext_noop("Workspace")


def creation_key(row: Any) -> str:
    """Return the cursor of a row in a list ordered by creation."""
    return f"{int(row.created.timestamp() * 1_000_000):017d}-{row.pk}"


class WorkspaceOut(serializers.Serializer[Any]):
    slug = serializers.SlugField(help_text=_("The workspace's address."))
    name = serializers.CharField()
    default_language = serializers.CharField(
        help_text=_("For people invited from now on. Empty means the browser's language.")
    )
    allowed_origins = serializers.SerializerMethodField(
        help_text=_("Origins of web pages that may call models. Empty means none.")
    )
    kept_hours = serializers.IntegerField(
        help_text=_("How long calls keep what they need later. 0 means that nothing is kept.")
    )
    rates = RatesField()
    created = serializers.DateTimeField()

    def get_allowed_origins(self, tenant: Tenant) -> list[str]:
        return queries.allowed_origins(tenant=tenant)


class WorkspaceIn(ChangeSerializer):
    name = Text(max_length=120, required=False)
    slug = Text(
        max_length=50, required=False, help_text=_("The old address redirects to the new one.")
    )
    default_language = serializers.ChoiceField(["", *dict(settings.LANGUAGES)], required=False)
    kept_hours = WholeChoice(
        list(PERIODS),
        required=False,
        help_text=_("How long calls keep what they need later. 0 deletes what is kept."),
    )
    allowed_origins = serializers.ListField(
        child=Text(max_length=MAX_LENGTH),
        required=False,
        max_length=MAX_ORIGINS,
        help_text=_("Origins of web pages that may call models, such as https://app.example."),
    )

    rates = RatesIn(required=False, help_text=_("Left out or null: no limit."))


class WorkspaceView(ApiView):
    required_actions = {"GET": Action.VIEW_MODELS, "PATCH": Action.MANAGE_WORKSPACE}
    applies_limits = frozenset({"get", "head"})  # names no provider or model

    @operation(
        "workspace_get",
        _("The key's workspace"),
        tag=WORKSPACE,
        description=_("An app key belongs to one workspace, so no path names it."),
        answers={200: WorkspaceOut},
    )
    def get(self, request: Request) -> Response:
        return Response(WorkspaceOut(self.tenant).data)

    @operation(
        "workspace_change",
        _("Change the workspace's settings"),
        tag=WORKSPACE,
        description=_(
            "Fields that are left out stay as they are. The old address of a workspace "
            "redirects to the new one."
        ),
        body=WorkspaceIn,
        answers={200: WorkspaceOut},
    )
    def patch(self, request: Request) -> Response:
        body = self.body(WorkspaceIn)
        # (field, service, the service's argument)
        changes: tuple[tuple[str, Callable[..., Tenant], str], ...] = (
            ("name", workspace_settings.rename_workspace, "name"),
            ("default_language", workspace_settings.set_default_language, "language"),
            ("kept_hours", workspace_settings.set_kept_hours, "hours"),
            ("allowed_origins", workspace_settings.set_allowed_origins, "origins"),
            ("rates", workspace_settings.set_rates, "rates"),
            ("slug", workspace_settings.move_workspace, "slug"),
        )
        with transaction.atomic():
            for field, change, argument in changes:
                if field in body:
                    change(tenant=self.tenant, actor=self.actor, **{argument: body[field]})
        return Response(WorkspaceOut(self.tenant).data)
