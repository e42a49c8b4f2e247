"""Admin pages for workspaces."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils.translation import gettext_lazy, ngettext

from core.admin.base import LightAdmin
from core.admin.columns import coded
from core.admin.confirm import confirm_first
from core.admin.generic import ModelForm, StackedInline
from core.errors import ServiceError
from tenants.audit.trail import actor_of
from tenants.auth.permissions import ROLE_LABELS, Role
from tenants.crypto import keys
from tenants.models import Membership, Tenant, User
from tenants.services import settings, workspaces

KEY_PAIR_AGE = timedelta(days=365)  # older pairs are due for rotation


class WorkspaceForm(ModelForm[Tenant]):
    def clean_slug(self) -> str:
        try:
            return settings.checked_slug(self.cleaned_data["slug"])
        except ServiceError as error:
            raise forms.ValidationError(str(error.message), error.code) from None


confirm_rotation = confirm_first(
    title=gettext_lazy("Rotate key pairs"),
    consequence=gettext_lazy(
        "Each of these workspaces gets a new key pair, and its stored credentials are re-encrypted "
        "with it. Calls keep working meanwhile. If it is interrupted, run it again."
    ),
    button=gettext_lazy("Rotate"),
    dangerous=False,
)


@admin.register(Tenant)
class TenantAdmin(LightAdmin[Tenant]):
    """Workspaces. console/admin.py adds columns and actions that need other apps."""

    form = WorkspaceForm
    list_display: tuple[Any, ...] = ("name", "slug", "status", "member_count", "created")
    list_filter: ClassVar[tuple[Any, ...]] = ("status", "created")
    # Members' addresses are searched in get_search_results; a join here would miscount the rows.
    search_fields = ("name", "slug")
    search_help_text = gettext_lazy(
        "Name or address of a workspace, or the e-mail address of a member."
    )
    fields = ("name", "slug", "status", "created")
    actions: tuple[Any, ...] = ("suspend", "resume", "rotate_key_pair")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Tenant]:
        count = (
            Membership.objects.filter(tenant=OuterRef("pk"))
            .order_by()
            .values("tenant")
            .annotate(number=Count("pk"))
            .values("number")
        )
        rows = super().get_queryset(request).filter(is_system=False)
        return rows.annotate(member_count=Coalesce(Subquery(count, output_field=IntegerField()), 0))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Tenant], search_term: str
    ) -> tuple[QuerySet[Tenant], bool]:
        matches, may_have_duplicates = super().get_search_results(request, queryset, search_term)
        if "@" in search_term:
            members = Membership.objects.filter(user__email__icontains=search_term.strip())
            matches = matches | queryset.filter(pk__in=members.values("tenant"))
        return matches, may_have_duplicates

    @admin.display(description=gettext_lazy("members"), ordering="member_count")
    def member_count(self, tenant: Any) -> int:
        number: int = tenant.member_count
        return number

    def get_readonly_fields(
        self, request: HttpRequest, obj: Tenant | None = None
    ) -> tuple[str, ...]:
        # Links and clients use the address; the status changes through the audited actions.
        return ("slug", "status", "created") if obj else ("status", "created")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Tenant, form: Any, change: bool) -> None:
        if change:
            # The form has already changed `obj`; the service compares with the stored name.
            settings.rename_workspace(
                tenant=Tenant.objects.get(pk=obj.pk), name=obj.name, actor=actor_of(request)
            )
            return
        made = workspaces.create_workspace(
            slug=obj.slug, name=obj.name, owner=None, actor=actor_of(request)
        )
        obj.pk, obj._state.adding = made.pk, False

    @admin.action(description=gettext_lazy("Suspend…"), permissions=["change"])
    @confirm_first(
        title=gettext_lazy("Suspend workspaces"),
        consequence=gettext_lazy(
            "Pages and app keys of these workspaces stop working from the next request on, and so "
            "do their applications. Nothing is deleted; you can resume them."
        ),
        button=gettext_lazy("Suspend"),
    )
    def suspend(self, request: HttpRequest, rows: QuerySet[Tenant]) -> None:
        for tenant in rows:
            settings.suspend_workspace(tenant=tenant, actor=actor_of(request))
        text = ngettext("%d workspace suspended.", "%d workspaces suspended.", len(rows))
        self.message_user(request, text % len(rows))

    @admin.action(description=gettext_lazy("Resume"), permissions=["change"])
    def resume(self, request: HttpRequest, rows: QuerySet[Tenant]) -> None:
        for tenant in rows:
            settings.resume_workspace(tenant=tenant, actor=actor_of(request))
        text = ngettext("%d workspace resumed.", "%d workspaces resumed.", len(rows))
        self.message_user(request, text % len(rows))

    @admin.action(description=gettext_lazy("Rotate key pair…"), permissions=["change"])
    @confirm_rotation
    def rotate_key_pair(self, request: HttpRequest, rows: QuerySet[Tenant]) -> None:
        rotate_key_pairs(self, request, rows)


def rotate_key_pairs(page: admin.ModelAdmin[Any], request: HttpRequest, tenants: Any) -> None:
    """Rotate the key pairs of workspaces, with one message per failure and one for the rest."""
    rotated = 0
    for tenant in tenants:
        try:
            failed = keys.rotate(tenant=tenant, actor=actor_of(request)).failed
        except ServiceError as error:
            page.message_user(request, f"{tenant}: {error.message}", messages.ERROR)
            continue
        rotated += not failed
        if failed:
            text = ngettext(
                "%(tenant)s: %(number)d credential could not be re-encrypted. It still uses the "
                "earlier key pair. See the server's log.",
                "%(tenant)s: %(number)d credentials could not be re-encrypted. They still use the "
                "earlier key pair. See the server's log.",
                failed,
            )
            page.message_user(request, text % {"tenant": tenant, "number": failed}, messages.ERROR)
    if rotated:
        text = ngettext("%d key pair rotated.", "%d key pairs rotated.", rotated)
        page.message_user(request, text % rotated)


ROLE = coded("role", gettext_lazy("role"), lambda role: ROLE_LABELS[Role(role)])


class MembershipInline(StackedInline[Membership, User]):
    """A person's workspaces and roles, read-only: the workspace's pages enforce the owner rules."""

    model = Membership
    verbose_name, verbose_name_plural = gettext_lazy("workspace"), gettext_lazy("workspaces")
    fk_name = "user"
    extra = 0
    can_delete = False
    readonly_fields = ("tenant", ROLE, "created", "last_active", "invited_by")
    fields = (("tenant", ROLE), ("created", "last_active", "invited_by"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        return super().get_queryset(request).select_related("tenant", "user")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
