"""The OpenAPI document of /v1, and its page, for everybody."""

from django.http import HttpRequest, HttpResponse
from django.utils.translation import get_language
from django.views.decorators.http import require_safe

from core.api.openapi import reference, served
from gateway.openapi.document import document
from tenants.auth.permissions import Scope


@require_safe
def schema(_request: HttpRequest) -> HttpResponse:
    return served(document(get_language() or "en"), "modelkeep-v1-openapi.json")


@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    return reference(request, document(get_language() or "en"), name="v1", scope=Scope.USE)
