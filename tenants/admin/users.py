"""The operators' list of people."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.forms import ReadOnlyPasswordHashField, ReadOnlyPasswordHashWidget
from django.contrib.auth.models import Group
from django.db.models import Count, IntegerField, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils.translation import gettext, gettext_lazy, gettext_noop, ngettext

from core.admin.base import LightAdmin
from core.admin.columns import flag
from core.admin.confirm import confirm_first
from core.admin.filters import choice_filter
from core.admin.generic import AdminUserCreationForm, UserAdmin, UserChangeForm
from tenants.admin.workspaces import MembershipInline, counted
from tenants.audit.trail import actor_of
from tenants.auth.permissions import ROLE_LABELS
from tenants.auth.request import SignedInRequest
from tenants.models import Membership, User
from tenants.services import accounts

admin.site.unregister(
    Group
)  # rights come from memberships and from being an operator; groups would give none


class PasswordSet(ReadOnlyPasswordHashWidget):
    """Whether there is a password, and the button for another one; nothing of what is stored."""

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context(name, value, attrs)
        if any("value" in line for line in context["summary"]):
            context["summary"] = [{"label": gettext("Set")}]
        return context


class NewPersonForm(AdminUserCreationForm[User]):
    class Meta:
        model = User
        fields = ("email", "name", "is_staff")


class PersonForm(UserChangeForm[User]):
    password = ReadOnlyPasswordHashField(
        label=gettext_lazy("Password"),
        widget=PasswordSet,
        help_text=gettext_lazy("It is stored so that nobody can read it."),
    )

    class Meta:
        model = User
        fields = ("email", "name", "is_staff")


RoleFilter = choice_filter(
    "role",
    gettext_lazy("role"),
    lambda: [(str(role), label) for role, label in ROLE_LABELS.items()],
    lambda role: Q(pk__in=Membership.objects.filter(role=role).values("user")),
)


# Django's own page for a new person says this, and its catalogs do not have it in Chinese.
NEW_PERSON = gettext_noop("After you’ve created a user, you’ll be able to edit more user options.")
ACTIVE = flag("is_active", gettext_lazy("active"))


@admin.register(User)
class PersonAdmin(LightAdmin[User], UserAdmin[User]):
    form = PersonForm
    add_form = NewPersonForm
    ordering = ("email",)
    list_display = (
        "email",
        "name",
        "workspaces",
        ACTIVE,
        flag("is_staff", gettext_lazy("operator")),
        "last_login",
        "date_joined",
    )
    list_filter = (
        "is_active",
        "is_staff",
        RoleFilter,
        "last_login",
        ("password_by_link", admin.EmptyFieldListFilter),
    )
    search_fields = ("email", "name")
    fieldsets = (
        (None, {"fields": ("email", "name", "password")}),
        (gettext_lazy("Rights"), {"fields": (ACTIVE, "is_staff", "is_superuser")}),
        (gettext_lazy("Dates"), {"fields": ("last_login", "date_joined", "password_by_link")}),
    )
    add_fieldsets = (
        (
            None,
            {"fields": ("email", "name", "usable_password", "password1", "password2", "is_staff")},
        ),
    )
    # Whether somebody may sign in changes through the actions, which ask first and leave a trace.
    readonly_fields = (ACTIVE, "last_login", "date_joined", "password_by_link")
    filter_horizontal = ()
    actions = ("deactivate", "reactivate")
    show_facets = admin.ShowFacets.ALLOW
    show_full_result_count = False
    list_per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        count = (
            Membership.objects.filter(user=OuterRef("pk"))
            .order_by()
            .values("user")
            .annotate(number=Count("pk"))
            .values("number")
        )
        return (
            super()
            .get_queryset(request)
            .annotate(workspace_count=Coalesce(Subquery(count, output_field=IntegerField()), 0))
        )

    @admin.display(description=gettext_lazy("workspaces"), ordering="workspace_count")
    def workspaces(self, user: Any) -> int:
        number: int = user.workspace_count
        return number

    def get_inlines(
        self, request: HttpRequest, obj: User | None
    ) -> tuple[type[MembershipInline], ...]:
        return (MembershipInline,) if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # the audit trail and the ledger name people; who leaves is deactivated

    @admin.action(description=gettext_lazy("Deactivate…"), permissions=["change"])
    @confirm_first(
        title=gettext_lazy("Deactivate people"),
        consequence=gettext_lazy(
            "These people cannot sign in any more, and app keys that they made refuse from the "
            "next request on. "
            "Nothing is deleted. Your own account is left out."
        ),
        button=gettext_lazy("Deactivate"),
    )
    def deactivate(self, request: SignedInRequest, rows: QuerySet[User]) -> None:
        number = sum(
            accounts.deactivate(user=user, actor=actor_of(request))
            for user in rows.exclude(pk=request.user.pk)
        )
        self.message_user(
            request,
            counted(number, ngettext("%d person deactivated.", "%d people deactivated.", number)),
        )

    @admin.action(description=gettext_lazy("Let sign in again"), permissions=["change"])
    def reactivate(self, request: HttpRequest, rows: QuerySet[User]) -> None:
        number = sum(accounts.reactivate(user=user, actor=actor_of(request)) for user in rows)
        self.message_user(
            request,
            counted(
                number,
                ngettext("%d person may sign in again.", "%d people may sign in again.", number),
            ),
        )
