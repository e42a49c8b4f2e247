"""The OpenAPI document of /v1, for everybody."""

from django.http import HttpRequest, HttpResponse
from django.utils.translation import get_language
from django.views.decorators.http import require_safe

from core.api.openapi import served
from gateway.openapi.document import document


@require_safe
def schema(_request: HttpRequest) -> HttpResponse:
    return served(document(get_language() or "en"), "modelkeep-v1-openapi.json")
