"""REST: the models of a workspace's catalog, and models added by hand."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.pagination import listed, listing, page
from core.api.schema import operation, refused
from core.api.serializers import NoBody
from core.errors import NotFound
from models_catalog import queries
from models_catalog.api.serializers import ModelChange, ModelIn, ModelOut, ModelQuery, RefreshOut
from models_catalog.resolution.entries import Entry
from models_catalog.services import adding, setup
from models_catalog.services import models as model_services
from providers.api.base import provider_status
from tenants.api.base import ApiView
from tenants.auth.permissions import Action

TAG = gettext_noop("Models")


class ModelApiView(ApiView):
    """Base of the views that return catalog entries."""

    def serialize(self, entry: Entry) -> Any:
        return ModelOut(
            entry, context={"can_call": queries.can_call(tenant_id=self.tenant.pk)}
        ).data


class ModelsView(ModelApiView):
    required_actions = {"GET": Action.VIEW_MODELS}
    applies_limits = frozenset({"get", "head"})

    @operation(
        "models_list",
        _("List the models"),
        tag=TAG,
        query=ModelQuery,
        answers={200: listed(ModelOut, "ModelList")},
        description=_(
            "The models of every provider that is set up by a credential, an active trial, "
            "or a model added by hand. `callable` tells which of them calls can reach; with "
            "only a trial, those are the trial's own models. /v1/models lists just the "
            "callable ones."
        ),
    )
    def get(self, request: Request) -> Response:
        entries = queries.entries(
            tenant_id=self.tenant.pk,
            provider=self.query.get("provider"),
            type=self.query.get("type"),
            enabled=self.query.get("enabled"),
            search=self.query.get("search", ""),
        )
        may_use = self.principal.may_use
        entries = [entry for entry in entries if may_use(entry.provider, entry.model)]
        can_call = queries.can_call(tenant_id=self.tenant.pk)
        callable_filter = self.query.get("callable")
        if callable_filter is not None:
            entries = [entry for entry in entries if can_call(entry) is callable_filter]
        rows, following = page(entries, key=lambda entry: entry.id, **self.paging)
        return listing(ModelOut, rows, following, can_call=can_call)


class ModelView(ModelApiView):
    required_actions = {
        "GET": Action.VIEW_MODELS,
        "PATCH": Action.MANAGE_MODELS,
        "DELETE": Action.MANAGE_MODELS,
    }

    applies_limits = frozenset({"get", "head", "patch", "delete"})

    def entry(self, provider: str, model: str) -> Entry:
        self.allow(self.principal.may_use(provider, model), f"{provider}/{model}")
        entry = queries.entry(tenant_id=self.tenant.pk, provider=provider, model=model)
        if entry is None:
            raise NotFound("model_not_found", _("Model not found in this workspace."))
        return entry

    @operation(
        "models_get",
        _("Show a model"),
        tag=TAG,
        description=_(
            "Its facts as they apply in this workspace: shipped, from the provider, and overridden."
        ),
        answers={200: ModelOut},
    )
    def get(self, request: Request, provider: str, model: str) -> Response:
        return Response(self.serialize(self.entry(provider, model)))

    @operation(
        "models_change",
        _("Switch a model on or off, or override its facts"),
        tag=TAG,
        body=ModelChange,
        answers={200: ModelOut},
        description=_(
            "Setting a fact to `null` restores the shipped or provider's value. Refreshing "
            "the list keeps overrides."
        ),
    )
    def patch(self, request: Request, provider: str, model: str) -> Response:
        self.entry(provider, model)
        body = self.body(ModelChange)
        entry = model_services.change_model(
            tenant=self.tenant, actor=self.actor, provider=provider, model=model, **body
        )
        return Response(self.serialize(entry))

    @operation(
        "models_delete",
        _("Delete a model that was added by hand"),
        tag=TAG,
        description=_("Defaults and fallbacks that name the model no longer find it."),
        answers={
            204: None,
            409: refused(
                _(
                    "Shipped models and models from the provider's list can be switched off "
                    "but not deleted."
                )
            ),
        },
    )
    def delete(self, request: Request, provider: str, model: str) -> Response:
        self.entry(provider, model)
        model_services.remove_model(
            tenant=self.tenant, actor=self.actor, provider=provider, model=model
        )
        return Response(status=204)


class ProviderModelsView(ModelApiView):
    required_actions = {"POST": Action.MANAGE_MODELS}
    applies_limits = frozenset({"post"})

    @operation(
        "models_add",
        _("Add a model"),
        tag=TAG,
        body=ModelIn,
        answers={
            201: ModelOut,
            409: refused(_("The model already exists.")),
            422: refused(_("The provider refused the model.")),
        },
        description=_(
            "For hosting providers, or to add another model to any provider. `values` may "
            "include `base_url` if the provider allows it."
        ),
    )
    def post(self, request: Request, provider: str) -> Response:
        provider_status(self.tenant, provider)
        body = self.body(ModelIn)
        name = body["model"]
        self.allow(self.principal.may_use(provider, name), f"{provider}/{name}")
        adding.add_model(tenant=self.tenant, actor=self.actor, provider=provider, **body)
        entry = queries.entry(tenant_id=self.tenant.pk, provider=provider, model=name)
        assert entry is not None, "the model was just added"
        return Response(self.serialize(entry), status=201)


class RefreshView(ApiView):
    required_actions = {"POST": Action.MANAGE_MODELS}
    applies_limits = frozenset({"post"})

    @operation(
        "providers_refresh",
        _("Import the provider's models again"),
        tag=TAG,
        answers={200: RefreshOut, 409: refused(_("The provider has no credential yet."))},
        description=_(
            "If the list cannot be fetched, the previous one is kept and `error` says why."
        ),
    )
    def post(self, request: Request, provider: str) -> Response:
        self.body(NoBody)
        self.allow(self.principal.may_change_provider(provider), provider)
        provider_status(self.tenant, provider)
        setup.refresh(tenant=self.tenant, actor=self.actor, provider=provider)
        status = provider_status(self.tenant, provider)
        refreshed = {
            "provider": provider,
            "models": status.models,
            "fetched": status.models_fetched,
            "error": status.list_failure,
        }
        return Response(RefreshOut(refreshed).data)
