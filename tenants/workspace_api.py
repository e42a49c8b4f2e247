"""REST: the workspace itself, its members, invitations, app keys and audit trail."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.urls import get_script_prefix, reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from tenants import queries, services
from tenants.errors import NotFound
from tenants.models import AuditEntry, Tenant
from tenants.permissions import Action, Role, Scope
from tenants.rest import ApiView, PageQuery, StrictSerializer, Text, Whole, listed, listing, operation, page

PEOPLE, KEYS = gettext_noop("Members"), gettext_noop("App keys")
AUDIT, WORKSPACE = gettext_noop("Audit trail"), gettext_noop("Workspace")
ROLES = [role.value for role in Role]
SCOPES = [scope.value for scope in Scope]


def creation_key(row: Any) -> str:
    """Cursor of lists in the order of creation."""
    return f"{int(row.created.timestamp() * 1_000_000):017d}-{row.pk}"


# Workspace


class WorkspaceOut(serializers.Serializer[Any]):
    slug = serializers.SlugField(help_text=_("The workspace's address."))
    name = serializers.CharField()
    default_language = serializers.CharField(help_text=_("Of people who are invited from now on; empty: their browser's."))
    created = serializers.DateTimeField()


class WorkspaceIn(StrictSerializer):
    name = Text(max_length=120, required=False)
    slug = Text(max_length=50, required=False, help_text=_("The address of before leads to the new one."))
    default_language = serializers.ChoiceField(["", *dict(settings.LANGUAGES)], required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs:
            raise serializers.ValidationError(_("Name at least one field to change."))
        return attrs


class WorkspaceView(ApiView):
    required_actions = {"GET": Action.VIEW_MODELS, "PATCH": Action.MANAGE_WORKSPACE}

    @operation("workspace_get", _("The key's workspace"), tag=WORKSPACE, answers={200: WorkspaceOut})
    def get(self, request: Request) -> Response:
        return Response(WorkspaceOut(self.tenant).data)

    @operation(
        "workspace_change",
        _("Change the workspace's name, address or language"),
        tag=WORKSPACE,
        body=WorkspaceIn,
        answers={200: WorkspaceOut},
    )
    def patch(self, request: Request) -> Response:
        given = self.body(WorkspaceIn)
        changes: dict[str, Callable[..., Tenant]] = {
            "name": services.rename_workspace,
            "default_language": services.set_default_language,
            "slug": services.move_workspace,
        }
        with transaction.atomic():
            given_names = {"name": "name", "default_language": "language", "slug": "slug"}
            for name, change in changes.items():
                if name in given:
                    change(tenant=self.tenant, actor=self.actor, **{given_names[name]: given[name]})
        return Response(WorkspaceOut(self.tenant).data)


# Members and invitations


class MemberOut(serializers.Serializer[Any]):
    id = serializers.IntegerField(source="pk")
    email = serializers.EmailField(source="user.email")
    name = serializers.CharField(source="user.name")
    role = serializers.ChoiceField(ROLES)
    joined = serializers.DateTimeField(source="created")
    last_active = serializers.DateTimeField(allow_null=True)
    invited_by = serializers.CharField(source="invited_by.email", default=None, allow_null=True)
    password_by_link = serializers.DateTimeField(
        source="user.password_by_link",
        allow_null=True,
        help_text=_("When the password was set through an invitation's link, until it is changed."),
    )


class RoleIn(StrictSerializer):
    role = serializers.ChoiceField(ROLES)


class MembersView(ApiView):
    required_actions = {"GET": Action.VIEW_MEMBERS}

    @operation("members_list", _("List the members"), tag=PEOPLE, query=PageQuery, answers={200: listed(MemberOut, "MemberList")})
    def get(self, request: Request) -> Response:
        rows, following = page(list(queries.members(tenant=self.tenant)), key=lambda row: f"{row.pk:012d}", **self.paging)
        return listing(MemberOut, rows, following)


class MemberView(ApiView):
    required_actions = {"GET": Action.VIEW_MEMBERS, "PATCH": Action.MANAGE_MEMBERS, "DELETE": Action.MANAGE_MEMBERS}

    @operation("members_get", _("Show a member"), tag=PEOPLE, answers={200: MemberOut})
    def get(self, request: Request, pk: int) -> Response:
        row = queries.members(tenant=self.tenant).filter(pk=pk).first()
        if row is None:
            raise NotFound("no_such_member", _("This person is not a member of this workspace."))
        return Response(MemberOut(row).data)

    @operation(
        "members_set_role",
        _("Change a member's role"),
        tag=PEOPLE,
        body=RoleIn,
        answers={200: MemberOut},
        description=_(
            "Nobody gives or takes a role above the own one; an app key counts as an admin at most. A workspace keeps an owner (409)."
        ),
    )
    def patch(self, request: Request, pk: int) -> Response:
        given = self.body(RoleIn)
        row = services.change_role(tenant=self.tenant, membership_id=pk, role=Role(given["role"]), actor=self.actor)
        return Response(MemberOut(row).data)

    @operation("members_remove", _("Remove a member"), tag=PEOPLE, description=_("The person's app keys stop with the membership."))
    def delete(self, request: Request, pk: int) -> Response:
        services.remove_member(tenant=self.tenant, membership_id=pk, actor=self.actor)
        return Response(status=204)


class InvitationOut(serializers.Serializer[Any]):
    id = serializers.UUIDField(source="pk")
    email = serializers.EmailField()
    role = serializers.ChoiceField(ROLES)
    created = serializers.DateTimeField()
    expires = serializers.DateTimeField()


class NewInvitationOut(InvitationOut):
    url = serializers.URLField(help_text=_("The link for the invited person. It is shown now and never again."))


class InvitationIn(StrictSerializer):
    email = Text(max_length=254)
    role = serializers.ChoiceField(ROLES)


class InvitationsView(ApiView):
    required_actions = {"GET": Action.VIEW_MEMBERS, "POST": Action.MANAGE_MEMBERS}

    @operation(
        "invitations_list",
        _("List the open invitations"),
        tag=PEOPLE,
        query=PageQuery,
        answers={200: listed(InvitationOut, "InvitationList")},
    )
    def get(self, request: Request) -> Response:
        rows, following = page(list(queries.open_invitations(tenant=self.tenant)), key=creation_key, **self.paging)
        return listing(InvitationOut, rows, following)

    @operation(
        "invitations_create",
        _("Invite a person"),
        tag=PEOPLE,
        body=InvitationIn,
        answers={201: NewInvitationOut},
        description=_("Inviting an address again ends the older link. An address that is a member answers 409."),
    )
    def post(self, request: Request) -> Response:
        given = self.body(InvitationIn)
        row, token = services.invite(tenant=self.tenant, email=given["email"], role=Role(given["role"]), actor=self.actor)
        path = reverse("invite", kwargs={"token": token}).removeprefix(get_script_prefix())
        url = f"{settings.SITE_URL}/{path}"  # which has the prefix
        return Response({**InvitationOut(row).data, "url": url}, status=201)


class InvitationView(ApiView):
    required_actions = {"DELETE": Action.MANAGE_MEMBERS}

    @operation("invitations_revoke", _("Withdraw an invitation"), tag=PEOPLE)
    def delete(self, request: Request, pk: UUID) -> Response:
        services.revoke_invitation(tenant=self.tenant, invitation_id=pk, actor=self.actor)
        return Response(status=204)


# App keys


class AppKeyOut(serializers.Serializer[Any]):
    id = serializers.UUIDField(source="pk")
    name = serializers.CharField()
    prefix = serializers.CharField(help_text=_("How the key starts; the rest is not stored."))
    scopes = serializers.ListField(child=serializers.ChoiceField(SCOPES))
    allowed_providers = serializers.ListField(child=serializers.CharField(), help_text=_("Empty means all."))
    allowed_models = serializers.ListField(child=serializers.CharField(), help_text=_('"provider/model"; empty means all.'))
    allowed_operations = serializers.ListField(
        child=serializers.CharField(), help_text=_('Endpoints of /v1, such as "chat.completions"; empty means all.')
    )
    created_by = serializers.CharField(source="created_by.email", default=None, allow_null=True)
    created = serializers.DateTimeField()
    expires = serializers.DateTimeField(allow_null=True)
    revoked = serializers.DateTimeField(allow_null=True)
    last_used = serializers.DateTimeField(allow_null=True)


class NewAppKeyOut(AppKeyOut):
    key = serializers.CharField(help_text=_("The key. It is shown now and never again."))


class AppKeyIn(StrictSerializer):
    name = Text(max_length=80)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(SCOPES), min_length=1, max_length=len(SCOPES), help_text=_("Not wider than what your own key may do.")
    )
    allowed_providers = serializers.ListField(child=Text(max_length=40), default=list, max_length=200, help_text=_("Empty means all."))
    allowed_models = serializers.ListField(
        child=Text(max_length=241), default=list, max_length=200, help_text=_('"provider/model"; empty means all.')
    )
    allowed_operations = serializers.ListField(
        child=Text(max_length=40), default=list, max_length=20, help_text=_('Endpoints of /v1, such as "embeddings"; empty means all.')
    )
    expires = serializers.DateTimeField(required=False, allow_null=True, default=None)


class RotationIn(StrictSerializer):
    overlap_hours = Whole(default=0, min_value=0, max_value=168, help_text=_("How long the old key stays valid."))


class AppKeysView(ApiView):
    required_actions = {"GET": Action.VIEW_APP_KEYS, "POST": Action.MANAGE_OWN_APP_KEYS}

    @operation("app_keys_list", _("List the app keys"), tag=KEYS, query=PageQuery, answers={200: listed(AppKeyOut, "AppKeyList")})
    def get(self, request: Request) -> Response:
        rows, following = page(list(queries.app_keys(tenant=self.tenant).defer("digest")), key=creation_key, **self.paging)
        return listing(AppKeyOut, rows, following)

    @operation("app_keys_create", _("Make an app key"), tag=KEYS, body=AppKeyIn, answers={201: NewAppKeyOut})
    def post(self, request: Request) -> Response:
        row, text = services.create_app_key(tenant=self.tenant, actor=self.actor, **self.body(AppKeyIn))
        return Response({**AppKeyOut(row).data, "key": text}, status=201)


class AppKeyView(ApiView):
    required_actions = {"GET": Action.VIEW_APP_KEYS, "DELETE": Action.MANAGE_OWN_APP_KEYS}

    @operation("app_keys_get", _("Show an app key"), tag=KEYS, answers={200: AppKeyOut})
    def get(self, request: Request, pk: UUID) -> Response:
        row = queries.app_keys(tenant=self.tenant).filter(pk=pk).first()
        if row is None:
            raise NotFound("no_such_key", _("There is no such app key."))
        return Response(AppKeyOut(row).data)

    @operation("app_keys_revoke", _("Revoke an app key"), tag=KEYS, description=_("It does nothing from the next request on."))
    def delete(self, request: Request, pk: UUID) -> Response:
        services.revoke_app_key(tenant=self.tenant, app_key_id=pk, actor=self.actor)
        return Response(status=204)


class AppKeyRotateView(ApiView):
    required_actions = {"POST": Action.MANAGE_OWN_APP_KEYS}

    @operation(
        "app_keys_rotate",
        _("Replace an app key by a new one"),
        tag=KEYS,
        body=RotationIn,
        answers={201: NewAppKeyOut},
        description=_("The new key takes name and rights over; the old one works for `overlap_hours` more."),
    )
    def post(self, request: Request, pk: UUID) -> Response:
        overlap = timedelta(hours=self.body(RotationIn)["overlap_hours"])
        row, text = services.rotate_app_key(tenant=self.tenant, app_key_id=pk, actor=self.actor, overlap=overlap)
        return Response({**AppKeyOut(row).data, "key": text}, status=201)


# Audit trail


class AuditEntryOut(serializers.ModelSerializer[AuditEntry]):
    details = serializers.DictField(child=serializers.JSONField())

    class Meta:
        model = AuditEntry
        fields = ("id", "time", "actor", "action", "object_type", "object_id", "object_label", "address", "details")


class AuditQuery(PageQuery):
    limit = serializers.IntegerField(required=False, min_value=1, max_value=1000, default=100, help_text=_("Rows of one page at most."))
    action = serializers.CharField(
        required=False, max_length=48, help_text=_('How the action starts: "credential." or "credential.added".')
    )
    search = serializers.CharField(required=False, max_length=160, help_text=_("Part of who acted or of what was acted on."))
    actor = serializers.CharField(required=False, max_length=160, help_text=_("Who acted, as the entries name it."))
    since = serializers.DateTimeField(required=False, help_text=_("Entries of this moment and later."))
    before = serializers.DateTimeField(required=False, help_text=_("Entries before this moment."))


class AuditView(ApiView):
    required_actions = {"GET": Action.VIEW_AUDIT}

    @operation(
        "audit_list", _("Who did what, newest first"), tag=AUDIT, query=AuditQuery, answers={200: listed(AuditEntryOut, "AuditList")}
    )
    def get(self, request: Request) -> Response:
        given = {name: self.query[name] for name in ("action", "search", "actor", "since", "before") if name in self.query}
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
        raise serializers.ValidationError({"after": [_("This is no cursor of this list.")]}) from None
    return Q(time__lt=time) | Q(time=time, pk__lt=row)
