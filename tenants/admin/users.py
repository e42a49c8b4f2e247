"""Admin pages for people."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.auth.forms import ReadOnlyPasswordHashField, ReadOnlyPasswordHashWidget
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import Count, IntegerField, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext, gettext_lazy, gettext_noop, ngettext

from core.admin.base import LightAdmin
from core.admin.columns import coded, flag
from core.admin.confirm import confirm_first
from core.admin.filters import choice_filter
from core.admin.generic import (
    AdminPasswordChangeForm,
    AdminUserCreationForm,
    UserAdmin,
    UserChangeForm,
)
from tenants.admin.workspaces import MembershipInline
from tenants.audit.trail import actor_of
from tenants.auth.permissions import OPERATOR_ROLE_LABELS, ROLE_LABELS, OperatorRole
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


class RolesField(forms.MultipleChoiceField):
    """An operator's roles as checkboxes; stored as a list."""

    widget = forms.CheckboxSelectMultiple

    def __init__(self) -> None:
        super().__init__(
            choices=tuple(OPERATOR_ROLE_LABELS.items()),
            required=False,
            label=gettext_lazy("Operator's roles"),
            help_text=gettext_lazy("Only for operators. A superuser may do everything."),
        )


class NewPersonForm(AdminUserCreationForm[User]):
    operator_roles = RolesField()

    class Meta:
        model = User
        fields = ("email", "name", "is_staff", "operator_roles")

    def save(self, commit: bool = True) -> User:
        user = super().save(commit=False)
        if user.has_usable_password():
            accounts.hand_out_password(user)
        if commit:
            user.save()
        return user


class NewPasswordForm(AdminPasswordChangeForm[User]):
    """A password that the operator hands to the person, whose account it is from now on."""

    def save(self, commit: bool = True) -> User:
        user = super().save(commit=False)
        accounts.hand_out_password(user)
        if commit:
            user.save()
        return user


class PersonForm(UserChangeForm[User]):
    password = ReadOnlyPasswordHashField(
        label=gettext_lazy("Password"),
        widget=PasswordSet,
        help_text=gettext_lazy("It is stored in a form that cannot be read."),
    )
    operator_roles = RolesField()

    class Meta:
        model = User
        fields = ("email", "name", "is_staff", "operator_roles")


RoleFilter = choice_filter(
    "role",
    gettext_lazy("role"),
    lambda: [(str(role), label) for role, label in ROLE_LABELS.items()],
    lambda role: Q(pk__in=Membership.objects.filter(role=role).values("user")),
)


# From Django's page for a new user; Django's Chinese catalog lacks it.
NEW_PERSON = gettext_noop("After you’ve created a user, you’ll be able to edit more user options.")
ACTIVE = flag("is_active", gettext_lazy("active"))
RIGHTS = ("is_staff", "is_superuser", "operator_roles")
ROLES = coded(
    "operator_roles",
    gettext_lazy("operator's roles"),
    lambda role: OPERATOR_ROLE_LABELS[OperatorRole(role)],
)
DATES = ("last_login", "date_joined", "password_by_link", "made_by_link", "first_password_until")
RIGHTS_SHOWN = ("is_staff", "is_superuser", ROLES)  # to operators who may not give any
_NEW = ("email", "name", "usable_password", "password1", "password2")
NEW_FIELDSETS = ((None, {"fields": (*_NEW, "is_staff", "operator_roles")}),)
NEW_FIELDSETS_WITHOUT_RIGHTS = ((None, {"fields": _NEW}),)


def _fieldsets(rights: tuple[Any, ...]) -> Any:
    return (
        (None, {"fields": ("email", "name", "password")}),
        (gettext_lazy("Rights"), {"fields": (ACTIVE, *rights)}),
        (gettext_lazy("Dates"), {"fields": DATES}),
    )


@admin.register(User)
class PersonAdmin(LightAdmin[User], UserAdmin[User]):
    """People. Only superusers give rights here, or change people who have some."""

    form = PersonForm
    add_form = NewPersonForm
    change_password_form = NewPasswordForm
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
        ("made_by_link", admin.EmptyFieldListFilter),
    )
    search_fields = ("email", "name")
    fieldsets = _fieldsets(RIGHTS)
    add_fieldsets = NEW_FIELDSETS
    # `is_active` changes through the actions, which ask for confirmation and are audited.
    readonly_fields = (ACTIVE, *DATES)
    filter_horizontal = ()
    actions = ("deactivate", "reactivate")
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

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        # Django's page refuses all names that begin with "password", and with them our filter's.
        by_link = lookup == "password_by_link__isempty"
        return by_link or super().lookup_allowed(lookup, value, request)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        if request.user.is_superuser:
            return fields
        return (*fields, *RIGHTS_SHOWN)

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        if obj is None:
            return NEW_FIELDSETS if request.user.is_superuser else NEW_FIELDSETS_WITHOUT_RIGHTS
        return _fieldsets(RIGHTS if request.user.is_superuser else RIGHTS_SHOWN)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        allowed: bool = super().has_change_permission(request, obj)
        if obj is None or request.user.is_superuser:
            return allowed
        return allowed and not has_rights(obj)

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        with transaction.atomic():
            super().save_model(request, obj, form, change)
            if change and "email" in form.changed_data:
                accounts.note_email_changed(
                    user=obj, before=form.initial["email"], actor=actor_of(request)
                )

    def user_change_password(
        self, request: HttpRequest, id: str, form_url: str = ""
    ) -> HttpResponse:
        """Record a new password in the audit logs of the person's workspaces."""
        with transaction.atomic():
            user = self.get_object(request, unquote(id))
            before = user.password if user else None
            response = super().user_change_password(request, id, form_url)
            if user is not None and User.objects.get(pk=user.pk).password != before:
                accounts.note_password_set(user=user, actor=actor_of(request))
        return response

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # the audit trail and the ledger refer to people; deactivate instead

    @admin.action(description=gettext_lazy("Deactivate…"), permissions=["change"])
    @confirm_first(
        title=gettext_lazy("Deactivate people"),
        consequence=gettext_lazy(
            "These people can no longer sign in, and their app keys are refused from the next "
            "request on. Nothing is deleted. Your own account is skipped, and operators' accounts "
            "unless you are a superuser."
        ),
        button=gettext_lazy("Deactivate"),
    )
    def deactivate(self, request: SignedInRequest, rows: QuerySet[User]) -> None:
        count = sum(
            accounts.deactivate(user=user, actor=actor_of(request))
            for user in _changeable(request, rows).exclude(pk=request.user.pk)
        )
        text = ngettext("%d person deactivated.", "%d people deactivated.", count)
        self.message_user(request, text % count)

    @admin.action(description=gettext_lazy("Let sign in again"), permissions=["change"])
    def reactivate(self, request: HttpRequest, rows: QuerySet[User]) -> None:
        count = sum(
            accounts.reactivate(user=user, actor=actor_of(request))
            for user in _changeable(request, rows)
        )
        text = ngettext("%d person may sign in again.", "%d people may sign in again.", count)
        self.message_user(request, text % count)


def has_rights(user: User) -> bool:
    """Return whether the person is an operator or a superuser, if only without the staff flag."""
    return user.is_staff or user.is_superuser


def _changeable(request: HttpRequest, rows: QuerySet[User]) -> QuerySet[User]:
    """Return the rows that the operator may change."""
    if request.user.is_superuser:
        return rows
    return rows.filter(is_staff=False, is_superuser=False)
