"""Base class of the REST views in a workspace."""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

from django.http import Http404
from django.utils.translation import gettext_lazy as _
from rest_framework import exceptions, serializers
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.api.serializers import NoQuery, StrictSerializer, read
from core.errors import NotAllowed
from tenants.audit.trail import Actor, actor_of
from tenants.auth.permissions import Action, Scope
from tenants.auth.principal import Principal
from tenants.auth.request import WorkspaceAPIRequest
from tenants.models import Tenant

BEYOND_LIMITS = _(
    "This app key is limited to some providers or models, and this endpoint concerns the whole "
    "workspace. Use a key without these limits."
)


class ApiView(APIView):
    """Base of all REST views; `required_actions` maps methods to the Action they require."""

    http_method_names = ["get", "head", "post", "put", "patch", "delete"]
    required_actions: ClassVar[dict[str, Action]] = {}
    # Methods that apply the limits of an app key to providers and models (`Principal.may_use`).
    # All others concern the whole workspace and are refused to a limited key.
    applies_limits: ClassVar[frozenset[str]] = frozenset()
    request: WorkspaceAPIRequest

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if any(isinstance(value, str) and not value.isprintable() for value in kwargs.values()):
            raise Http404
        handler = getattr(self, (request.method or "").lower(), None)
        if handler is not None:
            self.query = read(getattr(handler, "query_serializer", NoQuery), request.query_params)

    def handle_exception(self, exc: Exception) -> Response:
        response: Response = super().handle_exception(exc)
        # Errors are always JSON, whatever format was negotiated.
        self.request.accepted_renderer, self.request.accepted_media_type = (
            JSONRenderer(),
            JSONRenderer.media_type,
        )
        return response

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        response["Cache-Control"] = "no-store"
        return response

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        try:
            return super().perform_content_negotiation(request, force)
        except Http404:  # unknown value of the query parameter
            raise serializers.ValidationError(
                {"format": [_("This format is not available here.")]}
            ) from None

    def check_permissions(self, request: Request) -> None:
        method = (request.method or "").lower()
        if method not in self.http_method_names or not hasattr(self, method):
            raise exceptions.MethodNotAllowed(method.upper())
        super().check_permissions(request)
        if self.principal.has_limits and method not in self.applies_limits:
            raise NotAllowed("key_scope", BEYOND_LIMITS)

    def allow(self, allowed: bool, name: str) -> None:
        """Raise NotAllowed unless the key's limits allow a provider or model."""
        if not allowed:
            text = _("This app key is limited, and may not use %(name)s.")
            raise NotAllowed("key_scope", text % {"name": name[:241]})

    def permission_denied(
        self, request: Request, message: Any = None, code: str | None = None
    ) -> NoReturn:
        scope = Scope.READ if request.method in ("GET", "HEAD") else Scope.MANAGE
        text = _(
            "This app key may not do this. It needs the scope “%(scope)s” and an owner whose role "
            "allows it."
        )
        raise exceptions.PermissionDenied(text % {"scope": scope.value})

    def body(self, kind: type[StrictSerializer], *, partial: bool = False) -> dict[str, Any]:
        """Validate and return the request's body."""
        return read(kind, self.request.data, partial=partial)

    @property
    def paging(self) -> dict[str, Any]:
        """Keyword arguments for `pagination.page`."""
        return {"after": self.query.get("after"), "limit": self.query["limit"]}

    @property
    def principal(self) -> Principal:
        return self.request.principal

    @property
    def tenant(self) -> Tenant:
        return self.request.tenant

    @property
    def actor(self) -> Actor:
        return actor_of(self.request)
