"""Operators' pages: trial plans, each workspace's credits with grants, holds, and the ledger, which nobody changes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from quotas import hooks, pricing, services
from quotas.models import CallRecord, CreditPool, Grant, Hold, TrialPlan
from tenants.audit import actor_of
from tenants.errors import ServiceError

CREDENTIAL = "credential_"


class ReadOnlyAdmin(admin.ModelAdmin):
    """Shows rows; the ledger's rows change by its own statements only."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


# -- plans ------------------------------------------------------------------------------------------------------------


class TrialPlanForm(forms.ModelForm):
    """A plan with its models as text and, once the provider is known, the inputs of its credential (empty: as it is)."""

    models = forms.CharField(
        label=gettext_lazy("models"),
        widget=forms.Textarea(attrs={"rows": 6, "cols": 60}),
        help_text=gettext_lazy("One a line. A call costs 1 credit; write model=5 for 5."),
    )

    class Meta:
        model = TrialPlan
        fields = ("slug", "label", "provider", "limit", "is_on")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            rows = self.instance.models.order_by("pk")
            self.initial["models"] = "\n".join(row.model if row.credits == 1 else f"{row.model}={row.credits}" for row in rows)

    def clean_models(self) -> dict[str, int]:
        models: dict[str, int] = {}
        for line in filter(None, map(str.strip, self.cleaned_data["models"].splitlines())):
            name, equals, credits = line.rpartition("=")
            if not equals:
                name, credits = line, "1"
            if not name or not (credits.isascii() and credits.isdigit() and int(credits)):
                raise forms.ValidationError(_("“%(line)s” is neither MODEL nor MODEL=CREDITS.") % {"line": line})
            models[name] = int(credits)
        return models

    def clean(self) -> dict[str, Any]:
        values = self.credential_values()
        if values:
            try:
                hooks.check_credential(self.instance.provider, values)
            except ServiceError as error:
                name = f"{CREDENTIAL}{error.field}"
                self.add_error(name if name in self.fields else None, str(error))
        return self.cleaned_data

    def credential_values(self) -> dict[str, str]:
        """What was typed, by the provider's field names; empty where the credential stays."""
        typed = ((name.removeprefix(CREDENTIAL), value) for name, value in self.cleaned_data.items() if name.startswith(CREDENTIAL))
        return {name: value for name, value in typed if value}


def _credential_inputs(plan: TrialPlan) -> dict[str, forms.Field]:
    return {
        CREDENTIAL + one.name: forms.CharField(
            label=one.label,
            required=False,
            strip=True,
            help_text=one.help_text,
            widget=forms.PasswordInput(attrs={"autocomplete": "off"}) if one.secret else forms.TextInput(attrs={"size": 60}),
        )
        for one in hooks.credential_fields(plan.provider)
    }


@admin.register(TrialPlan)
class TrialPlanAdmin(admin.ModelAdmin):
    form = TrialPlanForm
    list_display = ("label", "slug", "provider", "limit", "is_on", "mask", "workspaces")
    list_filter = ("is_on",)
    search_fields = ("slug", "label", "provider")

    def get_readonly_fields(self, request: HttpRequest, obj: TrialPlan | None = None) -> tuple[str, ...]:
        # The credential is sealed for the provider, and the name is part of every record.
        return ("slug", "provider", "base_url", "mask", "retired") if obj else ()

    def get_form(self, request: HttpRequest, obj: TrialPlan | None = None, change: bool = False, **kwargs: Any) -> Any:
        kwargs["fields"] = [name for name in TrialPlanForm.Meta.fields if name not in self.get_readonly_fields(request, obj)] + ["models"]
        form = super().get_form(request, obj, change=change, **kwargs)
        return type("TrialPlanForm", (form,), _credential_inputs(obj)) if obj else form

    def get_fieldsets(self, request: HttpRequest, obj: TrialPlan | None = None) -> Any:
        if obj is None:
            return ((None, {"fields": ("slug", "label", "provider", "limit", "models")}),)
        inputs = tuple(_credential_inputs(obj))
        note = _("Enter all fields to replace the credential; leave all empty to keep it.")
        return (
            (None, {"fields": ("slug", "label", "provider", "limit", "is_on", "models", "retired")}),
            (_("Credential that pays for the calls"), {"fields": ("mask", "base_url", *inputs), "description": note}),
        )

    @admin.display(description=gettext_lazy("workspaces"))
    def workspaces(self, plan: TrialPlan) -> int:
        return plan.pools.count()

    @admin.display(description=gettext_lazy("retired models"))
    def retired(self, plan: TrialPlan) -> str:
        found = hooks.retired(plan.provider, [row.model for row in plan.models.all()])
        return "; ".join(_retired_text(one) for one in found) or _("none")

    def save_model(self, request: HttpRequest, obj: TrialPlan, form: Any, change: bool) -> None:
        data, actor = form.cleaned_data, actor_of(request)
        if not change:
            wanted = {name: data[name] for name in ("slug", "label", "provider", "limit", "models")}
            obj.pk = services.create_plan(actor=actor, **wanted).pk
            return
        values = form.credential_values()
        if values:
            services.set_plan_credential(actor=actor, plan=obj, values=values)
        wanted = {name: data[name] for name in ("label", "limit", "models", "is_on")}
        services.update_plan(actor=actor, plan=obj, **wanted)

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except ServiceError as error:  # rolled back with the page's transaction
            self.message_user(request, str(error), messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # its records name it; it is switched off instead


def _retired_text(model: hooks.RetiredModel) -> str:
    text = f"{model.model} ({model.since})" if model.since else model.model
    return _("%(model)s: use %(successor)s") % {"model": text, "successor": model.successor} if model.successor else text


# -- credits ----------------------------------------------------------------------------------------------------------


class GrantForm(ActionForm):
    """The two inputs beside the action "grant credits"."""

    credits = forms.IntegerField(required=False, label=gettext_lazy("Credits"))
    reason = forms.CharField(required=False, max_length=200, label=gettext_lazy("Reason"))


class GrantInline(admin.TabularInline):
    model = Grant
    fields = readonly_fields = ("created", "amount", "reason", "actor")
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(CreditPool)
class CreditPoolAdmin(ReadOnlyAdmin):
    list_display = ("tenant", "plan", "limit", "settled", "held", "left", "percent")
    list_filter = ("plan",)
    list_select_related = ("tenant", "plan")
    search_fields = ("tenant__slug", "tenant__name")
    inlines = (GrantInline,)
    action_form = GrantForm
    actions = ("grant_credits",)

    @admin.display(description=gettext_lazy("left"))
    def left(self, pool: CreditPool) -> int:
        return pool.left

    @admin.display(description="%")
    def percent(self, pool: CreditPool) -> int:
        return 100 if pool.left <= 0 else 100 * (pool.settled + pool.held) // pool.limit

    @admin.action(description=gettext_lazy("Grant credits (reason required)"))
    def grant_credits(self, request: HttpRequest, pools: QuerySet[CreditPool]) -> None:
        form = GrantForm(request.POST)
        del form.fields["action"]  # the admin has checked it
        if not form.is_valid() or not form.cleaned_data["credits"]:
            self.message_user(request, _("Enter a number of credits other than 0."), messages.ERROR)
            return
        given = self._grant(request, pools.select_related("tenant", "plan"), form.cleaned_data["credits"], form.cleaned_data["reason"])
        if given:
            text = ngettext("Granted to %(number)d workspace.", "Granted to %(number)d workspaces.", given)
            self.message_user(request, text % {"number": given}, messages.SUCCESS)

    def _grant(self, request: HttpRequest, pools: Iterable[CreditPool], credits: int, reason: str) -> int:
        """To how many it was granted; a refusal is shown with the workspace it concerns."""
        given = 0
        for pool in pools:
            try:
                services.grant(actor=actor_of(request), pool=pool, amount=credits, reason=reason)
                given += 1
            except ServiceError as error:
                self.message_user(request, f"{pool.tenant}: {error}", messages.ERROR)
        return given


@admin.register(Hold)
class HoldAdmin(ReadOnlyAdmin):
    list_display = ("created", "tenant", "model", "amount", "used", "state", "reason", "sent", "expires")
    list_filter = ("state", "reason", "pool__plan")
    list_select_related = ("tenant",)
    search_fields = ("request_id", "key")
    ordering = ("-created",)
    date_hierarchy = "created"
    show_full_result_count = False


# -- the ledger -------------------------------------------------------------------------------------------------------


@admin.register(CallRecord)
class CallRecordAdmin(ReadOnlyAdmin):
    list_display = (
        "time",
        "tenant",
        "model",
        "provider",
        "source",
        "app_key_name",
        "prompt_tokens",
        "completion_tokens",
        "credits",
        "cost_text",
        "status",
        "error_code",
        "latency_ms",
    )
    list_filter = ("status", "provider", "usage_source", "time")
    list_select_related = ("tenant",)
    search_fields = ("request_id__exact", "tenant__slug__exact", "model__exact")
    search_help_text = gettext_lazy("A whole request id, workspace address or model name.")
    show_full_result_count = False

    @admin.display(description=gettext_lazy("cost"))
    def cost_text(self, record: CallRecord) -> str:
        return _("unpriced") if record.cost is None else f"{pricing.plain(record.cost)} {record.currency}".strip()
