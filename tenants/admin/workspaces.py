"""The operators' list of workspaces."""

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

KEY_PAIR_AGE = timedelta(days=365)  # older ones are due for rotation


class WorkspaceForm(ModelForm[Tenant]):
    def clean_slug(self) -> str:
        try:
            return settings.checked_slug(self.cleaned_data["slug"])
        except ServiceError as error:
            raise forms.ValidationError(str(error.message), error.code) from None


confirm_rotation = confirm_first(
    title=gettext_lazy("Rotate key pairs"),
    consequence=gettext_lazy(
        "Each of these workspaces gets a new key pair, and its stored credentials are sealed anew "
        "under it. Calls go on meanwhile. "
        "A run that was interrupted is finished by the next one."
    ),
    button=gettext_lazy("Rotate"),
    dangerous=False,
)


@admin.register(Tenant)
class TenantAdmin(LightAdmin[Tenant]):
    """operations/admin.py adds the columns and actions that take more than this app knows."""

    form = WorkspaceForm
    list_display: tuple[Any, ...] = ("name", "slug", "status", "member_count", "created")
    list_filter: ClassVar[tuple[Any, ...]] = ("status", "created")
    # Not by people's addresses in the same query: joined rows would make the count of a search
    # wrong; see get_search_results.
    search_fields = ("name", "slug")
    search_help_text = gettext_lazy(
        "Name or address of a workspace, or the e-mail address of a member."
    )
    fields = ("name", "slug", "status", "created")
    actions: tuple[Any, ...] = ("suspend", "resume", "rotate_key_pair")
    show_facets = admin.ShowFacets.ALLOW
    list_per_page = 50

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
        found, duplicates = super().get_search_results(request, queryset, search_term)
        if "@" in search_term:
            of_person = Membership.objects.filter(
                user__email__icontains=search_term.strip()
            ).values("tenant")
            found = found | queryset.filter(pk__in=of_person)
        return found, duplicates

    @admin.display(description=gettext_lazy("members"), ordering="member_count")
    def member_count(self, tenant: Any) -> int:
        number: int = tenant.member_count
        return number

    def get_readonly_fields(
        self, request: HttpRequest, obj: Tenant | None = None
    ) -> tuple[str, ...]:
        # Links and programs hold the address; the status changes through the actions, which leave a
        # trace.
        return ("slug", "status", "created") if obj else ("status", "created")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Tenant, form: Any, change: bool) -> None:
        if change:
            # The form has put the new name into `obj`; the service compares with the stored one.
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
            "Pages and app keys of these workspaces refuse from the next request on: their "
            "applications stop. "
            "Nothing is deleted; resuming brings everything back."
        ),
        button=gettext_lazy("Suspend"),
    )
    def suspend(self, request: HttpRequest, rows: QuerySet[Tenant]) -> None:
        for tenant in rows:
            settings.suspend_workspace(tenant=tenant, actor=actor_of(request))
        self.message_user(
            request,
            counted(
                len(rows),
                ngettext("%d workspace suspended.", "%d workspaces suspended.", len(rows)),
            ),
        )

    @admin.action(description=gettext_lazy("Resume"), permissions=["change"])
    def resume(self, request: HttpRequest, rows: QuerySet[Tenant]) -> None:
        for tenant in rows:
            settings.resume_workspace(tenant=tenant, actor=actor_of(request))
        self.message_user(
            request,
            counted(
                len(rows), ngettext("%d workspace resumed.", "%d workspaces resumed.", len(rows))
            ),
        )

    @admin.action(description=gettext_lazy("Rotate key pair…"), permissions=["change"])
    @confirm_rotation
    def rotate_key_pair(self, request: HttpRequest, rows: QuerySet[Tenant]) -> None:
        rotate_key_pairs(self, request, rows)


def rotate_key_pairs(page: admin.ModelAdmin[Any], request: HttpRequest, tenants: Any) -> None:
    """One message about what worked, one for each workspace where it did not."""
    done = 0
    for tenant in tenants:
        try:
            report = keys.rotate(tenant=tenant, actor=actor_of(request))
        except ServiceError as error:
            page.message_user(request, f"{tenant}: {error.message}", messages.ERROR)
            continue
        done += not report.failed
        if report.failed:
            text = ngettext(
                "%(tenant)s: %(number)d sealed text could not be sealed anew. It stays under the "
                "earlier key pair; see the server's log.",
                "%(tenant)s: %(number)d sealed texts could not be sealed anew. They stay under "
                "the earlier key pair; see the server's log.",
                report.failed,
            )
            page.message_user(
                request, text % {"tenant": tenant, "number": report.failed}, messages.ERROR
            )
    if done:
        page.message_user(
            request, counted(done, ngettext("%d key pair rotated.", "%d key pairs rotated.", done))
        )


def counted(number: int, text: str) -> str:
    return text % number


# ------------------------------------------------------------------------------------------- people


ROLE = coded("role", gettext_lazy("role"), lambda role: ROLE_LABELS[Role(role)])


class MembershipInline(StackedInline[Membership, User]):
    """A person's workspaces and roles; changed on the workspace's own pages, where the rules about
    owners hold.
    """

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
