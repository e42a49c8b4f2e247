"""Operators' pages: trial plans, each workspace's credits with grants, holds, and the ledger, which nobody changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, F, IntegerField, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from core.admin.generic import ModelForm
from quotas import hooks, periods, pricing, services
from quotas.figures import source_name
from quotas.models import CallRecord, CreditPool, Grant, Hold, TrialPlan
from tenants.audit import actor_of
from tenants.errors import ServiceError
from tenants.ids import first_of
from tenants.models import Tenant
from tenants.operating import CappedPaginator, LightAdmin, ReadOnlyAdmin, as_csv, asks_first, coded, column, flag
from tenants.wording import actor_label

CREDENTIAL = "credential_"
PROVIDER = coded("provider", gettext_lazy("provider"), lambda slug: hooks.provider_label(slug) or slug)


# -- plans ------------------------------------------------------------------------------------------------------------


class TrialPlanForm(ModelForm[TrialPlan]):
    """A plan with its models as text and, once the provider is known, the inputs of its credential (empty: as it is)."""

    models = forms.CharField(
        label=gettext_lazy("Models"),
        widget=forms.Textarea(attrs={"rows": 6, "cols": 60}),
        help_text=gettext_lazy("One a line. A call costs 1 credit; write model=5 for 5."),
    )

    successors = forms.BooleanField(
        label=gettext_lazy("Replace retired models by their successors"),
        required=False,
        help_text=gettext_lazy("In the list above, when you save: each keeps its credits. Retired models without a known successor stay."),
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
        if self.cleaned_data.get("successors") and "models" in self.cleaned_data:
            self.cleaned_data["models"] = with_successors(self.instance.provider, self.cleaned_data["models"])
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


def with_successors(provider: str, models: Mapping[str, int]) -> dict[str, int]:
    """The same models and credits, with the successor in place of each retired one; one that is there already keeps its own credits."""
    successor = {one.model: one.successor for one in hooks.retired(provider, models) if one.successor}
    renamed = {successor.get(model, model): credits for model, credits in models.items()}
    return renamed | {model: credits for model, credits in models.items() if model not in successor}


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
    show_facets = admin.ShowFacets.ALLOW

    def get_queryset(self, request: HttpRequest) -> QuerySet[TrialPlan]:
        count = CreditPool.objects.filter(plan=OuterRef("pk")).order_by().values("plan").annotate(number=Count("pk")).values("number")
        rows = super().get_queryset(request).defer("sealed", "values").prefetch_related("models")
        return rows.annotate(pool_count=Coalesce(Subquery(count, output_field=IntegerField()), 0))

    def get_readonly_fields(self, request: HttpRequest, obj: TrialPlan | None = None) -> Any:
        # The credential is sealed for the provider, and the name is part of every record.
        return ("slug", "provider", PROVIDER, "base_url", "mask", "retired") if obj else ()

    def get_form(self, request: HttpRequest, obj: TrialPlan | None = None, change: bool = False, **kwargs: Any) -> Any:
        kwargs["fields"] = [name for name in TrialPlanForm.Meta.fields if name not in self.get_readonly_fields(request, obj)] + [
            "models",
            "successors",
        ]
        form = super().get_form(request, obj, change=change, **kwargs)
        return type("TrialPlanForm", (form,), _credential_inputs(obj)) if obj else form

    def get_fieldsets(self, request: HttpRequest, obj: TrialPlan | None = None) -> Any:
        if obj is None:
            return ((None, {"fields": ("slug", "label", "provider", "limit", "models")}),)
        inputs, offered = tuple(_credential_inputs(obj)), ("successors",) if any(one.successor for one in _retired_of(obj)) else ()
        note = _("Enter all fields to replace the credential; leave all empty to keep it.")
        return (
            (None, {"fields": ("slug", "label", PROVIDER, "limit", "is_on", "models", "retired", *offered)}),
            (_("Credential that pays for the calls"), {"fields": ("mask", "base_url", *inputs), "description": note}),
        )

    @admin.display(description=gettext_lazy("workspaces"), ordering="pool_count")
    def workspaces(self, plan: Any) -> int:
        number: int = plan.pool_count
        return number

    @admin.display(description=gettext_lazy("retired models"))
    def retired(self, plan: TrialPlan) -> str:
        found = _retired_of(plan)
        if not found:
            return _("none")
        lines = format_html_join(mark_safe("<br>"), "{}", ((_retired_text(one),) for one in found))
        return format_html('<span class="warning">{}</span>', lines)

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


def _retired_of(plan: TrialPlan) -> list[hooks.RetiredModel]:
    return hooks.retired(plan.provider, [row.model for row in plan.models.all()])


def _retired_text(model: hooks.RetiredModel) -> str:
    text = f"{model.model} ({model.since})" if model.since else model.model
    return _("%(model)s: use %(successor)s") % {"model": text, "successor": model.successor} if model.successor else text


# -- filters ----------------------------------------------------------------------------------------------------------

COUNTED = (("reported", gettext_lazy("reported")), ("estimated", gettext_lazy("estimated")), ("none", gettext_lazy("unknown")))


class StateFilter(admin.SimpleListFilter):
    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(Hold.State.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Hold]) -> QuerySet[Hold]:
        return queryset.filter(state=self.value()) if self.value() else queryset


class CountedFilter(admin.SimpleListFilter):
    title = gettext_lazy("tokens")
    parameter_name = "tokens"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(COUNTED)

    def queryset(self, request: HttpRequest, queryset: QuerySet[CallRecord]) -> QuerySet[CallRecord]:
        return queryset.filter(usage_source=self.value()) if self.value() else queryset


class ProviderNameFilter(admin.SimpleListFilter):
    """Credits know no provider: their names are those of the trial plans; config/operators.py puts the registry's here."""

    title = gettext_lazy("provider")
    parameter_name = "provider"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(slug, slug) for slug in TrialPlan.objects.order_by("provider").values_list("provider", flat=True).distinct()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[CallRecord]) -> QuerySet[CallRecord]:
        return queryset.filter(provider=self.value()) if self.value() else queryset


# -- credits ----------------------------------------------------------------------------------------------------------


class GrantForm(forms.Form):
    """How many credits, and why: both stand in the workspace's audit log."""

    credits = forms.IntegerField(
        label=gettext_lazy("Credits"), help_text=gettext_lazy("Below 0 takes credits back, at most what is left of them.")
    )
    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=200)

    def clean_credits(self) -> int:
        if not self.cleaned_data["credits"]:
            raise forms.ValidationError(_("Enter a number of credits other than 0."))
        return int(self.cleaned_data["credits"])


class TrialGrantForm(GrantForm):
    """For workspaces, which may have several trials."""

    plan = forms.ModelChoiceField(TrialPlan.objects.filter(is_on=True), label=gettext_lazy("Trial plan"))
    field_order = ("plan", "credits", "reason")


class ResetForm(forms.Form):
    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=200)


def give(page: admin.ModelAdmin[Any], request: HttpRequest, pools: Iterable[CreditPool], *, credits: int | None, reason: str) -> None:
    """Grant to each pool, and say to how many; a refusal is shown with the workspace it concerns. credits None: what a full plan lacks."""
    given = 0
    for pool in pools:
        amount = pool.plan.limit - pool.left if credits is None else credits
        try:
            if amount:
                services.grant(actor=actor_of(request), pool=pool, amount=amount, reason=reason)
                given += 1
        except ServiceError as error:
            page.message_user(request, f"{pool.tenant}: {error}", messages.ERROR)
    text = ngettext("Credits of %(number)d workspace changed.", "Credits of %(number)d workspaces changed.", given)
    page.message_user(request, text % {"number": given}, messages.SUCCESS if given else messages.WARNING)


@admin.action(description=gettext_lazy("Grant trial credits…"), permissions=["change"])
@asks_first(
    title=gettext_lazy("Grant trial credits"),
    consequence=gettext_lazy("The credits are added to each of these workspaces at once. Everybody there sees them."),
    button=gettext_lazy("Grant"),
    form=TrialGrantForm,
    dangerous=False,
)
def grant_trial(
    page: admin.ModelAdmin[Any], request: HttpRequest, rows: QuerySet[Tenant], *, plan: TrialPlan, credits: int, reason: str
) -> None:
    """An action of the list of workspaces."""
    pools = CreditPool.objects.filter(plan=plan, tenant__in=rows.values("pk")).select_related("tenant", "plan")
    give(page, request, pools, credits=credits, reason=reason)


NEARLY_USED = 0.8  # share of a trial's credits


def nearly_used() -> Q:
    """Trials of which four fifths are used or held, in plans that are on."""
    return Q(plan__is_on=True, limit__gt=0, settled__gte=F("limit") * NEARLY_USED - F("held"))


class UseFilter(admin.SimpleListFilter):
    title = gettext_lazy("use")
    parameter_name = "use"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("nearly", gettext_lazy("80 % and more")), ("up", gettext_lazy("Used up")), ("none", gettext_lazy("Not used"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[CreditPool]) -> QuerySet[CreditPool]:
        wanted = {
            "nearly": nearly_used(),
            "up": Q(settled__gte=F("limit") - F("held")),
            "none": Q(settled=0, held=0),
        }.get(self.value() or "")
        return queryset.filter(wanted) if wanted is not None else queryset


class PlanFilter(admin.SimpleListFilter):
    title = gettext_lazy("trial plan")
    parameter_name = "plan__id__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(str(pk), label) for pk, label in TrialPlan.objects.order_by("label").values_list("pk", "label")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[CreditPool]) -> QuerySet[CreditPool]:
        plan = self.value() or ""
        return queryset.filter(plan=int(plan)) if plan.isdigit() else queryset


MOST_GRANTS = 100  # that a page names


def _when(grant: Grant) -> str:
    return date_format(timezone.localtime(grant.created), "SHORT_DATETIME_FORMAT")


PLAN = column("plan", gettext_lazy("trial plan"))


@admin.register(CreditPool)
class CreditPoolAdmin(ReadOnlyAdmin[CreditPool]):
    list_display = ("tenant", PLAN, "limit", "settled", "held", "left", "percent")
    list_display_links = ("tenant", PLAN)
    list_filter = (PlanFilter, UseFilter)
    list_select_related = ("tenant", "plan")
    search_fields = ("tenant__slug", "tenant__name")
    fields = (("tenant", PLAN), ("limit", "plan_share"), ("settled", "held", "left"), "grants")
    actions = ("grant_credits", "reset")

    @admin.display(description=gettext_lazy("left"))
    def left(self, pool: CreditPool) -> int:
        return pool.left

    @admin.display(description=gettext_lazy("grants"))
    def grants(self, pool: CreditPool) -> Any:
        """The newest first: when, how many, why, by whom."""
        rows = pool.grants.all()[:MOST_GRANTS]
        lines = ((_when(row), f"{row.amount:+,}", row.reason, actor_label(row.actor)) for row in rows)
        return format_html_join(mark_safe("<br>"), "{} · {} · {} · {}", lines) or "-"

    @admin.display(description="%")
    def percent(self, pool: CreditPool) -> int:
        return 100 if pool.left <= 0 else 100 * (pool.settled + pool.held) // pool.limit

    @admin.action(description=gettext_lazy("Grant credits…"), permissions=["view"])
    @asks_first(
        title=gettext_lazy("Grant trial credits"),
        consequence=gettext_lazy("The credits are added to each of these workspaces at once. Everybody there sees them."),
        button=gettext_lazy("Grant"),
        form=GrantForm,
        dangerous=False,
    )
    def grant_credits(self, request: HttpRequest, pools: QuerySet[CreditPool], *, credits: int, reason: str) -> None:
        give(self, request, pools.select_related("tenant", "plan"), credits=credits, reason=reason)

    @admin.action(description=gettext_lazy("Fill up to the plan's limit…"), permissions=["view"])
    @asks_first(
        title=gettext_lazy("Fill trials up"),
        consequence=gettext_lazy(
            "Each of these workspaces has as many credits left afterwards as the plan gives to a new one, no more and no less. "
            "What was used stays in the books."
        ),
        button=gettext_lazy("Fill up"),
        form=ResetForm,
        dangerous=False,
    )
    def reset(self, request: HttpRequest, pools: QuerySet[CreditPool], *, reason: str) -> None:
        give(self, request, pools.select_related("tenant", "plan"), credits=None, reason=reason)


@admin.register(Hold)
class HoldAdmin(ReadOnlyAdmin[Hold]):
    list_display = (
        column("created", gettext_lazy("time")),
        "tenant",
        column("model", gettext_lazy("model")),
        column("amount", gettext_lazy("credits held")),
        column("used", gettext_lazy("credits used")),
        "shown_state",
        column("reason", gettext_lazy("reason")),
        flag("sent", gettext_lazy("sent")),
        column("expires", gettext_lazy("expires")),
    )
    list_filter = (StateFilter,)
    list_select_related = ("tenant",)
    search_fields = ("request_id__exact", "key__exact")
    search_help_text = gettext_lazy("A whole request id or Idempotency-Key.")
    ordering = ("-pk",)
    paginator = CappedPaginator
    show_facets = admin.ShowFacets.NEVER
    fields = (
        ("tenant", column("pool", gettext_lazy("trial credits"))),
        ("shown_state", column("reason", gettext_lazy("reason")), flag("sent", gettext_lazy("sent"))),
        (column("amount", gettext_lazy("credits held")), column("used", gettext_lazy("credits used"))),
        (column("model", gettext_lazy("model")), column("request_id", gettext_lazy("request")), column("key", "Idempotency-Key")),
        (column("created", gettext_lazy("time")), column("expires", gettext_lazy("expires"))),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Hold]:
        return super().get_queryset(request).select_related("pool__plan")

    @admin.display(description=gettext_lazy("state"), ordering="state")
    def shown_state(self, hold: Hold) -> str:
        return hold.get_state_display()


# -- the ledger -------------------------------------------------------------------------------------------------------


SOURCE = coded("source", gettext_lazy("served by"), source_name)


@admin.register(CallRecord)
class CallRecordAdmin(ReadOnlyAdmin[CallRecord]):
    """Everything here goes by the primary key, which sorts by time: the table has no index for all workspaces' times."""

    list_display = (
        "time",
        "tenant",
        "model",
        PROVIDER,
        SOURCE,
        "app_key_name",
        column("prompt_tokens", gettext_lazy("tokens in")),
        column("completion_tokens", gettext_lazy("tokens out")),
        "credits",
        "cost_text",
        "status",
        "error_code",
        "latency_ms",
    )
    list_filter: ClassVar[tuple[Any, ...]] = ("status", ProviderNameFilter, CountedFilter)
    list_select_related = ("tenant",)
    search_fields = ("request_id__exact", "tenant__slug__exact", "model__exact")
    search_help_text = gettext_lazy("A whole request id, workspace address or model name. The newest 10,000 that match are listed.")
    date_hierarchy = "time"
    paginator = CappedPaginator
    show_facets = admin.ShowFacets.NEVER
    fields = (
        ("time", "tenant", "request_id"),
        ("model", PROVIDER, column("operation", gettext_lazy("operation")), column("scenario", gettext_lazy("scenario"))),
        (SOURCE, "app_key_name", column("user", gettext_lazy("user"))),
        (
            "status",
            column("http_status", gettext_lazy("HTTP status")),
            "error_code",
            column("finish_reason", gettext_lazy("finish reason")),
        ),
        (
            column("prompt_tokens", gettext_lazy("tokens in")),
            column("completion_tokens", gettext_lazy("tokens out")),
            column("cached_tokens", gettext_lazy("tokens from the cache")),
            "counted",
        ),
        ("credits", "cost_text"),
        ("latency_ms", column("first_token_ms", gettext_lazy("first piece, ms")), flag("stream", gettext_lazy("streamed"))),
        "attempts",
        column("attempt_log", gettext_lazy("all attempts")),
    )
    actions = ("export",)

    @admin.display(description=gettext_lazy("cost"))
    def cost_text(self, record: CallRecord) -> str:
        return _("unpriced") if record.cost is None else f"{pricing.plain(record.cost)} {record.currency}".strip()

    @admin.display(description=gettext_lazy("tokens are"))
    def counted(self, record: CallRecord) -> str:
        return str(dict(COUNTED).get(record.usage_source, record.usage_source))

    def get_queryset(self, request: HttpRequest) -> QuerySet[CallRecord]:
        """A record's id is made after the call began: from a chosen year, month or day on, older ids need not be looked at."""
        rows = super().get_queryset(request)
        start = periods.start(request.GET)
        return rows.filter(pk__gte=first_of(start)) if start else rows

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        answer = super().changelist_view(request, extra_context)
        if isinstance(answer, TemplateResponse) and answer.context_data and "cl" in answer.context_data:
            answer.context_data["periods"] = periods.offered(answer.context_data["cl"], CallRecord.objects.all())
        return answer

    @admin.action(description=gettext_lazy("Download as CSV"), permissions=["view"])
    def export(self, request: HttpRequest, rows: QuerySet[CallRecord]) -> Any:
        return as_csv(request, name="calls", header=EXPORTED, rows=_exported(rows))


EXPORTED = (
    "time",
    "workspace",
    "request_id",
    "operation",
    "scenario",
    "provider",
    "model",
    "source",
    "app_key",
    "prompt_tokens",
    "completion_tokens",
    "usage_source",
    "credits",
    "cost",
    "currency",
    "status",
    "http_status",
    "error_code",
    "attempts",
    "latency_ms",
    "first_token_ms",
)


def _exported(rows: QuerySet[CallRecord]) -> Iterator[tuple[Any, ...]]:
    renamed = {"workspace": "tenant__slug", "app_key": "app_key_name"}
    columns = [renamed.get(name, name) for name in EXPORTED]
    cost = EXPORTED.index("cost")
    for row in rows.values_list(*columns).iterator(chunk_size=1000):
        amount = row[cost]
        yield (row[0].isoformat(), *row[1:cost], "" if amount is None else pricing.plain(amount), *row[cost + 1 :])
