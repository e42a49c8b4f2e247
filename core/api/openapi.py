"""The OpenAPI document, its documentation page, and the response to unknown API paths."""

from __future__ import annotations

import copy
import json
from functools import lru_cache
from typing import Any, Final

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import get_script_prefix
from django.utils.cache import patch_cache_control
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator

from core import error_codes
from core.api.docs_page import chapters
from core.api.docs_schema import paragraphs
from core.api.errors import error_body
from core.api.json_schema import Schema
from core.api.openapi_parts import ABOUT, error_schema, resolved

_DESCRIPTION = _(
    "Manage a workspace from a program: everything that its settings pages can do.\n"
    "\n"
    "Send an app key as `Authorization: Bearer mk_live_...`. "
    "The scope `read` allows every GET; `manage` allows the other\n"
    "methods. Objects of other workspaces return 404, as if they did not exist. "
    "Bodies are JSON in UTF-8; unknown fields and\n"
    'query parameters are rejected. Lists return `{"results": [...], "next": cursor}`: '
    "send `next` as `after` to get the next\n"
    "page; `null` means there are no more. "
    "Secrets are write-only: responses show them masked.\n"
    "\n"
    "To call the models, use the OpenAI-compatible endpoints under `/v1/`.\n"
)
# In the order in which a new user needs them.
TAGS: Final = {
    "Providers": _("The services whose models can be used, and which source pays for their calls."),
    "Credentials": _("Keys that a provider has issued, stored encrypted."),
    "Models": _("The catalog of models and what is known about them."),
    "Default models": _("The models for calls that name a scenario or no model."),
    "Usage and trials": _("Records of calls, their sums, and free credits."),
    "App keys": _("Keys with which applications call this server."),
    "Members": _("People in the workspace, and invitations."),
    "Workspace": _("The workspace's name, address and settings."),
    "Audit trail": _("Who changed what."),
}
_IN_PATHS: Final = {
    "provider": _("The provider's slug, such as `openai`."),
    "model": _("The provider's name of the model. Encode its slashes as %2F."),
    "scenario": _("The scenario, such as `reasoning`."),
    "id": _("The ID from the list."),
}
# Fields that only some errors have.
_OF_SOME_ERRORS: Final[dict[str, Schema]] = {
    "hint": {
        "type": "string",
        "description": _("The likely cause, such as a key that looks like another provider's."),
    },
    "what_we_sent": {
        "type": "object",
        "description": _("If a provider was called: the request, without the key."),
        "additionalProperties": {"type": ["string", "null"]},
    },
}
_ERROR_EXAMPLE = error_body(
    "model_not_found",
    "Model not found in this workspace.",
    param="model",
    request_id="7f3c9a51d2e84b6f90a1c2d3",
)
# Error responses common to all operations.
_COMMON = {
    "400": _(
        "Invalid request: malformed JSON, an unknown field or parameter, or an invalid value."
    ),
    "401": _("Missing or invalid app key."),
    "403": _("The app key is not allowed to do this."),
    "406": _("The requested format is not available."),
    "503": _("The database or the workspace's key pair is unavailable right now."),
}
_WITH_PATH = {"404": _("Not found in this workspace.")}
_WITH_BODY = {
    "413": _("The body is larger than 256 KiB."),
    "415": _("The body is not JSON in UTF-8."),
}


class AppKeyScheme(OpenApiAuthenticationExtension):
    target_class = "tenants.api.authentication.AppKeyAuthentication"
    name = "appKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "mk_live_...",
            "description": gettext("An app key of the workspace."),
        }


class Generator(SchemaGenerator):
    """A schema generator that adds our error body and closes request objects."""

    def get_schema(self, request: Any = None, public: bool = False) -> dict[str, Any]:
        document: dict[str, Any] = super().get_schema(request=request, public=public)  # type: ignore[no-untyped-call]  # drf-spectacular
        document["info"] |= {"description": _DESCRIPTION, **ABOUT}
        document["tags"] = [
            {"name": name, "x-displayName": gettext(name), "description": text}
            for name, text in TAGS.items()
        ]
        schemas = document["components"]["schemas"]
        for name, body in schemas.items():
            if name.endswith("Request"):
                body.setdefault("additionalProperties", False)
        schemas["Error"] = error_schema(error_codes.CODES.values(), _OF_SOME_ERRORS)
        for operations in document["paths"].values():
            for operation in operations.values():
                _describe_path(operation)
                _add_errors(operation)
        made: dict[str, Any] = resolved(_with_plain_nulls(document))
        return made


def _describe_path(operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path":
            parameter["description"] = _IN_PATHS[parameter["name"]]


def _with_plain_nulls(document: dict[str, Any]) -> dict[str, Any]:
    """Put null and the empty string where they are allowed: generators of clients make a type of
    every schema with a name.
    """
    schemas = document["components"]["schemas"]
    plain = {
        f"#/components/schemas/{name}": schemas.pop(name)
        for name in ("NullEnum", "BlankEnum")
        if name in schemas
    }

    def replaced(node: Any) -> Any:
        if isinstance(node, dict):
            if node.get("$ref") in plain:
                return plain[node["$ref"]]
            return {name: replaced(inner) for name, inner in node.items()}
        return [replaced(inner) for inner in node] if isinstance(node, list) else node

    changed: dict[str, Any] = replaced(document)
    return changed


def _add_errors(operation: dict[str, Any]) -> None:
    errors = dict(_COMMON)
    if any(parameter["in"] == "path" for parameter in operation.get("parameters", ())):
        errors |= _WITH_PATH
    if "requestBody" in operation:
        errors |= _WITH_BODY
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    responses = operation["responses"]
    for code, description in errors.items():
        responses.setdefault(code, {"description": description, "content": content})
    operation["responses"] = dict(sorted(responses.items()))


@lru_cache(maxsize=8)
def _document(_language: str) -> dict[str, Any]:
    return Generator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]  # drf-spectacular


def document() -> dict[str, Any]:
    """Return the OpenAPI document in the active language, cached per process."""
    return copy.deepcopy(_document(get_language() or "en"))


@require_safe
def schema(request: HttpRequest) -> HttpResponse:
    return served(document(), "modelkeep-openapi.json")


def served(openapi_document: dict[str, Any], filename: str) -> HttpResponse:
    """Return a document with this server's address, for everybody."""
    content = openapi_document | {"servers": [{"url": get_script_prefix().rstrip("/") or "/"}]}
    response = JsonResponse(content, json_dumps_params={"ensure_ascii": False})
    response["Content-Disposition"] = f'inline; filename="{filename}"'
    patch_cache_control(response, max_age=300)
    return response


@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    return reference(request, document(), name="api")


def reference(
    request: HttpRequest, openapi_document: dict[str, Any], *, name: str, scope: str = ""
) -> HttpResponse:
    """Render a document for people.

    Args:
        name: Of the API, as the template's links have it.
        scope: Which every operation needs; by default, `read` or `manage`.
    """
    context = {
        "name": name,
        "info": openapi_document["info"],
        "introduction": paragraphs(openapi_document["info"]["description"]),
        "chapters": chapters(openapi_document, scope),
        "base": request.build_absolute_uri(get_script_prefix()).rstrip("/"),
        "error_example": json.dumps(_ERROR_EXAMPLE, indent=2),
    }
    return render(request, "api/docs.html", context)


@csrf_exempt
def unknown_path(request: HttpRequest, **_kwargs: Any) -> HttpResponse:
    """Return a JSON 404 for an unknown path."""
    message = _("The API does not have this path. /api/docs/ lists the paths.")
    return JsonResponse(
        error_body("unknown_path", message, request_id=getattr(request, "id", "")),
        status=error_codes.find("unknown_path").status,
    )
