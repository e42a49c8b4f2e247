"""REST: app keys."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.pagination import listed, listing, page
from core.api.schema import operation
from core.api.serializers import ChangeSerializer, PageQuery, StrictSerializer, Text, Whole
from core.errors import NotFound
from tenants import queries
from tenants.api.base import ApiView
from tenants.api.members import KEYS
from tenants.api.rates import RatesField, RatesIn
from tenants.api.workspace import creation_key
from tenants.auth.permissions import Action, Scope
from tenants.services import app_keys

SCOPES = [scope.value for scope in Scope]


class AppKeyOut(serializers.Serializer[Any]):
    id = serializers.UUIDField(source="pk")
    name = serializers.CharField()
    prefix = serializers.CharField(help_text=_("The start of the key. The rest is not stored."))
    scopes = serializers.ListField(child=serializers.ChoiceField(SCOPES))
    allowed_providers = serializers.ListField(
        child=serializers.CharField(), help_text=_("Empty means all.")
    )
    allowed_models = serializers.ListField(
        child=serializers.CharField(), help_text=_('"provider/model"; empty means all.')
    )
    allowed_operations = serializers.ListField(
        child=serializers.CharField(),
        help_text=_('Endpoints of /v1, such as "chat.completions"; empty means all.'),
    )
    rates = RatesField()
    created_by = serializers.CharField(source="created_by.email", default=None, allow_null=True)
    created = serializers.DateTimeField()
    expires = serializers.DateTimeField(allow_null=True)
    revoked = serializers.DateTimeField(allow_null=True)
    last_used = serializers.DateTimeField(allow_null=True)


class NewAppKeyOut(AppKeyOut):
    key = serializers.CharField(help_text=_("The key. It is shown only once."))


class AppKeyIn(StrictSerializer):
    name = Text(max_length=80)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(SCOPES),
        min_length=1,
        max_length=len(SCOPES),
        help_text=_("At most the scopes of your own key."),
    )
    allowed_providers = serializers.ListField(
        child=Text(max_length=40), default=list, max_length=200, help_text=_("Empty means all.")
    )
    allowed_models = serializers.ListField(
        child=Text(max_length=241),
        default=list,
        max_length=200,
        help_text=_('"provider/model"; empty means all.'),
    )
    allowed_operations = serializers.ListField(
        child=Text(max_length=40),
        default=list,
        max_length=20,
        help_text=_('Endpoints of /v1, such as "embeddings"; empty means all.'),
    )
    expires = serializers.DateTimeField(
        required=False,
        allow_null=True,
        default=None,
        help_text=_("Not later than your own key expires, which is also the default."),
    )
    rates = RatesIn(
        required=False,
        help_text=_("Not above those of your own key, which are also the default."),
    )


class AppKeyChangeIn(ChangeSerializer):
    """What can be changed of an app key. Fields left out stay as they are."""

    name = Text(max_length=80, required=False)
    allowed_providers = serializers.ListField(
        child=Text(max_length=40), required=False, max_length=200, help_text=_("Empty means all.")
    )
    allowed_models = serializers.ListField(
        child=Text(max_length=241),
        required=False,
        max_length=200,
        help_text=_('"provider/model"; empty means all.'),
    )
    allowed_operations = serializers.ListField(
        child=Text(max_length=40),
        required=False,
        max_length=20,
        help_text=_('Endpoints of /v1, such as "embeddings"; empty means all.'),
    )
    expires = serializers.DateTimeField(
        required=False, allow_null=True, help_text=_("Null means never.")
    )
    rates = RatesIn(required=False, help_text=_("Left out or null: no limit."))


class RotationIn(StrictSerializer):
    overlap_hours = Whole(
        default=0, min_value=0, max_value=168, help_text=_("How long the old key stays valid.")
    )


class AppKeysView(ApiView):
    required_actions = {"GET": Action.VIEW_APP_KEYS, "POST": Action.MANAGE_OWN_APP_KEYS}
    applies_limits = frozenset({"post"})  # the new key's limits are at least as narrow

    @operation(
        "app_keys_list",
        _("List the app keys"),
        tag=KEYS,
        description=_(
            "Without the keys themselves, which are shown only once, when they are made."
        ),
        query=PageQuery,
        answers={200: listed(AppKeyOut, "AppKeyList")},
    )
    def get(self, request: Request) -> Response:
        rows, following = page(
            list(queries.app_keys(tenant=self.tenant).defer("digest")),
            key=creation_key,
            **self.paging,
        )
        return listing(AppKeyOut, rows, following)

    @operation(
        "app_keys_create",
        _("Make an app key"),
        tag=KEYS,
        description=_("`key` in the response is the app key. It is not shown again."),
        body=AppKeyIn,
        answers={201: NewAppKeyOut},
    )
    def post(self, request: Request) -> Response:
        row, text = app_keys.create_app_key(
            tenant=self.tenant, actor=self.actor, **self.body(AppKeyIn)
        )
        return Response({**AppKeyOut(row).data, "key": text}, status=201)


class AppKeyView(ApiView):
    required_actions = {
        "GET": Action.VIEW_APP_KEYS,
        "PATCH": Action.MANAGE_OWN_APP_KEYS,
        "DELETE": Action.MANAGE_OWN_APP_KEYS,
    }

    @operation(
        "app_keys_get",
        _("Show an app key"),
        tag=KEYS,
        description=_("Its scopes, limits and last use. The key itself is not stored."),
        answers={200: AppKeyOut},
    )
    def get(self, request: Request, pk: UUID) -> Response:
        row = queries.app_keys(tenant=self.tenant).filter(pk=pk).first()
        if row is None:
            raise NotFound("no_such_key", _("App key not found."))
        return Response(AppKeyOut(row).data)

    @operation(
        "app_keys_change",
        _("Change an app key"),
        tag=KEYS,
        description=_(
            "Its name, limits or expiry; in force with the next request. The scopes can't be "
            "changed: make another key."
        ),
        body=AppKeyChangeIn,
        answers={200: AppKeyOut},
    )
    def patch(self, request: Request, pk: UUID) -> Response:
        row = app_keys.change_app_key(
            tenant=self.tenant,
            app_key_id=pk,
            actor=self.actor,
            values=self.body(AppKeyChangeIn),
        )
        return Response(AppKeyOut(row).data)

    @operation(
        "app_keys_revoke",
        _("Revoke an app key"),
        tag=KEYS,
        description=_(
            "The key and the keys that were made with it stop working with the next request."
        ),
    )
    def delete(self, request: Request, pk: UUID) -> Response:
        app_keys.revoke_app_key(tenant=self.tenant, app_key_id=pk, actor=self.actor)
        return Response(status=204)


class AppKeyRotateView(ApiView):
    required_actions = {"POST": Action.MANAGE_OWN_APP_KEYS}

    @operation(
        "app_keys_rotate",
        _("Replace an app key with a new one"),
        tag=KEYS,
        body=RotationIn,
        answers={201: NewAppKeyOut},
        description=_(
            "The new key has the same name and rights. The old one works for `overlap_hours` more. "
            "Another person's key can only be revoked (403)."
        ),
    )
    def post(self, request: Request, pk: UUID) -> Response:
        overlap = timedelta(hours=self.body(RotationIn)["overlap_hours"])
        row, text = app_keys.rotate_app_key(
            tenant=self.tenant, app_key_id=pk, actor=self.actor, overlap=overlap
        )
        return Response({**AppKeyOut(row).data, "key": text}, status=201)
