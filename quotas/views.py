"""Usage pages: figures, trials, the call log, a single call, and CSV exports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils.http import urlencode

from core.csv import download
from core.web.forms import endpoint
from quotas.forms import CallFilterForm, UsageForm
from quotas.trials import queries
from quotas.usage import call_list, exports, presentation, summaries, totals
from quotas.usage.charts import calls_per_day
from tenants import ports
from tenants.audit.trail import actor_of, record
from tenants.auth.decorators import page
from tenants.auth.permissions import Action
from tenants.auth.request import WorkspaceRequest
from tenants.models import User

PER_PAGE = 50
MOST_ROWS = 50  # of a breakdown on the page; the CSV has all rows
CHOICE_DAYS = 30  # days whose values are offered as filters


@page(Action.VIEW_USAGE)
def usage(request: WorkspaceRequest) -> HttpResponse:
    form = UsageForm(request.GET)
    days, tenant_id = form.chosen, request.tenant.pk
    rollup_state = totals.rollup_state(
        tenant_id=tenant_id, since=summaries.start_of(2 * max(days, queries.FORECAST_DAYS))
    )
    usage_data = summaries.usage(
        tenant_id=tenant_id, days=days, rollup_state=rollup_state, **form.filters
    )
    form.offer(usage_data.choices)
    by = request.GET.get("by", "")
    by = by if by in presentation.BREAKDOWNS else "model"
    shown = usage_data.by[by][:MOST_ROWS]
    trials = [trial for trial in queries.trials(tenant_id=tenant_id) if trial.is_on and trial.limit]
    # A period without calls that covers the forecast's days needs no query: there is no forecast.
    is_needed = bool(trials) and (usage_data.total.calls > 0 or days < queries.FORECAST_DAYS)
    context = {
        "form": form,
        "days": days,
        "trials": trials,
        "forecast": queries.forecast(tenant_id=tenant_id, known=trials, rollup_state=rollup_state)
        if is_needed
        else {},
        "usage": usage_data,
        "figures": presentation.of(usage_data),
        "chart": calls_per_day(usage_data.days),
        "by": by,
        "tabs": presentation.BREAKDOWNS,
        "rows": presentation.lines(
            by, shown, names=_names(shown) if by == "member" else {}, asked=request.GET.dict()
        ),
        "further": max(0, len(usage_data.by[by]) - len(shown)),
        # without calls that were only cancelled
        "problems": [row for row in usage_data.by["error_code"] if row.errors],
        "calls_query": urlencode(
            form.chosen_filters | {"since": usage_data.since.date().isoformat()}
        ),
        "uncounted": any(row.counted < row.answered for row in shown),
    }
    return render(
        request,
        "quotas/usage.html",
        context | _first_call(request, needed=not usage_data.total.calls),
    )


def _names(rows: Iterable[summaries.SummaryRow]) -> Mapping[str, str]:
    """Return the names of existing users by id."""
    people = User.objects.filter(pk__in=[row.key for row in rows])
    return {str(person.pk): person.name or person.email for person in people}


@page(Action.VIEW_USAGE)
def usage_export(request: WorkspaceRequest) -> StreamingHttpResponse:
    """Export usage grouped by `by` (days by default) as CSV."""
    form, by = UsageForm(request.GET), request.GET.get("by", "")
    by = by if by in summaries.GROUPS else "day"
    summary = summaries.summary(
        tenant_id=request.tenant.pk, days=form.chosen, by=by, **form.filters
    )
    if by == "member":
        names = _names(summary.rows)
        for row in summary.rows:
            row.key = names.get(row.key, row.key)
    _note_export(request, f"usage by {by}", {"days": form.chosen, **form.filters})
    return download(request, exports.of_summary(summary.rows), name=f"{request.tenant.slug}-usage")


@page(Action.VIEW_USAGE)
def usage_calls(request: WorkspaceRequest) -> HttpResponse:
    form, tenant_id = CallFilterForm(request.GET), request.tenant.pk
    rows = call_list.calls(tenant_id=tenant_id, limit=PER_PAGE + 1, **form.query)
    shown, more = rows[:PER_PAGE], len(rows) > PER_PAGE
    form.offer(summaries.choices(tenant_id=tenant_id, days=CHOICE_DAYS))
    context = {
        "calls": shown,
        "next": shown[-1].pk if more else None,
        "form": form,
        "filtered": form.is_filtering,
        "paged": bool(form.query.get("after")),
    }
    return render(request, "quotas/calls.html", context | _first_call(request, needed=not shown))


def _first_call(request: WorkspaceRequest, *, needed: bool) -> dict[str, Any]:
    """Return what a page without calls shows: a command that works now, if there is any."""
    return (
        {"base_url": endpoint(request), "example": ports.example(request.tenant.pk)}
        if needed
        else {}
    )


@page(Action.VIEW_USAGE)
def usage_calls_export(request: WorkspaceRequest) -> StreamingHttpResponse:
    """Export all matching calls as CSV; `days` sets the start if `since` is missing."""
    form, tenant_id = CallFilterForm(request.GET), request.tenant.pk
    filters = {name: value for name, value in form.query.items() if name != "after"}
    if "days" in request.GET and filters["since"] is None:
        filters["since"] = summaries.start_of(UsageForm(request.GET).chosen)
    _note_export(request, "calls", {name: str(value) for name, value in filters.items() if value})
    pieces = exports.of_calls(call_list.every_call(tenant_id=tenant_id, **filters))
    return download(request, pieces, name=f"{request.tenant.slug}-calls")


def _note_export(request: WorkspaceRequest, what: str, details: Mapping[str, Any]) -> None:
    record(
        tenant=request.tenant,
        actor=actor_of(request),
        action="usage.exported",
        object_type="csv",
        object_label=what,
        details={name: value for name, value in details.items() if value},
    )


@page(Action.VIEW_USAGE)
def usage_call(request: WorkspaceRequest, call_id: UUID) -> HttpResponse:
    call = call_list.call(tenant_id=request.tenant.pk, pk=call_id)
    if call is None:
        raise Http404
    return render(request, "quotas/call.html", {"call": call, "detail": presentation.detail(call)})
