"""Workspaces and people in the operators' site: masks only, no secret, the audit trail to read and nothing to delete."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.contrib.auth.models import Group
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils.translation import gettext_lazy, ngettext

from tenants import services
from tenants.audit import actor_of
from tenants.errors import ServiceError
from tenants.models import AppKey, AuditEntry, KeyPair, Membership, Tenant, User

admin.site.unregister(Group)  # rights come from memberships and from being an operator; groups would give none


class ReadOnly(admin.ModelAdmin):
    """Rows that the product makes: operators look at them."""

    show_full_result_count = False
    show_facets = admin.ShowFacets.ALLOW
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class WorkspaceForm(forms.ModelForm):
    def clean_slug(self) -> str:
        try:
            return services.checked_slug(self.cleaned_data["slug"])
        except ServiceError as error:
            raise forms.ValidationError(str(error.message), error.code) from None


@admin.register(Tenant)
class TenantAdmin(admin.ModelAdmin):
    form = WorkspaceForm
    list_display = ("name", "slug", "status", "member_count", "created")
    list_filter = ("status", "created")
    search_fields = ("name", "slug")
    fields = ("name", "slug", "status", "created")
    actions = ("suspend", "resume")
    show_facets = admin.ShowFacets.ALLOW

    def get_queryset(self, request: HttpRequest) -> QuerySet[Tenant]:
        count = Membership.objects.filter(tenant=OuterRef("pk")).order_by().values("tenant").annotate(number=Count("pk")).values("number")
        rows = super().get_queryset(request).filter(is_system=False)
        return rows.annotate(member_count=Coalesce(Subquery(count, output_field=IntegerField()), 0))

    @admin.display(description=gettext_lazy("members"), ordering="member_count")
    def member_count(self, tenant: Any) -> int:
        return tenant.member_count  # type: ignore[no-any-return]

    def get_readonly_fields(self, request: HttpRequest, obj: Tenant | None = None) -> tuple[str, ...]:
        # Links and programs hold the address; the status changes through the actions, which leave a trace.
        return ("slug", "status", "created") if obj else ("status", "created")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Tenant, form: Any, change: bool) -> None:
        if change:
            services.rename_workspace(tenant=obj, name=obj.name, actor=actor_of(request))
            return
        made = services.create_workspace(slug=obj.slug, name=obj.name, owner=None, actor=actor_of(request))
        obj.pk, obj._state.adding = made.pk, False

    @admin.action(description=gettext_lazy("Suspend: pages and app keys refuse"), permissions=["change"])
    def suspend(self, request: HttpRequest, rows: QuerySet[Tenant]) -> None:
        for tenant in rows:
            services.suspend_workspace(tenant=tenant, actor=actor_of(request))
        self.message_user(request, _count(len(rows), ngettext("%d workspace suspended.", "%d workspaces suspended.", len(rows))))

    @admin.action(description=gettext_lazy("Resume"), permissions=["change"])
    def resume(self, request: HttpRequest, rows: QuerySet[Tenant]) -> None:
        for tenant in rows:
            services.resume_workspace(tenant=tenant, actor=actor_of(request))
        self.message_user(request, _count(len(rows), ngettext("%d workspace resumed.", "%d workspaces resumed.", len(rows))))


def _count(number: int, text: str) -> str:
    return text % number


class MembershipInline(admin.StackedInline):
    """A person's workspaces and roles; changed on the workspace's own pages, where the rules about owners hold."""

    model = Membership
    extra = 0
    can_delete = False
    fields = readonly_fields = ("tenant", "role", "created", "last_active")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class NewPersonForm(AdminUserCreationForm):
    class Meta:
        model = User
        fields = ("email", "name", "is_staff")


class PersonForm(UserChangeForm):
    class Meta:
        model = User
        fields = ("email", "name", "is_active", "is_staff")


@admin.register(User)
class PersonAdmin(UserAdmin):
    form = PersonForm
    add_form = NewPersonForm
    ordering = ("email",)
    list_display = ("email", "name", "is_active", "is_staff", "last_login", "date_joined")
    list_filter = ("is_active", "is_staff", "last_login")
    search_fields = ("email", "name")
    fieldsets = (
        (None, {"fields": ("email", "name", "password")}),
        (gettext_lazy("Rights"), {"fields": ("is_active", "is_staff", "is_superuser")}),
        (gettext_lazy("Dates"), {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = ((None, {"fields": ("email", "name", "usable_password", "password1", "password2", "is_staff")}),)
    readonly_fields = ("last_login", "date_joined")
    filter_horizontal = ()
    actions = ("deactivate",)

    def get_inlines(self, request: HttpRequest, obj: User | None) -> tuple[type[admin.StackedInline], ...]:
        return (MembershipInline,) if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # the audit trail and the ledger name people; who leaves is deactivated

    @admin.action(description=gettext_lazy("Deactivate: sign-in and app keys refuse"), permissions=["change"])
    def deactivate(self, request: HttpRequest, rows: QuerySet[User]) -> None:
        number = rows.exclude(pk=str(request.user.pk)).update(is_active=False)
        self.message_user(request, _count(number, ngettext("%d person deactivated.", "%d people deactivated.", number)))


@admin.register(AppKey)
class AppKeyAdmin(ReadOnly):
    list_display = ("name", "tenant", "prefix", "scopes", "last_used", "expires", "revoked")
    list_filter = ("revoked", "expires", "last_used")
    search_fields = ("prefix", "name")
    list_select_related = ("tenant",)
    exclude = ("digest",)
    actions = ("revoke",)

    @admin.action(description=gettext_lazy("Revoke: the key does nothing from now on"), permissions=["view"])
    def revoke(self, request: HttpRequest, rows: QuerySet[AppKey]) -> None:
        done = 0
        for row in rows.filter(revoked=None).select_related("tenant"):
            try:
                services.revoke_app_key_as_operator(app_key=row, actor=actor_of(request))
            except ServiceError as error:
                self.message_user(request, f"{row}: {error.message}", messages.ERROR)
            else:
                done += 1
        self.message_user(request, _count(done, ngettext("%d app key revoked.", "%d app keys revoked.", done)))


@admin.register(KeyPair)
class KeyPairAdmin(ReadOnly):
    list_display = ("kid", "tenant", "state", "fingerprint", "created", "retired")
    list_filter = ("state", "created")
    search_fields = ("kid", "fingerprint", "tenant__slug")
    list_select_related = ("tenant",)
    fields = ("tenant", "kid", "state", "fingerprint", "created", "retired")


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnly):
    list_display = ("time", "tenant", "actor", "action", "object_label", "address")
    list_filter = ("action", "time")
    search_fields = ("actor", "object_label", "action")
    list_select_related = ("tenant",)
    date_hierarchy = "time"
    fields = ("time", "tenant", "actor", "action", "object_type", "object_id", "object_label", "address", "details")
