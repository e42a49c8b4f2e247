"""Workspaces and people in the operators' site: masks only, no secret, the audit trail to read and nothing to delete."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.forms import ReadOnlyPasswordHashField, ReadOnlyPasswordHashWidget
from django.contrib.auth.models import Group
from django.db.models import Count, IntegerField, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.translation import gettext, gettext_lazy, gettext_noop, ngettext

from core.admin.generic import AdminUserCreationForm, ModelForm, StackedInline, UserAdmin, UserChangeForm
from tenants import app_keys, hooks, keys, people, services
from tenants.audit import actor_of
from tenants.auth.request import SignedInRequest
from tenants.errors import ServiceError
from tenants.models import EXPIRES_SOON, AppKey, AuditEntry, KeyPair, Membership, Tenant, User
from tenants.operating import CappedPaginator, LightAdmin, ReadOnlyAdmin, as_csv, asks_first, coded, column, flag, shown
from tenants.permissions import ROLE_LABELS, SCOPE_LABELS, Role, Scope
from tenants.wording import AUDIT_KINDS, actor_label

KEY_PAIR_AGE = timedelta(days=365)  # older ones are due for rotation
LONG_UNUSED = timedelta(days=90)

admin.site.unregister(Group)  # rights come from memberships and from being an operator; groups would give none


class WorkspaceForm(ModelForm[Tenant]):
    def clean_slug(self) -> str:
        try:
            return services.checked_slug(self.cleaned_data["slug"])
        except ServiceError as error:
            raise forms.ValidationError(str(error.message), error.code) from None


asks_before_rotating = asks_first(
    title=gettext_lazy("Rotate key pairs"),
    consequence=gettext_lazy(
        "Each of these workspaces gets a new key pair, and its stored credentials are sealed anew under it. Calls go on meanwhile. "
        "A run that was interrupted is finished by the next one."
    ),
    button=gettext_lazy("Rotate"),
    dangerous=False,
)


@admin.register(Tenant)
class TenantAdmin(LightAdmin[Tenant]):
    """config/operators.py adds the columns and actions that take more than this app knows."""

    form = WorkspaceForm
    list_display: tuple[Any, ...] = ("name", "slug", "status", "member_count", "created")
    list_filter: ClassVar[tuple[Any, ...]] = ("status", "created")
    # Not by people's addresses in the same query: joined rows would make the count of a search wrong; see get_search_results.
    search_fields = ("name", "slug")
    search_help_text = gettext_lazy("Name or address of a workspace, or the e-mail address of a member.")
    fields = ("name", "slug", "status", "created")
    actions: tuple[Any, ...] = ("suspend", "resume", "rotate_key_pair")
    show_facets = admin.ShowFacets.ALLOW
    list_per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[Tenant]:
        count = Membership.objects.filter(tenant=OuterRef("pk")).order_by().values("tenant").annotate(number=Count("pk")).values("number")
        rows = super().get_queryset(request).filter(is_system=False)
        return rows.annotate(member_count=Coalesce(Subquery(count, output_field=IntegerField()), 0))

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Tenant], search_term: str) -> tuple[QuerySet[Tenant], bool]:
        found, duplicates = super().get_search_results(request, queryset, search_term)
        if "@" in search_term:
            of_person = Membership.objects.filter(user__email__icontains=search_term.strip()).values("tenant")
            found = found | queryset.filter(pk__in=of_person)
        return found, duplicates

    @admin.display(description=gettext_lazy("members"), ordering="member_count")
    def member_count(self, tenant: Any) -> int:
        number: int = tenant.member_count
        return number

    def get_readonly_fields(self, request: HttpRequest, obj: Tenant | None = None) -> tuple[str, ...]:
        # Links and programs hold the address; the status changes through the actions, which leave a trace.
        return ("slug", "status", "created") if obj else ("status", "created")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Tenant, form: Any, change: bool) -> None:
        if change:
            # The form has put the new name into `obj`; the service compares with the stored one.
            services.rename_workspace(tenant=Tenant.objects.get(pk=obj.pk), name=obj.name, actor=actor_of(request))
            return
        made = services.create_workspace(slug=obj.slug, name=obj.name, owner=None, actor=actor_of(request))
        obj.pk, obj._state.adding = made.pk, False

    @admin.action(description=gettext_lazy("Suspend…"), permissions=["change"])
    @asks_first(
        title=gettext_lazy("Suspend workspaces"),
        consequence=gettext_lazy(
            "Pages and app keys of these workspaces refuse from the next request on: their applications stop. "
            "Nothing is deleted; resuming brings everything back."
        ),
        button=gettext_lazy("Suspend"),
    )
    def suspend(self, request: HttpRequest, rows: QuerySet[Tenant]) -> None:
        for tenant in rows:
            services.suspend_workspace(tenant=tenant, actor=actor_of(request))
        self.message_user(request, _count(len(rows), ngettext("%d workspace suspended.", "%d workspaces suspended.", len(rows))))

    @admin.action(description=gettext_lazy("Resume"), permissions=["change"])
    def resume(self, request: HttpRequest, rows: QuerySet[Tenant]) -> None:
        for tenant in rows:
            services.resume_workspace(tenant=tenant, actor=actor_of(request))
        self.message_user(request, _count(len(rows), ngettext("%d workspace resumed.", "%d workspaces resumed.", len(rows))))

    @admin.action(description=gettext_lazy("Rotate key pair…"), permissions=["change"])
    @asks_before_rotating
    def rotate_key_pair(self, request: HttpRequest, rows: QuerySet[Tenant]) -> None:
        _rotate(self, request, rows)


def _rotate(page: admin.ModelAdmin[Any], request: HttpRequest, tenants: Any) -> None:
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
                "%(tenant)s: %(number)d sealed text could not be sealed anew. It stays under the earlier key pair; see the server's log.",
                "%(tenant)s: %(number)d sealed texts could not be sealed anew. They stay under the earlier key pair; see the server's log.",
                report.failed,
            )
            page.message_user(request, text % {"tenant": tenant, "number": report.failed}, messages.ERROR)
    if done:
        page.message_user(request, _count(done, ngettext("%d key pair rotated.", "%d key pairs rotated.", done)))


def _count(number: int, text: str) -> str:
    return text % number


# ------------------------------------------------------------------------------------------------------------ people


ROLE = coded("role", gettext_lazy("role"), lambda role: ROLE_LABELS[Role(role)])


class MembershipInline(StackedInline[Membership, User]):
    """A person's workspaces and roles; changed on the workspace's own pages, where the rules about owners hold."""

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
        label=gettext_lazy("Password"), widget=PasswordSet, help_text=gettext_lazy("It is stored so that nobody can read it.")
    )

    class Meta:
        model = User
        fields = ("email", "name", "is_staff")


class RoleFilter(admin.SimpleListFilter):
    title = gettext_lazy("role")
    parameter_name = "role"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(str(role), label) for role, label in ROLE_LABELS.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> QuerySet[User]:
        if not self.value():
            return queryset
        return queryset.filter(pk__in=Membership.objects.filter(role=self.value()).values("user"))


# Django's own page for a new person says this, and its catalogs do not have it in Chinese.
NEW_PERSON = gettext_noop("After you’ve created a user, you’ll be able to edit more user options.")
ACTIVE = flag("is_active", gettext_lazy("active"))


@admin.register(User)
class PersonAdmin(LightAdmin[User], UserAdmin[User]):
    form = PersonForm
    add_form = NewPersonForm
    ordering = ("email",)
    list_display = ("email", "name", "workspaces", ACTIVE, flag("is_staff", gettext_lazy("operator")), "last_login", "date_joined")
    list_filter = ("is_active", "is_staff", RoleFilter, "last_login", ("password_by_link", admin.EmptyFieldListFilter))
    search_fields = ("email", "name")
    fieldsets = (
        (None, {"fields": ("email", "name", "password")}),
        (gettext_lazy("Rights"), {"fields": (ACTIVE, "is_staff", "is_superuser")}),
        (gettext_lazy("Dates"), {"fields": ("last_login", "date_joined", "password_by_link")}),
    )
    add_fieldsets = ((None, {"fields": ("email", "name", "usable_password", "password1", "password2", "is_staff")}),)
    # Whether somebody may sign in changes through the actions, which ask first and leave a trace.
    readonly_fields = (ACTIVE, "last_login", "date_joined", "password_by_link")
    filter_horizontal = ()
    actions = ("deactivate", "reactivate")
    show_facets = admin.ShowFacets.ALLOW
    show_full_result_count = False
    list_per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        count = Membership.objects.filter(user=OuterRef("pk")).order_by().values("user").annotate(number=Count("pk")).values("number")
        return super().get_queryset(request).annotate(workspace_count=Coalesce(Subquery(count, output_field=IntegerField()), 0))

    @admin.display(description=gettext_lazy("workspaces"), ordering="workspace_count")
    def workspaces(self, user: Any) -> int:
        number: int = user.workspace_count
        return number

    def get_inlines(self, request: HttpRequest, obj: User | None) -> tuple[type[MembershipInline], ...]:
        return (MembershipInline,) if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # the audit trail and the ledger name people; who leaves is deactivated

    @admin.action(description=gettext_lazy("Deactivate…"), permissions=["change"])
    @asks_first(
        title=gettext_lazy("Deactivate people"),
        consequence=gettext_lazy(
            "These people cannot sign in any more, and app keys that they made refuse from the next request on. "
            "Nothing is deleted. Your own account is left out."
        ),
        button=gettext_lazy("Deactivate"),
    )
    def deactivate(self, request: SignedInRequest, rows: QuerySet[User]) -> None:
        number = sum(people.deactivate(user=user, actor=actor_of(request)) for user in rows.exclude(pk=request.user.pk))
        self.message_user(request, _count(number, ngettext("%d person deactivated.", "%d people deactivated.", number)))

    @admin.action(description=gettext_lazy("Let sign in again"), permissions=["change"])
    def reactivate(self, request: HttpRequest, rows: QuerySet[User]) -> None:
        number = sum(people.reactivate(user=user, actor=actor_of(request)) for user in rows)
        self.message_user(request, _count(number, ngettext("%d person may sign in again.", "%d people may sign in again.", number)))


# ---------------------------------------------------------------------------------------------------------- app keys


class KeyUseFilter(admin.SimpleListFilter):
    """What an operator looks for: keys that end soon, and keys that nobody seems to need."""

    title = gettext_lazy("condition")
    parameter_name = "condition"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("valid", gettext_lazy("Valid")),
            ("expiring", gettext_lazy("Ends within 14 days")),
            ("unused", gettext_lazy("Not used for 90 days")),
            ("revoked", gettext_lazy("Revoked")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AppKey]) -> QuerySet[AppKey]:
        now = timezone.now()
        valid = Q(revoked=None) & (Q(expires=None) | Q(expires__gt=now))
        long_ago = now - LONG_UNUSED
        wanted = {
            "valid": valid,
            "expiring": valid & Q(expires__lte=now + EXPIRES_SOON),
            "unused": valid & Q(created__lt=long_ago) & (Q(last_used=None) | Q(last_used__lt=long_ago)),
            "revoked": Q(revoked__isnull=False),
        }.get(self.value() or "")
        return queryset.filter(wanted) if wanted is not None else queryset


KEY_SCOPES = coded("scopes", gettext_lazy("may be used to"), lambda scope: SCOPE_LABELS[Scope(scope)])


@admin.register(AppKey)
class AppKeyAdmin(ReadOnlyAdmin[AppKey]):
    list_display = ("name", "tenant", "begins_with", KEY_SCOPES, "last_used", "expires", "revoked")
    list_filter = (KeyUseFilter, "last_used")
    search_fields = ("prefix", "name", "tenant__slug", "tenant__name")
    list_select_related = ("tenant",)
    fields = (
        ("tenant", "name", "begins_with"),
        KEY_SCOPES,
        (
            coded("allowed_providers", gettext_lazy("allowed providers"), partial(hooks.label, "provider")),
            column("allowed_models", gettext_lazy("allowed models")),
            column("allowed_operations", gettext_lazy("allowed endpoints")),
        ),
        ("created", "maker"),
        ("last_used", "expires", "revoked"),
    )
    actions = ("revoke",)

    @admin.display(description=gettext_lazy("made by"))
    def maker(self, key: AppKey) -> Any:
        if key.created_by is None:
            return actor_label("command") if key.made_by_command else gettext("somebody who has left")
        return key.created_by

    @admin.display(description=gettext_lazy("begins with"), ordering="prefix")
    def begins_with(self, key: AppKey) -> str:
        return f"{key.prefix}…"

    @admin.action(description=gettext_lazy("Revoke…"), permissions=["view"])
    @asks_first(
        title=gettext_lazy("Revoke app keys"),
        consequence=gettext_lazy("Applications that use these keys are refused from the next request on. It cannot be undone."),
        button=gettext_lazy("Revoke"),
    )
    def revoke(self, request: HttpRequest, rows: QuerySet[AppKey]) -> None:
        done = 0
        for row in rows.filter(revoked=None).select_related("tenant"):
            try:
                app_keys.revoke_app_key_as_operator(app_key=row, actor=actor_of(request))
            except ServiceError as error:
                self.message_user(request, f"{row}: {error.message}", messages.ERROR)
            else:
                done += 1
        self.message_user(request, _count(done, ngettext("%d app key revoked.", "%d app keys revoked.", done)))


# --------------------------------------------------------------------------------------------------------- key pairs


class PairStateFilter(admin.SimpleListFilter):
    title = gettext_lazy("state")
    parameter_name = "state__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(KeyPair.State.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[KeyPair]) -> QuerySet[KeyPair]:
        return queryset.filter(state=self.value()) if self.value() else queryset


class AgeFilter(admin.SimpleListFilter):
    title = gettext_lazy("age")
    parameter_name = "age"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("due", gettext_lazy("In use for more than a year"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[KeyPair]) -> QuerySet[KeyPair]:
        return queryset.filter(due()) if self.value() == "due" else queryset


def due() -> Q:
    """Key pairs that should be rotated."""
    return Q(state=KeyPair.State.CURRENT, created__lt=timezone.now() - KEY_PAIR_AGE)


PAIR_STATE = coded("state", gettext_lazy("state"), lambda state: KeyPair.State(state).label)


@admin.register(KeyPair)
class KeyPairAdmin(ReadOnlyAdmin[KeyPair]):
    list_display = ("short_id", "tenant", PAIR_STATE, "fingerprint", "created", "retired_on")
    list_filter = (PairStateFilter, AgeFilter, "created")
    search_fields = ("kid", "fingerprint", "tenant__slug", "tenant__name")
    list_select_related = ("tenant",)
    fields = ("tenant", "short_id", PAIR_STATE, "fingerprint", "created", "retired_on")
    actions = ("rotate",)

    @admin.display(description=gettext_lazy("key pair"), ordering="kid")
    def short_id(self, pair: KeyPair) -> str:
        return pair.kid

    @admin.display(description=gettext_lazy("retired"), ordering="retired")
    def retired_on(self, pair: KeyPair) -> Any:
        return shown(pair.retired)

    @admin.action(description=gettext_lazy("Rotate…"), permissions=["view"])
    @asks_before_rotating
    def rotate(self, request: HttpRequest, rows: QuerySet[KeyPair]) -> None:
        _rotate(self, request, Tenant.objects.filter(pk__in=rows.values("tenant")))


# ------------------------------------------------------------------------------------------------------- audit trail


class KindFilter(admin.SimpleListFilter):
    """By what was done. The words are known: no list of distinct values is read from a long table."""

    title = gettext_lazy("action")
    parameter_name = "action"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [*AUDIT_KINDS, ("operations", gettext_lazy("Exports"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        kind = self.value()
        return queryset.filter(action__startswith=kind) if kind else queryset


AUDIT_ACTOR = coded("actor", gettext_lazy("who"), actor_label)


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin[AuditEntry]):
    list_display = ("time", "tenant", AUDIT_ACTOR, "what", "about", "address")
    list_filter = (KindFilter, "time")
    search_fields = ("actor", "object_label", "action")
    list_select_related = ("tenant",)
    date_hierarchy = "time"
    paginator = CappedPaginator
    show_facets = admin.ShowFacets.NEVER  # they would count a long table once for each choice
    fields = (
        ("time", "tenant"),
        (AUDIT_ACTOR, "address"),
        ("what", "about"),
        "facts",
        "code",
    )
    actions = ("export",)

    @admin.display(description=gettext_lazy("action"), ordering="action")
    def what(self, entry: AuditEntry) -> str:
        return str(entry.sentence)

    @admin.display(description=gettext_lazy("object"), ordering="object_label")
    def about(self, entry: AuditEntry) -> str:
        return str(entry.about) or "-"

    @admin.display(description=gettext_lazy("code"))
    def code(self, entry: AuditEntry) -> Any:
        """For searching in logs and programs."""
        codes = [text for text in (entry.action, entry.object_type, entry.object_id) if text]
        return format_html_join(" ", "<code>{}</code>", ((text,) for text in codes))

    @admin.display(description=gettext_lazy("details"))
    def facts(self, entry: AuditEntry) -> Any:
        return shown({str(label): value for label, value in entry.facts})

    @admin.action(description=gettext_lazy("Download as CSV"), permissions=["view"])
    def export(self, request: HttpRequest, rows: QuerySet[AuditEntry]) -> Any:
        header = ("time", "workspace", "who", "action", "object_type", "object_id", "object", "ip_address", "details")
        return as_csv(request, name="audit", header=header, rows=_audit_rows(rows))


def _audit_rows(rows: QuerySet[AuditEntry]) -> Iterator[tuple[Any, ...]]:
    columns = ("time", "tenant__slug", "actor", "action", "object_type", "object_id", "object_label", "address", "details")
    for time, *others in rows.select_related(None).values_list(*columns).iterator(chunk_size=1000):
        yield (time.isoformat(), *others)
