"""Public views of the help, which reveals nothing about the installation."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from help import pages, search
from providers.declaration.spec import Kind
from providers.operations.table import MODEL_TYPES


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    query = request.GET.get("q", "").strip()
    context = {"query": query, "found": search.search(query) if query else None}
    return _render(request, "help/index.html", context)


@require_safe
def topic(request: HttpRequest, slug: str) -> HttpResponse:
    if slug not in pages.TOPICS:
        raise Http404
    page = pages.topic(slug, pages.language())
    return _render(
        request,
        "help/page.html",
        {"page": page, "html": pages.with_address(page.html, settings.SITE_URL)},
    )


@require_safe
def provider(request: HttpRequest, slug: str) -> HttpResponse:
    declared = pages.provider(slug)
    if declared is None:
        raise Http404
    page = pages.of_provider(slug, pages.language())
    context = {
        "page": page,
        "html": page.html,
        "declared": declared,
        "is_hosting": declared.kind is Kind.HOSTING,
        "types": [MODEL_TYPES[model_type].label for model_type in declared.model_types],
    }
    return _render(request, "help/provider.html", context)


def _render(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    lists = {"topics": pages.topics(), "provider_pages": pages.provider_pages()}
    return render(request, template, lists | context)
