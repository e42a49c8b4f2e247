"""REST: trials, call records with their CSV, and sums of usage."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.pagination import PAGE_LIMIT, listed, listing, page
from core.api.schema import operation
from core.api.serializers import PageQuery, ShadowingField, StrictSerializer
from core.csv import csv_file
from core.errors import NotFound
from quotas.ledger import pricing
from quotas.models import CallRecord
from quotas.trials import queries
from quotas.trials.queries import TrialView
from quotas.usage import call_list, exports, summaries
from tenants.api.base import ApiView
from tenants.auth.permissions import Action

TAG = gettext_noop("Usage and trials")
# What the pages also group by is an internal number here.
GROUPS = tuple(name for name in summaries.GROUPS if name != "member")


class TrialModelOut(serializers.Serializer[Any]):
    model = serializers.CharField()
    credits = serializers.IntegerField(help_text=_("What a call costs."))


class TrialOut(serializers.Serializer[TrialView]):
    plan = serializers.CharField()
    provider = serializers.CharField()
    label: ShadowingField = serializers.CharField()
    limit = serializers.IntegerField()
    settled = serializers.IntegerField(help_text=_("Used credits."))
    held = serializers.IntegerField(help_text=_("Credits reserved for calls in progress."))
    left = serializers.IntegerField()
    is_on = serializers.BooleanField(help_text=_("Whether the operator has switched it on."))
    models = serializers.SerializerMethodField()

    @extend_schema_field(TrialModelOut(many=True))
    def get_models(self, trial: TrialView) -> list[dict[str, Any]]:
        return [{"model": model, "credits": credits} for model, credits in trial.models.items()]


class TrialsView(ApiView):
    required_actions = {"GET": Action.VIEW_USAGE}

    @operation(
        "trials_list",
        _("List the trials with their credits"),
        tag=TAG,
        description=_(
            "Credits that the operator gives to this workspace, and which models they pay for."
        ),
        query=PageQuery,
        answers={200: listed(TrialOut, "TrialList")},
    )
    def get(self, request: Request) -> Response:
        rows, following = page(
            queries.trials(tenant_id=self.tenant.pk),
            key=lambda trial: f"{trial.plan_id:012d}",
            **self.paging,
        )
        return listing(TrialOut, rows, following)


class Amount(serializers.CharField):
    """Money as a decimal string in plain digits: str() would write the ledger's zero as 0E-10."""

    def to_representation(self, value: str | Decimal) -> str:
        return pricing.plain(Decimal(value))


class AttemptLog(serializers.ListField):
    """The attempts of a call, which records keep as JSON."""

    child = serializers.DictField()

    def to_representation(self, data: Any) -> list[Any]:
        return [entry for entry in data if isinstance(entry, dict)]


class CallOut(serializers.ModelSerializer[CallRecord]):
    app_key = serializers.CharField(
        source="app_key_name",
        help_text=_("The app key's name; empty if the call was made without one."),
    )
    cost = Amount(
        allow_null=True,
        help_text=_('A decimal number such as "0.00042"; `null` means unpriced, not free.'),
    )
    status = serializers.ChoiceField(CallRecord.Status.values)
    usage_source = serializers.ChoiceField(
        ["reported", "estimated", "none"], help_text=_("Where the token counts come from.")
    )
    source: ShadowingField = serializers.CharField(
        help_text=_('What served it: "credential:NAME" or "trial:PLAN".')
    )
    attempts = serializers.IntegerField()
    credits = serializers.IntegerField(help_text=_("Trial credits charged."))
    prompt_tokens = serializers.IntegerField(allow_null=True)
    completion_tokens = serializers.IntegerField(allow_null=True)
    cached_tokens = serializers.IntegerField(allow_null=True)
    images = serializers.IntegerField(
        allow_null=True,
        help_text=_("Images generated; `null` if the call was not for images."),
    )
    price_version = serializers.CharField(
        allow_null=True,
        help_text=_("Id of the price that gave the cost; `null` if there was none."),
    )
    quantities = serializers.DictField(
        allow_null=True,
        help_text=_(
            "What else was used: tokens written to caches, of reasoning, audio and images, uses of "
            "tools, the service tier, and `provider_cost`, what the provider says it charged. "
            "`null` if nothing."
        ),
    )
    latency_ms = serializers.IntegerField()
    first_token_ms = serializers.IntegerField(allow_null=True)
    http_status = serializers.IntegerField(help_text=_("The status returned to the client."))
    error_message = serializers.CharField(
        allow_null=True,
        help_text=_(
            "What the provider said of the last attempt that failed, without keys and cut to 500 "
            "characters; also if a later attempt answered."
        ),
    )
    error_param = serializers.CharField(
        allow_null=True, help_text=_("The field of the request that the provider named.")
    )
    attempt_log = AttemptLog(
        help_text=_(
            "Each attempt: `provider`, `model`, `source`, `failure`, `status` and `ms`; if it "
            "failed, `message` and `param` as above."
        ),
    )

    class Meta:
        model = CallRecord
        fields = (*exports.CALL_COLUMNS, "attempt_log")


class CallQuery(PageQuery):
    after = serializers.UUIDField(
        required=False, help_text=_("Cursor: `next` from the previous page.")
    )
    limit = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=PAGE_LIMIT,
        help_text=_("100 by default; 1000 for CSV."),
    )
    model = serializers.CharField(
        required=False, max_length=241, help_text=_('The model\'s name, or "provider/model".')
    )
    source: ShadowingField = serializers.CharField(
        required=False,
        max_length=100,
        help_text=_(
            '"credential" or "trial" for all of that kind, or a single source such as '
            '"trial:openai".'
        ),
    )
    provider = serializers.CharField(
        required=False, max_length=40, help_text=_("Only calls with this provider, by its slug.")
    )
    app_key = serializers.CharField(required=False, max_length=80, help_text=_("Its name."))
    status = serializers.ChoiceField(
        CallRecord.Status.values, required=False, help_text=_("How the calls ended.")
    )
    error_code = serializers.CharField(
        required=False, max_length=40, help_text=_("An error code that calls ended with.")
    )
    request_id = serializers.CharField(
        required=False,
        max_length=64,
        help_text=_("The ID in the response's header X-Request-Id."),
    )
    since = serializers.DateTimeField(
        required=False, help_text=_("Calls received at or after this time.")
    )
    before = serializers.DateTimeField(
        required=False, help_text=_("Calls received before this time.")
    )
    format = serializers.ChoiceField(
        ["json", "csv"], required=False, help_text=_("Can also be chosen with the Accept header.")
    )


class CSVRenderer(BaseRenderer):
    """Makes CSV available to content negotiation; the view writes the CSV itself."""

    media_type = "text/csv"
    format = "csv"
    charset = "utf-8"


class CallsView(ApiView):
    required_actions = {"GET": Action.VIEW_USAGE}
    renderer_classes = (JSONRenderer, CSVRenderer)

    @operation(
        "usage_calls",
        _("List the calls, newest first"),
        tag=TAG,
        query=CallQuery,
        answers={
            (200, "application/json"): listed(CallOut, "CallList"),
            (200, "text/csv"): OpenApiTypes.STR,
        },
        description=_(
            "One immutable record per finished call. With `Accept: text/csv` or `format=csv`, the "
            "response is a CSV file, and its header `X-Next-Cursor` contains `next`."
        ),
    )
    def get(self, request: Request) -> Response | HttpResponse:
        as_csv = request.accepted_renderer.format == "csv"
        limit = self.query.get("limit") or (PAGE_LIMIT if as_csv else 100)
        filters = {
            name: value for name, value in self.query.items() if name not in ("limit", "format")
        }
        calls = call_list.calls(tenant_id=self.tenant.pk, limit=limit + 1, **filters)
        rows, more = calls[:limit], len(calls) > limit
        following = str(rows[-1].pk) if more else None
        return csv_response(rows, following) if as_csv else listing(CallOut, rows, following)


def csv_response(rows: list[CallRecord], following: str | None) -> HttpResponse:
    response = csv_file("calls", exports.CALL_COLUMNS, map(exports.call_row, rows))
    if following:
        response["X-Next-Cursor"] = following
    return response


class CallView(ApiView):
    required_actions = {"GET": Action.VIEW_USAGE}

    @operation(
        "usage_call",
        _("Show a call"),
        tag=TAG,
        description=_(
            "Who called which model, what it used and cost, and how it ended. Prompts and "
            "answers are not stored."
        ),
        answers={200: CallOut},
    )
    def get(self, request: Request, pk: UUID) -> Response:
        row = call_list.call(tenant_id=self.tenant.pk, pk=pk)
        if row is None:
            raise NotFound("no_such_call", _("Call not found in this workspace."))
        return Response(CallOut(row).data)


class SummaryQuery(StrictSerializer):
    days = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=366,
        default=30,
        help_text=_("Number of days, including today."),
    )
    by = serializers.ChoiceField(
        GROUPS, required=False, default="day", help_text=_("What each row stands for.")
    )
    provider = serializers.CharField(
        required=False, max_length=40, help_text=_("Only calls with this provider, by its slug.")
    )
    model = serializers.CharField(
        required=False, max_length=200, help_text=_("The model's name, without the provider.")
    )
    app_key = serializers.CharField(required=False, max_length=80, help_text=_("Its name."))
    format = serializers.ChoiceField(
        ["json", "csv"], required=False, help_text=_("Can also be chosen with the Accept header.")
    )


class CostOut(serializers.Serializer[Any]):
    currency = serializers.CharField()
    amount = Amount(help_text=_('A decimal number such as "0.00042".'))


class SummaryRowOut(serializers.Serializer[Any]):
    key = serializers.CharField(
        help_text=_(
            'Depending on `by`: the day (2026-11-22), "provider/model", the provider, or the app '
            "key's name."
        )
    )
    calls = serializers.IntegerField()
    errors: ShadowingField = serializers.IntegerField()
    cancelled = serializers.IntegerField(help_text=_("The client disconnected."))
    trial_calls = serializers.IntegerField()
    prompt_tokens = serializers.IntegerField(help_text=_("Only of calls with known token counts."))
    completion_tokens = serializers.IntegerField(
        help_text=_("Only of calls with known token counts.")
    )
    images = serializers.IntegerField(help_text=_("Images generated."))
    credits = serializers.IntegerField()
    costs = CostOut(many=True, help_text=_("One total per currency."))
    unpriced = serializers.IntegerField(
        help_text=_("Answered calls without a known price; no cost includes them.")
    )


class SummaryOut(serializers.Serializer[Any]):
    days = serializers.IntegerField()
    by = serializers.CharField()
    since = serializers.DateTimeField()
    results = SummaryRowOut(many=True, source="rows")
    next = serializers.SerializerMethodField(help_text=_("Always `null`: there is only one page."))

    @extend_schema_field({"type": "null"})
    def get_next(self, summary: Any) -> None:
        return None


class SummaryView(ApiView):
    required_actions = {"GET": Action.VIEW_USAGE}
    renderer_classes = (JSONRenderer, CSVRenderer)

    @operation(
        "usage_summary",
        _("Summarise usage"),
        tag=TAG,
        description=_(
            "Calls, tokens, credits and costs of the last days, in one row for each value "
            "of `by`. With `Accept: text/csv` or `format=csv`, the response is a CSV file."
        ),
        query=SummaryQuery,
        answers={
            (200, "application/json"): SummaryOut,
            (200, "text/csv"): OpenApiTypes.STR,
        },
    )
    def get(self, request: Request) -> Response | HttpResponse:
        params = {name: value for name, value in self.query.items() if name != "format"}
        summary = summaries.summary(tenant_id=self.tenant.pk, **params)
        if request.accepted_renderer.format == "csv":
            return csv_file(
                "usage", exports.SUMMARY_COLUMNS, map(exports.summary_row, summary.rows)
            )
        return Response(SummaryOut(summary).data)
