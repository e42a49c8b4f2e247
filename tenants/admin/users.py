"""Admin pages for people."""

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
from tenants.admin.workspaces import MembershipInline
from tenants.audit.trail import actor_of
from tenants.auth.permissions import ROLE_LABELS
from tenants.auth.request import SignedInRequest
from tenants.models import Membership, User
from tenants.services import accounts

# Rights come from memberships and `is_staff`; groups have no effect.
admin.site.unregister(Group)


class PasswordSet(ReadOnlyPasswordHashWidget):
    """Show only whether there is a password, and the button to change it."""

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
        help_text=gettext_lazy("It is stored in a form that cannot be read."),
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


# From Django's page for a new user; Django's Chinese catalog lacks it.
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
    # `is_active` changes through the actions, which ask for confirmation and are audited.
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
        return False  # the audit trail and the ledger refer to people; deactivate instead

    @admin.action(description=gettext_lazy("Deactivate…"), permissions=["change"])
    @confirm_first(
        title=gettext_lazy("Deactivate people"),
        consequence=gettext_lazy(
            "These people can no longer sign in, and their app keys are refused from the next "
            "request on. Nothing is deleted. Your own account is skipped."
        ),
        button=gettext_lazy("Deactivate"),
    )
    def deactivate(self, request: SignedInRequest, rows: QuerySet[User]) -> None:
        count = sum(
            accounts.deactivate(user=user, actor=actor_of(request))
            for user in rows.exclude(pk=request.user.pk)
        )
        text = ngettext("%d person deactivated.", "%d people deactivated.", count)
        self.message_user(request, text % count)

    @admin.action(description=gettext_lazy("Let sign in again"), permissions=["change"])
    def reactivate(self, request: HttpRequest, rows: QuerySet[User]) -> None:
        count = sum(accounts.reactivate(user=user, actor=actor_of(request)) for user in rows)
        text = ngettext("%d person may sign in again.", "%d people may sign in again.", count)
        self.message_user(request, text % count)
