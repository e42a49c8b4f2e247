"""The operators' list of trial plans."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html, format_html_join
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from core.admin.base import LightAdmin
from core.admin.columns import coded, column, flag
from core.admin.generic import ModelForm
from core.errors import ServiceError
from quotas import ports
from quotas.models import CreditPool, TrialPlan
from quotas.trials import plans
from tenants.audit.trail import actor_of

CREDENTIAL = "credential_"
PROVIDER = coded(
    "provider", gettext_lazy("provider"), lambda slug: ports.provider_label(slug) or slug
)


# -- plans -----------------------------------------------------------------------------------------


class TrialPlanForm(ModelForm[TrialPlan]):
    """A plan with its models as text and, once it has a provider, the fields of its credential.

    Empty credential fields keep the stored credential.
    """

    models = forms.CharField(
        label=gettext_lazy("Models"),
        widget=forms.Textarea(attrs={"rows": 6, "cols": 60}),
        help_text=gettext_lazy("One per line. A call costs 1 credit; write model=5 to charge 5."),
    )

    successors = forms.BooleanField(
        label=gettext_lazy("Replace retired models with their successors"),
        required=False,
        help_text=gettext_lazy(
            "Applies to the list above when you save. Credits per call don't change. Retired "
            "models without a known successor stay in the list."
        ),
    )

    class Meta:
        model = TrialPlan
        fields = ("slug", "label", "provider", "limit", "is_on")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            rows = self.instance.models.order_by("pk")
            self.initial["models"] = "\n".join(
                row.model if row.credits == 1 else f"{row.model}={row.credits}" for row in rows
            )

    def clean_models(self) -> dict[str, int]:
        models: dict[str, int] = {}
        for line in filter(None, map(str.strip, self.cleaned_data["models"].splitlines())):
            name, equals, credits = line.rpartition("=")
            if not equals:
                name, credits = line, "1"
            if not name or not (credits.isascii() and credits.isdigit() and int(credits)):
                raise forms.ValidationError(
                    _("“%(line)s” must be MODEL or MODEL=CREDITS.") % {"line": line}
                )
            models[name] = int(credits)
        return models

    def clean(self) -> dict[str, Any]:
        if self.cleaned_data.get("successors") and "models" in self.cleaned_data:
            self.cleaned_data["models"] = with_successors(
                self.instance.provider, self.cleaned_data["models"]
            )
        values = self.credential_values()
        if values:
            try:
                ports.check_credential(self.instance.provider, values)
            except ServiceError as error:
                name = f"{CREDENTIAL}{error.field}"
                self.add_error(name if name in self.fields else None, str(error))
        return self.cleaned_data

    def credential_values(self) -> dict[str, str]:
        """Return the values entered, by field name; empty to keep the stored credential."""
        typed = (
            (name.removeprefix(CREDENTIAL), value)
            for name, value in self.cleaned_data.items()
            if name.startswith(CREDENTIAL)
        )
        return {name: value for name, value in typed if value}


def with_successors(provider: str, models: Mapping[str, int]) -> dict[str, int]:
    """Replace retired models with their successors; those in the plan keep their credits."""
    successor = {
        entry.model: entry.successor for entry in ports.retired(provider, models) if entry.successor
    }
    renamed = {successor.get(model, model): credits for model, credits in models.items()}
    return renamed | {model: credits for model, credits in models.items() if model not in successor}


def _credential_inputs(plan: TrialPlan) -> dict[str, forms.Field]:
    return {
        CREDENTIAL + field.name: forms.CharField(
            label=field.label,
            required=False,
            strip=True,
            help_text=field.help_text,
            widget=forms.PasswordInput(attrs={"autocomplete": "off"})
            if field.secret
            else forms.TextInput(attrs={"size": 60}),
        )
        for field in ports.credential_fields(plan.provider)
    }


@admin.register(TrialPlan)
class TrialPlanAdmin(LightAdmin[TrialPlan]):
    form = TrialPlanForm
    list_display = (
        "label",
        PROVIDER,
        column("limit", gettext_lazy("credits")),
        flag("is_on", gettext_lazy("switched on")),
        "mask",
        "workspaces",
        "retired",
    )
    list_filter = ("is_on",)
    search_fields = ("slug", "label", "provider")

    def get_queryset(self, request: HttpRequest) -> QuerySet[TrialPlan]:
        count = (
            CreditPool.objects.filter(plan=OuterRef("pk"))
            .order_by()
            .values("plan")
            .annotate(number=Count("pk"))
            .values("number")
        )
        rows = super().get_queryset(request).defer("sealed", "values").prefetch_related("models")
        return rows.annotate(pool_count=Coalesce(Subquery(count, output_field=IntegerField()), 0))

    def get_readonly_fields(self, request: HttpRequest, obj: TrialPlan | None = None) -> Any:
        # The credential is sealed for the provider, and the name is part of every record.
        return ("slug", "provider", PROVIDER, "base_url", "mask", "retired") if obj else ()

    def get_form(
        self,
        request: HttpRequest,
        obj: TrialPlan | None = None,
        change: bool = False,
        **kwargs: Any,
    ) -> Any:
        kwargs["fields"] = [
            name
            for name in TrialPlanForm.Meta.fields
            if name not in self.get_readonly_fields(request, obj)
        ] + [
            "models",
            "successors",
        ]
        form = super().get_form(request, obj, change=change, **kwargs)
        return type("TrialPlanForm", (form,), _credential_inputs(obj)) if obj else form

    def get_fieldsets(self, request: HttpRequest, obj: TrialPlan | None = None) -> Any:
        if obj is None:
            return ((None, {"fields": ("slug", "label", "provider", "limit", "models")}),)
        inputs, offered = (
            tuple(_credential_inputs(obj)),
            ("successors",) if any(entry.successor for entry in _retired_of(obj)) else (),
        )
        note = _("Enter all fields to replace the credential; leave all empty to keep it.")
        return (
            (
                None,
                {
                    "fields": (
                        "slug",
                        "label",
                        PROVIDER,
                        "limit",
                        "is_on",
                        "models",
                        "retired",
                        *offered,
                    )
                },
            ),
            (
                _("Credential used for the calls"),
                {"fields": ("mask", "base_url", *inputs), "description": note},
            ),
        )

    @admin.display(description=gettext_lazy("workspaces"), ordering="pool_count")
    def workspaces(self, plan: Any) -> int:
        number: int = plan.pool_count
        return number

    @admin.display(description=gettext_lazy("retired models"))
    def retired(self, plan: TrialPlan) -> str:
        retired = _retired_of(plan)
        if not retired:
            return _("none")
        lines = format_html_join(
            mark_safe("<br>"), "{}", ((_retired_text(entry),) for entry in retired)
        )
        return format_html('<span class="warning">{}</span>', lines)

    def save_model(self, request: HttpRequest, obj: TrialPlan, form: Any, change: bool) -> None:
        data, actor = form.cleaned_data, actor_of(request)
        if not change:
            fields = {name: data[name] for name in ("slug", "label", "provider", "limit", "models")}
            obj.pk = plans.create_plan(actor=actor, **fields).pk
            return
        values = form.credential_values()
        if values:
            plans.set_plan_credential(actor=actor, plan=obj, values=values)
        fields = {name: data[name] for name in ("label", "limit", "models", "is_on")}
        plans.update_plan(actor=actor, plan=obj, **fields)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except ServiceError as error:  # rolled back with the page's transaction
            self.message_user(request, str(error), messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # its records name it; it is switched off instead


def _retired_of(plan: TrialPlan) -> list[ports.RetiredModel]:
    return ports.retired(plan.provider, [row.model for row in plan.models.all()])


def _retired_text(model: ports.RetiredModel) -> str:
    text = f"{model.model} ({model.since})" if model.since else model.model
    return (
        _("%(model)s: use %(successor)s") % {"model": text, "successor": model.successor}
        if model.successor
        else text
    )
