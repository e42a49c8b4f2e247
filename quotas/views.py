"""Pages of usage: trials, figures, calls."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from quotas import queries
from quotas.forms import CallFilterForm, PeriodForm
from quotas.queries import Summary
from tenants.permissions import Action
from tenants.web import page

PER_PAGE = 50
BAR_WIDTH, BAR_GAP, CHART_HEIGHT = 10, 2, 100


@page(Action.VIEW_USAGE)
def usage(request: HttpRequest) -> HttpResponse:
    form = PeriodForm(request.GET or {"days": 30})
    days, tenant_id = form.chosen, request.tenant.pk
    daily = queries.summary(tenant_id=tenant_id, days=days, by="day")
    trials = queries.trials(tenant_id=tenant_id)
    context = {
        "form": form,
        "days": days,
        "trials": [trial for trial in trials if trial.is_on and trial.limit],
        "forecast": queries.forecast(tenant_id=tenant_id, known=trials),
        "total": queries.totals(tenant_id=tenant_id, days=days),
        "before": queries.totals(tenant_id=tenant_id, days=days, periods_back=1),
        "daily": daily,
        "chart": chart_of(daily),
        "by_model": queries.summary(tenant_id=tenant_id, days=days, by="model").rows[:20],
        "by_key": queries.summary(tenant_id=tenant_id, days=days, by="app_key").rows[:20],
    }
    return render(request, "quotas/usage.html", context)


def chart_of(daily: Summary) -> dict[str, Any]:
    """Bars of an SVG: x, y, width and height in its own units."""
    most = max((row.calls for row in daily.rows), default=0)
    bars = []
    for number, row in enumerate(daily.rows):
        height = CHART_HEIGHT * row.calls / most if most else 0
        bars.append({"x": number * BAR_WIDTH, "y": f"{CHART_HEIGHT - height:.1f}", "height": f"{height:.1f}", "row": row})
    return {"bars": bars, "width": max(1, len(bars)) * BAR_WIDTH, "bar": BAR_WIDTH - BAR_GAP, "height": CHART_HEIGHT, "most": most}


@page(Action.VIEW_USAGE)
def usage_calls(request: HttpRequest) -> HttpResponse:
    form = CallFilterForm(request.GET)
    rows = queries.calls(tenant_id=request.tenant.pk, limit=PER_PAGE + 1, **form.query)
    shown, more = rows[:PER_PAGE], len(rows) > PER_PAGE
    filtered = any(request.GET.get(name) for name in ("model", "source", "status"))
    context = {"calls": shown, "next": shown[-1].pk if more else None, "form": form, "filtered": filtered, "paged": "after" in request.GET}
    return render(request, "quotas/calls.html", context)
